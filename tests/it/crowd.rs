//! Two hundred users at one session of fifty slots, over real HTTP.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use mpsd_conformance::target::Target;
use mpsd_conformance::wire::client::Client;
use mpsd_conformance::wire::message::WireRequest;
use mpsd_reference::{Clock, Config, Server};
use serde_json::{Map, Value, json};

use crate::service::{Dice, SCID, session};

const USERS: u64 = 200;
const SLOTS: usize = 50;
const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_one_session_never_gets_more_than_its_slots() {
    let mut principals = Map::new();
    for xuid in 1..=USERS {
        principals.insert(
            format!("u{xuid}"),
            json!({"xuid": xuid.to_string(), "device": format!("d{xuid}"), "title": "1"}),
        );
    }
    let config = Config::from_value(json!({
        "serviceConfigs": { SCID: { "templates": { "crowd": { "constants": { "system": {
            "version": 1, "maxMembersCount": SLOTS, "inactiveRemovalTimeout": 600_000, "reservedRemovalTimeout": 600_000,
            "sessionEmptyTimeout": 600_000
        } } } } } },
        "principals": principals,
    }));
    let config = config.expect("the test's configuration is sound");
    let tokens = config.tokens();
    let server = Server::start(&config, Clock::system(), ([127, 0, 0, 1], 0).into())
        .await
        .expect("it starts");
    let client = Client::new(&Target::at(&server.url()), std::time::Duration::from_secs(30)).expect("a client");
    // Who was ever seen at which index.
    let seen: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let mut users = tokio::task::JoinSet::new();
    for xuid in 1..=USERS {
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        let token = tokens.get(&format!("u{xuid}")).cloned().expect("a token");
        users.spawn(async move {
            let mut dice = Dice::new(xuid);
            let mut accepted = 0_usize;
            for _ in 0..ROUNDS {
                let body = match dice.roll(4) {
                    0 | 1 => json!({"members": {"me": {}}}),
                    2 => json!({"members": {"me": null}}),
                    _ => {
                        let other = 1 + dice.roll(usize::try_from(USERS).unwrap_or(1));
                        json!({"members": {"me": {}, "reserve_0": {"constants": {"system": {"xuid": other.to_string()}}}}})
                    }
                };
                let request = WireRequest {
                    method: "PUT".to_owned(),
                    path: session("crowd", "square"),
                    headers: vec![
                        ("X-Xbl-Contract-Version".to_owned(), "107".to_owned()),
                        ("Content-Type".to_owned(), "application/json".to_owned()),
                        ("Authorization".to_owned(), token.clone()),
                    ],
                    body: Some(body.to_string().into()),
                };
                let answer = client.send(&request).await.expect("every request is answered");
                assert!(answer.status < 500, "{body}: {}", answer.status);
                if answer.status < 300 && !answer.body.is_empty() {
                    accepted += 1;
                    let document: Value = serde_json::from_slice(&answer.body).expect("a document");
                    check(&document, &mut seen.lock().expect("nobody panicked"));
                }
            }
            accepted
        });
    }
    let mut accepted = 0;
    while let Some(user) = users.join_next().await {
        accepted += user.expect("no user fails");
    }
    assert!(
        accepted > 300,
        "only {accepted} writes were accepted: the test tests nothing"
    );
    assert!(seen.lock().expect("nobody panicked").len() > SLOTS, "nobody ever left");
    server.stop().await;
}

/// Slots, indices and counts, in one document.
fn check(document: &Value, seen: &mut BTreeMap<String, String>) {
    let empty = Map::new();
    let members = document["members"].as_object().unwrap_or(&empty);
    let info = &document["membersInfo"];
    assert!(members.len() <= SLOTS, "{} members", members.len());
    assert_eq!(info["count"], json!(members.len()));
    let accepted = members
        .values()
        .filter(|member| member.get("reserved").is_none())
        .count();
    assert_eq!(info["accepted"], json!(accepted));
    let mut xuids = HashSet::new();
    for (index, member) in members {
        let xuid = member["constants"]["system"]["xuid"]
            .as_str()
            .expect("an xuid")
            .to_owned();
        assert!(xuids.insert(xuid.clone()), "{xuid} is there twice");
        let first = seen.entry(index.clone()).or_insert_with(|| xuid.clone());
        assert_eq!(*first, xuid, "index {index} was given twice");
    }
    let mut walked = 0;
    let mut index = info["first"].clone();
    while index != info["next"] {
        let member = members
            .get(&index.to_string())
            .unwrap_or_else(|| panic!("the list leads to {index}, where nobody is"));
        index = member["next"].clone();
        walked += 1;
        assert!(walked <= members.len(), "the list goes in a circle");
    }
    assert_eq!(walked, members.len(), "the list leaves somebody out");
}
