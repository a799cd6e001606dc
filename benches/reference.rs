//! What the reference serves, beside a bare handler that answers with bytes of the same size and does nothing else.
//!
//! Both are asked over 64 connections by the same client; the ratio of the two is what counts.

#![expect(clippy::expect_used, reason = "a bench that cannot start should say so and stop")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mpsd_conformance::target::Target;
use mpsd_conformance::wire::client::Client;
use mpsd_conformance::wire::message::WireRequest;
use mpsd_reference::{Clock, Config, Server};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const AT_ONCE: usize = 64;
const EACH: usize = 32;
const SCID: &str = "7d1f0a52-8a3e-4a57-9c55-2f5d0c9f3b11";

fn body(number: usize) -> Bytes {
    let custom: serde_json::Map<String, Value> = (0..40)
        .map(|index| {
            (
                format!("key{index}"),
                json!(format!("a value of some length, {number}")),
            )
        })
        .collect();
    Bytes::from(json!({ "properties": { "custom": custom }, "members": { "me": {} } }).to_string())
}

fn request(method: &str, token: &str, connection: usize, body: Option<Bytes>) -> WireRequest {
    WireRequest {
        method: method.to_owned(),
        path: format!("/serviceconfigs/{SCID}/sessiontemplates/t/sessions/s{connection}"),
        headers: vec![
            ("Authorization".to_owned(), token.to_owned()),
            ("X-Xbl-Contract-Version".to_owned(), "107".to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ],
        body,
    }
}

/// Sends the same number of requests over each connection.
async fn load(client: &Client, token: &str, method: &str, is_changing: bool) {
    let connections = (0..AT_ONCE).map(|connection| {
        let (client, token, method) = (client.clone(), token.to_owned(), method.to_owned());
        tokio::spawn(async move {
            for number in 0..EACH {
                let body = is_changing.then(|| body(number));
                let answer = client
                    .send(&request(&method, &token, connection, body))
                    .await
                    .expect("an answer");
                assert!(answer.status < 300, "{}", answer.status);
                black_box(answer);
            }
        })
    });
    for connection in join_all(connections).await {
        connection.expect("the connection ends");
    }
}

/// Answers every request with the document, once its body has been read.
async fn serve_bare(listener: TcpListener, document: Bytes) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("the option is known");
        let document = document.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let document = document.clone();
            async move {
                request.into_body().collect().await?;
                let mut response = Response::new(Full::new(document));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                Ok::<_, hyper::Error>(response)
            }
        });
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(TokioIo::new(stream), answer).await);
        });
    }
}

fn serve(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let config = Config::from_value(json!({
        "serviceConfigs": { SCID: { "templates": { "t": { "constants": { "system": {
            "version": 1, "inactiveRemovalTimeout": 3_600_000
        } } } } } },
        "principals": { "alice": { "xuid": "1", "gamertag": "A", "title": "1" } }
    }));
    let config = config.expect("the configuration is sound");
    let token = config.tokens().remove("alice").expect("a token");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = runtime
        .block_on(Server::start(&config, Clock::system(), any))
        .expect("the reference starts");
    let limit = Duration::from_secs(10);
    let reference = Client::new(&Target::at(&server.url()), limit).expect("a client");
    // The sessions are there, and the bare handler answers with a document of their size.
    let document = runtime.block_on(async {
        load(&reference, &token, "PUT", true).await;
        reference
            .send(&request("GET", &token, 0, None))
            .await
            .expect("an answer")
            .body
    });
    let bare = runtime.block_on(async {
        let listener = TcpListener::bind(any).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve_bare(listener, document));
        Client::new(&Target::at(&format!("http://{address}")), limit).expect("a client")
    });
    for (method, is_changing) in [("GET", false), ("PUT", true)] {
        let mut group = criterion.benchmark_group(format!("{method} over {AT_ONCE} connections"));
        group.throughput(Throughput::Elements((AT_ONCE * EACH) as u64));
        group.sample_size(10);
        for (name, client) in [("bare handler", &bare), ("reference", &reference)] {
            group.bench_function(name, |bench| {
                bench
                    .to_async(&runtime)
                    .iter(|| load(client, &token, method, is_changing));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, serve);
criterion_main!(benches);
