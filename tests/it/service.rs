//! The reference in this process, asked without a socket.

use std::collections::BTreeMap;

use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use mpsd_reference::{Clock, Config, ConfigError, Service};
use serde_json::{Value, json};

/// The service config that all sessions of these tests live in.
pub const SCID: &str = "7d1f0a52-8a3e-4a57-9c55-2f5d0c9f3b11";

/// A service and the tokens of those who may call it.
pub struct Reference {
    service: Service,
    tokens: BTreeMap<String, String>,
}

/// An answer: status, headers, and the body's bytes.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body's JSON; null when it has none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Reference {
    /// A service with these principals, social relations and templates, at a time that stands still.
    pub fn new(principals: &Value, social: &Value, templates: &Value) -> Self {
        Self::start(json!({
            "serviceConfigs": { SCID: { "titles": ["1"], "templates": templates } },
            "principals": principals,
            "social": social,
        }))
        .expect("the service starts")
    }

    /// A service with this configuration, at a time that stands still.
    pub fn start(config: Value) -> Result<Self, ConfigError> {
        let config = Config::from_value(config)?;
        let tokens = config.tokens();
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        let service = Service::new(&config, Clock::from_fn(move || now))?;
        Ok(Self { service, tokens })
    }

    /// Sends a request as somebody; an unknown name sends no token.
    pub async fn ask(&self, who: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("X-Xbl-Contract-Version", "107");
        if let Some(token) = self.tokens.get(who) {
            request = request.header("Authorization", token);
        }
        let text = body.map(ToString::to_string);
        if text.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let request = request
            .body(Full::new(bytes::Bytes::from(text.unwrap_or_default())))
            .expect("a request");
        let (parts, body) = self.service.answer(request).await.into_parts();
        let body = body.collect().await.expect("the body arrives").to_bytes().to_vec();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }
}

/// The path of a session.
pub fn session(template: &str, name: &str) -> String {
    format!("/serviceconfigs/{SCID}/sessiontemplates/{template}/sessions/{name}")
}

/// Numbers that look random and are the same for the same seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub fn roll(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % limit as u64).unwrap_or_default()
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.roll(choices.len())]
    }
}
