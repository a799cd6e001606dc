use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::model::ChangeType;
use super::super::tests::sample::{
    Stage as Scene, active, initialize, initialize_with, join, me_system, reserve, system, user,
};
use super::super::{Changes, ContractVersion, RefusalKind, Session};
use super::*;

/// A session of alice (1), who is active, and of these reserved users, all of them to be initialized.
fn scene(constants: Value, reserved: &[u64]) -> Scene {
    let mut constants = constants;
    constants["inactiveRemovalTimeout"] = Value::Null;
    let mut scene = Scene::new(constants);
    scene.put(&user(1), initialize_with(reserved)).unwrap();
    scene
}

/// A template with measurements between members.
fn measuring(requirements: Value) -> Value {
    let mut constants = json!({ "capabilities": { "connectivity": true }, "memberInitialization": {} });
    for (key, value) in requirements.as_object().unwrap() {
        constants[key] = value.clone();
    }
    constants
}

/// Alice (0), Bob (1) and so on are in the session, each with a device.
fn measured_scene(requirements: Value, count: u64) -> Scene {
    let reserved: Vec<u64> = (2..=count).collect();
    let mut scene = scene(measuring(requirements), &reserved);
    for xuid in (2..=count).chain([1]) {
        scene
            .put(
                &user(xuid),
                me_system(json!({ "active": true, "secureDeviceAddress": "AAAA" })),
            )
            .unwrap();
    }
    scene
}

fn token(scene: &Scene, index: u32) -> String {
    let document = scene.document();
    document["members"][index.to_string()]["deviceToken"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The user uploads what it measured of the members with these indices.
fn upload(scene: &mut Scene, xuid: u64, links: &[(u32, Value)]) {
    let links = links
        .iter()
        .map(|(index, link)| (token(scene, *index), link.clone()))
        .collect::<serde_json::Map<_, _>>();
    scene
        .put(&user(xuid), me_system(json!({ "measurements": links })))
        .unwrap();
}

fn ms(latency: u64) -> Value {
    json!({ "latency": latency })
}

fn stage(scene: &Scene) -> String {
    scene.document()["initializing"]["stage"]
        .as_str()
        .unwrap_or("none")
        .to_owned()
}

fn failure(scene: &Scene, index: u32) -> String {
    scene.document()["members"][index.to_string()]["initializationFailure"]
        .as_str()
        .unwrap_or("none")
        .to_owned()
}

fn episode(scene: &Scene, index: u32) -> Value {
    scene.document()["members"][index.to_string()]["initializationEpisode"].clone()
}

fn in_seconds(scene: &Scene, seconds: i64) -> Option<Timestamp> {
    scene.now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

#[test]
fn without_member_initialization_nobody_is_initialized() {
    let scene = scene(json!({}), &[2]);
    assert_eq!(stage(&scene), "none");
    assert_eq!(episode(&scene, 0), Value::Null);
    assert_eq!(episode(&scene, 1), Value::Null);
}

#[test]
fn who_creates_alone_with_nothing_to_measure_is_initialized_at_once() {
    let scene = scene(json!({ "memberInitialization": {} }), &[]);
    assert_eq!(scene.document().get("initializing"), None);
    assert_eq!(episode(&scene, 0), Value::Null);
    assert_eq!(failure(&scene, 0), "none");
    assert_eq!(
        scene.document()["members"]["0"]["constants"]["system"]["initialize"],
        true
    );
}

#[test]
fn the_members_of_the_creation_are_episode_one_and_joining_waits_for_them() {
    let mut scene = scene(json!({ "memberInitialization": {} }), &[2]);
    assert_eq!(
        scene.document()["initializing"],
        json!({ "stage": "joining", "stageStartTime": scene.document()["startTime"], "episode": 1 })
    );
    assert_eq!([episode(&scene, 0), episode(&scene, 1)], [json!(1), json!(1)]);
    assert_eq!(
        scene.session().next_timer(),
        in_seconds(&scene, 10),
        "joinTimeout, not reservedRemovalTimeout"
    );
    scene.put(&user(2), active()).unwrap();
    assert_eq!(stage(&scene), "none");
    assert_eq!([episode(&scene, 0), episode(&scene, 1)], [Value::Null, Value::Null]);
    assert_eq!(scene.session().next_timer(), None);
}

#[test]
fn who_accepts_without_being_there_has_not_joined_yet() {
    let mut scene = scene(json!({ "memberInitialization": {} }), &[2, 3]);
    scene.put(&user(2), json!({})).unwrap();
    scene.put(&user(3), me_system(json!({ "ready": true }))).unwrap();
    assert_eq!(stage(&scene), "joining");
    scene.rules.set("INIT-011", "accepted").unwrap();
    scene.put(&user(1), json!({})).unwrap();
    assert_eq!(stage(&scene), "none", "the other reading");
}

#[test]
fn join_timeout_removes_reservations_and_nobody_else() {
    let mut scene = scene(
        json!({ "memberInitialization": { "joinTimeout": 40_000 }, "reservedRemovalTimeout": 1000 }),
        &[2, 3],
    );
    scene.put(&user(3), join()).unwrap();
    assert_eq!(scene.after(39_999), "unchanged");
    assert_eq!(scene.after(1), "changed");
    let present: Vec<_> = scene.session().members().map(|member| member.xuid).collect();
    assert_eq!(present, [1, 3]);
    assert_eq!(stage(&scene), "none");
    assert_eq!(failure(&scene, 0), "none");
}

#[test]
fn the_session_times_reservations_that_are_not_to_be_initialized() {
    let mut scene = scene(
        json!({ "memberInitialization": {}, "reservedRemovalTimeout": 1000 }),
        &[2],
    );
    scene.put(&user(1), reserve(&[3])).unwrap();
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 1));
    assert_eq!(scene.after(1000), "changed");
    assert_eq!(scene.session().count(), 2);
    assert_eq!(stage(&scene), "joining");
}

#[test]
fn ready_members_are_not_timed_by_the_session_until_their_episode_is_over() {
    let mut scene = scene(
        json!({ "memberInitialization": { "joinTimeout": 60_000 }, "readyRemovalTimeout": 5000 }),
        &[2, 3],
    );
    scene.put(&user(2), me_system(json!({ "ready": true }))).unwrap();
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 60));
    assert_eq!(scene.after(50_000), "unchanged");
    scene.put(&user(3), active()).unwrap();
    assert_eq!(stage(&scene), "none");
    assert_eq!(
        scene.session().next_timer(),
        in_seconds(&scene, 5),
        "its time begins now"
    );
    scene.after(5000);
    assert_eq!(scene.session().member(2).unwrap().status, Status::Inactive);
}

#[test]
fn a_creation_that_brings_too_few_members_is_refused_but_zero_are_enough_for_zero() {
    let mut scene = Scene::new(json!({ "memberInitialization": { "membersNeededToStart": 2 } }));
    assert_eq!(scene.refused(&user(1), initialize_with(&[])), RefusalKind::Malformed);
    let mut scene = Scene::new(json!({ "memberInitialization": { "membersNeededToStart": 0 } }));
    scene.put(&user(1), active()).unwrap();
    assert_eq!(stage(&scene), "none");
    scene.put(&user(1), initialize(reserve(&[2]))).unwrap();
    assert_eq!(episode(&scene, 1), 2, "episode 1 was skipped");
    assert_eq!(
        scene.document()["initializing"],
        json!({ "stage": "joining", "stageStartTime": scene.document()["startTime"], "episode": 2 })
    );
}

#[test]
fn members_who_come_during_an_episode_wait_for_it_to_end() {
    let mut scene = scene(json!({ "memberInitialization": {} }), &[2]);
    scene.now += SignedDuration::from_secs(4);
    scene.put(&user(1), initialize(reserve(&[3]))).unwrap();
    assert_eq!(episode(&scene, 2), 2);
    assert_eq!(scene.document()["initializing"]["episode"], 1);
    assert_eq!(
        scene.session().next_timer(),
        in_seconds(&scene, 6),
        "who waits is not timed"
    );
    scene.after(6000);
    assert_eq!(scene.document()["initializing"]["episode"], 2, "the next one follows");
    assert_eq!(scene.session().count(), 2);
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 10));
    assert_eq!(episode(&scene, 0), Value::Null);
    scene.put(&user(3), active()).unwrap();
    assert_eq!(stage(&scene), "none");
}

#[test]
fn one_access_leaves_one_stage_whose_time_is_over() {
    let mut scene = scene(
        measuring(
            json!({ "metrics": { "latency": true }, "memberInitialization": { "externalEvaluation": true, "membersNeededToStart": 0 } }),
        ),
        &[2],
    );
    scene.after(3_600_000);
    assert_eq!(stage(&scene), "measuring");
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 30));
    assert_eq!(scene.after(0), "unchanged");
    scene.after(30_000);
    assert_eq!(failure(&scene, 0), "timeout");
    assert_eq!(stage(&scene), "none", "nobody is left to be evaluated");
}

#[test]
fn measuring_ends_when_all_have_uploaded() {
    let mut scene = measured_scene(json!({ "metrics": { "latency": true } }), 2);
    assert_eq!(stage(&scene), "measuring");
    scene.now += SignedDuration::from_secs(5);
    upload(&mut scene, 1, &[(1, ms(9999))]);
    assert_eq!(stage(&scene), "measuring");
    upload(&mut scene, 2, &[]);
    assert_eq!(stage(&scene), "none");
    assert_eq!(
        [failure(&scene, 0), failure(&scene, 1)],
        ["none", "none"],
        "nothing is required"
    );
}

#[test]
fn a_new_stage_has_a_start_of_its_own() {
    let mut scene = scene(measuring(json!({ "metrics": { "latency": true } })), &[2]);
    scene.now += SignedDuration::from_secs(5);
    scene.put(&user(2), active()).unwrap();
    assert_eq!(
        scene.document()["initializing"],
        json!({ "stage": "measuring", "stageStartTime": "2026-01-02T03:04:10.6789000Z", "episode": 1 })
    );
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 30));
}

#[test]
fn who_uploads_too_late_fails_and_the_others_pass() {
    let mut scene = measured_scene(json!({ "peerToPeerRequirements": {} }), 2);
    upload(&mut scene, 1, &[]);
    assert_eq!(scene.after(29_999), "unchanged");
    assert_eq!(scene.after(1), "changed");
    assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["none", "timeout"]);
    assert_eq!(stage(&scene), "none");
    assert_eq!(episode(&scene, 1), Value::Null);
}

#[test]
fn servers_are_measured_too() {
    let servers = json!({ "east": { "secureDeviceAddress": "r5Y=" } });
    let mut scene = scene(
        json!({ "memberInitialization": {}, "measurementServerAddresses": servers }),
        &[],
    );
    assert_eq!(stage(&scene), "measuring");
    scene
        .put(&user(1), me_system(json!({ "serverMeasurements": {} })))
        .unwrap();
    assert_eq!(stage(&scene), "none");
}

#[test]
fn each_member_answers_for_the_links_that_it_measured() {
    let needs = json!({ "peerToPeerRequirements": { "latencyMaximum": 100, "bandwidthMinimum": 50 } });
    let link =
        |latency: u64, down: u64, up: u64| json!({ "latency": latency, "bandwidthDown": down, "bandwidthUp": up });
    for (found, expected) in [
        (link(100, 50, 50), "none"),
        (link(101, 49, 49), "latency"),
        (link(100, 49, 49), "bandwidthdown"),
        (link(100, 50, 49), "bandwidthup"),
        (json!({ "latency": 1, "bandwidthDown": 50 }), "network"),
        (json!({ "latency": 101, "bandwidthDown": 50 }), "latency"),
    ] {
        let mut scene = measured_scene(needs.clone(), 2);
        upload(&mut scene, 1, &[(1, link(1, 99, 99))]);
        upload(&mut scene, 2, &[(0, found)]);
        assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["none", expected]);
        assert_eq!(stage(&scene), "none", "one is enough");
    }
}

#[test]
fn the_default_thresholds_hold_where_none_are_given() {
    for (found, expected) in [
        (ms(250), "none"),
        (ms(251), "latency"),
        (json!({ "latency": 1, "bandwidthDown": 9999 }), "bandwidthdown"),
    ] {
        let mut scene = measured_scene(json!({ "peerToPeerRequirements": {} }), 2);
        upload(&mut scene, 1, &[(1, ms(1))]);
        upload(&mut scene, 2, &[(0, found)]);
        assert_eq!(failure(&scene, 1), expected);
    }
}

#[test]
fn too_few_who_pass_make_the_first_episode_fail_for_ever() {
    let needs = json!({ "peerToPeerRequirements": {}, "memberInitialization": { "membersNeededToStart": 2 } });
    let mut scene = measured_scene(needs, 2);
    upload(&mut scene, 1, &[(1, ms(1))]);
    scene.put(&user(1), initialize(reserve(&[3]))).unwrap();
    upload(&mut scene, 2, &[(0, ms(999))]);
    assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["episode", "latency"]);
    assert_eq!(stage(&scene), "failed");
    assert_eq!(scene.document()["initializing"]["episode"], 1);
    assert_eq!([episode(&scene, 0), episode(&scene, 2)], [Value::Null, Value::Null]);
    assert_eq!(
        scene.session().next_timer(),
        in_seconds(&scene, 30),
        "who waited is timed by the session"
    );
    scene.put(&user(4), initialize(active())).unwrap();
    assert_eq!(episode(&scene, 3), Value::Null);
    scene.after(3_600_000);
    assert_eq!(stage(&scene), "failed");
}

#[test]
fn a_later_episode_fails_its_members_only() {
    let needs = json!({ "peerToPeerRequirements": {}, "memberInitialization": { "membersNeededToStart": 2 } });
    let mut scene = measured_scene(needs, 2);
    upload(&mut scene, 1, &[(1, ms(1))]);
    upload(&mut scene, 2, &[(0, ms(1))]);
    assert_eq!(stage(&scene), "none");
    scene.put(&user(3), initialize(active())).unwrap();
    assert_eq!(stage(&scene), "measuring");
    upload(&mut scene, 3, &[(0, ms(1)), (1, ms(251))]);
    assert_eq!(stage(&scene), "none");
    assert_eq!(
        [failure(&scene, 0), failure(&scene, 1), failure(&scene, 2)],
        ["none", "none", "latency"]
    );
}

#[test]
fn a_member_fails_with_its_group() {
    let mut scene = scene(
        json!({ "memberInitialization": { "membersNeededToStart": 0 } }),
        &[2, 3],
    );
    scene
        .put(&user(1), me_system(json!({ "initializationGroup": [0, 1] })))
        .unwrap();
    scene
        .put(
            &user(2),
            me_system(json!({ "active": true, "initializationGroup": [2] })),
        )
        .unwrap();
    scene.after(10_000);
    assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["group", "group"]);
    assert_eq!(stage(&scene), "none");

    let mut scene = measured_scene(json!({ "peerToPeerRequirements": {} }), 3);
    scene
        .put(&user(1), me_system(json!({ "initializationGroup": [1] })))
        .unwrap();
    upload(&mut scene, 1, &[(1, ms(1)), (2, ms(1))]);
    upload(&mut scene, 2, &[(0, ms(1)), (2, ms(251))]);
    upload(&mut scene, 3, &[(0, ms(1)), (1, ms(1))]);
    assert_eq!(
        [failure(&scene, 0), failure(&scene, 1), failure(&scene, 2)],
        ["group", "latency", "none"]
    );
}

#[test]
fn the_title_evaluates_where_it_said_so_and_its_word_acts_at_once() {
    let external = json!({ "memberInitialization": { "externalEvaluation": true, "evaluationTimeout": 7000 } });
    for (says, then, fails) in [(true, "none", "none"), (false, "failed", "episode")] {
        let mut scene = scene(external.clone(), &[2]);
        let verdict = |value: Value| system(json!({ "initializationSucceeded": value }));
        assert_eq!(scene.refused(&user(1), verdict(json!(true))), RefusalKind::Malformed);
        scene.put(&user(2), active()).unwrap();
        assert_eq!(stage(&scene), "evaluating");
        assert_eq!(scene.session().next_timer(), in_seconds(&scene, 7));
        assert_eq!(scene.refused(&user(1), verdict(json!("yes"))), RefusalKind::Malformed);
        assert_eq!(scene.put(&user(1), verdict(Value::Null)), Ok("unchanged"));
        scene.put(&user(2), verdict(json!(says))).unwrap();
        assert_eq!(stage(&scene), then);
        assert_eq!([failure(&scene, 0), failure(&scene, 1)], [fails, fails]);
        assert_eq!(
            scene.document()["properties"]["system"].get("initializationSucceeded"),
            None
        );
        assert_eq!(scene.refused(&user(1), verdict(json!(true))), RefusalKind::Malformed);
    }
    let mut scene = scene(external, &[]);
    assert_eq!(scene.after(6999), "unchanged");
    scene.after(1);
    assert_eq!(stage(&scene), "failed");
    assert_eq!(failure(&scene, 0), "episode");
}

#[test]
fn only_owners_evaluate_where_there_are_owners() {
    let mut scene = scene(
        json!({
            "capabilities": { "hasOwners": true },
            "memberInitialization": { "externalEvaluation": true },
        }),
        &[2],
    );
    scene.put(&user(2), active()).unwrap();
    let verdict = system(json!({ "initializationSucceeded": true }));
    assert_eq!(scene.refused(&user(2), verdict.clone()), RefusalKind::Unwritable);
    scene.put(&user(1), verdict).unwrap();
    assert_eq!(stage(&scene), "none");
}

#[test]
fn who_failed_to_measure_fails_even_if_the_title_is_content() {
    let external = json!({ "metrics": { "latency": true }, "memberInitialization": { "externalEvaluation": true } });
    let mut scene = measured_scene(external, 2);
    upload(&mut scene, 1, &[(1, ms(9999))]);
    scene.after(30_000);
    assert_eq!(stage(&scene), "evaluating");
    scene
        .put(&user(1), system(json!({ "initializationSucceeded": true })))
        .unwrap();
    assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["none", "timeout"]);
    assert_eq!(stage(&scene), "none");
}

#[test]
fn a_rejected_later_episode_leaves_the_session_initialized() {
    let external = json!({ "memberInitialization": { "externalEvaluation": true } });
    let mut scene = scene(external, &[]);
    scene
        .put(&user(1), system(json!({ "initializationSucceeded": true })))
        .unwrap();
    scene.put(&user(2), initialize(active())).unwrap();
    assert_eq!(scene.document()["initializing"]["episode"], 2);
    scene
        .put(&user(1), system(json!({ "initializationSucceeded": false })))
        .unwrap();
    assert_eq!(stage(&scene), "none");
    assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["none", "episode"]);
}

#[test]
fn an_evaluation_without_anybody_left_is_over() {
    let mut scene = scene(json!({ "memberInitialization": { "externalEvaluation": true } }), &[]);
    scene.put(&user(2), active()).unwrap();
    scene.put(&user(1), json!({ "members": { "me": null } })).unwrap();
    assert_eq!(scene.document_for(&user(2))["initializing"]["stage"], "failed");
}

/// Uploads of three members: latency and upload bandwidth of each link.
fn upload_links(scene: &mut Scene, links: [[(u64, u64); 2]; 3]) {
    for ((xuid, peers), found) in [(1, [1, 2]), (2, [0, 2]), (3, [0, 1])].into_iter().zip(links) {
        let links: Vec<_> = peers
            .into_iter()
            .zip(found)
            .map(|(peer, (latency, up))| (peer, json!({ "latency": latency, "bandwidthUp": up })))
            .collect();
        upload(scene, xuid, &links);
    }
}

#[test]
fn host_candidates_are_ordered_by_the_metric_and_gone_once_there_is_a_host() {
    let links = [
        [(10, 5000), (20, 9000)],
        [(30, 7000), (20, 9000)],
        [(30, 7000), (10, 5000)],
    ];
    for (metric, order) in [("latency", [1, 2, 0]), ("BandwidthUp", [2, 0, 1])] {
        let mut scene = measured_scene(
            json!({ "peerToHostRequirements": { "hostSelectionMetric": metric } }),
            3,
        );
        assert_eq!(scene.document().get("hostCandidates"), None);
        upload_links(&mut scene, links);
        assert_eq!(stage(&scene), "none");
        let expected = order.map(|index| token(&scene, index));
        assert_eq!(scene.document()["hostCandidates"], json!(expected));
        scene.put(&user(1), system(json!({ "host": expected[0] }))).unwrap();
        assert_eq!(scene.document().get("hostCandidates"), None);
        scene.put(&user(1), system(json!({ "host": null }))).unwrap();
        assert_eq!(scene.document().get("hostCandidates"), None);
    }
}

#[test]
fn who_cannot_reach_the_best_host_fails() {
    let mut scene = measured_scene(json!({ "peerToHostRequirements": { "bandwidthUpMinimum": 100 } }), 3);
    upload_links(
        &mut scene,
        [[(10, 100), (10, 100)], [(10, 100), (251, 99)], [(10, 99), (10, 99)]],
    );
    assert_eq!(
        [failure(&scene, 0), failure(&scene, 1), failure(&scene, 2)],
        ["none", "none", "bandwidthup"]
    );
    assert_eq!(
        scene.document()["hostCandidates"],
        json!([token(&scene, 0), token(&scene, 1)]),
        "each of them serves the other"
    );
}

#[test]
fn where_nobody_could_be_host_everybody_fails() {
    let mut scene = measured_scene(json!({ "peerToHostRequirements": {} }), 2);
    upload(&mut scene, 1, &[(1, ms(251))]);
    upload(&mut scene, 2, &[]);
    assert_eq!([failure(&scene, 0), failure(&scene, 1)], ["latency", "network"]);
    assert_eq!(stage(&scene), "failed");
    assert_eq!(scene.document().get("hostCandidates"), None);
}

#[test]
fn with_a_host_only_links_to_it_count() {
    let mut scene = measured_scene(json!({ "peerToHostRequirements": {} }), 3);
    let host = token(&scene, 0);
    scene.put(&user(1), system(json!({ "host": host }))).unwrap();
    upload(&mut scene, 2, &[(0, ms(1)), (2, ms(251))]);
    assert_eq!(stage(&scene), "measuring");
    upload(&mut scene, 3, &[(0, ms(251)), (1, ms(1))]);
    assert_eq!(stage(&scene), "none", "the host has nothing to measure");
    assert_eq!(
        [failure(&scene, 0), failure(&scene, 1), failure(&scene, 2)],
        ["none", "none", "latency"]
    );
    assert_eq!(scene.document().get("hostCandidates"), None);
}

#[test]
fn a_candidate_who_leaves_is_none() {
    let mut scene = measured_scene(json!({ "peerToHostRequirements": {} }), 2);
    upload(&mut scene, 1, &[(1, ms(1))]);
    upload(&mut scene, 2, &[(0, ms(2))]);
    let stays = token(&scene, 0);
    assert_eq!(scene.document()["hostCandidates"], json!([token(&scene, 1), stays]));
    scene.put(&user(2), json!({ "members": { "me": null } })).unwrap();
    assert_eq!(scene.document()["hostCandidates"], json!([stays]));
}

#[test]
fn the_old_contract_has_other_names_and_defaults() {
    let mut scene = Scene::new(json!({}));
    scene.template.contract_version = ContractVersion::V105;
    scene.template.constants = json!({ "system": { "managedInitialization": {} } });
    scene.version = ContractVersion::V105;
    assert_eq!(
        scene.refused(&user(1), initialize_with(&[])),
        RefusalKind::Malformed,
        "it needs two"
    );
    scene.put(&user(1), initialize_with(&[2])).unwrap();
    assert_eq!(stage(&scene), "joining");
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 5));
    scene.put(&user(2), active()).unwrap();
    assert_eq!(stage(&scene), "evaluating", "autoEvaluate is false by default");
    assert_eq!(scene.session().next_timer(), in_seconds(&scene, 5));

    let mut scene = Scene::new(json!({}));
    scene.template.contract_version = ContractVersion::V104;
    scene.template.constants =
        json!({ "system": { "managedInitialization": { "autoEvaluate": true, "membersNeededToStart": 1 } } });
    scene.put(&user(1), initialize_with(&[])).unwrap();
    assert_eq!(stage(&scene), "none");
}

#[test]
fn a_change_of_stage_is_a_change_of_initialization() {
    let mut scene = scene(json!({ "memberInitialization": { "externalEvaluation": true } }), &[2]);
    let mut changed = |body: Value, xuid: u64| {
        let before = scene.session().clone();
        scene.put(&user(xuid), body).unwrap();
        Changes::between(&before, scene.session()).has(ChangeType::Initialization)
    };
    assert!(!changed(system(json!({ "closed": true })), 1));
    assert!(!changed(initialize(reserve(&[3])), 1), "who waits changes no stage");
    assert!(changed(active(), 2));
    assert!(changed(system(json!({ "initializationSucceeded": true })), 1));
    assert!(changed(active(), 3));
}

#[test]
fn a_stage_survives_being_stored() {
    let mut scene = measured_scene(
        json!({ "peerToHostRequirements": {}, "memberInitialization": { "externalEvaluation": true } }),
        2,
    );
    upload(&mut scene, 1, &[(1, ms(1))]);
    scene.put(&user(3), initialize(active())).unwrap();
    scene.after(30_000);
    assert_eq!(stage(&scene), "evaluating");
    let stored = scene.session().to_stored();
    let back = Session::from_stored(&stored, &scene.rules).unwrap();
    assert_eq!(back.to_stored(), stored);
    assert_eq!(back.next_timer(), scene.session().next_timer());
    assert_eq!(back.to_json(&scene.access(&user(1))), scene.document());
}

#[test]
fn no_row_of_the_table_is_hidden_by_an_earlier_one_and_every_stage_has_a_way_out_but_failure() {
    for (position, row) in TRANSITIONS.iter().enumerate() {
        for earlier in &TRANSITIONS[..position] {
            let is_hidden = earlier.from == row.from && earlier.when.iter().all(|needed| row.when.contains(needed));
            assert!(!is_hidden, "{row:?} is never taken: {earlier:?}");
        }
    }
    for (_, stage) in Stage::ALL {
        assert_eq!(
            TRANSITIONS.iter().any(|row| row.from == *stage),
            *stage != Stage::Failed,
            "{stage:?}"
        );
    }
}

/// The stages that can be reached by the table within the episode, `Idle` and `Failed` included.
fn within_episode(from: Stage) -> BTreeSet<&'static str> {
    let mut reached = vec![from];
    let mut names = BTreeSet::new();
    while let Some(stage) = reached.pop() {
        if names.insert(stage.name()) && (stage != Stage::Idle || from == Stage::Idle) {
            reached.extend(TRANSITIONS.iter().filter(|row| row.from == stage).map(|row| row.to));
        }
    }
    names
}

fn check_step(before: &Initialization, after: &Session) -> Result<(), TestCaseError> {
    let state = &after.initialization;
    let initialization = after.constants.member_initialization.as_ref().unwrap();
    let having = |is: &dyn Fn(u32) -> bool| -> Vec<&Member> {
        let members = after.members.iter();
        members.filter(|member| member.episode.is_some_and(is)).collect()
    };
    let taking_part = having(&|episode| episode == state.episode);
    let waiting = having(&|episode| episode > state.episode);
    match state.episode.checked_sub(before.episode) {
        Some(0) => prop_assert!(within_episode(before.stage).contains(state.stage.name())),
        // A new episode begins where the one before ended.
        Some(_) => {
            prop_assert!(within_episode(before.stage).contains("idle"));
            prop_assert!(within_episode(Stage::Idle).contains(state.stage.name()));
        }
        None => prop_assert!(false, "an episode is never taken back"),
    }
    let is_running = matches!(state.stage, Stage::Joining | Stage::Measuring | Stage::Evaluating);
    prop_assert!(state.stage != Stage::Counting);
    prop_assert_eq!(
        is_running,
        !taking_part.is_empty(),
        "an episode has members, and members an episode"
    );
    prop_assert!(before.stage != Stage::Failed || state.stage == Stage::Failed);
    if state.stage == Stage::Failed {
        prop_assert_eq!(state.episode, 1);
    }
    if !is_running {
        prop_assert!(waiting.is_empty(), "nobody waits for nothing");
    }
    if state.stage == Stage::Measuring {
        prop_assert!(after.constants.metrics.any() || after.constants.has_measurement_servers);
    }
    if state.stage == Stage::Evaluating {
        prop_assert!(initialization.external_evaluation);
    }
    if is_running {
        prop_assert!(taking_part.iter().any(|member| member.failure.is_none()));
    }
    if let Some(due) = after.stage_due() {
        prop_assert!(after.next_timer().is_some_and(|timer| timer <= due));
    }
    prop_assert!(after.properties.system.host.is_none() || state.host_candidates.is_empty());
    for member in after.members.iter().filter(|member| member.episode.is_some()) {
        prop_assert!(member.constants.initialize);
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Deed {
    Write(u64, Value),
    Wait(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let who = 1_u64..5;
    let link = prop_oneof![Just(json!({})), Just(ms(1)), Just(ms(999))];
    let mine = prop_oneof![
        Just(json!({ "active": true, "secureDeviceAddress": "AAAA" })),
        Just(json!({ "active": false })),
        Just(json!({ "ready": true })),
        Just(json!({ "initializationGroup": [0] })),
        Just(json!({ "measurements": {} })),
        Just(json!({ "measurements": null, "secureDeviceAddress": null })),
        Just(json!({ "serverMeasurements": {} })),
        prop::collection::vec(("(8[0-9a-f]{3})", link), 0..2)
            .prop_map(|links| json!({ "measurements": links.into_iter().collect::<serde_json::Map<_, _>>() })),
    ]
    .prop_map(me_system);
    let ours = prop_oneof![
        Just(system(json!({ "initializationSucceeded": true }))),
        Just(system(json!({ "initializationSucceeded": false }))),
        Just(json!({ "members": { "me": null } })),
        Just(initialize(active())),
        Just(join()),
        Just(system(json!({ "host": null }))),
    ];
    let more = prop::collection::vec(1_u64..6, 1..3).prop_map(|xuids| initialize(reserve(&xuids)));
    prop_oneof![
        6 => (who.clone(), mine).prop_map(|(who, body)| Deed::Write(who, body)),
        3 => (who.clone(), ours).prop_map(|(who, body)| Deed::Write(who, body)),
        1 => (who, more).prop_map(|(who, body)| Deed::Write(who, body)),
        2 => prop_oneof![Just(0_i64), Just(500), Just(1000), Just(5000)].prop_map(Deed::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_writes_and_no_passing_of_time_reach_a_state_that_the_table_lacks(
        external in any::<bool>(),
        needed in 0_u64..3,
        metrics in any::<bool>(),
        to_host in any::<bool>(),
        reserved in 0_usize..3,
        host in any::<bool>(),
        deeds in prop::collection::vec(deed(), 1..25),
    ) {
        let mut constants = json!({
            "capabilities": { "connectivity": true }, "readyRemovalTimeout": 700, "sessionEmptyTimeout": null,
            "inactiveRemovalTimeout": 3000, "reservedRemovalTimeout": 2000,
            "memberInitialization": {
                "joinTimeout": 1000, "measurementTimeout": 1000, "externalEvaluation": external, "membersNeededToStart": needed,
            },
        });
        if metrics {
            constants["metrics"] = json!({ "latency": true });
        }
        if to_host {
            constants["peerToHostRequirements"] = json!({});
        }
        let mut scene = Scene::new(constants);
        let reserved: Vec<u64> = (2..).take(reserved).collect();
        if scene.put(&user(1), initialize_with(&reserved)).is_err() {
            return Ok(());
        }
        let start = Initialization::new(scene.now, &scene.rules);
        check_step(&start, scene.session())?;
        for deed in deeds {
            let before = scene.session().initialization.clone();
            match deed {
                Deed::Wait(milliseconds) => {
                    scene.after(milliseconds);
                }
                Deed::Write(xuid, body) => {
                    let mut body = body;
                    if host && body["members"]["me"]["properties"]["system"]["measurements"].is_object() {
                        // What is measured is a device that is there.
                        let tokens: Vec<_> = scene.session().members.iter().filter(|member| member.xuid != xuid)
                            .filter_map(Member::device_token).map(str::to_owned).collect();
                        let links = body["members"]["me"]["properties"]["system"]["measurements"].as_object().unwrap().values();
                        let links: serde_json::Map<_, _> = tokens.into_iter().zip(links.cloned()).collect();
                        body["members"]["me"]["properties"]["system"]["measurements"] = json!(links);
                    }
                    let _ = scene.put(&user(xuid), body);
                }
            }
            check_step(&before, scene.session())?;
            prop_assert!(!Changes::between(scene.session(), scene.session()).has(ChangeType::Initialization));
        }
    }
}
