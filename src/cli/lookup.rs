//! What `explain` shows in addition to clauses and cases: fields, headers, statuses, operations, interpretations, faults, examples.

use std::fmt::Write as _;

use mpsd_reference::faults;

use crate::contract::Suite;
use crate::contract::clause::Clause;
use crate::contract::facts::{self, body_words, documents};
use crate::contract::schemas::Field;
use crate::contract::signature::Signatures;
use crate::snapshot::example::{self, Example};

/// The longest exchange that is shown, in lines.
const LONGEST: usize = 60;

/// A field, by its name, a dotted path or a JSON Pointer.
pub(super) fn field(suite: &Suite, id: &str) -> Option<String> {
    let dotted = id.trim_start_matches('/').replace('/', ".");
    let wanted: Vec<&str> = dotted.split('.').collect();
    // The same field of several documents is told once.
    let mut found: Vec<(Field, Vec<String>)> = Vec::new();
    for field in documents(suite).flat_map(|name| suite.schemas().fields(name)) {
        if !is_field(&field.path, &wanted) {
            continue;
        }
        let place = format!("{}: {}", field.document, field.path);
        let is_same = |known: &Field| {
            (&known.description, &known.kind, &known.clause) == (&field.description, &field.kind, &field.clause)
        };
        match found.iter_mut().find(|(known, _)| is_same(known)) {
            Some((_, places)) => places.push(place),
            None => found.push((field, vec![place])),
        }
    }
    if found.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (field, places) in &found {
        let _ = writeln!(text, "{}\n", field.path);
        let _ = writeln!(text, "{}", field.description);
        if !field.kind.is_empty() {
            let _ = writeln!(text, "type: {}", field.kind);
        }
        if let Some(unit) = &field.unit {
            let _ = writeln!(text, "unit: {unit}");
        }
        if let Some(default) = &field.default {
            let _ = writeln!(text, "default: {default}");
        }
        if field.is_required {
            let _ = writeln!(text, "required");
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
    let clause = found.iter().find_map(|(field, _)| field.clause.as_deref());
    let near = clause.and_then(|id| {
        example::example(suite, &cases_of(suite, id), |exchange| {
            exchange.text.contains(&format!("\"{name}\""))
        })
    });
    let any = || {
        let all: Vec<&str> = suite.cases().iter().map(|case| case.id.as_str()).collect();
        example::example(suite, &all, |exchange| exchange.text.contains(&format!("\"{name}\"")))
    };
    text.extend(near.or_else(any).as_ref().map(tell_example));
    Some(text)
}

/// Whether the path of a field matches; `*` and `[]` are any name and any index.
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

/// A header of requests or responses.
pub(super) fn header(suite: &Suite, id: &str) -> Option<String> {
    let header = facts::header(suite, id)?;
    let mut text = String::new();
    if let Some(about) = header.asked {
        let _ = writeln!(text, "{}, request header\n\n{about}\n", header.name);
    }
    if let Some(field) = &header.answered {
        let _ = writeln!(text, "{}, response header\n\n{}", field.path, field.description);
        if let Some(unit) = &field.unit {
            let _ = writeln!(text, "unit: {unit}");
        }
        if let Some(volatile) = &field.volatile {
            let _ = writeln!(text, "changes from run to run: {volatile}");
        }
        text.push('\n');
    }
    for clause in &header.clauses {
        tell_clause(&mut text, clause);
    }
    let cases = header.clauses.iter().flat_map(|clause| cases_of(suite, &clause.id));
    let example = example::example(suite, &cases.collect::<Vec<_>>(), |exchange| {
        exchange.has_header(header.name)
    });
    text.extend(example.as_ref().map(tell_example));
    Some(text)
}

/// A status code: the operations that return it, with their bodies and clauses.
pub(super) fn status(suite: &Suite, id: &str) -> Option<String> {
    let code: u16 = id.parse().ok().filter(|code| (100..600).contains(code))?;
    let status = facts::status(suite, code)?;
    let mut text = format!("{code} {}\n\n", facts::reason(code));
    for (schemas, operations) in &status.answers {
        let _ = writeln!(text, "{}: {}", body_words(schemas), operations.join(", "));
    }
    if let Some(schemas) = status.common {
        let _ = writeln!(text, "{}: any operation", body_words(schemas));
    }
    text.push('\n');
    for clause in &status.clauses {
        tell_clause(&mut text, clause);
    }
    let cases = status.clauses.iter().flat_map(|clause| cases_of(suite, &clause.id));
    let cases: Vec<&str> = cases.collect();
    list_cases(&mut text, suite, &cases);
    let example = example::example(suite, &cases, |exchange| exchange.status() == Some(code));
    text.extend(example.as_ref().map(tell_example));
    Some(text)
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
            let _ = writeln!(text, "  request body: `{}`", request.schema);
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

/// An interpretation of contested clauses, by its key: the contradictions that have it.
pub(super) fn reading(suite: &Suite, id: &str) -> Option<String> {
    let mut text = String::new();
    for entry in suite.ledger() {
        for reading in entry.readings.iter().filter(|reading| reading.key == id) {
            let _ = writeln!(
                text,
                "{id}, an interpretation of {} ({})\n  {}\n",
                entry.id, entry.topic, reading.statement
            );
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A fault that `prove` injects: what is wrong, what it breaks, and the cases that were recorded to fail for it.
pub(super) fn fault(suite: &Suite, id: &str) -> Option<String> {
    const MANY: usize = 20;
    let fault = faults::all().into_iter().find(|fault| fault.id == id)?;
    let mut text = format!(
        "{}, a fault ({})\n\n{}\n\nbreaks:\n",
        fault.id,
        fault.kind.name(),
        fault.text
    );
    for clause in fault.clauses.iter().filter_map(|id| suite.clause(id)) {
        let _ = write!(text, "  ");
        tell_clause(&mut text, clause);
    }
    let recorded = Signatures::read(suite.files()).ok().flatten().unwrap_or_default();
    if let Some(signature) = recorded.faults.iter().find(|known| known.id == fault.id) {
        let failed: Vec<&str> = recorded.failed(signature).collect();
        if !failed.is_empty() {
            text.push_str("\ncases that fail for it:\n");
        }
        for id in failed.iter().take(MANY) {
            let _ = writeln!(text, "  {id}");
        }
        if failed.len() > MANY {
            let _ = writeln!(text, "  and {} more", failed.len() - MANY);
        }
    }
    let _ = writeln!(text, "\nmpsd-conformance serve --fault {}", fault.id);
    Some(text)
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
        let title = facts::find_case(suite, id).map_or("", |case| case.title.as_str());
        let _ = writeln!(text, "  {id}  {title}");
    }
    if cases.len() > MANY {
        let _ = writeln!(text, "  and {} more", cases.len() - MANY);
    }
}

/// A real exchange.
pub(super) fn tell_example(example: &Example<'_>) -> String {
    let Example { case, exchange } = example;
    let mut lines: Vec<&str> = exchange.text.lines().take(LONGEST).collect();
    if exchange.text.lines().count() > LONGEST {
        lines.push("...");
    }
    let (step, speaker, said) = (&exchange.step, &exchange.speaker, lines.join("\n"));
    format!("\nexample, recorded from the reference in {case}, step {step}, sent by {speaker}:\n{said}\n")
}

/// All known names, for suggestions.
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
    names.extend(suite.notes().iter().map(|note| note.id.clone()));
    names.extend(suite.ledger().iter().map(|entry| entry.id.clone()));
    names.extend(suite.cases().iter().map(|case| case.id.clone()));
    names.extend(faults::all().iter().map(|fault| fault.id.to_owned()));
    names.sort();
    names.dedup();
    names
}
