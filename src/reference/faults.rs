//! Everything that can be made wrong on purpose: the settled rules, and the wire.

use super::config::{Config, ConfigError};
use super::rules::{Rule, RuleKind, Rules};
use super::wire::{Wire, WireFault, wire_faults};

/// One way in which the service can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What `faults` of the configuration calls it.
    pub id: &'static str,
    /// What is wrong then.
    pub text: String,
    /// Where it is wrong.
    pub kind: FaultKind,
    /// The ids of the clauses that it breaks.
    pub clauses: Vec<&'static str>,
}

/// Where a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A settled rule of the table is broken.
    Rule,
    /// Requests, answers or frames are altered on their way.
    Wire,
}

impl FaultKind {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Wire => "wire",
        }
    }
}

/// Settled rules that may be broken without a caller's seeing a breach, and why: they are no faults.
pub const ALLOWED: [(&str, &str); 2] = [
    (
        "RTA-043",
        "it takes a token that expires during the run, which no endpoint is required to have",
    ),
    (
        "VER-010",
        "an interpretation of X-01 and of X-52: a request of 107 decides the defaults, and gameplay is only ever explicit",
    ),
];

/// Every fault there is: those of rules, then those of the wire.
pub fn all() -> Vec<Fault> {
    let is_fault =
        |rule: &&Rule| rule.kind == RuleKind::Settled && ALLOWED.iter().all(|(allowed, _)| *allowed != rule.id);
    let broken = Rules::table().iter().filter(is_fault).map(|rule| Fault {
        id: rule.id,
        text: match rule.readings {
            [_, (_, broken)] => (*broken).to_owned(),
            _ => rule.question.to_owned(),
        },
        kind: FaultKind::Rule,
        clauses: std::iter::once(rule.id).chain(rule.also.iter().copied()).collect(),
    });
    let wire = wire_faults().map(|fault| Fault {
        id: fault.id,
        text: fault.text.to_owned(),
        kind: FaultKind::Wire,
        clauses: fault.clauses.to_vec(),
    });
    broken.chain(wire).collect()
}

/// The configured faults that are rules.
pub(super) fn of_rules(config: &Config) -> impl Iterator<Item = &str> {
    let is_rule = |id: &&str| find(id).is_none();
    config.faults.iter().map(String::as_str).filter(is_rule)
}

/// The wire with the configured faults; `None` where it is as it should be.
pub(super) fn on_the_wire(config: &Config) -> Result<Option<Wire>, ConfigError> {
    let known = |id: &str| Rules::table().iter().any(|rule| rule.id == id);
    if let Some(unknown) = config.faults.iter().find(|id| find(id).is_none() && !known(id)) {
        return Err(ConfigError::new("faults", format!("there is no fault `{unknown}`")));
    }
    Ok(Wire::new(config.faults.iter().filter_map(|id| find(id)).collect()))
}

fn find(id: &str) -> Option<&'static WireFault> {
    wire_faults().find(|fault| fault.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fault_has_an_id_of_its_own_and_breaks_something() {
        let mut seen = HashSet::new();
        for fault in all() {
            assert!(seen.insert(fault.id), "{}", fault.id);
            assert!(!fault.clauses.is_empty(), "{}", fault.id);
        }
    }

    #[test]
    fn a_fault_that_nobody_knows_is_told() {
        let config = Config::parse(r#"{"faults": ["etag-is-nice"]}"#).unwrap();
        let error = on_the_wire(&config).unwrap_err();
        assert_eq!(error.path(), "faults");
        assert!(error.to_string().contains("etag-is-nice"), "{error}");
    }
}
