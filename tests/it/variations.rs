//! Harmless variations: none is held against a service, and what means nothing changes no baseline.

use std::fs;

use serde_json::{Value, json};

use crate::program::{Serving, program, text};
use crate::small_suite::written;

/// A suite with one case, which expects something of the answer to a creation.
fn suite_that_expects(expect: &Value) -> tempfile::TempDir {
    let step = json!({ "as": "alice", "put": "{session}", "body": { "members": { "me": {} } }, "expect": expect });
    let case = json!({ "title": "It answers.", "clauses": ["PROTO-001"], "steps": [step] });
    written(&[("only".to_owned(), case.to_string())])
}

#[test]
fn a_variation_that_a_case_holds_against_the_service_is_struck() {
    let suite = suite_that_expects(&json!({ "status": 201, "headers": { "Server": { "$absent": true } } }));
    let path = suite.path().join("proof.json");
    let report = format!("json={}", path.display());
    let ended = program([
        "prove",
        "header-server",
        "--suite",
        text(suite.path()),
        "--report",
        &report,
    ]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    for part in [
        "FAILED header-server",
        "header Server",
        "0 of 1 harmless variations spared",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert_eq!(program(["validate", "proof", text(&path)]).code, 0);
    let proof: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(proof["variations"][0]["verdict"], "struck");
    assert_eq!(proof["summary"]["struck"], 1);
}

#[test]
fn only_the_variation_that_is_to_blame_is_struck() {
    let suite = suite_that_expects(&json!({ "status": 201, "headers": { "Server": { "$absent": true } } }));
    let ended = program([
        "prove",
        "header-server",
        "chunked-tiny",
        "fields-sorted",
        "--suite",
        text(suite.path()),
    ]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout.matches("FAILED").count(), 1, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("2 of 3 harmless variations spared"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_variation_that_changes_nothing_is_reported() {
    let suite = suite_that_expects(&json!({ "status": 201 }));
    let ended = program(["prove", "allow-turned", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("WITHOUT EFFECT allow-turned"), "{}", ended.stdout);
}

#[test]
fn faults_and_variations_are_listed_together() {
    let ended = program(["prove", "--list"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for id in ["created-is-200", "chunked-tiny", "X-02=not-found", "unknown-guid"] {
        assert!(ended.stdout.contains(id), "{id}");
    }
}

#[test]
fn an_unknown_variation_is_refused() {
    let ended = program(["serve", "--variation", "nicer"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(
        ended.stderr.contains("nicer") && ended.stderr.contains("prove --list"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_baseline_survives_what_means_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |serving: &Serving, mode: &str| {
        let (target, snapshots) = (serving.target(), folder.path().display().to_string());
        let arguments = [
            "run",
            "--target",
            text(&target),
            "--snapshots",
            mode,
            "--snapshot-dir",
            &snapshots,
            "merge",
            "roles",
        ];
        program(arguments)
    };
    let recorded = run(&Serving::start(), "record");
    assert_eq!(recorded.code, 0, "{}{}", recorded.stdout, recorded.stderr);
    let variations = [
        "fields-reversed",
        "unknown-object",
        "space-lines",
        "escapes-all",
        "numbers-fraction",
    ];
    let arguments: Vec<&str> = variations.iter().flat_map(|id| ["--variation", id]).collect();
    let varied = run(&Serving::start_with(&arguments), "check");
    assert_eq!(varied.code, 0, "{}{}", varied.stdout, varied.stderr);
}
