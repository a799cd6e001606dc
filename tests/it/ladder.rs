//! What a young service is told to do next.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use mpsd_conformance::report::ladder::{self, Rung};
use mpsd_conformance::report::terminal;

use crate::wrong_service::{SUITE, Wrong, altered, is_session, replay, set_body};

/// Chapters of which each needs what the ones before it have, and something more.
const CHAPTERS: [&str; 7] = [
    "create",
    "document",
    "read",
    "merge",
    "conditional",
    "handles",
    "visibility",
];

fn rungs(wrong: Wrong) -> Vec<Rung> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let is_wanted = |case: &str| CHAPTERS.contains(&case.split('/').next().unwrap_or_default());
    let report = runtime.block_on(replay(wrong, is_wanted));
    let rungs = ladder::climb(&report, &SUITE);
    let told = anstream::adapter::strip_str(&terminal::render_ladder(&report, &SUITE)).to_string();
    assert!(
        rungs.iter().take(3).all(|rung| told.contains(&rung.behaviour)),
        "{told}"
    );
    let waiting: usize = rungs.iter().map(|rung| rung.unlocked).sum();
    let failed = report.summary.fail;
    assert_eq!(waiting, failed, "the whole ladder unlocks all that fails:\n{told}");
    rungs
}

fn refused(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    set_body(&mut response, "It is so.", "text/plain");
    response
}

/// A service that has nothing but what a request fits, and answers 404 to the rest.
fn only(is_there: impl Fn(&Request<Bytes>) -> bool + Send + Sync + 'static) -> Wrong {
    Arc::new(move |honest, request| {
        let is_there = is_there(&request);
        Box::pin(async move {
            if is_there {
                honest.answer(request).await
            } else {
                refused(StatusCode::NOT_FOUND)
            }
        })
    })
}

#[test]
fn an_empty_service_is_told_to_create_sessions_first() {
    let rungs = rungs(only(|_| false));
    let first = &rungs[0];
    assert_eq!(first.behaviour, "PUT of a session returns 201");
    assert_eq!(first.found.as_deref(), Some("404"));
    assert!(first.unlocked > 10 && first.waiting > 200, "{first:?}");
    assert!(first.start.starts_with("create/"), "{first:?}");
    assert!(first.clauses[0].starts_with("SES-CREATE-"), "{first:?}");
    let second = &rungs[1];
    assert_eq!(
        (second.behaviour.as_str(), &second.found),
        ("PUT of a session returns 200", &None)
    );
}

#[test]
fn a_service_of_sessions_alone_is_told_of_handles_first() {
    let rungs = rungs(only(is_session));
    let first = &rungs[0];
    assert_eq!(first.behaviour, "POST of all handles returns 200 or 201");
    assert!(first.start.starts_with("handles/"), "{first:?}");
    let is_there = |rung: &Rung| {
        let known = [
            "PUT of a session returns 200",
            "PUT of a session returns 201",
            "GET of a session returns 200",
        ];
        known.contains(&rung.behaviour.as_str())
    };
    assert!(!rungs.iter().any(is_there), "{rungs:?}");
    let later = rungs
        .iter()
        .find(|rung| rung.behaviour == "GET of a handle returns 200")
        .unwrap();
    assert_eq!(later.found, None, "a handle that was never made was never read");
}

#[test]
fn a_service_that_lacks_one_rule_is_told_of_its_clause() {
    let rungs = rungs(altered(
        |request| _ = request.headers_mut().remove(header::IF_MATCH),
        |_, _| {},
    ));
    let first = &rungs[0];
    assert_eq!(first.clauses, ["SES-COND-002"]);
    assert!(
        first
            .behaviour
            .starts_with("When a write to an existing session has `If-Match` with a stale ETag"),
        "{first:?}"
    );
    assert_eq!(first.waiting, first.unlocked);
}

#[test]
fn a_service_that_refuses_a_part_of_a_body_is_told_of_the_part() {
    let wrong: Wrong = Arc::new(|honest, request| {
        let text = String::from_utf8_lossy(request.body());
        let is_refused = request.method() == Method::PUT && text.contains("\"visibility\"");
        Box::pin(async move {
            if is_refused {
                refused(StatusCode::BAD_REQUEST)
            } else {
                honest.answer(request).await
            }
        })
    });
    let rungs = rungs(wrong);
    assert_eq!(
        rungs[0].behaviour,
        "PUT of a session returns 201 where the body has `/constants/system/visibility`"
    );
}

#[test]
fn a_service_that_lacks_nothing_is_told_so() {
    assert_eq!(rungs(only(|_| true)), []);
}
