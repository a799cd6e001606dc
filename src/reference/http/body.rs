//! Reading the body of a request: how long, how slow and how deep it may be.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use serde_json::{Map, Value};

use super::super::failure::Failure;
use super::super::json;
use super::super::rules::{EmptyBody, RepeatedMember};
use super::edge::Edge;

/// The body of a request, or what is wrong with it: told only once everything else is in order.
pub(super) type Body = Result<Value, Failure>;

impl Edge {
    pub(super) async fn body<B>(&self, headers: &HeaderMap, body: B) -> Body
    where
        B: HttpBody,
        B::Data: Buf,
    {
        let patience = Duration::from_millis(self.limits.request_millis);
        let received = tokio::time::timeout(patience, received(body, self.limits.body_bytes)).await;
        self.parse(headers, &received.unwrap_or(Err(Failure::TooSlow))?)
    }

    fn parse(&self, headers: &HeaderMap, bytes: &Bytes) -> Body {
        let rules = &self.provisions.rules;
        if bytes.is_empty() {
            return match rules.empty_body {
                EmptyBody::Empty => Ok(Value::Object(Map::new())),
                EmptyBody::BadRequest => Err(Failure::Malformed("The body is empty.".to_owned())),
            };
        }
        if let Some(given) = headers.get(header::CONTENT_TYPE) {
            let declared = String::from_utf8_lossy(given.as_bytes());
            let essence = declared
                .split_once(';')
                .map_or(&*declared, |(essence, _)| essence)
                .trim();
            if !essence.eq_ignore_ascii_case("application/json") {
                let message = format!("The body is declared as `{essence}`; expected `application/json`.");
                return Err(Failure::MediaType(message));
            }
        }
        if let Some(coding) = headers
            .get(header::CONTENT_ENCODING)
            .filter(|coding| *coding != "identity")
        {
            let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
            return Err(Failure::MediaType(format!(
                "The body is encoded as `{coding}`; expected no encoding."
            )));
        }
        let repeats = rules.repeated_member == RepeatedMember::LastCounts;
        json::parse(bytes, self.limits.nesting_depth, repeats)
            .map_err(|error| Failure::Malformed(format!("The body is not JSON as expected: {error}.")))
    }
}

/// All bytes of a body. One that is too long is read on for a while, because a client that still sends does not listen.
pub(super) async fn received<B>(body: B, limit: usize) -> Result<Bytes, Failure>
where
    B: HttpBody,
    B::Data: Buf,
{
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Malformed("The body did not arrive whole.".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.remaining());
        if length <= limit {
            bytes.put(data);
        } else if length / 16 > limit {
            break;
        }
    }
    if length > limit {
        return Err(Failure::BodyTooLong { limit });
    }
    Ok(bytes.freeze())
}
