//! Tokens that expire, headers of a service's own, and paces, through the program itself.

#![cfg(unix)]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::network::{Request, answer, listen};
use crate::program::{Ended, Serving, program, text};

const JSON: &str = "Content-Type: application/json\r\n";

/// A service that knows Alice by tokens that a script mints, each with a number.
struct Minted {
    folder: TempDir,
    /// The number that the service accepts; 0: all.
    wanted: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Minted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (wanted, requests) = (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<String>>>::default());
        let (accepted, seen) = (Arc::clone(&wanted), Arc::clone(&requests));
        let address = listen(move |mut stream| {
            let Some(request) = Request::read(&stream) else { return };
            let number = accepted.load(Ordering::SeqCst);
            let sent = request.header("authorization").unwrap_or_default();
            let is_good = number == 0 || sent == format!("XBL3.0 x=1;of-alice-number-{number}");
            seen.lock().unwrap().push(request.head.clone());
            let _ = if is_good {
                answer(&mut stream, 200, JSON, r#"{"results":[]}"#)
            } else {
                answer(&mut stream, 401, "", "")
            };
        });
        // Counts how often it is asked.
        fs::write(
            folder.path().join("mint"),
            "echo x >> minted; echo \"XBL3.0 x=1;of-alice-number-$(wc -l < minted | tr -d ' ')\"",
        )
        .unwrap();
        let target = json!({
            "baseUrl": format!("http://{address}"),
            "scid": "11111111-2222-3333-4444-555555555555",
            "templates": ["open"],
            "identities": { "alice": { "xuid": "1001", "title": "1234", "token": { "command": ["sh", "mint"] } } },
            "lacks": ["clock"],
        });
        fs::write(folder.path().join("target.json"), target.to_string()).unwrap();
        Self {
            folder,
            wanted,
            requests,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.folder.path().join("target.json");
        let mut target = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut target);
        fs::write(path, target.to_string()).unwrap();
    }

    fn check(&self) -> Ended {
        program([
            "target",
            "check",
            text(&self.folder.path().join("target.json")),
            "conditional",
        ])
    }

    fn run(&self, selector: &str) -> Ended {
        program([
            "run",
            "--target",
            text(&self.folder.path().join("target.json")),
            selector,
        ])
    }

    fn minted(&self) -> usize {
        fs::read_to_string(self.folder.path().join("minted"))
            .unwrap()
            .lines()
            .count()
    }
}

#[test]
fn a_refused_token_is_replaced_once_and_all_go_on_with_the_new_one() {
    let service = Minted::new();
    service.wanted.store(2, Ordering::SeqCst);
    let ended = service.check();
    assert!(ended.stdout.contains("1 of 1 identities accepted"), "{}", ended.stdout);
    assert_eq!(service.minted(), 2);
}

#[test]
fn a_source_that_has_no_better_token_is_not_asked_for_every_request() {
    let service = Minted::new();
    service.wanted.store(999_999, Ordering::SeqCst);
    let ended = service.check();
    assert_eq!(ended.code, 4, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("refused every identity (401): alice"),
        "{}",
        ended.stdout
    );
    assert_eq!(service.minted(), 2);
}

#[test]
fn a_token_whose_time_is_over_is_replaced_before_it_is_used() {
    let service = Minted::new();
    service.change(|target| target["identities"]["alice"]["token"]["expiresIn"] = 0.into());
    service.check();
    let requests = service.requests.lock().unwrap().clone();
    assert!(!requests.is_empty());
    assert!(
        requests.iter().all(|head| !head.contains("of-alice-number-1\r\n")),
        "{requests:?}"
    );
}

#[test]
fn a_case_that_is_about_refusal_does_not_cost_a_token() {
    let serving = Serving::start();
    let tokens: Value = serde_json::from_str(&fs::read_to_string(serving.path("target.tokens.json")).unwrap()).unwrap();
    serving.change(|target| {
        for (name, identity) in target["identities"].as_object_mut().unwrap() {
            fs::write(serving.path(name), tokens[name].as_str().unwrap()).unwrap();
            identity["token"] = json!({ "command": ["sh", "-c", format!("echo {name} >> minted; cat {name}")] });
        }
    });
    let ended = program(["run", "--target", text(&serving.target()), "principals", "status"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let minted = fs::read_to_string(serving.path("minted")).unwrap();
    assert_eq!(
        minted.lines().count(),
        tokens.as_object().unwrap().len(),
        "each once: {minted}"
    );
}

#[test]
fn a_token_that_cannot_be_renewed_leaves_its_cases_inconclusive() {
    let service = Minted::new();
    service.change(|target| {
        let script = "if [ -e minted ]; then exit 1; fi; sh mint";
        target["identities"]["alice"]["token"] = json!({ "command": ["sh", "-c", script], "expiresIn": 0 });
    });
    let ended = service.check();
    assert_eq!(ended.code, 4, "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("cannot renew the token of alice: `sh` failed with"),
        "{}",
        ended.stdout
    );
}

#[test]
fn headers_of_a_services_own_go_with_every_request() {
    let service = Minted::new();
    fs::write(service.folder.path().join("key.txt"), "a-key-of-the-gateway\n").unwrap();
    service.change(|target| target["headers"] = json!({ "X-Stage": "test", "X-Key": { "file": "key.txt" } }));
    let ended = service.run("conditional");
    let requests = service.requests.lock().unwrap().clone();
    assert!(requests.len() > 20);
    for head in requests {
        let head = head.to_lowercase();
        assert!(
            head.contains("x-stage: test\r\n") && head.contains("x-key: a-key-of-the-gateway\r\n"),
            "{head}"
        );
    }
    assert!(!ended.stdout.contains("a-key-of-the-gateway"), "{}", ended.stdout);
}

#[test]
fn a_run_keeps_to_the_declared_pace_and_says_what_it_costs() {
    let service = Minted::new();
    service.change(|target| target["limits"] = json!({ "requestsPerSecond": 20, "perIdentity": { "inFlight": 2 } }));
    let start = Instant::now();
    service.run("conditional");
    let seconds = start.elapsed().as_secs_f64();
    let requests = u32::try_from(service.requests.lock().unwrap().len()).unwrap();
    assert!(
        requests > 20 && f64::from(requests - 1) / 20.0 <= seconds,
        "{requests} in {seconds} s"
    );
    let ended = service.check();
    assert!(ended.stdout.contains("within the declared limits"), "{}", ended.stdout);
}

#[test]
fn a_run_that_would_take_days_is_not_begun() {
    let service = Minted::new();
    service.change(|target| target["limits"] = json!({ "perIdentity": { "requestsPerSecond": 0.001 } }));
    let start = Instant::now();
    let ended = service.run("*");
    assert!(start.elapsed() < Duration::from_mins(1));
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("h within the declared limits") && ended.stderr.contains("select fewer cases"),
        "{}",
        ended.stderr
    );
}

#[test]
fn two_runs_at_once_against_one_service_do_not_meet() {
    let serving = Serving::start();
    let run = || {
        program([
            "run",
            "--target",
            text(&serving.target()),
            "activities",
            "realtime",
            "handle-queries",
        ])
    };
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().unwrap())
    });
    for ended in [first, second] {
        assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    }
}
