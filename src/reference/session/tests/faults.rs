//! Every fault of the table shows: a long conversation goes another way when its rule is broken.

use std::fmt::Write as _;

use serde_json::{Value, json};
use uuid::Uuid;

use super::sample::{
    Stage, acting, active, initialize, initialize_with, join, me_system, reserve, server, system, user, user_with,
};
use crate::http::tests::faults::SHOWN as OVER_HTTP;
use crate::principal::Principal;
use crate::realtime::tests::SHOWN as IN_REAL_TIME;
use crate::rules::{RuleKind, Rules};
use crate::session::{ContractVersion, Grant, Session};

/// What is decided before a session is asked: headers and queries.
const AT_THE_EDGE: &[&str] = &[
    "AUTH-008",
    "AUTH-014",
    "HDR-022",
    "HDR-023",
    "HDR-024",
    "SES-MEMBER-013",
];

/// Writes down what callers see, without what differs from run to run.
struct Scribe<'r> {
    rules: &'r Rules,
    text: String,
}

impl Scribe<'_> {
    /// A stage of its own: what alice (1), active, creates from a template.
    fn stage(&mut self, template: Value) -> Stage {
        self.create(template, active())
    }

    /// A stage of its own: what alice (1) creates from a template, in which inactive members stay.
    fn create(&mut self, template: Value, body: Value) -> Stage {
        let mut template = template;
        if template.get("inactiveRemovalTimeout").is_none() {
            template["inactiveRemovalTimeout"] = Value::Null;
        }
        let mut stage = Stage::new(template);
        stage.rules = self.rules.clone();
        self.put(&mut stage, &user(1), body);
        stage
    }

    fn put(&mut self, stage: &mut Stage, caller: &Principal, body: Value) {
        let before = stage.session.as_ref().map(Session::etag);
        let result = stage.put(caller, body).map_err(|refusal| refusal.kind);
        let etag_stays = before == stage.session.as_ref().map(Session::etag);
        writeln!(self.text, "{result:?} {etag_stays}").unwrap();
        self.show(stage, caller);
    }

    fn show(&mut self, stage: &Stage, caller: &Principal) {
        let Some(session) = &stage.session else { return };
        let readable = session.may_read(&stage.access(caller)).is_ok();
        let mut document = stage.document_for(caller);
        document["branch"] = Value::Null;
        writeln!(
            self.text,
            "{readable} {document} {}",
            session.bound_activities().count()
        )
        .unwrap();
    }
}

fn conversation(rules: &Rules) -> String {
    let mut scribe = Scribe {
        rules,
        text: String::new(),
    };
    let s = &mut scribe;
    let (alice, bob) = (user(1), user(2));
    let leave = || json!({ "members": { "me": null } });
    let local = user_with(5, |user| user.device_id = Some("device-1".to_owned()));

    let mut stage = s.stage(json!({}));
    s.put(
        &mut stage,
        &alice,
        json!({ "properties": { "custom": { "a": 1, "b": 2 } } }),
    );
    s.put(&mut stage, &alice, json!({ "properties": { "custom": { "a": null } } }));
    s.put(&mut stage, &alice, json!({ "surprise": 1 }));
    s.put(
        &mut stage,
        &alice,
        json!({ "constants": { "system": { "visibility": "private" } } }),
    );
    for keywords in [["a"], ["b"]] {
        s.put(&mut stage, &alice, system(json!({ "keywords": keywords })));
    }
    for _ in 0..2 {
        let subscription = json!({ Uuid::nil().to_string(): { "profile": "party" } });
        let other = json!({ Uuid::max().to_string(): { "profile": "party" } });
        s.put(&mut stage, &alice, me_system(json!({ "subscriptions": subscription })));
        s.put(&mut stage, &alice, me_system(json!({ "subscriptions": other })));
    }
    s.put(&mut stage, &alice, me_system(json!({ "active": true, "ready": true })));
    s.put(&mut stage, &alice, system(json!({ "host": "x", "turn": [0] })));
    s.put(&mut stage, &alice, system(json!({ "initializationSucceeded": true })));
    s.put(
        &mut stage,
        &bob,
        json!({ "members": { "me": { "constants": { "system": { "xuid": "7" } } } } }),
    );
    s.put(
        &mut stage,
        &bob,
        json!({ "members": { "me": { "constants": { "system": { "initialize": true } } } } }),
    );
    s.put(&mut stage, &bob, json!({ "servers": { "a": {} } }));
    s.put(&mut stage, &bob, json!({ "members": { "0": null } }));
    s.put(&mut stage, &bob, me_system(json!({ "secureDeviceAddress": "AAAA" })));
    s.put(&mut stage, &user(3), join());
    s.put(&mut stage, &bob, leave());
    stage.version = ContractVersion::V105;
    s.show(&stage, &alice);

    let mut stage = s.stage(json!({}));
    let (session, _) = stage
        .session()
        .bind_activity(Uuid::nil(), &stage.access(&alice))
        .unwrap();
    stage.session = Some(session);
    s.show(&stage, &alice);
    s.put(&mut stage, &alice, me_system(json!({ "active": false })));
    s.put(&mut stage, &local, system(json!({})));
    s.put(&mut stage, &alice, system(json!({ "joinRestriction": "local" })));
    s.put(
        &mut stage,
        &user_with(6, |user| user.device_id = Some("device-1".to_owned())),
        join(),
    );
    s.put(
        &mut stage,
        &alice,
        system(json!({ "joinRestriction": "followed", "readRestriction": "local" })),
    );

    for restricted in [json!({ "joinRestriction": "followed" }), json!({ "closed": true })] {
        let mut stage = s.stage(json!({ "reservedRemovalTimeout": 10 }));
        stage.social.follows.insert((4, 3));
        s.put(&mut stage, &alice, system(restricted));
        s.put(&mut stage, &alice, reserve(&[4, 2]));
        s.put(&mut stage, &user(3), join());
        s.put(&mut stage, &bob, json!({}));
        for grant in [Grant::Transfer, Grant::Invite] {
            stage.grant = grant;
            s.put(&mut stage, &user(8), join());
        }
        writeln!(s.text, "{}", stage.after(20)).unwrap();
        s.show(&stage, &alice);
    }

    for (max, body) in [(2, reserve(&[2])), (3, reserve(&[2])), (2, join())] {
        let mut stage = s.stage(json!({ "maxMembersCount": max }));
        let caller = if body["members"].get("me").is_some() {
            &bob
        } else {
            &alice
        };
        s.put(&mut stage, caller, body);
        s.put(&mut stage, &user(3), active());
        s.put(&mut stage, &user(4), active());
        s.put(
            &mut stage,
            &user_with(9, |user| user.may_play_multiplayer = false),
            join(),
        );
    }

    for visibility in ["visible", "private"] {
        let mut stage = s.stage(json!({ "visibility": visibility }));
        s.put(&mut stage, &alice, system(json!({ "keywords": ["a"] })));
        s.put(&mut stage, &bob, join());
        s.put(&mut stage, &alice, leave());
    }

    let mut stage = s.stage(json!({ "capabilities": { "userAuthorizationStyle": true } }));
    s.put(
        &mut stage,
        &alice,
        system(json!({ "joinRestriction": "none", "readRestriction": "none" })),
    );

    for (template, body) in [
        (
            json!({ "maxMembersCount": 5, "capabilities": {} }),
            json!({ "maxMembersCount": 6 }),
        ),
        (
            json!({ "capabilities": {} }),
            json!({ "capabilities": { "gameplay": true } }),
        ),
        (
            json!({}),
            json!({ "capabilities": { "large": true, "connectivity": true } }),
        ),
        (json!({}), json!({ "maxMembersCount": 200 })),
        (json!({ "initiators": ["3"] }), json!({})),
        (
            json!({ "capabilities": { "connectivity": true } }),
            json!({ "metrics": { "custom": true }, "peerToPeerRequirements": {} }),
        ),
        (json!({ "memberInitialization": {} }), json!({})),
    ] {
        let mut stage = Stage::new(template);
        stage.rules = rules.clone();
        let mut create = active();
        create["constants"] = json!({ "system": body });
        s.put(&mut stage, &alice, create);
    }
    let mut stage = Stage::new(json!({}));
    stage.rules = rules.clone();
    stage.template.contract_version = ContractVersion::V104;
    s.put(&mut stage, &alice, active());
    let mut stage = Stage::new(json!({}));
    stage.rules = rules.clone();
    s.put(&mut stage, &alice, json!({}));

    for migration in ["oldest", "endsession"] {
        let owned = json!({ "capabilities": { "hasOwners": true }, "ownershipPolicies": { "migration": migration } });
        let mut stage = s.stage(owned);
        for xuid in [2, 3] {
            s.put(&mut stage, &user(xuid), join());
        }
        s.put(&mut stage, &bob, system(json!({ "closed": true })));
        s.put(&mut stage, &alice, leave());
    }

    for managed in [false, true] {
        let mut stage = Stage::new(json!({ "inactiveRemovalTimeout": null }));
        stage.rules = rules.clone();
        let mut create = active();
        let limits = json!({ "a": { "max": 1 }, "b": { "max": 3, "target": 1 } });
        create["roleTypes"] = json!({ "t": { "ownerManaged": managed, "roles": limits } });
        s.put(&mut stage, &alice, create);
        if stage.session.is_some() && !managed {
            for (xuid, role) in [(1, "a"), (2, "a"), (1, "b"), (2, "b")] {
                s.put(
                    &mut stage,
                    &user(xuid),
                    json!({ "members": { "me": { "roles": { "t": role } } } }),
                );
            }
        }
    }

    let mut stage = s.stage(json!({ "capabilities": { "large": true } }));
    s.put(&mut stage, &bob, active());
    s.put(&mut stage, &alice, reserve(&[3]));

    let mut stage = s.stage(json!({ "capabilities": { "connectivity": true }, "metrics": { "latency": true } }));
    s.put(&mut stage, &alice, me_system(json!({ "secureDeviceAddress": "AAAA" })));
    // A fault may have kept the address out.
    let token = stage.document()["members"]["0"]["deviceToken"]
        .as_str()
        .unwrap_or("none")
        .to_owned();
    s.put(
        &mut stage,
        &alice,
        me_system(json!({ "measurements": { token: { "latency": 1 } } })),
    );

    let mut stage = s.stage(json!({ "capabilities": { "connectivity": true }, "peerToPeerRequirements": {} }));
    s.put(
        &mut stage,
        &alice,
        me_system(json!({ "measurements": { "other": { "latency": 1 } } })),
    );

    let mut stage = s.stage(json!({ "sessionEmptyTimeout": 1000 }));
    s.put(&mut stage, &alice, leave());
    s.put(&mut stage, &bob, active());
    writeln!(s.text, "{}", stage.after(2000)).unwrap();

    let mut stage = s.stage(json!({ "readyRemovalTimeout": 1000, "inactiveRemovalTimeout": 1000 }));
    s.put(&mut stage, &bob, me_system(json!({ "ready": true })));
    stage.after(5000);
    s.show(&stage, &alice);

    let mut stage = s.stage(json!({ "inactiveRemovalTimeout": 1000 }));
    s.put(&mut stage, &bob, me_system(json!({ "ready": true })));
    stage.after(900);
    s.put(&mut stage, &bob, me_system(json!({ "ready": false })));
    writeln!(s.text, "{}", stage.after(200)).unwrap();
    s.put(&mut stage, &server(), json!({}));

    let service = server();
    let for_each = |key: &str| json!({ "members": { key: {} } });
    let mut stage = s.stage(json!({ "visibility": "private" }));
    s.put(&mut stage, &service, join());
    stage.acting = acting(&[2, 3]);
    for key in ["me", "me_7", "me_allInSession", "me_all"] {
        s.put(&mut stage, &service, for_each(key));
    }
    s.put(&mut stage, &service, json!({ "members": { "me_2": null } }));
    stage.acting = acting(&[1]);
    s.put(&mut stage, &service, active());
    let bound = stage.session().bind_activity(Uuid::nil(), &stage.access(&service));
    writeln!(s.text, "{}", bound.is_ok()).unwrap();
    s.put(
        &mut stage,
        &alice,
        me_system(json!({ "subscriptions": { Uuid::nil().to_string(): { "onBehalfOfTitleId": "main" } } })),
    );
    let mut stage = s.stage(json!({ "capabilities": { "large": true } }));
    stage.acting = acting(&[2]);
    s.put(&mut stage, &service, active());
    stage.acting = acting(&[2, 3]);
    s.put(&mut stage, &service, for_each("me_all"));

    let mut stage = Stage::new(
        json!({ "inactiveRemovalTimeout": null, "capabilities": { "connectionRequiredForActiveMembers": true } }),
    );
    stage.rules = rules.clone();
    let now = stage.now;
    stage.sockets.0.insert(Uuid::nil(), (1, None));
    s.put(
        &mut stage,
        &alice,
        me_system(json!({ "active": true, "connection": Uuid::nil().to_string() })),
    );
    stage.sockets.0.insert(Uuid::nil(), (1, Some(now)));
    writeln!(s.text, "{}", stage.after(40_000)).unwrap();
    initialization(s);
    scribe.text
}

fn initialization(s: &mut Scribe<'_>) {
    let (alice, bob) = (user(1), user(2));
    let verdict = |value: bool| system(json!({ "initializationSucceeded": value }));

    let mut stage = s.create(json!({ "memberInitialization": {} }), initialize(active()));
    s.put(&mut stage, &alice, reserve(&[4]));
    let mut body = initialize_with(&[]);
    body["members"]["reserve_0"] = reserve(&[2])["members"]["reserve_0"].clone();
    s.create(json!({ "memberInitialization": {} }), body);

    // Joining: reservations, a ready member, a group, and somebody who waits.
    for reserved in [1000, 60_000] {
        let template = json!({
            "memberInitialization": {}, "reservedRemovalTimeout": reserved, "readyRemovalTimeout": 1000,
        });
        let mut stage = s.create(template, initialize_with(&[2, 3]));
        s.put(&mut stage, &alice, me_system(json!({ "initializationGroup": [9] })));
        s.put(&mut stage, &alice, me_system(json!({ "initializationGroup": [1] })));
        s.put(&mut stage, &user(3), me_system(json!({ "ready": true })));
        s.put(&mut stage, &alice, initialize(reserve(&[4])));
        for milliseconds in [2000, 8000, 100_000] {
            writeln!(s.text, "{}", stage.after(milliseconds)).unwrap();
            s.show(&stage, &alice);
        }
    }

    // The title evaluates, or does not.
    let external = json!({ "memberInitialization": { "externalEvaluation": true } });
    for succeeds in [true, false] {
        let mut stage = s.create(external.clone(), initialize_with(&[2]));
        stage.after(1000);
        s.put(&mut stage, &bob, active());
        s.put(&mut stage, &alice, verdict(succeeds));
        s.put(&mut stage, &user(3), initialize(active()));
    }
    let mut stage = s.create(external, initialize(active()));
    stage.after(5000);
    s.show(&stage, &alice);

    // Members measure each other.
    let link = |latency: u64, up: u64| json!({ "latency": latency, "bandwidthUp": up, "bandwidthDown": 200_000 });
    for requirements in ["peerToPeerRequirements", "peerToHostRequirements"] {
        for needed in [1, 2] {
            for host in [false, true] {
                let mut template = json!({
                    "capabilities": { "connectivity": true }, "metrics": { "latency": true, "bandwidthUp": true },
                    "memberInitialization": { "membersNeededToStart": needed },
                });
                template[requirements] = json!({});
                if requirements == "peerToHostRequirements" {
                    template[requirements]["hostSelectionMetric"] = json!("bandwidthup");
                }
                let mut stage = s.create(template, initialize_with(&[2, 3]));
                for xuid in [1, 2, 3] {
                    let device = json!({ "active": true, "secureDeviceAddress": "AAAA" });
                    s.put(&mut stage, &user(xuid), me_system(device));
                }
                let token = |index: usize| stage.document()["members"][index.to_string()]["deviceToken"].clone();
                let tokens = [0, 1, 2].map(|index| token(index).as_str().unwrap_or("none").to_owned());
                if host {
                    s.put(&mut stage, &alice, system(json!({ "host": tokens[2] })));
                }
                let [first, second, third] = &tokens;
                for (xuid, links) in [
                    (1, json!({ second: link(10, 20_000), third: link(999, 1) })),
                    (2, json!({ first: link(20, 30_000), third: { "latency": 1 } })),
                    (4, json!({})),
                ] {
                    s.put(&mut stage, &user(xuid), me_system(json!({ "measurements": links })));
                }
                writeln!(s.text, "{}", stage.after(30_000)).unwrap();
                s.show(&stage, &alice);
                s.put(&mut stage, &alice, system(json!({ "host": first })));
                s.put(&mut stage, &user(5), initialize(active()));
                s.put(&mut stage, &user(5), me_system(json!({ "measurements": {} })));
            }
        }
    }

    for template in [
        json!({ "memberInitialization": { "evaluationTimeout": 1 } }),
        json!({ "memberInitialization": { "membersNeededToStart": 0 }, "capabilities": { "large": true } }),
        json!({ "metrics": { "latency": true } }),
        json!({ "measurementServerAddresses": { "East": {} } }),
    ] {
        s.create(template, initialize(active()));
    }
    let mut stage = Stage::new(json!({}));
    stage.rules = s.rules.clone();
    stage.template.contract_version = ContractVersion::V105;
    stage.template.constants = json!({ "system": { "managedInitialization": {} } });
    s.put(&mut stage, &alice, initialize_with(&[2]));

    let mut stage = s.create(
        json!({ "capabilities": { "autoPopulateServerCandidates": true } }),
        active(),
    );
    let measured = json!({ "serverMeasurements": { "east": { "latency": 10 } } });
    s.put(&mut stage, &alice, me_system(measured));
}

#[test]
fn every_fault_of_the_table_shows() {
    let kept = conversation(&Rules::default());
    assert_eq!(
        conversation(&Rules::default()),
        kept,
        "the conversation is the same each time"
    );
    let mut unseen = Vec::new();
    // Faults that only the cases show: evaluation by the title, and services that act for users.
    let by_cases: &[&str] = &["INIT-051", "AUTH-017", "AUTH-007"];
    let elsewhere = [AT_THE_EDGE, OVER_HTTP, IN_REAL_TIME, by_cases].concat();
    let settled = Rules::table().iter().filter(|rule| rule.kind == RuleKind::Settled);
    for rule in settled.filter(|rule| !elsewhere.contains(&rule.id)) {
        let mut rules = Rules::default();
        rules.set(rule.id, "broken").unwrap();
        if conversation(&rules) == kept {
            unseen.push(rule.id);
        }
    }
    assert_eq!(unseen, [""; 0]);
}
