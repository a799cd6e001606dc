//! Responses: documents, messages, and the one place where a failure gets its status.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::defect::defect;
use super::super::document::Document;
use super::super::failure::Failure;
use super::super::json;
use super::super::rate::Window;
use super::super::rules::{OtherMediaType, RefusedWrite, Rules, ThrottledBody, UnsupportedVersion};
use super::super::session_ref::SessionRef;
use super::path::location;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// LIVE-005
const CACHE_SESSION: HeaderValue = HeaderValue::from_static("max-age=0, must-revalidate");
/// LIVE-005, HDR-023
pub(super) const UNCACHED: HeaderValue = HeaderValue::from_static("no-cache, no-store");

/// What the service answers with: every body is in memory, whole.
pub type Response = http::Response<Full<Bytes>>;

/// An answer of nothing but a status.
pub(super) fn empty(status: StatusCode) -> Response {
    with_status(status, Bytes::new())
}

/// A JSON document that is no session.
pub(super) fn document(status: StatusCode, value: &Value) -> Response {
    let mut answer = with_status(status, json::bytes(value, 1024));
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

/// What a query found.
pub(super) fn results(results: &[Value], rules: &Rules) -> Response {
    let mut answer = document(StatusCode::OK, &json!({ "results": results }));
    keep_out_of_caches(&mut answer, rules);
    answer
}

/// HDR-023
fn keep_out_of_caches(answer: &mut Response, rules: &Rules) {
    if rules.results_are_not_cached.kept() {
        answer.headers_mut().insert(header::CACHE_CONTROL, UNCACHED);
    }
}

/// A session.
pub(super) fn session(status: StatusCode, document: Document) -> Response {
    let mut answer = with_status(status, document.body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, CACHE_SESSION);
    let mut put = |name: HeaderName, value: Option<HeaderValue>| value.map(|value| headers.insert(name, value));
    put(header::ETAG, document.etag.map(header_value));
    // HDR-012
    put(header::EXPIRES, document.expires.and_then(http_date));
    answer
}

/// Tells the path of the session that an answer shows or belongs to (LIVE-011).
pub(super) fn name_session(answer: &mut Response, at: &SessionRef, rules: &Rules) {
    let host = if rules.content_location_is_a_path.kept() {
        ""
    } else {
        "https://sessiondirectory.xboxlive.com"
    };
    let path = header_value(format!("{host}{}", location(at)));
    answer.headers_mut().insert(header::CONTENT_LOCATION, path);
}

/// A new handle, and where it is (LIVE-001).
pub(super) fn created_handle(value: Option<&Value>, id: Uuid, rules: &Rules) -> Response {
    let created = StatusCode::CREATED;
    let mut answer = value.map_or_else(|| empty(created), |value| document(created, value));
    keep_out_of_caches(&mut answer, rules);
    if !rules.handles_tell_where_they_are.kept() {
        return answer;
    }
    let path = header_value(format!("/handles/{id}"));
    answer.headers_mut().insert(header::LOCATION, path.clone());
    answer.headers_mut().insert(header::CONTENT_LOCATION, path);
    answer
}

/// A part of a session, with the session's entity tag.
pub(super) fn element(value: &Value, etag: Option<&str>) -> Response {
    let mut answer = document(StatusCode::OK, value);
    if let Some(etag) = etag {
        tag(&mut answer, etag);
    }
    answer
}

/// 304 for a caller who knows the state `etag`.
pub(super) fn not_modified(etag: &str) -> Response {
    let mut answer = empty(StatusCode::NOT_MODIFIED);
    tag(&mut answer, etag);
    answer
}

fn tag(answer: &mut Response, etag: &str) {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHE_SESSION);
    headers.insert(header::ETAG, header_value(etag.to_owned()));
}

/// A time as headers write it, in whole seconds.
pub(super) fn http_date(time: Timestamp) -> Option<HeaderValue> {
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::try_from(text).ok()
}

/// A header of the service's own making, which has printable ASCII only.
pub(super) fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|error| defect(error))
}

fn with_status(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

fn text(status: StatusCode, message: impl Into<Bytes>) -> Response {
    let mut answer = with_status(status, message);
    answer.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    answer
}

impl Failure {
    /// The response that a caller gets instead of what it asked for.
    pub(super) fn response(self, rules: &Rules) -> Response {
        match self {
            Self::Unauthenticated(why) => {
                let mut answer = text(StatusCode::UNAUTHORIZED, why.to_string());
                let scheme = HeaderValue::from_static("XBL3.0");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                answer
            }
            Self::UnknownPath => text(StatusCode::NOT_FOUND, "The path names nothing that this service knows."),
            Self::UnsupportedVerb { allowed } => {
                let message = format!("The path does not know this verb, only {allowed}.");
                let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, message);
                answer
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static(allowed));
                answer
            }
            Self::UnsupportedVersion(message) => match rules.unsupported_version {
                UnsupportedVersion::BadRequest => text(StatusCode::BAD_REQUEST, message),
                UnsupportedVersion::NotAcceptable => text(StatusCode::NOT_ACCEPTABLE, message),
            },
            Self::Malformed(message) => text(StatusCode::BAD_REQUEST, message),
            Self::MediaType(message) => match rules.other_media_type {
                OtherMediaType::BadRequest => text(StatusCode::BAD_REQUEST, message),
                OtherMediaType::Unsupported => text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            },
            Self::ContentCoding(coding) => {
                let message =
                    format!("The body is encoded as `{coding}`; expected `gzip` or `deflate`, or no encoding.");
                let mut answer = text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
                let known = HeaderValue::from_static("gzip, deflate");
                answer.headers_mut().insert(header::ACCEPT_ENCODING, known);
                answer
            }
            Self::BodyTooLong { limit } => text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The body is longer than {limit} bytes."),
            ),
            Self::HeadersTooLong { limit } => {
                let message = format!("The headers are longer than {limit} bytes.");
                text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message)
            }
            Self::TooSlow => text(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time."),
            Self::NotFound(message) => text(StatusCode::NOT_FOUND, message),
            Self::Forbidden(message) => text(StatusCode::FORBIDDEN, message),
            Self::Unwritable(document) => match rules.refused_write {
                RefusedWrite::Session => session(StatusCode::FORBIDDEN, document),
                RefusedWrite::Text => text(StatusCode::FORBIDDEN, "The session can be read, and not updated."),
            },
            Self::Conflict(message) => text(StatusCode::CONFLICT, message),
            Self::Precondition(document) => {
                let status = StatusCode::PRECONDITION_FAILED;
                let mut answer = document.map_or_else(|| empty(status), |document| session(status, document));
                answer.headers_mut().insert(header::CACHE_CONTROL, UNCACHED);
                answer
            }
            Self::Throttled(throttled) => {
                let window = match throttled.window {
                    Window::Burst => "burst",
                    Window::Sustain => "sustain",
                };
                let (kind, value) = match rules.throttled_body {
                    ThrottledBody::LimitType | ThrottledBody::Empty => ("limitType", "rate"),
                    ThrottledBody::Type => ("type", window),
                };
                // RATE-008
                let body = json!({
                    "version": 1,
                    "currentRequests": throttled.current,
                    "maxRequests": throttled.limit,
                    "periodInSeconds": throttled.window.seconds(),
                    kind: value,
                });
                let mut answer = match rules.throttled_body {
                    ThrottledBody::Empty => empty(StatusCode::TOO_MANY_REQUESTS),
                    ThrottledBody::LimitType | ThrottledBody::Type => document(StatusCode::TOO_MANY_REQUESTS, &body),
                };
                answer
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(throttled.retry_after));
                answer
            }
            Self::UpgradeRequired => {
                let mut answer = text(
                    StatusCode::UPGRADE_REQUIRED,
                    "The path only supports WebSocket, version 13.",
                );
                let headers = answer.headers_mut();
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                answer
            }
            Self::Unkept(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("The service {why}.")),
            Self::Defect => text(StatusCode::INTERNAL_SERVER_ERROR, "The service has a fault."),
        }
    }
}
