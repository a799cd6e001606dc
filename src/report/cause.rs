//! Why a case failed, in a line that is the same in all cases that failed alike, whatever clauses they are about.

use crate::contract::schemas::Schemas;
use crate::replay::assertion::Assertion;
use crate::replay::verdict::Outcome;
use crate::report::model::Case;

/// How much of what was found tells one cause from another, in characters.
const DISTINCTIVE: usize = 60;

/// The cause of a failed case: what its decisive finding asserted, and what was found. `None` where it has no such finding.
pub(super) fn of(case: &Case, outcome: &Outcome, strict: bool, schemas: &Schemas) -> Option<String> {
    let finding = case.decisive(strict)?;
    let mut text = String::new();
    if finding.setup {
        text.push_str("preparing: ");
    }
    // A response of the wrong kind belongs to a kind of request; setup is for no clause, but for a request.
    if finding.setup || finding.assertion.is_of_response() {
        let request = outcome
            .exchanges
            .get(finding.exchange)
            .map(|exchange| &exchange.request);
        let operation = request.and_then(|request| Some((request, schemas.operation(&request.method, &request.path)?)));
        if let Some((request, operation)) = operation {
            text = format!("{text}{} of {}, ", request.method, operation.path().id);
        }
    }
    let assertion = finding.assertion.clone().general();
    if let Assertion::Schema(_) = assertion {
        // What is wrong says more than what is there.
        let wrong = finding.expected.split(", found ").next().unwrap_or(&finding.expected);
        return Some(format!("{text}{assertion}: {wrong}"));
    }
    let observed: String = finding.observed.chars().take(DISTINCTIVE).collect();
    let is_short = finding.setup || finding.assertion == Assertion::Status;
    Some(match (is_short, observed.is_empty()) {
        (true, false) => format!("{text}{assertion}: expected {}, found {observed}", finding.expected),
        (true, true) => format!("{text}{assertion}: expected {}", finding.expected),
        (false, false) => format!("{text}{assertion}: found {observed}"),
        (false, true) => format!("{text}{assertion}"),
    })
}
