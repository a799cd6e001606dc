//! Reading a HAR: entry by entry, so that only what is about MPSD is kept.
//!
//! Tools differ in what they leave out, so all that can be done without is optional; what is there must have its type.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_path_to_error::{Segment, Track};
use thiserror::Error;

use crate::contract::schemas::Schemas;
use crate::traffic::{Message, Passed, contract_path, header};
use crate::wire::coding;
use crate::wire::message::{WireRequest, WireResponse};

/// The longest body that is kept, in bytes, after it was decompressed.
pub const LONGEST: usize = 16 << 20;
/// How much MPSD traffic is kept of one file, in bytes.
const MOST: usize = 256 << 20;

/// The MPSD traffic of a file.
#[derive(Debug, Default)]
pub struct Capture {
    /// What is about MPSD, in the order of time.
    pub passed: Vec<Passed>,
    /// How many entries the file has.
    pub entries: usize,
    /// How many entries were left out, and why.
    pub skipped: BTreeMap<Skipped, usize>,
    /// How many entries were kept without the body of their answer, which was not captured.
    pub hollow: usize,
    /// What is odd about entries that were kept, by their place.
    pub remarks: Vec<(usize, String)>,
}

/// Why an entry is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// It is about something else.
    Foreign,
    /// It opens a tunnel.
    Tunnel,
    /// A browser asks whether it may ask.
    Preflight,
    /// No answer came.
    Unanswered,
    /// The service asked to come back later.
    Throttled,
    /// The body of the request was not captured.
    Bodiless,
    /// The client was sent elsewhere, and went.
    Redirect,
    /// The browser answered it from its cache.
    Cached,
    /// The same entry is there already.
    Repeated,
    /// It is not what HAR 1.2 has for an entry.
    Odd,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "not an MPSD request",
            Self::Tunnel => "a tunnel (CONNECT)",
            Self::Preflight => "a CORS preflight",
            Self::Unanswered => "without a response",
            Self::Throttled => "throttled (429 or 503 with Retry-After)",
            Self::Bodiless => "without a request body",
            Self::Redirect => "a redirect",
            Self::Cached => "from the browser's cache",
            Self::Repeated => "a duplicate",
            Self::Odd => "malformed (not an entry of HAR 1.2)",
        })
    }
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct HarError {
    line: usize,
    column: usize,
    /// A JSON Pointer to what is wrong; empty when the whole file is.
    pub pointer: String,
    message: String,
    /// What to do about it.
    pub advice: &'static str,
}

const EXPORT: &str = "export the capture again as HAR 1.2 with content";

impl HarError {
    /// Line and column, from 1.
    pub fn line_column(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    fn new(message: String, advice: &'static str) -> Self {
        Self {
            line: 1,
            column: 1,
            pointer: String::new(),
            message,
            advice,
        }
    }
}

/// Reads a HAR; `attached` gives the files beside it that hold bodies, if it has some.
pub fn read(
    mut input: impl BufRead,
    schemas: &Schemas,
    attached: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Capture, HarError> {
    let start = input.fill_buf().map_err(|error| {
        let message = format!("cannot be read: {error}");
        HarError::new(message, "name a HAR file")
    })?;
    let mark = if start.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 };
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(HarError::new("the file is UTF-16".to_owned(), "save it as UTF-8"));
    }
    if start.starts_with(&[0x1F, 0x8B]) || start.starts_with(b"PK") {
        return Err(HarError::new(
            "the file is a compressed archive".to_owned(),
            "unpack it and import the `.har` file in it",
        ));
    }
    input.consume(mark);
    let mut capture = Capture::default();
    let mut kept = 0;
    let mut known = HashSet::new();
    let mut keep = |entry: Value| -> Result<(), String> {
        let place = capture.entries;
        capture.entries += 1;
        let is_foreign = is_foreign(schemas, &entry);
        let entry: Entry = match serde_path_to_error::deserialize(entry) {
            Ok(entry) => entry,
            // One that is odd is no reason to leave out the others.
            Err(error) => {
                let reason = if is_foreign { Skipped::Foreign } else { Skipped::Odd };
                if reason == Skipped::Odd {
                    let told = explain(error.inner(), error.path());
                    capture
                        .remarks
                        .push((place, format!("left out: {}: {}", told.pointer, told.message)));
                }
                *capture.skipped.entry(reason).or_default() += 1;
                return Ok(());
            }
        };
        let mut reader = Reader {
            place,
            schemas,
            attached,
            remarks: &mut capture.remarks,
        };
        match reader.passed(entry) {
            Ok((passed, _)) if passed.started.is_some() && !known.insert(passed.trace()) => {
                *capture.skipped.entry(Skipped::Repeated).or_default() += 1;
            }
            Ok((passed, is_hollow)) => {
                capture.hollow += usize::from(is_hollow);
                kept += passed.size();
                if kept > MOST {
                    return Err(format!("more than {} MiB of MPSD traffic", MOST >> 20));
                }
                capture.passed.push(passed);
            }
            Err(reason) => *capture.skipped.entry(reason).or_default() += 1,
        }
        Ok(())
    };
    let mut json = serde_json::Deserializer::from_reader(input);
    let mut track = Track::new();
    let read = Root(&mut keep).deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let read = read.and_then(|()| json.end());
    if let Err(error) = read {
        return Err(explain(&error, &track.path()));
    }
    // Tools write entries when they end; those without a time stay with the one before.
    let mut last = capture.passed.iter().find_map(|passed| passed.started);
    for passed in &mut capture.passed {
        passed.started = passed.started.or(last);
        last = passed.started;
    }
    capture.passed.sort_by_key(|passed| passed.started);
    Ok(capture)
}

/// Whether an entry names a URL that is not of the contract, or none.
fn is_foreign(schemas: &Schemas, entry: &Value) -> bool {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let method = text("/request/method").unwrap_or("GET");
    let path = text("/request/url").and_then(split);
    path.is_none_or(|(_, whole)| contract_path(schemas, method, whole, &[]).is_none())
}

fn explain(error: &serde_json::Error, path: &serde_path_to_error::Path) -> HarError {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => _ = write!(pointer, "/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    let told = error.to_string();
    let told = told.split(" at line ").next().unwrap_or_default();
    // The parser quotes what it found, and a capture holds secrets.
    let message = match (told.find(": string \""), told.rfind("\", expected ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}: a string, {}", &told[..start], &told[end + 3..])
        }
        _ => told.to_owned(),
    };
    let message = if error.is_data() {
        message
    } else {
        format!("not JSON: {message}")
    };
    let advice = if error.is_eof() {
        "the file is truncated; export the capture again"
    } else if error.is_syntax() {
        "export the capture as HAR, for example with `Save all as HAR`"
    } else if message.starts_with("more than") {
        "filter the capture in the tool that made it and import the parts"
    } else {
        EXPORT
    };
    HarError {
        line: error.line().max(1),
        column: error.column().max(1),
        pointer,
        message,
        advice,
    }
}

/// What is done with each entry.
type Keep<'k> = dyn FnMut(Value) -> Result<(), String> + 'k;

/// The root of the file, of which only `log.entries` matters.
struct Root<'k, 's>(&'s mut Keep<'k>);

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `log`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "log" {
                is_found = true;
                map.next_value_seed(Log(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if is_found {
            Ok(())
        } else {
            Err(de::Error::missing_field("log"))
        }
    }
}

struct Log<'k, 's>(&'s mut Keep<'k>);

impl<'de> DeserializeSeed<'de> for Log<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Log<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `entries`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" {
                is_found = true;
                map.next_value_seed(Entries(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if is_found {
            Ok(())
        } else {
            Err(de::Error::missing_field("entries"))
        }
    }
}

struct Entries<'k, 's>(&'s mut Keep<'k>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Value>()? {
            (self.0)(entry).map_err(de::Error::custom)?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: Option<String>,
    time: Option<f64>,
    request: Request,
    response: Option<Response>,
    #[serde(rename = "_webSocketMessages")]
    messages: Option<Vec<SocketMessage>>,
    #[serde(rename = "_fromCache")]
    cache: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    headers: Option<Vec<Pair>>,
    post_data: Option<PostData>,
    body_size: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    text: Option<String>,
    #[serde(alias = "_encoding")]
    encoding: Option<String>,
    #[serde(rename = "_file")]
    file: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    status: Option<f64>,
    headers: Option<Vec<Pair>>,
    content: Option<Content>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text: Option<String>,
    encoding: Option<String>,
    mime_type: Option<String>,
    size: Option<f64>,
    #[serde(rename = "_file")]
    file: Option<String>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct SocketMessage {
    #[serde(rename = "type")]
    direction: Option<String>,
    time: Option<f64>,
    opcode: Option<f64>,
    data: Option<String>,
}

/// Reads one entry.
struct Reader<'r> {
    place: usize,
    schemas: &'r Schemas,
    attached: &'r dyn Fn(&str) -> Option<Vec<u8>>,
    remarks: &'r mut Vec<(usize, String)>,
}

impl Reader<'_> {
    /// What is kept of an entry, and whether it lacks the body of its answer; or why it is left out.
    fn passed(&mut self, entry: Entry) -> Result<(Passed, bool), Skipped> {
        let method = entry.request.method;
        if method.eq_ignore_ascii_case("CONNECT") {
            return Err(Skipped::Tunnel);
        }
        let request_headers = pairs(entry.request.headers);
        let Some((origin, whole)) = split(&entry.request.url) else {
            return Err(Skipped::Foreign);
        };
        let Some(path) = contract_path(self.schemas, &method, whole, &request_headers) else {
            return Err(Skipped::Foreign);
        };
        if method == "OPTIONS" && header(&request_headers, "access-control-request-method").is_some() {
            return Err(Skipped::Preflight);
        }
        if entry.cache.is_some() {
            return Err(Skipped::Cached);
        }
        let Some(response) = entry.response else {
            return Err(Skipped::Unanswered);
        };
        let status = whole_number(response.status).and_then(|status| u16::try_from(status).ok());
        let Some(status) = status.filter(|status| (100..600).contains(status)) else {
            return Err(Skipped::Unanswered);
        };
        let mut headers = pairs(response.headers);
        if matches!(status, 429 | 503) && header(&headers, "retry-after").is_some() {
            return Err(Skipped::Throttled);
        }
        if matches!(status, 301..=303 | 307 | 308) && header(&headers, "location").is_some() {
            return Err(Skipped::Redirect);
        }
        let length = header(&request_headers, "content-length").and_then(|length| length.trim().parse().ok());
        let size = entry.request.body_size.filter(|size| *size >= 0.0).or(length);
        let mut sent = entry.request.post_data.unwrap_or_default();
        let body = match self.attachment(sent.file.take()) {
            Some(body) => body,
            None => self.unpack("request", sent.text, sent.encoding, &request_headers),
        };
        if body.is_empty() && size.is_some_and(|size| size > 0.0) {
            return Err(Skipped::Bodiless);
        }
        let mut content = response.content.unwrap_or_default();
        // What tools write where there is none has no slash.
        if let (None, Some(kind)) = (header(&headers, "content-type"), content.mime_type)
            && kind.contains('/')
        {
            headers.push(("Content-Type".to_owned(), kind));
        }
        let file = self.attachment(content.file.take());
        let mut messages = entry.messages.unwrap_or_default();
        let answer = match file {
            Some(lines) if status == 101 => {
                messages.extend(
                    lines
                        .split(|byte| *byte == b'\n')
                        .filter_map(|line| serde_json::from_slice(line).ok()),
                );
                Bytes::new()
            }
            Some(body) => body,
            None => self.unpack("answer", content.text, content.encoding, &headers),
        };
        let may_have_one = !matches!(method.as_str(), "HEAD" | "CONNECT") && !matches!(status, 101 | 204 | 304);
        let is_hollow = may_have_one && answer.is_empty() && content.size.is_some_and(|size| size > 0.0);
        let passed = Passed {
            place: self.place,
            started: entry.started_date_time.and_then(|text| moment(&text)),
            milliseconds: entry.time.unwrap_or_default(),
            origin: origin.to_owned(),
            request: WireRequest {
                path: path.to_owned(),
                method,
                headers: request_headers,
                body: Some(body).filter(|body| !body.is_empty()),
            },
            response: WireResponse {
                status,
                headers,
                body: answer,
                ..WireResponse::default()
            },
            messages: messages.into_iter().filter_map(SocketMessage::read).collect(),
        };
        Ok((passed, is_hollow))
    }

    /// A body in a file of its own; a path to elsewhere is none.
    fn attachment(&mut self, name: Option<String>) -> Option<Bytes> {
        let name = name?;
        let body = (self.attached)(&name);
        if body.is_none() {
            self.remarks
                .push((self.place, format!("missing file `{name}` with a body")));
        }
        body.map(Bytes::from)
    }

    /// The bytes of a body: out of base64 and its chunks, and decompressed where the tool did not do it.
    fn unpack(
        &mut self,
        whose: &str,
        text: Option<String>,
        encoding: Option<String>,
        headers: &[(String, String)],
    ) -> Bytes {
        let text = text.unwrap_or_default();
        let is_packed = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"));
        if !is_packed {
            return Bytes::from(text);
        }
        let mut remark = |told: String| self.remarks.push((self.place, format!("the {whose}'s body: {told}")));
        let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let mut bytes = match STANDARD.decode(&compact) {
            Ok(bytes) => bytes,
            Err(error) => {
                remark(format!(
                    "declared as base64 but not valid base64 ({error}); read as text"
                ));
                return Bytes::from(text);
            }
        };
        let is_chunked = header(headers, "transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        if let Some(whole) = coding::unchunk(&bytes).filter(|_| is_chunked) {
            bytes = whole;
        }
        let Some(coding) = header(headers, "content-encoding") else {
            return bytes.into();
        };
        match coding::decode(coding, &bytes, LONGEST) {
            Ok(decoded) => decoded.into(),
            // Most tools decompress before they write, and leave the header as it was.
            Err(_) if std::str::from_utf8(&bytes).is_ok() => bytes.into(),
            Err(reason) => {
                remark(format!("{reason}; left out"));
                Bytes::new()
            }
        }
    }
}

impl SocketMessage {
    fn read(self) -> Option<Message> {
        let is_text = self.opcode.is_none_or(|opcode| (opcode - 1.0).abs() < f64::EPSILON);
        Some(Message {
            is_sent: match self.direction?.as_str() {
                "send" | "sent" => true,
                "receive" | "received" => false,
                _ => return None,
            },
            at: self.time.and_then(seconds),
            text: self.data.filter(|_| is_text),
        })
    }
}

impl Passed {
    /// What tells it from all others, but for its place.
    fn trace(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let (request, response) = (&self.request, &self.response);
        let time = (self.started.map(Timestamp::as_nanosecond), self.milliseconds.to_bits());
        (time, &self.origin, &request.method, &request.path).hash(&mut hasher);
        (&request.headers, &request.body, response.status, &response.body).hash(&mut hasher);
        hasher.finish()
    }

    fn size(&self) -> usize {
        let sent = self.request.body.as_ref().map_or(0, Bytes::len);
        let messages: usize = self
            .messages
            .iter()
            .filter_map(|message| message.text.as_ref())
            .map(String::len)
            .sum();
        sent + self.response.body.len() + messages + 1024
    }
}

/// When something was sent; what lies before the protocol is how some tools say that they do not know.
fn moment(text: &str) -> Option<Timestamp> {
    let moment: Timestamp = text.trim().parse().ok()?;
    Some(moment).filter(|moment| moment.as_second() > 0)
}

/// A point in time given as seconds since 1970, with a fraction; some tools mean milliseconds.
fn seconds(seconds: f64) -> Option<Timestamp> {
    let seconds = if seconds > 1e11 { seconds / 1000.0 } else { seconds };
    if !seconds.is_finite() || seconds.abs() > 1e11 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let micros = (seconds * 1e6) as i64;
    Timestamp::from_microsecond(micros).ok()
}

fn whole_number(number: Option<f64>) -> Option<u32> {
    let number = number?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    let whole = (number.is_finite() && (0.0..1e6).contains(&number)).then_some(number as u32);
    whole
}

/// Names and values; what HTTP/2 calls pseudo headers is said elsewhere.
fn pairs(headers: Option<Vec<Pair>>) -> Vec<(String, String)> {
    let pairs = headers.unwrap_or_default().into_iter();
    pairs
        .filter(|pair| !pair.name.starts_with(':') && !pair.name.is_empty())
        .map(|pair| (pair.name, pair.value.unwrap_or_default()))
        .collect()
}

/// Splits a URL into its origin and its path with the query, byte for byte.
fn split(url: &str) -> Option<(&str, &str)> {
    let scheme = url.find("://")? + 3;
    let path = url
        .get(scheme..)?
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| at + scheme);
    let (origin, rest) = url.split_at(path);
    let rest = rest.split('#').next().unwrap_or_default();
    Some((origin, rest))
}
