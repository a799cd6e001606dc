//! What the cases take for granted: identities, relations, templates and features.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::contract::json::Item;
use crate::contract::version::ContractVersion;

/// The suite's own vocabulary of prerequisites; a target says which of them it has.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Features that a target may declare to lack.
    pub features: BTreeMap<String, Feature>,
    /// Who can speak.
    pub identities: BTreeMap<String, Identity>,
    /// Titles, and whether they may use the service config.
    pub titles: BTreeMap<String, bool>,
    /// `follows`, `favorites` and `blocks`: pairs of identities.
    pub relations: BTreeMap<String, Vec<(String, String)>>,
    /// Session templates.
    pub templates: BTreeMap<String, Template>,
}

/// Someone who speaks in cases. On a target of one's own the facts are the target's; these are what an
/// embedded or freshly provisioned service is given.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who it is, for readers.
    pub about: String,
    /// Whether it is a service principal.
    pub is_server: bool,
    /// A user's xuid, decimal.
    pub xuid: Option<String>,
    /// A user's gamertag.
    pub gamertag: Option<String>,
    /// The device a user is signed in on.
    pub device: Option<String>,
    /// The title it runs.
    pub title: String,
    /// Whether a user has the multiplayer privilege.
    pub multiplayer_privilege: bool,
    /// Whether a user's platform has a strong title identity.
    pub title_identity: bool,
    /// Whether its token has expired.
    pub expired: bool,
    /// The features that every use of it is a use of.
    pub features: Vec<String>,
    /// Whether any other who is alike may play its part where a case uses nothing that sets them apart.
    pub is_alike: bool,
}

impl Identity {
    /// Whether it has a fact that cases can name: `{alice.xuid}`.
    pub fn has(&self, fact: &str) -> bool {
        match fact {
            "xuid" | "xuidNumber" | "index" => self.xuid.is_some(),
            "gamertag" => self.gamertag.is_some(),
            "device" => self.device.is_some(),
            "title" | "titleNumber" => true,
            _ => false,
        }
    }
}

/// What a target may declare to lack.
#[derive(Clone, Debug)]
pub struct Feature {
    /// What it is.
    pub about: String,
    /// How it shows in a case that it is used.
    pub uses: Vec<Use>,
}

/// A use of a feature: all that is given is true of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Use {
    /// The verbs of a request; any when empty.
    pub methods: Vec<String>,
    /// Segments of its path without the query: `*` is any one, `**` one or more. Letter case does not matter.
    pub path: Option<String>,
    /// A JSON Pointer to something that its body has, or what a template says in its place; `*` is any key or index.
    pub body: Option<String>,
    /// What is at `body`.
    pub value: Option<Value>,
    /// A real-time socket is opened.
    pub socket: bool,
    /// The contract version of a request or of a template is one of these.
    pub versions: Vec<ContractVersion>,
    /// Two identities are related so: a kind of [`World::relations`], or [`World::DEVICE`].
    pub relation: Option<String>,
    /// One step lets at least so many ms of the service's time pass.
    pub time: Option<u64>,
}

impl Use {
    /// Whether it says something of a single request.
    pub fn is_of_requests(&self) -> bool {
        !self.methods.is_empty() || self.path.is_some() || self.body.is_some()
    }

    /// Whether it is seen in a request.
    pub fn fits_request(&self, method: &str, path: &str, body: Option<&Value>) -> bool {
        let is_method = self.methods.is_empty() || self.methods.iter().any(|known| known == method);
        is_method
            && self.path.as_ref().is_none_or(|pattern| fits_path(pattern, path))
            && self
                .body
                .as_ref()
                .is_none_or(|pointer| body.is_some_and(|body| has(body, pointer, self.value.as_ref())))
    }

    /// Whether it is seen in what a template gives to a session, written like the body that would make it.
    pub fn fits_template(&self, given: &Value) -> bool {
        let is_of_bodies = self.methods.is_empty() && self.path.is_none();
        let pointer = self.body.as_ref().filter(|_| is_of_bodies);
        pointer.is_some_and(|pointer| has(given, pointer, self.value.as_ref()))
    }
}

fn fits_path(pattern: &str, target: &str) -> bool {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let Some(segment) = segments.next() else { return false };
        match wanted {
            "**" => return !segment.is_empty(),
            "*" if !segment.is_empty() => {}
            _ if wanted.eq_ignore_ascii_case(segment) => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

/// Whether there is something at a pointer, in which `*` is any key or index.
fn has(value: &Value, pointer: &str, wanted: Option<&Value>) -> bool {
    let Some(rest) = pointer.strip_prefix('/') else {
        return wanted.is_none_or(|wanted| wanted == value);
    };
    let (key, rest) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    match value {
        Value::Object(map) if key == "*" => map.values().any(|value| has(value, rest, wanted)),
        Value::Array(values) if key == "*" => values.iter().any(|value| has(value, rest, wanted)),
        Value::Object(map) => map.get(key).is_some_and(|value| has(value, rest, wanted)),
        _ => false,
    }
}

impl World {
    /// The template that leaves everything to the creator.
    pub fn blank(&self) -> Option<(&str, &Template)> {
        let mut templates = self.templates.iter();
        let (name, template) = templates.find(|(_, template)| template.is_blank)?;
        Some((name, template))
    }

    /// Whether it matters to a feature which identity is which: it is about how they know each other, or nothing shows its
    /// use, as with limits that count each user's requests.
    pub fn is_tie(&self, feature: &str) -> bool {
        let is_carried = || {
            self.identities
                .values()
                .any(|identity| identity.features.iter().any(|name| name == feature))
        };
        self.features.get(feature).is_some_and(|known| {
            known.uses.iter().any(|wanted| wanted.relation.is_some()) || known.uses.is_empty() && !is_carried()
        })
    }

    /// Whether two identities are one user, or know each other in some way.
    pub fn are_tied(&self, one: &str, other: &str) -> bool {
        if one == other {
            return false;
        }
        let xuid = |name: &str| self.identities.get(name)?.xuid.as_deref();
        let is_one_user = xuid(one).is_some() && xuid(one) == xuid(other);
        let mut kinds = self.relations.keys().map(String::as_str).chain([Self::DEVICE]);
        is_one_user || kinds.any(|kind| self.are_related(kind, one, other))
    }

    /// The relation of those who share a device; it is not listed, but follows from the identities.
    pub const DEVICE: &str = "device";

    /// Whether two identities are related so, in either direction: [`Self::DEVICE`], or one of the listed relations.
    pub fn are_related(&self, kind: &str, one: &str, other: &str) -> bool {
        if kind == Self::DEVICE {
            let device = |name: &str| self.identities.get(name)?.device.as_deref();
            return one != other && device(one).is_some() && device(one) == device(other);
        }
        let mut pairs = self.relations.get(kind).into_iter().flatten();
        pairs.any(|(from, to)| (from == one && to == other) || (from == other && to == one))
    }
}

/// A session template that cases use.
#[derive(Clone, Debug)]
pub struct Template {
    /// What it is for, for readers.
    pub about: String,
    /// The contract version its constants are written in.
    pub contract_version: ContractVersion,
    /// `{system, custom}`.
    pub constants: Value,
    /// `roleTypes`; null when it has none.
    pub role_types: Value,
    /// Whether it leaves all that it can to the creator, who can say there what another template says.
    pub is_blank: bool,
    /// Whether its cases are about what only a template can say or be.
    pub is_pinned: bool,
}

impl Template {
    /// What the creator of a session from the blank template says to get a session as from this one; `None` where a creator
    /// cannot.
    pub fn said_by_a_creator(&self, blank: &Self) -> Option<Map<String, Value>> {
        if self.is_pinned || self.contract_version != blank.contract_version || !self.role_types.is_null() {
            return None;
        }
        let mut said = self.constants.as_object()?.clone();
        for (bag, values) in blank.constants.as_object()? {
            let own = said.get_mut(bag)?.as_object_mut()?;
            for (key, value) in values.as_object()? {
                if own.shift_remove(key).as_ref() != Some(value) {
                    return None;
                }
            }
        }
        // What a template pins as unset, nobody else can.
        let mut values = said.values().filter_map(Value::as_object).flat_map(Map::values);
        (!values.any(Value::is_null)).then_some(said)
    }
}

/// The speakers that need no identity of the target.
pub const ANONYMOUS: [&str; 2] = ["nobody", "unknown"];

/// Reads `cases/world.json`.
pub(super) fn read_world(file: Item<'_>) -> Option<World> {
    let keys = [
        "$schema",
        "about",
        "features",
        "identities",
        "titles",
        "relations",
        "templates",
    ];
    let fields = file.object(&keys)?;
    let features = fields
        .require("features")?
        .members(|key, item| Some((key.to_owned(), read_feature(item)?)))?;
    let identities = fields
        .require("identities")?
        .members(|key, item| Some((key.to_owned(), read_identity(item)?)))?;
    let titles = fields.require("titles")?.members(|key, item| {
        let fields = item.object(&["about", "access"])?;
        Some((key.to_owned(), fields.require("access")?.boolean()?))
    })?;
    let relations = fields.require("relations")?.members(|key, item| {
        let pairs = item.elements(|item| match item.strings()?.as_slice() {
            [from, to] => Some((from.clone(), to.clone())),
            _ => {
                item.wrong("expected a pair of identities", "two names go here");
                None
            }
        })?;
        Some((key.to_owned(), pairs))
    })?;
    Some(World {
        features: features.into_iter().collect(),
        identities: identities.into_iter().collect(),
        titles: titles.into_iter().collect(),
        relations: relations.into_iter().collect(),
        templates: fields
            .require("templates")
            .and_then(read_templates)?
            .into_iter()
            .collect(),
    })
}

fn read_feature(item: Item<'_>) -> Option<Feature> {
    let fields = item.object(&["about", "uses"])?;
    Some(Feature {
        about: fields.string("about"),
        uses: fields
            .get("uses")
            .map_or(Some(Vec::new()), |item| item.elements(read_use))?,
    })
}

fn read_use(item: Item<'_>) -> Option<Use> {
    let keys = [
        "methods", "path", "body", "value", "socket", "versions", "relation", "time",
    ];
    let fields = item.object(&keys)?;
    let number = |key| fields.get(key).map_or(Some(None), |item| item.unsigned().map(Some));
    let read = Use {
        methods: fields.strings("methods"),
        path: fields.optional_string("path"),
        body: fields.optional_string("body"),
        value: fields.get("value").map(|item| item.value().clone()),
        socket: fields.get("socket").map_or(Some(false), |item| item.boolean())?,
        versions: fields
            .get("versions")
            .map_or(Some(Vec::new()), ContractVersion::read_list)?,
        relation: fields.optional_string("relation"),
        time: number("time")?,
    };
    if read == Use::default() {
        item.wrong("a use that nothing shows", "at least one of its keys goes here");
        return None;
    }
    Some(read)
}

fn read_identity(item: Item<'_>) -> Option<Identity> {
    let fields = item.object(&[
        "about",
        "kind",
        "xuid",
        "gamertag",
        "device",
        "title",
        "multiplayerPrivilege",
        "titleIdentity",
        "expired",
        "features",
        "alike",
    ])?;
    let flag = |key, default| fields.get(key).map_or(Some(default), |item| item.boolean());
    Some(Identity {
        about: fields.string("about"),
        is_server: fields.require("kind")?.one_of(&[("user", false), ("server", true)])?,
        xuid: fields.optional_string("xuid"),
        gamertag: fields.optional_string("gamertag"),
        device: fields.optional_string("device"),
        title: fields.string("title"),
        multiplayer_privilege: flag("multiplayerPrivilege", true)?,
        title_identity: flag("titleIdentity", true)?,
        expired: flag("expired", false)?,
        features: fields.strings("features"),
        is_alike: flag("alike", false)?,
    })
}

/// Reads the `templates` of the world, or of a chapter's `templates.json`.
pub(super) fn read_templates(item: Item<'_>) -> Option<Vec<(String, Template)>> {
    item.members(|key, item| {
        let fields = item.object(&["about", "contractVersion", "constants", "roleTypes", "blank", "pinned"])?;
        let flag = |key| fields.get(key).map_or(Some(false), |item| item.boolean());
        let template = Template {
            about: fields.string("about"),
            contract_version: ContractVersion::read(fields.require("contractVersion")?)?,
            constants: fields.require("constants")?.value().clone(),
            role_types: fields.get("roleTypes").map_or(Value::Null, |item| item.value().clone()),
            is_blank: flag("blank")?,
            is_pinned: flag("pinned")?,
        };
        Some((key.to_owned(), template))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_fits_segment_by_segment_whatever_its_query_and_letter_case() {
        assert!(fits_path("/a/*/c", "/A/b/c?d=/e") && fits_path("/a/**", "/a/b/c"));
        for other in ["/a//c", "/a/b/c/d", "/a/b", "/a/b/c/"] {
            assert!(!fits_path("/a/*/c", other), "{other}");
        }
        assert!(!fits_path("/a/**", "/a") && !fits_path("/a/**", "/a/"));
    }

    #[test]
    fn a_body_fits_where_it_has_something_at_the_pointer() {
        let body = json!({ "members": { "me": { "kind": "x" }, "0": { "of": [null] } } });
        assert!(has(&body, "/members/*/kind", None) && has(&body, "/members/*/kind", Some(&json!("x"))));
        assert!(has(&body, "/members/*/of/*", None), "null is there");
        assert!(!has(&body, "/members/*/kind", Some(&json!("y"))) && !has(&body, "/members/*/none", None));
    }
}
