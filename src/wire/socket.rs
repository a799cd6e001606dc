//! Real-time sockets: opened, written to, and listened to while the conversation goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::Builder;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::contract::json::document::Document;
use crate::wire::client::{self, Client, MAX_HEAD, MAX_HEADERS};
use crate::wire::error::WireError;
use crate::wire::message::{WireResponse, redact_text, texts};
use crate::wire::secrets::Secrets;

/// The sub-protocol of the real-time service (RTA-001).
const PROTOCOL: &str = "rta.xboxlive.com.V2";

/// The header that offers it.
pub(crate) const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";

/// The most frames that are kept of a socket.
const MAX_FRAMES: usize = 10_000;

/// How long the answer to a goodbye is waited for.
const GOODBYE: Duration = Duration::from_secs(1);

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    sink: SplitSink<WebSocketStream<TokioIo<Upgraded>>, Message>,
    inbox: Arc<Inbox>,
    reader: tokio::task::AbortHandle,
}

/// How much is read from a socket at a time: frames are short, and every socket has its buffer from the start.
const BUFFER_BYTES: usize = 4 << 10;

/// What a handshake offers beside the headers that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// The sub-protocol, unless the headers name one.
    Protocol,
    /// Nothing: the step leaves the sub-protocol out.
    Nothing,
}

/// What comes of opening a socket.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It is open.
    Open(Socket),
    /// The target answers with a status.
    Refused,
    /// The target switches protocols, but not as the handshake asks.
    Broken(String),
}

/// What came in and was not yet expected by a step.
#[derive(Debug, Default)]
struct Inbox {
    frames: Mutex<Vec<Value>>,
    arrived: Notify,
}

impl Socket {
    /// Opens a socket; a target that refuses it answers with a status.
    pub(crate) async fn open(
        client: &Client,
        path: &str,
        headers: &[(String, String)],
        offer: Offer,
        secrets: &Arc<Secrets>,
    ) -> Result<(Opened, WireResponse), WireError> {
        let limit = client.timeout();
        let attempt = Self::connect(client, path, headers, offer, secrets);
        tokio::time::timeout(limit, attempt)
            .await
            .map_err(|_| WireError::Timeout(limit))?
    }

    async fn connect(
        client: &Client,
        path: &str,
        headers: &[(String, String)],
        offer: Offer,
        secrets: &Arc<Secrets>,
    ) -> Result<(Opened, WireResponse), WireError> {
        let unsendable = |error: &dyn std::fmt::Display| WireError::Unsendable(error.to_string());
        let stream = client.connector().connect_through().await?;
        let address = client.connector().address();
        let mut request = http::Request::builder().uri(format!("{}{path}", address.prefix));
        if !client.headers().contains_key(http::header::HOST) {
            request = request.header("Host", &address.authority);
        }
        request = request
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13");
        let is_named = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(PROTOCOL_HEADER));
        if offer == Offer::Protocol && !is_named {
            request = request.header(PROTOCOL_HEADER, PROTOCOL);
        }
        for (name, value) in headers {
            request = request.header(name.as_str(), value.as_str());
        }
        for (name, value) in client.headers() {
            let is_set = |(known, _): &(String, String)| known.eq_ignore_ascii_case(name.as_str());
            if name != http::header::PROXY_AUTHORIZATION && !headers.iter().any(is_set) {
                request = request.header(name, value);
            }
        }
        let key = generate_key();
        let request = request.header(SEC_WEBSOCKET_KEY, &key);
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| unsendable(&error))?;
        let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).cloned();
        let broken = |error: hyper::Error| client::unreadable(&error);
        let mut builder = Builder::new();
        builder
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let mut response = sender.send_request(request).await.map_err(broken)?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        if status != 101 {
            let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
            return Ok((Opened::Refused, WireResponse::read(status, headers, body.into())?));
        }
        let answer = WireResponse::read(status, headers, Vec::new())?;
        if let Err(reason) = check(&answer, &key, offered.as_ref()) {
            return Ok((Opened::Broken(reason.to_owned()), answer));
        }
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(broken)?;
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES);
        let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await;
        let (sink, mut frames) = stream.split();
        let inbox = Arc::new(Inbox::default());
        let (inlet, secrets) = (Arc::clone(&inbox), Arc::clone(secrets));
        let reader = tokio::spawn(async move {
            loop {
                let frame = match frames.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let text = redact_text(&text, &secrets.redactor()).unwrap_or_else(|| text.to_string());
                        match Document::parse(text.as_bytes()) {
                            Ok(document) => document.value().clone(),
                            Err(_) => Value::from(text),
                        }
                    }
                    Some(Ok(Message::Binary(bytes))) => json!({ "binary": bytes.len() }),
                    Some(Ok(Message::Close(close))) => {
                        inlet.add(json!({ "closed": close.map(|close| u16::from(close.code)) }));
                        return;
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => {
                        inlet.add(json!({ "closed": null }));
                        return;
                    }
                };
                inlet.add(frame);
            }
        });
        Ok((
            Opened::Open(Self {
                sink,
                inbox,
                reader: reader.abort_handle(),
            }),
            answer,
        ))
    }

    /// Sends a frame: JSON, or a text as it is.
    pub(crate) async fn send(&mut self, frame: &Value) -> Result<(), WireError> {
        let text = match frame {
            Value::String(text) => text.clone(),
            json => json.to_string(),
        };
        self.sink
            .send(Message::text(text))
            .await
            .map_err(|error| WireError::Broken(error.to_string()))
    }

    /// Takes the first frame that `fits`, waiting for it; `Err` has what came instead.
    pub(crate) async fn expect(&self, fits: impl Fn(&Value) -> bool, limit: Duration) -> Result<Value, Vec<Value>> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let arrived = self.inbox.arrived.notified();
            if let Some(frame) = self.inbox.take(&fits) {
                return Ok(frame);
            }
            // Somebody who never stops talking would never let the time run out.
            let is_over = tokio::time::Instant::now() >= deadline;
            if is_over || tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return self.inbox.take(&fits).ok_or_else(|| self.frames());
            }
        }
    }

    /// What came in so far and was not expected by a step.
    pub(crate) fn frames(&self) -> Vec<Value> {
        self.inbox.lock().clone()
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        // A socket that is gone already is closed well enough.
        let _ = self.sink.send(Message::Close(None)).await;
        // The other side answers when it has noticed; one that never does is not waited for.
        let is_closed = |frame: &Value| frame.get("closed").is_some();
        let _ = self.expect(is_closed, GOODBYE).await;
        let _ = self.sink.close().await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Inbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Value>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, frame: Value) {
        let mut frames = self.lock();
        // A target that never stops talking must not fill the memory; no case expects that many.
        if frames.len() < MAX_FRAMES {
            frames.push(frame);
        }
        drop(frames);
        self.arrived.notify_one();
    }

    fn take(&self, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let mut frames = self.lock();
        let index = frames.iter().position(fits)?;
        Some(frames.remove(index))
    }
}

/// Whether a response opens a socket as the handshake asks (RFC 6455 4.1).
fn check(answer: &WireResponse, key: &str, offered: Option<&HeaderValue>) -> Result<(), &'static str> {
    let lists = |name: &str, entry: &str| {
        let mut entries = answer.header(name).unwrap_or_default().split(',');
        entries.any(|found| found.trim().eq_ignore_ascii_case(entry))
    };
    if !lists("upgrade", "websocket") {
        return Err("`Upgrade` does not name `websocket`");
    }
    if !lists("connection", "upgrade") {
        return Err("`Connection` does not name `upgrade`");
    }
    if answer.header("sec-websocket-accept") != Some(&derive_accept_key(key.as_bytes())) {
        return Err("`Sec-WebSocket-Accept` does not match the key of the handshake");
    }
    // None is ever offered.
    if answer
        .header("sec-websocket-extensions")
        .is_some_and(|list| !list.trim().is_empty())
    {
        return Err("an extension is chosen, though none is offered");
    }
    let offered = offered.and_then(|offered| offered.to_str().ok());
    match (offered, answer.header("sec-websocket-protocol")) {
        (Some(_), None) => Err("no sub-protocol selected, although one was offered"),
        (_, Some(chosen)) if chosen.contains(',') => Err("more than one sub-protocol is chosen"),
        (None, Some(_)) => Err("a sub-protocol selected, although none was offered"),
        (Some(offered), Some(chosen)) if !offered.split(',').any(|one| one.trim() == chosen) => {
            Err("a sub-protocol selected that was not offered")
        }
        _ => Ok(()),
    }
}
