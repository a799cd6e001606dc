//! What the suite itself says about operations: the clauses that a step is likely to be about.

use std::collections::BTreeMap;

use crate::contract::Suite;
use crate::contract::schemas::Operation;

/// What steps of an operation are likely to be about.
#[derive(Debug)]
pub(super) struct Suggestions {
    /// The clause that most steps that expect a status are about.
    statuses: BTreeMap<u16, String>,
    /// The clauses of real-time frames.
    subscribing: Option<String>,
    event: Option<String>,
}

impl Suggestions {
    pub(super) fn of(suite: &Suite) -> Self {
        let mut counts: BTreeMap<u16, BTreeMap<String, usize>> = BTreeMap::new();
        for case in suite.cases() {
            let scripts = case.scripts();
            let Some((variant, script)) = scripts.with(case).next() else {
                continue;
            };
            for step in script.steps() {
                let expect = step.expect.as_ref().filter(|_| !step.is_setup);
                let status = expect.and_then(|expect| expect.status.as_ref()?.only());
                let clauses = expect.and_then(|expect| expect.clauses.as_ref());
                if let (Some(status), Some(clause)) = (status, clauses.unwrap_or(&variant.clauses).first()) {
                    *counts.entry(status).or_default().entry(clause.clone()).or_default() += 1;
                }
            }
        }
        let clause = |schema: &str, pointer: &str| {
            let schema = suite.schemas().document(schema)?;
            schema.pointer(pointer)?.get("x-clause")?.as_str().map(str::to_owned)
        };
        let most = |(status, counts): (u16, BTreeMap<String, usize>)| {
            let most = counts.into_iter().max_by_key(|(_, count)| *count)?;
            Some((status, most.0))
        };
        Self {
            statuses: counts.into_iter().filter_map(most).collect(),
            subscribing: clause("realtime-frame", "/$defs/subscribed"),
            event: clause("tap", ""),
        }
    }

    /// A clause that an answer with this status may be about, if nothing better is known.
    pub(super) fn likely(&self, status: u16) -> Option<&str> {
        self.statuses.get(&status).map(String::as_str)
    }

    /// The clause that answers to subscribing come from.
    pub(super) fn subscribing(&self) -> Option<&str> {
        self.subscribing.as_deref()
    }

    /// The clause that taps come from.
    pub(super) fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }
}

/// The clause that a step of an operation, answered so, is likely to be about.
pub(super) fn clause<'o>(operation: &'o Operation<'_>, status: u16) -> Option<&'o str> {
    operation.clauses(status).first().map(String::as_str)
}
