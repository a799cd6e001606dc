//! Targets that break the connection instead of the contract, or nothing but the contract: each ends with a verdict, in time.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as HandshakeRequest, Response as HandshakeResponse,
};

use crate::network::{Relay, Request, answer, bomb, drip, hostile, listen};
use crate::program::{Ended, Serving, program, program_weighed, text};

/// Far more than any of these takes; what hangs would take for ever.
const PATIENCE: Duration = Duration::from_secs(100);

/// A folder with the description of a service that knows two users.
struct Described {
    folder: TempDir,
}

impl Described {
    fn at(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("tokens.json"),
            r#"{ "alice": "XBL3.0 x=1;of-alice-alone", "bob": "XBL3.0 x=2;of-bob-alone" }"#,
        )
        .unwrap();
        let identity = |name: &str, xuid: &str| json!({ "xuid": xuid, "title": "1234", "token": { "file": "tokens.json", "key": name } });
        let target = json!({
            "baseUrl": url,
            "scid": "11111111-2222-3333-4444-555555555555",
            "templates": ["open"],
            "identities": { "alice": identity("alice", "1001"), "bob": identity("bob", "1002") },
            "clock": { "advanceHeader": "X-Advance" },
        });
        std::fs::write(folder.path().join("target.json"), target.to_string()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs cases against it, with limits so short that nobody has to wait; the end and the report.
    fn run(&self, more: &[&str]) -> (Ended, Value) {
        let (target, report) = (self.path("target.json"), self.path("report.json"));
        let report_to = format!("json={}", text(&report));
        let mut arguments = vec!["run", "--target", text(&target), "--report", &report_to];
        arguments.extend(["--exchange-limit", "0.5", "--case-limit", "2"]);
        arguments.extend(more);
        let start = Instant::now();
        let ended = program(arguments);
        assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
        let report = std::fs::read_to_string(report).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        (ended, report)
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// What a run of some cases against a server comes to.
fn run(address: SocketAddr) -> (Ended, Value) {
    Described::at(&url(address)).run(&["members", "conditional"])
}

/// The network's fault: nothing failed, nothing passed, and the reason of every case has these words.
fn is_unreachable(address: SocketAddr, words: &[&str]) {
    let (ended, report) = run(address);
    assert_eq!(ended.code, 4, "{}{}", ended.stdout, ended.stderr);
    let summary = &report["summary"];
    assert_eq!(
        (&summary["fail"], &summary["pass"]),
        (&json!(0), &json!(0)),
        "{summary}"
    );
    let cases = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["verdict"] == "inconclusive");
    let reasons: Vec<&str> = cases.map(|case| case["reason"].as_str().unwrap()).collect();
    assert!(reasons.len() > 20, "{}", reasons.len());
    for reason in reasons {
        assert!(words.iter().any(|word| reason.contains(word)), "{reason}");
    }
    assert!(
        ended.stdout.lines().count() <= 40,
        "more than a screen: {}",
        ended.stdout
    );
}

/// The contract's fault: cases failed, and none is inconclusive.
fn is_nonconforming(address: SocketAddr) -> Ended {
    let (ended, report) = run(address);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(report["summary"]["inconclusive"], 0, "{}", report["summary"]);
    assert!(
        ended.stdout.lines().count() <= 40,
        "more than a screen: {}",
        ended.stdout
    );
    ended
}

const JSON: &str = "Content-Type: application/json\r\n";
const STOPPED: &str = "run stopped";
/// On a machine with much else to do, the limits of these runs are short.
const NOT_FINISHED: &str = "not finished within 2 s";

#[test]
fn nobody_at_the_port_is_exit_4_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (ended, report) = run(closed);
    assert_eq!((ended.code, report), (4, Value::Null));
    assert!(
        ended.stderr.contains("check that the service is running"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_connection_that_is_reset_is_inconclusive() {
    // What was sent and never read is answered with a reset.
    let address = listen(|stream| {
        let mut peeked = [0; 4096];
        let count = stream.peek(&mut peeked).unwrap_or_default();
        let head = String::from_utf8_lossy(&peeked[..count]).into_owned();
        if head
            .lines()
            .next()
            .is_some_and(|line| line.ends_with("/sessiontemplates HTTP/1.1"))
        {
            Request::read(&stream);
            let _ = answer(&mut stream.try_clone().unwrap(), 200, JSON, "[]");
        }
    });
    is_unreachable(address, &["reset", "closed", STOPPED]);
}

#[test]
fn a_connection_that_is_half_closed_is_inconclusive() {
    let address = hostile(|_, stream| {
        stream.shutdown(Shutdown::Write)?;
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    });
    is_unreachable(address, &["closed", STOPPED]);
}

#[test]
fn an_answer_that_takes_too_long_is_inconclusive() {
    let pause = Duration::from_millis(100);
    let head = hostile(move |_, stream| drip(stream, b"H", pause));
    is_unreachable(head, &["no response within 0.5 s", "invalid HTTP version", STOPPED]);
    let headers = hostile(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        drip(stream, b"x", pause)
    });
    is_unreachable(headers, &["no response within 0.5 s", STOPPED]);
    let body = hostile(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
        drip(stream, b"x", pause)
    });
    is_unreachable(body, &["no response within 0.5 s", STOPPED]);
    let silent = hostile(|_, _| {
        std::thread::sleep(Duration::from_secs(5));
        Ok(())
    });
    is_unreachable(silent, &["no response within 0.5 s", STOPPED]);
}

#[test]
fn an_answer_without_end_is_inconclusive() {
    let headers = hostile(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        drip(stream, b"X-More: and more\r\n", Duration::ZERO)
    });
    is_unreachable(
        headers,
        &["more than 1000 headers", "no response within", NOT_FINISHED, STOPPED],
    );
    let body = hostile(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
        drip(stream, &chunk, Duration::ZERO)
    });
    is_unreachable(
        body,
        &["longer than 16 MiB", "no response within", NOT_FINISHED, STOPPED],
    );
}

#[test]
fn an_answer_that_is_cut_off_is_inconclusive() {
    let address = hostile(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\": 1"));
    is_unreachable(address, &["end of file", "closed", "reset", STOPPED]);
}

#[test]
fn a_target_that_throttles_everything_is_inconclusive_however_it_does_so() {
    for (status, headers) in [
        (429, ""),
        (429, "Retry-After: 0\r\n"),
        (429, "Retry-After: 999999999\r\n"),
        (503, ""),
        (503, "Retry-After: 0\r\n"),
        (503, "Retry-After: Fri, 31 Dec 2999 23:59:59 GMT\r\n"),
    ] {
        let address = hostile(move |_, stream| answer(stream, status, headers, ""));
        is_unreachable(address, &["throttled: ", "no response within", NOT_FINISHED, STOPPED]);
    }
}

#[test]
fn json_that_is_truncated_fails() {
    is_nonconforming(hostile(|_, stream| {
        answer(stream, 201, JSON, r#"{"contractVersion": 107, "branch": "#)
    }));
}

#[test]
fn a_body_that_expands_without_end_is_read_up_to_a_limit() {
    let bomb = bomb();
    let address = hostile(move |_, stream| {
        let length = bomb.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\n{JSON}Content-Encoding: gzip, gzip\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(&bomb)
    });
    let described = Described::at(&url(address));
    let target = described.path("target.json");
    let (ended, most) = program_weighed(["run", "--target", text(&target), "conditional"]);
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    assert!(most < 400, "{most} MiB");
}

#[test]
fn large_pages_instead_of_documents_are_not_all_kept() {
    let page = "<p>Something went wrong.</p>\n".repeat(20_000);
    let address = hostile(move |_, stream| answer(stream, 500, "Content-Type: text/html\r\n", &page));
    let described = Described::at(&url(address));
    let target = described.path("target.json");
    let report = format!("json={}", text(&described.path("report.json")));
    let (ended, peak) = program_weighed([
        "run",
        "--target",
        text(&target),
        "--report",
        &report,
        "members",
        "merge",
        "join",
    ]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(peak < 200, "{peak} MiB");
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let elsewhere = listen(move |_| sender.send(()).unwrap());
    is_nonconforming(hostile(move |_, stream| {
        answer(stream, 307, &format!("Location: http://{elsewhere}/\r\n"), "")
    }));
    assert!(receiver.try_recv().is_err(), "somebody went there");
}

#[test]
fn a_target_that_answers_the_first_look_alone_is_given_up() {
    let address = hostile(|_, _| {
        std::thread::sleep(Duration::from_secs(5));
        Ok(())
    });
    let (ended, report) = Described::at(&url(address)).run(&[]);
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    assert!(
        report["halted"].as_str().unwrap().contains("run stopped"),
        "{}",
        report["halted"]
    );
    assert_eq!(
        (&report["interrupted"], &report["suite"]["partial"]),
        (&json!(false), &json!(true))
    );
    assert!(ended.stdout.lines().count() <= 40, "{}", ended.stdout);
}

#[test]
fn a_target_that_dies_in_the_middle_leaves_what_was_judged_and_a_reason() {
    let serving = Serving::start();
    let relay = Relay::start(serving.address(), 1 << 20);
    serving.change(|target| target["baseUrl"] = url(relay.address).into());
    let report = serving.path("report.json");
    let start = Instant::now();
    let ended = program([
        "run",
        "--target",
        text(&serving.target()),
        "--report",
        &format!("json={}", text(&report)),
    ]);
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(ended.code, 5, "{}{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let count = |verdict: &str| report["summary"][verdict].as_u64().unwrap();
    assert!(
        count("pass") > 20 && count("inconclusive") > 1000 && count("fail") == 0,
        "{}",
        report["summary"]
    );
    assert!(report["halted"].as_str().unwrap().contains("run stopped"));
    assert!(
        ended.stdout.contains("not finished; this report is partial"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_service_that_is_no_mpsd_is_told_in_a_screen() {
    let served = |status: u16, kind: &'static str, body: &'static str| {
        listen(move |mut stream| {
            if Request::read(&stream).is_some() {
                let _ = answer(&mut stream, status, &format!("Content-Type: {kind}\r\n"), body);
            }
        })
    };
    for address in [
        served(404, "text/plain", ""),
        served(200, "text/html", "<html>It works!</html>"),
        served(200, "application/json", "{}"),
        served(405, "text/html", "<h1>Method Not Allowed</h1>"),
    ] {
        let (ended, report) = Described::at(&url(address)).run(&[]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(report["summary"]["fail"].as_u64().unwrap() > 100);
        assert!(
            ended.stdout.contains("no response looked like MPSD"),
            "{}",
            ended.stdout
        );
        assert!(
            ended.stdout.lines().count() + ended.stderr.lines().count() <= 40,
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn what_does_not_speak_http_is_unreachable() {
    let echo = listen(|mut stream| {
        let _ = io::copy(&mut stream.try_clone().unwrap(), &mut stream);
    });
    let tls = listen(|mut stream| {
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 10]);
    });
    for (url, words) in [
        (url(echo), "the response is not HTTP"),
        (url(tls), "the port uses TLS: change `baseUrl` to `https://`"),
        (format!("https://{echo}"), "it does not use TLS"),
    ] {
        let (ended, _) = Described::at(&url).run(&[]);
        assert_eq!(ended.code, 4, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn a_socket_that_never_stops_talking_ends_in_time() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(chatter(stream));
            }
        });
    });
    let address = receiver.recv().unwrap();
    let serving = Serving::start();
    serving.change(|target| target["baseUrl"] = url(address).into());
    let target = serving.target();
    // By the limit of a case, which leaves it open what was wrong, or by that of a frame, which does not.
    for (limit, codes) in [("3", &[1, 5][..]), ("20", &[1])] {
        let start = Instant::now();
        let limits = ["--exchange-limit", "1", "--case-limit", limit];
        let run = ["run", "--target", text(&target), "realtime/a-su*"];
        let ended = program(run.into_iter().chain(limits));
        assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
        assert!(codes.contains(&ended.code), "{}{}", ended.stdout, ended.stderr);
    }
}

/// Opens every socket and floods it; to any other request it has an empty list.
async fn chatter(mut stream: tokio::net::TcpStream) {
    let mut head = [0; 16];
    let count = stream.peek(&mut head).await.unwrap_or_default();
    if !head[..count].starts_with(b"GET /connect") {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]")
            .await;
        return;
    }
    if let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, protocol).await {
        while socket.send(Message::text(r#"[4, 1, "more and more"]"#)).await.is_ok() {}
    }
}

/// Agrees to the protocol that is asked for.
#[expect(
    clippy::unnecessary_wraps,
    clippy::result_large_err,
    reason = "the library wants it so"
)]
fn protocol(request: &HandshakeRequest, mut response: HandshakeResponse) -> Result<HandshakeResponse, ErrorResponse> {
    if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
        response
            .headers_mut()
            .insert("sec-websocket-protocol", protocol.clone());
    }
    Ok(response)
}

#[test]
fn a_throttled_clean_up_does_not_wait() {
    let address = listen(|mut stream: TcpStream| {
        let Some(request) = Request::read(&stream) else { return };
        let _ = match request.method.as_str() {
            "DELETE" => answer(&mut stream, 429, "Retry-After: 600\r\n", ""),
            _ => answer(&mut stream, 201, JSON, "{}"),
        };
    });
    let start = Instant::now();
    let (ended, report) = Described::at(&url(address)).run(&["conditional"]);
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    assert_eq!(ended.code, 1);
    assert!(!report["leftovers"].as_array().unwrap().is_empty());
}
