//! Proof: what becomes of faults, and what failures look like.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mpsd_conformance::reference::fault;
use mpsd_conformance::suite::clause::Level;
use mpsd_conformance::suite::signature::Signatures;
use serde_json::{Value, json};

use crate::program::{program, text};
use crate::small_suite::written;
use crate::wrong_service::SUITE;

fn proof(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A suite with one case, about PROTO-001: a creation is answered with a status.
fn suite_that_expects(status: &Value) -> tempfile::TempDir {
    let step = json!({ "as": "alice", "put": "{session}", "body": { "members": { "me": {} } }, "expect": { "status": status } });
    let case = json!({ "title": "It answers.", "clauses": ["PROTO-001"], "steps": [step] });
    written(&[("only".to_owned(), case.to_string())])
}

#[test]
fn a_fault_is_caught_by_a_case_of_a_clause_that_it_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proof.json");
    let report = format!("json={}", path.display());
    let ended = program(["prove", "created-is-200", "HDR-010", "--report", &report]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(program(["validate", "proof", text(&path)]).code, 0);
    let proof = proof(&path);
    let faults = proof["faults"].as_array().unwrap();
    assert!(faults.len() > 3);
    for fault in faults {
        assert_eq!(fault["verdict"], "caught", "{fault}");
        let clauses = fault["clauses"].as_array().unwrap();
        let caught = fault["caughtBy"].as_array().unwrap();
        assert!(!caught.is_empty());
        assert!(caught.iter().all(|catch| clauses.contains(&catch["clause"])), "{fault}");
    }
}

#[test]
fn a_fault_that_no_case_notices_has_survived() {
    let suite = suite_that_expects(&json!([200, 201]));
    let ended = program(["prove", "created-is-200", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("SURVIVED created-is-200"), "{}", ended.stdout);
}

#[test]
fn a_fault_that_fails_a_case_of_another_clause_is_caught_for_the_wrong_reason() {
    let suite = suite_that_expects(&json!(201));
    let ended = program(["prove", "created-is-200", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains("CAUGHT FOR THE WRONG REASON created-is-200"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_case_that_fails_without_a_fault_proves_nothing() {
    let suite = suite_that_expects(&json!(418));
    let ended = program(["prove", "created-is-200", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("prove nothing"), "{}", ended.stderr);
}

#[test]
fn a_selector_that_chooses_no_fault_is_told() {
    assert_eq!(program(["prove", "no-such-fault"]).code, 3);
    let ended = program(["prove", "created-is-200", "no-such-fault"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("no-such-fault"), "{}", ended.stderr);
}

#[test]
fn every_fault_is_listed_with_what_is_wrong() {
    let ended = program(["prove", "--list"]);
    assert_eq!(ended.code, 0);
    for fault in fault::all() {
        assert!(ended.stdout.contains(&fault.text), "{}", fault.id);
    }
    assert!(fault::all().len() >= 250);
}

#[test]
fn every_clause_that_a_fault_breaks_is_one_of_the_suite() {
    for fault in fault::all() {
        for clause in &fault.clauses {
            assert!(SUITE.clause(clause).is_some(), "{} breaks {clause}", fault.id);
        }
    }
}

#[test]
fn every_must_clause_has_a_fault_or_a_reason_for_none() {
    let signatures = Signatures::read(SUITE.files()).unwrap().unwrap();
    let known = |id: &str| SUITE.clause(id).map(|clause| clause.id.as_str());
    let faults = fault::all();
    let broken: BTreeSet<&str> = faults
        .iter()
        .flat_map(|fault| fault.clauses.iter().filter_map(|id| known(id)))
        .collect();
    let all = SUITE.clauses().iter();
    for clause in all.filter(|clause| clause.level == Level::Must && clause.untestable.is_none()) {
        let id = clause.id.as_str();
        let has_reason = signatures.unproven.get(id).is_some_and(|reason| !reason.is_empty());
        assert!(broken.contains(id) || has_reason, "{id}");
    }
}
