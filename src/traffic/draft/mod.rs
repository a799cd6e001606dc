//! Drafts of cases: captured conversations in the suite's own format, ready to be replayed and to be written on.
//!
//! A draft says what was said, with what belongs to one run or one service replaced by variables; what it expects is what
//! was answered, as far as it stays the same from run to run.

mod conversation;
mod expectation;
mod frames;
mod names;
mod speakers;
mod steps;
mod suggestions;

use serde_json::Value;

use crate::contract::Suite;
use crate::contract::json::document::Document;
use crate::target::Target;
use crate::traffic::redaction::Redaction;
use crate::traffic::{Passed, without_query};

/// A draft of a case.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What its file is called, without `.json`.
    pub name: String,
    /// The case.
    pub case: Value,
    /// The number of captured exchanges that it holds.
    pub exchanges: usize,
    /// What whoever finishes it should know.
    pub hints: Vec<String>,
}

/// How drafts are made.
#[derive(Debug)]
pub struct Options<'a> {
    /// What the drafts are called, in kebab-case; several are numbered.
    pub name: &'a str,
    /// Whether the whole capture becomes one draft.
    pub is_one: bool,
    /// The service that was captured: whose its tokens are, and what its templates are to the suite.
    pub target: Option<&'a Target>,
    /// The request header that moves a conversation's clock ahead, in ms.
    pub advance_header: &'a str,
}

/// The drafts of a capture, and hints about the capture as a whole.
pub fn draft(suite: &Suite, mut passed: Vec<Passed>, options: &Options<'_>) -> (Vec<Draft>, Vec<String>) {
    let mut hints = Vec::new();
    let cast = speakers::Cast::find(suite, options.target, &passed, &mut hints);
    hide(&mut passed);
    let groups = if options.is_one {
        vec![(0..passed.len()).collect()]
    } else {
        conversation::split(&passed, &cast)
    };
    let script = steps::Script {
        target: options.target,
        advance_header: options.advance_header,
        scid: steps::service_config(passed.iter()),
    };
    let suggestions = suggestions::Suggestions::of(suite);
    let width = groups.len().to_string().len();
    let is_alone = groups.len() == 1;
    let drafts = groups.into_iter().enumerate().map(|(number, group)| {
        let entries: Vec<(usize, &Passed)> = group
            .iter()
            .filter_map(|place| Some((*place, passed.get(*place)?)))
            .collect();
        let (written, hints) = steps::write(suite, &script, &cast, &suggestions, &entries);
        Draft {
            name: if is_alone {
                options.name.to_owned()
            } else {
                format!("{}-{:0width$}", options.name, number + 1)
            },
            case: written,
            exchanges: entries.len(),
            hints,
        }
    });
    (drafts.collect(), hints)
}

/// Takes the secrets out of everything that may get into a draft.
fn hide(passed: &mut [Passed]) {
    let mut redaction = Redaction::default();
    for one in passed.iter() {
        redaction.learn(&one.request.headers);
        redaction.learn(&one.response.headers);
    }
    for one in passed {
        one.request.path = redaction.path(&one.request.path);
        if let Some(body) = &one.request.body {
            one.request.body = Some(redaction.body(body).into());
        }
        one.response.body = redaction.body(&one.response.body).into();
        let hide = |headers: &mut Vec<(String, String)>| {
            headers.retain(|(name, _)| !crate::traffic::redaction::is_secret_name(name));
            for (_, value) in headers {
                *value = redaction.text(value);
            }
        };
        hide(&mut one.request.headers);
        hide(&mut one.response.headers);
        for message in &mut one.messages {
            if let Some(text) = &mut message.text {
                *text = redaction.message(text);
            }
        }
    }
}

/// A session's address: service config, template and name, in lower case.
pub(super) type Address = (String, String, String);

/// The session that a path is about, as it is spelt, and what follows.
pub(super) fn session_of(path: &str) -> Option<([&str; 3], &str)> {
    let mut parts = without_query(path).splitn(8, '/').skip(1);
    let mut literal = |expected: &str| parts.next().filter(|found| found.eq_ignore_ascii_case(expected));
    literal("serviceconfigs")?;
    let scid = parts.next()?;
    let mut literal = |expected: &str| parts.next().filter(|found| found.eq_ignore_ascii_case(expected));
    literal("sessiontemplates")?;
    let template = parts.next()?;
    let mut literal = |expected: &str| parts.next().filter(|found| found.eq_ignore_ascii_case(expected));
    literal("sessions")?;
    let name = parts.next().filter(|name| !name.is_empty())?;
    let length = [scid, template, name].iter().map(|part| part.len()).sum::<usize>();
    let head = "/serviceconfigs//sessiontemplates//sessions/".len() + length;
    Some(([scid, template, name], path.get(head..)?))
}

/// The same address however it is spelt.
pub(super) fn address([scid, template, name]: [&str; 3]) -> Address {
    (scid.to_lowercase(), template.to_lowercase(), name.to_lowercase())
}

/// The session that a `sessionRef` names.
pub(super) fn referred(reference: &Value) -> Option<[&str; 3]> {
    let part = |key: &str| reference.get(key)?.as_str();
    Some([part("scid")?, part("templateName")?, part("name")?])
}

/// The JSON of a body.
pub(super) fn json(body: &[u8]) -> Option<Value> {
    Document::value_of(body)
}

/// Calls `visit` with every string of a value, and the key it stands under.
pub(super) fn strings<'v>(value: &'v Value, key: &'v str, visit: &mut dyn FnMut(&'v str, &'v str)) {
    match value {
        Value::String(text) => visit(key, text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, visit)),
        Value::Object(map) => map.iter().for_each(|(key, value)| strings(value, key, visit)),
        _ => {}
    }
}
