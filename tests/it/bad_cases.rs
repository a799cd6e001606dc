//! Case files that cannot be used: each kind of mistake has a file, and the error that it gives is pinned beside it.
//!
//! `BLESS=1 cargo test --test it bad_cases` writes the errors anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mpsd_conformance::suite::Suite;
use mpsd_conformance::suite::files::Files;
use serde_json::json;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad-cases");

/// The names and texts of the broken case files.
fn bad_cases() -> Vec<(String, String)> {
    let paths = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    cases.sort();
    assert!(cases.len() > 30, "the broken cases are gone");
    cases
}

/// A suite of its own, so that the errors do not change with the world of the real one.
fn files_around(cases: &[(String, String)]) -> Vec<(String, String)> {
    let person =
        |number: u32| json!({ "about": "A user.", "kind": "user", "xuid": number.to_string(), "title": "main" });
    let clause =
        |id: &str| json!({ "id": id, "level": "MUST", "evidence": "live", "statement": "It holds.", "source": "seen" });
    let reading = |statement: &str| json!({ "statement": statement, "sources": ["a page"] });
    let world = json!({
        "about": "A small world.",
        "features": { "handles": "session handles" },
        "identities": { "alice": person(1), "bob": person(2) },
        "titles": { "main": { "about": "The title.", "access": true } },
        "relations": {},
        "templates": {
            "open": { "about": "Anyone may join.", "contractVersion": 107, "constants": {} },
            "closed": { "about": "Nobody may join.", "contractVersion": 107, "constants": {} },
        },
    });
    let clauses =
        json!({ "title": "Bad", "about": "Mistakes.", "clauses": [clause("PROTO-001"), clause("PROTO-005")] });
    let readings = json!({ "no-content": reading("204"), "not-found": reading("404") });
    let entry = json!({ "id": "X-01", "topic": "Absence", "readings": readings, "recommended": "Either.", "clauses": ["PROTO-001"] });
    let own = [
        ("cases/world.json", world),
        ("cases/ledger.json", json!({ "entries": [entry] })),
        ("cases/invariants.json", json!({ "invariants": [] })),
        ("cases/bad/clauses.json", clauses),
    ];
    let own = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_string()));
    let embedded = Files::embedded();
    let schemas = embedded
        .under("schemas/")
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let cases = cases
        .iter()
        .map(|(name, text)| (format!("cases/bad/{name}.json"), text.clone()));
    own.chain(schemas).chain(cases).collect()
}

/// What is wrong with some cases, as it is told; empty if nothing is.
fn told(cases: &[(String, String)]) -> String {
    match Suite::load(Files::from_texts(files_around(cases))) {
        Ok(_) => String::new(),
        Err(broken) => broken.render(false) + "\n",
    }
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for case in bad_cases() {
        let told = told(std::slice::from_ref(&case));
        let place = format!("cases/bad/{}.json:", case.0);
        assert!(!told.is_empty(), "{} is taken for a case", case.0);
        assert!(
            told.contains(&place),
            "{} is told without a line and a column:\n{told}",
            case.0
        );
        assert!(
            told.contains("^^") || told.contains(" ^ "),
            "nothing is underlined in {}:\n{told}",
            case.0
        );
        let pinned: PathBuf = [FOLDER, &format!("{}.stderr", case.0)].iter().collect();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&pinned, &told).unwrap();
        }
        if fs::read_to_string(&pinned).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", case.0));
        }
    }
    assert!(
        wrong.is_empty(),
        "BLESS=1 pins what is told now:\n\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_sound_case_in_their_midst_is_one() {
    let text = r#"{ "title": "It is sound.", "clauses": ["PROTO-001"],
        "steps": [{ "as": "alice", "get": "{session}", "expect": { "status": 204 } }] }"#;
    assert_eq!(told(&[("sound".to_owned(), text.to_owned())]), "");
}

#[test]
fn all_mistakes_of_all_files_are_told_in_one_run() {
    let cases = bad_cases();
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files_around(&cases) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, text).unwrap();
    }
    for command in ["run", "check"] {
        let output = Command::new(env!("CARGO_BIN_EXE_mpsd-conformance"))
            .args([command, "--suite"])
            .arg(root.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}: {stderr}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{command}");
        for (name, _) in &cases {
            let pinned = fs::read_to_string(format!("{FOLDER}/{name}.stderr")).unwrap();
            assert!(
                stderr.contains(pinned.trim_end()),
                "{command} does not tell of {name}:\n{stderr}"
            );
        }
        assert!(stderr.contains("nothing was sent"), "{stderr}");
    }
}
