//! What the reference keeps where it is told to keep it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::service::{Reference, SCID, session};

fn config(folder: &Path) -> Value {
    let user = |xuid: &str| json!({ "xuid": xuid, "gamertag": format!("G{xuid}"), "title": "1", "device": xuid });
    json!({
        "data": folder,
        "serviceConfigs": { SCID: { "titles": ["1"], "templates": {
            "game": { "constants": { "system": { "version": 1, "maxMembersCount": 8, "reservedRemovalTimeout": 60000,
                "capabilities": { "gameplay": true, "searchable": true } } },
                "roleTypes": { "team": { "mutableRoleSettings": ["max"], "roles": { "red": { "max": 2 }, "blue": { "max": 3 } } } } },
        } } },
        "principals": { "alice": user("11"), "bob": user("12"), "carol": user("13"), "server": { "kind": "server", "title": "1" } },
    })
}

/// Something of everything that can be stored.
async fn fill(service: &Reference) -> Vec<String> {
    let (first, second, gone) = (
        session("game", "first"),
        session("game", "Second"),
        session("game", "gone"),
    );
    let reference = |name: &str| json!({ "scid": SCID, "templateName": "game", "name": name });
    let create = json!({
        "constants": { "custom": { "big": u64::MAX, "text": "\u{e9}\n\"" } },
        "properties": { "system": { "keywords": ["Maps"] }, "custom": { "a": { "b": [1, 2.5, null] } } },
        "members": { "me": { "constants": { "custom": { "x": 1 } }, "properties": { "system": { "active": true }, "custom": { "y": 2 } },
            "roles": { "team": "red" } }, "reserve_0": { "constants": { "system": { "xuid": "13" } } } },
    });
    let me = json!({ "members": { "me": { "properties": { "system": { "active": true } } } } });
    let mut made = Vec::new();
    for (who, path, body, status) in [
        ("alice", &first, &create, 201),
        ("bob", &first, &me, 200),
        ("bob", &second, &create, 201),
        ("alice", &second, &me, 200),
        ("carol", &gone, &me, 201),
        ("carol", &gone, &json!({ "members": { "me": null } }), 204),
    ] {
        let answer = service.ask(who, "PUT", path, Some(body)).await;
        assert_eq!(
            answer.status,
            status,
            "{who} {path} {}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    for (who, body) in [
        (
            "alice",
            json!({ "version": 1, "type": "activity", "sessionRef": reference("first") }),
        ),
        (
            "alice",
            json!({ "version": 1, "type": "activity", "sessionRef": reference("Second") }),
        ),
        (
            "bob",
            json!({ "version": 1, "type": "invite", "sessionRef": reference("first"), "invitedXuid": "13",
            "inviteAttributes": { "context": "c" } }),
        ),
        (
            "bob",
            json!({ "version": 1, "type": "search", "sessionRef": reference("Second"),
            "searchAttributes": { "tags": ["fast"], "numbers": { "level": 2.5 }, "strings": { "mode": "Duel" } } }),
        ),
        (
            "bob",
            json!({ "version": 1, "type": "transfer", "sessionRef": reference("first"), "originSessionRef": reference("Second") }),
        ),
    ] {
        let answer = service.ask(who, "POST", "/handles", Some(&body)).await;
        let id = answer.json()["id"].as_str().map(str::to_owned);
        made.push(id.unwrap_or_else(|| panic!("{body} answered {}", answer.status)));
    }
    made
}

/// How much of what [`read`] asks for is not there: the session that ended, and the activity that was replaced, which is
/// asked for twice.
const GONE: usize = 3;

/// All that can be read of it, byte for byte.
async fn read(service: &Reference, handles: &[String]) -> Vec<(u16, Option<String>, String)> {
    let sessions = format!("/serviceconfigs/{SCID}/sessions");
    let mut asked: Vec<(&str, &str, String, Option<Value>)> = Vec::new();
    for name in ["first", "Second", "gone"] {
        asked.push(("alice", "GET", session("game", name), None));
    }
    for id in handles {
        asked.push(("alice", "GET", format!("/handles/{id}"), None));
        asked.push(("bob", "GET", format!("/handles/{id}/session"), None));
    }
    for query in [
        "xuid=11",
        "xuid=12",
        "xuid=13&reservations=true",
        "keyword=maps&xuid=11",
    ] {
        let who = if query.contains("13") {
            "carol"
        } else if query.contains("12") {
            "bob"
        } else {
            "alice"
        };
        asked.push((who, "GET", format!("{sessions}?{query}"), None));
    }
    let search = json!({ "type": "search", "scid": SCID, "templateName": "game", "filter": "tags/any(d:d eq 'fast')" });
    asked.push(("carol", "POST", "/handles/query".to_owned(), Some(search)));
    let mut answers = Vec::new();
    for (who, method, path, body) in asked {
        let answer = service.ask(who, method, &path, body.as_ref()).await;
        let etag = answer.headers.get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        answers.push((answer.status, etag, String::from_utf8(answer.body).unwrap()));
    }
    answers
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let service = Reference::start(config(folder.path())).unwrap();
    let handles = fill(&service).await;
    let before = read(&service, &handles).await;
    let found: Vec<u16> = before.iter().map(|(status, ..)| *status).collect();
    assert_eq!(found.iter().filter(|status| **status != 200).count(), GONE, "{found:?}");
    drop(service);
    for _ in 0..2 {
        let service = Reference::start(config(folder.path())).unwrap();
        assert_eq!(read(&service, &handles).await, before);
    }
}

#[tokio::test]
async fn a_session_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let service = Reference::start(config(folder.path())).unwrap();
    fill(&service).await;
    let path = session("game", "first");
    let number = |answer: Value| answer["changeNumber"].as_u64().unwrap();
    let before = number(service.ask("alice", "GET", &path, None).await.json());
    let gone = session("game", "gone");
    drop(service);
    let service = Reference::start(config(folder.path())).unwrap();
    let write = json!({ "properties": { "custom": { "a": { "c": 1 } } } });
    assert_eq!(
        number(service.ask("bob", "PUT", &path, Some(&write)).await.json()),
        before + 1
    );
    let again = service
        .ask("carol", "PUT", &gone, Some(&json!({ "members": { "me": {} } })))
        .await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn a_change_that_was_cut_off_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let service = Reference::start(config(folder.path())).unwrap();
    let handles = fill(&service).await;
    let before = read(&service, &handles).await;
    drop(service);
    let journal = folder.path().join("journal.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"{\"session\": {\"session\"").unwrap();
    let service = Reference::start(config(folder.path())).unwrap();
    assert_eq!(read(&service, &handles).await, before);
}

#[test]
fn a_line_that_the_service_did_not_write_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("journal.jsonl"), "{\"removed\": \"x\"}\n").unwrap();
    let error = Reference::start(config(folder.path())).err().unwrap();
    assert_eq!(error.path(), "data");
    assert!(error.to_string().contains("journal.jsonl`, line 1: "), "{error}");
}

#[test]
fn a_folder_belongs_to_one_service() {
    let folder = tempfile::tempdir().unwrap();
    let first = Reference::start(config(folder.path())).unwrap();
    let error = Reference::start(config(folder.path())).err().unwrap();
    assert!(error.to_string().contains("another service uses"), "{error}");
    drop(first);
    assert!(Reference::start(config(folder.path())).is_ok());
}
