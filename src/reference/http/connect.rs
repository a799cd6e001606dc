//! The handshake of the real-time socket (RTA-001), and the nonces that open one (RTA-046).

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::failure::Failure;
use super::super::principal::Principal;
use super::super::realtime::socket::{self, Opening};
use super::answer::{self, Response, header_value};
use super::edge::{ADVANCE, Edge};
use super::path;

const PROTOCOL: &str = "rta.xboxlive.com.V2";

impl Edge {
    /// GET /nonce: a nonce that opens one socket of the caller.
    pub(super) fn issue_nonce(
        &self,
        caller: &Arc<Principal>,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Response, Failure> {
        user(caller)?;
        let nonce = self.nonces.issue(caller, expires, now);
        let mut answer = answer::document(StatusCode::OK, &json!({ "nonce": nonce }));
        answer.headers_mut().insert(header::CACHE_CONTROL, answer::UNCACHED);
        Ok(answer)
    }

    /// GET /connect?nonce=N without a token; `None` if the request does not use a nonce.
    pub(super) fn connect_by_nonce(&self, parts: &Parts, now: Timestamp) -> Option<Result<Response, Failure>> {
        let rules = &self.provisions.rules;
        if parts.method != Method::GET
            || parts.headers.contains_key(header::AUTHORIZATION)
            || !rules.nonces_open_sockets.kept()
        {
            return None;
        }
        let (_, nonce) = path::parameters(parts.uri.query()?).find(|(name, _)| name.eq_ignore_ascii_case("nonce"))?;
        let bearer = self.nonces.redeem(&nonce, now, rules).map_err(Failure::from);
        Some(bearer.and_then(|bearer| self.connect(parts, &bearer.principal, bearer.expires, now)))
    }

    /// GET /connect: from then on the connection is a socket of the caller, whose token expires at `expires`.
    pub(super) fn connect(
        &self,
        parts: &Parts,
        caller: &Principal,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Response, Failure> {
        let headers = &parts.headers;
        let owner = user(caller)?;
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(Failure::UpgradeRequired)?;
        if !lists(headers, &header::UPGRADE, "websocket")
            || !lists(headers, &header::CONNECTION, "upgrade")
            || !lists(headers, &header::SEC_WEBSOCKET_VERSION, "13")
        {
            return Err(Failure::UpgradeRequired);
        }
        let rules = &self.provisions.rules;
        let is_offered = lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
        // RTA-044: many clients offer none.
        if !is_offered && !rules.sub_protocol_may_be_left_out.kept() {
            return Err(Failure::Malformed(format!("Expected the sub-protocol `{PROTOCOL}`.")));
        }
        let upgrade = parts.extensions.get::<OnUpgrade>().cloned();
        let upgrade = upgrade.ok_or(Failure::UpgradeRequired)?;

        let opening = Opening {
            owner,
            title: caller.title_id,
            now,
            expires,
            has_own_time: self.clock_control && headers.contains_key(ADVANCE),
        };
        let real_time = Arc::clone(&self.real_time);
        tokio::spawn(async move {
            // A client that goes away in the midst of the handshake has no socket.
            if let Ok(stream) = upgrade.await {
                socket::serve(real_time, opening, TokioIo::new(stream)).await;
            }
        });

        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if is_offered && rules.sub_protocol_is_chosen.kept() {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        }
        let accept = header_value(derive_accept_key(key.as_bytes()));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        Ok(answer)
    }
}

/// The xuid of a caller who may have a socket.
fn user(caller: &Principal) -> Result<u64, Failure> {
    caller
        .xuid()
        .ok_or_else(|| Failure::Forbidden("Only a user has real-time connections.".to_owned()))
}

/// Whether a header, a list, has the entry; the case of letters does not matter.
fn lists(headers: &HeaderMap, name: &HeaderName, entry: &str) -> bool {
    let mut entries = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    entries.any(|found| found.trim().eq_ignore_ascii_case(entry))
}
