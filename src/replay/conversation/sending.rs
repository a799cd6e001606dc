//! What a conversation sends: requests, frames, and what it opens for them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::contract::case::{Action, Body, Request, Step, variable};
use crate::contract::json::document::Document;
use crate::replay::assertion::Assertion;
use crate::replay::conversation::{Conversation, Stop};
use crate::replay::judge::Failure;
use crate::replay::label::{Part, StepLabel};
use crate::replay::matching;
use crate::replay::scope::Speaker;
use crate::replay::verdict::Exchange;
use crate::target::SocketKey;
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::socket::{Offer, Opened, PROTOCOL_HEADER};
use crate::wire::transport::Patience;

/// Where a socket opens unless a case says otherwise.
const CONNECT: &str = "/connect";
/// The schema of what comes over a socket.
const FRAME_SCHEMA: &str = "realtime-frame";

impl<'a> Conversation<'a> {
    /// Reads a session for `unchanged`; the exchange's index.
    pub(super) async fn observe(&mut self, path: &str, label: StepLabel) -> Result<usize, Stop> {
        let request = Request::bare(&self.script.observer, "GET", path.to_owned());
        self.send(&request, label).await
    }

    pub(super) async fn send(&mut self, request: &Request, label: StepLabel) -> Result<usize, Stop> {
        let speaker = Speaker {
            name: &request.speaker,
            copy: 1,
        };
        let mut wire = self.wire_request(request, speaker)?;
        let transport = &self.replay.transport;
        let response = transport.deliver(&request.speaker, &mut wire, self.patience()).await?;
        // Whatever else has come is read first: answers are judged faster one after the other than each between two reads.
        tokio::task::yield_now().await;
        self.record(label, &request.speaker, wire, response)?;
        Ok(self.exchanges.len() - 1)
    }

    pub(super) async fn send_together(&mut self, requests: &[Request], label: StepLabel) -> Result<(), Stop> {
        let mut wires: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| {
                let speaker = Speaker {
                    name: &request.speaker,
                    copy: index + 1,
                };
                self.wire_request(request, speaker)
            })
            .collect::<Result<_, _>>()?;
        let patience = self.patience();
        let deliveries = requests
            .iter()
            .zip(&mut wires)
            .map(|(request, wire)| self.replay.transport.deliver(&request.speaker, wire, patience));
        let responses = join_all(deliveries).await;
        for (index, ((request, wire), response)) in requests.iter().zip(wires).zip(responses).enumerate() {
            let response = response?;
            self.record(label.with(Part::Copy(index + 1)), &request.speaker, wire, response)?;
        }
        Ok(())
    }

    /// Opens a real-time socket; what comes of it is recorded like any answer. Tells what is wrong with a handshake that a
    /// client cannot take.
    pub(super) async fn open(
        &mut self,
        name: &'a str,
        step: &Step,
        request: &Request,
        label: StepLabel,
    ) -> Result<Option<String>, Stop> {
        let speaker = Speaker {
            name: &request.speaker,
            copy: 1,
        };
        let mut wire = self.wire_request(request, speaker)?;
        // Where the run moves the time, nothing on the socket is to be held back in real time.
        if let Some(header) = &self.replay.target.advance_header
            && self.advance == 0
        {
            wire.headers.push((header.clone(), "0".to_owned()));
        }
        let is_left_out = request
            .headers
            .iter()
            .any(|(name, values)| values.is_empty() && name.eq_ignore_ascii_case(PROTOCOL_HEADER));
        let offer = if is_left_out { Offer::Nothing } else { Offer::Protocol };
        let transport = &self.replay.transport;
        // What is shown and recorded is the same with either key.
        let shown = if self.opens_by_nonce(step, request) {
            let ask = Request::bare(&request.speaker, "GET", "/nonce".to_owned());
            let mut ask = self.wire_request(&ask, speaker)?;
            let response = transport.deliver(&request.speaker, &mut ask, self.patience()).await?;
            let body: Option<Value> = serde_json::from_slice(&response.body).ok();
            let Some(nonce) = body.as_ref().and_then(|body| body.get("nonce")?.as_str()) else {
                let broken = format!("GET /nonce returned {} without a nonce", response.status);
                self.record(label, &request.speaker, ask, response)?;
                return Ok(Some(broken));
            };
            let shown = wire.clone();
            wire.path = format!("{CONNECT}?nonce={}", encoded(nonce));
            wire.headers
                .retain(|(name, _)| !name.eq_ignore_ascii_case(AUTHORIZATION.as_str()));
            Some(shown)
        } else {
            None
        };
        let (socket, response) = transport
            .open(&request.speaker, &mut wire, offer, self.patience())
            .await?;
        self.record(label, &request.speaker, shown.unwrap_or(wire), response)?;
        match socket {
            Opened::Open(socket) => {
                self.sockets.insert(name, socket);
                Ok(None)
            }
            Opened::Refused => Ok(None),
            Opened::Broken(broken) => Ok(Some(broken)),
        }
    }

    /// Whether a nonce stands for the token: where the target wants that, and the case says nothing of how the socket opens,
    /// only that it does.
    fn opens_by_nonce(&self, step: &Step, request: &Request) -> bool {
        let status = step.expect.as_ref().and_then(|expectation| expectation.status.as_ref());
        self.replay.target.sockets == SocketKey::Nonce
            && request.path == CONNECT
            && !request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION.as_str()))
            && status.is_some_and(|status| status.contains(101))
    }

    /// Sends a frame, and waits for the one that the step expects.
    pub(super) async fn frame(
        &mut self,
        step: &'a Step,
        name: &str,
        frame: Option<&Value>,
        label: StepLabel,
    ) -> Result<(), Stop> {
        let speaker = Speaker { name: "", copy: 1 };
        let Some(mut socket) = self.sockets.remove(name) else {
            return Err(Stop::Inconclusive(format!("the socket `{name}` is not open")));
        };
        let mut wire = WireRequest {
            method: "FRAME".to_owned(),
            path: name.to_owned(),
            ..WireRequest::default()
        };
        if let Some(frame) = frame {
            let frame = variable::generate(&self.variables.json(frame, speaker)).into_owned();
            self.filled()?;
            wire.body = Some(Bytes::from(match &frame {
                Value::String(text) => text.clone(),
                json => json.to_string(),
            }));
            socket.send(&frame).await?;
        }
        let mut failure = None;
        let mut received = None;
        if let Some(expectation) = &step.expect {
            if let Some(matcher) = &expectation.body {
                let matcher = self.variables.matcher(matcher, speaker);
                let limit = step
                    .within
                    .map_or(self.replay.options.frame_limit, Duration::from_millis);
                match socket.expect(|frame| matcher.fits(Some(frame)), limit).await {
                    Ok(frame) => received = Some(frame),
                    // A connection that breaks with the whole target says nothing of frames.
                    Err(frames)
                        if frames.contains(&json!({ "closed": null })) && !self.replay.transport.is_there().await =>
                    {
                        let reason = "the socket broke, and the target is no longer reachable";
                        return Err(Stop::Inconclusive(reason.to_owned()));
                    }
                    Err(frames) => {
                        failure = Some(Failure {
                            assertion: Assertion::Frame,
                            expected: matching::show(Some(matcher.written())),
                            actual: matching::show(Some(&Value::Array(frames))),
                            pointer: format!("{}/body", expectation.pointer),
                        });
                    }
                }
            }
            if let Some(matcher) = &expectation.none {
                let matcher = self.variables.matcher(matcher, speaker);
                let fits = |frame: &Value| matcher.fits(Some(frame));
                if let Some(frame) = socket.frames().into_iter().find(fits) {
                    failure = Some(Failure {
                        assertion: Assertion::NoFrame,
                        expected: format!("no frame like {}", matching::show(Some(matcher.written()))),
                        actual: matching::show(Some(&frame)),
                        pointer: format!("{}/none", expectation.pointer),
                    });
                }
            }
        }
        let body = received
            .as_ref()
            .map(|frame| Bytes::from(frame.to_string()))
            .unwrap_or_default();
        let json = received.as_ref().map(|frame| Arc::new(Document::from(frame)));
        if let Some(json) = &json {
            let schemas = self.replay.suite.schemas();
            schemas.note_names(FRAME_SCHEMA, self.variant.version, json);
        }
        let opened = self.script.steps().find_map(|step| match &step.action {
            Action::Open(open, request) if open == name => Some((open.as_str(), request.speaker.clone())),
            _ => None,
        });
        let (name, speaker) = opened.unwrap_or_default();
        self.exchanges.push(Exchange {
            label,
            speaker,
            request: wire,
            response: WireResponse {
                body,
                ..WireResponse::default()
            },
            schema: received.is_some().then(|| FRAME_SCHEMA.to_owned()),
            json,
            unread: None,
            request_schema: None,
        });
        self.sockets.insert(name, socket);
        if let Some(failure) = failure {
            self.add(step, step.expect.as_ref(), self.exchanges.len() - 1, failure);
        }
        Ok(())
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            expects_throttling: self.case.needs.iter().any(|need| need == "rate-limits"),
            pauses: self.replay.options.case_limit / 2,
        }
    }

    /// An error if a variable had no value since this was last asked; nothing that was made with it is sent or judged by.
    pub(super) fn filled(&self) -> Result<(), Stop> {
        self.variables
            .take_unfilled()
            .map_or(Ok(()), |name| Err(Stop::Unfilled(name)))
    }

    pub(super) fn wire_request(&self, request: &Request, speaker: Speaker<'_>) -> Result<WireRequest, Stop> {
        let variables = &self.variables;
        let body = match &request.body {
            Body::None => None,
            Body::Json(value) => Some(request.fixed().cloned().unwrap_or_else(|| {
                let value = variables.resolve(value, speaker);
                Bytes::from(variable::generate(&value).to_string())
            })),
            Body::Text(value) => {
                let value = variables.json(value, speaker);
                Some(match variable::generate(&value) {
                    Cow::Owned(Value::String(text)) => Bytes::from(text),
                    Cow::Borrowed(Value::String(text)) => Bytes::from(text.clone()),
                    other => Bytes::from(other.to_string()),
                })
            }
            Body::Bytes(bytes) => Some(Bytes::from(bytes.clone())),
        };
        let mut headers = vec![("X-Xbl-Contract-Version".to_owned(), self.variant.version.to_string())];
        if body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        match (speaker.name, self.replay.target.identities.get(speaker.name)) {
            ("unknown", _) => headers.push(("Authorization".to_owned(), self.replay.transport.canary().to_owned())),
            (_, Some(identity)) => headers.extend(identity.headers()),
            _ => {}
        }
        if let Some(header) = &self.replay.target.advance_header
            && self.advance > 0
        {
            headers.push((header.clone(), self.advance.to_string()));
        }
        for (name, values) in &request.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.extend(
                values
                    .iter()
                    .map(|value| (name.clone(), variables.text(value, speaker))),
            );
        }
        let path = variables.text(&request.path, speaker);
        if let Some(variable) = variables.take_unseen() {
            return Err(Stop::Inconclusive(format!("no response contained `{{{variable}}}`")));
        }
        let wire = WireRequest {
            method: request.method.clone(),
            path: local(path),
            headers,
            body,
        };
        self.filled().map(|()| wire)
    }
}

/// The path of a location that names a host: a service may have several, and any of them will do.
fn local(path: String) -> String {
    let after = path.strip_prefix("https://").or_else(|| path.strip_prefix("http://"));
    match after {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned(),
        None => path,
    }
}

/// A text as part of a query.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let part = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(part).collect()
}
