//! What cases need of a target: worked out from what they say, and never sent where it cannot be filled in.

use std::sync::Arc;

use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::case::{Body, Step, needs};
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::replay::verdict::Verdict;
use mpsd_conformance::replay::{Options, Replay, Selected};
use mpsd_conformance::run::embedded;
use mpsd_conformance::target::token::Token;
use mpsd_conformance::target::{Identity, Target};
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
    let needs = needs::of(suite.world(), case, variant, case.scripts().of(variant).unwrap());
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
    assert!(
        told.contains("`handles` is listed, although every variant visibly needs it"),
        "{told}"
    );
    assert!(!told.contains("`large` is listed"), "{told}");
}

/// A case in the suite's own world, put to a target with these identities and templates: the bodies and speakers of its
/// requests, or what is missing.
fn fitted(mut case: Value, identities: &[&str], templates: &[&str]) -> Result<Vec<(String, Value)>, String> {
    case["title"] = "It is so.".into();
    case["clauses"] = json!(["PROTO-001"]);
    let world = Files::embedded().get("cases/world.json").unwrap().to_owned();
    let files = Files::from_texts(files_around(&[("only".to_owned(), case.to_string())]));
    let files = files.with([("cases/world.json".to_owned(), world)]);
    let suite = Suite::load(files).unwrap_or_else(|broken| panic!("{}", broken.render(false)));
    let mut target = Target::at("http://x");
    for name in identities {
        let identity = Identity {
            xuid: Some("1".to_owned()),
            gamertag: None,
            title: "1".to_owned(),
            device: None,
            token: Token::fixed(""),
        };
        target.identities.insert((*name).to_owned(), identity);
    }
    let names = templates.iter().map(|name| ((*name).to_owned(), (*name).to_owned()));
    target.templates.extend(names);
    let case = suite.cases().first().unwrap();
    let variant = case.variants.first().unwrap();
    let scripts = case.scripts();
    let fit = target.fit(suite.world(), case, variant, scripts.of(variant).unwrap());
    let script = fit.map_err(|missing| missing.to_string())?.into_owned();
    let requests = script.steps().flat_map(Step::requests);
    let said = requests.map(|request| match &request.body {
        Body::Json(body) => (request.speaker.clone(), body.clone()),
        _ => (request.speaker.clone(), Value::Null),
    });
    Ok(said.collect())
}

fn make(speaker: &str, body: &Value, status: &Value) -> Value {
    json!({ "as": speaker, "put": "{session}", "body": body, "expect": { "status": status } })
}

#[test]
fn who_is_alike_takes_the_part_of_who_is_not_there() {
    let reserved =
        json!({ "members": { "me": {}, "reserve_0": { "constants": { "system": { "xuid": "{dave.xuid}" } } } } });
    let case = json!({ "template": "bare", "steps": [make("carol", &reserved, &json!(201))] });
    let other =
        json!({ "members": { "me": {}, "reserve_0": { "constants": { "system": { "xuid": "{bob.xuid}" } } } } });
    let played = fitted(case.clone(), &["alice", "bob"], &["bare"]).unwrap();
    let (speaker, body) = played.first().unwrap();
    assert_eq!(speaker, "alice");
    assert_eq!(*body, other, "and nobody takes two parts");
    assert_eq!(
        fitted(case.clone(), &["carol", "dave"], &["bare"]).unwrap()[0],
        ("carol".to_owned(), reserved)
    );
    assert_eq!(fitted(case, &["bob"], &["bare"]).unwrap_err(), "the identity `carol`");
    // Alice follows Fay: nobody else can, and nobody is Fay.
    let both = json!({ "template": "bare", "steps": [make("alice", &json!({}), &json!(201)), make("fay", &json!({}), &json!(200))] });
    assert_eq!(
        fitted(both.clone(), &["bob", "fay"], &["bare"]).unwrap_err(),
        "the identity `alice`"
    );
    assert_eq!(
        fitted(both, &["alice", "bob"], &["bare"]).unwrap_err(),
        "the identity `fay`"
    );
    let friends = json!({ "properties": { "system": { "joinRestriction": "followed" } } });
    let apart = json!({ "template": "bare", "steps": [make("carol", &friends, &json!(201)), make("fay", &json!({}), &json!(200))] });
    assert!(
        fitted(apart, &["bob", "fay"], &["bare"]).is_ok(),
        "carol and bob are nothing to fay"
    );
}

#[test]
fn a_creator_says_what_a_template_would_where_that_is_the_same() {
    let small = json!({ "maxMembersCount": 2, "visibility": "open", "inactiveRemovalTimeout": 3_600_000, "reservedRemovalTimeout": 3_600_000 });
    let join = || json!({ "members": { "me": {} } });
    let of = |steps: Value| json!({ "template": "small", "steps": steps });
    let made = |case: Value| fitted(case, &["alice", "bob"], &["bare"]);
    let bodies = |case: Value| {
        made(case)
            .unwrap()
            .into_iter()
            .map(|(_, body)| body)
            .collect::<Vec<_>>()
    };
    let with_small = json!({ "members": { "me": {} }, "constants": { "system": small } });
    let twice = of(json!([
        make("alice", &join(), &json!(201)),
        make("bob", &join(), &json!(200))
    ]));
    assert_eq!(
        bodies(twice),
        [with_small.clone(), join()],
        "who joins says nothing of it"
    );
    let again = of(json!([
        make("alice", &join(), &json!(201)),
        { "as": "alice", "delete": "{session}/members/me", "expect": { "status": 204 } },
        make("bob", &join(), &json!(201)),
    ]));
    assert_eq!(bodies(again), [with_small.clone(), Value::Null, with_small.clone()]);
    let refused = of(json!([make("alice", &json!({ "members": 1 }), &json!(400))]));
    assert_eq!(
        bodies(refused),
        [json!({ "members": 1, "constants": { "system": small } })]
    );
    let missing = "the template `small`";
    let own = json!({ "members": { "me": {} }, "constants": { "system": { "maxMembersCount": 3 } } });
    let named = json!([{ "as": "alice", "get": "/x/{template}", "expect": { "status": 200 } }]);
    let at_once =
        json!([{ "as": ["alice", "bob"], "put": "{session}", "body": join(), "tally": { "201": 1, "200": 1 } }]);
    let unknown = json!([
        make("alice", &join(), &json!([201, "4xx"])),
        make("bob", &join(), &json!([200, 201]))
    ]);
    let in_words = json!([{ "as": "alice", "put": "{session}", "text": "{\"members\": {\"me\": {}}}", "expect": { "status": 201 } }]);
    let repeated = json!([
        { "name": "it", "as": "alice", "put": "{session}", "body": join(), "expect": { "status": 201 } },
        { "again": "it", "expect": { "status": 200 } },
    ]);
    for steps in [
        json!([make("alice", &own, &json!(409))]),
        named,
        at_once,
        unknown,
        in_words,
        repeated,
    ] {
        assert_eq!(made(of(steps.clone())).unwrap_err(), missing, "{steps}");
    }
    let mut pointed = of(json!([make("alice", &join(), &json!(201))]));
    pointed["templateIsThePoint"] = true.into();
    assert_eq!(made(pointed).unwrap_err(), missing);
    let old = json!({ "template": "small", "versions": [105], "steps": [make("alice", &join(), &json!(201))] });
    assert_eq!(made(old).unwrap_err(), missing);
    let pinned = json!({ "template": "fixed", "steps": [make("alice", &join(), &json!(201))] });
    assert_eq!(made(pinned).unwrap_err(), "the template `fixed`");
    let two = json!({ "template": "small", "sessions": { "other": { "template": "open" } },
        "steps": [make("alice", &join(), &json!(201)),
            { "as": "alice", "get": "/x/{other.template}/{uuid:a}", "expect": { "status": 200 } }] });
    assert!(made(two).is_err(), "two templates that become one are not told apart");
}
