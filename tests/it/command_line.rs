//! The command line: what each command tells, where, and with which exit code.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Serving, command, program, program_fed, text};
use crate::small_suite::{one_case, written};

/// Chapters that run fast, and use several identities and the clock.
const CHAPTERS: [&str; 4] = ["protocol", "read", "join", "reservations"];

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Verdicts by case.
fn verdicts(report: &Value) -> BTreeMap<&str, &str> {
    let cases = report["cases"].as_array().unwrap().iter();
    cases
        .map(|case| (case["id"].as_str().unwrap(), case["verdict"].as_str().unwrap()))
        .collect()
}

/// A target file for an address, whose identities have a token that nobody issued.
fn target_at(folder: &Path, address: &str) -> String {
    fs::write(folder.join("token"), "XBL3.0 x=1;nobody-issued-this").unwrap();
    let alice = json!({ "xuid": "1", "title": "1", "token": { "file": "token" } });
    let target = json!({
        "baseUrl": format!("http://{address}"),
        "scid": "00000000-0000-0000-0000-000000000000",
        "templates": ["open"],
        "identities": { "alice": alice },
    });
    let path = folder.join("target.json");
    fs::write(&path, target.to_string()).unwrap();
    text(&path).to_owned()
}

/// A service that answers whoever reads, and hangs up on whoever writes.
fn service_that_hangs_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 2048];
            let length = stream.read(&mut head).unwrap_or_default();
            if head[..length].starts_with(b"GET ") {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            }
        }
    });
    address
}

#[test]
fn a_run_that_conforms_ends_with_0() {
    let suite = one_case(204);
    let ended = program(["run", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("1 pass"), "{ended:?}");
}

#[test]
fn a_run_with_a_finding_ends_with_1() {
    let suite = one_case(200);
    let ended = program(["run", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 1, "{ended:?}");
    for told in [
        "FAIL bad/only",
        "PROTO-001",
        "expected 200, found 204",
        "cases/bad/only.json:1:",
        "curl",
    ] {
        assert!(ended.stdout.contains(told), "`{told}` is missing: {}", ended.stdout);
    }
}

#[test]
fn usage_that_is_wrong_ends_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &["run", "--frobnicate"],
        &["run", "--report", "json"],
        &["run", "--report", "telegram=x"],
        &["run", "--report", "json=no-such-folder/report.json"],
        &["run", "--jobs", "0"],
        &["run", "protocol", "no-such-chapter"],
        &["run", "--target", "no-such-file.json"],
        &["run", "--suite", "no-such-folder"],
        &["explain", "no-such-thing"],
        &["validate", "no-such-schema", "x.json"],
        &["validate", "handle", "no-such-file.json"],
        &["serve", "--config", "no-such-file.json"],
        &["serve", "--listen", "nowhere"],
    ] {
        let ended = program(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(
            ended.stdout.is_empty() && ended.stderr.contains("error:"),
            "{arguments:?}: {ended:?}"
        );
    }
}

#[test]
fn a_target_file_that_is_wrong_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.json");
    let broken = "{\n  \"baseUrl\": \"mpsd.example\",\n  \"scid\": 7,\n  \"templates\": [],\n  \"identites\": {}\n}\n";
    fs::write(&path, broken).unwrap();
    let ended = program(["run", "--target", text(&path)]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("target.json:5:3") && ended.stderr.contains("did you mean `identities`"),
        "{ended:?}"
    );
}

#[test]
fn a_selection_of_nothing_ends_with_3() {
    let ended = program(["run", "no-such-chapter"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("no case, chapter or clause matches `no-such-chapter`"),
        "{ended:?}"
    );
}

#[test]
fn a_target_that_is_not_there_ends_with_4() {
    let folder = tempfile::tempdir().unwrap();
    // The port was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let ended = program(["run", "protocol", "--target", &target_at(folder.path(), &address)]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("cannot be reached"),
        "{ended:?}"
    );
}

#[test]
fn a_target_that_refuses_everybody_ends_with_4() {
    let serving = Serving::start();
    let address = read_json(&serving.target())["baseUrl"]
        .as_str()
        .unwrap()
        .replace("http://", "");
    let folder = tempfile::tempdir().unwrap();
    let ended = program(["run", "protocol", "--target", &target_at(folder.path(), &address)]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stderr.contains("refused every identity"), "{ended:?}");
}

#[test]
fn a_target_that_hangs_up_ends_with_5() {
    let folder = tempfile::tempdir().unwrap();
    let read = json!({ "as": "alice", "get": "{session}", "expect": { "status": 204 } });
    let write = json!({ "as": "alice", "put": "{session}", "body": {}, "expect": { "status": 201 } });
    let case = json!({ "title": "It is so.", "clauses": ["PROTO-001"], "steps": [read, write] });
    let suite = written(&[("only".to_owned(), case.to_string())]);
    let target = target_at(folder.path(), &service_that_hangs_up());
    let report = folder.path().join("report.json");
    let asked = format!("json={}", text(&report));
    let ended = program([
        "run",
        "--suite",
        text(suite.path()),
        "--target",
        &target,
        "--report",
        &asked,
    ]);
    assert_eq!(verdicts(&read_json(&report))["bad/only"], "inconclusive", "{ended:?}");
    assert_eq!(ended.code, 5, "{ended:?}");
}

#[test]
fn lists_tell_what_there_is() {
    for (what, told) in [
        ("chapters", "protocol"),
        ("cases", "protocol/the-answer-holds-what-others-wrote"),
        ("clauses", "SES-COND-002"),
        ("contradictions", "X-02"),
        ("schemas", "session-request"),
        ("templates", "open"),
        ("identities", "alice"),
        ("features", "rate-limits"),
    ] {
        let ended = program(["list", what]);
        assert_eq!(ended.code, 0, "{what}: {ended:?}");
        let is_told = ended
            .stdout
            .lines()
            .any(|line| line.split_whitespace().next() == Some(told));
        assert!(is_told, "list {what} does not tell of {told}:\n{}", ended.stdout);
    }
    let ended = program(["list", "cases", "protocol", "SES-COND-002", "read/*"]);
    let ids: Vec<&str> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for chapter in ["protocol/", "conditional/", "read/"] {
        assert!(ids.iter().any(|id| id.starts_with(chapter)), "{ids:?}");
    }
    assert!(!ids.iter().any(|id| id.starts_with("join/")), "{ids:?}");
}

#[test]
fn a_clause_a_case_and_a_contradiction_are_explained() {
    let clause = program(["explain", "ses-cond-002"]).stdout;
    for told in ["SES-COND-002 MUST", "sources:", "cases:", "conditional/"] {
        assert!(clause.contains(told), "`{told}` is missing: {clause}");
    }
    let case = program(["explain", "protocol/the-answer-holds-what-others-wrote"]).stdout;
    for told in ["PROTO-001", "\"steps\""] {
        assert!(case.contains(told), "`{told}` is missing: {case}");
    }
    let entry = program(["explain", "X-02"]).stdout;
    assert!(entry.contains("no-content:") && entry.contains("not-found:"), "{entry}");
    let ended = program(["explain", "SES-COND-0O2"]);
    assert!(
        ended.code == 2 && ended.stderr.contains("did you mean `SES-COND-002`"),
        "{ended:?}"
    );
}

#[test]
fn a_suite_is_checked() {
    let suite = one_case(204);
    let ended = program(["check", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 2, "{ended:?}");
    for told in ["`PROTO-005` has no case", "case `bad/only` has no snapshot"] {
        assert!(ended.stderr.contains(told), "`{told}` is missing: {ended:?}");
    }
    assert!(!ended.stderr.contains("`PROTO-001`"), "{ended:?}");
    let case = |name: &str, clause: &str| {
        let step = json!({ "as": "alice", "get": "{session}", "expect": { "status": 204 } });
        (
            name.to_owned(),
            json!({ "title": "It is so.", "clauses": [clause], "steps": [step] }).to_string(),
        )
    };
    let suite = written(&[case("one", "PROTO-001"), case("two", "PROTO-005")]);
    let recorded = program(["run", "--suite", text(suite.path()), "--snapshots", "record"]);
    assert_eq!(recorded.code, 0, "{recorded:?}");
    let ended = program(["check", "--suite", text(suite.path())]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.contains("ok: 2 clauses, 2 case files, 2 cases"),
        "{ended:?}"
    );
    fs::remove_file(suite.path().join("cases/bad/two.json")).unwrap();
    let ended = program(["check", "--suite", text(suite.path())]);
    assert!(
        ended.code == 2 && ended.stderr.contains("snapshots/bad/two.snap"),
        "{ended:?}"
    );
}

#[test]
fn documents_are_validated() {
    let handle = json!({
        "id": "6b86e9a8-37f7-4f0c-8e3a-2f9e6a3f0b11", "type": "activity", "version": 1,
        "ownerXuid": "2814610000000001", "titleId": "1297290001", "createTime": "2026-01-01T00:00:00.0000000Z",
        "sessionRef": { "scid": "6b86e9a8-37f7-4f0c-8e3a-2f9e6a3f0b11", "templateName": "open", "name": "a" },
    });
    let ended = program_fed(&["validate", "handle", "-"], &handle.to_string());
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "-: valid handle\n"),
        "{ended:?}"
    );
    let mut larger = handle.clone();
    larger["tomorrow"] = json!({ "unheard": "of" });
    assert_eq!(program_fed(&["validate", "handle", "-"], &larger.to_string()).code, 0);
    let mut wrong = handle.clone();
    wrong["ownerXuid"] = json!(7);
    wrong["sessionRef"]["name"] = json!(null);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.json");
    fs::write(&path, format!("{wrong:#}\n")).unwrap();
    let ended = program(["validate", "handle", text(&path)]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stdout.contains("wrong.json:5:16: error: /ownerXuid:"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("error: /sessionRef/name:"), "{ended:?}");
    let ended = program_fed(&["validate", "handle", "-"], "{\n  \"id\": ,\n}");
    assert!(
        ended.code == 2 && ended.stderr.contains("-:2:9") && ended.stderr.contains("not JSON"),
        "{ended:?}"
    );
}

#[test]
fn a_template_with_a_field_that_nobody_reads_is_wrong() {
    let template = |constants: Value| json!({ "constants": constants }).to_string();
    let system = json!({ "maxMembersCount": 10, "memberInitialization": { "joinTimeout": 1000 } });
    let right = template(json!({ "system": system, "custom": { "any": { "name": 1 } } }));
    let ended = program_fed(&["validate", "template", "-"], &right);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "-: valid template\n"));
    let beside =
        template(json!({ "system": { "maxMembersCount": 10 }, "memberInitialization": { "joinTimeout": 1000 } }));
    let ended = program_fed(&["validate", "template", "-"], &beside);
    assert!(
        ended.code == 1 && ended.stdout.contains("/constants/memberInitialization: unknown field"),
        "{ended:?}"
    );
    let misspelled = template(json!({ "system": { "maxMemberCount": 10 } }));
    let ended = program_fed(&["validate", "template", "-"], &misspelled);
    assert!(
        ended.code == 1 && ended.stdout.contains("unknown field; did you mean `maxMembersCount`?"),
        "{ended:?}"
    );
}

#[test]
fn the_json_report_has_the_names_that_others_rely_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let asked = format!("json={}", text(&path));
    program([
        "run",
        "protocol",
        "SES-COND-002",
        "--snapshots",
        "off",
        "--report",
        &asked,
    ]);
    let report = read_json(&path);
    let cases = report["cases"].as_array().unwrap();
    let names = [
        "pass",
        "fail",
        "deviation",
        "fixed",
        "notApplicable",
        "inconclusive",
        "suiteFault",
    ];
    let counts: Vec<u64> = names.map(|name| report["summary"][name].as_u64().unwrap()).to_vec();
    assert_eq!(counts.iter().sum::<u64>(), cases.len() as u64);
    for case in cases {
        assert!(names.contains(&case["verdict"].as_str().unwrap()), "{case}");
        assert!(
            case["id"].as_str().unwrap().contains('/') && !case["clauses"].as_array().unwrap().is_empty(),
            "{case}"
        );
    }
    let clauses = report["clauses"].as_array().unwrap();
    let of = |id: &str| clauses.iter().find(|clause| clause["id"] == id).unwrap();
    assert_eq!(
        (&of("SES-COND-002")["level"], &of("SES-COND-002")["evidence"]),
        (&json!("MUST"), &json!("documented"))
    );
    assert_eq!(of("PROTO-001")["verdict"], "pass");
    assert_eq!(of("SES-MERGE-008")["verdict"], "untested");
}

#[test]
fn a_served_reference_is_judged_as_the_embedded_one_is_also_by_two_at_once() {
    let serving = Serving::start();
    let (target, snapshots) = (serving.target(), serving.path("snapshots"));
    assert_eq!(program(["validate", "target", text(&target)]).code, 0);
    let arguments = |report: &str, place: &[&str]| -> Vec<String> {
        let report = format!("json={}", text(&serving.path(report)));
        let own = ["run"]
            .into_iter()
            .chain(CHAPTERS)
            .chain(["--report", &report])
            .chain(place.iter().copied());
        own.map(str::to_owned).collect()
    };
    let at = ["--target", text(&target)];
    let first = command(arguments("first.json", &at))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let record = ["--snapshots", "record", "--snapshot-dir", text(&snapshots)];
    let second = program(arguments("second.json", &[&at[..], &record[..]].concat()));
    let first = first.wait_with_output().unwrap();
    let embedded = program(arguments("embedded.json", &["--snapshots", "off"]));
    assert_eq!(
        (first.status.code(), second.code),
        (Some(embedded.code), embedded.code),
        "{second:?}"
    );
    let reports = ["first.json", "second.json", "embedded.json"].map(|name| read_json(&serving.path(name)));
    assert!(verdicts(&reports[0]).len() > 50);
    assert_eq!(verdicts(&reports[0]), verdicts(&reports[2]));
    assert_eq!(verdicts(&reports[1]), verdicts(&reports[2]));
    assert_eq!(reports[0]["leftovers"], json!([]));

    // What was recorded of the served one is what the embedded one says, and nobody is told a token.
    let check = ["--snapshots", "check", "--snapshot-dir", text(&snapshots)];
    let ended = program(arguments("checked.json", &check));
    assert!(
        ended.code == embedded.code && !ended.stdout.contains("snapshot differs"),
        "{ended:?}"
    );
    let mut texts = vec![
        second.stdout,
        second.stderr,
        ended.stdout,
        fs::read_to_string(&target).unwrap(),
    ];
    texts.extend([first.stdout, first.stderr].map(|bytes| String::from_utf8(bytes).unwrap()));
    texts.extend(reports.iter().map(Value::to_string));
    let folders = fs::read_dir(&snapshots).unwrap().map(|folder| folder.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    texts.extend(files.map(|file| fs::read_to_string(file).unwrap()));
    assert!(texts.len() > 20);
    for token in serving.tokens() {
        assert!(!texts.iter().any(|text| text.contains(&token)), "a token was told");
    }
}

#[cfg(unix)]
#[test]
fn only_their_owner_may_read_the_tokens() {
    use std::os::unix::fs::PermissionsExt as _;
    let serving = Serving::start();
    let mode = fs::metadata(serving.path("target.tokens.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn no_colour_means_none() {
    let suite = one_case(200);
    let output = command(["run", "--suite", text(suite.path())])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    let output = command(["run", "--suite", text(suite.path())])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(output.stdout.contains(&0x1b), "who asks for colour gets it");
}

#[test]
fn a_reader_who_has_enough_is_no_fault() {
    for arguments in [
        &["list", "clauses"][..],
        &["explain", "SES-COND-002"],
        &["validate", "handle", "-"],
        &["--help"],
    ] {
        let mut child = command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}
