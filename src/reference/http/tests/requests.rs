use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::body::Body;
use serde_json::json;

use super::super::CONTRACT_VERSION;
use super::super::edge::ADVANCE;
use super::sample::{Answer, SCID, Stage, active, activity, session};

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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_may_be_compressed_and_its_limit_is_that_of_what_it_expands_to() {
    let stage = Stage::with(&json!({ "limits": { "bodyBytes": 10_000 } }));
    let put = format!("PUT {}", session("open", "one"));
    let body = active().to_string();
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(body.as_bytes()).unwrap();
    let mut long = gzip(format!("{body}{}", " ".repeat(9_000)).as_bytes());
    for (coding, sent, status) in [
        ("gzip", gzip(body.as_bytes()), 201),
        ("X-GZIP", gzip(body.as_bytes()), 200),
        ("deflate", deflated.finish().unwrap(), 200),
        ("identity", body.clone().into_bytes(), 200),
        ("gzip", long.clone(), 200),
        ("br", body.clone().into_bytes(), 415),
        ("gzip, gzip", gzip(&gzip(body.as_bytes())), 415),
        ("gzip", body.clone().into_bytes(), 400),
        ("gzip", gzip(format!("{body}{}", " ".repeat(10_000)).as_bytes()), 413),
        ("gzip", long.split_off(20), 400),
        ("gzip", long, 400),
    ] {
        let answer = stage.send("alice", &put, &[("content-encoding", coding)], sent).await;
        assert_eq!(answer.status, status, "{coding} {}", answer.text);
    }
}

#[tokio::test]
async fn a_request_has_one_authorization() {
    let stage = Stage::new();
    let another = [("authorization", "XBL3.0 x=1;wrong")];
    let get = format!("GET {}", session("open", "one"));
    stage.send("alice", &get, &another, "").await.assert_text(400);
}

#[tokio::test]
async fn results_and_new_handles_are_kept_out_of_caches() {
    let stage = Stage::new();
    stage.put("alice", &session("open", "one"), &active()).await;
    let query = json!({ "type": "activity", "owners": { "xuids": ["101"] } });
    for answer in [
        stage.post("alice", "/handles", &activity("open", "one")).await,
        stage.post("alice", "/handles/query", &query).await,
        stage
            .get("alice", &format!("/serviceconfigs/{SCID}/sessions?xuid=101"))
            .await,
    ] {
        assert_eq!(answer.header("cache-control"), "no-cache, no-store", "{}", answer.text);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let answer = stage.get("nobody", "/nowhere").await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
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
    assert_eq!(throttled.json()["limitType"], "rate");
    assert_eq!(stage.get("bob", &path).await.status, 204);
}

#[tokio::test]
async fn a_defect_ends_with_its_request() {
    let stage = Stage::new();
    let answer = stage
        .send_body("alice", &format!("PUT {}", session("open", "one")), &[], Broken)
        .await;
    answer.assert_text(500);
    assert_eq!(stage.put("alice", &session("open", "one"), &active()).await.status, 201);
}

/// A body that panics when it is read.
struct Broken;

impl Body for Broken {
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
