//! A suite with a small world of its own: what is said of its cases does not change with those of the real one.

use std::fs;
use std::path::Path;

use mpsd_conformance::contract::files::Files;
use serde_json::json;
use tempfile::TempDir;

/// The files of a suite with some cases in its chapter `bad`, by their names and texts.
pub fn files_around(cases: &[(String, String)]) -> Vec<(String, String)> {
    let person = |number: u32| {
        let (xuid, name) = (number.to_string(), format!("Player{number}"));
        json!({ "about": "A user.", "kind": "user", "xuid": xuid, "gamertag": name, "device": name, "title": "main" })
    };
    let clause = |id: &str| json!({ "id": id, "level": "MUST", "evidence": "live", "statement": "It must hold.", "sources": ["trial"] });
    let reading = |statement: &str| json!({ "statement": statement, "sources": ["trial"] });
    let world = json!({
        "about": "A small world.",
        "features": {
            "handles": { "about": "session handles", "uses": [{ "path": "/handles/**" }] },
            "large": { "about": "large sessions", "uses": [{ "body": "/constants/large" }, { "body": "/constants/custom/large" }] },
            "old": { "about": "old versions", "uses": [{ "versions": [105] }] },
            "clock": { "about": "time passes", "uses": [{ "time": 1 }] },
            "friends": { "about": "friends", "uses": [{ "relation": "follows" }] },
        },
        "identities": { "alice": person(1), "bob": person(2) },
        "titles": { "main": { "about": "The title.", "access": true } },
        "relations": { "follows": [["alice", "bob"]], "favorites": [], "blocks": [] },
        "templates": {
            "open": { "about": "Anyone may join.", "contractVersion": 107, "constants": {} },
            "large": { "about": "A large one.", "contractVersion": 107, "constants": { "custom": { "large": true } } },
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
        ("cases/bad/clauses.json", clauses),
        (
            "cases/sources.json",
            json!({ "pages": { "trial": { "title": "Trial", "kind": "reasoning" } } }),
        ),
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

/// The same in a folder.
pub fn written(cases: &[(String, String)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files_around(cases) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// A suite in a folder, with one case in which Alice reads a session that is not there; `status` is what she expects.
pub fn one_case(status: u16) -> TempDir {
    let step = json!({ "as": "alice", "get": "{session}", "expect": { "status": status } });
    let case = json!({ "title": "It is so.", "clauses": ["PROTO-001"], "steps": [step] });
    written(&[("only".to_owned(), case.to_string())])
}
