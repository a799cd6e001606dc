//! The wire: sends what a case says, byte for byte, and reads the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use thiserror::Error;

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
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum WireError {
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Connect(String),
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
    pool: reqwest::Client,
    /// For paths that [`Url`] would tidy.
    verbatim: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

/// The largest answer that is read, in bytes.
const MAX_BODY: usize = 16 << 20;

impl Client {
    /// A client for a base URL, with a time limit for each exchange.
    pub fn new(base_url: &str, timeout: Duration) -> Result<Self, WireError> {
        // Another part of the process may have installed a provider first; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder();
        // Reading the system's certificates takes longer than anything else before the first request.
        let builder = if base_url.starts_with("https://") {
            builder
        } else {
            builder.tls_certs_only([])
        };
        let pool = builder
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(256)
            .build()
            .map_err(|error| WireError::Unsendable(error.to_string()))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let verbatim = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            base_url: base_url.into(),
            pool,
            verbatim,
            timeout,
        })
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
        let text = format!("{}{}", self.base_url, request.path);
        let url = Url::parse(&text).map_err(|error| unsendable(&error))?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| unsendable(&error))?;
        let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsendable(&error))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| unsendable(&error))?;
            headers.append(name, value);
        }
        // Many servers answer 411 to a PUT or POST without it, and the client leaves it out when there is no body.
        if request.body.is_none() && matches!(request.method.as_str(), "PUT" | "POST" | "PATCH") {
            headers.entry("content-length").or_insert(HeaderValue::from_static("0"));
        }
        // `Url` resolves dots and escapes quotes; such a path goes through a client that takes it as it is.
        if url.as_str() != text && self.base_url.starts_with("http://") {
            return self
                .exchange_verbatim(&text, method, headers, request.body.clone())
                .await;
        }
        let mut builder = self.pool.request(method, url).headers(headers);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| wire_error(&error))?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| wire_error(&error))? {
            body.extend_from_slice(&chunk);
            check_size(body.len())?;
        }
        Ok(WireResponse {
            status,
            headers,
            body: body.into(),
        })
    }

    async fn exchange_verbatim(
        &self,
        url: &str,
        method: Method,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<WireResponse, WireError> {
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(all) = request.headers_mut() {
            *all = headers;
        }
        let request = request.body(Full::new(body.unwrap_or_default()));
        let request = request.map_err(|error| WireError::Unsendable(error.to_string()))?;
        let response = self.verbatim.request(request).await.map_err(|error| {
            let message = innermost(&error);
            if error.is_connect() {
                WireError::Connect(message)
            } else {
                WireError::Broken(message)
            }
        })?;
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
        "the answer is longer than {} MiB",
        MAX_BODY >> 20
    )))
}

fn wire_error(error: &reqwest::Error) -> WireError {
    let message = innermost(error);
    if error.is_connect() {
        WireError::Connect(message)
    } else {
        WireError::Broken(message)
    }
}

/// The cause that says most; the outer ones repeat the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}
