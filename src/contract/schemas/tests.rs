use std::fs;
use std::path::Path;

use serde_json::json;

use crate::contract::schemas::*;
use crate::contract::version::ContractVersion;

/// The real folder.
pub(crate) fn real() -> Schemas {
    Schemas::new(files()).unwrap_or_else(|error| panic!("{error:?}"))
}

fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_schema_of_the_folder_is_well_formed_and_compiles() {
    let schemas = real();
    assert_eq!(schemas.compile_all(), []);
}

#[test]
fn the_table_of_operations_follows_its_own_schema() {
    let (_, text) = files().into_iter().find(|(name, _)| name == OPERATIONS).unwrap();
    assert_eq!(violations("operations", 107, &serde_json::from_str(&text).unwrap()), "");
}

/// A session as a service may answer it at contract 107: one active member, one reservation.
fn session() -> Value {
    json!({
        "contractVersion": 107,
        "branch": "1d4a6c0e-0b7c-4f4e-9a53-61a4a9a1c0de",
        "changeNumber": 3,
        "correlationId": "0AB63FDF-8C70-4D69-8B52-39D1F6F9A0B1",
        "startTime": "2031-04-05T06:07:08.1234567Z",
        "nextTimer": "2031-04-05T06:07:38.1234567Z",
        "constants": {
            "system": {
                "version": 1, "maxMembersCount": 8, "visibility": "open", "sessionEmptyTimeout": 0,
                "inactiveRemovalTimeout": null, "capabilities": { "gameplay": true, "connectivity": true },
                "somethingNew": true
            },
            "custom": {}
        },
        "properties": { "system": { "turn": [], "host": "7f3a" }, "custom": { "map": "quarry" } },
        "members": {
            "0": {
                "next": 2,
                "joinTime": "2031-04-05T06:07:08.1234567Z",
                "gamertag": "RustyAnchor",
                "activeTitleId": "1234567890",
                "deviceToken": "7f3a",
                "constants": { "system": { "xuid": "2814600000000001", "index": 0 }, "custom": {} },
                "properties": {
                    "system": { "active": true, "connection": "3b0c4a52-9f10-4f5f-8f64-9c4e1c7a55d2" },
                    "custom": {}
                }
            },
            "2": {
                "next": 3,
                "reserved": true,
                "joinTime": "2031-04-05T06:07:09.0000000Z",
                "constants": { "system": { "xuid": "2814600000000002" }, "custom": "blue" },
                "properties": { "system": {}, "custom": {} }
            }
        },
        "membersInfo": { "first": 0, "next": 3, "count": 2, "accepted": 1 },
        "servers": {}
    })
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(map) => _ = map.insert(key.to_owned(), new),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = new,
        _ => panic!("nothing to set at {pointer}"),
    }
    value
}

fn without(mut value: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .shift_remove(key);
    value
}

/// Pointer, keyword, clause and message of each violation, one a line.
fn violations(schema: &str, version: u16, value: &Value) -> String {
    let version = ContractVersion::of(version.into()).unwrap();
    let violations = real().validate(schema, version, value);
    let lines: Vec<String> = violations
        .iter()
        .map(|found| {
            let clause = found.clause.as_deref().unwrap_or("-");
            format!(
                "{:?} {} {clause} {}: {}",
                found.severity, found.pointer, found.keyword, found.message
            )
        })
        .collect();
    lines.join("\n")
}

#[test]
fn a_session_with_members_nobody_described_follows_the_schema() {
    assert_eq!(violations("session", 107, &session()), "");
}

#[test]
fn a_number_for_an_xuid_is_told_with_its_place_its_clause_and_what_was_expected() {
    let wrong = with(session(), "/members/0/constants/system/xuid", json!(5));
    assert_eq!(
        violations("session", 107, &wrong),
        "Violation /members/0/constants/system/xuid SES-MCON-001 type: expected a decimal string, found the number 5"
    );
}

#[test]
fn a_member_without_next_breaks_the_list_of_members() {
    let wrong = without(without(session(), "/members/0/next"), "/membersInfo/first");
    assert_eq!(
        violations("session", 107, &wrong),
        "Violation /members/0 SES-RESP-006 required: missing field `next`\n\
         Violation /membersInfo SES-RESP-008 required: missing field `first`"
    );
}

#[test]
fn a_known_value_in_other_letters_is_only_remarked_upon() {
    let other = with(session(), "/constants/system/visibility", json!("Open"));
    assert_eq!(
        violations("session", 107, &other),
        "Remark /constants/system/visibility SES-VIS-001 x-enum: expected the spelling \"open\", found \"Open\""
    );
    let unknown = with(session(), "/constants/system/visibility", json!("full"));
    assert_eq!(
        violations("session", 107, &unknown),
        "Violation /constants/system/visibility SES-VIS-001 x-enum: \
         expected one of private, visible, open, found the string \"full\""
    );
}

#[test]
fn a_connection_is_a_guid_or_absent_and_never_empty() {
    let wrong = with(session(), "/members/0/properties/system/connection", json!(""));
    assert_eq!(
        violations("session", 107, &wrong),
        "Violation /members/0/properties/system/connection SES-MSYS-016 format: \
         expected a GUID, found the string \"\""
    );
}

#[test]
fn what_is_only_written_never_comes_back() {
    let wrong = with(session(), "/members/0/properties/system/encounters", json!([]));
    assert_eq!(
        violations("session", 107, &wrong),
        "Violation /members/0/properties/system/encounters SES-MSYS-013 not: \
         expected no value, found an empty array"
    );
}

#[test]
fn a_large_session_lists_at_most_the_caller() {
    let large = with(session(), "/constants/system/capabilities/large", json!(true));
    assert_eq!(
        violations("session", 107, &large),
        "Violation /members SES-LARGE-001 propertyNames: expected only the field me, found the string \"0\"\n\
         Violation /members SES-LARGE-001 propertyNames: expected only the field me, found the string \"2\""
    );
    let me = without(session()["members"]["0"].clone(), "/next");
    let large = with(
        with(large, "/members", json!({ "me": me })),
        "/membersInfo",
        json!({ "count": 4711 }),
    );
    assert_eq!(violations("session", 107, &large), "");
}

#[test]
fn the_contract_version_of_the_document_chooses_its_time_limits() {
    let older = with(session(), "/contractVersion", json!(105));
    let limits = json!({ "reserved": 30000, "inactive": 7_200_000, "ready": 180_000, "sessionEmpty": "0" });
    let older = with(older, "/constants/system/timeouts", limits);
    assert_eq!(
        violations("session", 105, &older),
        "Violation /constants/system/timeouts/sessionEmpty VER-011 type: \
         expected a whole number of milliseconds, or null, found the string \"0\""
    );
    let newer = with(session(), "/constants/system/readyRemovalTimeout", json!(-1));
    assert_eq!(
        violations("session", 107, &newer),
        "Violation /constants/system/readyRemovalTimeout TMO-008 minimum: expected at least 0, found the number -1"
    );
}

#[test]
fn a_session_of_an_older_contract_is_a_whole_session() {
    let older = with(session(), "/contractVersion", json!(104));
    assert_eq!(violations("session", 104, &older), "");
    assert_ne!(violations("session", 104, &without(older.clone(), "/membersInfo")), "");
    assert_eq!(
        real().volatile("session", ContractVersion::V104, &older).len(),
        real().volatile("session", ContractVersion::V107, &session()).len()
    );
}

#[test]
fn a_write_of_each_contract_version_has_its_own_schema() {
    let older = json!({ "constants": { "system": { "timeouts": { "inactive": 5 } } } });
    let newer = json!({ "constants": { "system": { "inactiveRemovalTimeout": 5 } } });
    assert_eq!(violations("session-request", 105, &older), "");
    assert_eq!(violations("session-request", 107, &newer), "");
    assert_eq!(
        violations("session-request", 107, &older),
        "Violation /constants/system/timeouts SES-CONST-005 unevaluatedProperties: \
         unknown field `timeouts`"
    );
    assert!(violations("session-request", 104, &newer).contains("unknown field `inactiveRemovalTimeout`"));
}

#[test]
fn a_full_write_follows_the_schema() {
    let write = json!({
        "constants": {
            "system": {
                "version": 1, "maxMembersCount": 12, "visibility": "open", "inviteProtocol": "game",
                "sessionEmptyTimeout": null, "initiators": ["2814600000000001"],
                "capabilities": { "connectivity": true, "gameplay": true, "hasOwners": true },
                "metrics": { "latency": true, "bandwidthDown": false },
                "peerToHostRequirements": { "latencyMaximum": 200, "hostSelectionMetric": "latency" },
                "memberInitialization": { "externalEvaluation": true, "evaluationTimeout": 4000 },
                "ownershipPolicies": { "migration": "oldest", "nonOwnerModifiableSystemProperties": ["closed"] }
            },
            "custom": { "ruleset": 4 }
        },
        "properties": {
            "system": { "keywords": ["quick"], "turn": [0], "closed": true, "locked": true, "host": null },
            "custom": { "map": "quarry", "old": null }
        },
        "members": {
            "me": {
                "constants": { "system": { "initialize": true }, "custom": { "skill": 7 } },
                "properties": {
                    "system": {
                        "active": true, "ready": false,
                        "connection": "3b0c4a52-9f10-4f5f-8f64-9c4e1c7a55d2",
                        "subscription": { "id": "845CC784-7348-4A27-BCDE-C083579DD113", "changeTypes": ["everything"] },
                        "measurements": { "7f3a": { "latency": 12.5, "custom": {} } }, "RolePreference": { "medic": 75 }
                    },
                    "custom": {}
                },
                "roles": { "class": "medic" }
            },
            "reserve_0": { "constants": { "system": { "xuid": "2814600000000002" } } },
            "reserve_1": { "constants": { "system": { "xuid": "2814600000000003" } } }
        },
        "servers": { "lobby1": { "properties": { "custom": { "region": "north" } } }, "lobby2": null },
        "roleTypes": { "class": { "ownerManaged": false, "roles": { "medic": { "max": 2, "target": 1 } } } }
    });
    assert_eq!(violations("session-request", 107, &write), "");
}

#[test]
fn what_one_write_cannot_say_at_once_is_told_at_the_second_half() {
    let both = json!({ "members": { "me": { "properties": { "system": { "active": true, "ready": true } } } } });
    assert_eq!(
        violations("session-request", 107, &both),
        "Violation /members/me/properties/system/ready SES-MEMBER-008 enum: \
         expected one of false, null, found true"
    );
    let locked = json!({ "properties": { "system": { "locked": true, "closed": false } } });
    assert_eq!(
        violations("session-request", 107, &locked),
        "Violation /properties/system/closed SES-RESTR-018 const: expected true, found false"
    );
    let tighter = json!({ "properties": { "system": { "joinRestriction": "followed", "readRestriction": "local" } } });
    assert!(violations("session-request", 107, &tighter).contains("/properties/system/readRestriction SES-RESTR-011"));
    let pairs = json!({ "constants": { "system": { "capabilities": { "large": true, "connectivity": true } } } });
    assert!(
        violations("session-request", 107, &pairs)
            .contains("/constants/system/capabilities/connectivity SES-LARGE-005")
    );
    let hidden = json!({
        "constants": { "system": { "visibility": "private" } },
        "properties": { "system": { "keywords": ["quick"] } }
    });
    assert!(violations("session-request", 107, &hidden).contains("/properties/system/keywords SES-VIS-007"));
}

#[test]
fn a_write_may_say_nothing_that_the_contract_does_not_know() {
    let write = json!({
        "branch": 1,
        "members": { "bob": {}, "reserve_1": { "constants": { "system": {} } } },
        "properties": { "system": { "joinRestriction": "Followed" } }
    });
    assert_eq!(
        violations("session-request", 107, &write),
        "Violation /branch SES-BODY-002 additionalProperties: unknown field `branch`\n\
         Violation /members SES-RSV-003 required: missing field `reserve_0`\n\
         Violation /members/bob SES-BODY-009 additionalProperties: unknown field `bob`\n\
         Violation /members/reserve_1/constants/system SES-RSV-005 required: missing field `xuid`\n\
         Remark /properties/system/joinRestriction SES-RESTR-001 x-enum: \
         expected the spelling \"followed\", found \"Followed\""
    );
}

const SCID: &str = "7492baca-c1b4-440d-a391-b7ef364a8d40";

#[test]
fn the_type_of_a_handle_says_what_else_it_needs() {
    let reference = json!({ "scid": SCID, "templateName": "open", "name": "a" });
    for good in [
        json!({ "version": 1, "type": "activity", "sessionRef": { "scid": SCID, "templateName": "open" } }),
        json!({ "version": 1, "type": "invite", "sessionRef": reference, "invitedXuid": "2",
            "inviteAttributes": { "titleId": 1234, "context": "c" } }),
        json!({ "version": 1, "type": "transfer", "sessionRef": reference, "originSessionRef": reference }),
        json!({ "type": "search", "sessionRef": reference,
            "searchAttributes": { "tags": ["Fast_1"], "numbers": { "rank": 7.5 } } }),
    ] {
        assert_eq!(violations("handle-request", 107, &good), "");
    }
    let invite = json!({ "version": 1, "type": "invite", "sessionRef": reference });
    assert_eq!(
        violations("handle-request", 107, &invite),
        "Violation  HDL-INV-021 required: missing field `invitedXuid`"
    );
    let tag = json!({ "type": "search", "sessionRef": reference, "searchAttributes": { "tags": ["1 a"] } });
    assert!(violations("handle-request", 107, &tag).contains("/searchAttributes/tags/0 SRCH-HDL-008"));
    let unknown = json!({ "type": "party", "version": 1, "sessionRef": reference });
    assert!(violations("handle-request", 107, &unknown).contains("/type HDL-GEN-004 enum"));
}

#[test]
fn handles_and_query_results_are_validated_to_the_last_item() {
    let handle = json!({
        "id": "f1a0b7c2-2f4d-4f0e-8a8f-0f2c5d6e7a81", "type": "activity", "version": 1,
        "sessionRef": { "scid": SCID, "templateName": "open", "name": "a" },
        "ownerXuid": "2814600000000001", "titleId": "1234567890", "createTime": "2031-04-05T06:07:08.1234567Z",
        "relatedInfo": { "visibility": "full", "joinRestriction": "followed", "closed": false,
            "maxMembersCount": 8, "membersCount": 8, "something": "new" }
    });
    assert_eq!(violations("handle", 107, &handle), "");
    let results = json!({ "results": [handle, without(with(handle.clone(), "/titleId", json!(5)), "/ownerXuid")] });
    assert_eq!(
        violations("handle-query-result", 107, &results),
        "Violation /results/1 HDL-QRY-008 required: missing field `ownerXuid`\n\
         Violation /results/1/titleId HDL-GEN-019 type: expected a decimal string, found the number 5"
    );
    let sessions = json!({ "results": [{
        "xuid": "2814600000000001", "startTime": "2031-04-05T06:07:08.1Z", "status": "active", "visibility": "open",
        "accepted": 2, "sessionRef": { "scid": SCID, "templateName": "open", "name": "a" }
    }] });
    assert_eq!(violations("sessions-query-result", 107, &sessions), "");
}

#[test]
fn frames_of_the_real_time_service_are_chosen_by_their_first_item() {
    assert_eq!(violations("realtime-frame", 107, &json!([4])), "");
    assert_eq!(
        violations("realtime-frame", 107, &json!([1, 7, 2, "no such resource"])),
        ""
    );
    assert!(
        violations("realtime-frame", 107, &json!([1, 7, 0, 3, { "ConnectionId": "x" }]))
            .contains("/4/ConnectionId RTA-008")
    );
    assert!(violations("realtime-frame", 107, &json!([3, 0, { "shoulderTaps": [] }])).contains("missing field `ncid`"));
    assert!(violations("realtime-frame", 107, &json!([9])).contains("/0 RTA-002 enum"));
}

#[test]
fn an_unknown_schema_is_a_fault_of_the_suite() {
    assert_eq!(
        violations("sesion", 107, &json!({})),
        "SuiteFault  - $schema: unknown schema `sesion`"
    );
}

#[test]
fn a_document_names_the_values_that_change_from_run_to_run() {
    let schemas = real();
    let session = session();
    let found: Vec<String> = schemas
        .volatile("session", ContractVersion::V107, &session)
        .iter()
        .map(|volatile| format!("{} {:?}", volatile.pointer, volatile.kind))
        .collect();
    assert_eq!(
        found,
        [
            "/branch Guid(\"branch\")",
            "/correlationId Guid(\"correlation\")",
            "/startTime Time",
            "/nextTimer Time",
            "/properties/system/host Token(\"device\")",
            "/members/0/joinTime Time",
            "/members/0/deviceToken Token(\"device\")",
            "/members/0/properties/system/connection Guid(\"connection\")",
            "/members/2/joinTime Time",
        ]
    );
    let throttled = json!({ "currentRequests": 31, "maxRequests": 30, "periodInSeconds": 15 });
    let throttled = schemas.volatile("throttled", ContractVersion::CURRENT, &throttled);
    assert_eq!(throttled.len(), 1);
    assert_eq!(schemas.volatile_header("etag"), Some(&VolatileKind::Etag));
    assert_eq!(schemas.volatile_header("Content-Type"), None);
}

#[test]
fn an_operation_is_found_by_its_path_whatever_the_case_of_the_literal_segments() {
    let schemas = real();
    let id = |method: &str, path: &str| schemas.operation(method, path).map(|found| found.path().id.clone());
    let session = format!("/serviceConfigs/{SCID}/sessionTemplates/open/sessions/a");
    assert_eq!(
        id("put", &format!("{session}?nocommit=true")).as_deref(),
        Some("session")
    );
    assert_eq!(
        id("DELETE", &format!("{session}/members/me")).as_deref(),
        Some("session-me")
    );
    assert_eq!(
        id("DELETE", &format!("{session}/members/3")).as_deref(),
        Some("session-member")
    );
    assert_eq!(
        id("POST", "/handles/query?include=relatedInfo").as_deref(),
        Some("handles-query")
    );
    assert_eq!(id("GET", &format!("/handles/{SCID}")).as_deref(), Some("handle"));
    assert_eq!(id("GET", "/handles/"), None);
    assert_eq!(id("GET", "/nowhere"), None);

    let put = schemas.operation("PUT", &session).unwrap();
    assert_eq!(put.request_schema(), Some("session-request"));
    assert_eq!(put.responses(412), ["none", "session"]);
    assert_eq!(put.responses(429), ["none", "throttled"]);
    assert!(put.responses(418).is_empty());
    let patch = schemas.operation("PATCH", &session).unwrap();
    assert!(patch.method().is_none());
    assert_eq!(patch.responses(405), ["text"]);
}

#[test]
fn a_response_is_held_against_the_schema_that_fits_it_best() {
    let schemas = real();
    let path = format!("/serviceconfigs/{SCID}/sessiontemplates/open/sessions/a");
    let put = schemas.operation("PUT", &path).unwrap();
    let judge = |status, body: Body<'_>| {
        let judgement = schemas.judge(&put, status, ContractVersion::CURRENT, body);
        let messages: Vec<String> = judgement
            .violations
            .into_iter()
            .map(|violation| violation.message)
            .collect();
        (judgement.schema.unwrap_or_default(), messages.join("\n"))
    };
    let session = session();
    let document = document::Document::from(&session);
    assert_eq!(judge(200, Body::Json(&document)), ("session".to_owned(), String::new()));
    assert_eq!(judge(412, Body::Empty), (String::new(), String::new()));
    assert_eq!(judge(403, Body::Text("no")), ("text".to_owned(), String::new()));
    assert_eq!(judge(403, Body::Json(&document)), ("session".to_owned(), String::new()));
    assert_eq!(
        judge(200, Body::Empty).1,
        "expected a body `session`, found an empty body"
    );
    assert_eq!(
        judge(204, Body::Json(&document)).1,
        "expected no body, found a JSON body"
    );
    assert_eq!(judge(418, Body::Text("teapot")), (String::new(), String::new()));
}

/// The problems of one schema with this body, one a line.
fn problems(body: &Value) -> String {
    let mut schema = json!({ "$id": format!("{BASE}x.schema.json") });
    schema
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    let found = match Schemas::new([("x.schema.json", schema.to_string())]) {
        Ok(schemas) => schemas.compile_all(),
        Err(problems) => problems,
    };
    let line = |problem: Problem| match problem.place {
        Place::Value(pointer) => format!("{}#{pointer}: {}", problem.file, problem.message),
        other => panic!("{other:?}"),
    };
    found.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_misspelt_keyword_is_told_with_file_and_pointer() {
    assert_eq!(
        problems(&json!({ "propertes": {} })),
        "schemas/x.schema.json#/propertes: unknown keyword `propertes`"
    );
    assert_eq!(
        problems(&json!({ "properties": { "a": { "type": "object" } } })),
        "schemas/x.schema.json#/properties/a: the field `a` has no description"
    );
    assert_eq!(
        problems(&json!({ "items": { "$ref": "y.schema.json" } })),
        "schemas/x.schema.json#/items/$ref: `y.schema.json` does not exist"
    );
    assert!(problems(&json!({ "items": { "x-volatile": "guid:" } })).contains("#/items/x-volatile: expected"));
    assert!(problems(&json!({ "items": { "x-unit": "furlongs" } })).contains("#/items/x-unit: expected one of ms"));
    assert!(problems(&json!({ "items": { "format": "uid" } })).contains("uid"));
    assert!(problems(&json!({ "type": "text" })).contains("x.schema.json"));
    assert_eq!(problems(&json!({ "items": { "type": "string" } })), "");
}
