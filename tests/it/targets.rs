//! `target init`, `target needs` and `target check`, through the program itself.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The reference as a service of its own, with its target file; it ends with the test.
struct Service {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--clock-control", "--target-file"]);
        let mut child = command
            .arg(folder.path().join("target.json"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("serving"), "{line}");
        Self { child, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The check of a target file that is changed first.
    fn check(&self, change: impl FnOnce(&mut Value)) -> (i32, String) {
        let mut target: Value = serde_json::from_str(&fs::read_to_string(self.path("target.json")).unwrap()).unwrap();
        change(&mut target);
        fs::write(self.path("changed.json"), target.to_string()).unwrap();
        check(&self.path("changed.json"))
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpsd-conformance"));
    command.env_remove("GITHUB_ACTIONS").env_remove("MPSD_TARGET");
    command
}

fn ended(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .concat();
    (output.status.code().unwrap(), told)
}

fn check(file: &Path) -> (i32, String) {
    ended(program().args(["target", "check"]).arg(file))
}

#[test]
fn a_target_is_tried_before_any_case_is() {
    let service = Service::start();
    let (exit, told) = service.check(|_| {});
    assert_eq!(exit, 0, "{told}");
    for part in [
        "responds",
        "24 of 24 identities accepted",
        "63 of 63 templates match those of the suite",
        "19 of 19 users have the XUID given in the target file",
        "templates match those of the suite",
        "advances the clock",
        "can be tested",
    ] {
        assert!(told.contains(part), "`{part}` in {told}");
    }

    let finds = |part: &str, change: &dyn Fn(&mut Value)| {
        let (exit, told) = service.check(change);
        assert_eq!(exit, 2, "{told}");
        assert!(told.contains(part), "`{part}` in {told}");
    };
    finds("template `nowhere` cannot be read (404)", &|target| {
        target["templates"]["open"] = "nowhere".into();
    });
    finds("differs from `open`: /constants/system/", &|target| {
        target["templates"]["open"] = "bare".into();
    });
    finds("did you mean `open`?", &|target| {
        target["templates"]["opem"] = "open".into();
    });
    finds("does not advance the clock", &|target| {
        target["clock"]["advanceHeader"] = "X-Nothing".into();
    });
    finds("/sessiontemplates returned 404", &|target| {
        target["scid"] = "00000000-0000-4000-8000-000000000000".into();
    });
    finds(
        "has the XUID \"2814610000000002\" on the service, not \"7\"",
        &|target| {
            target["identities"]["bob"]["xuid"] = "7".into();
        },
    );
    finds("not authenticated (401): bob", &|target| {
        target["identities"]["bob"]["token"]["key"] = "expired".into();
    });
    finds("`expired` was accepted", &|target| {
        target["identities"]["expired"]["token"]["key"] = "bob".into();
    });
    finds("`alice` has no access to the service config", &|target| {
        target["identities"]["alice"]["token"]["key"] = "otto".into();
    });

    let unread = |change: &dyn Fn(&mut Value)| {
        service.check(|target| {
            target["lacks"].as_array_mut().unwrap().push("templates".into());
            change(target);
        })
    };
    let (exit, told) = unread(&|_| {});
    assert_eq!(exit, 0, "{told}");
    let (exit, told) = unread(&|target| target["templates"]["small"] = "open".into());
    assert_eq!(exit, 2, "what cannot be read is seen in a session: {told}");
    assert!(
        told.contains("template `open` differs from `small`: /constants/system/maxMembersCount"),
        "{told}"
    );
    let (exit, told) = unread(&|target| target["scid"] = "00000000-0000-4000-8000-000000000000".into());
    assert_eq!(exit, 2, "{told}");
    assert!(told.contains("all other templates failed too"), "{told}");

    let (exit, told) = service.check(|target| {
        target["identities"]
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name == "alice" || name == "bob");
    });
    assert_eq!(exit, 0, "what is left out is no problem: {told}");
    assert!(
        told.contains("not applicable: the target has no identity `carol`"),
        "{told}"
    );
}

#[test]
fn who_cannot_be_reached_or_refuses_everybody_is_exit_4() {
    let service = Service::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (exit, told) = service.check(|target| target["baseUrl"] = format!("http://{closed}").into());
    assert_eq!(exit, 4, "{told}");
    assert!(
        told.contains("cannot be reached") && told.contains("check that the service is running"),
        "{told}"
    );
    let (exit, told) = service.check(|target| {
        let identities = target["identities"].as_object_mut().unwrap();
        identities.retain(|name, _| name == "alice" || name == "bob");
        for (_, identity) in identities {
            identity["token"]["key"] = "expired".into();
        }
    });
    assert_eq!(exit, 4, "{told}");
    assert!(told.contains("alice, bob"), "{told}");
}

#[test]
fn a_service_that_is_no_mpsd_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhey!"
            );
        }
    });
    let service = Service::start();
    let (exit, told) = service.check(|target| target["baseUrl"] = url.into());
    assert_eq!(exit, 2, "{told}");
    assert!(
        told.contains("check that `baseUrl` is the URL of an MPSD service"),
        "{told}"
    );
}

#[test]
fn a_drafted_target_file_is_valid_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("target.json");
    let (exit, told) = ended(program().args(["target", "init"]).arg(&file));
    assert_eq!(exit, 0, "{told}");
    let (exit, told) = ended(program().args(["validate", "target"]).arg(&file));
    assert_eq!(exit, 0, "{told}");
    let (exit, told) = ended(program().args(["target", "init"]).arg(&file));
    assert_eq!((exit, told.contains("not overwritten")), (2, true), "{told}");
    let (exit, told) = check(&file);
    assert_eq!(exit, 2, "{told}");
    assert!(
        told.contains("the environment variable `MPSD_TOKEN_ALICE` is not set"),
        "{told}"
    );
}

#[test]
fn what_serve_describes_is_a_valid_target() {
    let service = Service::start();
    let (exit, told) = ended(program().args(["validate", "target"]).arg(service.path("target.json")));
    assert_eq!(exit, 0, "{told}");
}

#[test]
fn what_a_service_needs_is_printed_as_json() {
    let output = program().args(["target", "needs"]).output().unwrap();
    let needs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(needs["templates"]["open"]["contractVersion"], json!(107));
    assert!(needs["identities"]["alice"]["about"].is_string() && needs["relations"]["follows"].is_array());
}
