//! The client: sends a request byte for byte, and reads the whole response.
//!
//! HTTP/2 is `reqwest`'s. HTTP/1.1 is `hyper`'s own client, below `reqwest`: it sends paths as they are, where `Url` would
//! resolve `..` and escape quotes, it reads heads of any size, and it says whether a connection had been used before.
//! `docs/transport.md` lists what a service may do on a connection, and what becomes of it here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::Url;

use crate::target::Target;
use crate::target::endpoint::{HTTP_1, HTTP_2};
use crate::wire::connection::{self, Answered, Connector};
use crate::wire::error::WireError;
use crate::wire::files;
use crate::wire::message::{MAX_BODY, WireRequest, WireResponse, texts};

/// One pool of connections to one target; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    base_url: Arc<str>,
    /// Headers of every request that does not have them otherwise.
    headers: Arc<HeaderMap>,
    connector: Connector,
    /// Keeps connections for the next request.
    keeping: legacy::Client<Connector, Full<Bytes>>,
    /// Sends requests over HTTP/2, where the target's description says so; not those whose path `Url` would change.
    second: Option<reqwest::Client>,
    /// Makes a connection for each request.
    fresh: legacy::Client<Connector, Full<Bytes>>,
    /// Whether the target closed a kept connection under a request: from then on each request has a connection of its own.
    closes_idle: Arc<AtomicBool>,
    timeout: Duration,
}

/// How long a connection is kept for the next request: less than the five seconds after which many servers close it,
/// so that a request seldom meets a connection that is being closed.
const IDLE: Duration = Duration::from_secs(4);
/// The most connections that are kept.
const MAX_IDLE: usize = 256;
/// The most headers of a response that are read.
pub(crate) const MAX_HEADERS: usize = 1000;
/// The longest head of a response that is read, in bytes.
pub(crate) const MAX_HEAD: usize = 1 << 20;

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
        let build = |kept: usize| {
            tolerant(&mut legacy::Client::builder(TokioExecutor::new()))
                .http2_only(target.http2 && !connector.address().is_tls)
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(kept)
                .build(connector.clone())
        };
        Ok(Self {
            base_url: target.base_url.as_str().into(),
            headers: Arc::new(headers),
            keeping: build(MAX_IDLE.min(files::conversations())),
            fresh: build(0),
            second: target.http2.then(|| second(target, &connector)).transpose()?,
            closes_idle: Arc::default(),
            connector,
            timeout,
        })
    }

    /// What makes the connections.
    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Headers of every request that does not have them otherwise.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The time limit of an exchange.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and reads the whole answer.
    ///
    /// A service may close a connection at any time between two requests (RFC 9112 9.5). A request that meets a kept connection
    /// which is just being closed is sent once more, on a new one, and [`WireResponse::was_sent_twice`] says so: the service may
    /// have seen the first one.
    pub async fn send(&self, request: &WireRequest) -> Result<WireResponse, WireError> {
        let exchange = async {
            if self.closes_idle.load(Ordering::Relaxed) {
                return self.exchange(&self.fresh, request).await;
            }
            match self.exchange(&self.keeping, request).await {
                Err(WireError::Closed(_)) => {
                    self.closes_idle.store(true, Ordering::Relaxed);
                    let mut response = self.exchange(&self.fresh, request).await?;
                    response.was_sent_twice = true;
                    Ok(response)
                }
                result => result,
            }
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(WireError::Timeout(self.timeout)),
        }
    }

    async fn exchange(
        &self,
        client: &legacy::Client<Connector, Full<Bytes>>,
        request: &WireRequest,
    ) -> Result<WireResponse, WireError> {
        let unsendable = |error: &dyn std::fmt::Display| WireError::Unsendable(error.to_string());
        let text = format!("{}{}", self.base_url, request.path);
        let url: Uri = text.parse().map_err(|error| unsendable(&error))?;
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
        if let (Some(second), Ok(url)) = (&self.second, Url::parse(&text))
            && url.as_str() == text
        {
            return self
                .exchange_over_http2(second, method, url, headers, request.body.clone())
                .await;
        }
        let mut message = http::Request::new(Full::new(request.body.clone().unwrap_or_default()));
        (*message.method_mut(), *message.uri_mut(), *message.headers_mut()) = (method, url, headers);
        let response = client.request(message).await.map_err(|error| self.failed(&error))?;
        if let Some(answered) = response.extensions().get::<Answered>() {
            answered.note();
        }
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| unreadable(&error))?;
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
            check_size(body.len())?;
        }
        WireResponse::read(status, headers, body)
    }

    async fn exchange_over_http2(
        &self,
        client: &reqwest::Client,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<WireResponse, WireError> {
        // The frames of HTTP/2 have a length of their own.
        headers.remove(CONTENT_LENGTH);
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(reqwest::Body::from);
        let failed = |error: reqwest::Error| self.explain_failure(&error, error.is_connect(), false);
        let mut response = client.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            check_size(body.len())?;
        }
        WireResponse::read(status, headers, body)
    }

    /// Why a request has no answer.
    fn failed(&self, error: &legacy::Error) -> WireError {
        // Only a connection that carried an answer before may be closed between two requests.
        let mut extras = http::Extensions::new();
        if let Some(connected) = error.connect_info() {
            connected.get_extras(&mut extras);
        }
        let is_kept = extras.get::<Answered>().is_some_and(Answered::is_noted);
        self.explain_failure(error, error.is_connect(), is_kept)
    }

    /// What the connector said, or what broke on the way.
    fn explain_failure(&self, error: &(dyn std::error::Error + 'static), is_connect: bool, is_kept: bool) -> WireError {
        let mut cause = Some(error);
        let mut is_closed = false;
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<WireError>() {
                return error.clone();
            }
            if let Some(error) = connection::tls_cause(error) {
                return WireError::Tls(connection::explain_tls(error, &self.connector.address().host));
            }
            if let Some(http) = error.downcast_ref::<hyper::Error>()
                && http.is_parse_too_large()
            {
                return unreadable(http);
            }
            is_closed |= is_end(error);
            cause = error.source();
        }
        if is_connect {
            WireError::Connect(innermost(error))
        } else if is_closed && is_kept {
            WireError::Closed("the connection, which was kept for it, was closed".to_owned())
        } else {
            WireError::Broken(explain(error))
        }
    }
}

/// A client that follows no redirect, uses no proxy, and begins with HTTP/2 where there is no TLS to agree on it.
fn second(target: &Target, connector: &Connector) -> Result<reqwest::Client, WireError> {
    // Another part of the process may have installed a provider first; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder();
    let builder = if connector.address().is_tls {
        let mut tls = target.tls.config().map_err(WireError::Tls)?;
        tls.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        builder.tls_backend_preconfigured(tls)
    } else {
        // Reading the system's certificates takes longer than anything else before the first request.
        builder.tls_certs_only([]).http2_prior_knowledge()
    };
    builder
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .build()
        .map_err(|error| WireError::Unsendable(error.to_string()))
}

/// Sets a client to read all that a service may send, and what RFC 9112 has a client read although no service may send it.
pub(crate) fn tolerant(builder: &mut legacy::Builder) -> &mut legacy::Builder {
    builder
        .http1_max_headers(MAX_HEADERS)
        .http1_max_buf_size(MAX_HEAD)
        // A line that goes on in the next one is read as one line (5.2).
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        // White space before the colon is taken off (5.1).
        .http1_allow_spaces_after_header_name_in_responses(true)
}

/// Why a response cannot be read.
pub(crate) fn unreadable(error: &hyper::Error) -> WireError {
    if error.is_parse_too_large() {
        let kib = MAX_HEAD >> 10;
        WireError::Limit(format!(
            "the head of the response has more than {MAX_HEADERS} headers or {kib} KiB"
        ))
    } else {
        WireError::Broken(explain(error))
    }
}

/// Whether an error says that the other side closed the connection.
fn is_end(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let http = error.downcast_ref::<hyper::Error>();
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    http.is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
        || matches!(
            io,
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        )
}

fn check_size(length: usize) -> Result<(), WireError> {
    if length <= MAX_BODY {
        return Ok(());
    }
    Err(WireError::Limit(format!(
        "the body is longer than {} MiB",
        MAX_BODY >> 20
    )))
}

/// What broke on the way, in the words of the standard rather than the library's.
pub(crate) fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let text = innermost(error);
    let known = [
        (
            "invalid HTTP header parsed",
            "a line of the response's head is not a header (RFC 9112 5)",
        ),
        (
            "invalid content-length parsed",
            "the response's `Content-Length` is not one number (RFC 9112 6.3)",
        ),
        (
            "invalid transfer-encoding parsed",
            "the response's `Transfer-Encoding` does not end in `chunked` (RFC 9112 6.3)",
        ),
        (
            "unexpected transfer-encoding parsed",
            "the response has a `Transfer-Encoding` that its version does not allow (RFC 9112 6.1)",
        ),
        (
            "invalid HTTP version parsed",
            "the response does not begin with `HTTP/1.1` (RFC 9112 4)",
        ),
        (
            "invalid HTTP status-code parsed",
            "the response's status is not three digits (RFC 9112 4)",
        ),
        (
            "connection closed before message completed",
            "the connection was closed before the response was whole",
        ),
    ];
    let found = known.iter().find(|(library, _)| *library == text);
    found.map_or(text, |(_, words)| (*words).to_owned())
}

/// The cause that says most; the outer ones repeat the URL.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
