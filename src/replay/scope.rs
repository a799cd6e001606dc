//! What a conversation's variables stand for.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::case::Script;
use crate::contract::case::matcher::Matcher;
use crate::contract::case::variable::{self, Scope};
use crate::contract::json::document::Document;
use crate::contract::json::tree::Tree as _;
use crate::contract::version::ContractVersion;
use crate::target::Target;

/// The variables of one conversation.
#[derive(Debug)]
pub(super) struct Variables<'a> {
    target: &'a Target,
    template: &'a str,
    version: ContractVersion,
    sessions: Vec<Session>,
    values: HashMap<String, Value>,
    /// All GUIDs of the conversation derive from this one.
    seed: u128,
    /// The labels that were used, so that snapshots can name their GUIDs.
    labels: Mutex<BTreeSet<String>>,
    /// A name that was used and has no value.
    unfilled: Mutex<Option<String>>,
    /// The documents of the conversation, in which the indices of members are looked up.
    documents: Vec<Arc<Document>>,
    /// A variable whose member no document has shown, since that was last asked for.
    unseen: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Session {
    key: String,
    template: String,
    name: String,
}

/// Who speaks, and which of several copies it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaker<'a> {
    pub(super) name: &'a str,
    pub(super) copy: usize,
}

impl<'a> Variables<'a> {
    pub(super) fn new(target: &'a Target, script: &'a Script, version: ContractVersion) -> Self {
        let seed = Uuid::new_v4().as_u128();
        let mut variables = Self {
            target,
            template: &script.template,
            version,
            sessions: Vec::new(),
            values: HashMap::new(),
            seed,
            labels: Mutex::default(),
            unfilled: Mutex::default(),
            documents: Vec::new(),
            unseen: Mutex::default(),
        };
        let nobody = Speaker { name: "", copy: 1 };
        let template = |name: &str| target.templates.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let main = Session {
            key: "session".to_owned(),
            template: template(&script.template),
            name: guid(seed, "session"),
        };
        variables.sessions.push(main);
        for spec in &script.sessions {
            let name = spec.name.as_ref().map(|name| variables.text(name, nobody));
            variables.sessions.push(Session {
                key: spec.key.clone(),
                template: template(spec.template.as_ref().unwrap_or(&script.template)),
                name: name.unwrap_or_else(|| guid(seed, &format!("session {}", spec.key))),
            });
        }
        for (name, value) in &script.lets {
            let value = variable::generate(&variables.json(value, nobody)).into_owned();
            // One that cannot be made is missed where it is used.
            if variables.take_unfilled().is_none() {
                variables.values.insert(name.clone(), value);
            }
        }
        variables
    }

    /// What has names outside of any case: the target's facts alone.
    pub(super) fn none(target: &'a Target, version: ContractVersion) -> Self {
        Self {
            target,
            template: "",
            version,
            sessions: Vec::new(),
            values: HashMap::new(),
            seed: 0,
            labels: Mutex::default(),
            unfilled: Mutex::default(),
            documents: Vec::new(),
            unseen: Mutex::default(),
        }
    }

    /// Keeps a captured value.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// Keeps a document that may show members and their indices.
    pub(super) fn show(&mut self, document: &Arc<Document>) {
        if document.root().member("members").is_some() {
            self.documents.push(Arc::clone(document));
        }
    }

    /// The variable of a member's index that could not be replaced since this was last called.
    pub(super) fn take_unseen(&self) -> Option<String> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The index of the member with this xuid, in the latest document that shows it.
    fn index(&self, xuid: &str) -> Option<u64> {
        let in_document = |document: &Arc<Document>| {
            let members = document.root().member("members")?;
            members.members()?.find_map(|(key, member)| {
                let system = member.at("/constants/system")?;
                // Of a large session a member sees itself alone, as `me`.
                let index = || match key {
                    "me" => system.member("index")?.number()?.as_u64(),
                    index => index.parse().ok(),
                };
                (system.member("xuid")?.text()? == xuid).then(index)?
            })
        };
        self.documents.iter().rev().find_map(in_document)
    }

    /// A text with its variables replaced.
    pub(super) fn text(&self, text: &str, speaker: Speaker<'_>) -> String {
        let value = |name: &str| self.value_or_note(name, speaker);
        variable::substitute_text(
            text,
            Scope {
                value: &value,
                is_last: true,
            },
        )
    }

    /// JSON with its variables replaced.
    pub(super) fn json(&self, json: &Value, speaker: Speaker<'_>) -> Value {
        self.resolve(json, speaker).into_owned()
    }

    /// JSON with its variables replaced, borrowed when it has none.
    pub(super) fn resolve<'v>(&self, json: &'v Value, speaker: Speaker<'_>) -> Cow<'v, Value> {
        let value = |name: &str| self.value_or_note(name, speaker);
        variable::resolve(
            json,
            Scope {
                value: &value,
                is_last: true,
            },
        )
    }

    /// A matcher with its variables replaced, borrowed when it has none.
    pub(super) fn matcher<'v>(&self, matcher: &'v Matcher, speaker: Speaker<'_>) -> Cow<'v, Matcher> {
        match self.resolve(matcher.written(), speaker) {
            Cow::Borrowed(_) => Cow::Borrowed(matcher),
            Cow::Owned(said) => Cow::Owned(Matcher::new(said)),
        }
    }

    /// A name that was used since this was last asked, and has no value: what was made with it means nothing.
    pub(super) fn take_unfilled(&self) -> Option<String> {
        self.unfilled.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn value_or_note(&self, name: &str, speaker: Speaker<'_>) -> Option<Value> {
        let value = self.value(name, speaker);
        // A member that no document has shown is missed by the caller, as a failure of the service.
        let is_unseen = || self.unseen.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if value.is_none() && !is_unseen() {
            let mut unfilled = self.unfilled.lock().unwrap_or_else(PoisonError::into_inner);
            unfilled.get_or_insert_with(|| name.to_owned());
        }
        value
    }

    fn value(&self, name: &str, speaker: Speaker<'_>) -> Option<Value> {
        if let Some((name, transform)) = variable::split_transform(name) {
            return match self.value(name, speaker)? {
                Value::String(text) => variable::transform(&text, transform).map(Value::from),
                other => variable::transform(&other.to_string(), transform).map(Value::from),
            };
        }
        self.plain_value(name, speaker).or_else(|| {
            let (name, plus) = variable::split_sum(name)?;
            match self.plain_value(name, speaker)? {
                Value::Number(number) => number.as_i64()?.checked_add(plus).map(Value::from),
                Value::String(text) => text
                    .parse::<i64>()
                    .ok()?
                    .checked_add(plus)
                    .map(|sum| sum.to_string().into()),
                _ => None,
            }
        })
    }

    fn plain_value(&self, name: &str, speaker: Speaker<'_>) -> Option<Value> {
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        if let Some(label) = name.strip_prefix("uuid:") {
            self.labels
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(label.to_owned());
            return Some(guid(self.seed, name).into());
        }
        let session = |key: &str| self.sessions.iter().find(|session| session.key == key);
        if let Some(session) = session(name) {
            return Some(self.path(session).into());
        }
        match name {
            "scid" => return Some(self.target.scid.as_str().into()),
            "template" => {
                return self
                    .target
                    .templates
                    .get(self.template)
                    .map(|name| name.as_str().into());
            }
            "version" => return Some(self.version.number().into()),
            "copy" => return Some(speaker.copy.into()),
            _ => {}
        }
        let (key, field) = name.split_once('.')?;
        if key == "templates" {
            return self.target.templates.get(field).map(|name| name.as_str().into());
        }
        if let Some(session) = session(key) {
            return Some(match field {
                "name" => session.name.as_str().into(),
                "template" => session.template.as_str().into(),
                "ref" => json!({ "scid": self.target.scid, "templateName": session.template, "name": session.name }),
                _ => return None,
            });
        }
        let identity = self
            .target
            .identities
            .get(if key == "me" { speaker.name } else { key })?;
        match field {
            "xuid" => identity.xuid.as_deref().map(Value::from),
            "xuidNumber" => identity.xuid.as_ref()?.parse::<u64>().ok().map(Value::from),
            "titleNumber" => identity.title.parse::<u64>().ok().map(Value::from),
            "gamertag" => identity.gamertag.as_deref().map(Value::from),
            "device" => identity.device.as_deref().map(Value::from),
            "title" => Some(identity.title.as_str().into()),
            "index" => {
                let index = self.index(identity.xuid.as_deref()?);
                if index.is_none() {
                    *self.unseen.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
                }
                index.map(Value::from)
            }
            _ => None,
        }
    }

    fn path(&self, session: &Session) -> String {
        let Session { template, name, .. } = session;
        format!(
            "/serviceconfigs/{}/sessiontemplates/{template}/sessions/{name}",
            self.target.scid
        )
    }

    /// The paths of the case's sessions.
    pub(super) fn session_paths(&self) -> Vec<String> {
        self.sessions.iter().map(|session| self.path(session)).collect()
    }

    /// Values that are fresh, with the names that stand for them in snapshots.
    pub(super) fn fresh(&self) -> Vec<(String, String)> {
        let sessions = self.sessions.iter();
        let mut fresh: Vec<_> = sessions
            .map(|session| (session.name.clone(), format!("{}.name", session.key)))
            .collect();
        for label in self.labels.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let name = format!("uuid:{label}");
            fresh.push((guid(self.seed, &name), name));
        }
        fresh
    }
}

/// Values that are the target's own, with the names that stand for them in snapshots.
pub(super) fn own(target: &Target) -> Vec<(String, String)> {
    let mut own = vec![(target.scid.clone(), "scid".to_owned())];
    for (key, identity) in &target.identities {
        let mut add = |value: &String, what: &str| own.push((value.clone(), format!("{key}.{what}")));
        if let Some(xuid) = &identity.xuid {
            add(xuid, "xuid");
        }
        if let Some(gamertag) = &identity.gamertag {
            add(gamertag, "gamertag");
        }
        if !own.iter().any(|(value, _)| *value == identity.title) {
            own.push((identity.title.clone(), format!("{key}.title")));
        }
    }
    let renamed = target.templates.iter().filter(|(ours, theirs)| ours != theirs);
    own.extend(renamed.map(|(ours, theirs)| (theirs.clone(), format!("templates.{ours}"))));
    own
}

/// The GUID of a label in a conversation: fresh in every run, the same wherever the label is used.
fn guid(seed: u128, label: &str) -> String {
    // FNV-1a, spread over both halves: no need to be hard to guess, only to be different.
    let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let bits = seed ^ (u128::from(hash) << 64) ^ u128::from(hash.rotate_left(29));
    uuid::Builder::from_random_bytes(bits.to_be_bytes())
        .into_uuid()
        .to_string()
}
