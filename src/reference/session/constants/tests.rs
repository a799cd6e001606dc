use serde_json::{Value, json};

use crate::session::tests::sample::{Stage, active, server, user};
use crate::session::{ContractVersion, RefusalKind};

fn with_constants(system: &Value) -> Value {
    let mut body = active();
    body["constants"] = json!({ "system": system });
    body
}

/// What creation with these constants under this template comes to: the constants shown, or the refusal.
fn created(template: Value, asked: &Value) -> Result<Value, RefusalKind> {
    let mut stage = Stage::new(template);
    match stage.put(&user(1), with_constants(asked)) {
        Ok(_) => Ok(stage.document()["constants"]["system"].take()),
        Err(refusal) => Err(refusal.kind),
    }
}

#[test]
fn the_defaults_are_shown() {
    assert_eq!(
        created(json!({}), &json!({})),
        Ok(json!({
            "maxMembersCount": 100, "visibility": "open",
            "reservedRemovalTimeout": 30000, "inactiveRemovalTimeout": 0, "readyRemovalTimeout": 180_000,
            "sessionEmptyTimeout": 0,
        }))
    );
}

#[test]
fn the_creator_adds_to_the_template_but_does_not_contradict_it() {
    let template = json!({ "maxMembersCount": 10, "capabilities": { "gameplay": true }, "readyRemovalTimeout": null });
    let shown = created(
        template.clone(),
        &json!({ "version": 1, "visibility": "private", "maxMembersCount": 10 }),
    );
    let shown = shown.unwrap();
    assert_eq!(shown["maxMembersCount"], 10);
    assert_eq!(shown["visibility"], "private");
    assert_eq!(shown["readyRemovalTimeout"], Value::Null);
    for asked in [
        json!({ "maxMembersCount": 9 }),
        json!({ "readyRemovalTimeout": 1000 }),
        json!({ "capabilities": { "gameplay": false } }),
        json!({ "capabilities": { "gameplay": true, "crossPlay": true } }),
    ] {
        assert_eq!(created(template.clone(), &asked), Err(RefusalKind::Conflict), "{asked}");
    }
    assert!(
        created(
            template,
            &json!({ "capabilities": { "gameplay": true, "large": false } })
        )
        .is_ok()
    );
}

#[test]
fn a_template_that_makes_no_sense_refuses_creations_and_is_named() {
    let mut stage = Stage::new(json!({ "visibility": "dim" }));
    let refusal = stage.put(&user(1), active()).unwrap_err();
    assert_eq!(
        refusal.message,
        "/template/constants/system/visibility: found \"dim\", expected one of private, visible, open"
    );
}

#[test]
fn an_empty_capabilities_object_in_the_template_closes_it() {
    assert_eq!(
        created(
            json!({ "capabilities": {} }),
            &json!({ "capabilities": { "gameplay": true } })
        ),
        Err(RefusalKind::Conflict)
    );
    let open = created(
        json!({}),
        &json!({ "capabilities": { "gameplay": true, "large": false } }),
    )
    .unwrap();
    assert_eq!(open["capabilities"], json!({ "gameplay": true }));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for asked in [
        json!({ "maxMembersCount": 0 }),
        json!({ "maxMembersCount": 101 }),
        json!({ "maxMembersCount": "10" }),
        json!({ "visibility": "full" }),
        json!({ "sessionEmptyTimeout": -1 }),
        json!({ "sessionEmptyTimeout": 1.5 }),
        json!({ "surprise": 1 }),
        json!({ "inviteProtocol": "carrier-pigeon" }),
        json!({ "initiators": ["x"] }),
        json!({ "metrics": { "latency": true } }),
        json!({ "peerToPeerRequirements": {} }),
        json!({ "capabilities": { "connectivity": true }, "metrics": { "custom": true }, "peerToPeerRequirements": {} }),
        json!({ "capabilities": { "large": true }, "memberInitialization": { "membersNeededToStart": 0 } }),
        json!({ "capabilities": { "large": true }, "measurementServerAddresses": {} }),
        json!({ "measurementServerAddresses": { "East": { "secureDeviceAddress": "AAAA" } } }),
        json!({ "memberInitialization": { "evaluationTimeout": 1000 } }),
        json!({ "memberInitialization": { "membersNeededToStart": 101 } }),
        json!({ "ownershipPolicies": { "migration": "oldest" } }),
        json!({ "arbitration": {} }),
        json!({ "cloudComputePackage": { "titleId": "1" } }),
        json!({ "timeouts": { "inactive": 0 } }),
        json!({ "managedInitialization": {} }),
        json!({ "capabilities": { "large": true, "broadcast": true } }),
    ] {
        assert_eq!(created(json!({}), &asked), Err(RefusalKind::Malformed), "{asked}");
    }
    let large = json!({ "capabilities": { "large": true }, "maxMembersCount": 10_000 });
    assert!(created(json!({}), &large).is_ok());
}

#[test]
fn constants_are_fixed_and_may_be_repeated() {
    let mut stage = Stage::with_alice(json!({ "capabilities": { "connectivity": true } }));
    for asked in [
        json!({ "visibility": "private" }),
        json!({ "inviteProtocol": "game" }),
        json!({ "capabilities": { "gameplay": true } }),
        json!({ "capabilities": { "connectivity": false } }),
    ] {
        assert_eq!(
            stage.refused(&user(1), json!({"constants": {"system": asked}})),
            RefusalKind::Conflict,
            "{asked}"
        );
    }
    let custom = json!({ "constants": { "custom": { "a": 1 } } });
    assert_eq!(stage.refused(&user(1), custom), RefusalKind::Conflict);
    let again = json!({ "constants": stage.document()["constants"] });
    assert_eq!(stage.put(&user(1), again), Ok("unchanged"));
}

#[test]
fn custom_constants_of_template_and_creator_are_merged() {
    let mut stage = Stage::new(json!({}));
    stage.template.constants = json!({ "custom": { "a": 1 } });
    let mut body = active();
    body["constants"] = json!({ "custom": { "a": 2 } });
    assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Conflict);
    body["constants"] = json!({ "custom": { "a": 1, "b": [null] } });
    stage.put(&user(1), body).unwrap();
    assert_eq!(stage.document()["constants"]["custom"], json!({ "a": 1, "b": [null] }));
}

#[test]
fn each_version_reads_and_writes_the_constants_in_its_own_names() {
    let mut stage = Stage::new(json!({}));
    stage.template.contract_version = ContractVersion::V105;
    stage.template.constants = json!({ "system": {
        "timeouts": { "sessionEmpty": null },
        "managedInitialization": { "membersNeededToStart": 0 },
    } });
    stage.put(&user(1), active()).unwrap();
    let new = stage.document()["constants"]["system"].take();
    assert_eq!(new["inactiveRemovalTimeout"], 7_200_000);
    assert_eq!(new["sessionEmptyTimeout"], Value::Null);
    assert_eq!(new["capabilities"], json!({ "gameplay": true }));
    assert_eq!(
        new["memberInitialization"],
        json!({ "membersNeededToStart": 0, "joinTimeout": 5000, "measurementTimeout": 5000, "externalEvaluation": true })
    );
    stage.version = ContractVersion::V105;
    let old = stage.document()["constants"].take();
    assert_eq!(
        old["system"]["timeouts"],
        json!({ "reserved": 30000, "inactive": 7_200_000, "ready": 180_000, "sessionEmpty": null })
    );
    assert_eq!(old["system"]["managedInitialization"]["autoEvaluate"], false);
    assert_eq!(old["system"].get("memberInitialization"), None);
    assert_eq!(stage.put(&user(1), json!({ "constants": old })), Ok("unchanged"));
}

#[test]
fn a_new_initialization_can_be_repeated_as_the_old_version_shows_it() {
    let mut stage = Stage::with_alice(json!({ "memberInitialization": { "membersNeededToStart": 0 } }));
    stage.version = ContractVersion::V104;
    let old = stage.document()["constants"].take();
    assert_eq!(old["system"]["managedInitialization"]["autoEvaluate"], true);
    assert_eq!(stage.put(&user(1), json!({ "constants": old })), Ok("unchanged"));
}

#[test]
fn only_initiators_and_servers_create() {
    let template = json!({ "initiators": ["2"], "sessionEmptyTimeout": null });
    let mut stage = Stage::new(template.clone());
    assert_eq!(stage.refused(&user(1), active()), RefusalKind::Forbidden);
    stage.put(&user(2), active()).unwrap();
    let mut stage = Stage::new(template);
    assert_eq!(stage.put(&server(), json!({})), Ok("created"));
}

#[test]
fn a_broadcast_session_is_named_after_its_broadcaster() {
    let mut stage = Stage::new(json!({ "capabilities": { "large": true, "broadcast": true } }));
    assert_eq!(stage.refused(&user(1), active()), RefusalKind::Malformed);
    stage.name = "1".to_owned();
    stage.put(&user(1), active()).unwrap();
}
