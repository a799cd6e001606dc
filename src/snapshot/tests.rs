use serde_json::{Value, json};

use crate::contract::schemas::tests::real;
use crate::contract::version::ContractVersion;
use crate::replay::label::{Part, StepLabel};
use crate::snapshot::*;

const BRANCH: &str = "1d4a6c0e-0b7c-4f4e-9a53-61a4a9a1c0de";
const CORRELATION: &str = "0ab63fdf-8c70-4d69-8b52-39d1f6f9a0b1";
const CONNECTION: &str = "3b0c4a52-9f10-4f5f-8f64-9c4e1c7a55d2";
const HANDLE: &str = "f1a0b7c2-2f4d-4f0e-8a8f-0f2c5d6e7a81";
const SCID: &str = "7492baca-c1b4-440d-a391-b7ef364a8d40";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn session(change_number: u64) -> Value {
    json!({
        "servers": {},
        "contractVersion": 107, "branch": BRANCH, "changeNumber": change_number, "correlationId": CORRELATION.to_uppercase(),
        "startTime": "2031-04-05T06:07:08.1234567Z",
        "members": {
            "10": { "next": 11, "constants": { "system": { "xuid": "2814600000000002" } } },
            "2": {
                "next": 10, "gamertag": "RustyAnchor", "deviceToken": "7f3a0000cafe", "joinTime": "not a time",
                "constants": { "system": { "xuid": "2814600000000001" } },
                "properties": { "system": { "connection": CONNECTION, "measurements": { "7F3A0000CAFE": {} } } }
            }
        },
        "properties": { "system": { "host": "7f3a0000cafe" }, "custom": { "branchOfFirst": BRANCH } }
    })
}

fn put() -> RecordedExchange {
    RecordedExchange {
        step: StepLabel::new(1),
        speaker: "alice".to_owned(),
        method: "PUT".to_owned(),
        path: format!(
            "/serviceconfigs/{}/sessiontemplates/open/sessions/Quarry-77aa",
            SCID.to_uppercase()
        ),
        request_headers: headers(&[
            ("content-type", "application/json"),
            ("Authorization", "XBL3.0 x=1;secret"),
            ("X-Xbl-Contract-Version", "107"),
            ("Host", "127.0.0.1:4711"),
            ("Content-Length", "11"),
        ]),
        request_body: Some(bytes(
            &json!({ "members": { "me": { "properties": { "system": { "connection": CONNECTION } } } } }),
        )),
        status: 201,
        response_headers: headers(&[
            ("etag", "\"a1\""),
            ("date", "Sat, 05 Apr 2031 06:07:08 GMT"),
            ("content-type", "application/json"),
            ("x-powered-by", "anything"),
        ]),
        response_body: bytes(&session(1)),
        request_schema: Some("session-request".to_owned()),
        response_schema: Some("session".to_owned()),
        version: ContractVersion::CURRENT,
    }
}

fn conversation(exchanges: Vec<RecordedExchange>) -> Conversation {
    Conversation {
        title: "A stale ETag is refused.".to_owned(),
        variants: vec![VariantTranscript {
            id: "107".to_owned(),
            known: vec![
                ("quarry-77aa".to_owned(), "session".to_owned()),
                (SCID.to_owned(), "scid".to_owned()),
                ("2814600000000001".to_owned(), "alice.xuid".to_owned()),
                ("2814600000000002".to_owned(), "bob.xuid".to_owned()),
                ("1".to_owned(), "one".to_owned()),
            ],
            exchanges,
        }],
    }
}

fn rendered(exchanges: Vec<RecordedExchange>) -> String {
    render(&conversation(exchanges), &real())
}

#[test]
fn an_exchange_is_shown_with_names_for_what_changes_and_without_secrets() {
    let again = RecordedExchange {
        step: StepLabel::new(2).with(Part::Again),
        request_headers: headers(&[("if-match", "\"a1\"")]),
        request_body: Some(b"{}".to_vec()),
        status: 412,
        response_headers: headers(&[("ETag", "\"b2\"")]),
        response_body: bytes(&json!({ "branch": BRANCH.to_uppercase(), "nextTimer": "2031-04-05T06:07:08Z" })),
        ..put()
    };
    let expected = r#"# A stale ETag is refused.

## 107

### 1: alice
> PUT /serviceconfigs/{scid}/sessiontemplates/open/sessions/{session}
> Content-Type: application/json
> X-Xbl-Contract-Version: 107
{
  "members": {
    "me": {
      "properties": {
        "system": {
          "connection": "<connection:1>"
        }
      }
    }
  }
}
< 201
< Content-Type: application/json
< Date: <time>
< ETag: <etag:1>
{
  "branch": "<branch:1>",
  "changeNumber": 1,
  "contractVersion": 107,
  "correlationId": "<correlation:1>",
  "members": {
    "2": {
      "constants": {
        "system": {
          "xuid": "{alice.xuid}"
        }
      },
      "deviceToken": "<device:1>",
      "gamertag": "RustyAnchor",
      "joinTime": "not a time",
      "next": 10,
      "properties": {
        "system": {
          "connection": "<connection:1>",
          "measurements": {
            "<device:1>": {}
          }
        }
      }
    },
    "10": {
      "constants": {
        "system": {
          "xuid": "{bob.xuid}"
        }
      },
      "next": 11
    }
  },
  "properties": {
    "custom": {
      "branchOfFirst": "<branch:1>"
    },
    "system": {
      "host": "<device:1>"
    }
  },
  "servers": {},
  "startTime": "<time>"
}

### 2 again: alice
> PUT /serviceconfigs/{scid}/sessiontemplates/open/sessions/{session}
> If-Match: <etag:1>
{}
< 412
< ETag: <etag:2>
{
  "branch": "<branch:1>",
  "nextTimer": "<time>"
}
"#;
    assert_same(&rendered(vec![put(), again]), expected);
}

fn assert_same(left: &str, right: &str) {
    if let Some(difference) = compare(right, left) {
        panic!("{}", difference.diff);
    }
}

#[test]
fn a_handle_is_named_in_headers_paths_and_bodies_alike() {
    let post = RecordedExchange {
        path: "/handles".to_owned(),
        method: "POST".to_owned(),
        request_headers: Vec::new(),
        request_body: None,
        response_headers: headers(&[("Location", &format!("/handles/{HANDLE}"))]),
        response_body: bytes(&json!({ "id": HANDLE, "sessionRef": { "name": CORRELATION } })),
        response_schema: Some("handle".to_owned()),
        ..put()
    };
    let get = RecordedExchange {
        path: format!("/handles/{HANDLE}/session?nocommit=true"),
        method: "GET".to_owned(),
        response_headers: Vec::new(),
        response_body: Vec::new(),
        status: 204,
        ..post.clone()
    };
    let text = rendered(vec![post, get]);
    assert!(text.contains("< Location: /handles/<handle:1>\n"), "{text}");
    assert!(text.contains("\"id\": \"<handle:1>\""), "{text}");
    assert!(text.contains("\"name\": \"<session:1>\""), "{text}");
    assert!(
        text.ends_with("> GET /handles/<handle:1>/session?nocommit=true\n< 204\n"),
        "{text}"
    );
}

#[test]
fn a_guid_that_nobody_named_stays() {
    let exchange = RecordedExchange {
        response_body: bytes(&json!({ "properties": { "custom": { "guid": HANDLE } } })),
        ..put()
    };
    assert!(rendered(vec![exchange]).contains(HANDLE));
}

#[test]
fn a_body_that_reading_would_change_is_shown_as_it_was_sent() {
    let exchange = RecordedExchange {
        request_body: Some(b"{\"a\":1,\r\n## b \"a\":2}\x00".to_vec()),
        response_body: b"{\"a\":{\"b\":1,\"b\":2}}".to_vec(),
        ..put()
    };
    let text = rendered(vec![exchange]);
    assert!(
        text.contains("| {\"a\":{one},\\r\n| ## b \"a\":2}\\u{0}\n< 201"),
        "{text}"
    );
    assert!(text.contains("| {\"a\":{\"b\":{one},\"b\":2}}\n"), "{text}");

    let binary = RecordedExchange {
        request_body: Some(vec![0xff, 0xfe]),
        ..put()
    };
    assert!(rendered(vec![binary]).contains("| <2 bytes that are no text, hash "));
}

#[test]
fn a_huge_text_is_shown_by_its_beginning_its_length_and_its_hash() {
    let exchange = RecordedExchange {
        request_body: Some(bytes(
            &json!({ "properties": { "custom": { "blob": "x".repeat(100_000) } } }),
        )),
        ..put()
    };
    let text = rendered(vec![exchange]);
    assert!(text.contains("x... <100000 bytes, hash "), "{text}");
    assert!(text.len() < 4000, "{text}");
}

#[test]
fn two_runs_of_the_same_conversation_give_the_same_text() {
    let first = rendered(vec![put()]);
    let body = String::from_utf8(put().response_body).unwrap();
    let body = body
        .replace(BRANCH, "99999999-0b7c-4f4e-9a53-61a4a9a1c0de")
        .replace("7f3a0000cafe", "0123456789ab");
    let second = RecordedExchange {
        response_headers: headers(&[
            ("Content-Type", "application/json"),
            ("ETag", "W/other"),
            ("Date", "Sun, 06 Apr 2031 06:07:08 GMT"),
        ]),
        response_body: body.replace("7F3A0000CAFE", "0123456789AB").into_bytes(),
        ..put()
    };
    assert_same(&rendered(vec![second]), &first);
}

#[test]
fn a_difference_names_the_variants_that_changed() {
    let mut both = conversation(vec![put()]);
    let older = VariantTranscript {
        id: "105".to_owned(),
        ..both.variants[0].clone()
    };
    both.variants.insert(0, older);
    let schemas = real();
    let before = render(&both, &schemas);
    both.variants[1].exchanges[0].status = 200;
    let after = render(&both, &schemas);

    assert_eq!(compare(&before, &before.replace('\n', "\r\n")), None);
    let difference = compare(&before, &after).unwrap();
    assert_eq!(difference.variants, ["107"]);
    assert!(difference.diff.contains("-< 201\n+< 200\n"), "{}", difference.diff);
    assert_eq!(compare("# a\n", &after).unwrap().variants, ["105", "107"]);
    assert_eq!(compare("# a\n", "# b\n").unwrap().variants, [""; 0]);
}

#[test]
fn a_file_is_read_back_as_it_was_written_also_by_insta() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions/create.snap");
    assert!(read(&path).unwrap_err().is_missing());

    let text = rendered(vec![put()]);
    write(&path, "cases/sessions/create.json", "A \"quoted\" title: yes", &text).unwrap();
    assert_eq!(read(&path).unwrap(), text);

    let snapshot = insta::Snapshot::from_file(&path).unwrap();
    assert_eq!(snapshot.as_text().unwrap().to_string(), text.trim_end());
    assert_eq!(snapshot.metadata().description(), Some("A \"quoted\" title: yes"));
    assert_eq!(snapshot.metadata().input_file(), Some("cases/sessions/create.json"));

    std::fs::write(&path, "no head\n").unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("create.snap has no head"));
}
