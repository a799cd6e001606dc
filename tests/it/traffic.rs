//! Captured traffic: from a client through `watch` into a HAR, by `import` into drafts, and back to a service.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use base64::Engine as _;
use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::files::Files;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::network;
use crate::program::{Ended, Serving, command, peak, program, program_fed, program_weighed, text};

/// `watch` in a process of its own.
struct Watching {
    child: Child,
    address: SocketAddr,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Watching {
    fn start(arguments: &[&str]) -> Self {
        let mut command = command(["watch", "--listen", "127.0.0.1:0"]);
        let command = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.split("http://").last().unwrap().split(';').next().unwrap();
        let address = address.parse().unwrap_or_else(|_| panic!("no address in {line:?}"));
        Self { child, address, stderr }
    }

    /// Ends it as Ctrl-C does; exit code, output and errors.
    fn stop(mut self) -> (i32, String, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.stderr.read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code().unwrap(), out, err)
    }
}

/// A server that answers each connection with the same bytes, and hands on what it was sent.
fn echo(answer: &'static [u8]) -> (SocketAddr, std::sync::mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut got = Vec::new();
            let mut buffer = [0; 4096];
            while !is_whole(&got) {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => got.extend(&buffer[..count]),
                }
            }
            let _ = stream.write_all(answer);
            let _ = sender.send(got);
        }
    });
    (address, receiver)
}

/// Whether a request has come with its body.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    bytes.len() >= head.len() + 4 + length.unwrap_or(0)
}

/// What comes back for some bytes.
fn send(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn through(serving: &Serving, watching: &Watching) {
    serving.change(|target| target["baseUrl"] = format!("http://{}", watching.address).into());
}

fn har(entries: &Value) -> Value {
    json!({ "log": { "version": "1.2", "creator": { "name": "test", "version": "1" }, "entries": entries } })
}

fn pairs(headers: &[(&str, &str)]) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

/// An entry with a token, and an answer in JSON.
fn entry(method: &str, url: &str, token: &str, body: Option<&Value>, status: u16, answer: &Value) -> Value {
    let headers = [
        ("Authorization", token),
        ("X-Xbl-Contract-Version", "107"),
        ("Content-Type", "application/json"),
    ];
    let mut entry = json!({
        "request": { "method": method, "url": url, "headers": pairs(&headers) },
        "response": { "status": status, "headers": pairs(&[("Content-Type", "application/json"), ("ETag", "\"a\"")]),
            "content": { "text": answer.to_string() } },
    });
    if let Some(body) = body {
        entry["request"]["postData"] = json!({ "mimeType": "application/json", "text": body.to_string() });
    }
    entry
}

struct Imported {
    folder: TempDir,
    ended: Ended,
}

impl Imported {
    fn new(har: &[u8], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my Capture.har");
        fs::write(&path, har).unwrap();
        let out = folder.path().join("drafts");
        let mut all = vec!["import", text(&path), "--out", text(&out)];
        all.extend(arguments);
        let ended = program(all);
        Self { folder, ended }
    }

    fn drafts(&self) -> PathBuf {
        self.folder.path().join("drafts")
    }

    fn case(&self, name: &str) -> Value {
        read(&self.drafts().join(format!("{name}.json")))
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

const SESSION: &str = "https://sessiondirectory.xboxlive.com/serviceconfigs/8d050174-412b-4d51-a29b-d55a34edfdb7/\
                       sessiontemplates/LobbySession/sessions/2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55";
const TOKEN: &str = "XBL3.0 x=1234567890;c2VjcmV0LXRva2VuLW9mLWEtcGxheWVy";

/// A session as a service might show it.
fn session(change: u64, properties: &Value) -> Value {
    json!({
        "contractVersion": 107, "branch": "6f2c3a11-0d4e-4b8a-9c57-7e1d2f3a4b5c", "changeNumber": change,
        "correlationId": "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", "startTime": "2026-01-02T03:04:05.0060070Z",
        "nextTimer": "2026-01-02T03:04:06Z",
        "constants": { "system": { "version": 1, "visibility": "open" }, "custom": {} },
        "properties": { "system": { "turn": [] }, "custom": properties },
        "members": { "0": { "next": 1, "joinTime": "2026-01-02T03:04:05Z", "gamertag": "SomeBody12",
            "constants": { "system": { "xuid": "2535400000000001", "index": 0 }, "custom": {} },
            "properties": { "system": {}, "custom": {} } } },
        "membersInfo": { "first": 0, "next": 1, "count": 1, "accepted": 1, "active": 0 }, "servers": {},
    })
}

fn small() -> Vec<u8> {
    let join = json!({ "members": { "me": {} } });
    let map = json!({ "properties": { "custom": { "map": "mill" } } });
    let mut write = entry(
        "PUT",
        SESSION,
        TOKEN,
        Some(&map),
        200,
        &session(2, &json!({ "map": "mill" })),
    );
    write["request"]["headers"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "If-Match", "value": "\"a\"" }));
    let entries = json!([
        entry("PUT", SESSION, TOKEN, Some(&join), 201, &session(1, &json!({}))),
        write
    ]);
    har(&entries).to_string().into_bytes()
}

#[test]
fn what_passed_the_proxy_comes_back_as_drafts_that_pass() {
    let serving = Serving::start();
    let (file, original) = (serving.path("seen.har"), serving.path("original.json"));
    fs::copy(serving.target(), &original).unwrap();
    let watching = Watching::start(&["--target", text(&original), "--har", text(&file)]);
    through(&serving, &watching);
    let cases = [
        "conditional",
        "realtime/a-join-through-a-handle-may-subscribe",
        "addressing/session-names-match-in-any-case",
        "addressing/one-name-under-two-templates-is-two-sessions",
        "addressing/a-name-of-99-characters-is-accepted",
        "headers/names-match-in-any-case*",
        "large/a-broadcast-is-named-after-its-maker",
        "capabilities/a-broadcast-is-large*",
    ];
    let target = serving.target();
    let run = program(["run", "--target", text(&target)].iter().chain(&cases));
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let (code, out, err) = watching.stop();
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("clauses checked") && out.contains(", 0 failed"), "{out}");

    let written = fs::read_to_string(&file).unwrap();
    assert!(
        serving.tokens().iter().all(|token| !written.contains(token)),
        "a token is in the HAR"
    );

    let drafts = serving.path("drafts");
    let imported = program(["import", text(&file), "--out", text(&drafts)]);
    assert_eq!(imported.code, 0, "{}{}", imported.stdout, imported.stderr);
    let check = program(["check", "--drafts", text(&drafts)]);
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    let run = program(["run", "--drafts", text(&drafts), "drafts"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(fs::read_dir(&drafts).unwrap().count() > 20);
}

#[test]
fn one_draft_of_the_whole_capture_is_made_when_asked_for() {
    let imported = Imported::new(&small(), &["--one", "--name", "Evening at Home"]);
    assert_eq!(imported.ended.code, 0, "{}", imported.ended.stderr);
    assert_eq!(imported.case("evening-at-home")["steps"].as_array().unwrap().len(), 2);
}

#[test]
fn a_draft_names_what_belongs_to_one_run_and_hides_what_belongs_to_one_person() {
    let imported = Imported::new(&small(), &[]);
    let case = imported.case("my-capture");
    let step = &case["steps"][1];
    assert_eq!((&step["as"], &step["put"]), (&json!("alice"), &json!("{session}")));
    assert_eq!(case["steps"][0]["expect"]["capture"], json!({ "etag": "header ETag" }));
    assert_eq!(step["headers"], json!({ "If-Match": "{etag}" }));
    assert_eq!(step["expect"]["status"], 200);
    assert_eq!(
        step["expect"]["body"]["properties"],
        json!({ "custom": { "map": "mill" } })
    );
    assert_eq!(case["clauses"], json!(["SES-CREATE-001", "PROTO-001"]));
    let written = case.to_string();
    for own in [
        "2535400000000001",
        "SomeBody12",
        "c2VjcmV0",
        "8d050174",
        "2d4e01a5",
        "6f2c3a11",
        "joinTime",
    ] {
        assert!(!written.contains(own), "{own} is in {written}");
    }
    let check = program(["check", "--drafts", text(&imported.drafts())]);
    assert_eq!(check.code, 0, "{}", check.stderr);
}

/// Two entries of one session that were under way at the same time, the first of which began first.
fn at_once(mut one: Value, mut other: Value) -> Value {
    let mut create = entry(
        "PUT",
        SESSION,
        TOKEN,
        Some(&json!({ "members": { "me": {} } })),
        201,
        &session(1, &json!({})),
    );
    let times = [
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T03:04:06.000Z",
        "2026-01-02T03:04:06.010Z",
    ];
    for (entry, time) in [&mut create, &mut one, &mut other].into_iter().zip(times) {
        entry["startedDateTime"] = time.into();
        entry["time"] = 50.into();
    }
    json!([create, one, other])
}

fn without_answer(method: &str, url: &str, status: u16) -> Value {
    let mut entry = entry(method, url, TOKEN, None, status, &json!({}));
    entry["response"]["content"] = json!({});
    entry["response"]["headers"] = json!([]);
    entry
}

#[test]
fn what_was_refused_at_the_same_time_came_after_what_was_not() {
    let me = format!("{SESSION}/members/me");
    let entries = at_once(without_answer("DELETE", &me, 404), without_answer("DELETE", &me, 204));
    let case = Imported::new(har(&entries).to_string().as_bytes(), &[]).case("my-capture");
    let statuses = [
        &case["steps"][1]["expect"]["status"],
        &case["steps"][2]["expect"]["status"],
    ];
    assert_eq!(statuses, [204, 404]);
}

#[test]
fn a_handle_that_is_listed_was_not_removed_yet() {
    const HANDLE: &str = "7e1d2f3a-0d4e-4b8a-9c57-6f2c3a114b5c";
    let reference = json!({ "scid": "8d050174-412b-4d51-a29b-d55a34edfdb7", "templateName": "LobbySession",
        "name": "2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55" });
    let root = "https://sessiondirectory.xboxlive.com/handles";
    let handle = json!({ "id": HANDLE, "version": 1, "type": "activity", "sessionRef": reference,
        "ownerXuid": "2535400000000001", "titleId": "1234567" });
    let query = json!({ "type": "activity", "scid": reference["scid"], "owners": { "xuids": ["2535400000000001"] } });
    let mut entries = at_once(
        without_answer("DELETE", &format!("{root}/{HANDLE}"), 204),
        entry(
            "POST",
            &format!("{root}/query"),
            TOKEN,
            Some(&query),
            200,
            &json!({ "results": [handle] }),
        ),
    );
    let post = json!({ "version": 1, "type": "activity", "sessionRef": reference });
    let mut made = entry("POST", root, TOKEN, Some(&post), 201, &handle);
    made["startedDateTime"] = "2026-01-02T03:04:05.500Z".into();
    entries.as_array_mut().unwrap().push(made);
    let case = Imported::new(har(&entries).to_string().as_bytes(), &[]).case("my-capture");
    assert_eq!(case["steps"][2]["post"], "/handles/query");
    assert_eq!(case["steps"][3]["delete"], "/handles/{handle}");
}

#[test]
fn a_session_that_is_named_after_somebody_keeps_its_name() {
    let url = SESSION.replace("2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55", "2535400000000001");
    let join = json!({ "members": { "me": {} } });
    let entries = json!([
        entry("PUT", &url, TOKEN, Some(&join), 201, &session(1, &json!({}))),
        entry("GET", &url, TOKEN, None, 200, &session(1, &json!({}))),
    ]);
    let case = Imported::new(har(&entries).to_string().as_bytes(), &[]).case("my-capture");
    assert_eq!(case["sessions"]["session1"]["name"], "{alice.xuid}");
    assert_eq!(
        (&case["steps"][0]["put"], &case["steps"][1]["get"]),
        (&json!("{session1}"), &json!("{session1}"))
    );
    assert_eq!(case["exclusive"], json!(["alice"]));
}

#[test]
fn a_name_that_is_spelt_in_many_ways_is_respelt_in_the_draft() {
    for (names, spelt, told) in [
        (
            [
                "Room-2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55",
                "rOOM-2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55",
            ],
            "Room-{uuid:name}",
            "rOOM-{uuid:name}",
        ),
        (["Quarry", "qUARRy"], "Quarry-{uuid:name}", "qUARRy-{uuid:name}"),
    ] {
        let url = |name: &str| SESSION.replace("2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55", name);
        let join = json!({ "members": { "me": {} } });
        let entries = json!([
            entry("PUT", &url(names[0]), TOKEN, Some(&join), 201, &session(1, &json!({}))),
            entry("GET", &url(names[1]), TOKEN, None, 200, &session(1, &json!({}))),
        ]);
        let imported = Imported::new(har(&entries).to_string().as_bytes(), &[]);
        let case = imported.case("my-capture");
        assert_eq!(case["sessions"]["session1"]["name"], spelt);
        assert_eq!(case["steps"][0]["put"], "{session1}");
        assert!(case["steps"][1]["get"].as_str().unwrap().ends_with(told), "{case}");
        let check = program(["check", "--drafts", text(&imported.drafts())]);
        assert_eq!(check.code, 0, "{}", check.stderr);
    }
}

#[test]
fn a_name_that_was_refused_stays_as_it_was() {
    let url = SESSION.replace("2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55", "a*b");
    let entries = json!([
        without_answer("GET", &url, 400),
        entry(
            "PUT",
            &url,
            TOKEN,
            Some(&json!({ "members": { "me": {} } })),
            400,
            &json!({})
        ),
    ]);
    let case = Imported::new(har(&entries).to_string().as_bytes(), &[]).case("my-capture");
    let path = case["steps"][0]["get"].as_str().unwrap();
    assert!(path.ends_with("/sessions/a*b"), "{path}");
}

#[test]
fn whatever_tools_leave_out_or_add_is_borne() {
    let mut bytes = vec![0xEF, 0xBB, 0xBF];
    let mut capture: Value = serde_json::from_slice(&small()).unwrap();
    let entries = capture["log"]["entries"].as_array_mut().unwrap();
    // HTTP/2 as browsers tell it, with a compressed body in base64.
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder
            .write_all(session(3, &json!({})).to_string().as_bytes())
            .unwrap();
        encoder.finish().unwrap()
    };
    let packed = base64::engine::general_purpose::STANDARD.encode(gzip);
    entries.push(json!({
        "comment": "x", "cache": null, "_initiator": { "type": "script" },
        "request": { "method": "GET", "url": SESSION, "httpVersion": "h2", "headers": pairs(&[(":authority", "sessiondirectory.xboxlive.com"),
            (":method", "GET"), ("authorization", TOKEN), ("x-xbl-contract-version", "107")]) },
        "response": { "status": 200.0, "headers": pairs(&[("content-encoding", "gzip"), ("content-type", "application/json")]),
            "content": { "text": packed, "encoding": "base64", "mimeType": "application/json" } },
    }));
    entries.push(json!({ "request": { "method": "CONNECT", "url": "sessiondirectory.xboxlive.com:443" }, "response": { "status": 200 } }));
    entries.push(json!({ "request": { "method": "GET", "url": "https://example.com/handles/1", "headers": [] }, "response": { "status": 200 } }));
    entries.push(json!({ "request": { "method": "GET", "url": SESSION, "headers": [] }, "response": { "status": 0 } }));
    entries.push(json!({ "request": { "method": "PUT", "url": SESSION, "headers": [], "bodySize": 5 }, "response": { "status": 200 } }));
    bytes.extend(capture.to_string().into_bytes());
    let imported = Imported::new(&bytes, &[]);
    let out = &imported.ended.stdout;
    assert_eq!(imported.ended.code, 0, "{out}{}", imported.ended.stderr);
    assert!(out.contains("3 of 7 entries are MPSD requests"), "{out}");
    for line in [
        "1 left out: a tunnel (CONNECT)",
        "1 left out: not an MPSD request",
        "1 left out: without a response",
        "1 left out: without a request body",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let case = imported.case("my-capture");
    assert_eq!(case["steps"][2]["expect"]["body"]["changeNumber"], 3);
}

/// The body of an answer, packed as it was on the wire.
fn packed(mut entry: Value, coding: &str, bytes: &[u8]) -> Value {
    entry["response"]["content"] = json!({ "text": base64::engine::general_purpose::STANDARD.encode(bytes),
        "encoding": "base64", "mimeType": "application/json" });
    let header = json!({ "name": "content-encoding", "value": coding });
    entry["response"]["headers"].as_array_mut().unwrap().push(header);
    entry
}

/// A zstd frame of one raw block.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    let block = (length << 3 | 1).to_le_bytes();
    let head = [0x28, 0xB5, 0x2F, 0xFD, 0xA0];
    [&head[..], &length.to_le_bytes(), &block[..3], bytes].concat()
}

#[test]
fn bodies_are_read_however_they_are_packed() {
    let answer = session(2, &json!({ "map": "mill" })).to_string();
    let get = || entry("GET", SESSION, TOKEN, None, 200, &json!({}));
    let chunks = format!("{:x}\r\n{answer}\r\n0\r\n\r\n", answer.len());
    let mut chunked = packed(get(), "", chunks.as_bytes());
    chunked["response"]["headers"][2] = json!({ "name": "Transfer-Encoding", "value": "chunked" });
    for get in [packed(get(), "zstd", &zstd(answer.as_bytes())), chunked] {
        let join = json!({ "members": { "me": {} } });
        let create = entry("PUT", SESSION, TOKEN, Some(&join), 201, &session(1, &json!({})));
        let imported = Imported::new(har(&json!([create, get])).to_string().as_bytes(), &[]);
        let told = &imported.case("my-capture")["steps"][1]["expect"];
        assert_eq!(
            told["body"]["properties"],
            json!({ "custom": { "map": "mill" } }),
            "{told}"
        );
        assert!(!imported.ended.stderr.contains("note:"), "{}", imported.ended.stderr);
    }
}

#[test]
fn what_was_not_on_the_wire_once_is_left_out() {
    let mut redirect = without_answer("GET", SESSION, 307);
    redirect["response"]["headers"] = pairs(&[("location", SESSION)]);
    let mut cached = entry("GET", SESSION, TOKEN, None, 200, &session(2, &json!({})));
    cached["_fromCache"] = "memory".into();
    let mut get = entry("GET", SESSION, TOKEN, None, 200, &session(1, &json!({})));
    get["startedDateTime"] = "2026-01-02T03:04:05.123+01:00".into();
    get["time"] = 7.5.into();
    let aborted = without_answer("GET", SESSION, 0);
    let entries = json!([redirect, cached, get, get, aborted]);
    let imported = Imported::new(har(&entries).to_string().as_bytes(), &[]);
    let out = &imported.ended.stdout;
    for line in [
        "1 of 5 entries are MPSD requests",
        "1 left out: a redirect",
        "1 left out: from the browser's cache",
        "1 left out: a duplicate",
        "1 left out: without a response",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
}

#[test]
fn a_proxy_that_does_not_know_when_something_was_and_counts_below_zero_is_understood() {
    let join = json!({ "members": { "me": {} } });
    let mut create = entry("PUT", SESSION, TOKEN, Some(&join), 201, &session(1, &json!({})));
    create["startedDateTime"] = "2026-01-02T03:04:05.1234567-06:00".into();
    create["connection"] = "ClientPort:57323;EgressPort:57325".into();
    create["comment"] = "[#12]".into();
    let mut read = entry("GET", SESSION, TOKEN, None, 200, &session(1, &json!({})));
    // It was reset before it knew: the time stands for none.
    read["startedDateTime"] = "0001-01-01T00:00:00.0000000-06:00".into();
    read["time"] = (-1).into();
    read["timings"] = json!({ "dns": -1, "connect": -1, "send": 0, "wait": 0, "receive": -63 });
    let mut omitted = entry("GET", SESSION, TOKEN, None, 200, &json!({}));
    omitted["startedDateTime"] = "2026-01-02T03:04:07.0000000-06:00".into();
    omitted["response"]["content"] = json!({ "size": 5_000_000, "mimeType": "application/json", "comment": "omitted" });
    let tunnel = json!({ "request": { "method": "CONNECT", "url": "http://sessiondirectory.xboxlive.com:443", "bodySize": 0 },
        "response": { "status": 200 } });
    let capture = har(&json!([tunnel, create, read, omitted])).to_string();
    let imported = Imported::new(&[b"\xEF\xBB\xBF", capture.as_bytes()].concat(), &[]);
    let out = &imported.ended.stdout;
    assert!(
        out.contains("3 of 4 entries") && out.contains("1 left out: a tunnel (CONNECT)"),
        "{out}"
    );
    assert!(out.contains("1 imported without a response body"), "{out}");
    let case = imported.case("my-capture");
    assert_eq!(
        (&case["steps"][0]["put"], &case["steps"][1]["get"]),
        (&json!("{session}"), &json!("{session}"))
    );
}

#[test]
fn bodies_in_files_beside_the_capture_are_read_and_none_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(
        folder.path().join("above.json"),
        r#"{ "properties": { "custom": { "stolen": true } } }"#,
    )
    .unwrap();
    fs::write(inner.join("sent.json"), r#"{ "members": { "me": {} } }"#).unwrap();
    fs::write(
        inner.join("answer.json"),
        session(1, &json!({ "map": "mill" })).to_string(),
    )
    .unwrap();
    let mut create = entry("PUT", SESSION, TOKEN, Some(&json!({})), 201, &json!({}));
    create["request"]["postData"] =
        json!({ "mimeType": "application/json", "text": "", "params": [], "_file": "sent.json" });
    create["request"]["bodySize"] = 27.into();
    create["response"]["content"] = json!({ "size": -1, "mimeType": "application/json", "_file": "answer.json" });
    let mut lost = create.clone();
    lost["request"]["postData"]["_file"] = "../above.json".into();
    fs::write(inner.join("har.har"), har(&json!([create, lost])).to_string()).unwrap();
    let drafts = folder.path().join("drafts");
    let ended = program(["import", text(&inner.join("har.har")), "--out", text(&drafts)]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.contains("1 left out: without a request body"),
        "{}",
        ended.stdout
    );
    let case = read(&drafts.join("har.json"));
    assert_eq!(case["steps"][0]["body"], json!({ "members": { "me": {} } }));
    assert_eq!(
        case["steps"][0]["expect"]["body"]["properties"]["custom"]["map"],
        "mill"
    );
}

/// A session whose member is connected by a socket that the browser opened, which shows no token there.
fn connected(url: &str, times: [f64; 2], took: f64) -> Value {
    const CONNECTION: &str = "0c1d2e3f-4a5b-4c6d-8e7f-90a1b2c3d4e5";
    let mut socket = json!({ "startedDateTime": "2026-01-02T03:04:05.000Z", "time": took, "_resourceType": "websocket",
        "request": { "method": "GET", "url": url, "headers": pairs(&[("Sec-WebSocket-Protocol", "rta.xboxlive.com.V2")]) },
        "response": { "status": 101, "headers": [], "content": { "size": -1, "mimeType": "x-unknown" } } });
    socket["_webSocketMessages"] = json!([
        { "type": "send", "time": times[0], "opcode": 1, "data": r#"[1,1,"https://sessiondirectory.xboxlive.com/connections/"]"# },
        { "type": "receive", "time": times[1], "opcode": 1, "data": format!(r#"[1,1,0,1,{{"ConnectionId":"{CONNECTION}"}}]"#) },
    ]);
    let join =
        json!({ "members": { "me": { "properties": { "system": { "active": true, "connection": CONNECTION } } } } });
    let mut create = entry("PUT", SESSION, TOKEN, Some(&join), 201, &session(1, &json!({})));
    create["startedDateTime"] = "2026-01-02T03:04:08.000Z".into();
    create["time"] = 10.into();
    har(&json!([create, socket]))
}

#[test]
fn a_socket_without_a_token_is_whose_session_names_it_and_ends_when_that_is_known() {
    let start = 1_767_323_045.0;
    let url = "wss://sessiondirectory.xboxlive.com/rta/connect";
    for (times, took) in [
        // In seconds, with the time of the handshake alone.
        ([start + 1.0, start + 1.5], 12.5),
        // In milliseconds.
        ([(start + 1.0) * 1000.0, (start + 1.5) * 1000.0], -1.0),
    ] {
        let imported = Imported::new(connected(url, times, took).to_string().as_bytes(), &[]);
        let case = imported.case("my-capture");
        let steps = case["steps"].as_array().unwrap();
        assert_eq!(steps[0]["open"], "alice", "{case}");
        assert_eq!((&steps[0]["path"], steps.len()), (&Value::Null, 3), "{case}");
        let connection = &steps[2]["body"]["members"]["me"]["properties"]["system"]["connection"];
        assert_eq!(connection, "{connection}");
        let run = program(["run", "--drafts", text(&imported.drafts()), "drafts"]);
        assert!(!run.stdout.contains("is not open"), "{}", run.stdout);
    }
    // With the time until it was closed.
    let imported = Imported::new(
        connected(url, [start + 1.0, start + 1.5], 2000.0)
            .to_string()
            .as_bytes(),
        &[],
    );
    assert_eq!(
        imported.case("my-capture")["steps"][2],
        json!({ "socket": "alice", "close": true })
    );
}

#[test]
fn a_word_means_a_template_or_a_session_only_where_one_is_named() {
    let url = SESSION
        .replace("LobbySession", "open")
        .replace("2d4e01a5-3b0c-4f65-9d07-6a8f3f1c7e55", "quarry");
    let sent = json!({ "constants": { "system": { "visibility": "open" } }, "members": { "me": {} },
        "properties": { "custom": { "map": "quarry" } } });
    let answer = session(1, &json!({ "map": "quarry" }));
    let nowhere = json!({ "version": 1, "type": "activity",
        "sessionRef": { "scid": "8d050174-412b-4d51-a29b-d55a34edfdb7", "templateName": "", "name": "quarry" } });
    let mut refused = entry(
        "POST",
        "https://sessiondirectory.xboxlive.com/handles",
        TOKEN,
        Some(&nowhere),
        400,
        &json!({}),
    );
    refused["response"]["content"] = json!({});
    let entries = json!([entry("PUT", &url, TOKEN, Some(&sent), 201, &answer), refused]);
    let imported = Imported::new(har(&entries).to_string().as_bytes(), &["--one"]);
    let case = imported.case("my-capture");
    assert_eq!(case["steps"][0]["put"], "{session}");
    assert_eq!(case["steps"][0]["body"], sent);
    assert_eq!(case["steps"][1]["post"], "/handles");
    assert_eq!(case["steps"][1]["body"]["sessionRef"]["templateName"], "");
    assert!(
        !imported.ended.stdout.contains("template ``"),
        "{}",
        imported.ended.stdout
    );
}

#[test]
fn a_draft_without_a_plain_clause_is_still_one_that_can_be_replayed() {
    let odd = without_answer("GET", &format!("{SESSION}/players"), 404);
    let imported = Imported::new(har(&json!([odd])).to_string().as_bytes(), &[]);
    assert!(
        imported
            .ended
            .stdout
            .contains("hint: the tested clause could not be derived"),
        "{}",
        imported.ended.stdout
    );
    let title = imported.case("my-capture")["title"].clone();
    assert_eq!(
        title,
        "Captured exchanges of alice: 1 request gets the recorded response."
    );
    let run = program(["run", "--drafts", text(&imported.drafts()), "drafts"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_faulty_capture_is_told_with_its_place_and_what_to_do() {
    let faulty = [
        (
            "{\n \"log\": {\"entries\": 7}}",
            [
                "invalid type: integer `7`, expected an array of entries",
                ":2:22\n  = at /log/entries\n",
            ],
            "HAR 1.2",
        ),
        ("{\"log\": {\"entries\": [", ["not JSON: EOF", ":1:21\n"], "truncated"),
        (
            "<html>",
            ["not JSON: expected value", ":1:1\n"],
            "export the capture as HAR",
        ),
        ("{}", ["missing field `log`", ":1:2\n"], "HAR 1.2"),
        ("[]", ["invalid type: sequence", ":1:1\n"], "HAR 1.2"),
    ];
    for (har, told, advice) in faulty {
        let imported = Imported::new(har.as_bytes(), &[]);
        let err = &imported.ended.stderr;
        assert_eq!(imported.ended.code, 2, "{har}: {err}");
        assert!(
            told.iter().all(|told| err.contains(told)) && err.contains(advice),
            "{har}: {err}"
        );
        assert!(!imported.drafts().exists());
    }
}

#[test]
fn a_fault_in_a_capture_does_not_show_the_secret_beside_it() {
    let har = json!({ "log": { "entries": [{ "request": { "method": "GET", "url": SESSION, "headers": TOKEN } }] } });
    let imported = Imported::new(har.to_string().as_bytes(), &[]);
    let (out, err) = (&imported.ended.stdout, &imported.ended.stderr);
    // The entry is left out, and there is no other.
    assert_eq!(imported.ended.code, 3, "{out}{err}");
    assert!(out.contains("1 left out: malformed"), "{out}");
    assert!(
        err.contains("/log/entries/0: left out: /request/headers: invalid type: a string, expected"),
        "{err}"
    );
    assert!(!format!("{out}{err}").contains("c2VjcmV0"), "{out}{err}");
}

#[test]
fn a_capture_of_something_else_makes_no_draft() {
    let other = entry("GET", "https://example.com/", "x", None, 200, &json!({}));
    let imported = Imported::new(har(&json!([other])).to_string().as_bytes(), &[]);
    assert_eq!(imported.ended.code, 3, "{}", imported.ended.stderr);
}

#[test]
fn a_draft_that_was_worked_on_is_not_written_over() {
    let imported = Imported::new(&small(), &[]);
    let path = imported.drafts().join("my-capture.json");
    fs::write(&path, "{}").unwrap();
    let source = imported.folder.path().join("my Capture.har");
    let again = program(["import", text(&source), "--out", text(&imported.drafts())]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
}

#[test]
fn a_capture_may_come_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let capture = String::from_utf8(small()).unwrap();
    let ended = program_fed(
        &["import", "-", "--name", "piped", "--out", text(folder.path())],
        &capture,
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(folder.path().join("piped.json").exists());
}

#[test]
fn nothing_that_passes_the_proxy_is_changed() {
    let (upstream, requests) = echo(
        b"HTTP/1.1 418 Odd\r\nX-Odd: a\r\nX-Odd: b\r\nconnection: close\r\nX-Bytes: \xE9\r\nContent-Length: 3\r\n\r\n\x00\xFFz",
    );
    let watching = Watching::start(&["--to", &format!("http://{upstream}")]);
    let request =
        b"PUT /a/../%7Eb//c;d?x='y'&{z} HTTP/1.1\r\nHost: elsewhere\r\nX-MiXed: 1\r\nx-twice: 1\r\nx-twice: 2\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = send(watching.address, request);
    let (_, passed) = (
        watching,
        String::from_utf8_lossy(&requests.recv().unwrap()).into_owned(),
    );
    assert!(
        passed.starts_with("PUT /a/../%7Eb//c;d?x='y'&{z} HTTP/1.1\r\n"),
        "{passed}"
    );
    for line in [
        "X-MiXed: 1\r\n",
        "x-twice: 1\r\nx-twice: 2\r\n",
        "Content-Length: 0\r\n",
        &format!("ost: {upstream}\r\n"),
    ] {
        assert!(passed.contains(line), "{line:?} is not in {passed}");
    }
    let told = String::from_utf8_lossy(&answer);
    assert!(told.starts_with("HTTP/1.1 418 "), "{told}");
    assert!(
        told.contains("X-Odd: a\r\nX-Odd: b\r\n") && !told.to_lowercase().contains("\r\ndate:"),
        "{told}"
    );
    assert!(
        answer.windows(11).any(|bytes| bytes == b"X-Bytes: \xE9\r")
            || answer.windows(10).any(|bytes| bytes == b"X-Bytes: \xE9")
    );
    assert!(answer.ends_with(b"\x00\xFFz"));
}

#[test]
fn a_target_that_is_not_there_is_told_as_the_targets_fault() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let watching = Watching::start(&["--to", &format!("http://{closed}")]);
    let answer = send(
        watching.address,
        b"GET /handles/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    let told = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        told.starts_with("HTTP/1.1 502 ") && told.contains("no response from the target"),
        "{told}"
    );
    let (code, out, err) = watching.stop();
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("502 GET /handles/1: no response from the target"), "{err}");
}

#[test]
fn an_answer_that_breaks_the_contract_is_told_once_and_counted() {
    let body = br#"{"contractVersion":107,"branch":"not a guid"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        body.len(),
        String::from_utf8_lossy(body)
    );
    let (upstream, _requests) = echo(answer.leak().as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let watching = Watching::start(&[
        "--to",
        &format!("http://{upstream}"),
        "--report",
        &format!("json={}", text(&report)),
    ]);
    for _ in 0..2 {
        let path = SESSION.split(".com").last().unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Xbl-Contract-Version: 107\r\nConnection: close\r\n\r\n");
        send(watching.address, request.as_bytes());
    }
    let (code, out, err) = watching.stop();
    assert_eq!(code, 1, "{out}{err}");
    let told = out
        .lines()
        .filter(|line| line.starts_with("error GET session 200, exchange 1: schema /branch:"))
        .count();
    assert_eq!(told, 1, "{out}");
    assert!(out.contains("      2  GET session 200: schema /branch"), "{out}");
    let report = read(&report);
    assert_eq!(report["summary"]["fail"], 1);
    assert_eq!(report["cases"][0]["id"], "watched/get-session");
    let failed = report["clauses"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|clause| clause["verdict"] == "fail")
        .count();
    assert!(failed > 0);
}

/// A request about a session, with a token.
fn about_session(address: SocketAddr, more: &str) -> Vec<u8> {
    let path = SESSION.split(".com").last().unwrap();
    let request = format!(
        "GET {path}{more} HTTP/1.1\r\nHost: x\r\nX-Xbl-Contract-Version: 107\r\nAuthorization: {TOKEN}\r\nTE: trailers\r\n\
         Cookie: sid=cookie-of-a-player\r\nSignature: signature-of-a-player\r\nConnection: close\r\n\r\n"
    );
    send(address, request.as_bytes())
}

#[test]
fn an_answer_in_chunks_is_whole_when_its_trailers_came() {
    let (upstream, _requests) = echo(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
          1\r\n{\r\n1\r\n}\r\n0\r\nX-Sum: 2\r\n\r\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.har");
    let watching = Watching::start(&["--to", &format!("http://{upstream}"), "--har", text(&file)]);
    about_session(watching.address, "");
    let (_, out, _) = watching.stop();
    assert!(out.contains("1 checked"), "{out}");
    let entry = &read(&file)["log"]["entries"][0];
    assert_eq!(entry["response"]["content"]["text"], "{}");
    assert_eq!(entry["comment"], Value::Null);
}

#[test]
fn a_body_that_would_expand_is_passed_on_and_never_unpacked_whole() {
    let bomb: &'static [u8] = network::bomb().leak();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip, gzip\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        bomb.len()
    );
    let (upstream, _requests) = echo([head.as_bytes(), bomb].concat().leak());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.har");
    let watching = Watching::start(&["--to", &format!("http://{upstream}"), "--har", text(&file)]);
    assert!(about_session(watching.address, "").ends_with(bomb));
    let id = watching.child.id();
    let start = std::time::Instant::now();
    let is_written = || fs::read_to_string(&file).is_ok_and(|text| text.contains("content-encoding"));
    while !is_written() {
        assert!(start.elapsed().as_secs() < 60, "nothing was written");
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let most = peak(id);
    assert!(most < 200, "{most} MiB");
    let (code, out, err) = watching.stop();
    assert_eq!(code, 5, "{out}{err}");
    assert!(out.contains("1 not readable"), "{out}");
    let drafts = folder.path().join("drafts");
    let (ended, most) = program_weighed(["import", text(&file), "--out", text(&drafts)]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("longer than 16777216 bytes; left out"),
        "{}",
        ended.stderr
    );
    assert!(most < 200, "{most} MiB");
}

#[test]
fn no_secret_is_written_wherever_it_stood() {
    let body = r#"{"link":"https://example.com/a?sig=signature-of-a-link&v=1","joinToken":"token-of-a-join","seen":"c2VjcmV0LXRva2VuLW9mLWEtcGxheWVy"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=cookie-of-a-service; Path=/\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (upstream, _requests) = echo(answer.leak().as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let (file, report) = (folder.path().join("seen.har"), folder.path().join("r.json"));
    let to = format!("http://{upstream}");
    let report_to = format!("json={}", text(&report));
    let watching = Watching::start(&["--to", &to, "--har", text(&file), "--report", &report_to]);
    about_session(watching.address, "?access_token=token-in-a-url&nocommit=true");
    let (_, out, err) = watching.stop();
    let written = [
        fs::read_to_string(&file).unwrap(),
        fs::read_to_string(&report).unwrap(),
        out,
        err,
    ]
    .concat();
    let secrets = [
        "c2VjcmV0",
        "cookie-of-a-player",
        "signature-of-a-player",
        "cookie-of-a-service",
        "signature-of-a-link",
        "token-of-a-join",
        "token-in-a-url",
    ];
    for secret in secrets {
        assert!(!written.contains(secret), "{secret} is in {written}");
    }
    assert!(
        written.contains("nocommit=true") && written.contains("example.com/a?sig="),
        "{written}"
    );
}

#[test]
fn the_clauses_of_the_operations_are_clauses_of_the_suite() {
    let suite = Suite::load(Files::embedded()).unwrap();
    let operations = suite.schemas().operations();
    let unknown: Vec<_> = operations
        .clause_ids()
        .filter(|(_, id)| suite.clause(id).is_none())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(operations.clause_ids().count() > 50);
}

#[test]
fn whatever_a_reader_meets_is_explained() {
    let told = [
        (
            "members.me.constants.system.initialize",
            ["type: boolean", "INIT-002 MUST", "example, recorded from"],
        ),
        (
            "/members/0/properties/system/active",
            ["session: members.*", "type: boolean", "example, recorded from"],
        ),
        ("if-match", ["request header", "SES-COND-002", "> If-Match"]),
        ("ETag", ["response header", "HDR-010", "changes from run to run: etag"]),
        ("412", ["Precondition Failed", "SES-COND-002", "< 412"]),
        (
            "PUT session",
            ["request body: `session-request`", "201: `session`", "SES-CREATE-001"],
        ),
        ("X-02", ["no-content", "not-found", "treatment:"]),
    ];
    for (id, words) in told {
        let ended = program(["explain", id]);
        assert_eq!(ended.code, 0, "{id}: {}", ended.stderr);
        for word in words {
            assert!(ended.stdout.contains(word), "{id}: {word} is not in {}", ended.stdout);
        }
    }
    let unknown = program(["explain", "membersInf"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("did you mean `membersInfo`?"),
        "{}",
        unknown.stderr
    );
}
