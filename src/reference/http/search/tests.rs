use serde_json::{Value, json};

use super::super::tests::sample::{Answer, SCID, Stage, active, session, session_ref};

/// A service with sessions that can be searched; carol is blocked by alice, and alice follows bob.
fn stage() -> Stage {
    let capable = |capabilities: &Value| json!({ "constants": { "system": { "capabilities": capabilities } } });
    let owned = json!({ "searchable": true, "hasOwners": true, "userAuthorizationStyle": true });
    let roles = json!({ "class": { "roles": { "tank": { "max": 2, "target": 1 } } } });
    let mut plain = capable(&json!({ "searchable": true }));
    plain["roleTypes"] = roles;
    let mut hidden = capable(&json!({ "searchable": true }));
    hidden["constants"]["system"]["visibility"] = json!("private");
    Stage::with(&json!({
        "serviceConfigs": { (SCID): { "titles": ["5"], "templates": {
            "plain": plain, "owned": capable(&owned), "hidden": hidden, "open": capable(&json!({})),
        } } },
        "social": { "follows": { "alice": ["bob"] }, "blocks": { "alice": ["carol"] } },
    }))
}

fn offer(template: &str, name: &str, attributes: &Value) -> Value {
    json!({ "type": "search", "sessionRef": session_ref(template, name), "searchAttributes": attributes })
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let document = answer.json();
    let results = document["results"].as_array().unwrap().iter();
    results
        .map(|item| item["sessionRef"]["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn search(stage: &Stage, who: &str, template: &str, more: &Value) -> Answer {
    let mut body = json!({ "type": "search", "scid": SCID, "templateName": template, "global": true, "followed": 1 });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let path = "/handles/query?include=relatedInfo,roleInfo,customProperties";
    stage.post(who, path, &body).await
}

#[tokio::test]
async fn a_session_is_offered_found_and_withdrawn_and_is_itself_again() {
    let stage = stage();
    let path = session("plain", "one");
    let before = stage.put("alice", &path, &active()).await;
    let attributes = json!({ "tags": ["ProRank"], "strings": { "map": "Quarry" }, "numbers": { "level": 7.5 } });
    let posted = stage
        .post("alice", "/handles", &offer("plain", "one", &attributes))
        .await;
    let handle = id(&posted);
    assert_eq!(posted.json()["searchAttributes"], attributes);
    assert_eq!(posted.json()["type"], "search");
    let offered = stage.get("bob", &path).await;
    assert_eq!(offered.json()["searchHandle"], json!(handle));
    assert_ne!(
        offered.header("etag"),
        before.header("etag"),
        "the document is another one"
    );
    assert_eq!(offered.json()["changeNumber"], before.json()["changeNumber"]);
    assert_eq!(names(&search(&stage, "bob", "plain", &json!({})).await), ["one"]);
    let read = stage
        .get("bob", &format!("/handles/{handle}?include=relatedInfo"))
        .await
        .json();
    assert_eq!(read["relatedInfo"]["membersCount"], 1);
    let at = format!("/handles/{handle}/session");
    let joined = stage.put("bob", &at, &active()).await;
    assert_eq!((joined.status, joined.header("content-location")), (200, path.as_str()));
    assert_eq!(joined.json()["searchHandle"], json!(handle), "it survives writes");
    stage.put("bob", &path, &json!({ "members": { "me": null } })).await;
    let delete = format!("DELETE /handles/{handle}");
    stage.send("carol", &delete, &[], "").await.assert_text(403);
    let then = stage.get("alice", &path).await;
    assert_eq!(stage.send("alice", &delete, &[], "").await.status, 204);
    let after = stage.get("alice", &path).await;
    let mut expected = then.json();
    expected.as_object_mut().unwrap().shift_remove("searchHandle");
    assert_eq!(after.json(), expected);
    assert_eq!(names(&search(&stage, "bob", "plain", &json!({})).await), [""; 0]);
    stage.get("alice", &at).await.assert_text(404);
}

#[tokio::test]
async fn a_session_has_one_search_handle_which_ends_with_it() {
    let stage = stage();
    let path = session("plain", "one");
    stage.put("alice", &path, &active()).await;
    let first = id(&stage
        .post("alice", "/handles", &offer("plain", "one", &json!(null)))
        .await);
    let second = id(&stage
        .post("alice", "/handles", &offer("plain", "one", &json!({ "tags": ["b"] })))
        .await);
    stage.get("alice", &format!("/handles/{first}")).await.assert_text(404);
    assert_eq!(stage.get("alice", &path).await.json()["searchHandle"], json!(second));
    assert_eq!(names(&search(&stage, "bob", "plain", &json!({})).await), ["one"]);
    stage.put("alice", &path, &json!({ "members": { "me": null } })).await;
    assert_eq!(names(&search(&stage, "bob", "plain", &json!({})).await), [""; 0]);
    stage.get("alice", &format!("/handles/{second}")).await.assert_text(404);
    assert_eq!(
        stage.put("alice", &path, &active()).await.json().get("searchHandle"),
        None
    );
}

#[tokio::test]
async fn a_handle_may_be_there_before_its_session() {
    let stage = stage();
    stage
        .post("alice", "/handles", &offer("open", "one", &json!({})))
        .await
        .assert_text(403);
    let handle = id(&stage
        .post("alice", "/handles", &offer("plain", "one", &json!({})))
        .await);
    assert_eq!(stage.get("alice", &session("plain", "one")).await.status, 204);
    assert_eq!(names(&search(&stage, "bob", "plain", &json!({})).await), [""; 0]);
    let created = stage.put("alice", &session("plain", "one"), &active()).await.json();
    assert_eq!(created["searchHandle"], json!(handle));
    assert_eq!(names(&search(&stage, "bob", "plain", &json!({})).await), ["one"]);
}

#[tokio::test]
async fn only_who_is_in_charge_of_a_searchable_session_offers_it() {
    let stage = stage();
    stage.put("alice", &session("open", "one"), &active()).await;
    stage
        .post("alice", "/handles", &offer("open", "one", &json!({})))
        .await
        .assert_text(403);
    stage.put("alice", &session("plain", "one"), &active()).await;
    stage
        .post("bob", "/handles", &offer("plain", "one", &json!({})))
        .await
        .assert_text(403);
    stage.put("bob", &session("plain", "one"), &active()).await;
    id(&stage.post("bob", "/handles", &offer("plain", "one", &json!({}))).await);
    stage.put("alice", &session("owned", "one"), &active()).await;
    let handle = id(&stage
        .post("alice", "/handles", &offer("owned", "one", &json!({})))
        .await);
    stage
        .put("bob", &session("owned", "one"), &active())
        .await
        .assert_text(403);
    let joined = stage.put("bob", &format!("/handles/{handle}/session"), &active()).await;
    assert_eq!(joined.status, 200, "{}", joined.text);
    stage
        .post("bob", "/handles", &offer("owned", "one", &json!({})))
        .await
        .assert_text(403);
    stage
        .send("bob", &format!("DELETE /handles/{handle}"), &[], "")
        .await
        .assert_text(403);
    let blocked = stage
        .put("carol", &format!("/handles/{handle}/session"), &active())
        .await;
    assert_eq!(
        (blocked.status, blocked.json()["membersInfo"]["count"].as_u64()),
        (403, Some(2))
    );
    let found = search(&stage, "carol", "owned", &json!({})).await.json();
    assert_eq!(found["results"][0]["relatedInfo"]["sessionOwners"], json!(["101"]));
    for attributes in [json!(5), json!({ "tags": ["a b"] }), json!({ "numbers": { "1": 1 } })] {
        stage
            .post("alice", "/handles", &offer("owned", "one", &attributes))
            .await
            .assert_text(400);
    }
}

#[tokio::test]
async fn a_search_asks_for_attributes_sessions_and_people_in_an_order() {
    let stage = stage();
    for (name, who, rank) in [("one", "alice", 2), ("two", "bob", 3), ("three", "carol", 1)] {
        let mut body = active();
        body["properties"] = json!({ "custom": { "name": name }, "system": { "keywords": [format!("Kw{name}")] } });
        body["members"]["me"]["roles"] = json!({ "class": "tank" });
        stage.put(who, &session("plain", name), &body).await;
        let attributes = json!({ "tags": [name], "numbers": { "rank": rank } });
        id(&stage.post(who, "/handles", &offer("plain", name, &attributes)).await);
    }
    for (more, expected) in [
        (json!({}), vec!["one", "two", "three"]),
        (json!({ "orderBy": "rank desc" }), vec!["two", "one", "three"]),
        (
            json!({ "filter": "numbers/rank lt 3", "orderBy": "numbers/rank asc" }),
            vec!["three", "one"],
        ),
        (json!({ "filter": "tags/any(d:tolower(d) eq 'two')" }), vec!["two"]),
        (
            json!({ "filter": "session/memberXuids/any(d:d eq '103')" }),
            vec!["three"],
        ),
        (
            json!({ "filter": "session/keywords/any(d:tolower(d) eq 'kwone')" }),
            vec!["one"],
        ),
        (
            json!({ "filter": "session/roles/class/tank/count eq 1 and session/needs gt 98" }),
            vec!["one", "two", "three"],
        ),
        (
            json!({ "filter": "session/scheduledTime le '2030-01-01T00:00:00Z'" }),
            vec![],
        ),
        (
            json!({ "sessionMembers": { "people": { "moniker": "people", "monikerXuid": "101" } } }),
            vec!["two"],
        ),
        (
            json!({ "sessionMembers": { "people": { "moniker": "Friends", "monikerXuid": "101" } } }),
            vec!["two"],
        ),
        (json!({ "sessionOwners": "101" }), vec![]),
        (
            json!({ "scid": null, "orderBy": "Rank asc" }),
            vec!["three", "one", "two"],
        ),
        (
            json!({ "scid": null, "templateName": null, "filter": "tolower(session / templateName) eq 'plain'" }),
            vec!["one", "two", "three"],
        ),
        (json!({ "filter": "session/titleId eq 5" }), vec!["one", "two", "three"]),
        (json!({ "filter": "session/titleId eq 6" }), vec![]),
    ] {
        assert_eq!(
            names(&search(&stage, "alice", "plain", &more).await),
            expected,
            "{more}"
        );
    }
    let found = search(&stage, "alice", "PLAIN", &json!({ "filter": "numbers/rank eq 2" }))
        .await
        .json();
    let item = &found["results"][0];
    assert_eq!(item["customProperties"], json!({ "name": "one" }));
    assert_eq!(
        item["roleInfo"]["roleTypes"]["class"]["roles"]["tank"]["memberXuids"],
        json!(["101"])
    );
    let bad = [
        json!({ "filter": "" }),
        json!({ "filter": "numbers/rank near 5" }),
        json!({ "filter": 5 }),
        json!({ "orderBy": "" }),
        json!({ "templateName": null }),
        json!({ "sessionOwners": ["nobody"] }),
        json!({ "sessionMembers": {} }),
        json!({ "sessionMembers": { "people": { "moniker": "", "monikerXuid": "101" } } }),
    ];
    for more in bad {
        search(&stage, "alice", "plain", &more).await.assert_text(400);
    }
    search(&stage, "alice", "none", &json!({})).await.assert_text(404);
    let told = search(&stage, "alice", "plain", &json!({ "filter": "numbers/rank near 5" }))
        .await
        .text;
    assert!(told.contains("column 14"), "{told}");
}

#[tokio::test]
async fn a_private_session_is_found_by_its_members_only() {
    let stage = stage();
    stage.put("alice", &session("hidden", "one"), &active()).await;
    id(&stage
        .post("alice", "/handles", &offer("hidden", "one", &json!({})))
        .await);
    assert_eq!(names(&search(&stage, "alice", "hidden", &json!({})).await), ["one"]);
    assert_eq!(names(&search(&stage, "bob", "hidden", &json!({})).await), [""; 0]);
}
