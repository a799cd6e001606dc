use std::sync::atomic::Ordering;

use serde_json::json;

use super::sample::{SCID, Stage, active, activity, session, session_ref};

#[tokio::test]
async fn an_activity_changes_the_session_and_leads_to_it() {
    let stage = Stage::new();
    let path = session("open", "one");
    let before = stage.put("alice", &path, &active()).await;
    let posted = stage.post("alice", "/handles", &activity("open", "one")).await;
    assert_eq!(posted.status, 201, "{}", posted.text);
    let handle = posted.json();
    let at = format!("/handles/{}", handle["id"].as_str().unwrap());
    assert_eq!(
        (posted.header("location"), posted.header("content-location")),
        (at.as_str(), at.as_str())
    );
    assert_eq!((&handle["ownerXuid"], &handle["titleId"]), (&json!("101"), &json!("5")));
    let after = stage.get("alice", &path).await;
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_eq!(after.json()["changeNumber"], 2);
    let read = stage.get("bob", &format!("{at}/session")).await;
    assert_eq!((read.status, &read.text), (200, &after.text));
    assert_eq!(read.header("content-location"), path);
    let joined = stage
        .put("bob", &format!("{}/session", at.to_uppercase()), &active())
        .await;
    assert_eq!((joined.status, joined.header("content-location")), (200, path.as_str()));
    assert_eq!(joined.json()["membersInfo"]["count"], 2);
    let held = [("if-match", before.header("etag"))];
    let held = stage.send("bob", &format!("PUT {at}/session"), &held, "{}").await;
    assert_eq!((held.status, held.header("content-location")), (412, path.as_str()));
}

#[tokio::test]
async fn a_new_activity_and_a_new_invite_tell_the_invite_protocol_of_the_session() {
    let stage = Stage::new();
    let mut body = active();
    body["constants"] = json!({ "system": { "inviteProtocol": "game" } });
    assert_eq!(stage.put("alice", &session("open", "one"), &body).await.status, 201);
    let mut invite = activity("open", "one");
    invite["type"] = json!("invite");
    invite["invitedXuid"] = json!("102");
    for handle in [activity("open", "one"), invite] {
        let posted = stage.post("alice", "/handles", &handle).await;
        assert_eq!(posted.json()["inviteProtocol"], "game", "{}", posted.text);
    }
}

#[tokio::test]
async fn a_user_has_one_activity_which_ends_when_it_leaves() {
    let stage = Stage::new();
    for name in ["one", "two"] {
        stage.put("alice", &session("open", name), &active()).await;
        stage.put("bob", &session("open", name), &active()).await;
    }
    let query = json!({ "type": "activity", "scid": SCID, "owners": { "xuids": ["101"] } });
    let mut ids = Vec::new();
    for name in ["one", "one", "two"] {
        let posted = stage.post("alice", "/handles", &activity("open", name)).await;
        ids.push(posted.json()["id"].as_str().unwrap().to_owned());
        let results = stage.post("bob", "/handles/query", &query).await.json();
        assert_eq!(results["results"].as_array().unwrap().len(), 1);
        assert_eq!(results["results"][0]["id"], posted.json()["id"]);
    }
    stage
        .get("alice", &format!("/handles/{}", ids[0]))
        .await
        .assert_text(404);
    stage
        .get("alice", &format!("/handles/{}/session", ids[1]))
        .await
        .assert_text(404);
    stage
        .send("bob", &format!("DELETE /handles/{}", ids[2]), &[], "")
        .await
        .assert_text(403);
    stage
        .put("alice", &session("open", "two"), &json!({ "members": { "me": null } }))
        .await;
    stage
        .get("alice", &format!("/handles/{}", ids[2]))
        .await
        .assert_text(404);
    assert_eq!(
        stage.post("bob", "/handles/query", &query).await.json(),
        json!({ "results": [] })
    );
    let posted = stage.post("alice", "/handles", &activity("open", "one")).await.json();
    let mut inactive = active();
    inactive["members"]["me"]["properties"]["system"]["active"] = json!(false);
    assert_eq!(stage.put("alice", &session("open", "one"), &inactive).await.status, 200);
    stage
        .get("alice", &format!("/handles/{}", posted["id"].as_str().unwrap()))
        .await
        .assert_text(404);
    stage
        .post("alice", "/handles", &activity("open", "one"))
        .await
        .assert_text(403);
    stage.put("alice", &session("open", "one"), &active()).await;
    let posted = stage.post("alice", "/handles", &activity("open", "one")).await.json();
    let delete = format!("DELETE /handles/{}", posted["id"].as_str().unwrap());
    assert_eq!(stage.send("alice", &delete, &[], "").await.status, 204);
    stage.send("alice", &delete, &[], "").await.assert_text(404);
}

#[tokio::test]
async fn activities_and_invites_show_the_configured_game_types() {
    let types = json!({ "console": { "titleId": "5" } });
    let stage = Stage::with(
        &json!({ "serviceConfigs": { (SCID): { "gameTypes": types, "templates": {
        "open": { "constants": { "system": { "inactiveRemovalTimeout": null } } } } } } }),
    );
    stage.put("alice", &session("open", "one"), &active()).await;
    let posted = stage.post("alice", "/handles", &activity("open", "one")).await;
    assert_eq!(posted.json()["gameTypes"], types);
    let mut invite = activity("open", "one");
    invite["type"] = json!("invite");
    invite["invitedXuid"] = json!("102");
    assert_eq!(
        stage.post("alice", "/handles", &invite).await.json()["gameTypes"],
        types
    );
}

#[tokio::test]
async fn a_handle_does_not_create_its_session() {
    let stage = Stage::new();
    let posted = stage.post("alice", "/handles", &activity("open", "none")).await;
    assert_eq!(posted.status, 201, "{}", posted.text);
    assert_eq!(stage.get("alice", &session("open", "none")).await.status, 204);
    let at = format!("/handles/{}/session", posted.json()["id"].as_str().unwrap());
    assert_eq!(stage.get("alice", &at).await.status, 204);
    let held = stage
        .send(
            "alice",
            &format!("PUT {at}"),
            &[("if-match", "*")],
            active().to_string(),
        )
        .await;
    held.assert_text(404);
    assert_eq!(stage.put("alice", &at, &active()).await.status, 201);
    stage
        .post("server", "/handles", &activity("open", "none"))
        .await
        .assert_text(403);
    stage
        .post("alice", "/handles", &activity("unknown", "none"))
        .await
        .assert_text(404);
    stage
        .post("alice", "/handles", &json!({ "version": 1, "type": "alias" }))
        .await
        .assert_text(400);
}

#[tokio::test]
async fn an_invite_lets_the_invited_user_in_and_nobody_else() {
    let stage = Stage::new();
    let path = session("followed", "one");
    let mut body = active();
    body["properties"] = json!({ "system": { "joinRestriction": "followed", "readRestriction": "followed" } });
    stage.put("alice", &path, &body).await;
    stage.put("carol", &path, &active()).await.assert_text(403);
    let invite = json!({ "version": 1, "type": "invite", "sessionRef": session_ref("followed", "one"),
        "invitedXuid": "103", "inviteAttributes": { "titleId": "5" } });
    stage.post("carol", "/handles", &invite).await.assert_text(403);
    let posted = stage.post("alice", "/handles", &invite).await.json();
    assert_eq!(
        (&posted["senderXuid"], &posted["invitedXuid"]),
        (&json!("101"), &json!("103"))
    );
    let at = format!("/handles/{}/session", posted["id"].as_str().unwrap());
    assert_eq!(stage.put("carol", &at, &active()).await.status, 200);
    stage.second.fetch_add(86_400, Ordering::Relaxed);
    stage.get("carol", &at).await.assert_text(404);
}

#[tokio::test]
async fn a_transfer_handle_changes_the_target_and_ends_with_it() {
    let stage = Stage::new();
    let target = session("open", "target");
    stage.put("alice", &session("open", "origin"), &active()).await;
    let before = stage.put("alice", &target, &active()).await.json();
    let body = json!({ "version": 1, "type": "transfer", "sessionRef": session_ref("open", "target"),
        "originSessionRef": session_ref("open", "origin") });
    stage.post("bob", "/handles", &body).await.assert_text(403);
    let mut posted = stage.post("alice", "/handles", &body).await.json();
    let id = posted.as_object_mut().unwrap().shift_remove("id").unwrap();
    assert_eq!(posted, body);
    let after = stage.get("alice", &target).await.json();
    assert_eq!(
        after["changeNumber"].as_u64(),
        before["changeNumber"].as_u64().map(|number| number + 1)
    );
    stage.put("alice", &target, &json!({ "members": { "me": null } })).await;
    stage
        .get("alice", &format!("/handles/{}/session", id.as_str().unwrap()))
        .await
        .assert_text(404);
}

#[tokio::test]
async fn a_handle_ends_when_a_timer_ends_its_session() {
    let stage = Stage::new();
    let constants = json!({ "system": { "inactiveRemovalTimeout": 1000 } });
    let body = json!({ "constants": constants, "members": { "me": {} } });
    assert_eq!(stage.put("alice", &session("open", "one"), &body).await.status, 201);
    let body = json!({ "version": 1, "type": "transfer", "sessionRef": session_ref("open", "one"),
        "originSessionRef": session_ref("open", "origin") });
    let at = format!(
        "/handles/{}",
        stage.post("alice", "/handles", &body).await.json()["id"]
            .as_str()
            .unwrap()
    );
    assert_eq!(stage.get("alice", &at).await.status, 200);
    stage.second.fetch_add(2, Ordering::Relaxed);
    stage.get("alice", &at).await.assert_text(404);
}
