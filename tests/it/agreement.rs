//! `validate` and the reference agree on requests: what one accepts, the other does not call malformed.

use std::collections::BTreeSet;

use mpsd_conformance::contract::schemas::Severity;
use mpsd_conformance::contract::version::ContractVersion;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::service::{Dice, Reference, SCID, session};
use crate::wrong_service::SUITE;

/// How many bodies are made of each one.
const BODIES: usize = 400;

/// What can be told only with more than the body: the session, its template, the caller, or a language of its own.
const BEYOND_A_SCHEMA: &[&str] = &[
    "it needs the capability",
    "is stricter than the joinRestriction",
    "must be closed as well",
    "a subscription needs an id",
    "the index of a member",
    "expected base64",
    "`filter`, column",
    "`orderBy`, column",
];

fn reference() -> Reference {
    let capabilities = json!({ "searchable": true, "connectivity": true, "gameplay": true });
    Reference::new(
        &json!({ "alice": { "xuid": "1", "gamertag": "A", "device": "a", "title": "1" } }),
        &json!({ "follows": { "alice": ["2"] } }),
        &json!({
            "free": { "constants": { "system": { "version": 1, "inactiveRemovalTimeout": null } } },
            "browse": { "constants": { "system": { "version": 1, "capabilities": capabilities, "inactiveRemovalTimeout": null } } },
        }),
    )
}

/// Sound bodies, with the schema of each and where it is sent.
fn sound() -> Vec<(&'static str, &'static str, String, Value)> {
    let at = json!({ "scid": SCID, "templateName": "browse", "name": "there" });
    let people = json!({ "people": { "moniker": "People", "monikerXuid": "1" } });
    let system = json!({
        "maxMembersCount": 8, "visibility": "Open", "inviteProtocol": "game", "reservedRemovalTimeout": 30_000,
        "readyRemovalTimeout": 0, "sessionEmptyTimeout": 0,
        "capabilities": { "gameplay": true, "connectivity": true, "crossPlay": true },
    });
    let properties = json!({
        "keywords": ["one", "Two"], "joinRestriction": "followed", "readRestriction": "followed", "closed": true, "locked": true,
        "description": { "text": "t", "locale": "en" }, "searchHandleVisibility": "xboxlive",
        "scheduledTime": "2035-01-31T20:00:00Z", "turn": [0], "matchmakingResubmit": false,
    });
    let member = json!({
        "constants": { "system": { "xuid": "1", "initialize": false }, "custom": { "a": 1 } },
        "properties": { "system": { "active": true, "secureDeviceAddress": "r5Y=",
            "subscription": { "id": "00000000-0000-4000-8000-000000000001", "changeTypes": ["everything"] } }, "custom": {} },
    });
    vec![
        (
            "session-request",
            "PUT",
            session("free", "new"),
            json!({
                "constants": { "system": system, "custom": { "a": [1] } }, "members": { "me": member,
                    "reserve_0": { "constants": { "system": { "xuid": "2" } } } },
                "properties": { "system": properties, "custom": { "b": null } },
                "roleTypes": { "lfg": { "roles": { "confirmed": { "target": 2, "max": 4 } } } },
            }),
        ),
        (
            "handle-request",
            "POST",
            "/handles".to_owned(),
            json!({ "version": 1, "type": "activity", "sessionRef": at }),
        ),
        (
            "handle-request",
            "POST",
            "/handles".to_owned(),
            json!({ "version": 1, "type": "invite", "sessionRef": at,
            "invitedXuid": "2", "inviteAttributes": { "titleId": "1", "context": "c", "contextString": "s" } }),
        ),
        (
            "handle-request",
            "POST",
            "/handles".to_owned(),
            json!({ "version": 1, "type": "transfer", "sessionRef": at,
            "originSessionRef": at }),
        ),
        (
            "handle-request",
            "POST",
            "/handles".to_owned(),
            json!({ "version": 1, "type": "search", "sessionRef": at,
            "searchAttributes": { "tags": ["a", "b"], "strings": { "Clan": "x" }, "numbers": { "level": 7.5 },
                "achievementIds": ["17"], "locale": "en-US" } }),
        ),
        (
            "handle-query-request",
            "POST",
            "/handles/query".to_owned(),
            json!({ "type": "activity", "scid": SCID,
            "owners": { "xuids": ["1", "2"] } }),
        ),
        (
            "handle-query-request",
            "POST",
            "/handles/query".to_owned(),
            json!({ "type": "activity", "owners": people }),
        ),
        (
            "handle-query-request",
            "POST",
            "/handles/query".to_owned(),
            json!({ "type": "search", "scid": SCID,
            "templateName": "browse", "filter": "numbers/level gt 5", "orderBy": "numbers/level desc",
            "sessionMembers": people, "sessionOwners": ["1"], "global": true }),
        ),
        (
            "batch-request",
            "POST",
            format!("/serviceconfigs/{SCID}/batch"),
            json!({ "xuids": ["1", "2"] }),
        ),
    ]
}

/// All places of a value, as pointers.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// Changes one place; says what was done.
fn change(body: &mut Value, dice: &mut Dice) -> String {
    let mut all = Vec::new();
    places(body, "", &mut all);
    let place = dice.pick(&all).clone();
    // Null leaves a constant or a role's setting unset, which templates are written with.
    let may_be_unset = place.starts_with("/constants/system") || place.starts_with("/roleTypes");
    let odd = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_000_000),
        json!(""),
        json!("x"),
        json!("1"),
        json!("Open"),
        json!([]),
        json!({}),
        json!(["x"]),
        json!([1]),
        json!("a".repeat(300)),
    ];
    let Some(target) = body.pointer_mut(&place) else {
        return place;
    };
    match dice.roll(4) {
        0 => {
            if let Some(fields) = target.as_object_mut() {
                fields.insert("unheardOf".to_owned(), json!(1));
                return format!("{place}/unheardOf added");
            }
        }
        1 => {
            let (parent, name) = place.rsplit_once('/').unwrap_or_default();
            if let Some(fields) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
                fields.shift_remove(name);
                return format!("{place} removed");
            }
        }
        2 => {
            if let Some(text) = target.as_str() {
                *target = json!(text.to_uppercase());
                return format!("{place} in capitals");
            }
        }
        _ => {}
    }
    if let Some(target) = body.pointer_mut(&place) {
        let odd = if may_be_unset { &odd[1..] } else { &odd[..] };
        *target = dice.pick(odd).clone();
        return format!("{place} = {target}");
    }
    place
}

#[test]
fn a_body_that_the_schemas_refuse_is_refused_and_one_that_is_malformed_is_refused_by_them() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let schemas = SUITE.schemas();
    let mut disagreements = BTreeSet::new();
    let mut dice = Dice::new(17);
    for (schema, method, path, sound) in sound() {
        for turn in 0..=BODIES {
            let mut body = sound.clone();
            let what = if turn == 0 {
                "as it is".to_owned()
            } else {
                change(&mut body, &mut dice)
            };
            let reference = reference();
            let answer = runtime.block_on(async {
                let member = json!({ "members": { "me": { "properties": { "system": { "active": true } } } } });
                reference
                    .ask("alice", "PUT", &session("browse", "there"), Some(&member))
                    .await;
                reference.ask("alice", method, &path, Some(&body)).await
            });
            let violations = schemas.validate(schema, ContractVersion::CURRENT, &body);
            let refused = violations
                .iter()
                .find(|violation| violation.severity > Severity::Remark);
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            let is_beyond = BEYOND_A_SCHEMA.iter().any(|known| said.contains(known));
            match (answer.status, refused) {
                (200..=299, Some(violation)) => {
                    disagreements.insert(format!(
                        "{schema}: {what}: {} {}; accepted",
                        violation.pointer, violation.message
                    ));
                }
                (400, None) if !is_beyond => {
                    disagreements.insert(format!("{schema}: {what}: valid; {said}"));
                }
                _ => {}
            }
        }
    }
    let shown: Vec<_> = disagreements.into_iter().collect();
    assert!(shown.is_empty(), "{} disagreements:\n{}", shown.len(), shown.join("\n"));
}
