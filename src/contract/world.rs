//! What the cases take for granted: identities, relations, templates and features.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::json::Item;

/// The suite's own vocabulary of prerequisites; a target says which of them it has.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Features that a target may declare to lack, with what they are.
    pub features: BTreeMap<String, String>,
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
}

/// A session template that cases use.
#[derive(Clone, Debug)]
pub struct Template {
    /// What it is for, for readers.
    pub about: String,
    /// The contract version its constants are written in.
    pub contract_version: u64,
    /// `{system, custom}`.
    pub constants: Value,
    /// `roleTypes`; null when it has none.
    pub role_types: Value,
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
        .members(|key, item| Some((key.to_owned(), item.string()?.to_owned())))?;
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
    })
}

/// Reads the `templates` of the world, or of a chapter's `templates.json`.
pub(super) fn read_templates(item: Item<'_>) -> Option<Vec<(String, Template)>> {
    item.members(|key, item| {
        let fields = item.object(&["about", "contractVersion", "constants", "roleTypes"])?;
        let template = Template {
            about: fields.string("about"),
            contract_version: fields.require("contractVersion")?.unsigned()?,
            constants: fields.require("constants")?.value().clone(),
            role_types: fields.get("roleTypes").map_or(Value::Null, |item| item.value().clone()),
        };
        Some((key.to_owned(), template))
    })
}
