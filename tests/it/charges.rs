//! A finding counts against the clauses of its expectation, and weighs what they weigh.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, hosted, program, text};
use crate::small_suite::written;

/// A suite of one case, in which Alice creates a session; PROTO-001 is a MUST, PROTO-005 a SHOULD.
fn suite(clauses: &[&str], expectations: &Value) -> TempDir {
    let mut step = json!({ "as": "alice", "put": "{session}", "body": { "members": { "me": { "properties": { "system": { "active": true } } } } } });
    for (key, value) in expectations.as_object().unwrap() {
        step[key] = value.clone();
    }
    let case = json!({ "title": "It is so.", "clauses": clauses, "steps": [step] });
    let suite = written(&[("only".to_owned(), case.to_string())]);
    let clause = |id: &str, level: &str| json!({ "id": id, "level": level, "evidence": "live", "statement": format!("It {} hold.", level.to_lowercase()), "sources": ["trial"] });
    let clauses = json!({ "title": "Bad", "about": "Mistakes.", "clauses": [clause("PROTO-001", "MUST"), clause("PROTO-005", "SHOULD")] });
    fs::write(suite.path().join("cases/bad/clauses.json"), clauses.to_string()).unwrap();
    suite
}

/// Runs the suite against a service that is not the embedded reference, where a warning is no failure.
fn run(root: &Path, more: &[&str]) -> Ended {
    let target = hosted(root);
    let arguments = ["run", "--suite", text(root), "--target", text(&target)];
    program([&arguments, more].concat())
}

#[test]
fn what_a_lighter_clause_says_of_the_same_response_is_a_warning() {
    let also = json!([{ "clauses": ["PROTO-005"], "at": { "/membersInfo/count": 2 } }]);
    let suite = suite(&["PROTO-001"], &json!({ "expect": { "status": 201 }, "also": also }));
    let ended = run(suite.path(), &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = run(suite.path(), &["--strict"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("PROTO-005"), "{ended:?}");
}

#[test]
fn what_the_case_is_about_fails_beside_a_lighter_clause() {
    let also = json!([{ "clauses": ["PROTO-005"], "at": { "/membersInfo/count": 1 } }]);
    let suite = suite(&["PROTO-001"], &json!({ "expect": { "status": 200 }, "also": also }));
    let ended = run(suite.path(), &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
}

#[test]
fn a_warning_fails_a_run_against_the_embedded_reference_and_the_run_says_why() {
    let also = json!([{ "clauses": ["PROTO-005"], "at": { "/membersInfo/count": 2 } }]);
    let suite = suite(&["PROTO-001"], &json!({ "expect": { "status": 201 }, "also": also }));
    let ended = program(["run", "--suite", text(suite.path()), "--snapshots", "off"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("every failed assertion fails"), "{ended:?}");
}
