//! Recorded exchanges in which something of the contract shows, for `explain` and the book.

use crate::contract::case::{Step, Variant};
use crate::contract::clause::Clause;
use crate::contract::{Suite, facts};
use crate::snapshot::{Exchange, sections};

/// A real exchange, and the case that it is from.
#[derive(Clone, Debug)]
pub struct Example<'a> {
    /// The case's id.
    pub case: &'a str,
    /// What was said.
    pub exchange: Exchange,
}

/// The first exchange of some cases' conversations that fits.
pub fn example<'a>(suite: &Suite, cases: &[&'a str], fits: impl Fn(&Exchange) -> bool) -> Option<Example<'a>> {
    cases.iter().find_map(|case| {
        let said = sections(&suite.files().snapshot(case)?);
        // The last one is what the case is about, most of the time.
        let exchanges = said.into_iter().flat_map(|section| section.exchanges);
        let exchange = exchanges.filter(|exchange| fits(exchange)).last()?;
        Some(Example { case, exchange })
    })
}

/// An exchange in which a clause shows, from the first of its cases that is recorded.
pub fn example_of<'a>(suite: &'a Suite, clause: &Clause, cases: &[&'a str]) -> Option<Example<'a>> {
    let is_it = |id: &String| suite.clause(id).is_some_and(|found| found.id == clause.id);
    cases.iter().find_map(|id| {
        let case = facts::find_case(suite, id)?;
        let is_about = |variant: &Variant| variant.clauses.iter().chain(&variant.judged).any(is_it);
        let variant = case.variants.iter().find(|variant| is_about(variant))?;
        let scripts = case.scripts();
        let script = scripts.of(variant)?;
        let judges = |step: &Step| {
            let named = step.expectations().filter_map(|expect| expect.clauses.as_ref());
            named.flatten().any(is_it)
        };
        let steps = || script.steps().enumerate().map(|(index, step)| (index + 1, step));
        let named = steps().filter(|(_, step)| judges(step)).last();
        let (step, _) = named.or_else(|| steps().filter(|(_, step)| !step.is_setup).last())?;
        let suffix = variant.id.strip_prefix(&case.id).unwrap_or_default();
        let mut said = sections(&suite.files().snapshot(id)?).into_iter();
        let section = said.find(|section| suffix.is_empty() || section.id == suffix)?;
        // A step may wait in silence; what was said before is what led there.
        let is_there = |exchange: &Exchange| exchange.step.step <= step;
        let exchange = section.exchanges.into_iter().rfind(is_there)?;
        Some(Example {
            case: &case.id,
            exchange,
        })
    })
}
