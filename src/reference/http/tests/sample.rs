//! What the tests over HTTP have in common: a service, who may call it, and its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{CONTRACT_VERSION, Service};
use crate::clock::Clock;
use crate::config::Config;

pub(in crate::http) const SCID: &str = "00000000-0000-0000-0000-000000000001";

/// A service, who may call it, and its time.
pub(in crate::http) struct Stage {
    pub(in crate::http) service: Service,
    tokens: BTreeMap<String, String>,
    pub(in crate::http) second: Arc<AtomicI64>,
}

pub(in crate::http) struct Answer {
    pub(in crate::http) status: u16,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) text: String,
}

impl Answer {
    pub(in crate::http) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub(in crate::http) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    pub(in crate::http) fn assert_text(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8");
        assert!(!self.text.is_empty());
    }
}

impl Stage {
    pub(in crate::http) fn new() -> Self {
        Self::with(&json!({}))
    }

    pub(in crate::http) fn with(more: &Value) -> Self {
        let user = |xuid: &str| json!({ "xuid": xuid, "title": "5", "gamertag": xuid, "device": xuid });
        let mut config = json!({
            "serviceConfigs": {
                (SCID): { "templates": {
                    "open": { "constants": { "system": { "version": 1 } } },
                    "private": { "constants": { "system": { "version": 1, "visibility": "private" } } },
                    "followed": { "constants": { "system": { "version": 1 } } },
                } },
                "closed": { "titles": [9], "templates": {} },
            },
            "principals": {
                "alice": user("101"), "bob": user("102"), "carol": user("103"),
                "server": { "kind": "server", "title": 5 },
            },
            "social": { "follows": { "alice": ["bob"] } },
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config = Config::from_value(config).unwrap();
        let second = Arc::new(AtomicI64::new(1_700_000_000));
        let source = Arc::clone(&second);
        let clock = Clock::from_fn(move || Timestamp::from_second(source.load(Ordering::Relaxed)).unwrap());
        Self {
            service: Service::new(&config, clock).unwrap(),
            tokens: config.tokens(),
            second,
        }
    }

    pub(in crate::http) async fn send(
        &self,
        who: &str,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.send_body(who, line, headers, Full::new(body.into())).await
    }

    pub(in crate::http) async fn send_body(
        &self,
        who: &str,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Body<Data = Bytes>,
    ) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = self.tokens.get(who) {
            request = request.header("authorization", token);
        }
        if !headers.iter().any(|(name, _)| *name == CONTRACT_VERSION) {
            request = request.header(CONTRACT_VERSION, "107");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let (parts, body) = self.service.answer(request.body(body).unwrap()).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(in crate::http) async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(who, &format!("GET {path}"), &[], "").await
    }

    pub(in crate::http) async fn put(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.send(who, &format!("PUT {path}"), &[], body.to_string()).await
    }

    pub(in crate::http) async fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.send(who, &format!("POST {path}"), &[], body.to_string()).await
    }
}

pub(in crate::http) fn session(template: &str, name: &str) -> String {
    format!("/serviceconfigs/{SCID}/sessiontemplates/{template}/sessions/{name}")
}

pub(in crate::http) fn session_ref(template: &str, name: &str) -> Value {
    json!({ "scid": SCID, "templateName": template, "name": name })
}

pub(in crate::http) fn active() -> Value {
    json!({ "members": { "me": { "properties": { "system": { "active": true } } } } })
}

pub(in crate::http) fn activity(template: &str, name: &str) -> Value {
    json!({ "version": 1, "type": "activity", "sessionRef": session_ref(template, name) })
}
