//! The transport's own contract: what a service may do on a connection, and what becomes of it here. Each row is sent over a raw
//! socket, byte for byte, and `docs/transport.md` shows them all.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::contract::Suite;
use crate::contract::clause::Weight;
use crate::contract::files::Files;
use crate::contract::json::document::{MAX_DEPTH, Unread};
use crate::contract::version::ContractVersion;
use crate::replay::contract::hold_alone;
use crate::replay::label::StepLabel;
use crate::target::Target;
use crate::wire::client::Client;
use crate::wire::error::WireError;
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::secrets::Secrets;
use crate::wire::socket::{Offer, Opened, Socket};

/// What becomes of what a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    /// It is as good as any other response.
    Pass,
    /// It fails an assertion of a clause.
    Finding(&'static str),
    /// It is reported as a note, which fails nothing.
    Remark(&'static str),
    /// There is no verdict, and the reason has these words.
    Inconclusive(&'static str),
    /// There is no verdict, because this program reads no more; the reason has these words.
    Limit(&'static str),
}

impl Becomes {
    fn text(self) -> String {
        match self {
            Self::Pass => "pass".to_owned(),
            Self::Finding(clause) => format!("failed assertion of {clause}"),
            Self::Remark(clause) => format!("note on {clause}"),
            Self::Inconclusive(words) => format!("inconclusive: \"{words}\""),
            Self::Limit(words) => format!("limit of this program: \"{words}\""),
        }
    }
}

/// What the service does with a connection.
#[derive(Clone, Copy)]
enum Does {
    /// It sends these bytes after each request.
    Sends(fn() -> Vec<u8>),
    /// It sends them one by one.
    Drips(fn() -> Vec<u8>),
    /// It sends them after a request, and closes.
    Closes(fn() -> Vec<u8>),
    /// It sends them after so many ms without a request on a connection that it has answered, and closes.
    ClosesIdle(u64, fn() -> Vec<u8>),
    /// It sends them before it has read the request's body.
    Early(fn() -> Vec<u8>),
    /// It resets the connection.
    Resets,
    /// It does nothing.
    Waits,
    /// It answers a handshake with what this makes of the value of `Sec-WebSocket-Accept`, and then sends these frames.
    Opens(fn(&str) -> String, fn() -> Vec<u8>),
}

struct Row {
    id: &'static str,
    /// The section of the standard.
    standard: &'static str,
    what: &'static str,
    /// The verb of the request.
    method: &'static str,
    does: Does,
    becomes: Becomes,
    /// The frames that come in after the handshake, as JSON.
    frames: &'static str,
}

const fn row(id: &'static str, standard: &'static str, what: &'static str, does: Does, becomes: Becomes) -> Row {
    Row {
        id,
        standard,
        what,
        method: "GET",
        does,
        becomes,
        frames: "[]",
    }
}

const fn socket(
    id: &'static str,
    standard: &'static str,
    what: &'static str,
    does: Does,
    becomes: Becomes,
    frames: &'static str,
) -> Row {
    Row {
        id,
        standard,
        what,
        method: "SOCKET",
        does,
        becomes,
        frames,
    }
}

/// A session that is right in all.
const SESSION: &str = r#"{"contractVersion":107,"branch":"0605a272-b0ee-4a7b-af88-a8cb6d96cea4","changeNumber":1,"correlationId":"4b2f618d-3af7-4d97-a3e0-5e065a9cda27","startTime":"2026-11-29T11:24:25.1345495Z","constants":{"system":{"version":1,"maxMembersCount":10,"visibility":"open"},"custom":{}},"properties":{"system":{"turn":[]},"custom":{}},"members":{},"membersInfo":{"first":0,"next":0,"count":0,"accepted":0,"active":0},"servers":{}}"#;
const HEADERS: &str = "Content-Type: application/json; charset=utf-8\r\nETag: \"1\"\r\nDate: Sun, 29 Nov 2026 11:24:25 GMT\r\nCache-Control: private, max-age=0, must-revalidate\r\n";

/// A response with a session, its first line and more headers given.
fn with(first: &str, more: &str) -> Vec<u8> {
    let length = SESSION.len();
    format!("{first}\r\n{HEADERS}Content-Length: {length}\r\n{more}\r\n{SESSION}").into_bytes()
}

/// A response with a session and more headers.
fn more(headers: &str) -> Vec<u8> {
    with("HTTP/1.1 200 OK", headers)
}

/// A response whose length is said by these headers, with a body as it is on the wire.
fn framed(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{HEADERS}{headers}\r\n").into_bytes();
    bytes.extend(body);
    bytes
}

/// A response with a body of its own.
fn body(body: &[u8]) -> Vec<u8> {
    framed(&format!("Content-Length: {}\r\n", body.len()), body)
}

/// A response with a session that has one more member.
fn member(json: &str) -> Vec<u8> {
    body(format!("{{\"x\":{json},{}", &SESSION[1..]).as_bytes())
}

/// A session in chunks of 50 bytes.
fn chunked(size: fn(usize) -> String, trailer: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in SESSION.as_bytes().chunks(50) {
        bytes.extend(format!("{}\r\n", size(chunk.len())).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("0\r\n{trailer}\r\n").bytes());
    bytes
}

fn hex(size: usize) -> String {
    format!("{size:x}")
}

/// So many headers.
fn traces(count: usize) -> String {
    (0..count).fold(String::new(), |mut headers, number| {
        let _ = write!(headers, "X-Trace-{number}: {number}\r\n");
        headers
    })
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

fn packed(coding: &str) -> Vec<u8> {
    use flate2::Compression;
    use std::io::Write as _;
    let fast = Compression::fast();
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(SESSION.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), fast);
            encoder.write_all(SESSION.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), fast);
            encoder.write_all(SESSION.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn coded(name: &str, packed: &[u8]) -> Vec<u8> {
    framed(
        &format!("Content-Encoding: {name}\r\nContent-Length: {}\r\n", packed.len()),
        packed,
    )
}

/// A frame as a service sends it: its first byte, and what is in it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short @ ..126) => bytes.push(short),
        _ => {
            bytes.push(126);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// The handshake of a service that is right, with more headers.
fn switched(accept: &str, headers: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: rta.xboxlive.com.V2\r\n{headers}\r\n"
    )
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

fn open(accept: &str) -> String {
    switched(accept, UPGRADE)
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

use Becomes::{Finding, Inconclusive, Limit, Pass, Remark};
use Does::{Closes, ClosesIdle, Drips, Early, Opens, Resets, Sends, Waits};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("status-no-reason", "RFC 9112 4", "The status line has no reason.", Sends(|| with("HTTP/1.1 200 ", "")), Pass),
    row("status-no-blank", "RFC 9112 4", "The status line ends with the status, without a blank.", Sends(|| with("HTTP/1.1 200", "")), Pass),
    row("status-odd-reason", "RFC 9112 4", "The reason is of any words, in any letters.", Sends(|| with("HTTP/1.1 200 Ganz gut \u{fc}", "")), Pass),
    row("status-two-digits", "RFC 9112 4", "The status has two digits.", Sends(|| with("HTTP/1.1 20 OK", "")), Inconclusive("three digits")),
    row("http-1.0", "RFC 9110 2.5", "The response is of HTTP/1.0, with a length.", Sends(|| with("HTTP/1.0 200 OK", "")), Pass),
    row("http-1.0-until-close", "RFC 9112 6.3", "The response is of HTTP/1.0, and ends with the connection.", Closes(|| { let mut bytes = format!("HTTP/1.0 200 OK\r\n{HEADERS}\r\n").into_bytes(); bytes.extend(SESSION.bytes()); bytes }), Pass),
    row("http-3.0", "RFC 9112 2.3", "The response is of a version that HTTP/1.1 does not know.", Sends(|| with("HTTP/3.0 200 OK", "")), Inconclusive("`HTTP/1.1`")),
    row("no-http", "RFC 9112 4", "What comes is not HTTP.", Sends(|| b"220 smtp.example ESMTP\r\n".to_vec()), Inconclusive("`HTTP/1.1`")),
    row("header-upper", "RFC 9110 5.1", "Header names are in capital letters.", Sends(|| with("HTTP/1.1 200 OK", "X-A: 1\r\n").to_ascii_uppercase_head()), Pass),
    row("header-no-blank", "RFC 9112 5.1", "No blank follows the colon.", Sends(|| more("X-A:1\r\n")), Pass),
    row("header-blanks", "RFC 9112 5.1", "Blanks and tabs surround a value.", Sends(|| more("X-A: \t 1 \t\r\n")), Pass),
    row("header-empty", "RFC 9110 5.5", "A header has no value.", Sends(|| more("X-A:\r\n")), Pass),
    row("header-latin", "RFC 9110 5.5", "A value has letters that are not ASCII.", Sends(|| { let mut bytes = more(""); let at = bytes.len() - SESSION.len() - 2; bytes.splice(at..at, b"X-A: caf\xe9\r\n".iter().copied()); bytes }), Pass),
    row("header-space-before-colon", "RFC 9112 5.1", "White space precedes a colon; it is removed.", Sends(|| more("X-A : 1\r\n")), Pass),
    row("header-folded", "RFC 9112 5.2", "A value goes on in the next line; it is read as one.", Sends(|| more("X-A: 1\r\n  2\r\n")), Pass),
    row("header-repeated", "RFC 9110 5.3", "A header comes several times.", Sends(|| more("X-A: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n")), Pass),
    row("header-order", "RFC 9110 5.3", "Headers come in any order.", Sends(|| framed(&format!("Server: a\r\nContent-Length: {}\r\nVia: 1.1 b\r\n", SESSION.len()), SESSION.as_bytes())), Pass),
    row("headers-120", "RFC 9112 3", "There are 120 headers.", Sends(|| more(&traces(120))), Pass),
    row("headers-1500", "RFC 9110 5.4", "There are 1,500 headers.", Sends(|| more(&traces(1500))), Limit("more than 1000 headers")),
    row("header-70-kb", "RFC 9110 5.4", "A header has 70 KB.", Sends(|| more(&format!("X-A: {}\r\n", "a".repeat(70_000)))), Pass),
    row("header-2-mb", "RFC 9110 5.4", "A header has 2 MB.", Sends(|| more(&format!("X-A: {}\r\n", "a".repeat(2_000_000)))), Limit("1024 KiB")),
    row("header-lf-only", "RFC 9112 2.2", "Lines end with LF alone.", Sends(|| { let text = String::from_utf8(more("")).unwrap(); text.replace("\r\n", "\n").into_bytes() }), Pass),
    row("header-bare-cr", "RFC 9112 2.2", "A value contains a CR.", Sends(|| more("X-A: 1\r2\r\n")), Inconclusive("not a header")),
    row("header-zero", "RFC 9110 5.5", "A value contains a zero byte.", Sends(|| more("X-A: 1\0\r\n")), Inconclusive("not a header")),
    row("header-no-colon", "RFC 9112 5", "A line of the head has no colon.", Sends(|| more("X-A 1\r\n")), Inconclusive("not a header")),
    row("interim-continue", "RFC 9110 15.2.1", "100 Continue comes first, though nobody waits for it.", Sends(|| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), more("")].concat()), Pass),
    row("interim-hints", "RFC 9110 15.2", "Several interim responses come first.", Sends(|| [b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".to_vec(), more("")].concat()), Pass),
    Row { method: "HEAD", ..row("head-length", "RFC 9110 9.3.2", "The response to HEAD has the length of the body that it does not have.", Sends(|| framed("Content-Length: 777\r\n", b"")), Pass) },
    row("no-content-length", "RFC 9110 8.6", "204 has `Content-Length: 0`.", Sends(|| b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n".to_vec()), Pass),
    row("not-modified-length", "RFC 9110 15.4.5", "304 has the length of the body that it does not have.", Sends(|| b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 777\r\n\r\n".to_vec()), Pass),
    row("chunked", "RFC 9112 7.1", "The body comes in chunks.", Sends(|| framed("Transfer-Encoding: chunked\r\n", &chunked(hex, ""))), Pass),
    row("chunked-upper", "RFC 9112 7", "The coding is spelt `Chunked`, and sizes are in capital letters with zeros before them.", Sends(|| framed("Transfer-Encoding: Chunked\r\n", &chunked(|size| format!("00{size:X}"), ""))), Pass),
    row("chunked-extension", "RFC 9112 7.1.1", "Chunks have extensions.", Sends(|| framed("Transfer-Encoding: chunked\r\n", &chunked(|size| format!("{size:x};a=\"b;c\";d"), ""))), Pass),
    row("chunked-trailer", "RFC 9112 7.1.2", "Trailers follow the last chunk.", Sends(|| framed("Transfer-Encoding: chunked\r\nTrailer: X-A\r\n", &chunked(hex, "X-A: 1\r\nServer-Timing: a;dur=1\r\n"))), Pass),
    row("chunked-and-length", "RFC 9112 6.3", "There are chunks and a length; the chunks count.", Closes(|| framed("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", &chunked(hex, ""))), Pass),
    row("chunk-size-wrong", "RFC 9112 7.1", "The size of a chunk is not a number.", Closes(|| framed("Transfer-Encoding: chunked\r\n", &chunked(|_| "zz".to_owned(), ""))), Inconclusive("chunk")),
    row("chunked-cut", "RFC 9112 8", "The connection ends before the last chunk.", Closes(|| { let mut bytes = chunked(hex, ""); bytes.truncate(100); framed("Transfer-Encoding: chunked\r\n", &bytes) }), Inconclusive("")),
    row("until-close", "RFC 9112 6.3", "The body ends with the connection.", Closes(|| framed("", SESSION.as_bytes())), Pass),
    row("length-twice", "RFC 9112 6.3", "Two lengths are the same.", Sends(|| more(&format!("Content-Length: {}\r\n", SESSION.len()))), Pass),
    row("length-differs", "RFC 9112 6.3", "Two lengths are not the same.", Closes(|| more("Content-Length: 3\r\n")), Inconclusive("`Content-Length`")),
    row("length-no-number", "RFC 9112 6.3", "The length is not a number.", Closes(|| framed("Content-Length: long\r\n", SESSION.as_bytes())), Inconclusive("`Content-Length`")),
    row("length-negative", "RFC 9112 6.3", "The length is negative.", Closes(|| framed("Content-Length: -1\r\n", SESSION.as_bytes())), Inconclusive("`Content-Length`")),
    row("body-cut", "RFC 9112 8", "The connection ends before the body does.", Closes(|| framed("Content-Length: 5000\r\n", SESSION.as_bytes())), Inconclusive("")),
    row("body-too-long", "RFC 9110 2.3", "The body has more than 16 MiB.", Closes(|| framed("Content-Length: 17000000\r\n", &vec![b' '; 17_000_000])), Limit("16 MiB")),
    row("crlf-after-body", "RFC 9112 2.2", "An empty line follows the body.", Sends(|| [more(""), b"\r\n".to_vec()].concat()), Pass),
    row("bytes-after-body", "RFC 9112 9.2", "Bytes that belong to no response follow the body; the connection is not used again.", Sends(|| [more(""), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()].concat()), Pass),
    row("coding-gzip", "RFC 9110 8.4, 12.5.3", "The body is gzip, though the request has no `Accept-Encoding`.", Sends(|| coded("gzip", &packed("gzip"))), Pass),
    row("coding-x-gzip", "RFC 9110 8.4.1.3", "The body is gzip under its old name.", Sends(|| coded("X-GZIP", &packed("gzip"))), Pass),
    row("coding-deflate", "RFC 9110 8.4.1.2", "The body is deflate.", Sends(|| coded("deflate", &packed("zlib"))), Pass),
    row("coding-raw-deflate", "RFC 9110 8.4.1.2", "The body is deflate without its head, as some send it.", Sends(|| coded("deflate", &packed("raw"))), Pass),
    row("coding-identity", "RFC 9110 12.5.3", "The coding is `identity`.", Sends(|| more("Content-Encoding: identity\r\n")), Pass),
    row("coding-unknown", "RFC 9110 8.4", "The body is in a coding that this program does not know.", Sends(|| more("Content-Encoding: compress\r\n")), Limit("`compress`")),
    row("coding-wrong", "RFC 9110 8.4", "The body is not in the coding that is named.", Sends(|| more("Content-Encoding: gzip\r\n")), Inconclusive("invalid gzip")),
    row("type-upper", "RFC 9110 8.3.1", "The media type is in capital letters, with a parameter in quotes.", Sends(|| { let text = String::from_utf8(more("")).unwrap(); text.replace("application/json; charset=utf-8", "APPLICATION/JSON;CHARSET=\"UTF-8\"").into_bytes() }), Pass),
    row("json-mark", "RFC 8259 8.1", "A byte order mark precedes the JSON.", Sends(|| body(format!("\u{feff}{SESSION}").as_bytes())), Finding("HDR-009")),
    row("json-utf-16", "RFC 8259 8.1", "The JSON is in UTF-16.", Sends(|| body(&SESSION.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())), Finding("HDR-009")),
    row("json-not-utf-8", "RFC 8259 8.1", "A byte of the JSON is not UTF-8.", Sends(|| body(&[b"{\"x\":\"\xff\",", &SESSION.as_bytes()[1..]].concat())), Finding("HDR-009")),
    row("json-cut", "RFC 8259 2", "The JSON ends too early.", Sends(|| body(&SESSION.as_bytes()[..200])), Finding("HDR-009")),
    row("json-comma", "RFC 8259 4", "A comma follows the last member.", Sends(|| body(format!("{},}}", &SESSION[..SESSION.len() - 1]).as_bytes())), Finding("HDR-009")),
    row("json-nan", "RFC 8259 6", "A number is `NaN`.", Sends(|| member("NaN")), Finding("HDR-009")),
    row("json-control", "RFC 8259 7", "A control character in a string is not escaped.", Sends(|| member("\"a\tb\"")), Finding("HDR-009")),
    row("json-surrogate", "RFC 8259 8.2", "A string has half a surrogate pair.", Sends(|| member("\"\\ud83d\"")), Pass),
    row("json-huge-number", "RFC 8259 6", "A number is beyond a double.", Sends(|| member("1e999")), Pass),
    row("json-long-number", "RFC 8259 6", "A number has more digits than a double.", Sends(|| member("123456789012345678901234567890.123456789")), Pass),
    row("json-nested", "RFC 8259 9", "The JSON is nested 200 deep.", Sends(|| member(&nested(200))), Pass),
    row("json-nested-deep", "RFC 8259 9", "The JSON is nested 100,000 deep.", Sends(|| member(&nested(100_000))), Limit("nested more than 500 deep")),
    row("json-repeated", "RFC 8259 4", "An object has two members of one name; the last counts.", Sends(|| body(format!("{{\"changeNumber\":7,{}", &SESSION[1..]).as_bytes())), Remark("HDR-009")),
    row("close-said", "RFC 9112 9.6", "The service announces that it closes, and does.", Closes(|| more("Connection: close\r\n")), Pass),
    row("close-silent", "RFC 9112 9.5", "The service closes after each response, without a word.", Closes(|| more("")), Pass),
    row("close-idle", "RFC 9112 9.5", "The service closes a connection that is idle for 20 ms.", ClosesIdle(20, nothing), Pass),
    row("close-idle-408", "RFC 9110 15.5.9", "The service sends 408 on an idle connection before it closes it.", ClosesIdle(20, || b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec()), Pass),
    row("close-unanswered", "RFC 9112 9.5", "The service closes a new connection without a response.", Closes(nothing), Inconclusive("before the response was whole")),
    row("close-in-head", "RFC 9112 8", "The connection ends inside the head of a response.", Closes(|| b"HTTP/1.1 200 OK\r\nContent-T".to_vec()), Inconclusive("before the response was whole")),
    row("reset", "RFC 9112 9.5", "The service resets a new connection.", Resets, Inconclusive("")),
    row("no-response", "RFC 9110 9.2.2", "No response comes.", Waits, Inconclusive("no response within")),
    row("drips", "RFC 9112 2.2", "The bytes come one by one.", Drips(|| more("")), Pass),
    row("early", "RFC 9112 9.3", "The response comes before the request is read.", Early(|| more("")), Pass),
    socket("socket", "RFC 6455 4.1", "The handshake is as in the standard's example.", Opens(open, nothing), Pass, "[]"),
    socket("socket-connection-list", "RFC 6455 4.1", "`Connection` is a list.", Opens(|accept| switched(accept, "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"), nothing), Pass, "[]"),
    socket("socket-connection-twice", "RFC 6455 4.1, RFC 9110 5.3", "`Connection` comes twice.", Opens(|accept| switched(accept, "Connection: keep-alive\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"), nothing), Pass, "[]"),
    socket("socket-upper", "RFC 6455 4.1", "`Upgrade` and `Connection` are in other letters.", Opens(|accept| switched(accept, "upgrade: WebSocket\r\nCONNECTION: UPGRADE\r\n"), nothing), Pass, "[]"),
    socket("socket-headers", "RFC 6455 4.2.2", "The handshake has other headers, and other words.", Opens(|accept| open(accept).replace("Switching Protocols", "WebSocket Protocol Handshake").replace("Upgrade: websocket", "Server: a\r\nDate: b\r\nUpgrade: websocket"), nothing), Pass, "[]"),
    socket("socket-accept-wrong", "RFC 6455 4.1", "`Sec-WebSocket-Accept` is not that of the key.", Opens(|_| open("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), nothing), Finding("the handshake"), "[]"),
    socket("socket-accept-absent", "RFC 6455 4.1", "There is no `Sec-WebSocket-Accept`.", Opens(|accept| open(accept).replace("Sec-WebSocket-Accept", "X-Accept"), nothing), Finding("the handshake"), "[]"),
    socket("socket-no-upgrade", "RFC 6455 4.1", "`Connection` does not name `Upgrade`.", Opens(|accept| switched(accept, "Upgrade: websocket\r\nConnection: keep-alive\r\n"), nothing), Finding("the handshake"), "[]"),
    socket("socket-other-upgrade", "RFC 6455 4.1", "`Upgrade` names another protocol.", Opens(|accept| switched(accept, "Upgrade: h2c\r\nConnection: Upgrade\r\n"), nothing), Finding("the handshake"), "[]"),
    socket("socket-extension", "RFC 6455 4.1", "An extension is chosen that nobody offered.", Opens(|accept| switched(accept, &format!("{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n")), nothing), Finding("the handshake"), "[]"),
    socket("socket-no-protocol", "RFC 6455 4.1, RTA-001", "The sub-protocol that was offered is not chosen.", Opens(|accept| open(accept).replace("Sec-WebSocket-Protocol", "X-Protocol"), nothing), Finding("the handshake"), "[]"),
    socket("socket-other-protocol", "RFC 6455 4.1", "A sub-protocol is chosen that nobody offered.", Opens(|accept| open(accept).replace("rta.xboxlive.com.V2", "other"), nothing), Finding("the handshake"), "[]"),
    socket("socket-text", "RFC 6455 5.6", "A message follows the handshake at once.", Opens(open, || frame(0x81, b"[1]")), Pass, "[[1]]"),
    socket("socket-fragments", "RFC 6455 5.4", "A message comes in fragments, with a ping between them.", Opens(open, || [frame(0x01, b"[1,"), frame(0x89, b"p"), frame(0x00, b"2"), frame(0x80, b"]")].concat()), Pass, "[[1,2]]"),
    socket("socket-empty-fragment", "RFC 6455 5.4", "A fragment is empty.", Opens(open, || [frame(0x01, b""), frame(0x80, b"[1]")].concat()), Pass, "[[1]]"),
    socket("socket-long", "RFC 6455 5.2", "A message has more than 125 bytes.", Opens(open, || frame(0x81, format!("[{}1]", " ".repeat(300)).as_bytes())), Pass, "[[1]]"),
    socket("socket-pong", "RFC 6455 5.5.3", "Pongs come without a ping.", Opens(open, || [frame(0x8a, b""), frame(0x8a, b"x"), frame(0x81, b"[1]")].concat()), Pass, "[[1]]"),
    socket("socket-binary", "RFC 6455 5.6", "A message is binary; a case sees its length.", Opens(open, || frame(0x82, b"abc")), Pass, r#"[{"binary":3}]"#),
    socket("socket-no-json", "RFC 6455 5.6", "A message is not JSON; a case sees its text.", Opens(open, || frame(0x81, b"hello")), Pass, r#"["hello"]"#),
    socket("socket-close", "RFC 6455 5.5.1", "The service closes with a status.", Opens(open, || frame(0x88, &[0x03, 0xe9])), Pass, r#"[{"closed":1001}]"#),
    socket("socket-close-bare", "RFC 6455 5.5.1", "The service closes without a status.", Opens(open, || frame(0x88, b"")), Pass, r#"[{"closed":null}]"#),
    socket("socket-masked", "RFC 6455 5.1", "A frame of the service is masked, which ends the connection.", Opens(open, || vec![0x81, 0x83, 0, 0, 0, 0, b'[', b'1', b']']), Pass, r#"[{"closed":null}]"#),
    socket("socket-reserved", "RFC 6455 5.2", "A reserved bit is set, which ends the connection.", Opens(open, || frame(0xc1, b"[1]")), Pass, r#"[{"closed":null}]"#),
    socket("socket-not-utf-8", "RFC 6455 8.1", "A text message is not UTF-8, which ends the connection.", Opens(open, || frame(0x81, b"\"\xff\"")), Pass, r#"[{"closed":null}]"#),
    socket("socket-long-ping", "RFC 6455 5.5", "A ping has more than 125 bytes, which ends the connection.", Opens(open, || frame(0x89, &[b'p'; 200])), Pass, r#"[{"closed":null}]"#),
];

/// The head of a message with header names in capital letters.
trait Upper {
    fn to_ascii_uppercase_head(self) -> Vec<u8>;
}

impl Upper for Vec<u8> {
    fn to_ascii_uppercase_head(self) -> Vec<u8> {
        let text = String::from_utf8(self).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let lines = head.split("\r\n").map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_uppercase()),
            None => line.to_owned(),
        });
        format!("{}\r\n\r\n{body}", lines.collect::<Vec<_>>().join("\r\n")).into_bytes()
    }
}

static SUITE: LazyLock<Suite> = LazyLock::new(|| Suite::load(Files::embedded()).unwrap());

/// Serves one connection after another as a row says.
async fn serve(listener: TcpListener, does: Does) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream, does));
    }
}

/// Reads the head of a request.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn answer(mut stream: TcpStream, does: Does) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut served = 0;
    loop {
        let idle = match does {
            ClosesIdle(ms, _) if served > 0 => Duration::from_millis(ms),
            _ => Duration::from_mins(1),
        };
        let request = match tokio::time::timeout(idle, head(&mut stream)).await {
            Ok(request) => request?,
            Err(_) => {
                if let ClosesIdle(_, bytes) = does {
                    stream.write_all(&bytes()).await.ok()?;
                }
                return None;
            }
        };
        served += 1;
        match does {
            Sends(bytes) | Early(bytes) => stream.write_all(&bytes()).await.ok()?,
            Drips(bytes) => {
                for byte in bytes() {
                    stream.write_all(&[byte]).await.ok()?;
                }
            }
            Closes(bytes) => {
                stream.write_all(&bytes()).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            ClosesIdle(..) => stream.write_all(&more("")).await.ok()?,
            Resets => {
                // What is left unread when a socket is dropped resets it.
                #[expect(deprecated, reason = "the new name is not in every version of the library")]
                stream.set_linger(Some(Duration::ZERO)).ok()?;
                return None;
            }
            Waits => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                return None;
            }
            Opens(handshake, frames) => {
                let key = request.lines().find_map(|line| {
                    line.split_once(": ")
                        .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
                });
                let accept = derive_accept_key(key.map_or("", |(_, key)| key).as_bytes());
                stream.write_all(handshake(&accept).as_bytes()).await.ok()?;
                stream.write_all(&frames()).await.ok()?;
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await.ok()? > 0 {}
                return None;
            }
        }
    }
}

/// What becomes of a row, with the reason where there is no verdict.
async fn become_of(row: &Row) -> Result<Becomes, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::at(&format!("http://{}", listener.local_addr().unwrap()));
    let limit = if matches!(row.does, Waits) {
        Duration::from_millis(200)
    } else {
        Duration::from_secs(20)
    };
    let serving = tokio::spawn(serve(listener, row.does));
    let client = Client::new(&target, limit).unwrap();
    let result = if row.method == "SOCKET" {
        open_socket(&client, &target, row).await
    } else {
        exchange(&client, &target, row).await
    };
    serving.abort();
    result
}

fn unanswered(row: &Row, error: &WireError) -> Result<Becomes, String> {
    let told = error.to_string();
    let is_limit = matches!(error, WireError::Limit(_));
    match row.becomes {
        Inconclusive(words) if !is_limit && told.contains(words) => Ok(Inconclusive(words)),
        Limit(words) if is_limit && told.contains(words) => Ok(Limit(words)),
        _ => Err(format!("{error:?}")),
    }
}

/// Sends the request three times, and holds the last response against the contract.
async fn exchange(client: &Client, target: &Target, row: &Row) -> Result<Becomes, String> {
    let request = WireRequest {
        method: row.method.to_owned(),
        path: "/serviceconfigs/11111111-2222-3333-4444-555555555555/sessiontemplates/open/sessions/a".to_owned(),
        headers: vec![("X-Xbl-Contract-Version".to_owned(), "107".to_owned())],
        body: matches!(row.does, Early(_)).then(|| vec![b' '; 100_000].into()),
    };
    let mut last = WireResponse::default();
    for turn in 0..3 {
        if turn > 0 && matches!(row.does, ClosesIdle(..)) {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        last = match client.send(&request).await {
            Ok(response) => response,
            Err(error) => return unanswered(row, &error),
        };
    }
    let held = hold_alone(
        &SUITE,
        target,
        ContractVersion::CURRENT,
        StepLabel::new(1),
        request,
        last,
    );
    if let Some(Unread::Limit(reason)) = &held.exchange.unread {
        return match row.becomes {
            Limit(words) if reason.contains(words) => Ok(Limit(words)),
            _ => Err(reason.clone()),
        };
    }
    let worst = held.findings.iter().max_by_key(|finding| finding.weight);
    match (worst, row.becomes) {
        (None, _) => Ok(Pass),
        (Some(finding), Finding(clause))
            if finding.weight == Weight::Failure && finding.clauses.iter().any(|id| id == clause) =>
        {
            Ok(Finding(clause))
        }
        (Some(finding), Remark(clause))
            if finding.weight == Weight::Remark && finding.clauses.iter().any(|id| id == clause) =>
        {
            Ok(Remark(clause))
        }
        (Some(finding), _) => Err(format!("{finding:?}")),
    }
}

async fn open_socket(client: &Client, target: &Target, row: &Row) -> Result<Becomes, String> {
    let secrets = Arc::new(Secrets::new(
        target,
        &crate::target::Secret::new("none of these".to_owned()),
    ));
    let opened: BoxFuture<'_, _> = Box::pin(Socket::open(client, "/connect", &[], Offer::Protocol, &secrets));
    let socket = match opened.await {
        Ok((Opened::Open(socket), _)) => socket,
        Ok((Opened::Broken(_), _)) => return Ok(Finding("the handshake")),
        Ok((Opened::Refused, response)) => return Err(format!("refused with {}", response.status)),
        Err(error) => return unanswered(row, &error),
    };
    let expected: Vec<serde_json::Value> = serde_json::from_str(row.frames).unwrap();
    for _ in 0..500 {
        if socket.frames() == expected {
            return Ok(Pass);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(format!("{:?}", socket.frames()))
}

#[tokio::test]
async fn every_row_becomes_what_the_table_says() {
    let mut wrong = String::new();
    for row in ROWS {
        let found = become_of(row).await;
        if found.as_ref() != Ok(&row.becomes) {
            let _ = writeln!(wrong, "{}: {found:?}, not {:?}", row.id, row.becomes);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_page_shows_the_table() {
    let mut rows =
        String::from("| id | standard | what the service does | what becomes of it |\n| --- | --- | --- | --- |\n");
    for row in ROWS {
        let _ = writeln!(
            rows,
            "| `{}` | {} | {} | {} |",
            row.id,
            row.standard,
            row.what,
            row.becomes.text()
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transport.md");
    let page = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    let (before, after) = page.split_once("<!-- rows -->\n").unwrap();
    let (shown, after) = after.split_once("<!-- end -->").unwrap();
    if std::env::var_os("MPSD_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}<!-- rows -->\n{rows}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(
        shown, rows,
        "`MPSD_WRITE_DOCS=1 cargo test the_page_shows_the_table` writes the page again"
    );
    assert!(MAX_DEPTH == 500 && ROWS.len() >= 40);
}
