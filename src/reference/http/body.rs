//! Reading the body of a request: how long, how slow and how deep it may be.

use std::io::{self, Read};
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use serde_json::{Map, Value};

use super::super::failure::Failure;
use super::super::json;
use super::super::rules::{EmptyBody, QueryMediaType, RepeatedMember};
use super::edge::Edge;
use super::path::Resource;

/// The body of a request, or what is wrong with it: told only once everything else is in order.
pub(super) type Body = Result<Value, Failure>;

impl Edge {
    pub(super) async fn body<B>(&self, resource: &Resource<'_>, headers: &HeaderMap, body: B) -> Body
    where
        B: HttpBody,
        B::Data: Buf,
    {
        let patience = Duration::from_millis(self.limits.request_millis);
        let received = tokio::time::timeout(patience, received(body, self.limits.body_bytes)).await;
        let received = received.unwrap_or(Err(Failure::TooSlow))?;
        self.parse(resource, headers, &self.expanded(headers, received)?)
    }

    /// The body without its content coding; the limit is that of the expanded body (HDR-022).
    fn expanded(&self, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failure> {
        let given = headers.get_all(header::CONTENT_ENCODING).iter();
        let given: Vec<_> = given.map(|coding| String::from_utf8_lossy(coding.as_bytes())).collect();
        let coding = given.join(", ").trim().to_ascii_lowercase();
        let limit = self.limits.body_bytes;
        match coding.as_str() {
            "" | "identity" => Ok(body),
            _ if !self.provisions.rules.codings_are_undone.kept() => Err(Failure::ContentCoding(coding)),
            "gzip" | "x-gzip" => expanded(MultiGzDecoder::new(&*body), limit),
            "deflate" => expanded(ZlibDecoder::new(&*body), limit),
            _ => Err(Failure::ContentCoding(coding)),
        }
    }

    fn parse(&self, resource: &Resource<'_>, headers: &HeaderMap, bytes: &Bytes) -> Body {
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
            let is_plain = essence.eq_ignore_ascii_case("text/plain")
                && *resource == Resource::HandleQuery
                && rules.query_media_type == QueryMediaType::Accepted;
            if !is_plain && !essence.eq_ignore_ascii_case("application/json") {
                let message = format!("The body is declared as `{essence}`; expected `application/json`.");
                return Err(Failure::MediaType(message));
            }
        }
        let repeats = rules.repeated_member == RepeatedMember::LastCounts;
        json::parse(bytes, self.limits.nesting_depth, repeats)
            .map_err(|error| Failure::Malformed(format!("The body is not JSON as expected: {error}.")))
    }
}

/// All that a decoder gives, which is never more than one byte beyond the limit.
fn expanded(decoder: impl Read, limit: usize) -> Result<Bytes, Failure> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read: io::Result<usize> = decoder.take(most).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Malformed(format!("The body is not encoded as declared: {error}.")))?;
    if bytes.len() > limit {
        return Err(Failure::BodyTooLong { limit });
    }
    Ok(bytes.into())
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
