use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;

pub(super) const SCID: &str = "00000000-0000-0000-0000-000000000001";

/// A service, who may call it, and its time.
pub(super) struct Stage {
    pub(super) service: Service,
    tokens: BTreeMap<String, String>,
    pub(super) second: Arc<AtomicI64>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn assert_text(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8");
        assert!(!self.text.is_empty());
    }
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(&json!({}))
    }

    pub(super) fn with(more: &Value) -> Self {
        let user = |xuid: &str| json!({ "xuid": xuid, "title": "5", "gamertag": xuid, "device": xuid });
        let mut config = json!({
            "serviceConfigs": {
                (SCID): { "templates": {
                    "open": { "constants": { "system": { "version": 1 } } },
                    "private": { "constants": { "system": { "version": 1, "visibility": "private" } } },
                    "followed": { "constants": { "system": { "version": 1 } } },
                } },
                "closed": { "titles": [9], "templates": {} },
            },
            "principals": {
                "alice": user("101"), "bob": user("102"), "carol": user("103"),
                "server": { "kind": "server", "title": 5 },
            },
            "social": { "follows": { "alice": ["bob"] } },
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config = Config::from_value(config).unwrap();
        let second = Arc::new(AtomicI64::new(1_700_000_000));
        let source = Arc::clone(&second);
        let clock = Clock::from_fn(move || Timestamp::from_second(source.load(Ordering::Relaxed)).unwrap());
        Self {
            service: Service::new(&config, clock).unwrap(),
            tokens: config.tokens(),
            second,
        }
    }

    pub(super) async fn send(&self, who: &str, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = self.tokens.get(who) {
            request = request.header("authorization", token);
        }
        if !headers.iter().any(|(name, _)| *name == CONTRACT_VERSION) {
            request = request.header(CONTRACT_VERSION, "107");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let (parts, body) = self
            .service
            .answer(request.body(body.into()).unwrap())
            .await
            .into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(who, &format!("GET {path}"), &[], "").await
    }

    pub(super) async fn put(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.send(who, &format!("PUT {path}"), &[], body.to_string()).await
    }

    pub(super) async fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.send(who, &format!("POST {path}"), &[], body.to_string()).await
    }
}

pub(super) fn session(template: &str, name: &str) -> String {
    format!("/serviceconfigs/{SCID}/sessiontemplates/{template}/sessions/{name}")
}

pub(super) fn session_ref(template: &str, name: &str) -> Value {
    json!({ "scid": SCID, "templateName": template, "name": name })
}

pub(super) fn active() -> Value {
    json!({ "members": { "me": { "properties": { "system": { "active": true } } } } })
}

pub(super) fn activity(template: &str, name: &str) -> Value {
    json!({ "version": 1, "type": "activity", "sessionRef": session_ref(template, name) })
}

#[tokio::test]
async fn checks_come_in_the_order_principal_path_verb_version_service_config_template() {
    let stage = Stage::new();
    let no_version = [(CONTRACT_VERSION, "")];
    let answer = stage.send("nobody", "POST /nowhere", &no_version, "").await;
    answer.assert_text(401);
    assert_eq!(answer.header("www-authenticate"), "XBL3.0");
    stage
        .send("alice", "POST /nowhere", &no_version, "")
        .await
        .assert_text(404);
    let path = format!("/serviceconfigs/{SCID}/sessiontemplates/none/sessions/x");
    let answer = stage.send("alice", &format!("POST {path}"), &no_version, "").await;
    answer.assert_text(405);
    assert_eq!(answer.header("allow"), "GET, PUT");
    for (version, status) in [
        ("", 400),
        ("x", 400),
        ("103", 400),
        ("106", 400),
        ("999", 400),
        ("107", 404),
    ] {
        let answer = stage
            .send("alice", &format!("GET {path}"), &[(CONTRACT_VERSION, version)], "")
            .await;
        answer.assert_text(status);
    }
    stage
        .get("alice", "/serviceconfigs/closed/sessiontemplates/none/sessions/x")
        .await
        .assert_text(403);
    stage
        .get("alice", "/serviceconfigs/none/sessiontemplates/none/sessions/x")
        .await
        .assert_text(404);
    for verb in ["HEAD", "OPTIONS", "DELETE", "PATCH"] {
        stage
            .send("alice", &format!("{verb} {}", session("open", "x")), &[], "")
            .await
            .assert_text(405);
    }
}

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
    assert_eq!((answer.status, answer.text.as_str()), (412, ""));
    assert_eq!(stage.get("alice", &path).await.status, 204);
    let created = stage
        .send("alice", &put, &[("if-none-match", "*")], active().to_string())
        .await;
    assert_eq!(created.status, 201, "{}", created.text);
    let again = stage.send("alice", &put, &[("if-none-match", "*")], "{").await;
    assert_eq!(
        (again.status, again.text.as_str()),
        (412, ""),
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
async fn bodies_that_are_not_json_are_refused_with_a_place() {
    let stage = Stage::new();
    let put = format!("PUT {}", session("open", "one"));
    for (body, place) in [
        ("{\n  \"a\" 1}", "line 2"),
        ("{\"a\": 1, \"a\": 1}", "line 1"),
        ("{} x", "line 1"),
    ] {
        let answer = stage.send("alice", &put, &[], body).await;
        answer.assert_text(400);
        assert!(answer.text.contains(place), "{}", answer.text);
    }
    stage
        .send("alice", &put, &[("content-type", "text/plain")], "{}")
        .await
        .assert_text(400);
    stage
        .send("alice", &put, &[], "x".repeat(2 << 20))
        .await
        .assert_text(413);
    stage
        .send("alice", &put, &[("x-long", &"x".repeat(40_000))], "{}")
        .await
        .assert_text(431);
    let name = "n".repeat(101);
    stage
        .put("alice", &session("open", &name), &active())
        .await
        .assert_text(400);
    assert_eq!(
        stage.put("alice", &session("open", &name[1..]), &active()).await.status,
        201
    );
    let declared = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(
        stage.send("alice", &put, &declared, active().to_string()).await.status,
        201
    );
    assert_eq!(
        stage.send("alice", &put, &[], "").await.status,
        200,
        "an empty body is {{}}"
    );
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
    assert_eq!((held.status, held.text.as_str()), (412, ""));
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
    let stage = Stage::with(&json!({ "rules": { "AUTH-015": "refused" } }));
    stage.put("alice", &path, &active()).await;
    stage
        .send("alice", &format!("GET {path}"), &headers, "")
        .await
        .assert_text(403);
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

#[tokio::test]
async fn templates_are_listed_and_shown() {
    let stage = Stage::new();
    let base = format!("/serviceconfigs/{SCID}/sessiontemplates");
    let list = stage.get("alice", &base).await.json();
    let names = list["results"].as_array().unwrap();
    assert_eq!(names.len(), 3);
    assert!(names.contains(&json!("private")), "{list}");
    let one = stage.get("alice", &format!("{base}/PRIVATE")).await.json();
    assert_eq!(one["constants"]["system"]["visibility"], "private");
    stage.get("alice", &format!("{base}/none")).await.assert_text(404);
}

#[tokio::test]
async fn time_moves_with_a_request_only_where_the_operator_allows_it() {
    let body = json!({ "members": { "reserve_0": { "constants": { "system": { "xuid": "102" } } },
        "me": { "properties": { "system": { "active": true } } } } });
    for (control, members) in [(true, 1), (false, 2)] {
        let stage = Stage::with(&json!({ "clockControl": control }));
        let path = session("open", "one");
        let created = stage.put("alice", &path, &body).await;
        assert_eq!(created.header("expires"), "Tue, 14 Nov 2023 22:13:50 GMT");
        let later = stage
            .send("alice", &format!("GET {path}"), &[(ADVANCE, "30001")], "")
            .await;
        assert_eq!(later.json()["membersInfo"]["count"], members);
    }
    let stage = Stage::with(&json!({ "clockControl": true }));
    stage
        .send("alice", "GET /handles", &[(ADVANCE, "-1")], "")
        .await
        .assert_text(400);
}

#[tokio::test]
async fn too_many_requests_are_throttled_where_the_operator_wants_it() {
    let stage = Stage::with(&json!({ "rateLimits": "documented" }));
    let path = session("open", "one");
    for _ in 0..30 {
        assert_eq!(stage.get("alice", &path).await.status, 204);
    }
    let throttled = stage.get("alice", &path).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "15"));
    assert_eq!(throttled.json()["type"], "burst");
    assert_eq!(stage.get("bob", &path).await.status, 204);
}

#[tokio::test]
async fn a_fault_ends_with_its_request() {
    let stage = Stage::new();
    let broken = Body::new(Broken);
    let answer = stage
        .send("alice", &format!("PUT {}", session("open", "one")), &[], broken)
        .await;
    answer.assert_text(500);
    assert_eq!(
        stage.put("alice", &session("open", "one"), &active()).await.status,
        StatusCode::CREATED
    );
}

/// A body that panics when it is read.
struct Broken;

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        panic!("broken on purpose")
    }
}

#[tokio::test]
async fn the_explorer_shows_the_sessions_of_its_token_as_they_are_stored() {
    let stage = Stage::with(&json!({ "clockControl": true }));
    let path = session("open", "<script>alert(1)</script>".replace('/', "").as_str());
    let path = path.replace('<', "%3C").replace('>', "%3E");
    let mut body = active();
    body["properties"] = json!({ "custom": { "a": "</pre><b onclick='x'>" } });
    body["members"]["reserve_0"] = json!({ "constants": { "system": { "xuid": "102" } } });
    assert_eq!(stage.put("alice", &path, &body).await.status, 201);
    stage.put("carol", &session("private", "secret"), &active()).await;

    let page = stage.send("nobody", "GET /debug", &[], "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(!page.text.contains(SCID));
    let later = [("x-mpsd-advance-ms", "999000")];
    let page = stage.send("alice", "GET /debug", &later, "").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text
            .contains("open / &lt;script&gt;alert(1)&lt;script&gt;: change 1, 2 of 100 members, active")
    );
    assert!(page.text.contains("&lt;/pre&gt;&lt;b onclick=&#39;x&#39;&gt;"));
    assert!(!page.text.contains("secret") && !page.text.contains("nextTimer"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    let number = |answer: Answer| answer.json()["changeNumber"].clone();
    assert_eq!(number(stage.get("alice", &path).await), 1, "no timer ran");

    let wrong = [("authorization", "XBL3.0 x=1;wrong")];
    stage.send("nobody", "GET /debug", &wrong, "").await.assert_text(401);
    stage
        .send("nobody", "POST /debug", &[], "token=x")
        .await
        .assert_text(405);
    let without = Stage::with(&json!({ "explorer": false }));
    without.get("alice", "/debug").await.assert_text(404);
    without.send("nobody", "GET /debug", &[], "").await.assert_text(401);
}
