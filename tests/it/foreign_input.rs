//! What strangers send is refused or taken, and never a reason to end: case files, target files and other files of users,
//! filters, requests, connections and frames, all altered at random and the same in every run.
//!
//! `MPSD_FUZZ=100 cargo test --release --test it foreign_input` tries a hundred times as many.

use std::panic;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use mpsd_conformance::contract::case::{Body, Script, Step};
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::contract::json::problem::Problem;
use mpsd_conformance::contract::{Suite, lint, plain};
use mpsd_conformance::replay::Options;
use mpsd_conformance::report;
use mpsd_conformance::run::runner::Runner;
use mpsd_conformance::run::{embedded, selection};
use mpsd_conformance::target::{deviations, file};
use mpsd_conformance::traffic::{draft, har};
use mpsd_reference::search::Filter;
use mpsd_reference::{Clock, Config, Server, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::mutation::{alter_bytes, alter_document, alter_json, alter_text};
use crate::service::Dice;
use crate::wrong_service::SUITE;

/// How many are tried, of so many in a short run.
fn many(short: usize) -> usize {
    let times = std::env::var("MPSD_FUZZ").ok().and_then(|times| times.parse().ok());
    short * times.unwrap_or(1)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Where tasks panicked that nobody waits for.
static PANICS: LazyLock<Arc<Mutex<Vec<String>>>> = LazyLock::new(|| {
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, hook) = (Arc::clone(&panics), panic::take_hook());
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // Tests end by panicking too.
        if !place.starts_with("tests/") {
            seen.lock().unwrap().push(place);
        }
        hook(panic);
    }));
    panics
});

/// The cases of the suite, as JSON.
static CASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let files = Files::embedded();
    let texts = files.case_ids().filter_map(|id| files.get(&format!("cases/{id}.json")));
    texts.map(|text| serde_json::from_str(text).unwrap()).collect()
});

/// Asserts that problems can be shown to their person, with their file.
#[track_caller]
fn assert_told(problems: &[Problem], text: Option<&str>, input: &str) {
    assert!(!problems.is_empty(), "refused without a word: {input}");
    for problem in problems {
        let told = problem.render(text, false);
        assert!(
            !problem.message.is_empty() && told.contains(&plain::Plain(&problem.file).to_string()),
            "{told}"
        );
        let steering = |c: char| c != '\n' && plain::is_steering(c);
        assert!(!told.contains(steering), "{told:?}");
    }
}

#[test]
fn altered_cases_are_refused_with_a_place_or_replayed() {
    const BATCH: usize = 100;
    let mut dice = Dice::new(1);
    let runtime = runtime();
    let without_cases: Vec<(String, String)> = {
        let files = Files::embedded().with_only("");
        let own = files.under("cases/").chain(files.under("schemas/"));
        own.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    };
    let suite_of = |cases: &[(String, String)]| {
        let files = without_cases.iter().chain(cases).cloned();
        Suite::load(Files::from_texts(files))
    };
    for _ in 0..many(3) {
        let altered = |number| {
            let case = dice.pick(&CASES).clone();
            (
                format!("cases/body/altered-{number}.json"),
                alter_document(&mut dice, &case, &CASES),
            )
        };
        let mut cases: Vec<(String, String)> = (0..BATCH).map(altered).collect();
        if let Err(broken) = suite_of(&cases) {
            for (name, text) in &cases {
                let problems: Vec<Problem> = broken
                    .problems
                    .iter()
                    .filter(|problem| problem.file == *name)
                    .cloned()
                    .collect();
                if !problems.is_empty() {
                    assert_told(&problems, Some(text), text);
                }
            }
            cases.retain(|(name, _)| broken.problems.iter().all(|problem| problem.file != *name));
        }
        if cases.is_empty() {
            continue;
        }
        let suite = suite_of(&cases).unwrap_or_else(|broken| panic!("{}", broken.render(false)));
        lint::check(&suite);
        runtime.block_on(replay_all(suite, &cases));
    }
}

/// Replays all cases; whatever the verdicts, the reference keeps standing and each case has one.
async fn replay_all(suite: Suite, cases: &[(String, String)]) {
    let suite = Arc::new(suite);
    let (target, server) = embedded::start(suite.world()).await.unwrap();
    let options = Options {
        exchange_limit: Duration::from_secs(5),
        case_limit: Duration::from_secs(10),
        ..Options::default()
    };
    let runner = Runner::against(Arc::clone(&suite), Arc::new(target), options).unwrap();
    let selection = selection::all(&suite);
    let count = selection.len();
    let mut receiver = runner.replay_all(&selection, |_| {});
    let mut done = 0;
    while let Some(outcome) = receiver.recv().await {
        done += 1;
        for exchange in &outcome.exchanges {
            let text = || cases.iter().find(|(name, _)| name.contains(&outcome.case));
            assert!(exchange.response.status < 500, "{:?}\n{:?}", exchange, text());
        }
    }
    assert_eq!(done, count, "some case ended without a verdict");
    server.stop().await;
}

#[test]
fn altered_files_of_users_are_refused_with_a_place_or_taken() {
    let identity =
        json!({ "xuid": "1", "gamertag": "A", "device": "d", "title": "1", "token": { "env": "NOBODY_SETS_THIS" } });
    let target = json!({
        "$schema": "x", "about": "y", "name": "mine", "baseUrl": "http://127.0.0.1:1", "scid": "s",
        "templates": { "open": "theirs" },
        "identities": { "alice": identity, "bob": { "title": "1", "token": { "file": "nowhere.json", "key": "bob" } } },
        "lacks": ["search"], "clock": { "advanceHeader": "X" }, "limits": { "inFlight": 4 },
    });
    let deviations = json!({ "deviations": [
        { "case": "a/b*", "clause": "SES-COND-002", "assertion": "status", "observed": "200", "reason": "known", "expires": "2030-01-01" },
        { "clause": "SES-COND-003", "reason": "known" },
    ] });
    let config = json!({
        "listen": "127.0.0.1:0", "serviceConfigs": { "11111111-1111-1111-1111-111111111111": { "titles": ["1"], "templates": {
            "t": { "contractVersion": 107, "constants": { "system": { "version": 1, "maxMembersCount": 8 } } } } } },
        "principals": { "alice": { "xuid": "1", "title": "1" }, "backend": { "kind": "server", "title": "1" } },
        "social": { "follows": { "alice": ["1"] }, "blocks": {} }, "rules": { "X-02": "not-found" },
        "limits": { "bodyBytes": 1024 }, "rateLimits": "off", "clockControl": true,
    });
    let files = [target, deviations, config];
    let mut dice = Dice::new(2);
    for _ in 0..many(2_000) {
        let file = dice.pick(&files);
        let text = alter_document(&mut dice, file, &files);
        // A command would be carried out.
        assert!(!text.contains("command"));
        if let Err(problems) = file::read("target.json", &text, Path::new("/nowhere")) {
            assert_told(&problems, Some(&text), &text);
        }
        if let Err(problems) = deviations::read("known.json", &text) {
            assert_told(&problems, Some(&text), &text);
        }
        if let Err(error) = Config::parse(&text) {
            assert!(!error.to_string().is_empty(), "{text}");
        }
        assert!(report::json::read(&text).is_err());
    }
}

/// A capture of one conversation, as a browser would export it.
fn capture() -> Value {
    let url =
        "https://sessions.example/serviceconfigs/11111111-1111-1111-1111-111111111111/sessiontemplates/open/sessions/a";
    let document = json!({ "contractVersion": 107, "branch": "5ba1e2a0-68a2-4d5b-9d3a-1b2c3d4e5f60", "changeNumber": 1,
        "members": { "0": { "constants": { "system": { "xuid": "2814610000000001", "index": 0 } } } } });
    let header = |name: &str, value: &str| json!({ "name": name, "value": value });
    let entry = |method: &str, time: &str, body: Option<&str>, status: u16| {
        let mut request = json!({ "method": method, "url": url, "httpVersion": "HTTP/1.1", "cookies": [], "queryString": [],
            "headers": [header("Authorization", "XBL3.0 x=1;a-token-of-some-length"), header("X-Xbl-Contract-Version", "107")] });
        if let Some(text) = body {
            request["postData"] = json!({ "mimeType": "application/json", "text": text });
        }
        json!({ "startedDateTime": time, "time": 12, "request": request, "cache": {}, "timings": {},
            "response": { "status": status, "statusText": "", "headers": [header("ETag", "\"1\""), header("Content-Type", "application/json")],
                "cookies": [], "content": { "size": 1, "mimeType": "application/json", "text": document.to_string() } } })
    };
    let entries = [
        entry("PUT", "2026-01-01T00:00:00.000Z", Some(r#"{"members":{"me":{}}}"#), 201),
        entry("GET", "2026-01-01T00:00:01Z", None, 200),
        entry("PUT", "2026-01-01T00:00:02Z", Some(r#"{"members":{"me":null}}"#), 200),
    ];
    json!({ "log": { "version": "1.2", "creator": { "name": "browser", "version": "1" }, "entries": entries } })
}

#[test]
fn altered_captures_are_refused_with_a_place_or_drafted() {
    let capture = capture();
    let options = draft::Options {
        name: "seen",
        is_one: false,
        target: None,
        advance_header: "X-Advance",
    };
    let whole = har::read(capture.to_string().as_bytes(), SUITE.schemas(), &|_| None).unwrap();
    assert_eq!(draft::draft(&SUITE, whole.passed, &options).0.len(), 1);
    let mut dice = Dice::new(3);
    for _ in 0..many(8) {
        let text = alter_document(&mut dice, &capture, std::slice::from_ref(&capture));
        match har::read(text.as_bytes(), SUITE.schemas(), &|_| None) {
            Ok(capture) => {
                for draft in draft::draft(&SUITE, capture.passed, &options).0 {
                    assert!(!draft.case.to_string().contains("a-token-of-some-length"), "{text}");
                }
            }
            Err(error) => {
                let (line, column) = error.line_column();
                assert!(line > 0 && column > 0 && !error.advice.is_empty(), "{error}: {text}");
            }
        }
    }
}

#[test]
fn altered_filters_are_refused_with_a_place_or_taken() {
    let mut filters = Vec::new();
    for case in CASES.iter() {
        collect(case, &mut |key, value| {
            if key == "filter"
                && let Some(text) = value.as_str()
            {
                filters.push(text.to_owned());
            }
        });
    }
    assert!(filters.len() > 20, "{}", filters.len());
    let mut dice = Dice::new(3);
    for _ in 0..many(5_000) {
        let filter = dice.pick(&filters);
        let mut text = alter_text(&mut dice, filter);
        if dice.roll(20) == 0 {
            text = format!("{}{text}{}", "(".repeat(dice.roll(5_000)), ")".repeat(dice.roll(5_000)));
        }
        if let Err(error) = Filter::parse(&text) {
            assert!(text.is_char_boundary(error.position), "{error}: {text:?}");
        }
    }
}

fn collect(value: &Value, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(members) => {
            for (key, value) in members {
                found(key, value);
                collect(value, found);
            }
        }
        _ => {}
    }
}

/// A request as a case writes it, with variables filled in.
struct Sample {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Value>,
}

/// Every seventh request of the cases, all about one session.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let scripts = SUITE.cases().iter().map(|case| (case, case.scripts()));
    let scripts: Vec<_> = scripts.collect();
    let variants = scripts
        .iter()
        .flat_map(|(case, scripts)| scripts.with(case).map(|(_, script)| script));
    let steps = variants.flat_map(Script::steps);
    let sample = |request: &mpsd_conformance::contract::case::Request| Sample {
        method: request.method.clone(),
        path: request.sample_path(),
        headers: request
            .headers
            .iter()
            .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())))
            .collect(),
        body: match &request.body {
            Body::Json(body) => Some(body.clone()),
            _ => None,
        },
    };
    steps.flat_map(Step::requests).step_by(7).map(sample).collect()
});

/// The reference, a token for each of its callers, and the paths that it knows.
struct Stage {
    config: Config,
    tokens: Vec<String>,
    scid: String,
}

impl Stage {
    fn new() -> Self {
        let config = embedded::config(SUITE.world(), true).unwrap();
        let tokens = config.tokens().into_values().collect();
        let scid = config.service_configs.keys().next().unwrap().clone();
        Self { config, tokens, scid }
    }

    /// A request, altered in its path, its headers or its body.
    fn altered(&self, dice: &mut Dice) -> Sample {
        let sample = dice.pick(&SAMPLES);
        let session = format!("/sessions/n{}", dice.roll(20));
        let mut path = sample.path.replace("/sessions/n", &session);
        if !path.contains("/serviceconfigs/x/") || dice.roll(4) > 0 {
            let service_config = format!("/serviceconfigs/{}/", self.scid);
            path = path
                .replace("/serviceconfigs/s/", &service_config)
                .replace("/serviceconfigs/x/", &service_config);
            path = path.replace("/sessiontemplates/t", "/sessiontemplates/open");
            path = path.replace("/sessiontemplates/x", "/sessiontemplates/small");
        }
        let mut headers = sample.headers.clone();
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        headers.push(("Authorization".to_owned(), dice.pick(&self.tokens).clone()));
        headers.push((
            "X-Xbl-Contract-Version".to_owned(),
            (*dice.pick(&["107", "107", "105", "104"])).to_owned(),
        ));
        match dice.roll(6) {
            0 => path = alter_text(dice, &path),
            1 => {
                let index = dice.roll(headers.len());
                headers[index].1 = alter_text(dice, &headers[index].1);
            }
            2 => {
                let name = dice.pick(&[
                    "If-Match",
                    "If-None-Match",
                    "Content-Type",
                    "X-Mpsd-Advance-Ms",
                    "Accept",
                    "Range",
                ]);
                let value = *dice.pick(&[
                    "*",
                    "\"1\"",
                    "W/\"a\", \"b\"",
                    "application/json",
                    "18446744073709551615",
                ]);
                let value = alter_text(dice, value);
                headers.push(((*name).to_owned(), value));
            }
            _ => {}
        }
        Sample {
            method: sample.method.clone(),
            path,
            headers,
            body: sample.body.clone(),
        }
    }

    fn body(dice: &mut Dice, sample: &Sample) -> Vec<u8> {
        let bodies: Vec<Value> = (0..3).filter_map(|_| dice.pick(&SAMPLES).body.clone()).collect();
        let Some(body) = &sample.body else { return Vec::new() };
        match dice.roll(8) {
            0 => {
                let mut bytes = body.to_string().into_bytes();
                alter_bytes(dice, &mut bytes);
                bytes
            }
            1 => body.to_string().into_bytes(),
            _ => alter_json(dice, body, &bodies).to_string().into_bytes(),
        }
    }
}

#[test]
fn no_request_makes_the_service_fail() {
    let stage = Stage::new();
    let service = Service::new(&stage.config, Clock::system()).unwrap();
    let mut dice = Dice::new(4);
    let mut answered = std::collections::BTreeMap::<u16, usize>::new();
    runtime().block_on(async {
        for _ in 0..many(4_000) {
            let sample = stage.altered(&mut dice);
            let body = Stage::body(&mut dice, &sample);
            let mut request = Request::builder()
                .method(sample.method.as_str())
                .uri(sample.path.as_str());
            for (name, value) in &sample.headers {
                request = request.header(name, value);
            }
            // What is no request at all does not get as far.
            let Ok(request) = request.body(Full::new(Bytes::from(body.clone()))) else {
                continue;
            };
            let (parts, answer) = service.answer(request).await.into_parts();
            let answer = answer.collect().await.unwrap().to_bytes();
            let told = || {
                format!(
                    "{} {} {:?}\n{}",
                    sample.method,
                    sample.path,
                    sample.headers,
                    String::from_utf8_lossy(&body)
                )
            };
            assert!(parts.status.as_u16() < 500, "{}: {}", parts.status, told());
            *answered.entry(parts.status.as_u16()).or_default() += 1;
            let kind = parts
                .headers
                .get("content-type")
                .and_then(|kind| kind.to_str().ok())
                .unwrap_or_default();
            if kind.contains("json") {
                assert!(
                    serde_json::from_slice::<Value>(&answer).is_ok(),
                    "an answer that is no JSON: {}",
                    told()
                );
            }
        }
    });
    // The altered ones are not all refused at the door.
    for status in [200, 201, 204, 400, 403, 404, 412] {
        assert!(answered.contains_key(&status), "{answered:?}");
    }
}

/// The bytes of a request on an HTTP/1.1 connection.
fn on_the_wire(sample: &Sample, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\nhost: a\r\n", sample.method, sample.path).into_bytes();
    for (name, value) in &sample.headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

/// Sends bytes, and says that no more will come; everything that was answered.
async fn converse(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        // Whoever has heard enough hangs up.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    let both = async { tokio::join!(write, reader.read_to_end(&mut answer)) };
    let ended = tokio::time::timeout(Duration::from_mins(1), both).await;
    assert!(ended.is_ok(), "left hanging: {:?}", String::from_utf8_lossy(bytes));
    answer
}

fn assert_standing(answer: &[u8], sent: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    assert!(
        !text.contains("HTTP/1.1 5"),
        "{text}\nto {:?}",
        String::from_utf8_lossy(sent)
    );
}

#[test]
fn no_bytes_on_a_connection_make_the_server_fail() {
    LazyLock::force(&PANICS);
    let stage = Stage::new();
    let mut dice = Dice::new(5);
    runtime().block_on(async {
        let server = Server::start(&stage.config, Clock::system(), "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let mut refused = 0;
        for _ in 0..many(600) {
            let mut bytes = Vec::new();
            for _ in 0..=dice.roll(3) {
                let sample = stage.altered(&mut dice);
                let body = Stage::body(&mut dice, &sample);
                bytes.extend(on_the_wire(&sample, &body));
            }
            if dice.roll(10) == 0 {
                bytes.splice(
                    0..0,
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".iter().copied(),
                );
            }
            for _ in 0..dice.roll(4) {
                alter_bytes(&mut dice, &mut bytes);
            }
            let answer = converse(server.address(), &bytes).await;
            refused += usize::from(answer.starts_with(b"HTTP/1.1 4"));
            assert_standing(&answer, &bytes);
        }
        assert!(refused > 0, "nothing was refused");
        server.stop().await;
        assert_eq!(*PANICS.lock().unwrap(), Vec::<String>::new());
    });
}

/// A masked frame of a client.
fn frame(dice: &mut Dice, head: u8, payload: &[u8]) -> Vec<u8> {
    let length = match dice.roll(20) {
        0 => payload.len() + dice.roll(1_000_000),
        _ => payload.len(),
    };
    let mut bytes = vec![head];
    match length {
        0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        126..65_536 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [7, 1, 2, 3];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[test]
fn no_frames_on_a_socket_make_the_server_fail() {
    LazyLock::force(&PANICS);
    let stage = Stage::new();
    let messages: Vec<Value> = vec![
        json!([1, 1, "https://sessiondirectory.xboxlive.com/connections/"]),
        json!([2, 1, 1]),
        json!([
            1,
            2,
            format!("https://sessiondirectory.xboxlive.com/connections/?scid={}", stage.scid)
        ]),
        json!([3, 1]),
        json!([4, 4_294_967_295_u64]),
    ];
    let mut dice = Dice::new(6);
    let tokens = stage.config.tokens();
    runtime().block_on(async {
        let server = Server::start(&stage.config, Clock::system(), "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let mut opened = 0;
        for _ in 0..many(400) {
            let head = format!(
                "GET /connect HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 sec-websocket-protocol: rta.xboxlive.com.V2\r\n\r\n",
                tokens["alice"]
            );
            let mut bytes = Vec::new();
            for _ in 0..=dice.roll(6) {
                let message = dice.pick(&messages).clone();
                let payload = alter_document(&mut dice, &message, &messages);
                let kind = *dice.pick(&[0x81, 0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a, 0xf1]);
                bytes.extend(frame(&mut dice, kind, payload.as_bytes()));
            }
            for _ in 0..dice.roll(3) {
                alter_bytes(&mut dice, &mut bytes);
            }
            bytes.splice(0..0, head.bytes());
            let answer = converse(server.address(), &bytes).await;
            opened += usize::from(answer.starts_with(b"HTTP/1.1 101"));
            assert_standing(&answer, &bytes);
        }
        // Of a connection that is cut off, what was answered may be lost.
        assert!(opened > many(300), "{opened} sockets opened");
        server.stop().await;
        assert_eq!(*PANICS.lock().unwrap(), Vec::<String>::new());
    });
}
