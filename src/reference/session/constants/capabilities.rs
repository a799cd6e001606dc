//! Reading capabilities, and which of them go together.

use serde_json::Value;

use super::super::field::At;
use super::super::model::{Capabilities, Capability};
use super::super::refusal::Refusal;
use crate::rules::{Rules, SearchableOwners};

impl Capabilities {
    /// Reads `constants.system.capabilities`; a name that does not exist is refused (SES-CAP-017).
    pub(super) fn read(value: &Value, at: &At<'_>) -> Result<Self, Refusal> {
        let mut capabilities = Self::default();
        for (name, value) in at.object(value)? {
            let at = at.then(name);
            let Some((_, capability)) = Capability::ALL.iter().find(|(known, _)| known == name) else {
                let known: Vec<_> = Capability::ALL.iter().map(|(known, _)| *known).collect();
                return Err(at.unknown(&known));
            };
            if !value.is_null() && at.boolean(value)? {
                capabilities.add(*capability);
            }
        }
        Ok(capabilities)
    }

    /// Refuses capabilities that exclude or lack one another (TPL-015, SES-CAP-005..007, SES-OWN-012).
    pub(super) fn check(self, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        use Capability as C;
        const EXCLUSIONS: &[(Capability, Capability)] = &[
            (C::Large, C::Connectivity),
            (C::Large, C::AutoPopulateServerCandidates),
            (C::Large, C::UserAuthorizationStyle),
            (C::Large, C::Team),
            (C::Large, C::Arbitration),
            (C::Team, C::Gameplay),
        ];
        const NEEDS: &[(Capability, Capability)] = &[(C::Broadcast, C::Large), (C::Arbitration, C::Gameplay)];
        if !rules.capabilities_are_checked.kept() {
            return Ok(());
        }
        for (one, other) in EXCLUSIONS {
            if self.has(*one) && self.has(*other) {
                return Err(at.refuse(format_args!("{} and {} exclude each other", one.name(), other.name())));
            }
        }
        for (one, other) in NEEDS {
            if self.has(*one) && !self.has(*other) {
                return Err(at.refuse(format_args!("{} needs {}", one.name(), other.name())));
            }
        }
        let needs_owners = rules.searchable_owners == SearchableOwners::Required;
        if needs_owners && self.has(C::Searchable) && self.has(C::UserAuthorizationStyle) && !self.has(C::HasOwners) {
            return Err(at.refuse("searchable with userAuthorizationStyle needs hasOwners"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Capabilities, Refusal> {
        let capabilities = Capabilities::read(value, &At::ROOT)?;
        capabilities.check(&Rules::default(), &At::ROOT).map(|()| capabilities)
    }

    #[test]
    fn only_true_capabilities_are_shown() {
        let capabilities = read(&json!({"gameplay": true, "large": false})).unwrap();
        assert_eq!(Value::Object(capabilities.to_json()), json!({"gameplay": true}));
    }

    #[test]
    fn unknown_names_and_wrong_types_are_refused() {
        assert!(read(&json!({"crossplay": true})).is_err());
        assert!(read(&json!({"gameplay": 1})).is_err());
        assert!(read(&json!([])).is_err());
    }

    #[test]
    fn pairs_that_exclude_or_need_each_other_are_checked() {
        for wrong in [
            json!({"large": true, "connectivity": true}),
            json!({"team": true, "gameplay": true}),
            json!({"team": true, "large": true}),
            json!({"broadcast": true}),
            json!({"arbitration": true}),
            json!({"searchable": true, "userAuthorizationStyle": true}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
        for right in [
            json!({"searchable": true}),
            json!({"searchable": true, "userAuthorizationStyle": true, "hasOwners": true}),
            json!({"broadcast": true, "large": true}),
            json!({"arbitration": true, "gameplay": true}),
        ] {
            assert!(read(&right).is_ok(), "{right}");
        }
    }
}
