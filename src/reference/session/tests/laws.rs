//! Laws that hold for every write, tried with made-up ones.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::sample::{Stage, server, user};
use crate::session::{Outcome, Session};

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-z0-9]{0,3}".prop_map(Value::from),
        prop_oneof![
            Just("open"),
            Just("none"),
            Just("local"),
            Just("followed"),
            Just("1"),
            Just("2"),
            Just("AAAA")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-c]", inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// An object that has some of `keys`, with values that mostly make sense for them.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| (Just(key), prop_oneof![3 => Just(None), 1 => value.prop_map(Some)]))
        .collect();
    fields
        .prop_map(|fields| {
            let present = fields
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?)));
            Value::Object(present.collect::<Map<_, _>>())
        })
        .boxed()
}

fn flag() -> BoxedStrategy<Value> {
    prop_oneof![8 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null), 1 => anything()].boxed()
}

fn custom() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => prop::collection::vec(("[a-d]", anything()), 0..4)
            .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        1 => anything(),
    ]
    .boxed()
}

fn bag(system: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    object(vec![("system", system), ("custom", custom())])
}

fn body() -> impl Strategy<Value = Value> {
    let restriction = || {
        prop_oneof![5 => prop_oneof![Just("none"), Just("local"), Just("followed")].prop_map(Value::from), 1 => anything()]
            .boxed()
    };
    let properties = object(vec![
        ("closed", flag()),
        ("locked", flag()),
        ("joinRestriction", restriction()),
        ("readRestriction", restriction()),
        (
            "turn",
            prop::collection::vec(0_u32..4, 0..3).prop_map(Value::from).boxed(),
        ),
        ("keywords", prop_oneof![Just(json!(["a"])), anything()].boxed()),
        ("host", anything().boxed()),
        ("matchmaking", anything().boxed()),
    ]);
    let member = object(vec![
        ("active", flag()),
        ("ready", flag()),
        ("secureDeviceAddress", anything().boxed()),
        ("groups", anything().boxed()),
        (
            "initializationGroup",
            prop::collection::vec(0_u32..4, 0..3).prop_map(Value::from).boxed(),
        ),
        ("serverMeasurements", anything().boxed()),
    ]);
    let constants = object(vec![
        ("maxMembersCount", Just(json!(4)).boxed()),
        ("visibility", anything().boxed()),
    ]);
    let reservation = |xuid: &'static str| Just(json!({ "constants": { "system": { "xuid": xuid } } })).boxed();
    let me = object(vec![
        ("properties", bag(member)),
        ("constants", bag(object(vec![("initialize", flag())]))),
    ]);
    let members = object(vec![
        ("me", me),
        ("reserve_0", reservation("2")),
        ("reserve_1", reservation("3")),
    ]);
    object(vec![
        ("properties", bag(properties)),
        ("members", members),
        ("constants", bag(constants)),
    ])
}

fn after(session: &Session, outcome: Outcome) -> Option<Session> {
    match outcome {
        Outcome::Created(session) | Outcome::Changed(session) => Some(session),
        Outcome::Unchanged => Some(session.clone()),
        Outcome::Gone => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_write_that_is_repeated_changes_nothing_more(bodies in prop::collection::vec((1_u64..4, body()), 1..5)) {
        let mut stage = Stage::with_alice(json!({ "maxMembersCount": 4, "capabilities": { "connectivity": true } }));
        for (xuid, body) in bodies {
            let caller = user(xuid);
            let access = stage.access(&caller);
            let Ok(once) = stage.session().write(&stage.template, &body, &access) else { continue };
            let changed = matches!(once, Outcome::Changed(_));
            let session = after(stage.session(), once).expect("nobody leaves");
            prop_assert_eq!(session.change_number(), stage.session().change_number() + u64::from(changed));
            let twice = session.write(&stage.template, &body, &access);
            prop_assert!(matches!(twice, Ok(Outcome::Unchanged)), "{}: {:?}", body, twice);
            stage.session = Some(session);
        }
    }

    #[test]
    fn every_session_comes_back_from_its_stored_form(bodies in prop::collection::vec((1_u64..4, body()), 1..5)) {
        let mut stage = Stage::with_alice(json!({ "maxMembersCount": 4, "capabilities": { "connectivity": true } }));
        for (xuid, body) in bodies {
            let _ = stage.put(&user(xuid), body);
        }
        let stored = stage.session().to_stored();
        let back = Session::from_stored(&stored, &stage.rules).map_err(|refusal| TestCaseError::fail(refusal.message))?;
        prop_assert_eq!(back.to_json(&stage.access(&user(1))), stage.document());
        prop_assert_eq!(back.to_stored(), stored);
    }

    #[test]
    fn no_body_makes_the_session_panic_or_its_roster_inconsistent(body in anything(), caller in 1_u64..4) {
        let mut stage = Stage::with_alice(json!({}));
        let _ = stage.put(&user(caller), body.clone());
        let _ = stage.put(&server(), json!({ "servers": { "a": body } }));
        let document = stage.document();
        let members = document["members"].as_object().expect("members").len();
        prop_assert_eq!(&document["membersInfo"]["count"], &json!(members));
    }

    #[test]
    fn what_bytes_say_is_what_the_value_says(body in body()) {
        let mut stage = Stage::with_alice(json!({ "maxMembersCount": 4, "capabilities": { "connectivity": true } }));
        let _ = stage.put(&user(1), body);
        let bytes = stage.session().to_bytes(&stage.access(&user(1)));
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        prop_assert_eq!(value.to_string(), stage.document().to_string());
    }
}
