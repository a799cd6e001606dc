//! Writing a HAR, entry by entry: the file is whole after each of them.

use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::contract::disk::Replacement;
use crate::traffic::proxy::Copy;
use crate::traffic::redaction::Redaction;
use crate::traffic::{Message, Passed, header};
use crate::wire::coding;

/// The longest body that is written decompressed, in bytes.
const LONGEST: usize = 16 << 20;
/// What every file ends with.
const TAIL: &str = "\n]}}\n";

/// A HAR that is being written.
#[derive(Debug)]
pub struct Writer {
    replacement: Replacement,
    /// Where the next entry goes.
    end: u64,
    count: usize,
}

impl Writer {
    /// Begins a file beside the one that it replaces, which stays as it is until an exchange was added.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut replacement = Replacement::begin(path)?;
        let mut file = replacement.file();
        let creator = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
        let head = format!("{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[");
        file.write_all(head.as_bytes())?;
        file.write_all(TAIL.as_bytes())?;
        drop(file);
        Ok(Self {
            replacement,
            end: head.len() as u64,
            count: 0,
        })
    }

    /// Adds an exchange; without a redaction, secrets are written as they were.
    pub fn add(&mut self, copy: &Copy, redaction: Option<&mut Redaction>) -> io::Result<()> {
        let entry = entry(copy, redaction);
        let separator = if self.count == 0 { "\n" } else { ",\n" };
        let text = format!("{separator}{entry}");
        let mut file = self.replacement.file();
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(format!("{text}{TAIL}").as_bytes())?;
        drop(file);
        self.end += text.len() as u64;
        self.count += 1;
        self.replacement.publish()
    }

    /// How many entries it has.
    pub fn count(&self) -> usize {
        self.count
    }
}

fn entry(copy: &Copy, redaction: Option<&mut Redaction>) -> Value {
    let mut passed = copy.passed.clone();
    let mut notes: Vec<String> = Vec::new();
    let gaps = [
        ("the request's body", copy.request_gap),
        ("the response's body", copy.response_gap),
        ("the socket", copy.messages_gap),
    ];
    notes.extend(
        gaps.iter()
            .filter_map(|(what, gap)| Some(format!("{what}: {}", (*gap)?))),
    );
    notes.extend(
        copy.failure
            .iter()
            .map(|reason| format!("no response from the target: {reason}")),
    );
    let wire = passed.response.body.len();
    if let Some(coding) = header(&passed.response.headers, "content-encoding")
        && let Ok(body) = coding::decode(coding, &passed.response.body, LONGEST)
    {
        passed.response.body = body.into();
    }
    if let Some(redaction) = redaction {
        redact(&mut passed, redaction);
    }
    let Passed {
        request,
        response,
        messages,
        origin,
        ..
    } = &passed;
    let started = passed
        .started
        .map_or_else(String::new, |started| format!("{started:.6}"));
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        json!({ "name": name, "value": value })
    });
    let mut told = json!({
        "startedDateTime": started,
        "time": passed.milliseconds,
        "request": {
            "method": request.method,
            "url": format!("{origin}{}", request.path),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": pairs(&request.headers),
            "queryString": query.collect::<Vec<_>>(),
            "headersSize": -1,
            "bodySize": request.body.as_ref().map_or(0, bytes::Bytes::len),
        },
        "response": {
            "status": if copy.failure.is_some() { 0 } else { response.status },
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": pairs(&response.headers),
            "content": content(&response.body, header(&response.headers, "content-type")),
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": wire,
        },
        "cache": {},
        "timings": { "send": 0, "wait": passed.milliseconds, "receive": 0 },
    });
    if let Some(body) = &request.body {
        let kind = header(&request.headers, "content-type").unwrap_or_default();
        told["request"]["postData"] = match std::str::from_utf8(body) {
            Ok(text) => json!({ "mimeType": kind, "params": [], "text": text }),
            Err(_) => json!({ "mimeType": kind, "params": [], "text": STANDARD.encode(body), "_encoding": "base64" }),
        };
    }
    if passed.is_socket() {
        told["_resourceType"] = "websocket".into();
        told["_webSocketMessages"] = messages.iter().map(message).collect();
    }
    if !notes.is_empty() {
        told["comment"] = notes.join("; ").into();
    }
    told
}

fn redact(passed: &mut Passed, redaction: &mut Redaction) {
    passed.request.headers = redaction.headers(&passed.request.headers);
    passed.response.headers = redaction.headers(&passed.response.headers);
    passed.request.path = redaction.path(&passed.request.path);
    passed.request.body = passed.request.body.take().map(|body| redaction.body(&body).into());
    passed.response.body = redaction.body(&passed.response.body).into();
    for message in &mut passed.messages {
        message.text = message.text.take().map(|text| redaction.message(&text));
    }
}

fn pairs(headers: &[(String, String)]) -> Vec<Value> {
    headers
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn content(body: &[u8], kind: Option<&str>) -> Value {
    let mut content = json!({ "size": body.len(), "mimeType": kind.unwrap_or("") });
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(text) => content["text"] = text.into(),
        Err(_) => {
            content["text"] = STANDARD.encode(body).into();
            content["encoding"] = "base64".into();
        }
    }
    content
}

fn message(message: &Message) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of this century fit")]
    let seconds = message.at.map_or(0.0, |at| at.as_microsecond() as f64 / 1e6);
    json!({
        "type": if message.is_sent { "send" } else { "receive" },
        "time": seconds,
        "opcode": if message.text.is_some() { 1 } else { 2 },
        "data": message.text.as_deref().unwrap_or_default(),
    })
}
