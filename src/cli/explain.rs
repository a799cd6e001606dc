//! `explain`: everything about one clause, case, contradiction, fault, field, header, status code or operation.

use std::fmt::Write as _;

use anstream::eprintln;
use clap::Args;
use mpsd_reference::faults;

use crate::cli::exit::Exit;
use crate::cli::{SuiteSource, lookup, print, style_error};
use crate::contract::clause::{Evidence, Level};
use crate::contract::json::expected_one_of;
use crate::contract::{Suite, facts};
use crate::snapshot::example;

/// Explain one thing.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A clause, case, contradiction or fault by its id; a field by its name, dotted path or JSON Pointer; a header; a status
    /// code; an operation such as `session` or `PUT session`; the key of an interpretation.
    id: String,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Explain {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let id = self.id.as_str();
        let text = clause(&suite, id)
            .or_else(|| note(&suite, id))
            .or_else(|| ledger_entry(&suite, id))
            .or_else(|| case(&suite, id))
            .or_else(|| lookup::status(&suite, id))
            .or_else(|| lookup::header(&suite, id))
            .or_else(|| lookup::operation(&suite, id))
            .or_else(|| lookup::field(&suite, id))
            .or_else(|| lookup::reading(&suite, id))
            .or_else(|| lookup::fault(&suite, id));
        let Some(text) = text else {
            let names = lookup::names(&suite);
            let last = id.rsplit(['.', '/']).next().unwrap_or(id);
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let expected = [id, last]
                .into_iter()
                .map(|id| expected_one_of(id, &known))
                .find(|near| near.starts_with("did you mean"))
                .unwrap_or_else(|| {
                    "see `list clauses`, `list cases`, `list schemas`, `list contradictions` and `prove --list`, or `explain --help`"
                        .to_owned()
                });
            eprintln!("{}: nothing is named `{}`; {expected}", style_error("error"), self.id);
            return Ok(Exit::Fault);
        };
        print(&text);
        Ok(Exit::Conforms)
    }
}

fn clause(suite: &Suite, id: &str) -> Option<String> {
    let clause = suite.clause(&id.to_uppercase())?;
    let mut text = format!(
        "{} {}, {} ({})\n\n{}\n\nsources:\n",
        clause.id,
        clause.level.name(),
        clause.evidence.name(),
        clause.chapter,
        clause.statement
    );
    if (clause.level, clause.evidence) == (Level::Must, Evidence::Inferred) {
        let insert = "Inferred: no source states it, so a violation is a note and never fails a run.\n\n";
        text.insert_str(text.len() - "sources:\n".len(), insert);
    }
    for citation in &clause.sources {
        let _ = writeln!(text, "  {}", suite.sources().cite(citation));
    }
    if !clause.aliases.is_empty() {
        let _ = writeln!(text, "also known as: {}", clause.aliases.join(", "));
    }
    if let Some(reason) = &clause.untestable {
        let _ = writeln!(text, "not testable: {reason}");
    }
    if let Some(entry) = clause.contested.as_ref().and_then(|entry| ledger_entry(suite, entry)) {
        let _ = write!(text, "\nsources disagree: {entry}");
    }
    for invariant in facts::invariants(suite, clause) {
        let _ = writeln!(
            text,
            "\nchecked on every response of {}: {}",
            invariant.operations.join(", "),
            invariant.about
        );
    }
    let cases = suite.cases_by_clause().remove(clause.id.as_str()).unwrap_or_default();
    if !cases.is_empty() {
        let _ = writeln!(text, "\ncases:");
        for id in &cases {
            let title = facts::find_case(suite, id).map_or("", |case| case.title.as_str());
            let _ = writeln!(text, "  {id}  {title}");
        }
    }
    let faults = faults::all();
    let mut breaking = faults
        .iter()
        .filter(|fault| fault.clauses.contains(&clause.id.as_str()))
        .peekable();
    if breaking.peek().is_some() {
        text.push_str("\nfaults that break it:\n");
        for fault in breaking {
            let _ = writeln!(text, "  {}  {}", fault.id, fault.text);
        }
    }
    let example = example::example_of(suite, clause, &cases);
    text.extend(example.as_ref().map(lookup::tell_example));
    Some(text)
}

fn note(suite: &Suite, id: &str) -> Option<String> {
    let note = suite.note(&id.to_uppercase())?;
    let mut text = format!(
        "{} note, {} ({})\n\n{}\n\nNotes are facts that no response of a service can break; they are not tested.\n\nsources:\n",
        note.id,
        note.evidence.name(),
        note.chapter,
        note.statement
    );
    for citation in &note.sources {
        let _ = writeln!(text, "  {}", suite.sources().cite(citation));
    }
    Some(text)
}

fn ledger_entry(suite: &Suite, id: &str) -> Option<String> {
    let entry = suite.ledger_entry(&id.to_uppercase())?;
    let mut text = format!("{} {}\n", entry.id, entry.topic);
    for reading in &entry.readings {
        let _ = writeln!(text, "  {}: {}", reading.key, reading.statement);
        for citation in &reading.sources {
            let _ = writeln!(text, "    {}", suite.sources().cite(citation));
        }
    }
    let _ = writeln!(text, "  treatment: {}", entry.recommended);
    Some(text)
}

fn case(suite: &Suite, id: &str) -> Option<String> {
    let id = id.trim_start_matches("cases/").trim_end_matches(".json");
    let is_it =
        |case: &&crate::contract::case::Case| case.id == id || case.variants.iter().any(|variant| variant.id == id);
    let case = suite.cases().iter().find(is_it)?;
    let mut text = format!("{}\n{}\n\n", case.id, case.title);
    for clause in case.clauses.iter().filter_map(|id| suite.clause(id)) {
        let _ = writeln!(text, "{} {}: {}", clause.id, clause.level.name(), clause.statement);
    }
    if let Some(file) = suite.files().get(&format!("cases/{}.json", case.id)) {
        let _ = write!(text, "\n{file}");
    }
    if let Some(snapshot) = suite.files().snapshot(&case.id) {
        let conversation = snapshot.splitn(3, "---\n").last().unwrap_or_default();
        let _ = write!(text, "\nrecorded exchanges with the reference:\n\n{conversation}");
    }
    Some(text)
}
