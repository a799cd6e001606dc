//! What the cases did in a run against the reference, compared with the manifest: nothing passes because it did nothing.

use std::collections::BTreeSet;

use crate::contract::Suite;
use crate::contract::manifest::{self, Manifest, Ran};
use crate::replay::verdict::{Outcome, Verdict};
use crate::run::error::SuiteError;

/// Reads the suite's manifest; an empty one where nothing was recorded.
pub fn manifest(suite: &Suite) -> Result<Manifest, SuiteError> {
    let read = Manifest::read(suite.files());
    let manifest = read.map_err(|problems| SuiteError::Recorded {
        file: manifest::FILE,
        problems,
    })?;
    Ok(manifest.unwrap_or_default())
}

/// The cases that did less than was recorded, a sentence each; `is_whole` says that all cases were to run.
///
/// A case that failed is left out, since it did not come to its end.
pub fn shortfall(manifest: &Manifest, outcomes: &[Outcome], is_whole: bool) -> Vec<String> {
    let failed: BTreeSet<&str> = outcomes
        .iter()
        .filter(|outcome| !is_complete(outcome))
        .map(|outcome| outcome.id.as_str())
        .collect();
    manifest.fallen_short(&ran(outcomes), &failed, is_whole)
}

/// The manifest with what the cases did in this run.
pub fn recorded(manifest: &Manifest, suite: &Suite, outcomes: &[Outcome]) -> Manifest {
    manifest.recorded(suite, &ran(outcomes))
}

fn ran(outcomes: &[Outcome]) -> Vec<Ran<'_>> {
    let complete = outcomes.iter().filter(|outcome| is_complete(outcome));
    let ran = complete.map(|outcome| Ran {
        id: &outcome.id,
        exchanges: outcome.exchange_count,
        assertions: outcome.assertions,
    });
    ran.collect()
}

fn is_complete(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Pass | Verdict::NotApplicable)
}
