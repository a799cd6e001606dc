//! Whether a target has what a case needs, as it is or adapted to what the target has.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::contract::case::needs::{self, Need};
use crate::contract::case::{Case, Script, Variant, adapt};
use crate::contract::version::ContractVersion;
use crate::contract::world::World;
use crate::target::Target;

/// The feature that a target has only if a request header moves its clock.
const MOVED_CLOCK: &str = "moved-clock";

impl Target {
    /// What is said in a variant when it is put to this target; or what it needs and the target does not have.
    pub fn fit<'s>(
        &self,
        world: &World,
        case: &Case,
        variant: &Variant,
        script: &'s Script,
    ) -> Result<Cow<'s, Script>, Need> {
        self.fit_needs(world, &needs::of(world, case, variant, script), variant.version, script)
    }

    /// The same of needs that are known.
    pub fn fit_needs<'s>(
        &self,
        world: &World,
        needs: &BTreeSet<Need>,
        version: ContractVersion,
        script: &'s Script,
    ) -> Result<Cow<'s, Script>, Need> {
        let missing: Vec<&Need> = needs.iter().filter(|need| !self.has(need)).collect();
        let Some(first) = missing.first() else {
            return Ok(Cow::Borrowed(script));
        };
        if matches!(first, Need::Feature(_)) {
            return Err((*first).clone());
        }
        let cast = adapt::cast(world, needs, &|need| self.has(need));
        let cast = cast.filter(|cast| cast.is_empty() || !script.shares_names());
        let templates: Vec<&str> = missing
            .iter()
            .filter_map(|need| match need {
                Need::Template(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let Some(cast) = cast else {
            let person = missing.iter().find(|need| !matches!(need, Need::Template(_)));
            return Err((*person.unwrap_or(first)).clone());
        };
        let has_blank = || {
            let blank = world.blank();
            blank.is_some_and(|(name, _)| self.has(&Need::Template(name.to_owned())))
        };
        let mut adapted = Cow::Borrowed(script);
        if !templates.is_empty() {
            let made = has_blank()
                .then(|| script.without_templates(world, version, &templates))
                .flatten();
            adapted = Cow::Owned(made.ok_or_else(|| (*first).clone())?);
        }
        if !cast.is_empty() {
            adapted = Cow::Owned(adapted.cast(&cast));
        }
        Ok(adapted)
    }

    /// Whether it declares to have something.
    pub fn has(&self, need: &Need) -> bool {
        match need {
            Need::Feature(name) => {
                let is_there = name != MOVED_CLOCK || self.advance_header.is_some();
                is_there && !self.lacks.contains(name)
            }
            Need::Template(name) => self.templates.contains_key(name),
            Need::Identity(name) => self.identities.contains_key(name),
            Need::Fact(name, fact) => {
                let Some(identity) = self.identities.get(name) else {
                    return false;
                };
                match fact.as_str() {
                    "xuid" => identity.xuid.is_some(),
                    "gamertag" => identity.gamertag.is_some(),
                    "device" => identity.device.is_some(),
                    _ => true,
                }
            }
        }
    }

    /// How it is said that it does not.
    pub fn excuse(&self, need: &Need) -> String {
        match need {
            Need::Feature(name) if name == MOVED_CLOCK && !self.lacks.contains(name) => {
                "the target's clock cannot be advanced".to_owned()
            }
            Need::Feature(name) => format!("the target does not support `{name}`"),
            Need::Template(name) => format!("the target has no template `{name}`"),
            Need::Identity(name) => format!("the target has no identity `{name}`"),
            Need::Fact(name, fact) => format!("the target file has no `{fact}` for `{name}`"),
        }
    }
}
