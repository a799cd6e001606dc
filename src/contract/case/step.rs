//! Steps of a case, and the requests that they send.

use std::borrow::Cow;
use std::sync::OnceLock;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::Value;

use crate::contract::case::expectation::{Expectation, read_expectation};
use crate::contract::case::matcher::Matcher;
use crate::contract::case::status::{StatusSet, read_status_key};
use crate::contract::case::variable::{self, Scope};
use crate::contract::case::words::StepKey;
use crate::contract::json::{Fields, Item, Word as _};

/// One exchange of a case, or several at once.
#[derive(Clone, Debug)]
pub struct Step {
    /// What later steps call it.
    pub name: Option<String>,
    /// Where it stands in the file, a JSON Pointer.
    pub pointer: String,
    /// What it does.
    pub action: Action,
    /// Whether it only prepares what the case is about.
    pub is_setup: bool,
    /// Time to let pass first, in ms.
    pub after: Option<u64>,
    /// Time in which the expectation must come true, in ms.
    pub within: Option<u64>,
    /// What is expected of each answer.
    pub expect: Option<Expectation>,
    /// What else is expected of each answer, with clauses of its own.
    pub also: Vec<Expectation>,
    /// How many answers of a simultaneous step have which status.
    pub tally: Vec<(StatusSet, Matcher)>,
    /// What is expected of the answers with a status.
    pub each: Vec<(StatusSet, Expectation)>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// One request.
    Send(Request),
    /// The request of an earlier step once more.
    Again(String),
    /// Several requests at once.
    Together(Vec<Request>),
    /// Opening of a real-time socket, by what later steps call it; the request's path and headers, without a body.
    Open(String, Request),
    /// A frame to send on a socket, if any, and then one to receive.
    Frame(String, Option<Value>),
    /// The closing of a socket.
    Close(String),
}

/// A request, with its variables in place.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who speaks.
    pub speaker: String,
    /// The verb.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers to set or, with an empty list, to leave out.
    pub headers: Vec<(String, Vec<String>)>,
    /// The body.
    pub body: Body,
    pub(super) fixed: OnceLock<Option<Bytes>>,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON, with variables and generators.
    Json(Value),
    /// A text sent as it is, with variables and generators.
    Text(Value),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Step {
    /// The requests it makes itself.
    pub fn requests(&self) -> &[Request] {
        match &self.action {
            Action::Send(request) | Action::Open(_, request) => std::slice::from_ref(request),
            Action::Again(_) | Action::Frame(..) | Action::Close(_) => &[],
            Action::Together(requests) => requests,
        }
    }

    /// Everything it expects.
    pub fn expectations(&self) -> impl Iterator<Item = &Expectation> {
        self.expect
            .iter()
            .chain(&self.also)
            .chain(self.each.iter().map(|(_, expectation)| expectation))
    }

    pub(super) fn expectations_mut(&mut self) -> impl Iterator<Item = &mut Expectation> {
        self.expect
            .iter_mut()
            .chain(&mut self.also)
            .chain(self.each.iter_mut().map(|(_, expectation)| expectation))
    }
}

impl Request {
    /// A request without headers or body.
    pub fn bare(speaker: &str, method: &str, path: String) -> Self {
        Self {
            speaker: speaker.to_owned(),
            method: method.to_owned(),
            path,
            headers: Vec::new(),
            body: Body::None,
            fixed: OnceLock::new(),
        }
    }

    /// The JSON body as it goes over the wire, if it is one that nothing changes any more: no variable and no generator.
    pub fn fixed(&self) -> Option<&Bytes> {
        let fixed = self.fixed.get_or_init(|| match &self.body {
            Body::Json(value) if variable::is_plain(value) => match variable::generate(value) {
                Cow::Borrowed(value) => Some(value.to_string().into()),
                Cow::Owned(_) => None,
            },
            _ => None,
        });
        fixed.as_ref()
    }

    /// A path of the same shape, with something in the place of every variable.
    pub fn sample_path(&self) -> String {
        let value = |name: &str| {
            let is_session = self.path.strip_prefix('{').is_some_and(|path| path.starts_with(name));
            let text = if is_session {
                "/serviceconfigs/s/sessiontemplates/t/sessions/n"
            } else if name.contains(".index") {
                "0"
            } else {
                "x"
            };
            Some(text.into())
        };
        let scope = Scope {
            value: &value,
            is_last: true,
        };
        variable::substitute_text(&self.path, scope)
    }
}

/// Reads a step.
pub(super) fn read_step(item: Item<'_>) -> Option<Step> {
    let fields = item.object(StepKey::NAMES)?;
    let mut step = Step {
        name: None,
        pointer: item.pointer(),
        action: read_action(item, fields)?,
        is_setup: false,
        after: None,
        within: None,
        expect: None,
        also: Vec::new(),
        tally: Vec::new(),
        each: Vec::new(),
    };
    for (key, item) in fields.words() {
        match key {
            StepKey::Name => step.name = Some(item.string()?.to_owned()),
            StepKey::Setup => step.is_setup = item.boolean()?,
            StepKey::After => step.after = Some(item.unsigned()?),
            StepKey::Within => step.within = Some(item.unsigned()?),
            StepKey::Expect => step.expect = Some(read_expectation(item)?),
            StepKey::Also => step.also = item.elements(read_expectation)?,
            StepKey::Tally => {
                step.tally = item.members(|key, item| Some((read_status_key(key, item)?, Matcher::read(item))))?;
            }
            StepKey::Each => {
                step.each = item.members(|key, item| Some((read_status_key(key, item)?, read_expectation(item)?)))?;
            }
            // What it does, which is read above.
            StepKey::As
            | StepKey::Get
            | StepKey::Put
            | StepKey::Post
            | StepKey::Delete
            | StepKey::Method
            | StepKey::Path
            | StepKey::Headers
            | StepKey::Body
            | StepKey::Text
            | StepKey::Base64
            | StepKey::Again
            | StepKey::Together
            | StepKey::Open
            | StepKey::Socket
            | StepKey::Send
            | StepKey::Close => {}
        }
    }
    check_also(fields, &step);
    let asserts = step.tally.len() + step.expectations().map(Expectation::assertions).sum::<usize>();
    // What is written there and not understood is reported already.
    let is_silent = |key: &StepKey| {
        let members = fields.get(*key).and_then(|item| item.value().as_object());
        members.is_none_or(|members| members.keys().all(|key| key == "capture" || key == "clauses"))
    };
    let is_silent = [StepKey::Expect, StepKey::Tally, StepKey::Each].iter().all(is_silent);
    if asserts == 0 && is_silent && !matches!(step.action, Action::Close(_)) {
        item.wrong(
            "a step that expects nothing",
            "`expect` goes here, with a `status` at least",
        );
    }
    Some(step)
}

/// The words that are verbs, with the verbs.
fn verbs() -> impl Iterator<Item = (StepKey, &'static str)> {
    let words = StepKey::ROWS.iter().flat_map(|(words, _)| *words);
    words.filter_map(|word| Some((*word, word.verb()?)))
}

/// Reads what a step does.
fn read_action(item: Item<'_>, fields: Fields<'_, '_>) -> Option<Action> {
    let has = |key| fields.get(key).is_some();
    if has(StepKey::Open) || has(StepKey::Socket) {
        return read_socket_action(fields);
    }
    if let Some(again) = fields.get(StepKey::Again) {
        return Some(Action::Again(again.string()?.to_owned()));
    }
    match fields.get(StepKey::Together) {
        Some(list) if list.value().is_array() => Some(Action::Together(
            list.elements(read_requests)?.into_iter().flatten().collect(),
        )),
        Some(copies) => {
            let count = usize::try_from(copies.unsigned()?).unwrap_or(usize::MAX).min(1_000);
            let requests = read_requests(item)?;
            Some(Action::Together(
                requests.iter().cycle().take(requests.len() * count).cloned().collect(),
            ))
        }
        None if !has(StepKey::Path) && !verbs().any(|(key, _)| has(key)) => {
            item.wrong(
                "a step without a request",
                "a method and path, `again` or `together` go here",
            );
            None
        }
        None => {
            let mut requests = read_requests(item)?;
            Some(if requests.len() == 1 {
                Action::Send(requests.remove(0))
            } else {
                Action::Together(requests)
            })
        }
    }
}

/// Reports what `also` cannot do: it stands beside `expect`, and each of its expectations names its clauses.
fn check_also(fields: Fields<'_, '_>, step: &Step) {
    let Some(item) = fields.get(StepKey::Also) else { return };
    if step.expect.is_none() {
        item.wrong("`also` without `expect`", "one expectation goes into `expect`");
    } else if step.is_setup {
        item.wrong(
            "`also` in a setup step, which counts against no clause",
            "all that it expects goes into `expect`",
        );
    } else if step.also.iter().any(|expectation| expectation.clauses.is_none()) {
        item.wrong(
            "an expectation of `also` without clauses",
            "`clauses`: the ids that it counts against",
        );
    }
}

/// Reads what a step does with a socket.
fn read_socket_action(fields: Fields<'_, '_>) -> Option<Action> {
    if let Some(open) = fields.get(StepKey::Open) {
        let headers = fields.get(StepKey::Headers).map_or(Some(Vec::new()), read_headers)?;
        let path = fields
            .optional_string(StepKey::Path)
            .unwrap_or_else(|| "/connect".to_owned());
        let request = Request {
            headers,
            ..Request::bare(&fields.string(StepKey::As), "GET", path)
        };
        return Some(Action::Open(open.string()?.to_owned(), request));
    }
    let name = fields.string(StepKey::Socket);
    match fields.get(StepKey::Close) {
        Some(close) if close.boolean()? => Some(Action::Close(name)),
        _ => Some(Action::Frame(
            name,
            fields.get(StepKey::Send).map(|item| item.value().clone()),
        )),
    }
}

fn read_headers(item: Item<'_>) -> Option<Vec<(String, Vec<String>)>> {
    item.members(|name, item| {
        let values = match item.value() {
            Value::Null => Vec::new(),
            Value::Array(_) => item.strings()?,
            _ => vec![item.string()?.to_owned()],
        };
        Some((name.to_owned(), values))
    })
}

/// Reads a request; a list of callers makes one for each.
fn read_requests(item: Item<'_>) -> Option<Vec<Request>> {
    let fields = item.object(StepKey::NAMES)?;
    let speakers = match fields.require(StepKey::As)? {
        list if list.value().is_array() => list.strings()?,
        one => vec![one.string()?.to_owned()],
    };
    let mut verbs = verbs().filter_map(|(key, method)| Some((method, fields.get(key)?)));
    let (method, path) = match (verbs.next(), verbs.next(), fields.get(StepKey::Method)) {
        (Some((method, path)), None, None) => (method.to_owned(), path.string()?.to_owned()),
        (None, None, Some(method)) => (method.string()?.to_owned(), fields.string(StepKey::Path)),
        _ => {
            item.wrong(
                "expected one verb",
                "one of `get`, `put`, `post`, `delete`, ... or `method` and `path`",
            );
            return None;
        }
    };
    let headers = fields.get(StepKey::Headers).map_or(Some(Vec::new()), read_headers)?;
    let body = match (
        fields.get(StepKey::Body),
        fields.get(StepKey::Text),
        fields.get(StepKey::Base64),
    ) {
        (None, None, None) => Body::None,
        (Some(json), None, None) => {
            variable::check_generators(json);
            Body::Json(json.value().clone())
        }
        (None, Some(text), None) => {
            variable::check_generators(text);
            Body::Text(text.value().clone())
        }
        (None, None, Some(item)) => match base64::engine::general_purpose::STANDARD.decode(item.string()?) {
            Ok(bytes) => Body::Bytes(bytes),
            Err(error) => {
                item.wrong(format!("not base64: {error}"), "base64 with padding goes here");
                return None;
            }
        },
        _ => {
            item.wrong("a request has one body", "only one of `body`, `text` and `base64`");
            return None;
        }
    };
    let request = |speaker| Request {
        speaker,
        method: method.clone(),
        path: path.clone(),
        headers: headers.clone(),
        body: body.clone(),
        fixed: OnceLock::new(),
    };
    Some(speakers.into_iter().map(request).collect())
}
