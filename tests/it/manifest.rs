//! What was recorded of a suite holds it: it may ask for more at any time, and for less only when that is recorded.

use std::fs;
use std::path::Path;

use mpsd_conformance::contract::lint;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, program, text};
use crate::small_suite::written;
use crate::wrong_service::SUITE;

/// A case in which Alice creates a session, and reads it.
fn case(clause: &str, expected: &Value) -> String {
    let create = json!({ "as": "alice", "put": "{session}", "body": { "members": { "me": { "properties": { "system": { "active": true } } } } }, "setup": true,
        "expect": { "status": 201 } });
    let read = json!({ "as": "alice", "get": "{session}", "expect": expected });
    json!({ "title": "It is so.", "clauses": [clause], "steps": [create, read] }).to_string()
}

fn asking() -> Value {
    json!({ "status": 200, "body": { "members": { "0": { "constants": { "system": { "index": 0 } } } }, "servers": {} } })
}

/// A suite that is sound, and recorded.
fn recorded_suite() -> TempDir {
    let cases = [("one", "PROTO-001"), ("two", "PROTO-005")];
    let suite = written(&cases.map(|(name, clause)| (name.to_owned(), case(clause, &asking()))));
    let recorded = program(["run", "--suite", text(suite.path()), "--snapshots", "record"]);
    assert_eq!(recorded.code, 0, "{recorded:?}");
    let checked = check(suite.path());
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}");
    suite
}

fn check(root: &Path) -> Ended {
    program(["check", "--suite", text(root)])
}

fn assert_unsound(ended: &Ended, told: &str) {
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains(told), "`{told}` is missing: {ended:?}");
    assert!(ended.stderr.contains("snapshots/manifest.json"), "{ended:?}");
}

#[test]
fn the_suite_is_sound() {
    let problems = lint::check(&SUITE);
    let told = problems
        .iter()
        .map(|problem| problem.render(SUITE.files().get(&problem.file), false));
    assert!(problems.is_empty(), "{}", told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_case_that_is_gone_is_missed() {
    let suite = recorded_suite();
    for file in ["cases/bad/two.json", "snapshots/bad/two.snap"] {
        fs::remove_file(suite.path().join(file)).unwrap();
    }
    assert_unsound(&check(suite.path()), "`bad/two` is recorded but no longer in the suite");
    let ended = program(["run", "--suite", text(suite.path())]);
    assert_unsound(&ended, "bad/two: 0 of 2 exchanges");
}

#[test]
fn an_expectation_that_lost_a_part_is_missed() {
    let suite = recorded_suite();
    let weaker = [
        json!({ "status": 200 }),
        json!({ "status": 200, "body": { "members": { "0": { "constants": { "system": {} } } }, "servers": {} } }),
        json!({ "status": [200, 203], "body": asking()["body"] }),
    ];
    for expected in weaker {
        fs::write(suite.path().join("cases/bad/two.json"), case("PROTO-005", &expected)).unwrap();
        assert_unsound(&check(suite.path()), "`bad/two` is weaker than recorded");
    }
}

#[test]
fn what_is_new_or_stronger_is_welcome_and_told() {
    let suite = recorded_suite();
    let stronger = json!({ "status": 200, "body": asking()["body"], "content": "json" });
    fs::write(suite.path().join("cases/bad/two.json"), case("PROTO-005", &stronger)).unwrap();
    let ended = check(suite.path());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.contains("1 case is new or asserts more than recorded"),
        "{ended:?}"
    );
}

#[test]
fn less_is_recorded_when_it_is_meant() {
    let suite = recorded_suite();
    fs::write(
        suite.path().join("cases/bad/two.json"),
        case("PROTO-005", &json!({ "status": 200 })),
    )
    .unwrap();
    let recorded = program(["run", "--suite", text(suite.path()), "--snapshots", "record"]);
    assert_eq!(recorded.code, 0, "{recorded:?}");
    assert_eq!(check(suite.path()).code, 0);
}

#[test]
fn a_run_that_does_less_than_was_recorded_fails() {
    let suite = recorded_suite();
    let path = suite.path().join("snapshots/manifest.json");
    let recorded = fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&recorded).unwrap();
    assert_eq!(manifest["cases"]["bad/one"]["exchanges"], 2);
    manifest["cases"]["bad/one"]["exchanges"] = 3.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let ended = program(["run", "--suite", text(suite.path()), "bad/one"]);
    assert_unsound(&ended, "bad/one: 2 of 3 exchanges");
    let other = program(["run", "--suite", text(suite.path()), "bad/two"]);
    assert_eq!(other.code, 0, "{other:?}");
}

#[test]
fn a_suite_without_its_manifest_is_not_sound() {
    let suite = recorded_suite();
    fs::remove_file(suite.path().join("snapshots/manifest.json")).unwrap();
    assert_unsound(&check(suite.path()), "the manifest of the suite is missing");
}
