//! The harmless variations, and what became of them.

use std::fmt::{self, Write as _};

use maud::{Markup, html};
use serde::Serialize;

use crate::contract::plain::count;
use crate::replay::verdict::Verdict;
use crate::report::html::clean;
use crate::report::proof::terminal::{BAD, FAINT, SHOWN};

/// A harmless variation, and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spared {
    /// Its id.
    pub id: String,
    /// What is different.
    pub text: String,
    /// The clause, ledger entry or RFC section that leaves it free.
    pub source: String,
    /// What it is about.
    pub kind: String,
    /// What became of it.
    pub verdict: SparedVerdict,
    /// The cases that hold it against the service.
    pub struck_by: Vec<Strike>,
    /// How many responses and frames it changed, or in how many cases the service behaved in another way; `None` where that
    /// was not counted.
    pub touched: Option<usize>,
}

/// What became of a harmless variation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SparedVerdict {
    /// No case has a failure.
    Spared,
    /// A case fails, or cannot be judged.
    Struck,
}

/// A false alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Strike {
    /// The case.
    pub case: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// The clause that the first finding counts against; empty for none.
    pub clause: String,
    /// The first finding, or why there is no verdict.
    pub found: String,
}

impl Spared {
    /// A variation that no case holds against the service so far.
    pub fn new(id: &str, text: &str, source: &str, kind: &str) -> Self {
        Self {
            id: id.to_owned(),
            text: text.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            verdict: SparedVerdict::Spared,
            struck_by: Vec::new(),
            touched: None,
        }
    }

    /// Whether it changed nothing.
    pub fn is_idle(&self) -> bool {
        self.touched == Some(0)
    }

    /// Takes in false alarms.
    pub fn strike(&mut self, strikes: impl IntoIterator<Item = Strike>) {
        self.struck_by.extend(strikes);
        if !self.struck_by.is_empty() {
            self.verdict = SparedVerdict::Struck;
        }
    }
}

impl SparedVerdict {
    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spared => "spared",
            Self::Struck => "struck",
        }
    }
}

/// Writes what is wrong with the suite: variations that were struck, and those that changed nothing.
pub(super) fn write(out: &mut String, variations: &[Spared]) -> fmt::Result {
    for one in variations.iter().filter(|one| one.verdict == SparedVerdict::Struck) {
        writeln!(out, "{BAD}FAILED{BAD:#} {}", one.id)?;
        writeln!(out, "  {}", one.text)?;
        writeln!(
            out,
            "  {FAINT}allowed by {}; failed in {}{FAINT:#}",
            one.source,
            count(one.struck_by.len(), "case")
        )?;
        for strike in one.struck_by.iter().take(SHOWN) {
            let clause = if strike.clause.is_empty() {
                String::new()
            } else {
                format!(" for {}", strike.clause)
            };
            let verdict = strike.verdict.text();
            writeln!(
                out,
                "  {FAINT}{} {verdict}{clause}: {}{FAINT:#}",
                strike.case, strike.found
            )?;
        }
        if one.struck_by.len() > SHOWN {
            writeln!(out, "  {FAINT}and {} more{FAINT:#}", one.struck_by.len() - SHOWN)?;
        }
        writeln!(out)?;
    }
    for one in variations.iter().filter(|one| one.is_idle()) {
        writeln!(out, "{BAD}WITHOUT EFFECT{BAD:#} {}", one.id)?;
        writeln!(out, "  {}", one.text)?;
        writeln!(
            out,
            "  {FAINT}no response differed, so this variation proves nothing{FAINT:#}\n"
        )?;
    }
    Ok(())
}

/// The variations as a table.
pub(super) fn table(variations: &[Spared]) -> Markup {
    html! {
        @if !variations.is_empty() {
            section id="variations" {
                h2 { "Harmless variations" }
                p { "Allowed differences between services. No case may fail for any of them." }
                div.scroll { table {
                    thead { tr { th { "variation" } th { "verdict" } th { "allowed by" } th { "changed" } th { "failed in" } } }
                    tbody {
                        @for verdict in [SparedVerdict::Struck, SparedVerdict::Spared] {
                            @for one in variations.iter().filter(|one| one.verdict == verdict) {
                                tr id=(clean(&format!("variation-{}", one.id))) class=(one.verdict.name()) {
                                    th scope="row" { code { (clean(&one.id)) } br; small { (clean(&one.text)) } }
                                    td { (one.verdict.name()) }
                                    td { (clean(&one.source)) }
                                    td { @if let Some(touched) = one.touched { (touched) } }
                                    td { @for strike in one.struck_by.iter().take(SHOWN) {
                                        code { (clean(&strike.case)) } " " (clean(&strike.found)) br;
                                    } }
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}
