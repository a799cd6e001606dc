//! Services that are wrong in one way each: the suite says so, by the clause that they break.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use mpsd_conformance::replay::verdict::Verdict;
use mpsd_conformance::report::Standing;
use serde_json::{Map, Value, json};

use crate::wrong_service::{
    SUITE, Wrong, altered, document, honest, is_session, replay, session_of, set_body, set_json,
};

/// Asserts that a chapter fails against a service, by a clause that the reference keeps in the same cases.
#[track_caller]
fn caught(chapter: &str, clause: &str, wrong: Wrong) {
    let clause = SUITE.clause(clause).unwrap().id.as_str();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let is_of = |report: &mpsd_conformance::report::Report| {
        let found = report.clauses.iter().find(|known| known.id == clause).unwrap();
        found.verdict
    };
    let report = runtime.block_on(replay(wrong, |case| case.split('/').next() == Some(chapter)));
    let failed = report.clauses.iter();
    let failed = failed.filter(|clause| clause.verdict == Standing::Judged(Verdict::Fail));
    let failed: Vec<&str> = failed.map(|clause| clause.id.as_str()).collect();
    assert_eq!(
        is_of(&report),
        Standing::Judged(Verdict::Fail),
        "{clause} does not fail; these do: {}",
        failed.join(", ")
    );
    let failing = report.cases.iter().filter(|case| {
        let mut own = case.findings.iter().filter(|finding| !finding.setup);
        own.any(|finding| finding.clauses.iter().any(|id| id == clause))
    });
    let failing: BTreeSet<&str> = failing.map(|case| case.case.as_str()).collect();
    assert!(!failing.is_empty(), "{clause} fails in no case");
    let report = runtime.block_on(replay(honest(), |case| failing.contains(case)));
    assert_eq!(
        is_of(&report),
        Standing::Judged(Verdict::Pass),
        "the reference is told of {clause} as well"
    );
}

/// Leaves requests alone.
fn as_sent(_: &mut Request<Bytes>) {}

/// Leaves answers alone.
fn as_answered(_: &Request<Bytes>, _: &mut Response<Bytes>) {}

/// A service that does not see some request headers.
fn deaf_to(names: &'static [&'static str]) -> Wrong {
    altered(
        move |request| {
            for name in names {
                request.headers_mut().remove(*name);
            }
        },
        as_answered,
    )
}

/// A service that changes the JSON body of each request for a session before it is carried out.
fn rewriting(change: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) -> Wrong {
    altered(
        move |request| {
            let Ok(Value::Object(mut body)) = serde_json::from_slice(request.body()) else {
                return;
            };
            if !is_session(request) {
                return;
            }
            change(&mut body);
            *request.body_mut() = Value::Object(body).to_string().into();
            request.headers_mut().remove(header::CONTENT_LENGTH);
        },
        as_answered,
    )
}

/// A service that answers one status for another.
fn status(method: Method, from: StatusCode, to: StatusCode) -> Wrong {
    altered(as_sent, move |asked, response| {
        if asked.method() == method && response.status() == from {
            *response.status_mut() = to;
        }
    })
}

fn insert(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_str(value).unwrap());
}

fn members(session: &mut Value) -> impl Iterator<Item = &mut Value> {
    session["members"]
        .as_object_mut()
        .into_iter()
        .flat_map(|members| members.values_mut())
}

#[test]
fn sessions_without_an_etag() {
    let wrong = altered(as_sent, |_, response| _ = response.headers_mut().remove(header::ETAG));
    caught("headers", "HDR-010", wrong);
}

#[test]
fn an_etag_that_never_changes() {
    let wrong = altered(as_sent, |_, response| {
        if response.headers().contains_key(header::ETAG) {
            insert(response, header::ETAG, "\"1\"");
        }
    });
    caught("merge", "SES-MERGE-020", wrong);
}

#[test]
fn a_create_that_is_answered_200() {
    caught(
        "create",
        "SES-CREATE-001",
        status(Method::PUT, StatusCode::CREATED, StatusCode::OK),
    );
}

#[test]
fn an_update_that_is_answered_201() {
    caught(
        "create",
        "SES-CREATE-002",
        status(Method::PUT, StatusCode::OK, StatusCode::CREATED),
    );
}

#[test]
fn an_emptied_session_that_is_answered_404() {
    caught(
        "create",
        "SES-CREATE-005",
        status(Method::PUT, StatusCode::NO_CONTENT, StatusCode::NOT_FOUND),
    );
}

#[test]
fn stale_etags_that_are_accepted() {
    caught("conditional", "SES-COND-002", deaf_to(&["if-match"]));
}

#[test]
fn creates_that_overwrite() {
    let wrong = altered(
        |request| {
            if request.method() == Method::PUT {
                request.headers_mut().remove(header::IF_NONE_MATCH);
            }
        },
        as_answered,
    );
    caught("create", "SES-CREATE-015", wrong);
}

#[test]
fn reads_that_are_never_spared() {
    caught("read", "SES-GET-003", deaf_to(&["if-none-match"]));
}

#[test]
fn a_refused_precondition_without_the_session() {
    let wrong = altered(as_sent, |_, response| {
        if response.status() == StatusCode::PRECONDITION_FAILED {
            set_body(response, "", "application/json");
        }
    });
    caught("conditional", "LIVE-004", wrong);
}

#[test]
fn a_write_that_replaces_what_it_does_not_name() {
    let wrong: Wrong = Arc::new(|honest, mut request| {
        Box::pin(async move {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            if request.method() == Method::PUT && is_session(&request) && body["properties"]["custom"].is_object() {
                let mut read = request.clone();
                *read.method_mut() = Method::GET;
                read.headers_mut().remove(header::IF_MATCH);
                let stored = session_of(&honest.answer(read).await).unwrap_or_default();
                let mut body = body;
                for key in stored["properties"]["custom"]
                    .as_object()
                    .into_iter()
                    .flat_map(Map::keys)
                {
                    let custom = body["properties"]["custom"].as_object_mut().unwrap();
                    custom.entry(key.as_str()).or_insert(Value::Null);
                }
                *request.body_mut() = body.to_string().into();
                request.headers_mut().remove(header::CONTENT_LENGTH);
            }
            honest.answer(request).await
        })
    });
    caught("merge", "SES-MERGE-001", wrong);
}

#[test]
fn a_null_that_deletes_nothing() {
    let wrong = rewriting(|body| {
        if let Some(custom) = body
            .get_mut("properties")
            .and_then(|bag| bag.get_mut("custom")?.as_object_mut())
        {
            custom.retain(|_, value| !value.is_null());
        }
    });
    caught("merge", "SES-MERGE-008", wrong);
}

#[test]
fn an_answer_that_echoes_the_write() {
    let wrong = document(|asked, session| {
        if let Ok(body) = serde_json::from_slice::<Value>(asked.body()) {
            session["properties"]["custom"] = body.pointer("/properties/custom").cloned().unwrap_or(json!({}));
        }
    });
    caught("protocol", "PROTO-001", wrong);
}

#[test]
fn a_change_number_that_is_stuck() {
    caught(
        "merge",
        "SES-MERGE-019",
        document(|_, session| session["changeNumber"] = json!(1)),
    );
}

#[test]
fn reservations_that_are_lost() {
    let wrong = rewriting(|body| {
        if let Some(members) = body.get_mut("members").and_then(Value::as_object_mut) {
            members.retain(|key, _| !key.starts_with("reserve_"));
        }
    });
    caught("reservations", "SES-RSV-001", wrong);
}

#[test]
fn constants_that_are_overwritten() {
    let written: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
    let wrong: Wrong = Arc::new(move |honest, mut request| {
        let written = Arc::clone(&written);
        Box::pin(async move {
            let path = request.uri().path().to_ascii_lowercase();
            let mut response = honest.answer(request.clone()).await;
            if request.method() == Method::PUT
                && response.status() == StatusCode::CONFLICT
                && let Ok(Value::Object(mut body)) = serde_json::from_slice(request.body())
                && let Some(constants) = body.shift_remove("constants")
            {
                *request.body_mut() = Value::Object(body).to_string().into();
                request.headers_mut().remove(header::CONTENT_LENGTH);
                response = honest.answer(request).await;
                written.lock().unwrap().insert(path.clone(), constants);
            }
            if let (Some(mut session), Some(constants)) = (session_of(&response), written.lock().unwrap().get(&path)) {
                for (key, value) in constants["system"].as_object().into_iter().flatten() {
                    session["constants"]["system"][key] = value.clone();
                }
                set_json(&mut response, &session);
            }
            response
        })
    });
    caught("constants", "SES-CONST-001", wrong);
}

#[test]
fn sessions_that_are_called_text() {
    let wrong = altered(as_sent, |_, response| {
        if session_of(response).is_some() {
            insert(response, header::CONTENT_TYPE, "text/plain");
        }
    });
    caught("headers", "HDR-009", wrong);
}

#[test]
fn refusals_in_json() {
    let wrong = altered(as_sent, |_, response| {
        if response.status().is_client_error() && session_of(response).is_none() {
            set_json(response, &json!({ "message": "no" }));
        }
    });
    caught("body", "SES-BODY-001", wrong);
}

#[test]
fn an_xuid_that_is_a_number() {
    let wrong = document(|_, session| {
        for member in members(session) {
            let xuid = member["constants"]["system"]["xuid"]
                .as_str()
                .and_then(|xuid| xuid.parse::<u64>().ok());
            member["constants"]["system"]["xuid"] = json!(xuid);
        }
    });
    caught("read", "LIVE-008", wrong);
}

#[test]
fn members_that_are_miscounted() {
    let wrong = document(|_, session| {
        let count = session["membersInfo"]["count"].as_u64().unwrap_or_default();
        session["membersInfo"]["count"] = json!(count + 1);
    });
    caught("read", "SES-RESP-008", wrong);
}

#[test]
fn a_list_of_members_that_leads_astray() {
    let wrong = document(|_, session| {
        for member in members(session) {
            member["next"] = json!(99);
        }
    });
    caught("read", "SES-RESP-007", wrong);
}

#[test]
fn an_older_document_for_everybody() {
    caught(
        "versions",
        "SES-RESP-001",
        document(|_, session| session["contractVersion"] = json!(104)),
    );
}

#[test]
fn sessions_that_say_where_they_are() {
    let wrong = altered(as_sent, |asked, response| {
        if session_of(response).is_some() {
            insert(response, header::LOCATION, asked.uri().path());
        }
    });
    caught("read", "LIVE-011", wrong);
}

#[test]
fn a_refusal_that_shows_the_private_session() {
    let seen: Arc<Mutex<HashMap<String, Bytes>>> = Arc::default();
    let wrong = altered(as_sent, move |asked, response| {
        let path = asked.uri().path().to_ascii_lowercase();
        if response.status().is_success() && session_of(response).is_some() {
            seen.lock().unwrap().insert(path, response.body().clone());
        } else if response.status() == StatusCode::FORBIDDEN
            && let Some(body) = seen.lock().unwrap().get(&path)
        {
            set_body(response, body.clone(), "application/json");
        }
    });
    caught("visibility", "STAT-013", wrong);
}

#[test]
fn the_answer_of_another_session() {
    let first: Arc<Mutex<Option<Bytes>>> = Arc::default();
    let wrong = altered(as_sent, move |asked, response| {
        if asked.method() == Method::GET && session_of(response).is_some() {
            let body = first
                .lock()
                .unwrap()
                .get_or_insert_with(|| response.body().clone())
                .clone();
            set_body(response, body, "application/json");
        }
    });
    caught("addressing", "SES-ADDR-014", wrong);
}

#[test]
fn documents_that_break_off() {
    let wrong = altered(as_sent, |_, response| {
        if session_of(response).is_some() {
            let half = response.body().slice(..response.body().len() / 2);
            set_body(response, half, "application/json");
        }
    });
    caught("read", "HDR-009", wrong);
}

#[test]
fn members_who_cannot_leave() {
    let wrong: Wrong = Arc::new(|honest, request| {
        Box::pin(async move {
            if request.method() == Method::DELETE {
                return Response::builder()
                    .status(StatusCode::NO_CONTENT)
                    .body(Bytes::new())
                    .unwrap();
            }
            honest.answer(request).await
        })
    });
    caught("delete", "SES-DEL-001", wrong);
}

#[test]
fn activities_that_nobody_finds() {
    let wrong = altered(as_sent, |asked, response| {
        if asked.uri().path().ends_with("/query") && response.status() == StatusCode::OK {
            set_json(response, &json!({ "results": [] }));
        }
    });
    caught("handle-queries", "HDL-QRY-005", wrong);
}

#[test]
fn paths_whose_letters_must_be_right() {
    let wrong = altered(
        |request| {
            let path = request.uri().path();
            if path.to_ascii_lowercase().contains("/sessiontemplates") && !path.contains("/sessiontemplates") {
                *request.uri_mut() = "/elsewhere".parse().unwrap();
            }
        },
        as_answered,
    );
    caught("addressing", "LIVE-025", wrong);
}

#[test]
fn requests_that_need_no_contract_version() {
    let wrong = altered(
        |request| {
            let version = HeaderValue::from_static("107");
            request.headers_mut().entry("x-xbl-contract-version").or_insert(version);
        },
        as_answered,
    );
    caught("headers", "HDR-001", wrong);
}

#[test]
fn verbs_that_nobody_told_of() {
    caught(
        "addressing",
        "SES-ADDR-010",
        status(Method::POST, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND),
    );
}

#[test]
fn strangers_who_are_let_in_as_somebody() {
    let known: Arc<Mutex<Option<HeaderValue>>> = Arc::default();
    let wrong: Wrong = Arc::new(move |honest, mut request| {
        let known = Arc::clone(&known);
        Box::pin(async move {
            let mut response = honest.answer(request.clone()).await;
            let somebody = known.lock().unwrap().clone();
            if response.status() == StatusCode::UNAUTHORIZED
                && let Some(somebody) = somebody
            {
                request.headers_mut().insert(header::AUTHORIZATION, somebody);
                response = honest.answer(request).await;
            } else if let (true, Some(own)) = (response.status().is_success(), request.headers().get("authorization")) {
                known.lock().unwrap().get_or_insert_with(|| own.clone());
            }
            response
        })
    });
    caught("principals", "SES-PRIN-003", wrong);
}

#[test]
fn bodies_with_keys_that_nobody_knows() {
    let known = ["constants", "properties", "members", "servers", "roleTypes"];
    caught(
        "body",
        "SES-BODY-002",
        rewriting(move |body| body.retain(|key, _| known.contains(&key.as_str()))),
    );
}

#[test]
fn time_that_stands_still() {
    caught("reservations", "TMO-006", deaf_to(&["x-mpsd-advance-ms"]));
}
