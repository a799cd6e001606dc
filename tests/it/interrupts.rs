//! A run that is told to stop: by Ctrl-C, or by what a supervisor sends.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mpsd_conformance::report::FORMATS;
use serde_json::Value;

use crate::network::{Relay, Request, answer, listen};
use crate::program::{Serving, command, program, text};

/// Far more than a run takes that was told to stop, and far less than the cases that it leaves.
const SOON: Duration = Duration::from_secs(40);

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Waits for something that is sure to happen.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_mins(1), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs timed cases against a service whose time really has to be waited for, and stops the run with a signal.
fn interrupted(name: &str) {
    let serving = Serving::start();
    let relay = Relay::start(serving.address(), usize::MAX);
    serving.change(|target| {
        target["baseUrl"] = format!("http://{}", relay.address).into();
        target.as_object_mut().unwrap().retain(|key, _| key != "clock");
    });
    let file = |name: &str| serving.path(name);
    let reports = FORMATS
        .each_ref()
        .map(|format| format!("{}={}", format.name, text(&file(&format!("report.{}", format.name)))));
    let target = serving.target();
    let mut arguments = vec!["run", "--target", text(&target), "timeouts", "conditional"];
    arguments.extend(reports.iter().flat_map(|report| ["--report", report.as_str()]));
    let child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("cases are asked", || relay.connections.load(Ordering::SeqCst) > 20);
    signal(&child, name);
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(
        told.contains("the run was interrupted:") && told.contains("this report is partial"),
        "{told}"
    );
    let json = fs::read_to_string(file("report.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["suite"]["partial"], true);
    assert!(
        report["summary"]["inconclusive"].as_u64().unwrap() > 0,
        "{}",
        report["summary"]
    );
    assert_eq!(report["leftovers"], serde_json::json!([]), "what it made is taken back");
    let valid = program(["validate", "report", text(&file("report.json"))]);
    assert_eq!(valid.code, 0, "{}{}", valid.stdout, valid.stderr);
    for format in &FORMATS {
        let report = fs::read_to_string(file(&format!("report.{}", format.name))).unwrap();
        assert!(report.contains("the run was interrupted"), "{}", format.name);
    }
}

#[test]
fn a_run_that_is_interrupted_takes_back_what_it_made_and_reports_what_it_judged() {
    interrupted("INT");
}

#[test]
fn a_run_that_is_terminated_does_the_same() {
    interrupted("TERM");
}

#[test]
fn a_run_that_is_interrupted_twice_ends_at_once() {
    let serving = Serving::start();
    let (sender, receiver) = std::sync::mpsc::channel();
    // Creates whatever it is told to, and lets everybody wait who wants to see it or to take it back.
    let address = listen(move |mut stream| {
        let Some(request) = Request::read(&stream) else { return };
        let json = "Content-Type: application/json\r\n";
        match (request.is_first_look(), request.method.as_str()) {
            (true, _) => drop(answer(&mut stream, 200, json, "[]")),
            (_, "PUT") => drop(answer(&mut stream, 201, json, "{}")),
            _ => {
                let _ = sender.send(());
                std::thread::sleep(Duration::from_mins(2));
            }
        }
    });
    serving.change(|target| target["baseUrl"] = format!("http://{address}").into());
    let limit = ["--exchange-limit", "100", "--case-limit", "100"];
    let target = serving.target();
    let arguments = ["run", "--target", text(&target), "conditional"];
    let mut command = command(arguments.iter().chain(&limit));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    receiver.recv().unwrap();
    signal(&child, "INT");
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("stopping: deleting the sessions this run created") {
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended instead: {line}");
    }
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "",
        "nothing is waited for, so nothing is told"
    );
}
