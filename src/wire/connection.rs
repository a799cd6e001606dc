//! Connections to a target: through a proxy or not, with TLS or not, for HTTP and for sockets.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::Uri;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::target::endpoint::{Address, HTTP_1, HTTP_2, Proxy};
use crate::target::{Secret, Target};
use crate::wire::error::WireError;

/// The longest answer of a proxy to `CONNECT`, in bytes.
const PROXY_ANSWER: usize = 16 << 10;

/// Makes connections to one target; clones share their settings.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Settings>);

struct Settings {
    address: Address,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// TLS for requests, which may agree on another version of HTTP than sockets use.
    requests: Option<TlsConnector>,
    proxy: Option<Proxy>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector to {}", self.0.address.authority)
    }
}

impl Connector {
    /// A connector for a target; no connection is made yet.
    pub(crate) fn new(target: &Target) -> Result<Self, WireError> {
        let unsendable = |error: &dyn std::fmt::Display| WireError::Unsendable(error.to_string());
        let address = Address::parse(&target.base_url).map_err(|reason| {
            WireError::Unsendable(format!("`{}` is not a valid base URL: {reason}", target.base_url))
        })?;
        let (tls, requests) = if address.is_tls {
            let config = target.tls.config().map_err(WireError::Tls)?;
            let name = ServerName::try_from(address.host.clone()).map_err(|error| unsendable(&error))?;
            let requests = target.http2.then(|| {
                let mut config = config.clone();
                config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
                TlsConnector::from(Arc::new(config))
            });
            (Some((TlsConnector::from(Arc::new(config)), name)), requests)
        } else {
            (None, None)
        };
        Ok(Self(Arc::new(Settings {
            address,
            tls,
            requests,
            proxy: target.proxy.clone(),
        })))
    }

    /// Where it connects to.
    pub(crate) fn address(&self) -> &Address {
        &self.0.address
    }

    /// What each request must say to the proxy, where it is the proxy that reads it.
    pub(crate) fn proxy_authorization(&self) -> Option<&str> {
        let proxy = self.0.proxy.as_ref().filter(|_| self.0.tls.is_none())?;
        proxy.authorization.as_ref().map(Secret::reveal)
    }

    /// A connection for requests.
    async fn connect(&self) -> Result<Stream, WireError> {
        match (&self.0.proxy, &self.0.tls) {
            // The proxy reads the requests and passes them on.
            (Some(proxy), None) => Ok(Stream::Plain(reach(&proxy.address, "the proxy").await?, true)),
            _ => self.connect_with(self.0.requests.as_ref()).await,
        }
    }

    /// A connection on which nobody but the target reads.
    pub(crate) async fn connect_through(&self) -> Result<Stream, WireError> {
        self.connect_with(None).await
    }

    async fn connect_with(&self, other: Option<&TlsConnector>) -> Result<Stream, WireError> {
        let Settings {
            address, tls, proxy, ..
        } = &*self.0;
        let stream = match proxy {
            Some(proxy) => tunnel(proxy, address).await?,
            None => reach(address, "it").await?,
        };
        let Some((connector, name)) = tls else {
            return Ok(Stream::Plain(stream, false));
        };
        let stream = other.unwrap_or(connector).connect(name.clone(), stream).await;
        Ok(Stream::Tls(Box::new(
            stream.map_err(|error| WireError::Tls(explain(&error, &address.host)))?,
        )))
    }
}

/// Whether somebody who speaks TLS, or plain HTTP, is there: to tell a wrong scheme from a dead port.
pub(crate) async fn speaks(address: &Address, is_tls: bool) -> bool {
    let Ok(mut stream) = reach(address, "it").await else {
        return false;
    };
    // A hello without any content is answered with an alert by all that speak TLS, and with a status by all that speak HTTP.
    let hello: &[u8] = if is_tls {
        &[22, 3, 1, 0, 4, 1, 0, 0, 0]
    } else {
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    };
    if stream.write_all(hello).await.is_err() {
        return false;
    }
    let mut answer = [0; 6];
    let is_read = stream.read_exact(&mut answer).await.is_ok();
    // An alert, or the hello of a server; an echo of the client's is neither.
    is_read
        && if is_tls {
            matches!(answer, [21, 3, ..] | [22, 3, _, _, _, 2])
        } else {
            answer.starts_with(b"HTTP/")
        }
}

/// How long a connection waits for this machine to have room for it again, and how often it looks.
const ROOM: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(20));

async fn reach(address: &Address, who: &str) -> Result<TcpStream, WireError> {
    let broken = |error: io::Error| {
        if let Some(what) = shortage(&error) {
            return WireError::Machine(format!("{what}: {error}"));
        }
        let place = if who == "it" {
            String::new()
        } else {
            format!("{who} {}: ", address.authority)
        };
        WireError::Connect(format!("{place}{error}"))
    };
    let (limit, pause) = ROOM;
    let start = Instant::now();
    let stream = loop {
        match TcpStream::connect((address.host.as_str(), address.port)).await {
            // Other conversations end, and leave room.
            Err(error) if shortage(&error).is_some() && start.elapsed() < limit => tokio::time::sleep(pause).await,
            result => break result.map_err(broken)?,
        }
    };
    stream.set_nodelay(true).map_err(broken)?;
    Ok(stream)
}

/// What this machine has too few of, if that is why there is no connection.
pub(crate) fn shortage(error: &io::Error) -> Option<&'static str> {
    const FILES: &str =
        "too many files are open (`ulimit -n` raises the limit, `--jobs` with a smaller number needs fewer)";
    const PORTS: &str = "no local port is free (`--jobs` with a smaller number needs fewer)";
    // `io::ErrorKind` has no name for most of them.
    match (error.kind(), error.raw_os_error()?) {
        (io::ErrorKind::AddrNotAvailable, _) => Some(PORTS),
        // EMFILE and ENFILE, and WSAEMFILE.
        (_, 23 | 24) if cfg!(unix) => Some(FILES),
        (_, 10_024) if cfg!(windows) => Some(FILES),
        _ => None,
    }
}

async fn tunnel(proxy: &Proxy, address: &Address) -> Result<TcpStream, WireError> {
    let mut stream = reach(&proxy.address, "the proxy").await?;
    let broken = |what: String| WireError::Connect(format!("the proxy {}: {what}", proxy.address.authority));
    let host = if address.host.contains(':') {
        format!("[{}]", address.host)
    } else {
        address.host.clone()
    };
    let place = format!("{host}:{}", address.port);
    let authorization = proxy.authorization.as_ref();
    let authorization = authorization.map_or(String::new(), |secret| {
        format!("Proxy-Authorization: {}\r\n", secret.reveal())
    });
    let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{authorization}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| broken(error.to_string()))?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the head belongs to the target.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= PROXY_ANSWER {
            return Err(broken("its response is incomplete".to_owned()));
        }
        answer.push(
            stream
                .read_u8()
                .await
                .map_err(|_| broken("it closed the connection".to_owned()))?,
        );
    }
    let status = std::str::from_utf8(&answer)
        .ok()
        .and_then(|text| text.split(' ').nth(1))
        .unwrap_or("nothing");
    match status {
        "407" => Err(broken(
            "it requires credentials (407); set `proxy.authorization`".to_owned(),
        )),
        _ if status.starts_with('2') => Ok(stream),
        _ => Err(broken(format!("it returned {status} for CONNECT {place}"))),
    }
}

/// What went wrong in a handshake, and what to do.
fn explain(error: &io::Error, host: &str) -> String {
    match error.kind() {
        _ if let Some(cause) = tls_cause(error) => explain_tls(cause, host),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "the connection was closed during the handshake".to_owned()
        }
        _ => error.to_string(),
    }
}

/// What TLS has to do with an error of a connection; a refused certificate may come to light as late as with the answer.
pub(crate) fn tls_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    // An I/O error does not tell its content as its source, and may hold another one.
    match error.downcast_ref::<io::Error>() {
        Some(error) => tls_cause(error.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// What went wrong in TLS, and what to do.
pub(crate) fn explain_tls(cause: &rustls::Error, host: &str) -> String {
    match cause {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "unknown issuer of its certificate: add the certificate of the authority to `tls.authorities` or, for a service on this machine, set `tls.selfSigned`".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName) => format!("its certificate is not valid for `{host}`"),
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            format!("its certificate is valid for {}, not for `{host}`", presented.join(", "))
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired, or the local clock is wrong".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate is not valid yet, or the local clock is wrong".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(error)) => match error.to_string().as_str() {
            "CaUsedAsEndEntity" => "its certificate is one of an authority (`CA:TRUE`): name the same certificate in \
                 `tls.authorities`, or, for a service on this machine, set `tls.selfSigned`".to_owned(),
            "UnsupportedCertVersion" => "its certificate is not of X.509 version 3, and no other can be checked: make it again, as \
                 `openssl req -x509` does, or, for a service on this machine, set `tls.selfSigned`".to_owned(),
            other => format!("its certificate is not accepted ({other})"),
        },
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => "its certificate cannot be read".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::Revoked) => "its certificate was revoked".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the signature of its certificate, or of its handshake, is wrong".to_owned()
        }
        rustls::Error::InvalidCertificate(error) => format!("its certificate is not accepted: {error}"),
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateUnknown),
        ) => {
            format!("it rejected the client certificate ({alert:?}): set `tls.certificate` and `tls.key` to one that it trusts")
        }
        rustls::Error::InvalidMessage(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => "it does not use TLS".to_owned(),
        error => error.to_string(),
    }
}

/// A connection to a target.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Without TLS; `true` when it leads to a proxy that reads the requests.
    Plain(TcpStream, bool),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream, _) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream, _) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream, _) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream, _) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Whether a connection has carried an answer; clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// Notes that an answer came.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether an answer came.
    pub(crate) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection as the pool of the HTTP client takes it.
pub(crate) struct Pooled(TokioIo<Stream>);

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        let connected = Connected::new()
            .proxy(matches!(self.0.inner(), Stream::Plain(_, true)))
            .extra(Answered::default());
        match self.0.inner() {
            Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) => connected.negotiated_h2(),
            _ => connected,
        }
    }
}

impl hyper::rt::Read for Pooled {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Pooled {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(context, parts)
    }
}

impl Service<Uri> for Connector {
    type Response = Pooled;
    type Error = WireError;
    type Future = Pin<Box<dyn Future<Output = Result<Pooled, WireError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { Ok(Pooled(TokioIo::new(connector.connect().await?))) })
    }
}
