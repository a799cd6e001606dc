//! What replaying costs, beside a bare loop that sends the same requests and checks nothing.
//!
//! Both use the same client, the same server and 64 conversations at a time, and take turns; the ratio of the two is what
//! counts.

#![expect(clippy::expect_used, reason = "a bench that cannot start should say so and stop")]
#![expect(clippy::print_stdout, reason = "what it measures is what it is for")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::replay::Options;
use mpsd_conformance::run::runner::Runner;
use mpsd_conformance::run::{embedded, selection};
use mpsd_conformance::target::Target;
use mpsd_conformance::wire::client::Client;
use mpsd_conformance::wire::message::WireRequest;
use tokio::runtime::Runtime;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CASES: usize = 1_000;
const AT_ONCE: usize = 64;
const WARM_UP: usize = 2;
const ROUNDS: usize = 31;

/// A suite of many cases of three requests each, with the real world, schemas and invariants.
fn suite() -> Suite {
    let embedded = Files::embedded();
    let mut files: Vec<(String, String)> = ["cases/world.json", "cases/invariants.json", "cases/sources.json"]
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

/// Sends the requests of all cases, and looks at nothing.
async fn bare_loop(client: Client, target: Arc<Target>) {
    let next = Arc::new(AtomicUsize::new(0));
    let conversations = (0..AT_ONCE).map(|_| {
        let (client, target, next) = (client.clone(), Arc::clone(&target), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= CASES {
                    break;
                }
                for request in requests(&target, index) {
                    black_box(client.send(&request).await.expect("the reference answers"));
                }
            }
        })
    });
    for conversation in conversations.collect::<Vec<_>>() {
        conversation.await.expect("the conversation ends");
    }
}

/// Replays all cases, each of which passes.
async fn replay_all(runner: Arc<Runner>) {
    let mut outcomes = runner.replay_all(&selection::all(runner.suite()), |_| {});
    let mut count = 0;
    while let Some(outcome) = outcomes.recv().await {
        assert!(outcome.findings.is_empty(), "{outcome:?}");
        count += 1;
    }
    assert_eq!(count, CASES, "every case came to an end");
}

/// Lets a worker see to it: a thread that only waits would have to be woken again and again.
fn run(runtime: &Runtime, task: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(task)).expect("it comes to an end");
}

/// The middle of some times.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let runtime = Runtime::new().expect("a runtime starts");
    let suite = Arc::new(suite());
    let (target, _server) = runtime
        .block_on(embedded::start(suite.world()))
        .expect("the reference starts");
    let target = Arc::new(target);
    let options = Options {
        jobs: AT_ONCE,
        ..Options::default()
    };
    let runner = Runner::against(suite, Arc::clone(&target), options).expect("a client can be made");
    let runner = Arc::new(runner);
    // What else the machine does, and what the server keeps, weighs on both alike.
    let rounds = (0..WARM_UP + ROUNDS).map(|_| {
        let begin = Instant::now();
        run(
            &runtime,
            bare_loop(runner.replayer().transport().client().clone(), Arc::clone(&target)),
        );
        let middle = Instant::now();
        run(&runtime, replay_all(Arc::clone(&runner)));
        let (bare, replayed) = (middle - begin, middle.elapsed());
        (bare.as_secs_f64() * 1000.0, replayed.as_secs_f64() * 1000.0)
    });
    let rounds: Vec<(f64, f64)> = rounds.skip(WARM_UP).collect();
    println!("{CASES} conversations of 3 requests, {AT_ONCE} at a time, medians of {ROUNDS} rounds");
    println!(
        "bare loop  {:.1} ms",
        median(rounds.iter().map(|(bare, _)| *bare).collect())
    );
    println!(
        "replay     {:.1} ms",
        median(rounds.iter().map(|(_, replay)| *replay).collect())
    );
    println!(
        "ratio      {:.2}",
        median(rounds.iter().map(|(bare, replay)| replay / bare).collect())
    );
}
