//! Proof: what becomes of faults, and what failures look like.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use mpsd_conformance::contract::clause::Level;
use mpsd_conformance::contract::signature::Signatures;
use mpsd_conformance::replay::Options;
use mpsd_conformance::report::{Report, Run};
use mpsd_conformance::run::runner::{Conversations, Runner};
use mpsd_conformance::run::{embedded, selection};
use mpsd_reference::faults;
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
    for fault in faults::all() {
        assert!(ended.stdout.contains(&fault.text), "{}", fault.id);
    }
    assert!(faults::all().len() >= 250);
}

#[test]
fn every_clause_that_a_fault_breaks_is_one_of_the_suite() {
    for fault in faults::all() {
        for clause in &fault.clauses {
            assert!(SUITE.clause(clause).is_some(), "{} breaks {clause}", fault.id);
        }
    }
}

#[test]
fn every_must_clause_has_a_fault_or_a_reason_for_none() {
    let signatures = Signatures::read(SUITE.files()).unwrap().unwrap();
    let known = |id: &str| SUITE.clause(id).map(|clause| clause.id.as_str());
    let faults = faults::all();
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

#[test]
fn a_must_clause_that_no_recorded_fault_breaks_needs_a_reason() {
    let suite = suite_that_expects(&json!(201));
    let recorded = json!({ "cases": [], "faults": [], "unproven": { "PROTO-005": "It cannot be seeded." } });
    fs::create_dir(suite.path().join("snapshots")).unwrap();
    fs::write(suite.path().join("snapshots/faults.json"), recorded.to_string()).unwrap();
    let ended = program(["check", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("no fault breaks `PROTO-001`"), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("no fault breaks `PROTO-005`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_recorded_faults_are_those_that_there_are() {
    let signatures = Signatures::read(SUITE.files()).unwrap().unwrap();
    let recorded: BTreeSet<&str> = signatures.faults.iter().map(|fault| fault.id.as_str()).collect();
    let faults = faults::all();
    let known: BTreeSet<&str> = faults.iter().map(|fault| fault.id).collect();
    let differing: Vec<_> = recorded.symmetric_difference(&known).collect();
    assert!(differing.is_empty(), "`prove --record --suite .` records {differing:?}");
}

/// Replays the cases by which faults are told apart against a service with a fault; the fault that it looks like.
async fn diagnosed(fault: &str) -> Vec<String> {
    let suite = &*SUITE;
    let signatures = Signatures::read(suite.files()).unwrap().unwrap();
    let change = |config: &mut mpsd_reference::Config| config.faults.push(fault.to_owned());
    let (target, server) = embedded::start_with(suite.world(), change).await.unwrap();
    let runner = Runner::against(Arc::clone(suite), Arc::new(target), Options::default()).unwrap();
    let mut selection = selection::all(suite);
    // Some of them will do; a member whose frames are kept back costs seconds.
    selection.retain(|selected| {
        let id = &suite.cases()[selected.case].variants[selected.variant].id;
        signatures.cases.contains(id) && !id.starts_with("realtime/")
    });
    let done = runner.run(&selection, &Conversations::Forget, |_| {}).await.unwrap();
    drop(server);
    let report = Report::of(Run::new(suite, runner.target(), done.outcomes));
    report.suspects.into_iter().map(|suspect| suspect.fault).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_name_the_fault_that_they_come_from() {
    for fault in [
        "etag-is-missing",
        "SES-MERGE-001",
        "if-match-is-ignored",
        "count-is-one-more",
        "QRY-005",
    ] {
        let suspects = diagnosed(fault).await;
        // Faults that nothing tells apart are named side by side.
        assert!(suspects.iter().any(|suspect| suspect == fault), "{fault}: {suspects:?}");
    }
}
