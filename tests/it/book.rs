//! The book: whole, well-formed, without a link that leads nowhere, and the same every time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use mpsd_conformance::book::render;
use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::report::json;
use serde_json::{Value, json};

use crate::program::{program, text};
use crate::small_suite::{files_around, one_case, written};

/// Elements that have no end.
const VOID: [&str; 5] = ["meta", "link", "input", "br", "hr"];

fn is_page(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "html")
}

fn embedded() -> Suite {
    Suite::load(Files::embedded()).unwrap()
}

/// What a page has: the values of its attributes `id`, and of those that lead somewhere.
#[derive(Debug, Default)]
struct Read {
    ids: BTreeSet<String>,
    links: Vec<String>,
}

/// Reads a page strictly: every element ends where it should, every attribute is quoted, every id is there once.
fn read(name: &str, page: &str) -> Read {
    let mut read = Read::default();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((before, after)) = rest.split_once('<') {
        assert!(!before.contains('>'), "{name}: a bare `>` in {before:?}");
        check_entities(name, before);
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(ended) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(ended), "{name}: `</{ended}>` ends another element");
            continue;
        }
        let (element, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(
            element.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{name}: <{tag}>"
        );
        read.attributes(name, attributes);
        if element == "script" {
            rest = rest.split_once("</script>").unwrap().1;
        } else if !VOID.contains(&element) {
            open.push(element);
        }
    }
    assert!(open.is_empty() && rest.is_empty(), "{name}: {open:?} do not end");
    read
}

impl Read {
    fn attributes(&mut self, name: &str, attributes: &str) {
        let mut rest = attributes.trim();
        while !rest.is_empty() {
            let end = rest.find(['=', ' ']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            let Some(quoted) = after.strip_prefix("=\"") else {
                rest = after.trim_start();
                continue;
            };
            let (value, after) = quoted.split_once('"').unwrap();
            rest = after.trim_start();
            check_entities(name, value);
            match key {
                "id" => assert!(self.ids.insert(plain(value)), "{name}: the id {value} is there twice"),
                "href" | "src" | "action" => self.links.push(plain(value)),
                _ => assert!(!key.starts_with("on"), "{name}: {key}"),
            }
        }
    }
}

fn check_entities(name: &str, text: &str) {
    for (_, after) in text.match_indices('&').map(|(at, _)| text.split_at(at + 1)) {
        let known = ["amp;", "lt;", "gt;", "quot;"];
        assert!(
            known.iter().any(|entity| after.starts_with(entity)),
            "{name}: a bare `&` in {text:?}"
        );
    }
}

fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// The text of an address, its percent signs read.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = if first == b'%' { after.get(..2) } else { None };
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = &after[if code.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(bytes).unwrap()
}

/// Follows every link of every page.
fn check_links(files: &BTreeMap<String, String>) -> HashMap<&str, Read> {
    let pages = files.iter().filter(|(name, _)| is_page(name));
    let pages: HashMap<&str, Read> = pages.map(|(name, page)| (name.as_str(), read(name, page))).collect();
    for (name, page) in &pages {
        for link in &page.links {
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            assert!(
                !path.contains(':') && !path.starts_with('/'),
                "{name}: {link} leads out of the book"
            );
            let mut folders: Vec<&str> = name.split('/').collect();
            folders.pop();
            let path = decoded(path);
            for part in path.split('/').filter(|part| !part.is_empty()) {
                if part == ".." {
                    assert!(folders.pop().is_some(), "{name}: {link} leads out of the book");
                } else {
                    folders.push(part);
                }
            }
            let target = if path.is_empty() {
                (*name).to_owned()
            } else {
                folders.join("/")
            };
            assert!(files.contains_key(&target), "{name}: {link} leads nowhere");
            if !place.is_empty() {
                let ids = &pages[target.as_str()].ids;
                assert!(ids.contains(&decoded(place)), "{name}: {link} has no such place");
            }
        }
    }
    pages
}

#[test]
fn every_link_of_the_book_leads_somewhere_and_every_clause_is_there() {
    let suite = embedded();
    let files = render(&suite, None);
    let pages = check_links(&files);
    for clause in suite.clauses() {
        let ids = &pages[format!("chapters/{}.html", clause.chapter).as_str()].ids;
        for id in std::iter::once(&clause.id).chain(&clause.aliases) {
            assert!(ids.contains(id), "{id} is not in its chapter");
        }
    }
    for entry in suite.ledger() {
        assert!(
            pages["contradictions.html"].ids.contains(&entry.id),
            "{} is not there",
            entry.id
        );
    }
    for case in suite.cases() {
        assert!(
            pages.contains_key(format!("cases/{}.html", case.id).as_str()),
            "{} is not there",
            case.id
        );
    }
    for (field, document) in [
        ("members.*.properties.system.active", "session"),
        ("results[].id", "handle-query-result"),
    ] {
        assert!(
            pages[format!("documents/{document}.html").as_str()].ids.contains(field),
            "{field}"
        );
    }
    let bytes: usize = files.values().map(String::len).sum();
    assert!(bytes < 30_000_000, "{bytes} bytes");
}

#[test]
fn the_book_is_the_same_every_time() {
    assert!(render(&embedded(), None) == render(&embedded(), None));
}

#[test]
fn what_a_suite_says_is_text_wherever_it_stands() {
    let hostile = "<script>alert(1)</script> & \"quotes\" 'too' `<b>`";
    let step = json!({ "as": "alice", "get": "{session}?a=%22%3E&b=<i>", "expect": { "status": 204 } });
    let table = json!({ "columns": ["row", "value"], "rows": [["one", "</code><script>"], ["two", { "a": "<" }]] });
    let case = json!({ "title": format!("{hostile}."), "clauses": ["PROTO-001"], "table": table, "steps": [step] });
    let mut texts = files_around(&[("a b%c".to_owned(), case.to_string())]);
    for (name, text) in &mut texts {
        if ["cases/bad/clauses.json", "cases/ledger.json", "cases/sources.json"].contains(&name.as_str()) {
            let hostile = serde_json::to_string(hostile).unwrap();
            *text = text
                .replace("It holds.", hostile.trim_matches('"'))
                .replace("Absence", hostile.trim_matches('"'))
                .replace("Trial", hostile.trim_matches('"'));
        }
    }
    let suite = Suite::load(Files::from_texts(texts)).unwrap();
    let files = render(&suite, None);
    check_links(&files);
    for (name, page) in files.iter().filter(|(name, _)| is_page(name)) {
        let page = page
            .replace(include_str!("../../src/book/finder.js"), "")
            .replace("<script></script>", "");
        assert!(!page.contains("<script") && !page.contains("<b>`"), "{name}: {page}");
    }
    assert!(files.contains_key("cases/bad/a b%c.html"), "{:?}", files.keys());
}

/// Every `$ref` in a document, and every schema-like object that has one.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_openapi_document_has_every_operation_and_sound_schemas() {
    let suite = embedded();
    let document: Value = serde_json::from_str(&render(&suite, None)["openapi.json"]).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for path in &suite.schemas().operations().operations {
        for (verb, method) in &path.methods {
            let operation = &document["paths"][&path.path][verb.to_lowercase()];
            assert!(
                names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{operation}"
            );
            for (status, schemas) in &method.responses {
                let answer = &operation["responses"][status.to_string()];
                assert!(
                    answer["description"].as_str().unwrap().len() > 1,
                    "{verb} {}: {status}",
                    path.id
                );
                assert_eq!(
                    answer.get("content").is_none(),
                    schemas == &["none"],
                    "{verb} {}: {status}",
                    path.id
                );
            }
            assert_eq!(
                operation.get("requestBody").is_some(),
                method.request.is_some(),
                "{verb} {}",
                path.id
            );
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 500);
    for reference in found {
        let pointer = reference
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("{reference} leads out of the document"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut whole =
            json!({ "$schema": document["jsonSchemaDialect"], "$ref": format!("#/components/schemas/{name}") });
        whole["components"] = json!({ "schemas": schemas });
        jsonschema::draft202012::new(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let session = json!({ "$ref": "#/components/schemas/session-request", "components": { "schemas": schemas } });
    let session = jsonschema::draft202012::new(&session).unwrap();
    assert!(session.is_valid(&json!({ "members": { "me": { "properties": { "system": { "active": true } } } } })));
    assert!(!session.is_valid(&json!({ "members": { "me": { "properties": { "system": { "active": "yes" } } } } })));
}

#[test]
fn a_former_book_is_replaced_and_nothing_else_is() {
    let suite = one_case(204);
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("deep/pages");
    let write = |suite: &Path| program(["book", text(&pages), "--suite", text(suite)]);
    let ended = write(suite.path());
    assert!(ended.code == 0 && ended.stdout.contains("files written"), "{ended:?}");
    let case = pages.join("cases/bad/only.html");
    assert!(case.exists() && pages.join("openapi.json").exists());
    fs::write(pages.join("mine.txt"), "mine").unwrap();
    let step = json!({ "as": "alice", "get": "{session}", "expect": { "status": 204 } });
    let other = json!({ "title": "It is so.", "clauses": ["PROTO-001"], "steps": [step] }).to_string();
    let ended = write(written(&[("other".to_owned(), other)]).path());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        !case.exists() && pages.join("cases/bad/other.html").exists(),
        "{ended:?}"
    );
    assert_eq!(fs::read_to_string(pages.join("mine.txt")).unwrap(), "mine");

    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("index.html"), "mine").unwrap();
    let file = foreign.join("index.html");
    for path in [&foreign, &file] {
        let ended = program(["book", text(path), "--suite", text(suite.path())]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended.stdout.is_empty() && ended.stderr.contains(text(path)),
            "{ended:?}"
        );
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_marker_does_not_reach_beyond_its_folder() {
    let suite = one_case(204);
    let folder = tempfile::tempdir().unwrap();
    let (pages, mine) = (folder.path().join("pages"), folder.path().join("mine.txt"));
    fs::create_dir(&pages).unwrap();
    fs::write(&mine, "mine").unwrap();
    fs::write(pages.join(".mpsd-book"), format!("../mine.txt\n{}\n", text(&mine))).unwrap();
    let ended = program(["book", text(&pages), "--suite", text(suite.path())]);
    assert!(ended.code == 0 && mine.exists(), "{ended:?}");
}

#[test]
fn a_report_shows_what_a_target_does() {
    let suite = one_case(200);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let path = format!("json={}", text(&report));
    let run = program([
        "run",
        "--suite",
        text(suite.path()),
        "--snapshots",
        "off",
        "--report",
        &path,
    ]);
    assert_eq!(run.code, 1, "{run:?}");
    let pages = folder.path().join("pages");
    let told = [
        "book",
        text(&pages),
        "--suite",
        text(suite.path()),
        "--report",
        text(&report),
    ];
    let ended = program(told);
    assert_eq!(ended.code, 0, "{ended:?}");
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap();
    for name in ["chapters/bad.html", "cases/bad/only.html"] {
        assert!(
            page(name).contains("<span class=\"verdict fail\">fail</span>"),
            "{}",
            page(name)
        );
    }
    assert!(
        page("index.html").contains("What the embedded reference does"),
        "{}",
        page("index.html")
    );
    assert!(!page("index.html").contains("a different version of the suite"));

    let document = json::read(&fs::read_to_string(&report).unwrap()).unwrap();
    let files = render(&embedded(), Some(&document));
    assert!(files["index.html"].contains("a different version of the suite"));
    fs::write(&report, "{}").unwrap();
    let ended = program(told);
    assert!(ended.code == 2 && ended.stderr.contains("report.json"), "{ended:?}");
}
