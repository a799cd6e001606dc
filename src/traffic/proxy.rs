//! A reverse proxy that changes nothing of what passes, and keeps a copy of it.
//!
//! Bytes, methods, paths and headers go through as they are, but for the headers that belong to one connection and the
//! `Host`. Copies are bounded: traffic that is longer or faster than can be kept passes all the same.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::target::Target;
use crate::traffic::{Message, Passed};
use crate::wire::client;
use crate::wire::connection::{self, Connector};
use crate::wire::error::WireError;
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::tap::Tap;

/// The longest body of which a copy is kept, in bytes.
const LONGEST: usize = 16 << 20;
/// How much is kept of all that passes at one time, in bytes.
const MOST: usize = 256 << 20;
/// What an exchange weighs besides its bodies, in bytes.
const WEIGHT: usize = 2 << 10;
/// How long connections may take to end when the proxy stops.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the head of an answer is waited for: longer than clients do.
const PATIENCE: Duration = Duration::from_mins(5);

type Boxed = UnsyncBoxBody<Bytes, hyper::Error>;

/// Something that passed.
#[derive(Debug)]
pub enum Seen {
    /// A whole exchange; of a socket when it is closed.
    Exchange(Box<Copy>),
    /// A message on a socket that is still open.
    Frame {
        /// The path of the socket.
        path: String,
        /// The message.
        message: Message,
    },
}

/// A copy of an exchange.
#[derive(Debug, Default)]
pub struct Copy {
    /// The exchange; bodies as they were on the wire. The path is the client's.
    pub passed: Passed,
    /// Why the request's body is not whole.
    pub request_gap: Option<&'static str>,
    /// Why the answer's body is not whole.
    pub response_gap: Option<&'static str>,
    /// Why there was no answer; the client got a 502.
    pub failure: Option<String>,
    /// Whether messages of the socket were not kept, or could not be read.
    pub messages_gap: Option<&'static str>,
}

/// The proxy, before it runs.
pub struct Proxy {
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
}

struct Shared {
    client: legacy::Client<Connector, Tee<Incoming>>,
    base: String,
    host: String,
    /// What the description has requests name as their host, instead of the one of the URL.
    named_host: Option<HeaderValue>,
    copies: mpsc::UnboundedSender<Seen>,
    kept: Arc<AtomicUsize>,
    missed: Arc<AtomicUsize>,
    stop: watch::Receiver<bool>,
    clock: fn() -> Timestamp,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy of {}", self.shared.base)
    }
}

/// What comes out of a running proxy.
#[derive(Debug)]
pub struct Outlet {
    copies: mpsc::UnboundedReceiver<Seen>,
    kept: Arc<AtomicUsize>,
    missed: Arc<AtomicUsize>,
}

impl Outlet {
    /// The next that passed; `None` when the proxy has ended.
    pub async fn next(&mut self) -> Option<Seen> {
        let seen = self.copies.recv().await?;
        self.kept.fetch_sub(seen.weight(), Ordering::Relaxed);
        Some(seen)
    }

    /// How many exchanges passed too fast to be kept.
    pub fn missed(&self) -> usize {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Message {
    /// What it holds, in bytes.
    fn weight(&self) -> usize {
        size_of::<Self>() + self.text.as_ref().map_or(0, String::len)
    }
}

impl Seen {
    /// What it holds, in bytes.
    fn weight(&self) -> usize {
        WEIGHT + self.bodies()
    }

    /// The bodies and messages in it.
    fn bodies(&self) -> usize {
        match self {
            Self::Exchange(copy) => {
                let passed = &copy.passed;
                let messages: usize = passed.messages.iter().map(Message::weight).sum();
                passed.response.body.len() + passed.request.body.as_ref().map_or(0, Bytes::len) + messages
            }
            Self::Frame { message, .. } => message.weight(),
        }
    }
}

impl Proxy {
    /// A proxy in front of a target, which ends when `stop` says so; `clock` tells when things passed.
    pub fn new(
        target: &Target,
        clock: fn() -> Timestamp,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, Outlet), WireError> {
        let connector = Connector::new(target)?;
        let host = connector.address().host.clone();
        let mut headers = target.headers.iter();
        let named_host = headers.find(|header| header.name.eq_ignore_ascii_case("host"));
        let named_host = named_host.and_then(|header| HeaderValue::from_str(&header.value).ok());
        let base = target.base_url.trim_end_matches('/').to_owned();
        // No connection is kept: a body that passes cannot be sent again when the target closes one under it.
        let client = client::tolerant(&mut legacy::Client::builder(TokioExecutor::new()))
            .pool_max_idle_per_host(0)
            .http1_preserve_header_case(true)
            .build(connector);
        let (sender, receiver) = mpsc::unbounded_channel();
        let (kept, missed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let outlet = Outlet {
            copies: receiver,
            kept: Arc::clone(&kept),
            missed: Arc::clone(&missed),
        };
        let shared = Shared {
            client,
            base,
            host,
            named_host,
            copies: sender,
            kept,
            missed,
            stop: stop.clone(),
            clock,
        };
        let shared = Arc::new(shared);
        Ok((Self { shared, stop }, outlet))
    }

    /// Passes on what comes to the listener until it is stopped.
    pub async fn run(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.stop.wait_for(|stop| *stop) => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => {
                    // A connection that cannot be set so works all the same.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(
                        Arc::clone(&self.shared),
                        TokioIo::new(stream),
                        peer,
                        self.stop.clone(),
                    ));
                }
                // Too many open files, most likely: those that are open end some time.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE, ended).await;
    }
}

async fn serve(
    shared: Arc<Shared>,
    stream: TokioIo<tokio::net::TcpStream>,
    _peer: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(pass(shared, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .preserve_header_case(true)
        .max_headers(client::MAX_HEADERS)
        .auto_date_header(false)
        .half_close(true);
    builder.http2().auto_date_header(false);
    let connection = builder.serve_connection_with_upgrades(stream, service);
    tokio::pin!(connection);
    tokio::select! {
        // How a client's connection ends is its own affair.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Passes one request on, and its answer back.
async fn pass(shared: Arc<Shared>, mut request: Request<Incoming>) -> Response<Boxed> {
    let started = (shared.clock)();
    let start = Instant::now();
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let mut copy = Copy::default();
    copy.passed.started = Some(started);
    copy.passed.origin.clone_from(&shared.base);
    copy.passed.request = WireRequest {
        method: request.method().as_str().to_owned(),
        path: path.clone(),
        headers: texts(request.headers()),
        body: None,
    };
    let upgrade = upgrade_of(request.headers());
    let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    parts.headers.remove(header::HOST);
    if let Some(host) = &shared.named_host {
        parts.headers.insert(header::HOST, host.clone());
    }
    parts.version = Version::HTTP_11;
    if let Some(protocol) = &upgrade {
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        parts.headers.insert(header::UPGRADE, protocol.clone());
    }
    let failed = |mut copy: Copy, reason: String| {
        copy.passed.milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        copy.passed.response.status = 502;
        copy.failure = Some(reason.clone());
        shared.send(copy);
        let text = format!("mpsd-conformance watch: no response from the target: {reason}\n");
        let mut response = Response::new(
            Full::new(Bytes::from(text))
                .map_err(|never| match never {})
                .boxed_unsync(),
        );
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    };
    parts.uri = match format!("{}{path}", shared.base).parse::<Uri>() {
        Ok(uri) => uri,
        Err(error) => return failed(copy, error.to_string()),
    };
    let sent = Kept::new(&shared.kept);
    let tee = Tee::new(body, Arc::clone(&sent), None);
    let answered = tokio::time::timeout(PATIENCE, shared.client.request(Request::from_parts(parts, tee))).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            sent.give_request(&mut copy);
            let reason = unanswered(&error, &shared.host);
            return failed(copy, reason.to_string());
        }
        Err(_) => {
            sent.give_request(&mut copy);
            return failed(copy, format!("no data within {} s", PATIENCE.as_secs()));
        }
    };
    copy.passed.response = WireResponse {
        status: response.status().as_u16(),
        headers: texts(response.headers()),
        ..WireResponse::default()
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client_side) = client_side
    {
        let target_side = hyper::upgrade::on(&mut response);
        tokio::spawn(relay(Arc::clone(&shared), copy, start, client_side, target_side));
        let (parts, _) = response.into_parts();
        let empty = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
        return Response::from_parts(parts, empty);
    }
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let came = Kept::new(&shared.kept);
    let end = End {
        shared,
        copy: Some(copy),
        sent,
        came: Arc::clone(&came),
        start,
    };
    Response::from_parts(parts, Tee::new(body, came, Some(end)).boxed_unsync())
}

/// Why a request has no answer: what the connector said, or what broke on the way.
fn unanswered(error: &legacy::Error, host: &str) -> WireError {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(error) = cause.downcast_ref::<WireError>() {
            return error.clone();
        }
        if let Some(error) = connection::tls_cause(cause) {
            return WireError::Tls(connection::explain_tls(error, host));
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return WireError::Broken(client::explain(error)),
        }
    }
}

impl Shared {
    fn send(&self, copy: Copy) {
        self.tell(Seen::Exchange(Box::new(copy)));
    }

    /// Hands on what was seen, unless more waits than may be kept; its bodies and messages are counted already.
    fn tell(&self, seen: Seen) {
        let bodies = seen.bodies();
        let waiting = self.kept.fetch_add(WEIGHT, Ordering::Relaxed);
        if waiting > MOST || self.copies.send(seen).is_err() {
            self.kept.fetch_sub(WEIGHT + bodies, Ordering::Relaxed);
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Passes the bytes of a socket in both directions, and reads along.
async fn relay(
    shared: Arc<Shared>,
    mut copy: Copy,
    start: Instant,
    client_side: hyper::upgrade::OnUpgrade,
    target_side: hyper::upgrade::OnUpgrade,
) {
    let (Ok(client), Ok(target)) = tokio::join!(client_side, target_side) else {
        shared.send(copy);
        return;
    };
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (mut from_target, mut to_target) = tokio::io::split(TokioIo::new(target));
    let messages = Mutex::new((Vec::new(), None));
    let path = copy.passed.request.path.clone();
    let listen = |tap: &mut Tap, is_sent: bool, bytes: &[u8]| {
        let mut kept = messages.lock().unwrap_or_else(PoisonError::into_inner);
        for text in tap.hear(bytes) {
            let message = Message {
                is_sent,
                at: Some((shared.clock)()),
                text,
            };
            let weight = message.weight();
            // One for those who listen, and one for the end.
            let all = shared.kept.fetch_add(2 * weight, Ordering::Relaxed);
            // Sockets are open for long, and leave room for what comes and goes.
            if all < MOST / 2 {
                kept.0.push(message.clone());
            } else {
                shared.kept.fetch_sub(weight, Ordering::Relaxed);
                kept.1 = Some("too many messages to keep");
            }
            shared.tell(Seen::Frame {
                path: path.clone(),
                message,
            });
        }
        if tap.is_lost() {
            kept.1 = Some("its frames could not be read; they may be compressed");
        }
    };
    let there = async {
        let mut tap = Tap::of_client();
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from_client.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    listen(&mut tap, true, bytes);
                    if to_target.write_all(bytes).await.is_err() {
                        break;
                    }
                }
            }
        }
        let _ = to_target.shutdown().await;
    };
    let back = async {
        let mut tap = Tap::of_service();
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from_target.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    listen(&mut tap, false, bytes);
                    if to_client.write_all(bytes).await.is_err() {
                        break;
                    }
                }
            }
        }
        let _ = to_client.shutdown().await;
    };
    let mut stop = shared.stop.clone();
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let (messages, gap) = messages.into_inner().unwrap_or_else(PoisonError::into_inner);
    copy.passed.messages = messages;
    copy.messages_gap = gap;
    copy.passed.milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    shared.send(copy);
}

/// The protocol that a request wants to go on with.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = headers.get_all(header::CONNECTION).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case("upgrade")))
    });
    // HTTP/2 is of one connection only; it is not what the request is about.
    let is_socket = |protocol: &&HeaderValue| wants && !protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
    headers.get(header::UPGRADE).filter(is_socket).cloned()
}

/// Takes out the headers that belong to one connection.
fn strip(headers: &mut HeaderMap) {
    let named: HashSet<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
    ];
    let fixed = fixed
        .into_iter()
        .chain(["keep-alive", "proxy-connection"].map(HeaderName::from_static));
    for name in fixed.chain(named) {
        headers.remove(name);
    }
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// The copy of a body.
struct Kept {
    bytes: Mutex<(Vec<u8>, Option<&'static str>)>,
    total: Arc<AtomicUsize>,
}

/// What is said of a body that ended before its end.
const CUT: &str = "it was truncated";

impl Kept {
    fn new(total: &Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            bytes: Mutex::new((Vec::new(), Some(CUT))),
            total: Arc::clone(total),
        })
    }

    fn add(&self, data: &[u8]) {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.total.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        if kept.1 == Some(CUT) && kept.0.len() + data.len() <= LONGEST && all <= MOST {
            kept.0.extend_from_slice(data);
        } else {
            self.total.fetch_sub(data.len() + kept.0.len(), Ordering::Relaxed);
            kept.0 = Vec::new();
            kept.1 = Some("it is too long to keep");
        }
    }

    fn end(&self) {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.1 == Some(CUT) {
            kept.1 = None;
        }
    }

    fn take(&self) -> (Bytes, Option<&'static str>) {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut kept.0).into(), kept.1)
    }

    fn give_request(&self, copy: &mut Copy) {
        let (body, gap) = self.take();
        copy.passed.request.body = Some(body).filter(|body| !body.is_empty());
        copy.request_gap = gap;
    }
}

impl Drop for Kept {
    /// What nobody took, as when the client went away, is kept no more.
    fn drop(&mut self) {
        let (bytes, _) = self.take();
        self.total.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
}

/// Sends the copy of an exchange when its answer has passed, or nobody wants the rest.
struct End {
    shared: Arc<Shared>,
    copy: Option<Copy>,
    sent: Arc<Kept>,
    came: Arc<Kept>,
    start: Instant,
}

impl Drop for End {
    fn drop(&mut self) {
        let Some(mut copy) = self.copy.take() else { return };
        copy.passed.milliseconds = self.start.elapsed().as_secs_f64() * 1000.0;
        self.sent.give_request(&mut copy);
        let (body, gap) = self.came.take();
        copy.passed.response.body = body;
        copy.response_gap = gap;
        self.shared.send(copy);
    }
}

/// A body that passes, and of which a copy is kept.
struct Tee<B> {
    body: B,
    kept: Arc<Kept>,
    end: Option<End>,
}

impl<B: Body> Tee<B> {
    fn new(body: B, kept: Arc<Kept>, mut end: Option<End>) -> Self {
        if body.is_end_stream() {
            kept.end();
            end = None;
        }
        Self { body, kept, end }
    }
}

impl Body for Tee<Incoming> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.kept.add(data);
                }
                // Nobody asks again when the length is known, or after trailers, and what the client has is over.
                if self.body.is_end_stream() || frame.is_trailers() {
                    self.kept.end();
                    self.end = None;
                }
            }
            Poll::Ready(None) => {
                self.kept.end();
                self.end = None;
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
