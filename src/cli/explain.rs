//! `explain`: all about one clause, case or ledger entry.

use std::fmt::Write as _;

use anstream::eprintln;
use clap::Args;

use super::exit::Exit;
use super::{SuiteSource, print, style_error};
use crate::suite::Suite;
use crate::suite::json::expected_one_of;

/// Explain one thing.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A clause id, a case id, or the id of a contradiction.
    id: String,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Explain {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let text = clause(&suite, &self.id)
            .or_else(|| ledger_entry(&suite, &self.id))
            .or_else(|| case(&suite, &self.id));
        let Some(text) = text else {
            let clauses = suite.clauses().iter().map(|clause| clause.id.as_str());
            let entries = suite.ledger().iter().map(|entry| entry.id.as_str());
            let cases = suite.cases().iter().map(|case| case.id.as_str());
            let known: Vec<&str> = clauses.chain(entries).chain(cases).collect();
            let expected = match expected_one_of(&self.id, &known) {
                near if near.starts_with("did you mean") => near,
                _ => "`list clauses`, `list cases` and `list contradictions` show what there is".to_owned(),
            };
            eprintln!("{}: nothing is called `{}`; {expected}", style_error("error"), self.id);
            return Ok(Exit::Fault);
        };
        print(&text);
        Ok(Exit::Conforms)
    }
}

fn clause(suite: &Suite, id: &str) -> Option<String> {
    let clause = suite.clause(&id.to_uppercase())?;
    let mut text = format!(
        "{} {}, {} ({})\n\n{}\n\nsource: {}\n",
        clause.id,
        clause.level.name(),
        clause.evidence.name(),
        clause.chapter,
        clause.statement,
        clause.source
    );
    if !clause.aliases.is_empty() {
        let _ = writeln!(text, "also known as: {}", clause.aliases.join(", "));
    }
    if let Some(reason) = &clause.untestable {
        let _ = writeln!(text, "no endpoint can be tested for it: {reason}");
    }
    if let Some(entry) = clause.contested.as_ref().and_then(|entry| ledger_entry(suite, entry)) {
        let _ = write!(text, "\nsources disagree: {entry}");
    }
    let invariants = suite.invariants().iter().filter(|invariant| {
        invariant
            .clauses
            .iter()
            .any(|id| suite.clause(id).is_some_and(|found| found.id == clause.id))
    });
    for invariant in invariants {
        let _ = writeln!(
            text,
            "\njudged on every answer of {}: {}",
            invariant.operations.join(", "),
            invariant.about
        );
    }
    let cases = suite.cases_by_clause().remove(clause.id.as_str()).unwrap_or_default();
    if !cases.is_empty() {
        let _ = writeln!(text, "\ncases:");
        for id in cases {
            let title = suite
                .cases()
                .iter()
                .find(|case| case.id == id)
                .map_or("", |case| case.title.as_str());
            let _ = writeln!(text, "  {id}  {title}");
        }
    }
    Some(text)
}

fn ledger_entry(suite: &Suite, id: &str) -> Option<String> {
    let entry = suite.ledger_entry(&id.to_uppercase())?;
    let mut text = format!("{} {}\n", entry.id, entry.topic);
    for (key, statement) in &entry.readings {
        let _ = writeln!(text, "  {key}: {statement}");
    }
    let _ = writeln!(text, "  the suite: {}", entry.recommended);
    Some(text)
}

fn case(suite: &Suite, id: &str) -> Option<String> {
    let id = id.trim_start_matches("cases/").trim_end_matches(".json");
    let is_it =
        |case: &&crate::suite::case::Case| case.id == id || case.variants.iter().any(|variant| variant.id == id);
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
        let _ = write!(text, "\nthe conversation with the reference:\n\n{conversation}");
    }
    Some(text)
}
