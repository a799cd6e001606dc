//! What stands between a client and the service, and writes each response byte for byte as the variations say.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::answer::{Answer, Head};
use super::text::Writer;
use super::{Act, Closing, Coding, Framing, Letters, Order, Row, frames};

/// The variations in force that are made on the way, and how many exchanges each of them touched.
pub(in super::super) struct Edge {
    rows: Vec<(&'static Row, AtomicUsize)>,
    writer: Writer,
    /// Whether the JSON of bodies is looked at.
    is_json: bool,
    count: AtomicU64,
    /// The last response to each query.
    known: Mutex<HashMap<String, Vec<u8>>>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// `/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}`, with the empty one before the first slash.
const SEGMENTS_OF_A_SESSION: usize = 7;

/// How many pieces a response comes in, at most, before the rest of it: each costs a system call.
const PIECES: usize = 100;

/// What a response answers.
struct Asked {
    method: String,
    path: String,
    host: String,
    /// What makes two requests the same.
    key: String,
    body: Vec<u8>,
}

impl Asked {
    /// The part of a session that is asked for; empty where it is a whole document.
    fn element(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        if path.split('/').count() > SEGMENTS_OF_A_SESSION {
            name
        } else {
            ""
        }
    }
}

impl Edge {
    pub(super) fn new(mut rows: Vec<&'static Row>) -> Self {
        // What lags is what the service said before; the others alter that, as they alter everything.
        rows.sort_by_key(|row| !row.does.iter().any(|act| matches!(act, Act::Lag)));
        let mut writer = Writer::default();
        let mut is_json = false;
        for act in rows.iter().flat_map(|row| row.does) {
            match act {
                Act::Form(form) => {
                    writer.take(*form);
                    is_json = true;
                }
                Act::Json(_) | Act::Lag | Act::Turned => is_json = true,
                _ => {}
            }
        }
        Self {
            rows: rows.into_iter().map(|row| (row, AtomicUsize::new(0))).collect(),
            writer,
            is_json,
            count: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    /// How many responses and frames each variation changed.
    pub(in super::super) fn touched(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let rows = self.rows.iter();
        rows.map(|(row, touched)| (row.id, touched.load(Ordering::Relaxed)))
    }

    pub(super) fn acts(&self) -> impl Iterator<Item = &'static Act> {
        self.rows.iter().flat_map(|(row, _)| row.does)
    }

    /// Counts a change of the variations that have such an act.
    pub(super) fn touch(&self, is_such: impl Fn(&Act) -> bool) {
        for (row, touched) in &self.rows {
            if row.does.iter().any(&is_such) {
                touched.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A frame as it is sent.
    pub(super) fn frame(&self, mut json: Value) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        for act in self.acts() {
            if let Act::Json(alter) = act {
                alter.apply(&mut json, "", count);
            }
        }
        self.writer.write(&json)
    }

    /// Carries the requests of a connection to the service, and its responses back, until one of them ends.
    pub(in super::super) async fn carry(&self, mut client: TcpStream, mut service: DuplexStream) -> io::Result<()> {
        let (from, mut to) = client.split();
        let (service_from, mut service_to) = tokio::io::split(&mut service);
        let (mut from, mut service_from) = (BufReader::new(from), BufReader::new(service_from));
        let idle = self.acts().find_map(|act| match act {
            Act::Connection(Closing::Idle(ms)) => Some(Duration::from_millis(*ms)),
            _ => None,
        });
        let mut served = 0;
        loop {
            if let (Some(idle), true) = (idle, served > 0) {
                // Looking whether something is there takes nothing away.
                let waited = tokio::time::timeout(idle, from.fill_buf()).await;
                if waited.is_err() {
                    self.touch(|act| matches!(act, Act::Connection(_)));
                    return Ok(());
                }
            }
            let Some(head) = Head::read(&mut from).await? else {
                return Ok(());
            };
            let asked = self.forward(head, &mut from, &mut to, &mut service_to);
            // The service may respond before it has read all.
            let (asked, answer) = tokio::join!(asked, Head::read(&mut service_from));
            let (asked, Some(mut head)) = (asked?, answer?) else {
                return Ok(());
            };
            while head.start.split(' ').nth(1) == Some("100") {
                match Head::read(&mut service_from).await? {
                    Some(next) => head = next,
                    None => return Ok(()),
                }
            }
            let mut answer = Answer::new(head.clone(), Vec::new());
            if answer.status == 101 {
                self.alter(&mut answer, &asked);
                to.write_all(&self.head(&answer)).await?;
                to.flush().await?;
                let up = tokio::io::copy(&mut from, &mut service_to);
                let down = frames::carry(self, &mut service_from, &mut to);
                tokio::select! {
                    _ = up => {}
                    _ = down => {}
                }
                return Ok(());
            }
            let has_body = answer.may_have_body() && asked.method != "HEAD";
            if has_body {
                (_, answer.body) = head.read_body(&mut service_from, true).await?;
            }
            let is_over = answer
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
            served += 1;
            self.alter(&mut answer, &asked);
            let closes = self.write(&answer, &asked, served, &mut to).await?;
            if closes || is_over {
                to.shutdown().await?;
                return Ok(());
            }
        }
    }

    /// Hands a request on, with the entity tags as the service knows them.
    async fn forward(
        &self,
        mut head: Head,
        from: &mut (impl AsyncBufReadExt + Unpin),
        back: &mut (impl AsyncWriteExt + Unpin),
        to: &mut (impl AsyncWriteExt + Unpin),
    ) -> io::Result<Asked> {
        if head.header("expect").is_some() {
            back.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let (raw, body) = head.read_body(from, false).await?;
        for act in self.acts() {
            if let Act::Tags(before, after) = act {
                for (name, value) in &mut head.headers {
                    if ["if-match", "if-none-match"]
                        .iter()
                        .any(|known| name.eq_ignore_ascii_case(known))
                    {
                        *value = value.replace(before, "\"").replace(after, "\"");
                        head.raw.clear();
                    }
                }
            }
        }
        if head.raw.is_empty() {
            let mut text = format!("{}\r\n", head.start);
            for (name, value) in &head.headers {
                // Writing to a string cannot fail.
                let _ = write!(text, "{name}: {value}\r\n");
            }
            head.raw = (text + "\r\n").into_bytes();
        }
        head.raw.extend(raw);
        // A service that has heard enough has an answer nevertheless.
        drop(to.write_all(&head.raw).await);
        drop(to.flush().await);
        let mut words = head.start.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let who = head.header("authorization").unwrap_or_default();
        Ok(Asked {
            key: format!("{who} {method} {path} {}", String::from_utf8_lossy(&body)),
            method: method.to_owned(),
            path: path.to_owned(),
            host: head.header("host").unwrap_or_default().to_owned(),
            body,
        })
    }

    /// Does what the variations say of the content of a response.
    fn alter(&self, answer: &mut Answer, asked: &Asked) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut json: Option<Value> = (self.is_json && answer.is_json())
            .then(|| serde_json::from_slice(&answer.body).ok())
            .flatten();
        let before = json.clone();
        for (row, touched) in &self.rows {
            let mut done = 0;
            for act in row.does {
                done += usize::from(self.alter_once(act, answer, &mut json, asked, count));
            }
            if done > 0 {
                touched.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(json) = json.filter(|_| before.is_some()) {
            let text = self.writer.write(&json);
            answer.body = text.into();
        }
    }

    /// Whether an act changed the response.
    fn alter_once(&self, act: &Act, answer: &mut Answer, json: &mut Option<Value>, asked: &Asked, count: u64) -> bool {
        match act {
            Act::Json(alter) => {
                let Some(json) = json else { return false };
                let before = json.clone();
                alter.apply(json, asked.element(), count);
                *json != before
            }
            Act::Form(_) => json.is_some(),
            Act::Add(name, value) => {
                let value = value.replace("{n}", &count.to_string());
                let value = value.replace("{id}", &Uuid::new_v4().to_string());
                let value = value.replace("{host}", &asked.host);
                answer.headers.push(((*name).to_owned(), value));
                true
            }
            Act::AddMany(many) => {
                let more = (0..*many).map(|n| (format!("X-Ms-More-{n}"), format!("{count}-{n}")));
                answer.headers.extend(more);
                true
            }
            Act::Value(name, change) => {
                let mut is_done = false;
                for (known, value) in &mut answer.headers {
                    if known.eq_ignore_ascii_case(name) {
                        let changed = change(value);
                        is_done |= changed != *value;
                        *value = changed;
                    }
                }
                is_done
            }
            Act::Without(name) => answer.remove(name),
            Act::Split(name) => {
                let split = answer.header(name).unwrap_or_default().to_owned();
                if !split.contains(',') {
                    return false;
                }
                answer.remove(name);
                let parts = split
                    .split(',')
                    .map(|part| ((*name).to_owned(), part.trim().to_owned()));
                answer.headers.extend(parts);
                true
            }
            Act::Tags(before, after) => {
                let Some(tag) = answer.header("etag").map(str::to_owned) else {
                    return false;
                };
                answer.set("etag", format!("{before}{}{after}", tag.trim_matches('"')));
                true
            }
            Act::Absolute(name) => match answer.header(name).map(str::to_owned) {
                Some(path) if path.starts_with('/') => {
                    answer.set(name, format!("http://{}{path}", asked.host));
                    true
                }
                _ => false,
            },
            Act::RetryDate => {
                let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
                let now = answer
                    .header("date")
                    .and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
                let until = seconds.zip(now).and_then(|(seconds, now): (i64, Timestamp)| {
                    let until = now.checked_add(SignedDuration::from_secs(seconds)).ok()?;
                    DateTimePrinter::new().timestamp_to_rfc9110_string(&until).ok()
                });
                let Some(until) = until else { return false };
                answer.set("retry-after", until);
                true
            }
            Act::Reason(reason) => {
                (*reason).clone_into(&mut answer.reason);
                answer.status != 101
            }
            Act::Http10 => {
                if answer.status != 101 {
                    answer.version = "HTTP/1.0";
                }
                answer.status != 101
            }
            Act::Status(method, is_such, from, to) => {
                let is_meant = answer.status == *from && asked.method == *method && is_such(&asked.path);
                if is_meant {
                    answer.status = *to;
                    answer.reason = if *to == 200 { " OK".to_owned() } else { " ".to_owned() };
                }
                is_meant
            }
            Act::Body(statuses, body) => {
                let is_meant = statuses.contains(&answer.status) && !answer.is_json();
                if is_meant {
                    let (kind, text) = body.unwrap_or_default();
                    answer.body = text.replace("{n}", &count.to_string()).into();
                    answer.remove("content-type");
                    if !kind.is_empty() {
                        answer.set("content-type", kind);
                    }
                }
                is_meant
            }
            Act::NoHandle => {
                let asked_for: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
                let is_activity = asked_for.get("type").and_then(Value::as_str) == Some("activity");
                let is_meant = is_activity
                    && asked.method == "POST"
                    && asked.path.trim_end_matches('/').eq_ignore_ascii_case("/handles")
                    && answer.status < 300;
                if is_meant {
                    *json = None;
                    answer.body.clear();
                    answer.remove("content-type");
                }
                is_meant
            }
            Act::Lag => {
                let path = asked.path.split('?').next().unwrap_or_default().to_ascii_lowercase();
                let is_query = path.ends_with("/sessions") || path.ends_with("/batch") || path.ends_with("/query");
                if !is_query || answer.status != 200 {
                    return false;
                }
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                let before = known.insert(asked.key.clone(), answer.body.clone());
                let before = before.unwrap_or_else(|| br#"{"results":[]}"#.to_vec());
                let is_other = before != answer.body;
                *json = json.as_ref().and_then(|_| serde_json::from_slice(&before).ok());
                answer.body = before;
                is_other
            }
            Act::Turned => {
                let path = asked.path.split('?').next().unwrap_or_default().to_ascii_lowercase();
                let asked_for: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
                let is_free = path.ends_with("/sessions")
                    || path.ends_with("/handles/query")
                        && asked_for.get("type").and_then(Value::as_str) == Some("activity");
                match json.as_mut().and_then(|json| json.get_mut("results")) {
                    Some(Value::Array(results)) if is_free && results.len() > 1 => {
                        results.reverse();
                        true
                    }
                    _ => false,
                }
            }
            // What the bytes do is counted where they are written.
            Act::Names(_)
            | Act::Headers(_)
            | Act::Padding(..)
            | Act::Framing(_)
            | Act::Coding(_)
            | Act::Interim(_)
            | Act::Connection(_)
            | Act::Pieces(..)
            | Act::Delay(_)
            | Act::DelayBody(_)
            | Act::FramesLate(_)
            | Act::FramesMerged(_)
            | Act::Fragments(_)
            | Act::Pings
            | Act::Freedom(_) => false,
        }
    }

    /// The head of a response with the headers that it has.
    fn head(&self, answer: &Answer) -> Vec<u8> {
        let mut headers = answer.headers.clone();
        let (mut before, mut after) = (" ", "");
        for act in self.acts() {
            match act {
                Act::Names(letters) => {
                    for (name, _) in &mut headers {
                        *name = letters.write(name);
                    }
                }
                Act::Headers(order) => match order {
                    Order::Reverse => headers.reverse(),
                    Order::Sorted => headers.sort(),
                    Order::Rotated if !headers.is_empty() => headers.rotate_left(1),
                    Order::Rotated => {}
                },
                Act::Padding(left, right) => (before, after) = (left, right),
                _ => {}
            }
        }
        let mut head = format!("{} {}{}\r\n", answer.version, answer.status, answer.reason);
        for (name, value) in headers {
            let _ = write!(head, "{name}:{before}{value}{after}\r\n");
        }
        head.push_str("\r\n");
        self.touch(|act| matches!(act, Act::Names(_) | Act::Headers(_) | Act::Padding(..)));
        head.into_bytes()
    }

    /// Writes a response; whether the connection ends then.
    async fn write(
        &self,
        answer: &Answer,
        asked: &Asked,
        served: usize,
        to: &mut (impl AsyncWriteExt + Unpin),
    ) -> io::Result<bool> {
        let mut answer = answer.clone();
        let mut framing = Framing::Length;
        let (mut pieces, mut body_delay, mut closes) = (None, None, false);
        let has_body = answer.may_have_body() && asked.method != "HEAD";
        for act in self.acts() {
            match act {
                Act::Delay(ms) => {
                    self.touch(|act| matches!(act, Act::Delay(_)));
                    tokio::time::sleep(Duration::from_millis(*ms)).await;
                }
                Act::DelayBody(ms) => body_delay = Some(Duration::from_millis(*ms)),
                Act::Interim(text) => {
                    self.touch(|act| matches!(act, Act::Interim(_)));
                    to.write_all(text.as_bytes()).await?;
                }
                Act::Framing(other) => framing = *other,
                Act::Pieces(size, ms) => pieces = Some((*size, *ms)),
                Act::Coding(coding) if has_body && !answer.body.is_empty() => {
                    self.touch(|act| matches!(act, Act::Coding(_)));
                    let (name, body) = coding.encode(&answer.body)?;
                    answer.set("content-encoding", name);
                    answer.body = body;
                }
                Act::Connection(closing) => {
                    closes |= match closing {
                        Closing::Announced => {
                            answer.set("connection", "close");
                            true
                        }
                        Closing::Silent => true,
                        Closing::After(many) => served >= *many,
                        Closing::Idle(_) => false,
                    };
                    if closes {
                        self.touch(|act| matches!(act, Act::Connection(_)));
                    }
                }
                _ => {}
            }
        }
        answer.remove("transfer-encoding");
        if asked.method != "HEAD" {
            answer.remove("content-length");
        }
        let mut body = Vec::new();
        if has_body {
            body = std::mem::take(&mut answer.body);
            match framing {
                Framing::Length => answer.set("content-length", body.len().to_string()),
                Framing::Chunks(size, extension, trailer, name) => {
                    answer.set("transfer-encoding", name);
                    body = chunks(&body, size, extension, trailer);
                }
                Framing::UntilClose => closes = true,
            }
            self.touch(|act| matches!(act, Act::Framing(_)));
        }
        let head = self.head(&answer);
        match (pieces, body_delay) {
            (Some((size, ms)), _) => {
                self.touch(|act| matches!(act, Act::Pieces(..)));
                let whole = [head, body].concat();
                let (first, rest) = whole.split_at(whole.len().min(size.saturating_mul(PIECES)));
                for piece in first.chunks(size).chain(std::iter::once(rest)) {
                    to.write_all(piece).await?;
                    to.flush().await?;
                    if ms > 0 {
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                    } else {
                        tokio::task::yield_now().await;
                    }
                }
            }
            (None, Some(delay)) => {
                self.touch(|act| matches!(act, Act::DelayBody(_)));
                to.write_all(&head).await?;
                to.flush().await?;
                tokio::time::sleep(delay).await;
                to.write_all(&body).await?;
            }
            (None, None) => to.write_all(&[head, body].concat()).await?,
        }
        to.flush().await?;
        Ok(closes)
    }
}

fn chunks(body: &[u8], size: usize, extension: &str, trailer: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(format!("0{extension}\r\n{trailer}\r\n").into_bytes());
    out
}

impl Letters {
    fn write(self, name: &str) -> String {
        match self {
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
            Self::Title => {
                let mut is_first = true;
                let letter = |letter: char| {
                    let written = if is_first { letter.to_ascii_uppercase() } else { letter };
                    is_first = letter == '-';
                    written
                };
                name.chars().map(letter).collect()
            }
            Self::Mixed => {
                let letter = |(place, letter): (usize, char)| {
                    if place % 2 == 0 {
                        letter.to_ascii_lowercase()
                    } else {
                        letter.to_ascii_uppercase()
                    }
                };
                name.chars().enumerate().map(letter).collect()
            }
        }
    }
}

impl Coding {
    fn encode(self, body: &[u8]) -> io::Result<(&'static str, Vec<u8>)> {
        Ok(match self {
            Self::Gzip | Self::XGzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                let name = if matches!(self, Self::Gzip) { "gzip" } else { "x-gzip" };
                (name, encoder.finish()?)
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                ("deflate", encoder.finish()?)
            }
            Self::Identity => ("identity", body.to_vec()),
        })
    }
}
