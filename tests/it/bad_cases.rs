//! Case files that cannot be used: each kind of mistake has a file, and the error that it gives is pinned beside it.
//!
//! `BLESS=1 cargo test --test it bad_cases` writes the errors anew.

use std::fs;
use std::path::PathBuf;

use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::files::Files;

use crate::program::program;
use crate::small_suite::{files_around, written};

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
    let root = written(&cases);
    for command in ["run", "check"] {
        let ended = program([command, "--suite", root.path().to_str().unwrap()]);
        let stderr = &ended.stderr;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{command}: {stderr}");
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
