use serde_json::{Value, json};

use super::sample::{Answer, SCID, Stage, active, activity, session};

#[tokio::test]
async fn an_activity_query_takes_one_kind_of_owners_and_includes_what_is_asked() {
    let stage = Stage::new();
    stage.put("bob", &session("open", "one"), &active()).await;
    stage.post("bob", "/handles", &activity("open", "one")).await;
    let people = json!({ "moniker": "people", "monikerXuid": "101" });
    let query = |owners: Value| json!({ "type": "activity", "scid": SCID, "owners": owners });
    let both = query(json!({ "xuids": ["102"], "people": people }));
    stage.post("alice", "/handles/query", &both).await.assert_text(400);
    stage
        .post("alice", "/handles/query", &query(json!({})))
        .await
        .assert_text(400);
    stage.get("alice", "/handles/query").await.assert_text(405);
    let plain = stage
        .post("alice", "/handles/query", &query(json!({ "people": people })))
        .await
        .json();
    assert_eq!(plain["results"][0]["ownerXuid"], "102");
    assert_eq!(plain["results"][0].get("relatedInfo"), None);
    let path = "/handles/query?include=relatedInfo,customProperties,weather";
    let more = stage
        .post("alice", path, &query(json!({ "people": people })))
        .await
        .json();
    assert_eq!(more["results"][0]["relatedInfo"]["membersCount"], 1);
    assert_eq!(more["results"][0]["relatedInfo"]["visibility"], "open");
    assert_eq!(more["results"][0]["customProperties"], json!({}));
}

#[tokio::test]
async fn activities_of_private_sessions_are_hidden_from_strangers() {
    let stage = Stage::new();
    stage.put("alice", &session("private", "one"), &active()).await;
    stage.post("alice", "/handles", &activity("private", "one")).await;
    let query = json!({ "type": "activity", "owners": { "xuids": ["101"] } });
    assert_eq!(
        stage.post("bob", "/handles/query", &query).await.json(),
        json!({ "results": [] })
    );
    let own = stage.post("alice", "/handles/query", &query).await.json();
    assert_eq!(own["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_found_by_member_and_by_keyword() {
    let stage = Stage::new();
    let mut body = active();
    body["properties"] = json!({ "system": { "keywords": ["Quarry"] } });
    stage.put("alice", &session("open", "one"), &body).await;
    stage.put("alice", &session("private", "two"), &active()).await;
    let base = format!("/serviceconfigs/{SCID}");
    let names = |answer: &Answer| -> Vec<String> {
        let name = |item: &Value| item["sessionRef"]["name"].as_str().unwrap().to_owned();
        answer.json()["results"].as_array().unwrap().iter().map(name).collect()
    };
    let found = stage.get("bob", &format!("{base}/sessions?xuid=101")).await;
    assert_eq!(names(&found), ["one"]);
    let item = &found.json()["results"][0];
    assert_eq!(
        (&item["xuid"], &item["status"], &item["accepted"]),
        (&json!("101"), &json!("active"), &json!(1))
    );
    let found = stage
        .get("bob", &format!("{base}/sessiontemplates/OPEN/sessions?keyword=qUARRY"))
        .await;
    assert_eq!(names(&found), ["one"]);
    assert_eq!(found.json()["results"][0].get("xuid"), None);
    stage
        .get("bob", &format!("{base}/sessions?xuid=101&private=true"))
        .await
        .assert_text(403);
    assert_eq!(
        names(
            &stage
                .get("alice", &format!("{base}/sessions?xuid=101&private=true"))
                .await
        ),
        ["two", "one"]
    );
    for bad in [
        "",
        "?xuid=x",
        "?xuid=101&take=101",
        "?xuid=101&take=-1",
        "?xuid=101&version=8",
        "?inactive=true",
        "?xuid=101&visibility=private",
        "?xuid=101&visibility=hidden",
    ] {
        stage
            .get("alice", &format!("{base}/sessions{bad}"))
            .await
            .assert_text(400);
    }
    assert_eq!(
        names(&stage.get("bob", &format!("{base}/sessions?xuid=101&take=0")).await),
        [""; 0]
    );
    stage.put("bob", &session("open", "one"), &active()).await;
    let batch = stage
        .post(
            "bob",
            &format!("{base}/batch"),
            &json!({ "xuids": ["102", "101", "999"] }),
        )
        .await
        .json();
    let xuids: Vec<_> = batch["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["xuid"].clone())
        .collect();
    assert_eq!(xuids, ["102", "101"]);
    stage
        .post("bob", &format!("{base}/batch"), &json!({}))
        .await
        .assert_text(400);
    stage
        .put("alice", &session("open", "one"), &json!({ "members": { "me": null } }))
        .await;
    assert_eq!(
        names(&stage.get("bob", &format!("{base}/sessions?xuid=101")).await),
        [""; 0]
    );
}

#[tokio::test]
async fn of_many_sessions_a_user_is_shown_the_newest() {
    let stage = Stage::new();
    for number in 0..105 {
        stage
            .put("alice", &session("open", &format!("n{number}")), &active())
            .await;
    }
    let answer = stage
        .get("alice", &format!("/serviceconfigs/{SCID}/sessions?xuid=101"))
        .await;
    let found = answer.json();
    assert_eq!(found["results"].as_array().unwrap().len(), 100);
    assert_eq!(found["results"][0]["sessionRef"]["name"], "n104");
}
