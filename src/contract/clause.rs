//! The statements of the contract, and the ledger of what its sources disagree on.

use serde::{Deserialize, Serialize};

use crate::contract::json::Item;
use crate::contract::source::{Citation, read_citations};

/// How binding a clause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A service may do otherwise; reported as a remark.
    May,
    /// A service ought to; a failure is a warning.
    Should,
    /// A service has to.
    Must,
}

/// How a clause is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The real service was seen to do it.
    Live,
    /// The documentation states it.
    Documented,
    /// Official or third-party clients rely on it.
    Observed,
    /// It follows from other rules; nobody states it.
    Inferred,
    /// Sources disagree: a ledger entry names the readings.
    Contested,
}

/// What failing a clause amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Worth knowing.
    Remark,
    /// A failure under `--strict`.
    Warning,
    /// Nonconformance.
    Failure,
}

/// One normative statement.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Its id, for ever.
    pub id: String,
    /// The chapter it stands in.
    pub chapter: String,
    /// How binding it is.
    pub level: Level,
    /// How it is known.
    pub evidence: Evidence,
    /// What it says.
    pub statement: String,
    /// Where that is stated or was seen.
    pub sources: Vec<Citation>,
    /// Other ids of the same fact.
    pub aliases: Vec<String>,
    /// The ledger entry, when sources disagree.
    pub contested: Option<String>,
    /// Why no endpoint can be tested for it; `None` when one can.
    pub untestable: Option<String>,
}

/// A fact about clients, titles or what is left unspecified: no response of a service can break it, so it is never tested.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its id, which is unique among clauses and notes.
    pub id: String,
    /// Its chapter.
    pub chapter: String,
    /// How it is known.
    pub evidence: Evidence,
    /// The fact.
    pub statement: String,
    /// Where it is stated or was seen.
    pub sources: Vec<Citation>,
    /// Other ids of the same fact.
    pub aliases: Vec<String>,
}

/// A folder of `cases/`: one area of the contract.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// The folder's name.
    pub name: String,
    /// Its title, for people.
    pub title: String,
    /// What it covers.
    pub about: String,
    /// Features that each of its cases needs, beside those that the case names.
    pub needs: Vec<String>,
}

/// A point that sources disagree on.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Its id.
    pub id: String,
    /// Other ids of the same contradiction.
    pub aliases: Vec<String>,
    /// What it is about.
    pub topic: String,
    /// The readings.
    pub readings: Vec<Reading>,
    /// How the suite treats it.
    pub recommended: String,
    /// The clauses that it is about.
    pub clauses: Vec<String>,
}

/// One of the answers that sources give.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its name within the entry.
    pub key: String,
    /// What it says.
    pub statement: String,
    /// Who says so.
    pub sources: Vec<Citation>,
}

/// The names of the levels, as files spell them.
pub const LEVELS: [(&str, Level); 3] = [("MUST", Level::Must), ("SHOULD", Level::Should), ("MAY", Level::May)];

/// The names of the evidence grades, as files spell them.
pub const EVIDENCE: [(&str, Evidence); 5] = [
    ("live", Evidence::Live),
    ("documented", Evidence::Documented),
    ("observed", Evidence::Observed),
    ("inferred", Evidence::Inferred),
    ("contested", Evidence::Contested),
];

impl Level {
    /// As files spell it.
    pub fn name(self) -> &'static str {
        LEVELS
            .iter()
            .find(|(_, level)| *level == self)
            .map_or("", |(name, _)| name)
    }

    /// What it means, for readers.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Must => "a service must do this; a violation is a failure",
            Self::Should => "a service should do this; a violation is a warning",
            Self::May => "a service may do this; a difference is a note",
        }
    }
}

impl Evidence {
    /// As files spell it.
    pub fn name(self) -> &'static str {
        EVIDENCE
            .iter()
            .find(|(_, evidence)| *evidence == self)
            .map_or("", |(name, _)| name)
    }

    /// What it means, for readers.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Live => "confirmed on the real service",
            Self::Documented => "stated by Microsoft's documentation",
            Self::Observed => "official or third-party clients rely on it",
            Self::Inferred => {
                "follows from other rules and is not stated anywhere, so a violation is only a note, even of a MUST"
            }
            Self::Contested => {
                "sources disagree; a service follows one of the interpretations and does not fail for its choice"
            }
        }
    }
}

impl Weight {
    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Warning => "warning",
            Self::Remark => "remark",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Remark => "note",
            other => other.name(),
        }
    }
}

impl Clause {
    /// What failing it amounts to: an inferred clause is never more than a remark.
    pub fn weight(&self) -> Weight {
        match (self.level, self.evidence) {
            (_, Evidence::Inferred) | (Level::May, _) => Weight::Remark,
            (Level::Should, _) => Weight::Warning,
            (Level::Must, _) => Weight::Failure,
        }
    }
}

/// Reads a chapter's `clauses.json`.
pub(super) fn read_chapter(name: &str, file: Item<'_>) -> Option<(Chapter, Vec<Clause>, Vec<Note>)> {
    let fields = file.object(&["$schema", "title", "about", "needs", "clauses", "notes"])?;
    let chapter = Chapter {
        name: name.to_owned(),
        title: fields.string("title"),
        about: fields.string("about"),
        needs: fields.strings("needs"),
    };
    let clauses = fields.require("clauses")?.elements(|item| {
        let fields = item.object(&[
            "id",
            "level",
            "evidence",
            "statement",
            "sources",
            "aliases",
            "contested",
            "untestable",
        ])?;
        Some(Clause {
            id: fields.string("id"),
            chapter: name.to_owned(),
            level: fields.require("level")?.one_of(&LEVELS)?,
            evidence: fields.require("evidence")?.one_of(&EVIDENCE)?,
            statement: fields.string("statement"),
            sources: fields.require("sources").and_then(read_citations)?,
            aliases: fields.strings("aliases"),
            contested: fields.optional_string("contested"),
            untestable: fields.optional_string("untestable"),
        })
    })?;
    let notes = fields.get("notes").and_then(|notes| {
        notes.elements(|item| {
            let fields = item.object(&["id", "evidence", "statement", "sources", "aliases"])?;
            Some(Note {
                id: fields.string("id"),
                chapter: name.to_owned(),
                evidence: fields.require("evidence")?.one_of(&EVIDENCE)?,
                statement: fields.string("statement"),
                sources: fields.require("sources").and_then(read_citations)?,
                aliases: fields.strings("aliases"),
            })
        })
    });
    Some((chapter, clauses, notes.unwrap_or_default()))
}

/// Reads `cases/ledger.json`.
pub(super) fn read_ledger(file: Item<'_>) -> Option<Vec<LedgerEntry>> {
    file.object(&["$schema", "about", "entries"])?
        .require("entries")?
        .elements(|item| {
            let fields = item.object(&["id", "aliases", "topic", "readings", "recommended", "clauses"])?;
            let readings = fields.require("readings")?.members(|key, item| {
                let fields = item.object(&["statement", "sources"])?;
                Some(Reading {
                    key: key.to_owned(),
                    statement: fields.string("statement"),
                    sources: fields.require("sources").and_then(read_citations)?,
                })
            })?;
            Some(LedgerEntry {
                id: fields.string("id"),
                aliases: fields.strings("aliases"),
                topic: fields.string("topic"),
                readings,
                recommended: fields.string("recommended"),
                clauses: fields.strings("clauses"),
            })
        })
}
