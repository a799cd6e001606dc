//! The configuration in the form that requests are answered from.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::config::{Config, ConfigError, ServiceConfig, SocialConfig, TemplateConfig, decimal};
use super::failure::Failure;
use super::faults;
use super::principal::Principal;
use super::rules::Rules;
use super::session::{ContractVersion, Template};
use super::session_ref::folded;
use super::social::Social;
use super::variations;

/// What does not change while the service runs.
#[derive(Debug)]
pub(super) struct Provisions {
    service_configs: HashMap<String, Provisioned>,
    pub(super) social: Social,
    pub(super) rules: Rules,
}

/// A service config, ready for use.
#[derive(Debug)]
pub(super) struct Provisioned {
    pub(super) scid: String,
    titles: Option<HashSet<u32>>,
    title: Option<u32>,
    /// What handles show as `gameTypes`.
    pub(super) game_types: Option<Value>,
    templates: HashMap<String, Template>,
}

impl Provisions {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let rules = rules(config)?;
        let mut service_configs = HashMap::new();
        for (scid, configured) in &config.service_configs {
            let provisioned = Provisioned::new(scid, configured, &rules)?;
            if service_configs.insert(folded(scid).into_owned(), provisioned).is_some() {
                let path = format!("serviceConfigs.{scid}");
                return Err(ConfigError::new(
                    path,
                    "another service config has the same id in another case",
                ));
            }
        }
        Ok(Self {
            service_configs,
            social: social(config)?,
            rules,
        })
    }

    /// The service config `scid`, if `caller` has access to it.
    pub(super) fn service_config(&self, scid: &str, caller: &Principal) -> Result<&Provisioned, Failure> {
        let Some(found) = self.service_configs.get(&*folded(scid)) else {
            // ERR-001
            return Err(Failure::NotFound(
                "The requested service config is either invalid or not configured for sessions.".to_owned(),
            ));
        };
        if found.serves(caller) {
            return Ok(found);
        }
        // ERR-003
        Err(Failure::Forbidden(
            "The requested service config cannot be accessed.".to_owned(),
        ))
    }

    /// The template `name` of the service config `scid`, if `caller` has access to it.
    pub(super) fn template(&self, scid: &str, name: &str, caller: &Principal) -> Result<&Template, Failure> {
        self.service_config(scid, caller)?.template(name)
    }

    /// The title that a service config belongs to, if that is known.
    pub(super) fn title(&self, scid: &str) -> Option<u32> {
        self.service_configs.get(&*folded(scid))?.title
    }

    /// What handles of a service config show as `gameTypes`, if it has any.
    pub(super) fn game_types(&self, scid: &str) -> Option<&Value> {
        self.service_configs.get(&*folded(scid))?.game_types.as_ref()
    }

    /// The service configs that `caller` has access to.
    pub(super) fn service_configs(&self, caller: &Principal) -> impl Iterator<Item = &Provisioned> {
        self.service_configs
            .values()
            .filter(move |config| config.serves(caller))
    }
}

/// The readings in force.
fn rules(config: &Config) -> Result<Rules, ConfigError> {
    let mut rules = Rules::default();
    for (id, reading) in &config.rules {
        let told = |error: &dyn std::fmt::Display| ConfigError::new(format!("rules.{id}"), error.to_string());
        rules.set(id, reading).map_err(|error| told(&error))?;
    }
    variations::vary_rules(config, &mut rules)?;
    for id in faults::of_rules(config) {
        rules
            .set(id, "broken")
            .map_err(|error| ConfigError::new("faults", error.to_string()))?;
    }
    Ok(rules)
}

impl Provisioned {
    fn new(scid: &str, configured: &ServiceConfig, rules: &Rules) -> Result<Self, ConfigError> {
        let mut templates = HashMap::new();
        for (name, configured) in &configured.templates {
            let path = format!("serviceConfigs.{scid}.templates.{name}");
            let template = template(name, configured, &path)?;
            check(scid, &template, rules)?;
            if templates.insert(folded(name).into_owned(), template).is_some() {
                return Err(ConfigError::new(
                    path,
                    "another template has the same name in another case",
                ));
            }
        }
        let ids = |titles: &Vec<super::config::Title>| titles.iter().map(|title| title.0).collect();
        Ok(Self {
            scid: scid.to_owned(),
            titles: configured.titles.as_ref().map(ids),
            title: configured
                .title
                .or_else(|| configured.titles.as_ref()?.first().copied())
                .map(|title| title.0),
            game_types: configured.game_types.clone().map(Value::Object),
            templates,
        })
    }

    fn serves(&self, caller: &Principal) -> bool {
        self.titles
            .as_ref()
            .is_none_or(|titles| titles.contains(&caller.title_id))
    }

    /// The template `name`.
    pub(super) fn template(&self, name: &str) -> Result<&Template, Failure> {
        let found = self.templates.get(&*folded(name));
        found.ok_or_else(|| Failure::NotFound(format!("The service config has no session template `{name}`.")))
    }

    /// All templates, by name.
    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut templates: Vec<_> = self.templates.values().collect();
        templates.sort_by(|one, two| one.name.cmp(&two.name));
        templates
    }
}

/// Refuses a template that no session could be created from.
fn check(scid: &str, template: &Template, rules: &Rules) -> Result<(), ConfigError> {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let at = format!(
        "/serviceConfigs/{}/templates/{}",
        escaped(scid),
        escaped(&template.name)
    );
    template.check(rules).map_err(|refusal| {
        let (place, reason) = refusal.message.split_once(": ").unwrap_or(("", &refusal.message));
        let place = place.strip_prefix("/template").unwrap_or_default();
        ConfigError::at(&format!("{at}{place}"), reason)
    })
}

fn template(name: &str, configured: &TemplateConfig, path: &str) -> Result<Template, ConfigError> {
    if name.is_empty() || name.chars().count() > 100 {
        return Err(ConfigError::new(
            path,
            "a template's name has 1 to 100 characters (SES-ADDR-006)",
        ));
    }
    let contract_version = ContractVersion::of(configured.contract_version.into()).ok_or_else(|| {
        ConfigError::new(
            format!("{path}.contractVersion"),
            format!("expected one of {}", ContractVersion::listed()),
        )
    })?;
    if !configured.constants.is_object() {
        return Err(ConfigError::new(format!("{path}.constants"), "expected an object"));
    }
    if !(configured.role_types.is_object() || configured.role_types.is_null()) {
        return Err(ConfigError::new(format!("{path}.roleTypes"), "expected an object"));
    }
    Ok(Template {
        name: name.to_owned(),
        contract_version,
        constants: configured.constants.clone(),
        role_types: configured.role_types.clone(),
    })
}

fn social(config: &Config) -> Result<Social, ConfigError> {
    let SocialConfig {
        follows,
        favorites,
        blocks,
    } = &config.social;
    let xuid = |kind: &str, who: &str| {
        let named = config.principals.get(who).and_then(|principal| principal.xuid);
        named.map(|xuid| xuid.0).or_else(|| decimal(who)).ok_or_else(|| {
            let reason = format!("`{who}` is neither the name of a configured user nor a decimal xuid");
            ConfigError::new(format!("social.{kind}"), reason)
        })
    };
    let pairs = |kind: &str, relation: &std::collections::BTreeMap<String, Vec<String>>| {
        let mut pairs = HashSet::new();
        for (who, whom) in relation {
            for other in whom {
                pairs.insert((xuid(kind, who)?, xuid(kind, other)?));
            }
        }
        Ok(pairs)
    };
    Ok(Social {
        follows: pairs("follows", follows)?,
        favorites: pairs("favorites", favorites)?,
        blocks: pairs("blocks", blocks)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_name_users_by_name_or_xuid() {
        let text = r#"{"principals": {"alice": {"xuid": "7", "title": 1}}, "social": {"follows": {"alice": ["8"]}}}"#;
        let provisions = Provisions::new(&Config::parse(text).unwrap()).unwrap();
        assert!(provisions.social.follows(7, 8));
        let text = r#"{"social": {"blocks": {"nobody": ["8"]}}}"#;
        let error = Provisions::new(&Config::parse(text).unwrap()).unwrap_err();
        assert_eq!(error.path(), "social.blocks");
    }

    #[test]
    fn a_template_that_no_session_could_have_is_refused_with_its_place() {
        for (system, place, reason) in [
            (r#"{"maxMembersCount": "eight"}"#, "/maxMembersCount", "eight"),
            (r#"{"visibility": "opened"}"#, "/visibility", "opened"),
            (r#"{"inviteProtocol": "party"}"#, "/inviteProtocol", "party"),
            (
                r#"{"capabilities": {"flying": true}}"#,
                "/capabilities/flying",
                "capabilities",
            ),
        ] {
            let template = format!(r#"{{"constants": {{"system": {system}}}}}"#);
            let text = format!(r#"{{"serviceConfigs": {{"s": {{"templates": {{"a/b": {template}}}}}}}}}"#);
            let error = Provisions::new(&Config::parse(&text).unwrap()).unwrap_err();
            let at = "/serviceConfigs/s/templates/a~1b/constants/system";
            assert!(error.pointer().starts_with(at), "{}", error.pointer());
            assert!(at.len() + place.len() >= error.pointer().len(), "{}", error.pointer());
            assert!(error.to_string().contains(reason) || place.contains(reason), "{error}");
        }
        let text = r#"{"serviceConfigs": {"s": {"templates": {"t": {"roleTypes": {"Class": {}}}}}}}"#;
        let error = Provisions::new(&Config::parse(text).unwrap()).unwrap_err();
        assert!(
            error.pointer().starts_with("/serviceConfigs/s/templates/t/roleTypes"),
            "{}",
            error.pointer()
        );
    }

    #[test]
    fn a_template_of_an_unknown_contract_version_is_refused() {
        let text = r#"{"serviceConfigs": {"s": {"templates": {"t": {"contractVersion": 106}}}}}"#;
        assert!(Provisions::new(&Config::parse(text).unwrap()).is_err());
    }
}
