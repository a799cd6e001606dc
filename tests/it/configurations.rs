//! What `serve --config` makes of an operator's own file.

use std::fs;

use serde_json::{Value, json};

use crate::program::{Serving, command, program, text};

const SCID: &str = "11111111-2222-3333-4444-555555555555";

/// A configuration whose one template has these constants.
fn configuration(system: &str) -> String {
    format!(
        "{{\n  \"serviceConfigs\": {{\n    \"{SCID}\": {{\n      \"templates\": {{ \"lobby\": {{ \"constants\": {{ \"system\": \
         {system} }} }} }}\n    }}\n  }},\n  \"principals\": {{ \"zed\": {{ \"xuid\": \"7\", \"title\": \"1234\" }} }}\n}}\n"
    )
}

#[test]
fn a_configuration_that_no_session_could_use_is_refused_with_its_place_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mpsd.json");
    for (sound, broken, place, expected) in [
        ("", "{ \"maxMembersCount\": \"eight\" }", "mpsd.json:4:79", "an integer"),
        (
            "",
            "{ \"visibility\": \"opened\" }",
            "mpsd.json:4:74",
            "expected one of",
        ),
        (
            "",
            "{ \"inviteProtocol\": \"party\" }",
            "mpsd.json:4:78",
            "expected one of",
        ),
        ("", "{ \"version\": 1, }", "mpsd.json:4:", "not JSON"),
        (
            "\"title\": \"1234\"",
            "\"titel\": \"1234\"",
            "mpsd.json:7:41",
            "unknown field",
        ),
    ] {
        let good = configuration("{ \"version\": 1 }");
        let wrong = if sound.is_empty() {
            configuration(broken)
        } else {
            good.replace(sound, broken)
        };
        fs::write(&path, wrong).unwrap();
        let ended = program(["serve", "--config", text(&path), "--listen", "127.0.0.1:0"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended.stderr.contains(place) && ended.stderr.contains(expected),
            "{ended:?}"
        );
        assert!(!ended.stderr.contains("serving"), "{ended:?}");
    }
}

#[test]
fn a_configuration_of_ones_own_is_judged_with_the_suites_world_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mpsd.json");
    let mut own: Value = serde_json::from_str(&configuration("{ \"version\": 1 }")).unwrap();
    own["rules"] = json!({ "X-02": "not-found" });
    fs::write(&path, own.to_string()).unwrap();
    let serving = Serving::start_with(&["--config", text(&path), "--with-suite"]);
    let report = serving.path("report.json");
    let target = serving.target();
    let ended = program([
        "run",
        "--target",
        text(&target),
        "--report",
        &format!("json={}", text(&report)),
        "read",
    ]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.contains("not-found"),
        "the reading of the configuration: {ended:?}"
    );

    own["principals"]["alice"] = json!({ "xuid": "8", "title": "1234" });
    fs::write(&path, own.to_string()).unwrap();
    let arguments = [
        "serve",
        "--config",
        text(&path),
        "--with-suite",
        "--listen",
        "127.0.0.1:0",
    ];
    let ended = program(arguments);
    assert!(ended.code == 2 && ended.stderr.contains("`alice`"), "{ended:?}");
}

#[test]
fn a_target_may_have_its_sockets_opened_with_nonces() {
    let serving = Serving::start();
    serving.change(|target| target["sockets"] = json!("nonce"));
    let target = serving.target();
    assert_eq!(program(["validate", "target", text(&target)]).code, 0);
    let selected = [
        "realtime/a-subscription-*",
        "realtime/a-socket-*",
        "realtime/an-invite-*",
    ];
    let run = |arguments: &[&str]| {
        let output = command(["run", "--target", text(&target)])
            .args(selected)
            .args(arguments)
            .output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, shown) = run(&[]);
    assert_eq!(code, Some(0), "{shown}");

    let broken = Serving::start_with(&["--fault", "RTA-046"]);
    broken.change(|target| target["sockets"] = json!("nonce"));
    let ended = program([
        "run",
        "--target",
        text(&broken.target()),
        "realtime/a-subscription-brings-taps",
    ]);
    assert_eq!(ended.code, 1, "{ended:?}");
}
