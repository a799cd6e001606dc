//! Wrong cases: one that expects of the reference what it does not do is noticed, whatever the level of its clauses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::clause::Weight;
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::replay::Options;
use mpsd_conformance::replay::verdict::Verdict;
use mpsd_conformance::run::runner::{Conversations, Runner};
use mpsd_conformance::run::selection;
use serde_json::{Map, Value, json};

use crate::wrong_service::SUITE;

/// The case files that would not fail another service: none of their clauses is one that a service has to keep.
fn lesser_cases() -> BTreeSet<&'static str> {
    let is_lesser = |id: &String| SUITE.clause(id).unwrap().weight() < Weight::Failure;
    let cases = SUITE.cases().iter().filter(|case| !case.is_draft());
    cases
        .filter(|case| {
            case.variants
                .iter()
                .all(|variant| variant.clauses.iter().all(is_lesser))
        })
        .map(|case| case.id.as_str())
        .collect()
}

/// Replaces the last expected status of a case by one that no service sends; false where it expects none.
fn falsify_status(case: &mut Value) -> bool {
    let steps = case["steps"].as_array_mut().unwrap();
    steps.iter_mut().rev().any(|step| {
        let step = step.as_object_mut().unwrap();
        let mut is_falsified = step.get_mut("expect").is_some_and(replace_status);
        if let Some(tally) = step.get_mut("tally").and_then(Value::as_object_mut) {
            *tally = tally.values().map(|count| ("299".to_owned(), count.clone())).collect();
            is_falsified = true;
        }
        is_falsified
    })
}

/// Replaces the status of an expectation, and of all its readings.
fn replace_status(expectation: &mut Value) -> bool {
    let mut is_replaced = expectation.get_mut("status").is_some_and(|status| {
        *status = json!(299);
        true
    });
    let readings = expectation.pointer_mut("/reading/oneOf").and_then(Value::as_object_mut);
    for reading in readings.into_iter().flat_map(Map::values_mut) {
        is_replaced |= replace_status(reading);
    }
    is_replaced
}

/// Replaces the last expected body of an answer by one that no service sends; false where no step expects one.
fn falsify_body(case: &mut Value) -> bool {
    let is_answer = |step: &&mut Value| ["frame", "open"].iter().all(|kind| step.get(kind).is_none());
    let mut steps = case["steps"].as_array_mut().unwrap().iter_mut().rev().filter(is_answer);
    steps.any(|step| {
        let body = step.pointer_mut("/expect/body");
        body.map(|body| *body = json!({ "noServiceSendsThis": 1 })).is_some()
    })
}

/// Replaces every header that the last step with any expects; false where no step does.
fn falsify_headers(case: &mut Value) -> bool {
    let mut steps = case["steps"].as_array_mut().unwrap().iter_mut().rev();
    steps.any(|step| {
        let headers = step.pointer_mut("/expect/headers").and_then(Value::as_object_mut);
        headers
            .map(|headers| {
                headers
                    .values_mut()
                    .for_each(|value| *value = json!("no service sends this"));
            })
            .is_some()
    })
}

/// Falsifies each of the cases that it can, and replays them all; how many there were.
///
/// Panics if one of them passes.
async fn assert_noticed(falsify: impl Fn(&mut Value) -> bool) -> usize {
    let embedded = Files::embedded();
    let all: BTreeSet<String> = embedded.case_ids().map(|id| format!("cases/{id}.json")).collect();
    let mut texts: Vec<(String, String)> = ["cases/", "schemas/"]
        .into_iter()
        .flat_map(|folder| embedded.under(folder))
        .filter(|(name, _)| !all.contains(*name))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    let falsified = lesser_cases().into_iter().filter_map(|id| {
        let name = format!("cases/{id}.json");
        let mut case: Value = serde_json::from_str(embedded.get(&name)?).unwrap();
        falsify(&mut case).then(|| (name, case.to_string()))
    });
    texts.extend(falsified);
    let suite = Suite::load(Files::from_texts(texts)).unwrap_or_else(|broken| panic!("{}", broken.render(false)));
    let options = Options {
        // What a falsified step waits for never comes.
        frame_limit: Duration::from_millis(200),
        // A busy machine is no verdict.
        exchange_limit: Duration::from_mins(2),
        case_limit: Duration::from_mins(5),
        ..Options::default()
    };
    let runner = Runner::embedded(Arc::new(suite), options).await.unwrap();
    let done = runner
        .run(&selection::all(runner.suite()), &Conversations::Forget, |_| {})
        .await
        .unwrap();
    let unnoticed = done.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Fail);
    let unnoticed: Vec<String> = unnoticed
        .map(|outcome| format!("{}: {}", outcome.id, outcome.verdict.name()))
        .collect();
    assert!(unnoticed.is_empty(), "not noticed:\n{}", unnoticed.join("\n"));
    runner.suite().cases().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_status_of_a_lesser_clause_fails_against_the_reference() {
    let count = assert_noticed(falsify_status).await;
    let all = lesser_cases().len();
    assert!(count > 300 && count == all, "{count} of {all} cases expect a status");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_body_of_a_lesser_clause_fails_against_the_reference() {
    let count = assert_noticed(falsify_body).await;
    assert!(count > 100, "only {count} cases expect a body");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_header_of_a_lesser_clause_fails_against_the_reference() {
    let count = assert_noticed(falsify_headers).await;
    assert!(count > 0, "no case expects a header");
}
