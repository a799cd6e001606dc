//! JSON documents that say the same and more.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::wire::Edit;

/// What is altered in a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alter {
    /// Each object of the contract has one field more, which no reader knows.
    Unknown(Strange),
    /// An edit at a place.
    At(&'static str, Edit),
    /// The turn of a session is not shown where it is empty.
    WithoutEmptyTurn,
    /// Flags that are false are shown.
    FalseShown,
    /// Times are written in another way.
    Times(fn(&str) -> String),
    /// The times under this name are so many ms later, by the clock of another node.
    Later(&'static str, i64),
    /// GUIDs that the service makes have capital letters, under these names.
    Capitals(&'static [&'static str]),
    /// The elements of the list under this name are in the opposite order.
    Turned(&'static str),
}

/// A value that no reader knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Strange {
    /// A GUID, another each time.
    Guid,
    /// A number, another each time.
    Count,
    /// An object with values that are new each time.
    Object,
    /// A list, a longer one each time.
    List,
    /// Null.
    Null,
    /// Sometimes there, sometimes not.
    Sometimes,
    /// A long text.
    Long,
    /// A flag that changes.
    Flag,
}

/// Names under which the titles keep what they like.
const OPAQUE: &[&str] = &[
    "custom",
    "customProperties",
    "searchAttributes",
    "targetSessionConstants",
    "cloudComputePackage",
    "attributes",
];
/// Names of objects whose keys are names themselves: one more would be one thing more.
const MAPS: &[&str] = &[
    "members",
    "servers",
    "roleTypes",
    "roles",
    "measurementServerAddresses",
    "measurements",
    "serverMeasurements",
    "subscriptions",
    "secondarySubscriptions",
    "ownershipPolicy",
    "rolePreference",
];
const TIMES: &[&str] = &[
    "startTime",
    "nextTimer",
    "joinTime",
    "stageStartTime",
    "createTime",
    "expiration",
    "timestamp",
];
/// The flags of a session's properties, of a member's, and of the capabilities.
const SESSION_FLAGS: &[&str] = &["closed", "locked"];
const MEMBER_FLAGS: &[&str] = &["active", "ready"];
const CAPABILITIES: &[&str] = &[
    "connectivity",
    "suppressPresenceActivityCheck",
    "gameplay",
    "large",
    "connectionRequiredForActiveMembers",
    "userAuthorizationStyle",
    "crossPlay",
    "searchable",
    "hasOwners",
];

impl Alter {
    /// Alters a document that is a session's part of this name, or a whole one where the name is empty; `count` is how many
    /// were altered before.
    pub(super) fn apply(self, json: &mut Value, name: &str, count: u64) {
        match self {
            Self::Unknown(strange) => add_unknown(json, name, strange, count),
            Self::At(at, edit) => _ = edit.apply(at, json),
            Self::WithoutEmptyTurn => {
                for system in objects_at(json, &["properties", "system"]) {
                    if system.get("turn").and_then(Value::as_array).is_some_and(Vec::is_empty) {
                        system.shift_remove("turn");
                    }
                }
            }
            Self::FalseShown => show_false(json),
            Self::Times(write) => each(json, "", &mut |key, value| {
                if let Value::String(text) = value
                    && TIMES.contains(&key)
                {
                    *value = write(text).into();
                }
            }),
            Self::Later(name, more) => each(json, "", &mut |key, value| {
                if key == name
                    && let Some(time) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok())
                    && let Ok(later) = time.checked_add(SignedDuration::from_millis(more))
                {
                    *value = format!("{later:.7}").into();
                }
            }),
            Self::Capitals(names) => each(json, "", &mut |key, value| {
                if let Value::String(text) = value
                    && names.contains(&key)
                {
                    *value = text.to_uppercase().into();
                }
            }),
            Self::Turned(name) => each(json, "", &mut |key, value| {
                if let Value::Array(list) = value
                    && key == name
                {
                    list.reverse();
                }
            }),
        }
    }
}

/// Visits each value of the contract with the name that it has; what titles keep is theirs.
fn each(json: &mut Value, name: &str, visit: &mut impl FnMut(&str, &mut Value)) {
    if OPAQUE.contains(&name) {
        return;
    }
    visit(name, json);
    match json {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| each(value, key, visit)),
        Value::Array(list) => list.iter_mut().for_each(|value| each(value, "", visit)),
        _ => {}
    }
}

fn add_unknown(json: &mut Value, name: &str, strange: Strange, count: u64) {
    if OPAQUE.contains(&name) {
        return;
    }
    match json {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                add_unknown(value, key, strange, count);
            }
            if !MAPS.iter().any(|map| map.eq_ignore_ascii_case(name))
                && let Some(value) = strange.value(count)
            {
                object.insert("xEtra".to_owned(), value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| add_unknown(value, "", strange, count)),
        _ => {}
    }
}

impl Strange {
    fn value(self, count: u64) -> Option<Value> {
        let guid = || Uuid::new_v4().to_string();
        Some(match self {
            Self::Guid => guid().into(),
            Self::Count => count.into(),
            Self::Object => json!({ "id": guid(), "active": true, "next": count, "system": { "xuid": guid() } }),
            Self::List => (0..count % 5).map(|_| Value::from(guid())).collect(),
            Self::Null => Value::Null,
            Self::Sometimes => return (count.is_multiple_of(2)).then(|| guid().into()),
            Self::Long => guid().repeat(20).into(),
            Self::Flag => (count.is_multiple_of(2)).into(),
        })
    }
}

fn objects_at<'v>(json: &'v mut Value, path: &[&str]) -> Vec<&'v mut Map<String, Value>> {
    let Some((first, rest)) = path.split_first() else {
        return json.as_object_mut().into_iter().collect();
    };
    match (json, *first) {
        (Value::Object(object), "*") => object.values_mut().flat_map(|value| objects_at(value, rest)).collect(),
        (Value::Object(object), key) => {
            let value = object.get_mut(key);
            value.map(|value| objects_at(value, rest)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Where flags are, and which.
const FLAGS: &[(&[&str], &[&str])] = &[
    (&["properties", "system"], SESSION_FLAGS),
    (&["members", "*", "properties", "system"], MEMBER_FLAGS),
    (&["members", "*"], &["reserved"]),
    (&["constants", "system", "capabilities"], CAPABILITIES),
];

fn show_false(json: &mut Value) {
    if json.get("membersInfo").is_none() {
        return;
    }
    for (at, flags) in FLAGS {
        for object in objects_at(json, at) {
            for flag in *flags {
                object.entry(*flag).or_insert(Value::Bool(false));
            }
        }
    }
}
