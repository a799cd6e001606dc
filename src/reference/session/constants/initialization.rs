//! `memberInitialization`: how members are initialized.

use serde_json::Value;

use super::super::field::At;
use super::super::model::{MemberInitialization, Timeout};
use super::super::refusal::Refusal;
use crate::rules::{EvaluationTimeout, NeededToStart, Rules};

#[derive(Debug, Default)]
pub(super) struct Initialization {
    join: Option<Timeout>,
    measurement: Option<Timeout>,
    evaluation: Option<Timeout>,
    external: bool,
    /// Whether externalEvaluation was given, be it false.
    names_external: bool,
    needed: Option<u64>,
}

impl Initialization {
    pub(super) fn read(value: &Value, at: &At<'_>) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (name, value) in at.object(value)? {
            let at = at.then(name);
            if value.is_null() && name == "externalEvaluation" {
                continue;
            }
            match name.as_str() {
                "joinTimeout" => read.join = Some(Timeout::read(value, &at)?),
                "measurementTimeout" => read.measurement = Some(Timeout::read(value, &at)?),
                "evaluationTimeout" => read.evaluation = Some(Timeout::read(value, &at)?),
                "externalEvaluation" => {
                    read.external = at.boolean(value)?;
                    read.names_external = true;
                }
                "membersNeededToStart" => read.needed = Some(at.integer(value, 0..=10_000)?),
                _ => {
                    return Err(at.unknown(&[
                        "joinTimeout",
                        "measurementTimeout",
                        "evaluationTimeout",
                        "externalEvaluation",
                        "membersNeededToStart",
                    ]));
                }
            }
        }
        Ok(read)
    }

    pub(super) fn check(&self, max_members: u64, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        let is_named = self.names_external && rules.evaluation_timeout == EvaluationTimeout::Always;
        let is_free = is_named || !rules.evaluation_timeout_is_external.kept();
        if self.evaluation.is_some() && !self.external && !is_free {
            return Err(at.then("evaluationTimeout").refuse("it needs external evaluation"));
        }
        let least = u64::from(rules.needed_to_start == NeededToStart::FromOne);
        match self.needed {
            Some(needed) if !(least..=max_members).contains(&needed) => Err(at.then("membersNeededToStart").refuse(
                format_args!("found {needed}, expected {least} to maxMembersCount, which is {max_members}"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn settle(&self, rules: &Rules) -> MemberInitialization {
        let join = if rules.initialization_has_defaults.kept() {
            10_000
        } else {
            5000
        };
        MemberInitialization {
            join_timeout: self.join.unwrap_or(Timeout::After(join)),
            measurement_timeout: self.measurement.unwrap_or(Timeout::After(30_000)),
            evaluation_timeout: self.evaluation.unwrap_or(Timeout::After(5000)),
            external_evaluation: self.external,
            members_needed_to_start: self.needed.unwrap_or(1),
            overrides_timeouts: rules.initialization_overrides_timeouts.kept(),
        }
    }
}
