//! The client: sends a request byte for byte, and reads the whole response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::Url;
use rustls::ClientConfig;

use crate::target::Target;
use crate::wire::connection::{self, Connector};
use crate::wire::error::WireError;
use crate::wire::message::{MAX_BODY, WireRequest, WireResponse, texts};

/// One pool of connections to one target; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    base_url: Arc<str>,
    /// Headers of every request that does not have them otherwise.
    headers: Arc<HeaderMap>,
    connector: Connector,
    /// For all that it leaves as it is; nothing goes to a proxy through it, for it cannot say what a proxy refuses.
    pool: Option<reqwest::Client>,
    /// For paths that `Url` would tidy, and through a proxy.
    verbatim: legacy::Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

/// How long a connection is kept for the next request: less than the five seconds after which many servers close it,
/// so that a request seldom meets a connection that is being closed.
const IDLE: Duration = Duration::from_secs(4);
/// The most connections that are kept.
const MAX_IDLE: usize = 256;

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
        let pool = match target.proxy {
            Some(_) => None,
            None => Some(pool(connector.tls())?),
        };
        let verbatim = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector.clone());
        Ok(Self {
            base_url: target.base_url.as_str().into(),
            headers: Arc::new(headers),
            connector,
            pool,
            verbatim,
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
    /// A service may close a connection at any time between two requests (RFC 9112 9.5): a request that meets one which is
    /// just being closed is sent once more.
    pub async fn send(&self, request: &WireRequest) -> Result<WireResponse, WireError> {
        let exchange = async {
            match self.exchange(request).await {
                Err(WireError::Closed(_)) => self.exchange(request).await,
                result => result,
            }
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(WireError::Timeout(self.timeout)),
        }
    }

    async fn exchange(&self, request: &WireRequest) -> Result<WireResponse, WireError> {
        let unsendable = |error: &dyn std::fmt::Display| WireError::Unsendable(error.to_string());
        let text = format!("{}{}", self.base_url, request.path);
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
        let body = request.body.clone();
        // `Url` resolves dots and escapes quotes: what it would change goes out through a client that changes nothing.
        match (&self.pool, Url::parse(&text)) {
            (Some(pool), Ok(url)) if url.as_str() == text => self.send_pooled(pool, method, url, headers, body).await,
            _ => {
                let url: Uri = text.parse().map_err(|error| unsendable(&error))?;
                self.send_verbatim(method, url, headers, body).await
            }
        }
    }

    async fn send_pooled(
        &self,
        pool: &reqwest::Client,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<WireResponse, WireError> {
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(reqwest::Body::from);
        let failed = |error: reqwest::Error| self.failed(&error, error.is_connect());
        let mut response = pool.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            check_size(body.len())?;
        }
        WireResponse::read(status, headers, body)
    }

    async fn send_verbatim(
        &self,
        method: Method,
        url: Uri,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<WireResponse, WireError> {
        let mut request = http::Request::new(Full::new(body.unwrap_or_default()));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, url, headers);
        let response = self.verbatim.request(request).await;
        let response = response.map_err(|error| self.failed(&error, error.is_connect()))?;
        let (status, headers) = (response.status().as_u16(), texts(response.headers()));
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| WireError::Broken(innermost(&error)))?;
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
            check_size(body.len())?;
        }
        WireResponse::read(status, headers, body)
    }

    /// Why a request has no answer: what the connector said, or what broke on the way.
    fn failed(&self, error: &(dyn std::error::Error + 'static), is_connect: bool) -> WireError {
        let mut cause = Some(error);
        let mut is_closed = false;
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<WireError>() {
                return error.clone();
            }
            if let Some(error) = connection::tls_cause(error) {
                return WireError::Tls(connection::explain_tls(error, &self.connector.address().host));
            }
            is_closed |= is_end(error);
            cause = error.source();
        }
        if is_connect {
            WireError::Connect(innermost(error))
        } else if is_closed {
            WireError::Closed(innermost(error))
        } else {
            WireError::Broken(innermost(error))
        }
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

/// The client for what needs no care: pooled, direct, and unwilling to follow anybody anywhere.
fn pool(tls: Option<&ClientConfig>) -> Result<reqwest::Client, WireError> {
    // Another part of the process may have installed a provider first; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder();
    // Reading the system's certificates takes longer than anything else before the first request.
    let builder = match tls {
        Some(config) => builder.tls_backend_preconfigured(config.clone()),
        None => builder.tls_certs_only([]),
    };
    builder
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .build()
        .map_err(|error| WireError::Unsendable(error.to_string()))
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

/// The cause that says most; the outer ones repeat the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
