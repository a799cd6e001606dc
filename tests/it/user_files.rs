//! Files, variables and limits as people's systems have them: with marks, in other encodings, set to nothing, too few.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::network::{Request, answer, listen};
use crate::program::{Serving, command, program, text};

/// A case that takes a moment.
const CASE: &str = "conditional/a-stale-etag-refuses-a-write";
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Puts a byte order mark before a file, and has its lines end as on Windows.
fn as_on_windows(path: &PathBuf) {
    let old = fs::read_to_string(path).unwrap();
    fs::write(path, [MARK, old.replace('\n', "\r\n").as_bytes()].concat()).unwrap();
}

#[test]
fn a_mark_and_foreign_line_ends_change_nothing_in_any_file_of_a_user() {
    let serving = Serving::start();
    let tokens: Value = serde_json::from_str(&fs::read_to_string(serving.path("target.tokens.json")).unwrap()).unwrap();
    fs::write(
        serving.path("alone.txt"),
        format!("{}\n", tokens["bob"].as_str().unwrap()),
    )
    .unwrap();
    serving.change(|target| target["identities"]["bob"]["token"] = json!({ "file": "alone.txt" }));
    fs::write(serving.path("known.json"), "{\n  \"deviations\": []\n}\n").unwrap();
    for name in ["target.json", "target.tokens.json", "alone.txt", "known.json"] {
        as_on_windows(&serving.path(name));
    }
    let (target, known, report) = (serving.target(), serving.path("known.json"), serving.path("r.json"));
    let to = format!("json={}", text(&report));
    let ended = program([
        "run",
        "--target",
        text(&target),
        "--deviations",
        text(&known),
        "--report",
        &to,
        CASE,
    ]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let marked = serving.path("marked.json");
    fs::copy(&report, &marked).unwrap();
    as_on_windows(&marked);
    let ended = program(["compare", text(&marked), text(&report)]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn another_encoding_and_an_empty_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("{}".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for (bytes, words) in [
        (utf16.as_slice(), "UTF-16"),
        (b"{\"a\":\"\xe9\"}", "not UTF-8"),
        (b"", "empty"),
        (b"\xef\xbb\xbf \r\n", "empty"),
    ] {
        fs::write(&path, bytes).unwrap();
        for arguments in [
            &["run", "--target", text(&path), CASE][..],
            &["run", "--deviations", text(&path), CASE],
            &["validate", "session", text(&path)],
            &["compare", text(&path), text(&path)],
        ] {
            let ended = program(arguments);
            assert!(
                ended.code == 2 && ended.stderr.contains(words),
                "{arguments:?}: {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn a_target_file_named_without_a_folder_runs_its_commands() {
    let serving = Serving::start();
    let folder = serving.target().parent().unwrap().to_owned();
    let tokens: Value = serde_json::from_str(&fs::read_to_string(serving.path("target.tokens.json")).unwrap()).unwrap();
    fs::write(serving.path("token"), tokens["alice"].as_str().unwrap()).unwrap();
    serving.change(|target| target["identities"]["alice"]["token"] = json!({ "command": ["cat", "token"] }));
    let ended = command(["run", "--target", "target.json", CASE])
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let ended = command(["run", CASE]).env("MPSD_TARGET", "").output().unwrap();
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let ended = command(["run", CASE])
        .env("MPSD_TARGET", "nowhere.json")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&ended.stderr).contains("nowhere.json"));
    let ended = command(["list"]).env("MPSD_TARGET", "nowhere.json").output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn two_reports_do_not_go_to_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = |first: &str, second: &str| {
        let output = command(["run", "--report", first, "--report", second, CASE])
            .current_dir(folder.path())
            .output();
        let output = output.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = run("json=r.out", "junit=./r.out");
    assert!(
        code == 2 && told.contains("two reports, json and junit") && told.contains("r.out"),
        "{told}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(run("json=r.json", "junit=r.xml").0, 0);
    assert_eq!(run("json=r.json", "junit=/dev/null").0, 0);
}

#[test]
fn a_capture_is_kept_until_another_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let har = folder.path().join("seen.har");
    fs::write(&har, "an old capture").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let ended = program([
        "watch",
        "--to",
        "http://127.0.0.1:9",
        "--listen",
        &listen,
        "--har",
        text(&har),
    ]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&har).unwrap(), "an old capture");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_target_may_be_another_host_than_its_address_says() {
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hosts);
    let address = listen(move |mut stream| {
        let Some(request) = Request::read(&stream) else { return };
        let all: Vec<_> = request
            .head
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("host:"))
            .map(str::to_owned)
            .collect();
        seen.lock().unwrap().push(all.join("|"));
        let _ = answer(&mut stream, 401, "", "");
    });
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target.json");
    fs::write(folder.path().join("token"), "x").unwrap();
    let described = json!({
        "baseUrl": format!("http://{address}"), "scid": "11111111-2222-3333-4444-555555555555", "templates": ["open"],
        "headers": { "Host": "mpsd.example" },
        "identities": { "alice": { "xuid": "1001", "title": "1", "token": { "file": "token" } } },
    });
    fs::write(&target, described.to_string()).unwrap();
    program(["target", "check", text(&target)]);
    let hosts = hosts.lock().unwrap();
    assert!(
        !hosts.is_empty() && hosts.iter().all(|host| host.eq_ignore_ascii_case("host: mpsd.example")),
        "{hosts:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_low_limit_of_open_files_is_no_fault_of_the_target() {
    let binary = env!("CARGO_BIN_EXE_mpsd-conformance");
    for limit in ["-S -n 256", "-n 128"] {
        let line = format!("ulimit {limit}; exec {binary} run conditional members");
        let mut shell = std::process::Command::new("bash");
        let output = shell
            .args(["-c", &line])
            .env_remove("MPSD_TARGET")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{limit}: {told}");
    }
}
