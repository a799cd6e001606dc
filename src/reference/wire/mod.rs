//! The wire made wrong on purpose: between callers and the service, requests, answers and frames are altered as a fault of
//! the table says. Off unless the configuration names a fault.

mod edit;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

pub(crate) use self::edit::Edit;
use self::edit::find;
pub(crate) use self::table::wire_faults;

/// One way in which the wire can be wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireFault {
    /// What the configuration calls it.
    pub id: &'static str,
    /// What is wrong then.
    pub text: &'static str,
    /// The ids of the clauses that it breaks.
    pub clauses: &'static [&'static str],
    /// When it happens: all of these hold.
    pub on: &'static [On],
    /// What happens then, in this order.
    pub does: &'static [Change],
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A session at its own path.
    Session,
    /// A session through a handle.
    HandleSession,
    /// `/properties` of a session.
    Properties,
    /// `/members/me` of a session.
    Me,
    /// `/members/{index}` of a session.
    Member,
    /// `/servers/{name}` of a session.
    Server,
    /// Another part of a session.
    Part,
    /// The handles.
    Handles,
    /// A handle.
    Handle,
    /// The query for handles.
    HandleQuery,
    /// A query for sessions.
    Sessions,
    /// A query for the sessions of several users.
    Batch,
    /// The templates.
    Templates,
    /// A template.
    Template,
    /// Anything else.
    Other,
}

/// A condition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    /// The path names one of these.
    Path(&'static [Kind]),
    /// The path and query have the text, letter by letter.
    Line(&'static str),
    /// The path and query have no such text.
    NoLine(&'static str),
    /// The verb is one of these.
    Verb(&'static [&'static str]),
    /// The request has the header, with a value that has the text.
    Sent(&'static str, &'static str),
    /// The request lacks the header.
    Unsent(&'static str),
    /// The request's body has such a value at the place.
    Asked(&'static str, Is),
    /// The request's body has nothing at the place.
    Unasked(&'static str),
    /// The answer has one of these statuses.
    Status(&'static [u16]),
    /// The answer's body has such a value at the place.
    Told(&'static str, Is),
    /// The answer's body has nothing at the place.
    Untold(&'static str),
    /// It is a frame whose first element is this number.
    Frame(u64),
}

/// What a value is like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Is {
    /// It is there.
    There,
    /// It is this value, written as JSON.
    Json(&'static str),
    /// It is a text that has this part.
    With(&'static str),
}

/// What is done to a request, an answer or a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// The request loses the header.
    Unsend(&'static str),
    /// The request has the header with this value.
    Send(&'static str, &'static str),
    /// A text of the request's path and query is replaced by another.
    Line(&'static str, &'static str),
    /// The query has one parameter more.
    Query(&'static str),
    /// The query has no parameter of the name.
    Unquery(&'static str),
    /// Each capital letter of the path counts twice, so that the case of letters matters.
    Capitals,
    /// The request has another verb.
    Verb(&'static str),
    /// The request's body is edited.
    Ask(&'static str, Edit),
    /// The request has no body.
    AskNothing,
    /// The request is carried out with an edited body first.
    First(&'static str, Edit),
    /// The request is carried out twice.
    Twice,
    /// The caller first joins the session that the request's body names at the place.
    Join(&'static str),
    /// The answer has another status.
    Status(u16),
    /// The answer lacks the header.
    Unhead(&'static str),
    /// The answer has the header with this value.
    Head(&'static str, &'static str),
    /// A text of a header is replaced by another.
    HeadText(&'static str, &'static str, &'static str),
    /// The answer's body, or the frame, is edited.
    Tell(&'static str, Edit),
    /// A text of the body, or of the frame, is replaced by another wherever it stands.
    TellText(&'static str, &'static str),
    /// The body is another text.
    Body(&'static str),
    /// The body is that of the request.
    Echo,
    /// The answer's value at the place is the request's.
    EchoAt(&'static str),
    /// The answer's values at two places are exchanged, where both are.
    Exchange(&'static str, &'static str),
    /// The answer shows the state before: what a GET answers at the time.
    Former,
    /// There is no body.
    Empty,
    /// The second half of the body is missing.
    Half,
    /// The first answer to the same request is given again.
    Stale,
    /// The answer before to a request of the kind, by whomever, is given instead.
    Foreign,
    /// The frame is not sent.
    Swallow,
    /// The frame is sent twice.
    Repeat,
    /// The frame is kept back until the next one, which goes first.
    Hold,
}

/// The faults in force, and what they remember.
pub(super) struct Wire {
    faults: Vec<&'static WireFault>,
    memory: Mutex<HashMap<String, Kept>>,
}

/// An answer that is remembered.
#[derive(Clone, Debug)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// A request on its way, with its body.
#[derive(Clone, Debug)]
struct Asked {
    kind: Kind,
    parts: Parts,
    body: Bytes,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn line(&self) -> &str {
        self.parts.uri.path_and_query().map_or("", |line| line.as_str())
    }

    fn set_line(&mut self, line: &str) {
        if let Ok(uri) = line.parse::<Uri>() {
            self.parts.uri = uri;
        }
    }

    fn set_body(&mut self, body: Bytes) {
        if self.parts.headers.contains_key(header::CONTENT_LENGTH) {
            self.parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        self.body = body;
    }

    fn edit(&mut self, at: &str, edit: Edit) {
        let mut json = self.json();
        if edit.apply(at, &mut json) {
            self.set_body(json.to_string().into());
        }
    }

    fn meets(&self, on: &On) -> bool {
        match on {
            On::Path(kinds) => kinds.contains(&self.kind),
            On::Line(text) => self.line().contains(text),
            On::NoLine(text) => !self.line().contains(text),
            On::Verb(verbs) => verbs.contains(&self.parts.method.as_str()),
            On::Sent(name, part) => {
                let value = self.parts.headers.get(*name).and_then(|value| value.to_str().ok());
                value.is_some_and(|value| value.contains(part))
            }
            On::Unsent(name) => !self.parts.headers.contains_key(*name),
            On::Asked(at, is) => is.holds(&self.json(), at),
            On::Unasked(at) => find(&self.json(), at).is_empty(),
            On::Frame(_) => false,
            On::Status(_) | On::Told(..) | On::Untold(_) => true,
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Unsend(name) => {
                self.parts.headers.remove(*name);
            }
            Change::Send(name, value) => {
                self.parts
                    .headers
                    .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            Change::Line(from, to) => self.set_line(&self.line().replace(from, to)),
            Change::Query(more) => {
                let mark = if self.line().contains('?') { '&' } else { '?' };
                self.set_line(&format!("{}{mark}{more}", self.line()));
            }
            Change::Unquery(name) => {
                if let Some((path, query)) = self.line().split_once('?') {
                    let is_other = |parameter: &&str| parameter.split('=').next() != Some(name);
                    let query: Vec<&str> = query.split('&').filter(is_other).collect();
                    self.set_line(&format!("{path}?{}", query.join("&")));
                }
            }
            Change::Capitals => {
                let twice = |letter: char| std::iter::repeat_n(letter, 1 + usize::from(letter.is_ascii_uppercase()));
                let line: String = self.line().chars().flat_map(twice).collect();
                self.set_line(&line);
            }
            Change::Verb(verb) => self.parts.method = Method::from_bytes(verb.as_bytes()).unwrap_or_default(),
            Change::Ask(at, edit) => self.edit(at, *edit),
            Change::AskNothing => self.set_body(Bytes::new()),
            _ => {}
        }
    }

    /// A join of the session that the body names at the place.
    fn joining(&self, at: &str) -> Self {
        let json = self.json();
        let part = |name: &str| json.pointer(at)?.get(name)?.as_str();
        let part = |name: &str| part(name).unwrap_or_default();
        let (scid, template, name) = (part("scid"), part("templateName"), part("name"));
        let mut join = self.clone();
        join.parts.method = Method::PUT;
        join.set_line(&format!(
            "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}"
        ));
        join.set_body(Bytes::from_static(br#"{"members":{"me":{}}}"#));
        join
    }

    fn request(&self) -> Request<Full<Bytes>> {
        Request::from_parts(self.parts.clone(), Full::new(self.body.clone()))
    }
}

impl Is {
    fn holds(self, json: &Value, at: &str) -> bool {
        find(json, at).into_iter().any(|found| match self {
            Self::There => true,
            Self::Json(text) => serde_json::from_str(text).is_ok_and(|value: Value| value == *found),
            Self::With(part) => found.as_str().is_some_and(|text| text.contains(part)),
        })
    }
}

impl Kept {
    async fn of(answer: Response<Full<Bytes>>) -> Self {
        let (head, body) = answer.into_parts();
        let Ok(body) = body.collect().await;
        Self {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn meets(&self, on: &On) -> bool {
        match on {
            On::Status(statuses) => statuses.contains(&self.status.as_u16()),
            On::Told(at, is) => is.holds(&self.json(), at),
            On::Untold(at) => find(&self.json(), at).is_empty(),
            _ => true,
        }
    }

    fn change(&mut self, change: &Change, asked: &Asked) {
        match change {
            Change::Status(status) => self.status = StatusCode::from_u16(*status).unwrap_or_default(),
            Change::Unhead(name) => {
                self.headers.remove(*name);
            }
            Change::Head(name, value) => {
                self.headers
                    .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            Change::HeadText(name, from, to) => {
                let value = self.headers.get(*name).and_then(|value| value.to_str().ok());
                let altered = value.and_then(|value| HeaderValue::try_from(value.replace(from, to)).ok());
                if let Some(value) = altered {
                    self.headers.insert(HeaderName::from_static(name), value);
                }
            }
            Change::Tell(at, edit) => {
                let mut json = self.json();
                if edit.apply(at, &mut json) {
                    self.body = json.to_string().into();
                }
            }
            Change::TellText(from, to) => {
                self.body = String::from_utf8_lossy(&self.body).replace(from, to).into();
            }
            Change::Body(text) => self.body = Bytes::from_static(text.as_bytes()),
            Change::Echo => self.body = asked.body.clone(),
            Change::EchoAt(at) => {
                let (sent, mut json) = (asked.json(), self.json());
                if let (Some(sent), Some(told)) = (sent.pointer(at), json.pointer_mut(at)) {
                    *told = sent.clone();
                    self.body = json.to_string().into();
                }
            }
            Change::Exchange(one, other) => {
                let mut json = self.json();
                if let (Some(first), Some(second)) = (json.pointer(one).cloned(), json.pointer(other).cloned()) {
                    for (at, value) in [(one, second), (other, first)] {
                        if let Some(place) = json.pointer_mut(at) {
                            *place = value;
                        }
                    }
                    self.body = json.to_string().into();
                }
            }
            Change::Empty => {
                self.body = Bytes::new();
                self.headers.remove(header::CONTENT_TYPE);
            }
            Change::Half => self.body.truncate(self.body.len() / 2),
            _ => {}
        }
    }
}

impl Wire {
    /// The wire with some faults of the table; `None` for none.
    pub(super) fn new(faults: Vec<&'static WireFault>) -> Option<Self> {
        let memory = Mutex::default();
        (!faults.is_empty()).then_some(Self { faults, memory })
    }

    /// Carries a request to the service, and its answer back.
    pub(super) async fn carry<A: Future<Output = Response<Full<Bytes>>>>(
        &self,
        kind: Kind,
        parts: Parts,
        body: Bytes,
        service: impl Fn(Request<Full<Bytes>>) -> A,
    ) -> Response<Full<Bytes>> {
        let sent = Asked { kind, parts, body };
        let due: Vec<_> = self
            .faults
            .iter()
            .filter(|fault| fault.on.iter().all(|on| sent.meets(on)))
            .collect();
        let mut asked = sent.clone();
        let mut former = None;
        for change in due.iter().flat_map(|fault| fault.does) {
            match change {
                Change::First(at, edit) => {
                    let mut first = asked.clone();
                    first.edit(at, *edit);
                    drop(service(first.request()).await);
                }
                Change::Twice => drop(service(asked.request()).await),
                Change::Join(at) => drop(service(asked.joining(at).request()).await),
                Change::Former => {
                    let mut read = asked.clone();
                    read.change(&Change::Verb("GET"));
                    former = Some(Kept::of(service(read.request()).await).await);
                }
                other => asked.change(other),
            }
        }
        let answer = service(asked.request()).await;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return answer;
        }
        let mut kept = Kept::of(answer).await;
        for fault in due {
            if fault.on.iter().all(|on| kept.meets(on)) {
                for change in fault.does {
                    match change {
                        Change::Stale => kept = self.remembered(&key(&sent), &kept, false),
                        Change::Foreign => kept = self.remembered(&format!("{:?}", sent.kind), &kept, true),
                        Change::Former => {
                            if let Some(former) = former.take().filter(|former| former.status == StatusCode::OK) {
                                kept.body = former.body;
                            }
                        }
                        other => kept.change(other, &sent),
                    }
                }
            }
        }
        let mut answer = Response::new(Full::new(kept.body));
        (*answer.status_mut(), *answer.headers_mut()) = (kept.status, kept.headers);
        answer
    }

    /// What is remembered under a name, or the answer itself; `renew` puts the answer in its place.
    fn remembered(&self, name: &str, answer: &Kept, renew: bool) -> Kept {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.get(name).cloned();
        if renew || known.is_none() {
            memory.insert(name.to_owned(), answer.clone());
        }
        known.unwrap_or_else(|| answer.clone())
    }

    /// The frames that are sent instead of one.
    pub(super) fn frames(&self, frame: String) -> Vec<String> {
        let mut frames = vec![frame];
        for fault in &self.faults {
            let is_due = |text: &String| {
                let json: Value = serde_json::from_str(text).unwrap_or_default();
                fault.on.iter().any(|on| matches!(on, On::Frame(_)))
                    && fault.on.iter().all(|on| match on {
                        On::Frame(kind) => json.get(0).and_then(Value::as_u64) == Some(*kind),
                        On::Told(at, is) => is.holds(&json, at),
                        _ => true,
                    })
            };
            frames = frames
                .into_iter()
                .flat_map(|text| {
                    if is_due(&text) {
                        self.altered(fault, text)
                    } else {
                        vec![text]
                    }
                })
                .collect();
        }
        frames
    }

    fn altered(&self, fault: &WireFault, text: String) -> Vec<String> {
        let mut frames = vec![text];
        for change in fault.does {
            match change {
                Change::Swallow => frames.clear(),
                Change::Repeat => frames.extend(frames.clone()),
                Change::Hold => {
                    let frame = Kept {
                        status: StatusCode::OK,
                        headers: HeaderMap::new(),
                        body: frames.concat().into(),
                    };
                    let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                    match memory.remove("held") {
                        Some(held) => frames.push(String::from_utf8_lossy(&held.body).into_owned()),
                        None => {
                            memory.insert("held".to_owned(), frame);
                            frames.clear();
                        }
                    }
                }
                Change::TellText(from, to) => {
                    for text in &mut frames {
                        *text = text.replace(from, to);
                    }
                }
                Change::Tell(at, edit) => {
                    for text in &mut frames {
                        let mut json = serde_json::from_str(text).unwrap_or_default();
                        if edit.apply(at, &mut json) {
                            *text = json.to_string();
                        }
                    }
                }
                _ => {}
            }
        }
        frames
    }
}

/// What makes two requests the same.
fn key(asked: &Asked) -> String {
    let who = asked.parts.headers.get(header::AUTHORIZATION);
    let who = who
        .map(|who| String::from_utf8_lossy(who.as_bytes()))
        .unwrap_or_default();
    let body = String::from_utf8_lossy(&asked.body);
    format!("{} {} {who} {body}", asked.parts.method, asked.line())
}
