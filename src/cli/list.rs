//! `list`: what there is.

use anstream::eprintln;
use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::{SuiteSource, print, style_error};
use crate::contract::case::chapter_of;
use crate::contract::pattern;
use crate::run::selection;

/// List parts of the suite.
#[derive(Debug, Args)]
pub(super) struct List {
    /// What to list.
    #[arg(value_enum, default_value = "chapters")]
    what: What,
    /// Only these: case ids, chapters, clause ids, or patterns with `*`.
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    suite: SuiteSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Chapters,
    Cases,
    Clauses,
    Contradictions,
    Schemas,
    Templates,
    Identities,
    Features,
}

impl List {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let world = suite.world();
        let cases = suite.cases_by_clause();
        let is_wanted = |chapter: &str, id: &str| {
            self.selectors.is_empty()
                || self.selectors.iter().any(|selector| {
                    selector == chapter || selector.eq_ignore_ascii_case(id) || pattern::matches(selector, id)
                })
        };
        let lines: Vec<String> = match self.what {
            What::Chapters => suite
                .chapters()
                .iter()
                .filter(|chapter| is_wanted(&chapter.name, &chapter.name))
                .map(|chapter| {
                    let clauses = suite
                        .clauses()
                        .iter()
                        .filter(|clause| clause.chapter == chapter.name)
                        .count();
                    let is_here = |id: &str| chapter_of(id) == chapter.name;
                    let count: usize = suite
                        .cases()
                        .iter()
                        .filter(|case| is_here(&case.id))
                        .map(|case| case.variants.len())
                        .sum();
                    format!(
                        "{:<20} {clauses:>4} clauses {count:>5} cases  {}",
                        chapter.name, chapter.title
                    )
                })
                .collect(),
            What::Cases => selection::select(&suite, &self.selectors)
                .selected
                .into_iter()
                .filter_map(|selected| {
                    let case = suite.cases().get(selected.case)?;
                    let variant = case.variants.get(selected.variant)?;
                    Some(format!("{}  {}", variant.id, case.title))
                })
                .collect(),
            What::Clauses => suite
                .clauses()
                .iter()
                .filter(|clause| is_wanted(&clause.chapter, &clause.id))
                .map(|clause| {
                    let (level, evidence) = (clause.level.name(), clause.evidence.name());
                    let count = match &clause.untestable {
                        Some(_) => "untestable".to_owned(),
                        None => format!("{} cases", cases.get(clause.id.as_str()).map_or(0, Vec::len)),
                    };
                    format!(
                        "{:<18} {level:<6} {evidence:<10} {count:<10}  {}",
                        clause.id, clause.statement
                    )
                })
                .collect(),
            What::Contradictions => suite
                .ledger()
                .iter()
                .filter(|entry| is_wanted("", &entry.id))
                .map(|entry| {
                    let keys: Vec<&str> = entry.readings.iter().map(|reading| reading.key.as_str()).collect();
                    format!("{:<10} {}: {}", entry.id, entry.topic, keys.join(" | "))
                })
                .collect(),
            What::Schemas => suite
                .schemas()
                .names()
                .filter(|name| is_wanted("", name))
                .map(|name| {
                    let document = suite.schemas().document(name);
                    let title = document
                        .and_then(|document| document.get("title")?.as_str())
                        .unwrap_or_default();
                    format!("{name:<26} {title}")
                })
                .collect(),
            What::Templates => world
                .templates
                .iter()
                .filter(|(name, _)| is_wanted("", name))
                .map(|(name, template)| format!("{name:<28} {}  {}", template.contract_version, template.about))
                .collect(),
            What::Identities => world
                .identities
                .iter()
                .filter(|(name, _)| is_wanted("", name))
                .map(|(name, identity)| {
                    let xuid = identity.xuid.as_deref().unwrap_or("no XUID");
                    format!("{name:<10} {xuid:<18} {}", identity.about)
                })
                .collect(),
            What::Features => world
                .features
                .iter()
                .filter(|(name, _)| is_wanted("", name))
                .map(|(name, feature)| format!("{name:<18} {}", feature.about))
                .collect(),
        };
        if lines.is_empty() {
            let what = match self.what {
                What::Clauses | What::Cases => selection::unknown(&suite, &self.selectors),
                _ => format!("nothing is named `{}`", self.selectors.join("`, `")),
            };
            eprintln!("{}: {what}", style_error("error"));
            return Ok(Exit::NothingExecuted);
        }
        print(&lines.join("\n"));
        Ok(Exit::Conforms)
    }
}
