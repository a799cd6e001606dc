//! A folder of recorded conversations, one file a case: the regression baseline of a target.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde_json::Value;

use crate::contract::Suite;
use crate::contract::case::{Case, Variant};
use crate::contract::json::tree::Tree as _;
use crate::contract::schemas::Schemas;
use crate::replay::label::{Part, StepLabel};
use crate::replay::verdict::{Exchange, Outcome, Verdict};
use crate::snapshot::render::names;
use crate::snapshot::{
    Difference, RecordedExchange, SnapshotError, VariantTranscript, compare, document, parse, read, section, write,
};
use crate::wire::secrets::Secrets;

/// Where conversations are recorded.
#[derive(Clone, Debug)]
pub enum Baseline {
    /// In the suite's own files.
    Embedded,
    /// In a folder, by the case's id.
    Folder(PathBuf),
}

/// What comparing or recording a case's conversation came to.
#[derive(Clone, Debug)]
pub enum Change {
    /// The conversation is not the recorded one.
    Differs {
        /// The case.
        case: String,
        /// In what.
        difference: Difference,
    },
    /// Nothing was recorded for the case.
    Missing(String),
    /// The conversation was recorded, anew or for the first time.
    Recorded(String),
    /// The recorded file cannot be read.
    Unreadable(String),
}

impl Change {
    /// The case that it is about, or what is wrong.
    pub fn about(&self) -> &str {
        match self {
            Self::Differs { case, .. } | Self::Missing(case) | Self::Recorded(case) | Self::Unreadable(case) => case,
        }
    }

    /// Whether it is a regression, or may hide one.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::Unreadable(_))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { case, difference } => write!(f, "snapshot differs: {case}\n{}", difference.diff),
            Self::Missing(case) => write!(f, "no snapshot: {case}"),
            Self::Recorded(case) => write!(f, "recorded: {case}"),
            Self::Unreadable(message) => write!(f, "unreadable snapshot: {message}"),
        }
    }
}

impl Baseline {
    /// Compares a case's conversation with the recorded one; `outcomes` are those of its variants that ran.
    pub fn compare(&self, suite: &Suite, case: &Case, outcomes: &[Outcome]) -> Option<Change> {
        let current = conversation(case, outcomes)?;
        let recorded = match self.recorded(suite, &case.id) {
            Ok(Some(recorded)) => recorded,
            Ok(None) if case.is_draft() => return None,
            Ok(None) => return Some(Change::Missing(case.id.clone())),
            Err(error) => return Some(Change::Unreadable(format!("{error:#}"))),
        };
        let mut difference = compare(&recorded, &current.text)?;
        if !current.is_whole {
            // Variants that were not run are not missing.
            difference.variants.retain(|id| current.variants.contains(id));
            if difference.variants.is_empty() {
                return None;
            }
        }
        let case = case.id.clone();
        Some(Change::Differs { case, difference })
    }

    /// Records a case's conversation, with all of its variants that the target can be asked; one of which only a part ran, or
    /// that had no verdict, is left alone.
    ///
    /// A text that holds a secret is never written.
    pub fn record(
        &self,
        suite: &Suite,
        case: &Case,
        outcomes: &[Outcome],
        secrets: &Secrets,
    ) -> Result<Option<Change>, SnapshotError> {
        let Self::Folder(folder) = self else {
            return Ok(None);
        };
        let Some(current) = conversation(case, outcomes).filter(|current| current.is_complete) else {
            return Ok(None);
        };
        let id = &case.id;
        if matches!(self.recorded(suite, id), Ok(Some(old)) if compare(&old, &current.text).is_none()) {
            return Ok(None);
        }
        let path = folder.join(format!("{id}.snap"));
        if secrets.find(&current.text).is_some() {
            return Err(SnapshotError::secret(&path));
        }
        write(&path, &format!("cases/{id}.json"), &case.title, &current.text)?;
        Ok(Some(Change::Recorded(id.clone())))
    }

    /// Compares, and leaves what is new or different beside the recorded file as `.snap.new`, as `insta` does.
    pub fn propose(
        &self,
        suite: &Suite,
        case: &Case,
        outcomes: &[Outcome],
        secrets: &Secrets,
    ) -> Result<Option<Change>, SnapshotError> {
        let change = self.compare(suite, case, outcomes);
        let (Self::Folder(folder), Some(Change::Differs { .. } | Change::Missing(_))) = (self, &change) else {
            return Ok(change);
        };
        if let Some(current) = conversation(case, outcomes).filter(|current| current.is_complete) {
            let path = pending(folder, &case.id);
            if secrets.find(&current.text).is_some() {
                return Err(SnapshotError::secret(&path));
            }
            write(&path, &format!("cases/{}.json", case.id), &case.title, &current.text)?;
            return Ok(change);
        }
        // What only a part of the variants says cannot take the place of the whole.
        Ok(change.filter(Change::is_difference))
    }

    /// Puts a proposed conversation in the place of the recorded one; nothing where none was proposed.
    pub fn accept(&self, case: &str) -> io::Result<()> {
        match self {
            Self::Folder(folder) if pending(folder, case).exists() => {
                fs::rename(pending(folder, case), folder.join(format!("{case}.snap")))
            }
            _ => Ok(()),
        }
    }

    /// Deletes a proposed conversation; nothing where none was proposed.
    pub fn reject(&self, case: &str) -> io::Result<()> {
        match self {
            Self::Folder(folder) if pending(folder, case).exists() => fs::remove_file(pending(folder, case)),
            _ => Ok(()),
        }
    }

    /// The recorded text of a case; `None` when there is none.
    fn recorded(&self, suite: &Suite, case: &str) -> Result<Option<String>, SnapshotError> {
        match self {
            Self::Embedded => Ok(suite.files().snapshot(case).as_deref().and_then(parse)),
            Self::Folder(folder) => match read(&folder.join(format!("{case}.snap"))) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// The file of a conversation that waits for review.
fn pending(folder: &Path, case: &str) -> PathBuf {
    folder.join(format!("{case}.snap.new"))
}

/// A case's conversation, as it is recorded.
struct Conversation {
    /// Whether all its variants ran to a verdict.
    is_whole: bool,
    /// Whether all those did that the target can be asked.
    is_complete: bool,
    /// The sections of the text.
    variants: Vec<String>,
    text: String,
}

/// The conversation of a case; `None` when no variant has a text.
fn conversation(case: &Case, outcomes: &[Outcome]) -> Option<Conversation> {
    let text_of = |variant: &Variant| {
        let outcome = outcomes.iter().find(|outcome| outcome.id == variant.id)?;
        Some((section_id(outcome), outcome.text.as_deref()?))
    };
    let (variants, texts): (Vec<String>, Vec<&str>) = case.variants.iter().filter_map(text_of).unzip();
    let is_out_of_reach = |outcome: &&Outcome| outcome.verdict == Verdict::NotApplicable;
    let out_of_reach = outcomes.iter().filter(is_out_of_reach).count();
    (!variants.is_empty()).then(|| Conversation {
        is_whole: variants.len() == case.variants.len(),
        is_complete: variants.len() + out_of_reach == case.variants.len(),
        variants,
        text: document(&case.title, texts),
    })
}

/// The canonical text of a case, from its variants' texts; `None` when no variant has one.
pub fn text(case: &Case, outcomes: &[Outcome]) -> Option<String> {
    conversation(case, outcomes).map(|current| current.text)
}

/// The canonical text of one variant's conversation; `None` when it came to no verdict.
pub fn text_of(outcome: &Outcome, schemas: &Schemas) -> Option<String> {
    let has_verdict = matches!(
        outcome.verdict,
        Verdict::Pass | Verdict::Fail | Verdict::Deviation | Verdict::Fixed
    );
    has_verdict.then(|| section(&transcript(outcome), schemas))
}

fn section_id(outcome: &Outcome) -> String {
    match outcome.id.strip_prefix(&outcome.case) {
        None | Some("") => outcome.version.to_string(),
        Some(suffix) => suffix.to_owned(),
    }
}

/// Puts the names of a recorded conversation for all that changes from run to run.
pub fn stable(outcome: &Outcome, schemas: &Schemas) -> impl Fn(&str) -> String {
    let names = names(&transcript(outcome), schemas);
    move |text| names.stable(text)
}

fn transcript(outcome: &Outcome) -> VariantTranscript {
    let mut exchanges: Vec<RecordedExchange> = Vec::new();
    // Which of several simultaneous requests wins differs from run to run, and so does all that follows.
    let mut is_settled = true;
    let mut rest = outcome.exchanges.iter().peekable();
    while let Some(exchange) = rest.next() {
        // What `unchanged` reads before and after is the same, or the case has failed.
        let label = exchange.label;
        match label.part {
            Part::Before | Part::After => {}
            Part::Whole | Part::Again | Part::AtOnce(_) => exchanges.push(recorded(exchange, outcome, is_settled)),
            Part::Copy(_) => {
                is_settled = false;
                let mut group = vec![exchange];
                let is_with = |next: &&Exchange| matches!(next.label, StepLabel { step, part: Part::Copy(_) } if step == label.step);
                while let Some(next) = rest.next_if(is_with) {
                    group.push(next);
                }
                let mut several = recorded(exchange, outcome, false);
                several.step = label.with(Part::AtOnce(group.len()));
                if group.iter().any(|other| other.speaker != exchange.speaker) {
                    several.speaker = "several".to_owned();
                }
                several.request_headers.clear();
                several.request_body = None;
                exchanges.push(several);
            }
        }
    }
    VariantTranscript {
        id: section_id(outcome),
        known: known(outcome).cloned().collect(),
        exchanges,
    }
}

fn recorded(exchange: &Exchange, outcome: &Outcome, is_settled: bool) -> RecordedExchange {
    let (request, response) = (&exchange.request, &exchange.response);
    let response_body = match &exchange.json {
        _ if !is_settled || response.body.is_empty() => Vec::new(),
        // The wording of an error is nobody's contract.
        None if response.status >= 400 => b"<text>".to_vec(),
        Some(json) if json.root().member("results").is_some() => {
            own_results(json.value(), outcome).to_string().into_bytes()
        }
        _ => response.body.to_vec(),
    };
    RecordedExchange {
        step: exchange.label,
        speaker: exchange.speaker.clone(),
        method: request.method.clone(),
        path: request.path.clone(),
        request_headers: request.headers.clone(),
        request_body: request.body.as_ref().map(|body| body.to_vec()),
        // Status 0 is left out.
        status: if is_settled { response.status } else { 0 },
        response_headers: if is_settled {
            response.headers.clone()
        } else {
            Vec::new()
        },
        response_body,
        request_schema: exchange.request_schema.clone(),
        response_schema: exchange.schema.clone(),
        version: outcome.version,
    }
}

/// The values that have names.
fn known(outcome: &Outcome) -> impl Iterator<Item = &(String, String)> {
    outcome.fresh.iter().chain(&*outcome.own)
}

/// A query's answer without what other conversations have made at the same time.
fn own_results(answer: &Value, outcome: &Outcome) -> Value {
    let mut answer = answer.clone();
    if let Some(results) = answer.get_mut("results").and_then(Value::as_array_mut) {
        let label = |result: &Value| {
            let name = result.pointer("/sessionRef/name").and_then(Value::as_str)?;
            let known = known(outcome).find(|(value, _)| value.eq_ignore_ascii_case(name));
            Some(known.map(|(_, label)| label.clone()))
        };
        results.retain(|result| label(result).is_none_or(|label| label.is_some()));
        // Nor is their order, where the contract leaves it open.
        results.sort_by_cached_key(|result| label(result));
    }
    answer
}
