//! The wire: sends what a case says, byte for byte, and reads the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use thiserror::Error;

use super::connection::{self, Connector};
use crate::target::Target;
use crate::target::secrets::Secrets;

/// A request as it goes over the wire.
#[derive(Clone, Debug, Default)]
pub struct WireRequest {
    /// The verb.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// The body; `None` sends none.
    pub body: Option<Bytes>,
}

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct WireResponse {
    /// The status code.
    pub status: u16,
    /// Headers in order; bytes that are no text become U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl WireResponse {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Takes out secrets that the target sent back, before anybody looks at the answer: a part of one that is shown is
    /// shown too much.
    pub(super) fn redact(&mut self, secrets: &Secrets) {
        for (_, value) in &mut self.headers {
            secrets.redact_text(value);
        }
        if let Some(redacted) = redact_text(&String::from_utf8_lossy(&self.body), secrets) {
            self.body = redacted.into();
        }
    }
}

/// A body or a frame without its secrets; `None` when it has none.
pub(super) fn redact_text(text: &str, secrets: &Secrets) -> Option<String> {
    let redacted = secrets.redact(text);
    // Any letter may be escaped in JSON; what it says then is only seen in what it stands for.
    if text.contains("\\u")
        && let Ok(json) = serde_json::from_str::<Value>(redacted.as_deref().unwrap_or(text))
        && let Some(redacted) = secrets.redact(&json.to_string())
    {
        return Some(redacted);
    }
    redacted
}

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
pub enum WireError {
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The target and the suite do not agree on who they are, or on TLS at all.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The target asked for less, again and again, or for a longer pause than a case has.
    #[error("throttled: {0}")]
    Throttled(String),
    /// There is no token to speak with.
    #[error("{0}")]
    Token(String),
    /// The time limit passed.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The connection broke, or the answer is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// The request cannot be put on the wire.
    #[error("cannot send: {0}")]
    Unsendable(String),
}

/// One pool of connections to one target; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    base_url: Arc<str>,
    /// Headers of every request that does not have them otherwise.
    headers: Arc<HeaderMap>,
    connector: Connector,
    pool: legacy::Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

/// The largest answer that is read, in bytes.
const MAX_BODY: usize = 16 << 20;
/// How long a connection is kept for the next request: less than the five seconds after which many servers close it,
/// so that a request seldom meets a connection that is being closed.
const IDLE: Duration = Duration::from_secs(4);

impl Client {
    /// A client for a target, with a time limit for each exchange; nothing is sent yet.
    pub fn new(target: &Target, timeout: Duration) -> Result<Self, WireError> {
        let unsendable = |error: &dyn std::fmt::Display| WireError::Unsendable(error.to_string());
        let connector = Connector::new(target)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for header in &target.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| unsendable(&error))?;
            let value = HeaderValue::from_bytes(header.value.as_bytes()).map_err(|error| unsendable(&error))?;
            headers.insert(name, value);
        }
        if let Some(authorization) = connector.proxy_authorization() {
            let value = HeaderValue::from_bytes(authorization.as_bytes()).map_err(|error| unsendable(&error))?;
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(256)
            .build(connector.clone());
        Ok(Self {
            base_url: target.base_url.as_str().into(),
            headers: Arc::new(headers),
            connector,
            pool,
            timeout,
        })
    }

    /// What makes the connections.
    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Headers of every request that does not have them otherwise.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The time limit of an exchange.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: &WireRequest) -> Result<WireResponse, WireError> {
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(WireError::Timeout(self.timeout)),
        }
    }

    async fn exchange(&self, request: &WireRequest) -> Result<WireResponse, WireError> {
        let unsendable = |error: &dyn std::fmt::Display| WireError::Unsendable(error.to_string());
        // This type tidies nothing: dots, quotes and braces go over the wire as the case has them.
        let url: Uri = format!("{}{}", self.base_url, request.path)
            .parse()
            .map_err(|error| unsendable(&error))?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| unsendable(&error))?;
        let mut headers = HeaderMap::with_capacity(request.headers.len() + self.headers.len() + 1);
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsendable(&error))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| unsendable(&error))?;
            headers.append(name, value);
        }
        for (name, value) in &*self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        // Many servers answer 411 to a PUT or POST without it, and the client leaves it out when there is no body.
        if request.body.is_none() && matches!(request.method.as_str(), "PUT" | "POST" | "PATCH") {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        let mut built = http::Request::new(Full::new(request.body.clone().unwrap_or_default()));
        (*built.method_mut(), *built.uri_mut(), *built.headers_mut()) = (method, url, headers);
        let response = self
            .pool
            .request(built)
            .await
            .map_err(|error| failed(&error, &self.connector.address().host))?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| WireError::Broken(innermost(&error)))?;
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
            check_size(body.len())?;
        }
        Ok(WireResponse {
            status,
            headers,
            body: body.into(),
        })
    }
}

fn check_size(length: usize) -> Result<(), WireError> {
    if length <= MAX_BODY {
        return Ok(());
    }
    Err(WireError::Broken(format!(
        "the answer is longer than {} MiB, and more was not read",
        MAX_BODY >> 20
    )))
}

/// Why a request has no answer: what the connector said, or what broke on the way.
fn failed(error: &legacy::Error, host: &str) -> WireError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<WireError>() {
            return error.clone();
        }
        if let Some(error) = connection::tls_cause(error) {
            return WireError::Tls(connection::explain_tls(error, host));
        }
        cause = error.source();
    }
    WireError::Broken(innermost(error))
}

/// The cause that says most; the outer ones repeat the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Headers in order, with bytes that are no text replaced.
pub(super) fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}
