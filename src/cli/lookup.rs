//! What `explain` tells beside clauses and cases: fields, headers, statuses, operations, readings, and real exchanges.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::suite::Suite;
use crate::suite::clause::Clause;
use crate::suite::schemas::Field;

/// The schemas of the suite's own files, which are no documents of the contract.
const OWN: [&str; 12] = [
    "case",
    "clauses",
    "deviations",
    "headers",
    "invariants",
    "ledger",
    "manifest",
    "operations",
    "report",
    "target",
    "templates",
    "world",
];
/// The longest exchange that is shown, in lines.
const LONGEST: usize = 60;

/// The documents of the contract, by the names of their schemas.
fn documents(suite: &Suite) -> impl Iterator<Item = &str> {
    suite
        .schemas()
        .names()
        .filter(|name| !OWN.contains(name) && !name.starts_with("session-parts"))
}

/// A field, by its name, a dotted path or a JSON Pointer.
pub(super) fn field(suite: &Suite, id: &str) -> Option<String> {
    let dotted = id.trim_start_matches('/').replace('/', ".");
    let wanted: Vec<&str> = dotted.split('.').collect();
    // The same field of several documents is told once.
    let mut told: Vec<(Field, Vec<String>)> = Vec::new();
    for field in documents(suite).flat_map(|name| suite.schemas().fields(name)) {
        if !is_field(&field.path, &wanted) {
            continue;
        }
        let place = format!("{}: {}", field.document, field.path);
        let is_same = |known: &Field| {
            (&known.description, &known.kind, &known.clause) == (&field.description, &field.kind, &field.clause)
        };
        match told.iter_mut().find(|(known, _)| is_same(known)) {
            Some((_, places)) => places.push(place),
            None => told.push((field, vec![place])),
        }
    }
    if told.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (field, places) in &told {
        let _ = writeln!(text, "{}\n", field.path);
        let _ = writeln!(text, "{}", field.description);
        if !field.kind.is_empty() {
            let _ = writeln!(text, "type: {}", field.kind);
        }
        if let Some(unit) = &field.unit {
            let _ = writeln!(text, "unit: {unit}");
        }
        if field.is_required {
            let _ = writeln!(text, "always there");
        }
        if let Some(volatile) = &field.volatile {
            let _ = writeln!(text, "changes from run to run: {volatile}");
        }
        if let Some(clause) = field.clause.as_ref().and_then(|id| suite.clause(id)) {
            tell_clause(&mut text, clause);
        }
        let _ = writeln!(text, "in: {}\n", places.join("\n    "));
    }
    let name = wanted.last().copied().unwrap_or_default();
    let clause = told.iter().find_map(|(field, _)| field.clause.as_deref());
    let near = clause.and_then(|id| {
        example(suite, &cases_of(suite, id), |exchange| {
            exchange.contains(&format!("\"{name}\""))
        })
    });
    let any = || {
        let all: Vec<&str> = suite.cases().iter().map(|case| case.id.as_str()).collect();
        example(suite, &all, |exchange| exchange.contains(&format!("\"{name}\"")))
    };
    text.extend(near.or_else(any));
    Some(text)
}

/// Whether a path of a field is the one that is asked for; `*` and `[]` are any name and any place.
fn is_field(path: &str, wanted: &[&str]) -> bool {
    let path = path.replace("[]", ".[]");
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |(part, wanted): (&&str, &&str)| {
        part.eq_ignore_ascii_case(wanted) || *part == "*" || *part == "[]" && is_number(wanted)
    };
    let Some(start) = parts.len().checked_sub(wanted.len()) else {
        return false;
    };
    let is_named = parts
        .last()
        .zip(wanted.last())
        .is_some_and(|(part, wanted)| part.eq_ignore_ascii_case(wanted));
    is_named && parts[start..].iter().zip(wanted).all(fits)
}

/// A header of requests or answers.
pub(super) fn header(suite: &Suite, id: &str) -> Option<String> {
    let schemas = suite.schemas();
    let mut text = String::new();
    let headers = &schemas.operations().request_headers;
    if let Some((name, about)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(id)) {
        let _ = writeln!(text, "{name}, of requests\n\n{about}\n");
    }
    let fields = schemas.fields("headers");
    if let Some(field) = fields.iter().find(|field| field.path.eq_ignore_ascii_case(id)) {
        let _ = writeln!(text, "{}, of answers\n\n{}", field.path, field.description);
        if let Some(unit) = &field.unit {
            let _ = writeln!(text, "unit: {unit}");
        }
        if let Some(volatile) = &field.volatile {
            let _ = writeln!(text, "changes from run to run: {volatile}");
        }
        text.push('\n');
    }
    if text.is_empty() {
        return None;
    }
    let lower = id.to_lowercase();
    let clauses = suite
        .clauses()
        .iter()
        .filter(|clause| clause.statement.to_lowercase().contains(&lower));
    let mut ids = Vec::new();
    for clause in clauses {
        tell_clause(&mut text, clause);
        ids.push(clause.id.as_str());
    }
    let cases: Vec<&str> = ids.iter().flat_map(|id| cases_of(suite, id)).collect();
    let own = |exchange: &str| {
        exchange.lines().any(|line| {
            let line = line.trim_start_matches(['<', '>', ' ']);
            line.split_once(':')
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case(id))
        })
    };
    text.extend(example(suite, &cases, own));
    Some(text)
}

/// A status code: which operations answer it, with what, and the clauses that say so.
pub(super) fn status(suite: &Suite, id: &str) -> Option<String> {
    let status: u16 = id.parse().ok().filter(|status| (100..600).contains(status))?;
    let table = suite.schemas().operations();
    let mut answers: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut clauses: Vec<&str> = Vec::new();
    for operation in &table.operations {
        for (method, known) in &operation.methods {
            if let Some(schemas) = known.responses.get(&status) {
                answers
                    .entry(schemas.clone())
                    .or_default()
                    .push(format!("{method} {}", operation.id));
            }
            clauses.extend(known.clauses.get(&status).into_iter().flatten().map(String::as_str));
        }
    }
    let common = table.responses.get(&status);
    clauses.extend(table.clauses.get(&status).into_iter().flatten().map(String::as_str));
    let word = format!("{status}");
    let said = suite.clauses().iter().filter(|clause| {
        clause.id.starts_with("STAT-")
            && clause
                .statement
                .split(|c: char| !c.is_ascii_digit())
                .any(|part| part == word)
    });
    clauses.extend(said.map(|clause| clause.id.as_str()));
    if answers.is_empty() && common.is_none() && clauses.is_empty() {
        return None;
    }
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut text = format!("{status} {reason}\n\n");
    for (schemas, operations) in &answers {
        let _ = writeln!(text, "{}: {}", body_words(schemas), operations.join(", "));
    }
    if let Some(schemas) = common {
        let _ = writeln!(text, "{}: any operation", body_words(schemas));
    }
    text.push('\n');
    let mut seen = Vec::new();
    for clause in clauses.iter().filter_map(|id| suite.clause(id)) {
        if !seen.contains(&clause.id.as_str()) {
            seen.push(clause.id.as_str());
            tell_clause(&mut text, clause);
        }
    }
    let cases: Vec<&str> = seen.iter().flat_map(|id| cases_of(suite, id)).collect();
    list_cases(&mut text, suite, &cases);
    let line = format!("< {status}");
    text.extend(example(suite, &cases, |exchange| {
        exchange.lines().any(|own| own == line)
    }));
    Some(text)
}

/// What a body may be, with its content type.
fn body_words(schemas: &[String]) -> String {
    let words: Vec<String> = schemas
        .iter()
        .map(|name| match name.as_str() {
            "none" => "no body".to_owned(),
            "text" => "a message for people (text/plain)".to_owned(),
            name => format!("`{name}` (application/json)"),
        })
        .collect();
    words.join(" or ")
}

/// An operation, by its id, its path, or method and either.
pub(super) fn operation(suite: &Suite, id: &str) -> Option<String> {
    let (method, name) = id
        .split_once(' ')
        .map_or((None, id), |(method, name)| (Some(method.to_uppercase()), name));
    let table = suite.schemas().operations();
    let by_name = table
        .operations
        .iter()
        .find(|known| known.id == name || known.path == name);
    let found = by_name.or_else(|| {
        let path = suite
            .schemas()
            .operation(method.as_deref().unwrap_or("GET"), name)
            .filter(|_| name.starts_with('/'))?;
        Some(path.path())
    })?;
    let mut text = format!("{}\n{}\n\n{}\n", found.id, found.path, found.description);
    for (verb, known) in found
        .methods
        .iter()
        .filter(|(verb, _)| method.as_ref().is_none_or(|method| method == *verb))
    {
        let _ = writeln!(text, "\n{verb}: {}", known.description);
        for (name, parameter) in &known.query {
            let _ = writeln!(text, "  ?{name}: {}", parameter.description);
        }
        if let Some(request) = &known.request {
            let _ = writeln!(text, "  takes `{}`", request.schema);
        }
        for (status, schemas) in &known.responses {
            let clauses = known
                .clauses
                .get(status)
                .map_or(String::new(), |ids| format!("  {}", ids.join(", ")));
            let _ = writeln!(text, "  {status}: {}{clauses}", body_words(schemas));
        }
    }
    Some(text)
}

/// A reading of contested clauses, by its key: the entries of the ledger that have it.
pub(super) fn reading(suite: &Suite, id: &str) -> Option<String> {
    let mut text = String::new();
    for entry in suite.ledger() {
        for (key, statement) in entry.readings.iter().filter(|(key, _)| key == id) {
            let _ = writeln!(
                text,
                "{key}, a reading of {} ({})\n  {statement}\n",
                entry.id, entry.topic
            );
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A clause in one line.
fn tell_clause(text: &mut String, clause: &Clause) {
    let (level, evidence) = (clause.level.name(), clause.evidence.name());
    let _ = writeln!(text, "{} {level}, {evidence}: {}", clause.id, clause.statement);
}

/// The cases of a clause.
pub(super) fn cases_of<'s>(suite: &'s Suite, id: &str) -> Vec<&'s str> {
    let clause = suite.clause(id).map(|clause| clause.id.as_str());
    clause
        .and_then(|id| suite.cases_by_clause().remove(id))
        .unwrap_or_default()
}

fn list_cases(text: &mut String, suite: &Suite, cases: &[&str]) {
    const MANY: usize = 20;
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(text, "\ncases:");
    for id in cases.iter().take(MANY) {
        let title = suite
            .cases()
            .iter()
            .find(|case| case.id == *id)
            .map_or("", |case| case.title.as_str());
        let _ = writeln!(text, "  {id}  {title}");
    }
    if cases.len() > MANY {
        let _ = writeln!(text, "  and {} more", cases.len() - MANY);
    }
}

/// The first exchange of some cases' conversations that fits, with the case that it is from.
pub(super) fn example(suite: &Suite, cases: &[&str], fits: impl Fn(&str) -> bool) -> Option<String> {
    cases.iter().find_map(|id| {
        let snapshot = suite.files().snapshot(id)?;
        let conversation = snapshot.splitn(3, "---\n").last()?;
        // The last one is what the case is about, most of the time.
        let exchange = conversation
            .split("\n### ")
            .skip(1)
            .filter(|exchange| fits(exchange))
            .last()?;
        let exchange = exchange.split("\n## ").next().unwrap_or(exchange).trim_end();
        let mut lines: Vec<&str> = exchange.lines().take(LONGEST).collect();
        if exchange.lines().count() > LONGEST {
            lines.push("...");
        }
        Some(format!(
            "\nas it was seen with the reference in {id}, step {}\n",
            lines.join("\n")
        ))
    })
}

/// Everything that can be asked for, for suggestions.
pub(super) fn names(suite: &Suite) -> Vec<String> {
    let fields = documents(suite).flat_map(|name| suite.schemas().fields(name));
    let mut names: Vec<String> = fields
        .filter_map(|field| field.path.rsplit('.').next().map(str::to_owned))
        .collect();
    names.extend(suite.schemas().response_headers().iter().cloned());
    let table = suite.schemas().operations();
    names.extend(table.request_headers.keys().cloned());
    names.extend(table.operations.iter().map(|operation| operation.id.clone()));
    names.extend(suite.clauses().iter().map(|clause| clause.id.clone()));
    names.extend(suite.ledger().iter().map(|entry| entry.id.clone()));
    names.extend(suite.cases().iter().map(|case| case.id.clone()));
    names.sort();
    names.dedup();
    names
}
