//! The program itself, as a shell would run it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use mpsd_conformance::run::embedded;
use mpsd_reference::{Clock, Server};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::wrong_service::SUITE;

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        let ended = Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains('\u{1b}'), "an escape code went into a pipe: {all:?}");
        assert!(!all.contains("panicked"), "{all}");
        ended
    }
}

/// The program with arguments, and without what the environment would add.
pub fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpsd-conformance"));
    command
        .args(arguments)
        .env_remove("MPSD_TARGET")
        .env_remove("GITHUB_ACTIONS")
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn program<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Ended::new(command(arguments).output().unwrap())
}

/// Runs the program with something on its standard input.
pub fn program_fed(arguments: &[&str], input: &str) -> Ended {
    let mut command = command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Ended::new(child.wait_with_output().unwrap())
}

/// Runs the program to its end; how it ended, and the most memory that it had, in MiB, where that can be seen.
pub fn program_weighed<'a>(arguments: impl IntoIterator<Item = &'a str>) -> (Ended, usize) {
    let mut command = command(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let ended = std::thread::spawn(move || Ended::new(child.wait_with_output().unwrap()));
    let mut most = 0;
    while !ended.is_finished() {
        most = most.max(peak(id));
        std::thread::sleep(Duration::from_millis(5));
    }
    (ended.join().unwrap(), most)
}

/// The most memory that a process had so far, in MiB; 0 where that cannot be seen.
pub fn peak(id: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: usize = line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
    kib >> 10
}

/// `serve` in a process of its own, which ends with this.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    folder: TempDir,
}

impl Serving {
    /// Starts the reference on a free port, and waits until it can be asked.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target.json");
        let mut command = command(["serve", "--listen", "127.0.0.1:0", "--clock-control", "--target-file"]);
        let child = command
            .arg(&target)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let serving = Self { child, folder };
        let start = Instant::now();
        let is_written = || fs::read_to_string(&target).is_ok_and(|text| text.ends_with("}\n"));
        while !is_written() {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "`serve` wrote no target file"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        serving
    }

    /// A file beside the target file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The target file.
    pub fn target(&self) -> PathBuf {
        self.path("target.json")
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        let target: Value = serde_json::from_str(&fs::read_to_string(self.target()).unwrap()).unwrap();
        let url = target["baseUrl"].as_str().unwrap();
        url.trim_start_matches("http://").parse().unwrap()
    }

    /// Changes the target file.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut target = serde_json::from_str(&fs::read_to_string(self.target()).unwrap()).unwrap();
        change(&mut target);
        fs::write(self.target(), target.to_string()).unwrap();
    }

    /// The tokens, without what says whose they are.
    pub fn tokens(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("target.tokens.json")).unwrap();
        let tokens: std::collections::BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        let secret = |token: &String| token.rsplit(';').next().unwrap_or_default().to_owned();
        let tokens: Vec<String> = tokens.values().map(secret).collect();
        assert!(tokens.len() > 10 && tokens.iter().all(|token| token.len() > 20));
        tokens
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the reference from this process, and describes it in a folder; the target file's path. For runs that the embedded
/// reference cannot stand for, since every finding fails against it and it lacks nothing.
pub fn hosted(folder: &Path) -> PathBuf {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let world = SUITE.world();
    let config = embedded::config(world, true).unwrap();
    let address = ([127, 0, 0, 1], 0).into();
    // It serves as long as the runtime.
    let server = RUNTIME
        .block_on(Server::start(&config, Clock::system(), address))
        .unwrap();
    let target = embedded::target(world, &config, &server.url());
    let identities = target.identities.iter().map(|(name, identity)| {
        let mut entry = identity.facts();
        entry.insert("token".to_owned(), json!({ "file": "tokens.json", "key": name }));
        (name.clone(), Value::Object(entry))
    });
    let description = json!({
        "baseUrl": target.base_url,
        "scid": target.scid,
        "templates": target.templates,
        "identities": identities.collect::<Map<_, _>>(),
        "lacks": target.lacks,
        "clock": { "advanceHeader": target.advance_header },
    });
    fs::write(folder.join("tokens.json"), json!(config.tokens()).to_string()).unwrap();
    let path = folder.join("target.json");
    fs::write(&path, description.to_string()).unwrap();
    path
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
