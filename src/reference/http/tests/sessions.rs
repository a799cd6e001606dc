use serde_json::json;

use super::super::*;
use super::sample::{SCID, Stage, active, activity, session, session_ref};

#[tokio::test]
async fn a_session_is_created_read_and_updated_with_the_headers_of_the_contract() {
    let stage = Stage::new();
    let path = session("open", "one");
    let answer = stage.get("alice", &path).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let created = stage.put("alice", &path, &active()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.header("date"), "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(created.header("cache-control"), "max-age=0, must-revalidate");
    assert_eq!(created.header("content-location"), "", "LIVE-011");
    let read = stage.get("bob", &path.to_uppercase().replace("OPEN", "Open")).await;
    assert_eq!(
        (read.status, &read.text, read.header("etag")),
        (200, &created.text, created.header("etag"))
    );
    let updated = stage
        .put("alice", &path, &json!({ "properties": { "custom": { "map": "x" } } }))
        .await;
    assert_eq!(updated.status, 200, "{}", updated.text);
    assert_ne!(updated.header("etag"), created.header("etag"));
    assert_eq!(updated.json()["properties"]["custom"]["map"], "x");
}

#[tokio::test]
async fn preconditions_hold_back_writes_and_hand_out_the_session() {
    let stage = Stage::new();
    let path = session("open", "one");
    let put = format!("PUT {path}");
    let answer = stage
        .send("alice", &put, &[("if-match", "*")], active().to_string())
        .await;
    answer.assert_text(404);
    assert_eq!(stage.get("alice", &path).await.status, 204);
    let created = stage
        .send("alice", &put, &[("if-none-match", "*")], active().to_string())
        .await;
    assert_eq!(created.status, 201, "{}", created.text);
    let again = stage.send("alice", &put, &[("if-none-match", "*")], "{").await;
    assert_eq!(
        (again.status, again.json()),
        (412, created.json()),
        "the precondition comes before the body"
    );
    let body = json!({ "properties": { "custom": { "a": 1 } } }).to_string();
    let etag = created.header("etag");
    let written = stage.send("alice", &put, &[("if-match", etag)], body.clone()).await;
    assert_eq!(written.status, 200);
    let held = stage.send("alice", &put, &[("if-match", etag)], body).await;
    assert_eq!((held.status, held.header("etag")), (412, written.header("etag")));
    assert_eq!(held.header("cache-control"), "no-cache, no-store");
    assert_eq!(held.json(), written.json());
    let get = format!("GET {path}");
    let known = stage
        .send("bob", &get, &[("if-none-match", written.header("etag"))], "")
        .await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    assert_eq!(known.header("etag"), written.header("etag"));
    assert_eq!(
        stage.send("bob", &get, &[("if-none-match", etag)], "").await.status,
        200
    );
    assert_eq!(stage.send("bob", &get, &[("if-match", etag)], "").await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_with_one_tag_exactly_one_writes() {
    let stage = Arc::new(Stage::new());
    let path = session("open", "one");
    let etag = stage.put("alice", &path, &active()).await.header("etag").to_owned();
    let writers: Vec<_> = (0..32)
        .map(|number| {
            let (stage, path, etag) = (Arc::clone(&stage), path.clone(), etag.clone());
            tokio::spawn(async move {
                let body = json!({ "properties": { "custom": { "winner": number } } }).to_string();
                let answer = stage
                    .send("alice", &format!("PUT {path}"), &[("if-match", &etag)], body)
                    .await;
                (answer.status, answer.json()["properties"]["custom"]["winner"].clone())
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for writer in writers {
        outcomes.push(writer.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert_eq!(outcomes.iter().filter(|(status, _)| *status == 412).count(), 31);
    assert!(
        outcomes.windows(2).all(|pair| pair[0].1 == pair[1].1),
        "all are told the winner"
    );
}

#[tokio::test]
async fn a_write_that_is_only_tried_leaves_nothing() {
    let stage = Stage::new();
    let path = session("open", "one");
    let tried = stage.put("alice", &format!("{path}?nocommit=true"), &active()).await;
    assert_eq!(tried.status, 201, "{}", tried.text);
    assert!(!tried.header("etag").is_empty(), "HDR-010");
    assert_eq!(stage.get("alice", &path).await.status, 204);
    let created = stage.put("alice", &path, &active()).await;
    let body = json!({ "properties": { "custom": { "a": 1 } } });
    let tried = stage.put("alice", &format!("{path}?nocommit=true"), &body).await;
    assert_eq!((tried.status, tried.header("etag")), (200, created.header("etag")));
    assert_eq!(tried.json()["properties"]["custom"]["a"], 1);
    assert_eq!(stage.get("alice", &path).await.text, created.text);
    stage
        .put("alice", &format!("{path}?nocommit=x"), &json!({}))
        .await
        .assert_text(400);
}

#[tokio::test]
async fn a_session_ends_with_its_last_member_and_starts_again_under_its_old_correlation_id() {
    let stage = Stage::new();
    let path = session("open", "one");
    let first = stage.put("alice", &path, &active()).await.json();
    let left = stage.put("alice", &path, &json!({ "members": { "me": null } })).await;
    assert_eq!((left.status, left.text.as_str()), (204, ""));
    assert_eq!(stage.get("alice", &path).await.status, 204);
    let second = stage.put("alice", &path, &active()).await.json();
    assert_eq!(first["correlationId"], second["correlationId"]);
    assert_ne!(first["branch"], second["branch"]);
}

#[tokio::test]
async fn refused_requests_leave_no_trace_in_the_store() {
    let stage = Stage::new();
    let path = session("open", "one");
    stage
        .put("alice", &path, &json!({ "nonsense": 1 }))
        .await
        .assert_text(400);
    stage.put("alice", &path, &json!([])).await.assert_text(400);
    let key = SessionRef {
        scid: SCID.to_owned(),
        template_name: "open".to_owned(),
        name: "one".to_owned(),
    };
    assert!(!stage.service.0.store.knows(&key.key()));
}

#[tokio::test]
async fn elements_are_read_written_and_removed() {
    let stage = Stage::new();
    let path = session("open", "one");
    for element in [
        "properties",
        "members/me",
        "members/0",
        "servers/x",
        "constants",
        "members",
    ] {
        stage.get("alice", &format!("{path}/{element}")).await.assert_text(404);
    }
    let bag = json!({ "custom": { "a": 1 } });
    stage
        .put("alice", &format!("{path}/properties"), &bag)
        .await
        .assert_text(404);
    stage.put("alice", &path, &active()).await;
    let answer = stage.put("alice", &format!("{path}/properties"), &bag).await;
    assert_eq!(answer.json()["properties"]["custom"], json!({ "a": 1 }));
    assert_eq!(
        stage.get("bob", &format!("{path}/properties")).await.json()["custom"],
        json!({ "a": 1 })
    );
    assert_eq!(
        stage.get("alice", &format!("{path}/members/me")).await.json()["constants"]["system"]["xuid"],
        "101"
    );
    for element in ["members/me", "members/7", "servers/x"] {
        assert_eq!(
            stage.get("bob", &format!("{path}/{element}")).await.status,
            204,
            "{element}"
        );
    }
    let delete = |element: &str| format!("DELETE {path}/{element}");
    stage.send("bob", &delete("members/0"), &[], "").await.assert_text(403);
    let held = stage
        .send("alice", &delete("members/me"), &[("if-match", "\"x\"")], "")
        .await;
    assert_eq!(
        (held.status, held.json()["membersInfo"]["count"].as_u64()),
        (412, Some(1))
    );
    assert_eq!(stage.send("bob", &delete("members/me"), &[], "").await.status, 204);
    assert_eq!(stage.send("alice", &delete("members/me"), &[], "").await.status, 204);
    stage
        .send("alice", &delete("members/me"), &[], "")
        .await
        .assert_text(404);
}

#[tokio::test]
async fn a_service_acts_for_users_in_the_title_that_it_names() {
    let stage = Stage::new();
    let path = session("private", "acting");
    stage.put("alice", &path, &active()).await;
    let title = ("x-xbl-onbehalfof-title", "6");
    let one = ("x-xbl-onbehalfof-users", "102;priv=multiplayer");
    let two = ("x-xbl-onbehalfof-users", "102;priv=multiplayer,103;priv=multiplayer");
    let deny = ("x-xbl-deny-scope", "Multiplayer.Manage");
    let put = format!("PUT {path}");
    let answer = stage
        .send("server", &put, &[title, one, deny], active().to_string())
        .await;
    answer.assert_text(403);
    let answer = stage.send("server", &put, &[title, one], active().to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["members"]["1"]["activeTitleId"], "6");
    let answer = stage
        .send("server", &put, &[title, one, deny], active().to_string())
        .await;
    assert_eq!(answer.status, 200, "bob is a member now");

    let me = format!("{path}/members/me");
    let answer = stage.send("server", &format!("GET {me}"), &[title, one], "").await;
    assert_eq!(answer.json()["constants"]["system"]["xuid"], "102");
    let answer = stage.send("server", &format!("DELETE {me}"), &[title, two], "").await;
    answer.assert_text(400);
    let answer = stage.send("server", &format!("DELETE {me}"), &[title, one], "").await;
    assert_eq!(answer.status, 204);

    let answer = stage
        .send(
            "server",
            "POST /handles",
            &[title, ("x-xbl-onbehalfof-users", "101")],
            activity("private", "acting").to_string(),
        )
        .await;
    answer.assert_text(403);
    let invite = json!({"version": 1, "type": "invite", "sessionRef": session_ref("private", "acting"),
        "invitedXuid": "103", "inviteAttributes": {}});
    let answer = stage
        .send(
            "server",
            "POST /handles",
            &[title, ("x-xbl-onbehalfof-users", "101")],
            invite.to_string(),
        )
        .await;
    assert_eq!(answer.json()["senderXuid"], "101");
    let elsewhere = ("x-xbl-onbehalfof-title", "9");
    let answer = stage.send("server", &format!("GET {path}"), &[elsewhere], "").await;
    answer.assert_text(403);
}

#[tokio::test]
async fn a_user_acts_for_nobody_else() {
    let path = session("private", "own");
    let headers = [
        ("x-xbl-onbehalfof-title", "5"),
        ("x-xbl-onbehalfof-users", "101;priv=multiplayer"),
    ];
    let stage = Stage::new();
    stage.put("alice", &path, &active()).await;
    let answer = stage.send("bob", &format!("GET {path}"), &headers, "").await;
    answer.assert_text(403);
    let answer = stage.send("alice", &format!("GET {path}"), &headers, "").await;
    assert_eq!(answer.status, 200);
    let stage = Stage::with(&json!({ "rules": { "X-60": "refused" } }));
    stage.put("alice", &path, &active()).await;
    stage
        .send("alice", &format!("GET {path}"), &headers, "")
        .await
        .assert_text(403);
}
