//! A folder of recorded conversations, one file a case: the regression baseline of a target.

use std::fmt;
use std::path::PathBuf;

use super::render::names;
use super::{
    Conversation, Difference, RecordedExchange, SnapshotError, VariantTranscript, compare, parse, read, render, write,
};
use crate::replay::verdict::{Exchange, Outcome};
use crate::suite::Suite;
use crate::suite::schemas::Schemas;
use crate::target::secrets::Secrets;

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
    /// Compares the conversations of a run with the recorded ones; `outcomes` are in the order of their ids.
    pub fn compare(&self, suite: &Suite, outcomes: &[Outcome]) -> Vec<Change> {
        cases(suite, outcomes)
            .into_iter()
            .filter_map(|(case, is_whole, conversation)| {
                let recorded = match self.recorded(suite, &case) {
                    Ok(Some(recorded)) => recorded,
                    Ok(None) => return Some(Change::Missing(case)),
                    Err(error) => return Some(Change::Unreadable(format!("{error:#}"))),
                };
                let ran: Vec<&str> = conversation
                    .variants
                    .iter()
                    .map(|variant| variant.id.as_str())
                    .collect();
                let mut difference = compare(&recorded, &render(&conversation, suite.schemas()))?;
                if !is_whole {
                    // Variants that were not run are not missing.
                    difference.variants.retain(|id| ran.contains(&id.as_str()));
                    if difference.variants.is_empty() {
                        return None;
                    }
                }
                Some(Change::Differs { case, difference })
            })
            .collect()
    }

    /// Records the conversations of a run; cases of which only a part ran, or that had no verdict, are left alone.
    ///
    /// A text that holds a secret is never written.
    pub fn record(&self, suite: &Suite, outcomes: &[Outcome], secrets: &Secrets) -> Result<Vec<Change>, SnapshotError> {
        let Self::Folder(folder) = self else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        for (case, is_whole, conversation) in cases(suite, outcomes) {
            let text = render(&conversation, suite.schemas());
            let is_same = || matches!(self.recorded(suite, &case), Ok(Some(old)) if compare(&old, &text).is_none());
            if is_whole && !is_same() {
                let path = folder.join(format!("{case}.snap"));
                if secrets.find(&text).is_some() {
                    return Err(SnapshotError::secret(&path));
                }
                write(&path, &format!("cases/{case}.json"), &conversation.title, &text)?;
                changes.push(Change::Recorded(case));
            }
        }
        Ok(changes)
    }

    /// The recorded text of a case; `None` when there is none.
    fn recorded(&self, suite: &Suite, case: &str) -> Result<Option<String>, SnapshotError> {
        match self {
            Self::Embedded => Ok(suite.files().get(&format!("snapshots/{case}.snap")).and_then(parse)),
            Self::Folder(folder) => match read(&folder.join(format!("{case}.snap"))) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// The conversations of a run, by case: its id, whether all its variants ran to a verdict, and what was said.
fn cases(suite: &Suite, outcomes: &[Outcome]) -> Vec<(String, bool, Conversation)> {
    use crate::replay::verdict::Verdict;
    suite
        .cases()
        .iter()
        .filter_map(|case| {
            let ran = case.variants.iter().filter_map(|variant| {
                let at = outcomes.binary_search_by(|outcome| outcome.id.cmp(&variant.id)).ok()?;
                outcomes.get(at).filter(|outcome| {
                    matches!(
                        outcome.verdict,
                        Verdict::Pass | Verdict::Fail | Verdict::Deviation | Verdict::Fixed
                    )
                })
            });
            let variants: Vec<_> = ran.map(|outcome| transcript(&case.id, outcome)).collect();
            let is_whole = variants.len() == case.variants.len();
            let conversation = Conversation {
                title: case.title.clone(),
                variants,
            };
            (!conversation.variants.is_empty()).then(|| (case.id.clone(), is_whole, conversation))
        })
        .collect()
}

/// The conversation of one case, as it is recorded.
pub fn conversation(title: &str, case: &str, outcomes: &[Outcome]) -> Conversation {
    Conversation {
        title: title.to_owned(),
        variants: outcomes.iter().map(|outcome| transcript(case, outcome)).collect(),
    }
}

/// What was found instead of what was expected, finding by finding, in the words of a recorded conversation.
pub fn observed(outcome: &Outcome, schemas: &Schemas) -> Vec<String> {
    if outcome.findings.is_empty() {
        return Vec::new();
    }
    let names = names(&transcript(&outcome.case, outcome), schemas);
    outcome
        .findings
        .iter()
        .map(|finding| names.stable(&finding.actual))
        .collect()
}

fn transcript(case: &str, outcome: &Outcome) -> VariantTranscript {
    let mut exchanges: Vec<RecordedExchange> = Vec::new();
    // Which of several simultaneous requests wins differs from run to run, and so does all that follows.
    let mut is_settled = true;
    let mut rest = outcome.exchanges.iter().peekable();
    while let Some(exchange) = rest.next() {
        match exchange.label.split_once(" #") {
            None => exchanges.push(recorded(exchange, outcome.version, is_settled)),
            Some((step, _)) => {
                is_settled = false;
                let mut group = vec![exchange];
                while let Some(next) = rest.next_if(|next| next.label.split_once(" #").is_some_and(|(s, _)| s == step))
                {
                    group.push(next);
                }
                let mut statuses: Vec<u16> = group.iter().map(|exchange| exchange.response.status).collect();
                statuses.sort_unstable();
                for chunk in statuses.chunk_by(|a, b| a == b) {
                    let mut tally = recorded(exchange, outcome.version, false);
                    tally.step = format!("{step}, {} of {} at once", chunk.len(), group.len());
                    tally.speaker = if group.iter().all(|other| other.speaker == exchange.speaker) {
                        exchange.speaker.clone()
                    } else {
                        "several".to_owned()
                    };
                    tally.status = chunk.first().copied().unwrap_or_default();
                    tally.request_headers.clear();
                    tally.request_body = None;
                    exchanges.push(tally);
                }
            }
        }
    }
    let id = match outcome.id.strip_prefix(case) {
        None | Some("") => outcome.version.to_string(),
        Some(suffix) => suffix.to_owned(),
    };
    VariantTranscript {
        id,
        known: outcome.known.clone(),
        exchanges,
    }
}

fn recorded(exchange: &Exchange, version: u16, is_settled: bool) -> RecordedExchange {
    let (request, response) = (&exchange.request, &exchange.response);
    let response_body = match exchange.json {
        _ if !is_settled || response.body.is_empty() => Vec::new(),
        // The wording of an error is nobody's contract.
        None if response.status >= 400 => b"<text>".to_vec(),
        _ => response.body.to_vec(),
    };
    RecordedExchange {
        step: exchange.label.clone(),
        speaker: exchange.speaker.clone(),
        method: request.method.clone(),
        path: request.path.clone(),
        request_headers: request.headers.clone(),
        request_body: request.body.as_ref().map(|body| body.to_vec()),
        status: response.status,
        response_headers: if is_settled {
            response.headers.clone()
        } else {
            Vec::new()
        },
        response_body,
        request_schema: exchange.request_schema.clone(),
        response_schema: exchange.schema.clone(),
        version,
    }
}
