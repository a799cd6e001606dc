//! The HTTP edge: from a request to an answer.
//!
//! The order of checks is the same everywhere: header size, principal, path and verb, contract version, on whose behalf
//! a service calls, rate, then the service config, its template, the session's read access, the precondition, and the body last.

mod acting;
mod answer;
mod body;
mod call;
mod conditions;
mod connect;
mod edge;
mod explorer;
mod handles;
mod path;
mod queries;
mod search;
mod sessions;
mod templates;
#[cfg(test)]
pub(crate) mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Version, header};
use hyper::body::Body as HttpBody;
use jiff::Timestamp;
use serde_json::Value;
#[cfg(test)]
use uuid::Uuid;

use self::acting::Acting;
pub use self::answer::Response;
use self::body::{Body, received};
use self::call::Call;
use self::edge::Edge;
use self::path::{Element, Resource};
use super::auth::Authority;
use super::clock::Clock;
use super::config::{Config, ConfigError, Limits, RateLimits, decimal};
use super::failure::Failure;
use super::faults;
use super::handle::check_session_name;
use super::nonce::Nonces;
use super::provisions::Provisions;
use super::rate::{Counter, Rates};
use super::realtime::RealTime;
use super::session::{ContractVersion, Grant, Session};
use super::session_ref::{SessionKey, SessionRef};
use super::store::{Moment, Store};
use super::wire;

/// How long real-time events may be held back, in milliseconds.
const MOST_HELD_BACK: u64 = 60_000;
const CONTRACT_VERSION: &str = "x-xbl-contract-version";

/// The service, ready to answer; clones share it. It knows nothing of sockets: see [`Server`](crate::Server).
#[derive(Clone, Debug)]
pub struct Service(Arc<Edge>);

impl Service {
    /// A service with nothing stored.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, ConfigError> {
        if !(1..=127).contains(&config.limits.nesting_depth) {
            return Err(ConfigError::new("limits.nestingDepth", "expected 1 to 127"));
        }
        let provisions = Provisions::new(config)?;
        let store = match &config.data {
            Some(folder) => {
                Store::open(folder, &provisions.rules).map_err(|error| ConfigError::new("data", error.to_string()))?
            }
            None => Store::default(),
        };
        let life = Duration::from_millis(config.limits.socket_millis);
        let wire = faults::on_the_wire(config)?.map(Arc::new);
        for (name, millis) in [
            ("delayMillis", config.events.delay_millis),
            ("windowMillis", config.events.window_millis),
        ] {
            if millis > MOST_HELD_BACK {
                let reason = format!("expected at most {MOST_HELD_BACK}");
                return Err(ConfigError::new(format!("events.{name}"), reason));
            }
        }
        let real_time = RealTime::new(
            clock.clone(),
            provisions.rules.clone(),
            life,
            config.events,
            wire.clone(),
            config.log.clone(),
        );
        Ok(Self(Arc::new(Edge {
            authority: Authority::new(config, clock.now())?,
            nonces: Nonces::default(),
            provisions,
            store,
            real_time: Arc::new(real_time),
            clock,
            clock_control: config.clock_control,
            limits: config.limits,
            rates: (config.rate_limits == RateLimits::Documented).then(Rates::default),
            explorer: config.explorer.0,
            wire,
        })))
    }

    /// The limits that requests are held to.
    pub(super) fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Lets happen by itself what is due in real time: sockets end, and who has lost its connection becomes inactive. Never
    /// returns.
    pub(super) async fn keep_time(&self) {
        let edge = &self.0;
        let access = |session: &SessionKey, now| {
            let moment = Moment {
                now,
                connections: edge.real_time.at(now, None),
                rules: &edge.provisions.rules,
            };
            // A defect ends with the access, like it ends with a request.
            let access = AssertUnwindSafe(|| edge.store.read(session, moment, |_| ()));
            drop(std::panic::catch_unwind(access));
        };
        edge.real_time.run(access).await;
    }

    /// Whether the connection is lost, or not known any more.
    #[cfg(test)]
    pub(super) fn has_lost(&self, connection: Uuid) -> bool {
        self.0.real_time.has_lost(connection)
    }

    /// Closes all sockets, and returns when they are closed.
    pub(super) async fn close_sockets(&self) {
        self.0.real_time.close().await;
    }

    /// Answers a request. A defect of the service is reported on standard error, answered with 500, and ends with the
    /// request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody,
        B::Data: Buf,
    {
        let Some(wire) = &self.0.wire else {
            return self.answer_truly(request).await;
        };
        let (parts, body) = request.into_parts();
        let kind = Resource::find(parts.uri.path()).map_or(wire::Kind::Other, |resource| resource.kind());
        let body = match received(body, usize::MAX).await {
            Ok(body) => body,
            Err(failure) => return failure.response(&self.0.provisions.rules),
        };
        wire.carry(kind, parts, body, |request| self.answer_truly(request))
            .await
    }

    async fn answer_truly<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody,
        B::Data: Buf,
    {
        let (parts, body) = request.into_parts();
        let (now, answer) = match self.0.now(&parts.headers) {
            Ok(now) => {
                let answer = AssertUnwindSafe(self.0.respond(&parts, body, now)).catch_unwind().await;
                (now, answer.unwrap_or(Err(Failure::Defect)))
            }
            Err(failure) => (self.0.clock.now(), Err(failure)),
        };
        self.0.finished(answer, now)
    }

    /// Answers a request that came over a connection, whose `Host` is checked as well (RFC 9112, section 3.2).
    pub(super) async fn receive<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody,
        B::Data: Buf,
    {
        let hosts = request.headers().get_all(header::HOST).iter().count();
        if hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11 {
            let failure = Failure::Malformed("Expected exactly one Host header.".to_owned());
            return self.0.finished(Err(failure), self.0.clock.now());
        }
        self.answer(request).await
    }
}

impl Edge {
    /// An answer with the headers that all have.
    fn finished(&self, answer: Result<Response, Failure>, now: Timestamp) -> Response {
        let mut answer = answer.unwrap_or_else(|failure| failure.response(&self.provisions.rules));
        let headers = answer.headers_mut();
        // HDR-011; hyper would tell the time of the wall clock.
        if let Some(date) = answer::http_date(now) {
            headers.insert(header::DATE, date);
        }
        if self.provisions.rules.types_are_not_guessed.kept() {
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        answer
    }

    async fn respond<B>(&self, parts: &Parts, body: B, now: Timestamp) -> Result<Response, Failure>
    where
        B: HttpBody,
        B::Data: Buf,
    {
        let limit = self.limits.header_bytes;
        let line = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
        let lengths = parts
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4);
        if line + lengths.sum::<usize>() > limit {
            return Err(Failure::HeadersTooLong { limit });
        }
        if self.explorer && Resource::find(parts.uri.path()) == Some(Resource::Explorer) {
            return self.explore(parts, now);
        }
        let resource = Resource::find(parts.uri.path()).filter(|resource| *resource != Resource::Explorer);
        if resource == Some(Resource::Connect)
            && let Some(answer) = self.connect_by_nonce(parts, now)
        {
            return answer;
        }
        let authorization = authorization(&parts.headers)?;
        let caller = self.authority.authenticate(authorization, now)?;
        let resource = resource.ok_or(Failure::UnknownPath)?;
        let allowed = resource.verbs();
        if !allowed.split(", ").any(|verb| verb == parts.method.as_str()) {
            return Err(Failure::UnsupportedVerb { allowed });
        }
        if resource == Resource::Connect {
            return self.connect(parts, caller, self.authority.expiry(authorization), now);
        }
        if resource == Resource::Nonce {
            return self.issue_nonce(caller, self.authority.expiry(authorization), now);
        }
        let version = contract_version(&parts.headers)?;
        let acting = Acting::read(&parts.headers, caller, &self.provisions.rules)?;
        let caller = &*acting.caller(caller, &self.provisions)?;
        let call = Call {
            edge: self,
            caller,
            acting: &acting,
            version,
            now,
            headers: &parts.headers,
            query: parts.uri.query().unwrap_or_default(),
            connections: self.real_time.at(now, caller.xuid()),
        };
        let body = match parts.method {
            Method::PUT | Method::POST => self.body(&resource, &parts.headers, body).await,
            _ => Ok(Value::Null),
        };
        let counted = match call.count(Counter::of(&resource, &body)) {
            Err(throttled) if self.provisions.rules.throttled_requests_do_nothing.kept() => return Err(throttled),
            counted => counted,
        };
        self.check_kept()?;
        let answer = call.dispatch(resource, &parts.method, body);
        // Nobody is told of what will be forgotten.
        self.check_kept()?;
        counted.and(answer)
    }
}

/// The one `Authorization` header, if there is any.
fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, Failure> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let first = given.next();
    if given.next().is_some() {
        return Err(Failure::Malformed(
            "The request has several Authorization headers.".to_owned(),
        ));
    }
    Ok(first.map(HeaderValue::as_bytes))
}

/// HDR-001 to HDR-004.
fn contract_version(headers: &HeaderMap) -> Result<ContractVersion, Failure> {
    let malformed = |what: &str| Failure::Malformed(format!("The X-Xbl-Contract-Version header {what}; expected 107."));
    let given = headers.get(CONTRACT_VERSION).ok_or_else(|| malformed("is missing"))?;
    let number = given
        .to_str()
        .ok()
        .and_then(decimal)
        .ok_or_else(|| malformed("is not a number"))?;
    if number < 104 {
        return Err(malformed("is below 104"));
    }
    ContractVersion::of(number).ok_or_else(|| {
        let expected = ContractVersion::listed();
        Failure::UnsupportedVersion(format!(
            "Contract version {number} is not supported; expected one of {expected}."
        ))
    })
}

impl Counter {
    /// What a request counts as: search handles have counters of their own (RATE-006).
    fn of(resource: &Resource<'_>, body: &Body) -> Self {
        let kind = body
            .as_ref()
            .ok()
            .and_then(|body| body.get("type"))
            .and_then(Value::as_str);
        match (resource, kind) {
            (Resource::Handles, Some("search")) => Self::SearchWrite,
            (Resource::HandleQuery, Some("search")) => Self::SearchRead,
            _ => Self::General,
        }
    }
}

impl Call<'_> {
    fn dispatch(&self, resource: Resource<'_>, method: &Method, body: Body) -> Result<Response, Failure> {
        match resource {
            Resource::Templates { scid } => self.list_templates(&scid),
            Resource::Template { scid, template } => self.get_template(&scid, &template),
            Resource::Sessions { scid, template } => self.query_sessions(&scid, template.as_deref()),
            Resource::Batch { scid, template } => self.query_batch(&scid, template.as_deref(), &body?),
            // Answered before: they have no contract version.
            Resource::Connect | Resource::Nonce | Resource::Explorer => Err(Failure::UnknownPath),
            Resource::Handles => self.post_handle(&body?),
            Resource::HandleQuery => self.query_handles(&body?),
            Resource::Handle(id) if method == Method::GET => self.get_handle(id),
            Resource::Handle(id) => self.delete_handle(id),
            Resource::HandleSession(id) if method == Method::GET => self.get_session_by_handle(id),
            Resource::HandleSession(id) => self.put_session_by_handle(id, body),
            Resource::Session {
                scid,
                template,
                name,
                element,
            } => {
                check_session_name(&name)?;
                let at = SessionRef {
                    scid: scid.into_owned(),
                    template_name: template.into_owned(),
                    name: name.into_owned(),
                };
                let get = method == Method::GET;
                match element {
                    Element::Whole if get => self.get_session(&at, Grant::None),
                    Element::Whole => self.put_session(&at, Grant::None, body),
                    Element::Properties if get => self.get_element(&at, &["properties"]),
                    Element::Properties => self.put_properties(&at, body),
                    Element::Constants => self.get_element(&at, &["constants"]),
                    Element::Members => self.get_element(&at, &["members"]),
                    Element::Servers => self.get_element(&at, &["servers"]),
                    // AUTH-009
                    Element::Me if self.acting.users.len() > 1 => Err(Failure::Malformed(
                        "The call acts for several users; `me` does not select one of them.".to_owned(),
                    )),
                    Element::Me if get => self.get_element(&at, &["members", "me"]),
                    Element::Member(index) if get => self.get_element(&at, &["members", &index.to_string()]),
                    Element::Server(name) if get => self.get_element(&at, &["servers", &name]),
                    Element::Me => self.delete_element(&at, Session::remove_me),
                    Element::Member(index) => {
                        self.delete_element(&at, |session, access| session.remove_member(index, access))
                    }
                    Element::Server(name) => {
                        self.delete_element(&at, |session, access| session.remove_server(&name, access))
                    }
                }
            }
        }
    }
}
