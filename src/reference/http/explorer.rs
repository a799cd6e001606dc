//! The session explorer: a page for people who want to see what is stored (DBG-001 to DBG-003).
//!
//! The page itself is for everybody; what is stored is shown to a token, which comes in the header like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use http::request::Parts;
use http::{HeaderValue, Method, header};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::failure::Failure;
use super::super::principal::Principal;
use super::super::session::{Access, ContractVersion, Grant, Session, Status};
use super::super::session_ref::SessionKey;
use super::super::store::Part;
use super::answer::Response;
use super::edge::Edge;

const PAGE: &str = include_str!("explorer.html");
const UNKNOWN: &str =
    "<p class=\"note\">Enter the whole value of an Authorization header to see what its identity sees.";

/// The most sessions of a service config that the page shows.
const MOST_SESSIONS: usize = 200;

/// A session as the page shows it.
struct Shown {
    key: SessionKey,
    summary: String,
    document: Value,
}

impl Edge {
    /// GET /debug: the page; with a token also what its identity may see.
    pub(super) fn explore(&self, parts: &Parts, now: Timestamp) -> Result<Response, Failure> {
        if parts.method != Method::GET {
            return Err(Failure::UnsupportedVerb { allowed: "GET" });
        }
        let content = match parts.headers.get(header::AUTHORIZATION) {
            None => UNKNOWN.to_owned(),
            Some(authorization) => {
                let caller = self.authority.authenticate(Some(authorization.as_bytes()), now)?;
                self.seen_by(caller, now)
            }
        };
        Ok(page(&content))
    }

    fn seen_by(&self, caller: &Principal, now: Timestamp) -> String {
        let mut html = String::new();
        let mut configs: Vec<_> = self.provisions.service_configs(caller).collect();
        configs.sort_unstable_by(|one, other| one.scid.cmp(&other.scid));
        let who = caller
            .xuid()
            .map_or_else(|| "a server".to_owned(), |xuid| format!("user {xuid}"));
        put(&mut html, format_args!("<p>{}, {}\n", escaped(&caller.name), who));
        for config in configs {
            let scid = config.scid.as_str();
            put(
                &mut html,
                format_args!("<h2>Service config {}</h2>\n<h3>Templates</h3>\n", escaped(scid)),
            );
            for template in config.templates() {
                let summary = format!(
                    "{}, contract version {}",
                    template.name,
                    template.contract_version.number()
                );
                let mut document = json!({ "constants": template.constants });
                if !template.role_types.is_null() {
                    document["roleTypes"] = template.role_types.clone();
                }
                put_details(&mut html, &format!("{scid}~{}", template.name), &summary, &document);
            }
            html.push_str("<h3>Sessions</h3>\n");
            let part = Part {
                scid,
                template_name: None,
                after: None,
                most: MOST_SESSIONS,
            };
            let keys = caller.xuid().map(|xuid| self.store.sessions_of(xuid, &part).0);
            let sessions: Vec<_> = keys
                .unwrap_or_default()
                .into_iter()
                .filter_map(|key| self.shown(key, caller, now))
                .collect();
            let keys: BTreeSet<_> = sessions.iter().map(|session| &session.key).collect();
            let mut handles: BTreeMap<SessionKey, Vec<_>> = BTreeMap::new();
            for handle in self.store.handles().to_sessions(&keys, now) {
                handles.entry(handle.at.key()).or_default().push(handle);
            }
            for session in &sessions {
                put_details(&mut html, session.key.as_str(), &session.summary, &session.document);
                for handle in handles.get(&session.key).into_iter().flatten() {
                    let id = handle.id.to_string();
                    let summary = format!("handle of {}: {} {id}", session.summary, handle.kind.name());
                    let document = Value::Object(handle.to_json(&self.provisions.rules));
                    put_details(&mut html, &id, &summary, &document);
                }
            }
            if sessions.is_empty() {
                html.push_str("<p class=\"note\">The user is in no session.\n");
            }
        }
        html
    }

    /// The session as it is stored: no timer runs, and the next one is not told (DBG-003).
    fn shown(&self, key: SessionKey, caller: &Principal, now: Timestamp) -> Option<Shown> {
        let connections = self.real_time.at(now, None);
        let access = Access {
            caller,
            acting: &[],
            denies_manage: false,
            version: ContractVersion::V107,
            now,
            grant: Grant::None,
            rules: &self.provisions.rules,
            social: &self.provisions.social,
            connections: &connections,
        };
        let look = |session: &Session| {
            let me = caller.xuid().and_then(|xuid| session.member(xuid))?;
            session.may_read(&access).ok()?;
            let mut document = session.to_json(&access);
            if let Some(fields) = document.as_object_mut() {
                fields.shift_remove("nextTimer");
            }
            let at = session.at();
            let summary = format!(
                "{} / {}: change {}, {} of {} members, {}",
                at.template_name,
                at.name,
                session.change_number(),
                session.count(),
                session.max_members(),
                match me.status {
                    Status::Reserved => "reserved",
                    Status::Inactive => "inactive",
                    Status::Ready => "ready",
                    Status::Active => "active",
                }
            );
            Some((summary, document))
        };
        let (summary, document) = self.store.peek(&key, look)??;
        Some(Shown { key, summary, document })
    }
}

fn page(content: &str) -> Response {
    let nonce = Uuid::new_v4().simple().to_string();
    // The content comes last: nothing in it is replaced.
    let html = PAGE.replace("{nonce}", &nonce).replacen("{content}", content, 1);
    let mut answer = Response::new(Full::from(html));
    let headers = answer.headers_mut();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Authorization"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A summary that opens to a document.
fn put_details(html: &mut String, id: &str, summary: &str, document: &Value) {
    put(
        html,
        format_args!(
            "<details id=\"{}\"><summary>{}</summary><pre>{}</pre></details>\n",
            escaped(id),
            escaped(summary),
            escaped(&format!("{document:#}"))
        ),
    );
}

fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = html.write_fmt(text);
}

/// Text that is nothing but text in HTML, in quotes too.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}
