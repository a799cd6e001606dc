//! What cases need of a target: worked out from what they say, and never sent where it cannot be filled in.

use std::sync::Arc;

use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::case::needs;
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::replay::verdict::Verdict;
use mpsd_conformance::replay::{Options, Replay, Selected};
use mpsd_conformance::run::embedded;
use serde_json::{Value, json};

use crate::program::program;
use crate::small_suite::{files_around, written};

/// A suite of one case with one row, in the small world.
fn suite(case: &Value) -> Suite {
    let files = files_around(&[("only".to_owned(), case.to_string())]);
    Suite::load(Files::from_texts(files)).unwrap_or_else(|broken| panic!("{}", broken.render(false)))
}

/// What the first variant of a case needs, in words.
fn needs_of(mut case: Value) -> Vec<String> {
    case["title"] = "It is so.".into();
    case["clauses"] = json!(["PROTO-001"]);
    let suite = suite(&case);
    let case = suite.cases().first().unwrap();
    let variant = case.variants.first().unwrap();
    let needs = needs::of(suite.world(), case, variant, case.scripts().of(variant));
    needs.iter().map(ToString::to_string).collect()
}

/// A case with one step.
fn step(step: &Value) -> Value {
    json!({ "steps": [step] })
}

#[test]
fn whoever_and_whatever_a_case_uses_it_needs() {
    let read = |path: &str, expect: Value| step(&json!({ "as": "nobody", "get": path, "expect": expect }));
    let ok = || json!({ "status": 200 });
    let open = "the template `open`";
    let bob = ["the identity `bob`", "`xuid` of the identity `bob`"];
    assert_eq!(needs_of(read("/x", ok())), [""; 0], "what is not used is not needed");
    assert_eq!(needs_of(read("{session}", ok())), [open]);
    assert_eq!(needs_of(read("/{templates.closed}", ok())), ["the template `closed`"]);
    assert_eq!(needs_of(read("/{bob.xuid|upper}", ok())), bob);
    assert_eq!(
        needs_of(read("/x", json!({ "status": 200, "body": { "{bob.xuidNumber}": 1 } }))),
        bob
    );
    let reading = json!({ "entry": "X-01", "oneOf": { "not-found": { "at": { "/a": "{bob.xuid}" } }, "no-content": { "status": 204 } } });
    assert_eq!(needs_of(read("/x", json!({ "reading": reading }))), bob);
    let write = |body: Value| step(&json!({ "as": "bob", "put": "/x", "body": body, "expect": ok() }));
    assert_eq!(
        needs_of(write(json!({ "a": "{me.gamertag}" }))),
        ["the identity `bob`", "`gamertag` of the identity `bob`"]
    );
    let header = json!({ "as": "nobody", "get": "/x", "headers": { "X-A": "{bob.xuid}" }, "expect": ok() });
    assert_eq!(needs_of(step(&header)), bob);
    let mut named = read("/{a}", ok());
    named["let"] = json!({ "a": "{b}", "b": "{bob.xuid}", "c": "{alice.xuid}" });
    assert_eq!(needs_of(named), bob, "and of named values those that are used");
    let mut unchanged = step(&json!({ "as": "nobody", "put": "/x", "expect": { "status": 400, "unchanged": true } }));
    unchanged["observer"] = "bob".into();
    assert_eq!(needs_of(unchanged), [open, bob[0]]);
    let row = json!({ "table": { "columns": ["row", "who"], "rows": [["one", "bob"]] },
        "steps": [{ "as": "{who}", "get": "/x", "expect": { "status": 200 } }] });
    assert_eq!(needs_of(row), [bob[0]]);
}

#[test]
fn features_are_needed_where_the_world_says_that_they_show() {
    let with_body =
        |body: Value| step(&json!({ "as": "nobody", "put": "/x", "body": body, "expect": { "status": 200 } }));
    let of = |case: Value| {
        let needs = needs_of(case);
        let features = needs.into_iter().filter(|need| need.starts_with("the feature"));
        features.collect::<Vec<_>>()
    };
    let large = ["the feature `large`"];
    assert_eq!(of(with_body(json!({ "constants": { "large": false } }))), large);
    assert_eq!(of(with_body(json!({ "properties": { "large": true } }))), [""; 0]);
    let text =
        json!({ "as": "nobody", "put": "/x", "text": "{\"constants\": {\"large\": 1}}", "expect": { "status": 200 } });
    assert_eq!(of(step(&text)), large);
    let mut named = with_body(json!({ "constants": "{c}" }));
    named["let"] = json!({ "c": { "large": true } });
    assert_eq!(of(named), large);
    let of_template = step(&json!({ "as": "nobody", "get": "/{templates.large}", "expect": { "status": 200 } }));
    assert_eq!(of(of_template), large);
    let get = |path: &str| step(&json!({ "as": "nobody", "get": path, "expect": { "status": 200 } }));
    assert_eq!(of(get("/Handles/a?b")), ["the feature `handles`"]);
    let old = json!({ "as": "nobody", "get": "/x", "headers": { "x-xbl-contract-version": "105" }, "expect": { "status": 200 } });
    assert_eq!(of(step(&old)), ["the feature `old`"]);
    let late = json!({ "as": "nobody", "get": "/x", "after": 5, "expect": { "status": 200 } });
    assert_eq!(of(step(&late)), ["the feature `clock`"]);
    let both = json!({ "as": ["alice", "bob"], "get": "/x", "expect": { "status": 200 } });
    assert_eq!(of(step(&both)), ["the feature `friends`"]);
    let mut declared = get("/x");
    declared["needs"] = json!(["handles"]);
    assert_eq!(of(declared), ["the feature `handles`"]);
}

#[tokio::test]
async fn what_has_no_value_is_never_sent() {
    let unfilled = json!({ "as": "alice", "put": "{session}", "body": { "properties": { "custom": { "a": "{later}" } } },
        "expect": { "status": [200, 400] } });
    let first = json!({ "as": "alice", "put": "{session}", "body": { "members": { "me": {} } },
        "expect": { "status": 201 }, "each": { "200": { "status": 200, "capture": { "later": "header ETag" } } } });
    let case = json!({ "title": "It is so.", "clauses": ["PROTO-001"], "steps": [first, unfilled] });
    let suite = Arc::new(suite(&case));
    let (target, server) = embedded::start(suite.world()).await.unwrap();
    let replay = Replay::new(suite, Arc::new(target), Options::default()).unwrap();
    let outcome = replay.replay(Selected { case: 0, variant: 0 }).await.unwrap();
    assert_eq!(outcome.verdict, Verdict::SuiteFault, "{:?}", outcome.findings);
    assert_eq!(outcome.reason.as_deref(), Some("`{later}` has no value"));
    assert_eq!(outcome.exchange_count, 1, "the second request is not sent");
    server.stop().await;
}

#[test]
fn a_need_that_the_requests_show_is_reported_by_check() {
    let case = json!({ "title": "It is so.", "clauses": ["PROTO-001"], "needs": ["handles", "large"],
        "steps": [{ "as": "alice", "get": "/handles/x", "expect": { "status": 404 } }] });
    let root = written(&[("only".to_owned(), case.to_string())]);
    let folder = root.path().to_string_lossy().into_owned();
    let checked = program(["check", "--suite", &folder]);
    let told = checked.stdout + &checked.stderr;
    assert!(told.contains("`handles` is listed, and every variant shows"), "{told}");
    assert!(!told.contains("`large` is listed"), "{told}");
}
