//! A service that is wrong on purpose: the reference behind a layer that alters what goes in and what comes out.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::replay::Options;
use mpsd_conformance::report::{Report, Run};
use mpsd_conformance::run::runner::{Conversations, Runner};
use mpsd_conformance::run::{embedded, selection};
use mpsd_reference::{Clock, Service};
use serde_json::Value;
use tokio::net::TcpListener;

/// The suite, read once a process.
pub static SUITE: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    Arc::new(Suite::load(Files::embedded()).unwrap_or_else(|broken| panic!("{}", broken.render(false))))
});

/// How a service answers instead of the reference, which it may ask.
pub type Wrong = Arc<dyn Fn(Honest, Request<Bytes>) -> Answer + Send + Sync>;
/// An answer to come.
pub type Answer = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// The reference itself.
#[derive(Clone)]
pub struct Honest(Service);

impl Honest {
    /// What the reference answers.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = self.0.answer(request.map(Full::new)).await.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }
}

/// A service that answers as the reference does.
pub fn honest() -> Wrong {
    altered(|_| {}, |_, _| {})
}

/// A service that alters requests before the reference sees them, or answers before the caller does.
pub fn altered(
    before: impl Fn(&mut Request<Bytes>) + Send + Sync + 'static,
    after: impl Fn(&Request<Bytes>, &mut Response<Bytes>) + Send + Sync + 'static,
) -> Wrong {
    let after = Arc::new(after);
    Arc::new(move |honest, mut request| {
        before(&mut request);
        let after = Arc::clone(&after);
        Box::pin(async move {
            let asked = request.clone();
            let mut response = honest.answer(request).await;
            after(&asked, &mut response);
            response
        })
    })
}

/// A service that alters the session documents of its answers.
pub fn document(change: impl Fn(&Request<Bytes>, &mut Value) + Send + Sync + 'static) -> Wrong {
    altered(
        |_| {},
        move |asked, response| {
            if let Some(mut session) = session_of(response) {
                change(asked, &mut session);
                set_json(response, &session);
            }
        },
    )
}

/// The session document of an answer, if it has one.
pub fn session_of(response: &Response<Bytes>) -> Option<Value> {
    let value: Value = serde_json::from_slice(response.body()).ok()?;
    value.get("membersInfo").is_some().then_some(value)
}

/// Gives an answer another JSON body.
pub fn set_json(response: &mut Response<Bytes>, value: &Value) {
    set_body(response, value.to_string(), "application/json");
}

/// Gives an answer another body.
pub fn set_body(response: &mut Response<Bytes>, body: impl Into<Bytes>, kind: &'static str) {
    *response.body_mut() = body.into();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
}

/// Whether a request is about a session at its own path, and not about a part of it.
pub fn is_session(request: &Request<Bytes>) -> bool {
    let path = request.uri().path().to_ascii_lowercase();
    path.contains("/sessiontemplates/") && path.split('/').count() == 7
}

/// Serves what `wrong` answers, connection by connection, for ever.
async fn serve(listener: TcpListener, honest: Honest, wrong: Wrong) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (honest, wrong) = (honest.clone(), Arc::clone(&wrong));
        let answer = service_fn(move |request: Request<Incoming>| {
            let (honest, wrong) = (honest.clone(), Arc::clone(&wrong));
            async move {
                let (parts, body) = request.into_parts();
                // A body that breaks off has no answer that anybody reads.
                let bytes = body.collect().await?.to_bytes();
                let response = wrong(honest, Request::from_parts(parts, bytes)).await;
                Ok::<_, hyper::Error>(response.map(Full::new))
            }
        });
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            drop(
                builder
                    .serve_connection_with_upgrades(TokioIo::new(stream), answer)
                    .await,
            );
        });
    }
}

/// Replays the cases that `is_wanted` says, by their ids, against a service.
pub async fn replay(wrong: Wrong, is_wanted: impl Fn(&str) -> bool) -> Report {
    let suite = &*SUITE;
    let config = embedded::config(suite.world(), true).unwrap();
    let honest = Honest(Service::new(&config, Clock::system()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(serve(listener, honest, wrong));
    let mut target = embedded::target(suite.world(), &config, &url);
    target.is_disposable = true;
    let runner = Runner::against(Arc::clone(suite), Arc::new(target), Options::default()).unwrap();
    let mut selection = selection::all(suite);
    selection.retain(|selected| is_wanted(&suite.cases()[selected.case].id));
    let done = runner.run(&selection, &Conversations::Forget, |_| {}).await.unwrap();
    serving.abort();
    assert!(!done.outcomes.is_empty(), "no case was replayed");
    Report::of(Run::new(suite, runner.target(), done.outcomes))
}
