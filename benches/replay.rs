//! What replaying costs, beside a bare loop that sends the same requests and checks nothing.
//!
//! Both use the same client, the same server and 64 conversations at a time; the ratio of the two is what counts.

#![expect(clippy::expect_used, reason = "a bench that cannot start should say so and stop")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt as _;
use mpsd_conformance::cli::embedded;
use mpsd_conformance::replay::client::WireRequest;
use mpsd_conformance::replay::{Options, Replay, Selected};
use mpsd_conformance::suite::Suite;
use mpsd_conformance::suite::files::Files;
use mpsd_conformance::target::Target;
use tokio::runtime::Runtime;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CASES: usize = 1_000;
const AT_ONCE: usize = 64;

/// A suite of many cases of three requests each, with the real world, schemas and invariants.
fn suite() -> Suite {
    let embedded = Files::embedded();
    let mut files: Vec<(String, String)> = ["cases/world.json", "cases/invariants.json"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), embedded.get(name)?.to_owned())))
        .collect();
    files.extend(
        embedded
            .under("schemas/")
            .map(|(name, text)| (name.to_owned(), text.to_owned())),
    );
    let chapters = embedded.under("cases/").filter(|(name, _)| {
        name.ends_with("/clauses.json") || name.ends_with("/templates.json") || *name == "cases/ledger.json"
    });
    files.extend(chapters.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let custom = (0..40).fold(String::new(), |mut custom, index| {
        let _ = write!(custom, "\"key{index}\": \"a value of some length\", ");
        custom
    });
    for index in 0..CASES {
        let case = format!(
            r#"{{ "title": "A case of three requests.", "clauses": ["SES-CREATE-001"], "steps": [
                {{ "as": "alice", "put": "{{session}}", "body": {{ "properties": {{ "custom": {{ {custom} "n": {index} }} }}, "members": {{ "me": {{}} }} }}, "expect": {{ "status": 201 }} }},
                {{ "as": "bob", "put": "{{session}}", "body": {{ "members": {{ "me": {{}} }} }}, "expect": {{ "status": 200, "body": {{ "membersInfo": {{ "count": 2 }} }} }} }},
                {{ "as": "alice", "get": "{{session}}", "expect": {{ "status": 200, "at": {{ "/properties/custom/n": {index} }} }} }} ] }}"#
        );
        files.push((format!("cases/bench/case-{index}.json"), case));
    }
    Suite::load(Files::from_texts(files)).expect("the bench's suite is sound")
}

/// The requests that one case makes, without any of the checks.
fn requests(target: &Target, index: usize) -> [WireRequest; 3] {
    let name = uuid::Uuid::new_v4();
    let path = format!("/serviceconfigs/{}/sessiontemplates/open/sessions/{name}", target.scid);
    let custom: String = (0..40).fold(String::new(), |mut custom, index| {
        let _ = write!(custom, "\"key{index}\":\"a value of some length\",");
        custom
    });
    let request = |method: &str, speaker: &str, body: Option<String>| {
        let token = target
            .identities
            .get(speaker)
            .map(|identity| identity.token.reveal().to_string());
        let mut headers = vec![
            ("X-Xbl-Contract-Version".to_owned(), "107".to_owned()),
            ("Authorization".to_owned(), token.unwrap_or_default()),
        ];
        if body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        WireRequest {
            method: method.to_owned(),
            path: path.clone(),
            headers,
            body: body.map(Into::into),
        }
    };
    let create = format!(r#"{{"properties":{{"custom":{{{custom}"n":{index}}}}},"members":{{"me":{{}}}}}}"#);
    [
        request("PUT", "alice", Some(create)),
        request("PUT", "bob", Some(r#"{"members":{"me":{}}}"#.to_owned())),
        request("GET", "alice", None),
    ]
}

fn replay(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let suite = Arc::new(suite());
    let (target, _server) = runtime
        .block_on(embedded::start(suite.world()))
        .expect("the reference starts");
    let target = Arc::new(target);
    let replay = Replay::new(
        Arc::clone(&suite),
        Arc::clone(&target),
        Options {
            jobs: AT_ONCE,
            ..Options::default()
        },
    );
    let replay = Arc::new(replay.expect("a client can be made"));
    let mut group = criterion.benchmark_group("1,000 conversations of 3 requests");
    group.throughput(Throughput::Elements(CASES as u64 * 3));
    group.sample_size(10);
    group.bench_function("bare loop", |bench| {
        bench.to_async(&runtime).iter(|| async {
            let client = replay.client();
            futures_util::stream::iter(0..CASES)
                .for_each_concurrent(AT_ONCE, |index| {
                    let requests = requests(&target, index);
                    let client = client.clone();
                    async move {
                        let conversation = tokio::spawn(async move {
                            for request in requests {
                                black_box(client.send(&request).await.expect("the reference answers"));
                            }
                        });
                        conversation.await.expect("the conversation ends");
                    }
                })
                .await;
        });
    });
    group.bench_function("replay", |bench| {
        bench.to_async(&runtime).iter(|| async {
            let selection = (0..CASES).map(|case| Selected { case, variant: 0 }).collect();
            let mut outcomes = replay.replay_all(selection, |_| {});
            while let Some(outcome) = outcomes.recv().await {
                assert!(outcome.findings.is_empty(), "{outcome:?}");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
