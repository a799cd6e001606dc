//! The suite's own lint: what loads and yet is not as it should be.

use std::collections::BTreeSet;

use crate::contract::Suite;
use crate::contract::case::needs::{self, Need};
use crate::contract::case::{Action, Body, Case, Expectation, Script, Scripts, Step, Variant, variable};
use crate::contract::clause::{Clause, Level};
use crate::contract::json::expected_one_of;
use crate::contract::json::problem::{Place, Problem};
use crate::contract::manifest::{self, Manifest};
use crate::contract::signature::{self, Signatures};
use crate::contract::version::ContractVersion;
use crate::contract::world::World;

/// Everything that is wrong with a suite that loads.
pub fn check(suite: &Suite) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_schemas(suite, &mut problems);
    check_invariants(suite, &mut problems);
    check_clauses(suite, &mut problems);
    check_world(suite, &mut problems);
    for case in suite.cases() {
        let mut seen = BTreeSet::new();
        let scripts = case.scripts();
        check_needs(suite, case, &scripts, &mut problems);
        for (variant, script) in scripts.with(case) {
            let mut has_written = false;
            for step in script.steps() {
                let is_early = has_written && !case.needs.iter().any(|need| need == "rate-limits");
                if is_early && expects_results(suite, step) && seen.insert((step.pointer.clone(), String::new())) {
                    problems.push(Problem {
                        file: format!("cases/{}.json", case.id),
                        place: Place::Value(step.pointer.clone()),
                        message: "a query after a write is sent only once".to_owned(),
                        expected: "add `within`: queries are not real time (QRY-040)".to_owned(),
                    });
                }
                has_written |= step.requests().iter().any(|request| request.method != "GET");
                check_step(
                    suite,
                    case,
                    (variant, script),
                    step,
                    &mut |pointer, message, expected| {
                        if seen.insert((pointer.clone(), message.clone())) {
                            let file = format!("cases/{}.json", case.id);
                            problems.push(Problem {
                                file,
                                place: Place::Value(pointer),
                                message,
                                expected,
                            });
                        }
                    },
                );
            }
        }
    }
    check_snapshots(suite, &mut problems);
    check_manifest(suite, &mut problems);
    check_signatures(suite, &mut problems);
    problems
}

/// Faults that are recorded and that the suite does not know so.
fn check_signatures(suite: &Suite, problems: &mut Vec<Problem>) {
    let Some(text) = suite.files().get(signature::FILE) else {
        return;
    };
    match Signatures::read(suite.files()) {
        Ok(signatures) => problems.extend(signatures.iter().flat_map(|signatures| signatures.check(suite))),
        Err(found) => problems.extend(found),
    }
    if let Ok(root) = crate::contract::json::parse(signature::FILE, text) {
        for violation in suite.schemas().validate("faults", ContractVersion::CURRENT, &root) {
            problems.push(Problem {
                file: signature::FILE.to_owned(),
                place: Place::Value(violation.pointer),
                message: format!("against schemas/faults.schema.json: {}", violation.message),
                expected: violation.keyword,
            });
        }
    }
}

fn check_schemas(suite: &Suite, problems: &mut Vec<Problem>) {
    problems.extend(suite.schemas().compile_all());
    let files = suite.files();
    let recorded = files.get(manifest::FILE).map(|text| (manifest::FILE, text));
    for (name, text) in files.under("cases/").chain(recorded) {
        let Ok(root) = crate::contract::json::parse(name, text) else {
            continue;
        };
        let path: Vec<&str> = name.split('/').collect();
        let schema = match path.as_slice() {
            ["cases" | "snapshots", file] => file.trim_end_matches(".json"),
            ["cases", _, "clauses.json"] => "clauses",
            ["cases", _, "templates.json"] => "templates",
            _ => "case",
        };
        for violation in suite.schemas().validate(schema, ContractVersion::CURRENT, &root) {
            problems.push(Problem {
                file: name.to_owned(),
                place: Place::Value(violation.pointer),
                message: format!("against schemas/{schema}.schema.json: {}", violation.message),
                expected: violation.keyword,
            });
        }
    }
}

/// Invariants of which a finding would count against clauses of different weights.
fn check_invariants(suite: &Suite, problems: &mut Vec<Problem>) {
    for (index, invariant) in suite.invariants().iter().enumerate() {
        if let Some((message, expected)) = mixed(suite, &invariant.clauses) {
            problems.push(Problem {
                file: "cases/invariants.json".to_owned(),
                place: Place::Value(format!("/invariants/{index}/clauses")),
                message,
                expected: expected.to_owned(),
            });
        }
    }
}

/// Clauses without a case, and contested ones that the ledger does not know.
fn check_clauses(suite: &Suite, problems: &mut Vec<Problem>) {
    let cases = suite.cases_by_clause();
    let ids = |ids: &[String]| {
        ids.iter()
            .filter_map(|id| suite.clause(id))
            .map(|clause| clause.id.clone())
            .collect::<Vec<_>>()
    };
    let judged: BTreeSet<String> = suite
        .invariants()
        .iter()
        .flat_map(|invariant| ids(&invariant.clauses))
        .collect();
    for note in suite.notes() {
        let own = suite.notes().iter().filter(|other| other.chapter == note.chapter);
        let index = own
            .map(|other| &other.id)
            .position(|id| *id == note.id)
            .unwrap_or_default();
        for (message, expected) in wording(&note.statement, None) {
            problems.push(Problem {
                file: format!("cases/{}/clauses.json", note.chapter),
                place: Place::Value(format!("/notes/{index}/statement")),
                message,
                expected,
            });
        }
    }
    for clause in suite.clauses() {
        let mut wrong = |message: String, expected: &str| {
            let file = format!("cases/{}/clauses.json", clause.chapter);
            let index = suite
                .clauses()
                .iter()
                .filter(|other| other.chapter == clause.chapter)
                .position(|c| c.id == clause.id);
            let place = Place::Value(format!("/clauses/{}/id", index.unwrap_or_default()));
            problems.push(Problem {
                file,
                place,
                message,
                expected: expected.to_owned(),
            });
        };
        for (message, expected) in wording(&clause.statement, Some(clause.level)) {
            wrong(format!("`{}`: {message}", clause.id), &expected);
        }
        if let Some(entry) = &clause.contested
            && suite.ledger_entry(entry).is_none()
        {
            wrong(
                format!(
                    "`{}` is contested by `{entry}`, which is not in `ledger.json`",
                    clause.id
                ),
                "expected the id of an entry in `ledger.json`",
            );
        }
        let is_tested = cases.contains_key(clause.id.as_str()) || judged.contains(&clause.id);
        if !is_tested && clause.untestable.is_none() && clause.level > Level::May {
            wrong(
                format!("{} clause `{}` has no case", clause.level.name(), clause.id),
                "add a case that lists it under `clauses`, or `untestable` with the reason",
            );
        }
    }
}

/// The most words of a statement.
const LONGEST: usize = 60;

/// What is wrong with the wording of a statement; a clause has the verb of its level, and a note none of them.
fn wording(statement: &str, level: Option<Level>) -> Vec<(String, String)> {
    let outside_code: String = statement.split('`').step_by(2).collect::<Vec<_>>().join(" x ");
    let is_letter = |letter: char| letter.is_alphanumeric();
    let words: Vec<&str> = outside_code.split(|letter| !is_letter(letter)).collect();
    let mut found = Vec::new();
    let own = level.map(|level| level.name().to_lowercase());
    if let Some(own) = &own
        && !words.contains(&own.as_str())
    {
        found.push((
            format!("the statement has no `{own}`"),
            format!("\"When CONDITION, ACTOR {own} RESULT.\""),
        ));
    }
    for verb in ["must", "should", "may"] {
        if own.as_deref() != Some(verb) && words.contains(&verb) {
            let of = level.map_or("a note".to_owned(), |level| format!("a {} clause", level.name()));
            let message = format!("the statement of {of} has the verb `{verb}`");
            found.push((
                message,
                "one level for a clause, none for a note; `can` for what is possible".to_owned(),
            ));
        }
    }
    let signs = ['→', '⇒', '≠', '≤', '≥', '×'];
    if outside_code.contains(signs) || outside_code.contains("->") || outside_code.contains("=>") {
        found.push(("the statement has an arrow or a sign".to_owned(), "words".to_owned()));
    }
    if !statement.ends_with('.') {
        found.push((
            "the statement does not end with a period".to_owned(),
            "add a period".to_owned(),
        ));
    }
    let count = statement.split_whitespace().count();
    if count > LONGEST {
        found.push((
            format!("the statement has {count} words"),
            format!("at most {LONGEST} words; split the clause"),
        ));
    }
    found
}

/// Names in the world that mean nothing in it.
fn check_world(suite: &Suite, problems: &mut Vec<Problem>) {
    let world = suite.world();
    let mut wrong = |pointer: String, message: String, known: Vec<&str>, name: &str| {
        problems.push(Problem {
            file: "cases/world.json".to_owned(),
            place: Place::Value(pointer),
            message,
            expected: expected_one_of(name, &known),
        });
    };
    let features = || world.features.keys().map(String::as_str).collect::<Vec<_>>();
    for (who, identity) in &world.identities {
        for (place, name) in identity.features.iter().enumerate() {
            if !world.features.contains_key(name) {
                let pointer = format!("/identities/{who}/features/{place}");
                wrong(pointer, format!("unknown feature `{name}`"), features(), name);
            }
        }
    }
    for (feature, known) in &world.features {
        for (place, wanted) in known.uses.iter().enumerate() {
            if let Some(kind) = &wanted.relation
                && kind != World::DEVICE
                && !world.relations.contains_key(kind)
            {
                let kinds = world.relations.keys().map(String::as_str).chain([World::DEVICE]);
                let pointer = format!("/features/{feature}/uses/{place}/relation");
                wrong(pointer, format!("unknown relation `{kind}`"), kinds.collect(), kind);
            }
        }
    }
}

/// Needs that a case lists and that its requests show anyway.
fn check_needs(suite: &Suite, case: &Case, scripts: &Scripts, problems: &mut Vec<Problem>) {
    if case.needs.is_empty() {
        return;
    }
    let used = scripts.with(case);
    let used: Vec<BTreeSet<Need>> = used
        .map(|(variant, script)| needs::used(suite.world(), variant, script))
        .collect();
    for (place, name) in case.needs.iter().enumerate() {
        let need = Need::Feature(name.clone());
        if used.iter().all(|used| used.contains(&need)) {
            problems.push(Problem {
                file: format!("cases/{}.json", case.id),
                place: Place::Value(format!("/needs/{place}")),
                message: format!("`{name}` is listed, although every variant visibly needs it"),
                expected: "remove it: `needs` is for features that the requests do not show".to_owned(),
            });
        }
    }
}

fn check_step(
    suite: &Suite,
    case: &Case,
    (variant, script): (&Variant, &Script),
    step: &Step,
    wrong: &mut dyn FnMut(String, String, String),
) {
    check_charges(suite, variant, step, wrong);
    let Some(expectation) = &step.expect else { return };
    let requests = step.requests();
    if requests
        .iter()
        .any(|request| request.method == "GET" && !matches!(request.body, Body::None))
    {
        wrong(
            format!("{}/body", step.pointer),
            "a GET with a body".to_owned(),
            "move the expected response to `expect`".to_owned(),
        );
    }
    let is_read = requests
        .iter()
        .all(|request| matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS"));
    if let Some(status) = &expectation.status
        && status.is_refusal()
        && !step.expectations().any(|expectation| expectation.unchanged.is_some())
        && !is_read
        && matches!(step.action, Action::Send(_))
        && !follows_unchanged(script, step)
    {
        wrong(
            format!("{}/expect", step.pointer),
            "a refusal without a check that nothing changed".to_owned(),
            "add `\"unchanged\": true`, or a later step with `sameAs`".to_owned(),
        );
    }
    let is_accepted = expectation
        .status
        .as_ref()
        .is_some_and(crate::contract::case::StatusSet::is_success);
    for request in requests.iter().filter(|_| is_accepted) {
        let operation = suite.schemas().operation(&request.method, &request.sample_path());
        let schema = operation.and_then(|operation| operation.request_schema());
        let (Some(schema), Body::Json(body)) = (schema, &request.body) else {
            continue;
        };
        let body = variable::generate(body);
        if !variable::is_plain(&body) {
            continue;
        }
        for violation in suite.schemas().validate(schema, variant.version, &body) {
            wrong(
                format!("{}/body{}", step.pointer, violation.pointer),
                format!(
                    "`{}` expects success for a request that `{schema}` forbids: {}",
                    case.id, violation.message
                ),
                "correct the schema or the case".to_owned(),
            );
        }
    }
}

/// A finding counts against all clauses of its expectation, and weighs as much as the heaviest: they must weigh the same.
fn check_charges(suite: &Suite, variant: &Variant, step: &Step, wrong: &mut dyn FnMut(String, String, String)) {
    if step.is_setup {
        return;
    }
    let own = step
        .expectations()
        .filter(|expectation| expectation.assertions() > 0)
        .map(|expectation| (&expectation.pointer, expectation.clauses.as_ref()));
    let tally = (!step.tally.is_empty()).then_some((&step.pointer, None));
    for (pointer, clauses) in own.chain(tally) {
        if let Some((message, expected)) = mixed(suite, clauses.unwrap_or(&variant.clauses)) {
            wrong(pointer.clone(), message, expected.to_owned());
        }
    }
}

/// What is wrong with clauses that one finding counts against.
fn mixed(suite: &Suite, ids: &[String]) -> Option<(String, &'static str)> {
    let clauses = || ids.iter().filter_map(|id| suite.clause(id));
    let heavy = clauses().max_by_key(|clause| clause.weight())?;
    let light = clauses().min_by_key(|clause| clause.weight())?;
    (light.weight() != heavy.weight()).then(|| {
        let described =
            |clause: &Clause| format!("`{}` ({}, {})", clause.id, clause.level.name(), clause.evidence.name());
        (
            format!(
                "a failed assertion here counts against both {} and {}",
                described(heavy),
                described(light)
            ),
            "list `clauses` of one weight here, and move the assertions of the lighter clause to `also` or another step",
        )
    })
}

/// Whether a step sends one query, once, and expects something of its results.
fn expects_results(suite: &Suite, step: &Step) -> bool {
    const QUERIES: [&str; 5] = [
        "sessions",
        "template-sessions",
        "batch",
        "template-batch",
        "handles-query",
    ];
    let Action::Send(request) = &step.action else {
        return false;
    };
    let operation = suite.schemas().operation(&request.method, &request.sample_path());
    let is_query = operation.is_some_and(|operation| QUERIES.contains(&operation.path().id.as_str()));
    let is_about_results = |(place, matcher): &(String, &serde_json::Value)| {
        place.contains("results") || place == "body" && matcher.get("results").is_some()
    };
    let expects = |expectation: &Expectation| {
        let readings = expectation.reading.iter().flat_map(|(_, readings)| readings);
        let all = std::iter::once(expectation).chain(readings.map(|(_, reading)| reading));
        all.flat_map(Expectation::own_matchers)
            .any(|matcher| is_about_results(&matcher))
    };
    is_query && step.within.is_none() && step.expectations().any(expects)
}

/// Whether a later step compares a document with an earlier one.
fn follows_unchanged(script: &Script, step: &Step) -> bool {
    let later = script.steps().skip_while(|other| other.pointer != step.pointer).skip(1);
    later
        .flat_map(Step::expectations)
        .any(|expectation| expectation.same_as.is_some())
}

/// Snapshots without a case, and cases without a snapshot.
fn check_snapshots(suite: &Suite, problems: &mut Vec<Problem>) {
    let mut wrong = |file: String, message: String, expected: &str| {
        problems.push(Problem {
            file,
            place: Place::File,
            message,
            expected: expected.to_owned(),
        });
    };
    let cases: BTreeSet<&str> = suite.cases().iter().map(|case| case.id.as_str()).collect();
    let mut recorded = BTreeSet::new();
    for id in suite.files().recorded() {
        recorded.insert(id);
        if !cases.contains(id) {
            wrong(
                format!("snapshots/{id}.snap"),
                format!("no case is named `{id}`"),
                "delete it, or rename it with its case",
            );
        }
    }
    // Drafts are no part of the suite yet.
    let unrecorded = cases.difference(&recorded);
    for id in unrecorded.filter(|id| !crate::contract::case::is_draft(id)) {
        wrong(
            format!("snapshots/{id}.snap"),
            format!("case `{id}` has no snapshot"),
            "record it with `run --suite . --snapshots record`",
        );
    }
}

/// What was recorded, and is no longer asked.
fn check_manifest(suite: &Suite, problems: &mut Vec<Problem>) {
    match Manifest::read(suite.files()) {
        Ok(Some(manifest)) => problems.extend(manifest.weakened(suite)),
        Ok(None) => problems.push(Problem {
            file: manifest::FILE.to_owned(),
            place: Place::File,
            message: "the manifest of the suite is missing".to_owned(),
            expected: "record it with `run --suite . --snapshots record`".to_owned(),
        }),
        Err(wrong) => problems.extend(wrong),
    }
}
