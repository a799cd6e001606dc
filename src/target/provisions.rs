//! Whether a target has what a case needs.

use crate::contract::case::needs::Need;
use crate::target::Target;

/// The feature that a target has only if a request header moves its clock.
const MOVED_CLOCK: &str = "moved-clock";

impl Target {
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
                "the target's clock cannot be moved".to_owned()
            }
            Need::Feature(name) => format!("the target lacks `{name}`"),
            Need::Template(name) => format!("the target has no template `{name}`"),
            Need::Identity(name) => format!("the target has no identity `{name}`"),
            Need::Fact(name, fact) => format!("the target gives no `{fact}` of `{name}`"),
        }
    }
}
