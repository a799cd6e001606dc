//! Provisions the reference with the suite's world, through the configuration that any operator would write.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::contract::world::World;
use crate::run::error::{RunError, SuiteError};
use crate::target::token::Token;
use crate::target::{Identity, Target};
use mpsd_reference::config::RateLimits;
use mpsd_reference::{Clock, Config, Server};

/// The header that moves a conversation's clock ahead on the reference.
pub const ADVANCE_HEADER: &str = "X-Mpsd-Advance-Ms";
/// The id of the first title of a world; the others follow.
const FIRST_TITLE: u32 = 1_297_290_001;

/// Starts the reference on a free loopback port, for one run.
pub async fn start(world: &World) -> Result<(Target, Server), RunError> {
    start_with(world, |_| ()).await
}

/// Starts the reference like [`start`], with a configuration that is changed before.
pub async fn start_with(world: &World, change: impl FnOnce(&mut Config)) -> Result<(Target, Server), RunError> {
    let mut config = config(world, true)?;
    change(&mut config);
    serve(world, &config).await
}

/// Starts a service with a configuration on a free loopback port, for one run.
pub(crate) async fn serve(world: &World, config: &Config) -> Result<(Target, Server), RunError> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(config, Clock::stopped(), address).await?;
    let mut target = target(world, config, &server.url());
    target.name = "the embedded reference".to_owned();
    target.is_disposable = true;
    Ok((target, server))
}

/// The configuration that gives a service what the suite's cases need.
pub fn config(world: &World, clock_control: bool) -> Result<Config, SuiteError> {
    let titles = titles(world);
    let with_access: Vec<u32> = titles
        .iter()
        .filter(|(name, _)| world.titles.get(**name) == Some(&true))
        .map(|(_, id)| *id)
        .collect();
    let templates = world.templates.iter().map(|(name, template)| {
        let (version, constants, roles) = (
            template.contract_version.number(),
            &template.constants,
            &template.role_types,
        );
        (
            name.clone(),
            json!({ "contractVersion": version, "constants": constants, "roleTypes": roles }),
        )
    });
    let principals = world.identities.iter().map(|(name, identity)| {
        let title = titles.get(identity.title.as_str());
        let mut principal = json!({ "kind": if identity.is_server { "server" } else { "user" }, "title": title, "expired": identity.expired });
        if let (Some(principal), false) = (principal.as_object_mut(), identity.is_server) {
            principal.insert("xuid".to_owned(), identity.xuid.clone().into());
            principal.insert("gamertag".to_owned(), identity.gamertag.clone().into());
            principal.insert("device".to_owned(), identity.device.clone().into());
            principal.insert("multiplayerPrivilege".to_owned(), identity.multiplayer_privilege.into());
            principal.insert("titleIdentity".to_owned(), identity.title_identity.into());
        }
        (name.clone(), principal)
    });
    let social = world.relations.iter().map(|(kind, pairs)| {
        let mut by_user: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in pairs {
            by_user.entry(from).or_default().push(to);
        }
        (kind.clone(), json!(by_user))
    });
    let config = json!({
        "serviceConfigs": { Uuid::new_v4().to_string(): { "titles": with_access, "templates": templates.collect::<Map<_, _>>() } },
        "principals": principals.collect::<Map<_, _>>(),
        "social": social.collect::<Map<String, Value>>(),
        "clockControl": clock_control,
    });
    Config::from_value(config).map_err(SuiteError::World)
}

/// The description of a service that was given [`config`].
pub fn target(world: &World, config: &Config, url: &str) -> Target {
    let titles = titles(world);
    let tokens = config.tokens();
    let identity = |(name, identity): (&String, &crate::contract::world::Identity)| {
        let identity = Identity {
            xuid: identity.xuid.clone(),
            gamertag: identity.gamertag.clone(),
            title: titles
                .get(identity.title.as_str())
                .map(u32::to_string)
                .unwrap_or_default(),
            device: identity.device.clone(),
            token: Token::fixed(tokens.get(name).map_or("", String::as_str)),
        };
        (name.clone(), identity)
    };
    Target {
        name: url.to_owned(),
        base_url: url.to_owned(),
        scid: config.service_configs.keys().next().cloned().unwrap_or_default(),
        templates: world
            .templates
            .keys()
            .map(|name| (name.clone(), name.clone()))
            .collect(),
        identities: world.identities.iter().map(identity).collect(),
        lacks: match config.rate_limits {
            RateLimits::Off => ["rate-limits".to_owned()].into(),
            RateLimits::Documented => BTreeSet::new(),
        },
        advance_header: config.clock_control.then(|| ADVANCE_HEADER.to_owned()),
        ..Target::default()
    }
}

fn titles(world: &World) -> BTreeMap<&str, u32> {
    world.titles.keys().map(String::as_str).zip(FIRST_TITLE..).collect()
}
