//! The names of constants by contract version: they are stored in those of 107, and converted on the way in and out.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::field::At;
use super::model::ContractVersion;
use super::refusal::Refusal;

/// The four timeouts: name inside `timeouts` of 104 and 105, name in `constants.system` of 107 (VER-011).
pub(super) const TIMEOUTS: [(&str, &str); 4] = [
    ("reserved", "reservedRemovalTimeout"),
    ("inactive", "inactiveRemovalTimeout"),
    ("ready", "readyRemovalTimeout"),
    ("sessionEmpty", "sessionEmptyTimeout"),
];

/// Rewrites `constants.system` in the names of 107.
///
/// With `strict`, the names of another version are refused (VER-014).
pub(super) fn upgrade<'v>(
    system: &'v Map<String, Value>,
    version: ContractVersion,
    strict: bool,
    at: &At<'_>,
) -> Result<Cow<'v, Map<String, Value>>, Refusal> {
    if strict {
        let foreign = |key: &str| {
            if version.has_old_names() {
                key == "memberInitialization" || TIMEOUTS.iter().any(|(_, new)| *new == key)
            } else {
                key == "timeouts" || key == "managedInitialization"
            }
        };
        if let Some(key) = system.keys().find(|key| foreign(key)) {
            return Err(at.then(key).refuse(format_args!(
                "contract version {} has no such constant",
                version.number()
            )));
        }
    }
    if !system.contains_key("timeouts") && !system.contains_key("managedInitialization") {
        return Ok(Cow::Borrowed(system));
    }
    let mut upgraded = Map::with_capacity(system.len() + 3);
    for (key, value) in system {
        let at = at.then(key);
        match (key.as_str(), value) {
            ("timeouts", Value::Null) => {}
            ("timeouts", _) => {
                for (name, timeout) in at.object(value)? {
                    let Some((_, new)) = TIMEOUTS.iter().find(|(old, _)| old == name) else {
                        return Err(at.then(name).unknown(&TIMEOUTS.map(|(old, _)| old)));
                    };
                    upgraded.insert((*new).to_owned(), timeout.clone());
                }
            }
            ("managedInitialization", Value::Null) => {
                upgraded.insert("memberInitialization".to_owned(), Value::Null);
            }
            ("managedInitialization", _) => {
                let mut bag = Map::new();
                for (name, value) in at.object(value)? {
                    // The polarity is inverted (VER-007).
                    match name.as_str() {
                        "autoEvaluate" => {
                            let automatic = at.then(name).boolean(value)?;
                            bag.insert("externalEvaluation".to_owned(), Value::Bool(!automatic));
                        }
                        "externalEvaluation" if strict => {
                            return Err(at
                                .then(name)
                                .unknown(&["autoEvaluate", "joinTimeout", "measurementTimeout"]));
                        }
                        _ => {
                            bag.insert(name.clone(), value.clone());
                        }
                    }
                }
                upgraded.insert("memberInitialization".to_owned(), Value::Object(bag));
            }
            _ => {
                upgraded.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(Cow::Owned(upgraded))
}

/// Says in a 107 `memberInitialization` what a 104 or 105 one left to its defaults (VER-008, VER-009, VER-010).
pub(super) fn fill_old_initialization(bag: &mut Map<String, Value>) {
    for (name, default) in [
        ("joinTimeout", json!(5000)),
        ("measurementTimeout", json!(5000)),
        ("externalEvaluation", json!(true)),
        ("membersNeededToStart", json!(2)),
    ] {
        if !bag.contains_key(name) {
            bag.insert(name.to_owned(), default);
        }
    }
}

/// Says in a 107 `memberInitialization` what it left to its defaults (INIT-029).
pub(super) fn fill_initialization(bag: &mut Map<String, Value>) {
    for (name, default) in [
        ("joinTimeout", json!(10_000)),
        ("measurementTimeout", json!(30_000)),
        ("externalEvaluation", json!(false)),
        ("membersNeededToStart", json!(1)),
    ] {
        if !bag.contains_key(name) {
            bag.insert(name.to_owned(), default);
        }
    }
}

/// Writes effective constants of 107 in the names of 104 and 105; what differs in its default is said explicitly.
pub(super) fn downgrade(system: &Map<String, Value>) -> Map<String, Value> {
    let mut old = Map::with_capacity(system.len());
    let mut timeouts = Map::with_capacity(4);
    for (key, value) in system {
        if let Some((name, _)) = TIMEOUTS.iter().find(|(_, new)| new == key) {
            timeouts.insert((*name).to_owned(), value.clone());
            // Holds the place of the object that takes the timeouts.
            old.entry("timeouts").or_insert(Value::Null);
        } else if let ("memberInitialization", Value::Object(bag)) = (key.as_str(), value) {
            let mut managed = bag.clone();
            fill_initialization(&mut managed);
            let external = managed.shift_remove("externalEvaluation") == Some(Value::Bool(true));
            managed.insert("autoEvaluate".to_owned(), Value::Bool(!external));
            old.insert("managedInitialization".to_owned(), Value::Object(managed));
        } else {
            old.insert(key.clone(), value.clone());
        }
    }
    if !timeouts.is_empty() {
        old.insert("timeouts".to_owned(), Value::Object(timeouts));
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::refusal::RefusalKind;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn the_old_names_become_the_new_ones_and_back() {
        let old = map(json!({
            "version": 1,
            "timeouts": {"reserved": 1, "inactive": null, "ready": 3, "sessionEmpty": 4},
            "managedInitialization": {"joinTimeout": 7, "measurementTimeout": 8, "autoEvaluate": true, "membersNeededToStart": 3},
        }));
        let new = upgrade(&old, ContractVersion::V105, true, &At::ROOT)
            .unwrap()
            .into_owned();
        assert_eq!(
            Value::Object(new.clone()),
            json!({
                "version": 1,
                "reservedRemovalTimeout": 1, "inactiveRemovalTimeout": null, "readyRemovalTimeout": 3, "sessionEmptyTimeout": 4,
                "memberInitialization": {"joinTimeout": 7, "measurementTimeout": 8, "externalEvaluation": false, "membersNeededToStart": 3},
            })
        );
        assert_eq!(downgrade(&new), old);
    }

    #[test]
    fn a_silent_new_initialization_says_its_defaults_in_the_old_form() {
        let old = downgrade(&map(json!({"memberInitialization": {}})));
        assert_eq!(
            Value::Object(old),
            json!({"managedInitialization": {
                "joinTimeout": 10_000, "measurementTimeout": 30_000, "autoEvaluate": true, "membersNeededToStart": 1
            }})
        );
    }

    #[test]
    fn the_names_of_another_version_are_refused_when_strict() {
        for (version, body) in [
            (ContractVersion::V107, json!({"timeouts": {}})),
            (ContractVersion::V107, json!({"managedInitialization": {}})),
            (ContractVersion::V105, json!({"sessionEmptyTimeout": 0})),
            (ContractVersion::V104, json!({"memberInitialization": {}})),
        ] {
            let body = map(body);
            let refusal = upgrade(&body, version, true, &At::ROOT).expect_err("a foreign name");
            assert_eq!(refusal.kind, RefusalKind::Malformed);
            assert!(upgrade(&body, version, false, &At::ROOT).is_ok());
        }
    }
}
