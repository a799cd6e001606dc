//! What the suite itself says about operations: the clauses that a step is likely to be about, and the features it needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::contract::Suite;
use crate::contract::case::variable::{Scope, substitute_text};
use crate::contract::case::{Action, Step};
use crate::contract::schemas::Operation;

/// What steps of an operation are likely to be about.
#[derive(Debug)]
pub(super) struct Suggestions {
    /// The features that every case with an operation needs.
    needs: BTreeMap<String, BTreeSet<String>>,
    /// The clause that most steps that expect a status are about.
    statuses: BTreeMap<u16, String>,
    /// The clauses of real-time frames.
    subscribing: Option<String>,
    event: Option<String>,
}

/// The operation by which opened sockets are counted.
pub(super) const SOCKET: &str = "connect";

impl Suggestions {
    pub(super) fn of(suite: &Suite) -> Self {
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut counts: BTreeMap<u16, BTreeMap<String, usize>> = BTreeMap::new();
        let session = |name: &str| {
            let is_session = !name.contains('.') && !matches!(name, "scid" | "template");
            let path = "/serviceconfigs/s/sessiontemplates/t/sessions/n";
            Some(Value::from(if is_session { path } else { "x" }))
        };
        for case in suite.cases() {
            let own: BTreeSet<String> = case.needs.iter().cloned().collect();
            let Some(variant) = case.variants.first() else { continue };
            for step in case.scripts().of(variant).steps() {
                let expect = step.expect.as_ref().filter(|_| !step.is_setup);
                let status = expect.and_then(|expect| expect.status.as_ref()?.only());
                let clauses = expect.and_then(|expect| expect.clauses.as_ref());
                if let (Some(status), Some(clause)) = (status, clauses.unwrap_or(&variant.clauses).first()) {
                    *counts.entry(status).or_default().entry(clause.clone()).or_default() += 1;
                }
                for operation in operations(suite, step, &session) {
                    needs
                        .entry(operation)
                        .and_modify(|known| known.retain(|need| own.contains(need)))
                        .or_insert_with(|| own.clone());
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
            needs,
            subscribing: clause("realtime-frame", "/$defs/subscribed"),
            event: clause("tap", ""),
        }
    }

    /// The features that a target may lack, and without which an operation means nothing.
    pub(super) fn needs(&self, operation: &str) -> impl Iterator<Item = &str> {
        self.needs.get(operation).into_iter().flatten().map(String::as_str)
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

fn operations(suite: &Suite, step: &Step, session: &dyn Fn(&str) -> Option<Value>) -> Vec<String> {
    if matches!(step.action, Action::Open(..)) {
        return vec![SOCKET.to_owned()];
    }
    let scope = Scope {
        value: session,
        is_last: true,
    };
    let requests = step.requests().iter();
    let found = requests.filter_map(|request| {
        let path = substitute_text(&request.path, scope);
        Some(suite.schemas().operation(&request.method, &path)?.path().id.clone())
    });
    found.collect()
}
