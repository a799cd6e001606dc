//! Deviations, written reports, comparison, shards and secrets, through the program itself.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use mpsd_conformance::report::{Report, json};
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::hosted;

/// What a browser or an XML parser must never be handed as it is.
const HOSTILE: &str = "<script>alert(1)</script> & \"]]>\" \u{7}\u{1b}[31m.";

/// A small suite, of cases that pass, fail and do not apply, in a folder of its own.
struct Workshop {
    folder: TempDir,
}

/// What a run of the program came to.
struct Ended {
    exit: i32,
    told: String,
}

impl Workshop {
    fn new() -> Self {
        let workshop = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["cases/trial", "cases/second", "schemas"] {
            fs::create_dir_all(workshop.path(folder)).unwrap();
        }
        for file in fs::read_dir(root.join("schemas")).unwrap() {
            let file = file.unwrap().path();
            fs::copy(&file, workshop.path("schemas").join(file.file_name().unwrap())).unwrap();
        }
        fs::copy(root.join("cases/world.json"), workshop.path("cases/world.json")).unwrap();
        let clause = |id: &str, level: &str| json!({ "id": id, "level": level, "evidence": "documented", "statement": HOSTILE, "sources": ["trial"] });
        for (chapter, prefix) in [("trial", "TRI"), ("second", "SEC")] {
            let clauses = [
                clause(&format!("{prefix}-001"), "MUST"),
                clause(&format!("{prefix}-002"), "SHOULD"),
            ];
            let file = json!({ "title": HOSTILE, "about": "A chapter.", "clauses": clauses });
            workshop.write(&format!("cases/{chapter}/clauses.json"), &file);
        }
        let sources = json!({ "pages": { "trial": { "title": HOSTILE, "kind": "reasoning" } } });
        workshop.write("cases/sources.json", &sources);
        let put = |custom: Value, expect: Value| {
            let body = json!({ "properties": { "custom": custom }, "members": { "me": {} } });
            json!({ "as": "alice", "put": "{session}", "body": body, "expect": expect })
        };
        let case = |clause: &str, steps: Value| json!({ "title": HOSTILE, "clauses": [clause], "steps": steps });
        let good = put(json!({}), json!({ "status": 201 }));
        let bad = put(
            json!({ "x": HOSTILE }),
            json!({ "status": 201, "body": { "properties": { "custom": { "x": "y" } } } }),
        );
        workshop.write("cases/trial/passes.json", &case("TRI-001", json!([good])));
        workshop.write("cases/trial/fails.json", &case("TRI-001", json!([bad])));
        workshop.write(
            "cases/trial/warns.json",
            &case("TRI-002", json!([put(json!({}), json!({ "status": 299 }))])),
        );
        workshop.write("cases/second/passes.json", &case("SEC-001", json!([good])));
        let status = put(json!({}), json!({ "status": 418 }));
        workshop.write("cases/second/fails.json", &case("SEC-001", json!([status])));
        let mut needy = case("SEC-001", json!([good]));
        needy["needs"] = json!(["rate-limits"]);
        workshop.write("cases/second/does-not-apply.json", &needy);
        hosted(workshop.folder.path());
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &Value) {
        fs::write(self.path(name), format!("{content:#}")).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn report(&self, name: &str) -> Report {
        json::read(&self.read(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mpsd-conformance"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("GITHUB_ACTIONS")
            .env_remove("MPSD_TARGET");
        command
    }

    fn tell(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments))
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.tell(&[&["run", "--suite", ".", "--target", "target.json"], arguments].concat())
    }

    fn is_valid(&self, schema: &str, file: &str) {
        let ended = self.tell(&["validate", "--suite", ".", schema, file]);
        assert_eq!(ended.exit, 0, "{}", ended.told);
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .concat();
    Ended {
        exit: output.status.code().unwrap(),
        told,
    }
}

#[test]
fn a_run_is_green_with_a_drafted_list_and_red_when_the_list_rots() {
    let workshop = Workshop::new();
    assert_eq!(workshop.run(&[]).exit, 1);
    let drafted = workshop.run(&["--write-deviations", "deviations.json"]);
    assert_eq!(
        drafted.exit, 1,
        "drafting a list does not excuse the run: {}",
        drafted.told
    );
    workshop.is_valid("deviations", "deviations.json");
    let green = workshop.run(&["--deviations", "deviations.json", "--report", "json=report.json"]);
    assert_eq!(green.exit, 0, "{}", green.told);
    assert!(green.told.contains("2 deviation"), "{}", green.told);
    workshop.is_valid("report", "report.json");

    let list: Value = serde_json::from_str(&workshop.read("deviations.json")).unwrap();
    let red = |change: &dyn Fn(&mut Vec<Value>), part: &str| {
        let mut list = list.clone();
        change(list["deviations"].as_array_mut().unwrap());
        workshop.write("changed.json", &list);
        let ended = workshop.run(&["--deviations", "changed.json"]);
        assert_eq!(ended.exit, 1, "{}", ended.told);
        assert!(ended.told.contains(part), "`{part}` in {}", ended.told);
    };
    let entry = |case: &str| json!({ "case": case, "reason": "known" });
    red(&|list| list[0]["observed"] = "299".into(), "matches no failure");
    red(&|list| list.push(entry("trial/passes")), "FIXED trial/passes");
    red(
        &|list| list.push(entry("trial/never-was")),
        "trial/never-was matches no failure",
    );
    red(&|list| list[0]["expires"] = "2001-01-01".into(), "has expired");
    red(&|list| list.truncate(1), "FAIL");

    workshop.write("wrong.json", &json!({ "deviations": [{ "case": "trial/fails" }] }));
    let wrong = workshop.run(&["--deviations", "wrong.json"]);
    assert_eq!(wrong.exit, 2);
    assert!(wrong.told.contains("missing key `reason`"), "{}", wrong.told);
}

#[test]
fn a_list_and_a_comparison_do_not_mind_names_that_are_fresh_in_every_run() {
    let workshop = Workshop::new();
    let thing = |number: u8| json!({ "properties": { "custom": { "{uuid:thing}": number } } });
    let mut sent = thing(1);
    sent["members"] = json!({ "me": {} });
    let step =
        json!({ "as": "alice", "put": "{session}", "body": sent, "expect": { "status": 201, "body": thing(2) } });
    let case = json!({ "title": "A thing of its own.", "clauses": ["TRI-001"], "steps": [step] });
    workshop.write("cases/trial/fails.json", &case);
    workshop.run(&["--write-deviations", "deviations.json", "--report", "json=old.json"]);
    let list = workshop.read("deviations.json");
    assert!(list.contains("body /properties/custom/{uuid:thing}"), "{list}");
    let green = workshop.run(&["--deviations", "deviations.json"]);
    assert_eq!(green.exit, 0, "{}", green.told);
    workshop.run(&["--report", "json=new.json"]);
    let compared = workshop.tell(&["compare", "old.json", "new.json"]);
    assert_eq!(compared.exit, 0, "{}", compared.told);
    assert!(!compared.told.contains("trial/fails"), "{}", compared.told);
}

#[test]
fn a_list_kept_over_a_partial_run_is_not_stale() {
    let workshop = Workshop::new();
    workshop.run(&["--write-deviations", "deviations.json"]);
    let ended = workshop.run(&["--deviations", "deviations.json", "trial"]);
    assert_eq!(ended.exit, 0, "{}", ended.told);
}

#[test]
fn counts_agree_in_every_format() {
    let workshop = Workshop::new();
    let list = json!({ "deviations": [{ "case": "trial/fails*", "reason": HOSTILE }, { "case": "second/passes*", "reason": HOSTILE }] });
    workshop.write("deviations.json", &list);
    let reports = [
        "--report",
        "json=r.json",
        "--report",
        "junit=r.xml",
        "--report",
        "html=r.html",
    ];
    let ended = workshop.run(&[&["--deviations", "deviations.json"], &reports[..]].concat());
    assert_eq!(ended.exit, 1);
    workshop.is_valid("report", "r.json");
    let report = workshop.report("r.json");
    let summary = &report.summary;
    let counts = (
        summary.pass,
        summary.fail,
        summary.deviation,
        summary.fixed,
        summary.not_applicable,
    );
    assert!(
        summary.pass > 0
            && summary.fail > 0
            && summary.deviation > 0
            && summary.fixed > 0
            && summary.not_applicable > 0,
        "{counts:?}"
    );

    for (count, name) in [
        (summary.pass, "pass"),
        (summary.fail, "fail"),
        (summary.deviation, "deviation"),
        (summary.fixed, "fixed"),
        (summary.not_applicable, "not applicable"),
    ] {
        assert!(
            ended.told.contains(&format!("{count} {name}")),
            "{count} {name} in {}",
            ended.told
        );
    }

    let chapters: Vec<Element> = elements(&workshop.read("r.xml"));
    let cases: Vec<&Element> = chapters
        .iter()
        .filter(|element| element.name == "testcase" && element.parent != "deviations")
        .collect();
    let with = |child: &str| {
        cases
            .iter()
            .filter(|case| case.children.contains(&child.to_owned()))
            .count()
    };
    assert_eq!(cases.len(), summary.total());
    assert_eq!(with("failure"), summary.fail + summary.fixed);
    assert_eq!(with("skipped"), summary.deviation + summary.not_applicable);
    assert_eq!(with("error"), summary.inconclusive + summary.suite_fault);

    let page = workshop.read("r.html");
    for (verdict, count) in [
        ("pass", summary.pass),
        ("fail", summary.fail),
        ("deviation", summary.deviation),
        ("fixed", summary.fixed),
        ("notApplicable", summary.not_applicable),
    ] {
        let told = Regex::new(&format!("class=\"case\" data-verdict=\"{verdict}\"")).unwrap();
        assert_eq!(told.find_iter(&page).count(), count, "{verdict}");
        assert!(
            count == 0 || page.contains(&format!("<li class=\"{verdict}\"><b>{count}</b>")),
            "{verdict}"
        );
    }
}

/// An element of an XML document, as far as a `JUnit` report is concerned.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    /// The name of the suite it is in.
    parent: String,
    children: Vec<String>,
}

/// Reads XML strictly: tags nest, text and attributes are escaped, and no control character is in it.
fn elements(xml: &str) -> Vec<Element> {
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{xml}");
    assert!(
        !xml.contains(|c: char| c.is_control() && !"\n\r\t".contains(c)),
        "a control character"
    );
    let tag = Regex::new(r#"<(/?)([A-Za-z-]+)((?:\s+[A-Za-z-]+="[^"<]*")*)\s*(/?)>"#).unwrap();
    let attribute = Regex::new(r#"([A-Za-z-]+)="([^"<]*)""#).unwrap();
    let entity = Regex::new(r"&(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);").unwrap();
    let rest = &xml[xml.find("?>").unwrap() + 2..];
    let (mut found, mut open, mut at): (Vec<Element>, Vec<usize>, usize) = (Vec::new(), Vec::new(), 0);
    for tag in tag.captures_iter(rest) {
        let whole = tag.get(0).unwrap();
        let text = entity.replace_all(&rest[at..whole.start()], "");
        assert!(!text.contains(['<', '&']), "unescaped: {text}");
        at = whole.end();
        if &tag[1] == "/" {
            let last: usize = open.pop().unwrap();
            assert_eq!(found[last].name, &tag[2]);
            continue;
        }
        let attributes: BTreeMap<String, String> = attribute
            .captures_iter(&tag[3])
            .map(|found| (found[1].to_owned(), found[2].to_owned()))
            .collect();
        if let Some(&parent) = open.last() {
            found[parent].children.push(tag[2].to_owned());
        }
        let parent = open
            .last()
            .and_then(|&parent| found[parent].attributes.get("name"))
            .cloned()
            .unwrap_or_default();
        found.push(Element {
            name: tag[2].to_owned(),
            attributes,
            parent,
            children: Vec::new(),
        });
        if &tag[4] != "/" {
            open.push(found.len() - 1);
        }
    }
    assert!(open.is_empty() && rest[at..].trim().is_empty());
    found
}

/// Name, attributes that must be there, attributes that may, and children that may.
type Rule = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn the_junit_report_has_the_structure_that_ci_systems_read() {
    // As `JUnit`'s XML schemas agree.
    let grammar: [Rule; 8] = [
        (
            "testsuites",
            &["name", "tests", "failures", "errors"],
            &["time", "skipped"],
            &["testsuite"],
        ),
        (
            "testsuite",
            &["name", "tests", "failures", "errors", "skipped"],
            &["time"],
            &["properties", "testcase"],
        ),
        ("properties", &[], &[], &["property"]),
        ("property", &["name", "value"], &[], &[]),
        (
            "testcase",
            &["name", "classname"],
            &["time"],
            &["failure", "error", "skipped"],
        ),
        ("failure", &["type", "message"], &[], &[]),
        ("error", &["type", "message"], &[], &[]),
        ("skipped", &["message"], &[], &[]),
    ];
    let workshop = Workshop::new();
    let list = json!({ "deviations": [{ "case": "trial/fails*", "reason": HOSTILE }, { "case": "never/*", "reason": HOSTILE }] });
    workshop.write("deviations.json", &list);
    workshop.run(&["--deviations", "deviations.json", "--report", "junit=r.xml"]);
    let elements = elements(&workshop.read("r.xml"));
    for element in &elements {
        let (_, required, optional, children) = grammar.iter().find(|(name, ..)| *name == element.name).unwrap();
        for name in *required {
            assert!(
                element.attributes.contains_key(*name),
                "{} without {name}",
                element.name
            );
        }
        for name in element.attributes.keys() {
            assert!(
                required.contains(&name.as_str()) || optional.contains(&name.as_str()),
                "{} with {name}",
                element.name
            );
        }
        for child in &element.children {
            assert!(children.contains(&child.as_str()), "{child} in {}", element.name);
        }
        if element.name == "testsuite" {
            let place = element.children.iter().position(|child| child == "properties");
            assert!(place.is_none_or(|place| place == 0), "properties come first");
            let own = |name| {
                elements
                    .iter()
                    .filter(|e| {
                        e.name == "testcase"
                            && e.parent == element.attributes["name"]
                            && e.children.contains(&String::from(name))
                    })
                    .count()
            };
            assert_eq!(element.attributes["failures"], own("failure").to_string());
            assert_eq!(element.attributes["skipped"], own("skipped").to_string());
        }
        if element.name == "testcase" {
            assert!(element.children.len() <= 1, "one verdict a case");
        }
    }
    let suites: Vec<&str> = elements
        .iter()
        .filter(|e| e.name == "testsuite")
        .map(|e| e.attributes["name"].as_str())
        .collect();
    assert_eq!(
        suites,
        ["second", "trial", "deviations"],
        "the stale entry has a suite of its own"
    );
}

#[test]
fn the_page_needs_nothing_else_and_escapes_everything() {
    let workshop = Workshop::new();
    workshop.run(&["--report", "html=r.html"]);
    let page = workshop.read("r.html");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("<script>alert(1)"));
    assert_eq!(page.matches("<script").count(), 1);
    for part in ["<link", "<img", "<iframe", "src=", "@import", "url(", "javascript:"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(
        Regex::new(r#"href="[^#]"#).unwrap().find(&page).is_none(),
        "every link stays in the page"
    );
    assert!(!page.contains(|c: char| c.is_control() && !"\n\t".contains(c)));
}

#[test]
fn cases_that_broke_alike_are_told_together_and_the_most_frequent_cause_first() {
    let workshop = Workshop::new();
    let one: Value = serde_json::from_str(&workshop.read("cases/second/fails.json")).unwrap();
    for number in 0..20 {
        workshop.write(&format!("cases/second/too-{number:02}.json"), &one);
    }
    workshop.run(&[
        "--report",
        "html=r.html",
        "--report",
        "json=r.json",
        "--report",
        "junit=r.xml",
    ]);
    workshop.is_valid("report", "r.json");
    let document = workshop.report("r.json");
    let causes = document.causes();
    let told: Vec<_> = causes.iter().map(|cause| (cause.text, cause.count())).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], ("PUT of session, status: expected 418, found 201", 21));
    let page = workshop.read("r.html");
    assert!(page.contains("22 cases to look at, with 2 causes"));
    let (causes, rest) = page
        .split_once("id=\"causes\"")
        .unwrap()
        .1
        .split_once("id=\"chapters\"")
        .unwrap();
    assert_eq!(
        causes
            .matches("PUT of session, status: expected 418, found 201")
            .count(),
        1
    );
    assert!(causes.contains("curl -i --path-as-is -g -X PUT") && causes.contains("and 8 more"));
    for number in 0..20 {
        let link = format!("href=\"#case-second/too-{number:02}\"");
        assert!(causes.contains(&link), "{link}");
        assert!(rest.contains(&format!("id=\"case-second/too-{number:02}\"")));
    }
    let junit = workshop.read("r.xml");
    assert_eq!(
        junit
            .matches("21 cases failed the same way: PUT of session, status: expected 418, found 201")
            .count(),
        21
    );
    let listed = ["second/fails", "second/too-*", "trial/fails"].map(|case| json!({ "case": case, "reason": "known" }));
    workshop.write("known.json", &json!({ "deviations": listed }));
    workshop.run(&["--deviations", "known.json", "--report", "html=r.html"]);
    assert!(!workshop.read("r.html").contains("id=\"causes\""));
}

#[test]
fn a_partial_run_says_so_everywhere() {
    let workshop = Workshop::new();
    let reports = [
        "--report",
        "json=r.json",
        "--report",
        "junit=r.xml",
        "--report",
        "html=r.html",
    ];
    let mut command = workshop.command(
        &[
            &["run", "--suite", ".", "--target", "target.json", "trial/passes"],
            &reports[..],
        ]
        .concat(),
    );
    let ended = ended(command.env("GITHUB_ACTIONS", "true"));
    assert_eq!(ended.exit, 0);
    assert_eq!(
        ended.told.matches("part of the suite").count(),
        2,
        "on the terminal and in the notice: {}",
        ended.told
    );
    assert!(workshop.report("r.json").suite.partial);
    for file in ["r.xml", "r.html"] {
        assert!(
            workshop.read(file).contains("part of the suite: 1 of 6 cases"),
            "{file}"
        );
    }
}

#[test]
fn github_is_told_in_its_own_words() {
    let workshop = Workshop::new();
    let mut command = workshop.command(&["run", "--suite", ".", "--target", "target.json"]);
    let ended = ended(command.env("GITHUB_ACTIONS", "true"));
    let commands: Vec<&str> = ended.told.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(
        commands
            .iter()
            .filter(|line| line.starts_with("::error title=fail%3A "))
            .count(),
        2,
        "{commands:?}"
    );
    assert!(
        commands
            .iter()
            .any(|line| line.starts_with("::notice ") && line.contains("2 fail")),
        "{commands:?}"
    );
    assert!(!workshop.run(&[]).told.contains("::error"));
}

#[test]
fn shards_merge_into_the_report_of_the_whole() {
    let workshop = Workshop::new();
    workshop.run(&["--report", "json=whole.json"]);
    let mut names = Vec::new();
    for index in 1..=3 {
        let name = format!("{index}.json");
        workshop.run(&[
            "--shard",
            &format!("{index}/3"),
            "--balance",
            "whole.json",
            "--report",
            &format!("json={name}"),
        ]);
        workshop.is_valid("report", &name);
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let merged = workshop.tell(
        &[
            &["merge"],
            &names[..],
            &["--report", "json=merged.json", "--report", "html=merged.html"],
        ]
        .concat(),
    );
    assert_eq!(merged.exit, 1, "{}", merged.told);
    let verdicts = |report: &Report| -> Vec<_> {
        report
            .cases
            .iter()
            .map(|case| (case.id.clone(), case.verdict))
            .collect()
    };
    let clauses = |report: &Report| -> Vec<_> {
        report
            .clauses
            .iter()
            .map(|clause| (clause.id.clone(), clause.verdict))
            .collect()
    };
    let (whole, joined) = (workshop.report("whole.json"), workshop.report("merged.json"));
    assert_eq!(verdicts(&whole), verdicts(&joined));
    assert_eq!(clauses(&whole), clauses(&joined));
    assert!(!joined.suite.partial && whole.summary == joined.summary);

    let twice = workshop.tell(&["merge", "1.json", "1.json"]);
    assert_eq!(twice.exit, 2);
    assert!(
        twice.told.contains("each case must be in one shard only"),
        "{}",
        twice.told
    );
    assert!(
        workshop
            .tell(&["merge", "1.json", "2.json"])
            .told
            .contains("part of the suite")
    );
}

#[test]
fn a_comparison_tells_what_broke_and_ends_accordingly() {
    let workshop = Workshop::new();
    workshop.run(&["--report", "json=old.json"]);
    let same = workshop.tell(&["compare", "old.json", "old.json"]);
    assert_eq!(same.exit, 0, "{}", same.told);
    let mut worse = workshop.report("old.json");
    worse.cases.retain(|case| case.id.starts_with("second/"));
    fs::write(workshop.path("part.json"), json::render(&worse).unwrap()).unwrap();
    let text = workshop
        .read("old.json")
        .replacen("\"verdict\": \"fail\"", "\"verdict\": \"pass\"", 1);
    let mut before = json::read(&text).unwrap();
    for case in before
        .cases
        .iter_mut()
        .filter(|case| case.id.starts_with("second/fails"))
    {
        case.findings.clear();
    }
    fs::write(workshop.path("before.json"), json::render(&before).unwrap()).unwrap();
    let broke = workshop.tell(&["compare", "before.json", "old.json"]);
    assert_eq!(broke.exit, 1, "{}", broke.told);
    assert!(
        broke.told.contains("Broke by the target: 1") && broke.told.contains("second/fails"),
        "{}",
        broke.told
    );
    let fixed = workshop.tell(&["compare", "old.json", "before.json"]);
    assert_eq!(fixed.exit, 0, "{}", fixed.told);
    assert!(fixed.told.contains("Fixed by the target: 1"), "{}", fixed.told);
    fs::write(workshop.path("no.json"), "{}").unwrap();
    assert_eq!(workshop.tell(&["compare", "old.json", "no.json"]).exit, 2);
}

/// A service that sends back all it was sent, in headers, cookies and the body.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 8192];
            let length = stream.read(&mut head).unwrap_or_default();
            let text = String::from_utf8_lossy(&head[..length]).into_owned();
            let token = text.lines().find_map(|line| {
                line.to_lowercase()
                    .starts_with("authorization:")
                    .then(|| line[14..].trim().to_owned())
            });
            let token = token.unwrap_or_default();
            let body = json!({ "echo": token, "bare": token.rsplit(';').next() }).to_string();
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Echo: {token}\r\nSet-Cookie: t={token}\r\nETag: \"{token}\"\r\n\
                 Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    });
    url
}

#[test]
fn a_target_that_echoes_tokens_gets_none_into_any_report() {
    let workshop = Workshop::new();
    let secret = "eyJzZWNyZXQ-planted_by_a_test";
    fs::write(workshop.path("token"), format!("XBL3.0 x=42;{secret}\n")).unwrap();
    let world: Value = serde_json::from_str(&workshop.read("cases/world.json")).unwrap();
    let identity = |name: &String| {
        (
            name.clone(),
            json!({ "xuid": "1", "title": "1", "token": { "file": "token" } }),
        )
    };
    let identities: serde_json::Map<_, _> = world["identities"].as_object().unwrap().keys().map(identity).collect();
    let templates: Vec<&String> = world["templates"].as_object().unwrap().keys().collect();
    let target = json!({ "baseUrl": echo(), "scid": "c0ffee00-0000-4000-8000-000000000001", "templates": templates, "identities": identities });
    workshop.write("target.json", &target);
    let unknown = json!({ "title": "A stranger is refused.", "clauses": ["TRI-001"],
        "steps": [{ "as": "unknown", "get": "{session}", "expect": { "status": 401, "headers": { "ETag": { "$absent": true } } } }] });
    workshop.write("cases/trial/stranger.json", &unknown);
    let reports = [
        "--report",
        "json=r.json",
        "--report",
        "junit=r.xml",
        "--report",
        "html=r.html",
        "--write-deviations",
        "d.json",
    ];
    let snapshots = [
        "--target",
        "target.json",
        "--snapshots",
        "record",
        "--snapshot-dir",
        "baseline",
    ];
    let ended = workshop.tell(&[&["run", "--suite", "."], &snapshots[..], &reports[..]].concat());
    assert_eq!(ended.exit, 1, "{}", ended.told);
    assert!(!ended.told.contains(secret), "{}", ended.told);
    assert!(workshop.read("r.json").contains("<secret>"));
    let mut files: Vec<PathBuf> = ["r.json", "r.xml", "r.html", "d.json"]
        .map(|name| workshop.path(name))
        .into();
    for chapter in ["trial", "second"] {
        files.extend(
            fs::read_dir(workshop.path("baseline").join(chapter))
                .unwrap()
                .map(|file| file.unwrap().path()),
        );
    }
    let canary = Regex::new("x=0;[0-9a-f]{32}").unwrap();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(secret) && !canary.is_match(&text), "{}", file.display());
    }
}
