//! Made-up sequences of writes by several members: whatever they send, the document stays sound.

use mpsd_conformance::contract::files::Files;
use mpsd_conformance::contract::schemas::{Schemas, Severity};
use mpsd_conformance::contract::version::ContractVersion;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

use crate::service::{Answer, Reference, session};

/// A write: who, and what.
type Write = (&'static str, Value);

fn custom() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[a-z\\u{e9}\\u{1f600}\" ]{0,6}".prop_map(Value::from),
        Just(json!([1, [2], {"a": null}])),
        Just(json!({"deep": {"er": true}})),
    ];
    prop::collection::btree_map("[abc]", leaf, 0..3).prop_map(|map| json!(map))
}

fn member_system() -> impl Strategy<Value = Value> {
    let fields = prop::sample::select(vec![
        json!({}),
        json!({"active": true}),
        json!({"active": false, "ready": false}),
        json!({"ready": true}),
        json!({"active": true, "ready": true}),
        json!({"secureDeviceAddress": "r5Y="}),
        json!({"secureDeviceAddress": "not base64!"}),
        json!({"groups": ["red", "blue"]}),
        json!({"encounters": ["passerby"]}),
        json!({"RolePreference": {"scout": 50}}),
        json!({"RolePreference": {"scout": 101}}),
        json!({"unheardOf": 1}),
        json!({"active": null}),
    ]);
    fields.boxed()
}

fn session_system() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({}),
        json!({"keywords": ["quick", "Ranked"]}),
        json!({"keywords": null}),
        json!({"keywords": "quick"}),
        json!({"turn": [0]}),
        json!({"turn": [99]}),
        json!({"turn": ["0"]}),
        json!({"joinRestriction": "local", "readRestriction": "followed"}),
        json!({"joinRestriction": "followed", "readRestriction": "local"}),
        json!({"joinRestriction": "none", "readRestriction": "none"}),
        json!({"joinRestriction": "whatever"}),
        json!({"closed": true}),
        json!({"closed": false}),
        json!({"locked": true}),
        json!({"host": "00nobody"}),
        json!({"initializationSucceeded": true}),
        json!({"matchmaking": {"serverConnectionString": "a:1"}}),
        json!({"serverConnectionStringCandidates": ["b", "a"]}),
        json!({"unheardOf": {}}),
    ])
}

fn write() -> impl Strategy<Value = Write> {
    let who = prop::sample::select(vec!["alice", "bob", "carol", "server"]);
    let me = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Value::Null)),
        6 => (member_system(), custom())
            .prop_map(|(system, custom)| Some(json!({"properties": {"system": system, "custom": custom}}))),
    ];
    let properties = prop_oneof![
        1 => Just(None),
        2 => (session_system(), custom()).prop_map(|(system, custom)| Some(json!({"system": system, "custom": custom}))),
    ];
    let extra = prop::sample::select(vec![
        json!({}),
        json!({"members": {"reserve_0": {"constants": {"system": {"xuid": "77"}}}}}),
        json!({"members": {"reserve_1": {"constants": {"system": {"xuid": "78"}}}}}),
        json!({"members": {"0": null}}),
        json!({"constants": {"system": {"visibility": "open"}}}),
        json!({"constants": {"system": {"visibility": "private"}}}),
        json!({"servers": {"relay": {"properties": {"custom": {"up": true}}}}}),
        json!({"servers": {"relay": null}}),
        json!({"changeNumber": 7}),
        json!([]),
    ]);
    (who, me, properties, extra).prop_map(|(who, me, properties, extra)| {
        let Value::Object(mut body) = extra else {
            return (who, json!([]));
        };
        if let Some(properties) = properties {
            body.insert("properties".to_owned(), properties);
        }
        if let Some(me) = me {
            let members = body.entry("members").or_insert_with(|| Value::Object(Map::new()));
            members["me"] = me;
        }
        (who, Value::Object(body))
    })
}

#[test]
fn whatever_members_write_the_document_stays_sound() {
    let schemas = Files::embedded();
    let schemas = schemas
        .under("schemas/")
        .map(|(name, text)| (name.trim_start_matches("schemas/"), text));
    let schemas = Schemas::new(schemas).expect("the schemas are sound");
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let reference = Reference::new(
        &json!({
            "alice": {"xuid": "1", "gamertag": "A", "device": "a", "title": "1"},
            "bob": {"xuid": "2", "device": "b", "title": "1"},
            "carol": {"xuid": "3", "device": "b", "title": "1"},
            "server": {"kind": "server", "title": "1"}
        }),
        &json!({}),
        &json!({"t": {"constants": {"system": {
            "version": 1, "maxMembersCount": 4, "visibility": "open", "capabilities": {"connectivity": true},
            "inactiveRemovalTimeout": 60000, "readyRemovalTimeout": 60000, "reservedRemovalTimeout": 60000,
            "sessionEmptyTimeout": 60000
        }}}}),
    );
    let mut runner = TestRunner::new(Config {
        cases: 192,
        failure_persistence: None,
        ..Config::default()
    });
    let mut number = 0;
    let numbered = std::cell::RefCell::new(&mut number);
    let result = runner.run(&prop::collection::vec(write(), 1..20), |writes| {
        let path = {
            let mut number = numbered.borrow_mut();
            **number += 1;
            session("t", &format!("made-up-{number}"))
        };
        runtime.block_on(check(&reference, &schemas, &path, &writes))
    });
    result.expect("no sequence of writes breaks a rule");
}

async fn check(reference: &Reference, schemas: &Schemas, path: &str, writes: &[Write]) -> Result<(), TestCaseError> {
    let read = async || reference.ask("server", "GET", path, None).await;
    // A creation and an update without `me` differ for who is no member, so all are members from the start.
    for who in ["alice", "bob", "carol"] {
        let joined = reference
            .ask(who, "PUT", path, Some(&json!({"members": {"me": {}}})))
            .await;
        prop_assert!(joined.status < 300, "{who} cannot join: {}", joined.status);
    }
    for (who, body) in writes {
        let before = read().await;
        let first = reference.ask(who, "PUT", path, Some(body)).await;
        let after = read().await;
        prop_assert!(first.status < 500, "{who} {body}: {}", first.status);
        if first.status >= 400 {
            prop_assert_eq!(
                text(&before),
                text(&after),
                "refused, and yet it changed: {} {}",
                who,
                body
            );
            prop_assert_eq!(before.headers.get("etag"), after.headers.get("etag"));
            continue;
        }
        let (old, new) = (before.json(), after.json());
        if after.status == 200 {
            let violations = schemas.validate("session", ContractVersion::CURRENT, &new);
            let worst = violations
                .iter()
                .find(|violation| violation.severity > Severity::Remark);
            prop_assert!(worst.is_none(), "after {who} {body}: {worst:?} in {new}");
        }
        if old["branch"] == new["branch"] {
            prop_assert!(
                new["changeNumber"].as_u64() >= old["changeNumber"].as_u64(),
                "{who} {body}: back from {old}"
            );
        }
        let second = reference.ask(who, "PUT", path, Some(body)).await;
        // Who has left by the first may be refused the second.
        prop_assert!(
            second.status < 500,
            "{who} {body}: {} and then {}",
            first.status,
            second.status
        );
        let again = read().await;
        prop_assert_eq!(
            text(&after),
            text(&again),
            "the second time changed something: {} {}",
            who,
            body
        );
    }
    Ok(())
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
