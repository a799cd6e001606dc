//! The service on a socket: HTTP/1.1, and HTTP/2 without TLS.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::config::{Config, ConfigError};
use super::http::Service;
use super::variations::{self, Edge};

/// How long a connection may be silent, or take to send the head of a request.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long requests may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait before accepting again when the system has no more connections to give.
const BREATHER: Duration = Duration::from_millis(50);
/// How much of a message waits between the service and the edge.
const EDGE_BYTES: usize = 64 << 10;

/// A running server. Dropping it leaves it running until the runtime ends; [`Server::stop`] ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    edge: Option<Arc<Edge>>,
}

/// Why a server does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Server {
    /// Starts the service that `config` describes on `address`; port 0 takes a free one. Needs a tokio runtime.
    pub async fn start(config: &Config, clock: Clock, address: SocketAddr) -> Result<Self, StartError> {
        let service = Service::new(config, clock)?;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        Self::serve_with(service, listener, variations::on_the_way(config)).map_err(listen)
    }

    /// Serves an existing service on an existing listener. Needs a tokio runtime.
    pub fn serve(service: Service, listener: TcpListener) -> io::Result<Self> {
        Self::serve_with(service, listener, None)
    }

    fn serve_with(service: Service, listener: TcpListener, edge: Option<Arc<Edge>>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(service, listener, stopped, edge.clone()));
        Ok(Self {
            address,
            stop,
            accepting,
            edge,
        })
    }

    /// How many responses and frames each variation changed that is made on their way, by its id.
    pub fn touched(&self) -> Vec<(&'static str, usize)> {
        self.edge.iter().flat_map(|edge| edge.touched()).collect()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts no more connections, lets requests under way end, and returns when they have or after 10 s.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // The task does not panic, and nobody aborts it.
        drop(self.accepting.await);
    }
}

async fn accept(service: Service, listener: TcpListener, mut stopped: watch::Receiver<bool>, edge: Option<Arc<Edge>>) {
    let connections = GracefulShutdown::new();
    let builder = builder(&service);
    let time = tokio::spawn({
        let service = service.clone();
        async move { service.keep_time().await }
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // A server that was dropped without being stopped goes on.
            Ok(_) = stopped.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(BREATHER).await;
            continue;
        };
        // Answers are small and awaited; a socket that does not take the option still works.
        drop(stream.set_nodelay(true));
        match &edge {
            None => converse(&service, &builder, &connections, stream),
            Some(edge) => {
                let (near, far) = tokio::io::duplex(EDGE_BYTES);
                converse(&service, &builder, &connections, far);
                let edge = Arc::clone(edge);
                tokio::spawn(async move {
                    // A connection that breaks is the client's to notice.
                    drop(edge.carry(stream, near).await);
                });
            }
        }
    }
    drop(listener);
    // Whoever does not end in time is cut off with the runtime.
    let ended = async { tokio::join!(connections.shutdown(), service.close_sockets()) };
    drop(tokio::time::timeout(GRACE, ended).await);
    time.abort();
}

fn builder(service: &Service) -> auto::Builder<TokioExecutor> {
    let limit = service.limits().header_bytes;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The service itself refuses long headers, with a message; beyond that there is no telling.
    let http1 = limit.saturating_mul(2).max(1 << 16);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(http1);
    let http2 = u32::try_from(http1).unwrap_or(u32::MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(http2);
    builder
}

fn converse(
    service: &Service,
    builder: &auto::Builder<TokioExecutor>,
    connections: &GracefulShutdown,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service.clone();
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.receive(request).await) }
    });
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), answer)
        .into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // A connection that breaks is the client's to notice.
        drop(connection.await);
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    async fn started() -> (Server, String) {
        let text = r#"{
            "serviceConfigs": { "s": { "templates": { "t": { "constants": { "system": { "version": 1 } } } } } },
            "principals": { "alice": { "xuid": "7", "title": 1 } },
            "limits": { "bodyBytes": 1000 }
        }"#;
        let config = Config::parse(text).unwrap();
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::start(&config, Clock::system(), address).await.unwrap();
        (server, config.tokens().remove("alice").unwrap())
    }

    /// Sends bytes, and reads until the server closes the connection.
    fn spoken(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_port_speaks_both_versions_of_http() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (server, token) = started().await;
        let path = format!("{}/serviceconfigs/s/sessiontemplates/t/sessions/n", server.url());
        for versioned in [
            reqwest::Client::builder().http1_only(),
            reqwest::Client::builder().http2_prior_knowledge(),
        ] {
            let client = versioned.no_proxy().build().unwrap();
            let request = client
                .get(&path)
                .header("authorization", &token)
                .header("x-xbl-contract-version", 107);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 204);
            assert_eq!(answer.headers().get_all("date").iter().count(), 1);
        }
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_sends_too_much_is_told() {
        let (server, token) = started().await;
        let head = format!(
            "PUT /serviceconfigs/s/sessiontemplates/t/sessions/n HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: {token}\r\nx-xbl-contract-version: 107\r\n"
        );
        let body = "x".repeat(10_000);
        let answer = spoken(&server, &format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        let answer = spoken(&server, &format!("{head}x-long: {}\r\n\r\n", "x".repeat(40_000)));
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let answer = spoken(&server, "nonsense\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_names_one_host() {
        let (server, token) = started().await;
        let head = "GET /serviceconfigs/s/sessiontemplates/t/sessions/n HTTP/1.1\r\nconnection: close\r\n";
        let more = format!("authorization: {token}\r\nx-xbl-contract-version: 107\r\n\r\n");
        for (hosts, status) in [("", "400"), ("host: x\r\nhost: x\r\n", "400"), ("host: x\r\n", "204")] {
            let answer = spoken(&server, &format!("{head}{hosts}{more}"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stopped_server_takes_no_more_connections() {
        let (server, _) = started().await;
        let address = server.address();
        let idle = TcpStream::connect(address).unwrap();
        server.stop().await;
        assert!(TcpStream::connect(address).is_err());
        drop(idle);
    }
}
