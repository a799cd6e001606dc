//! `serve`: the reference as a service.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anstream::eprintln;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::exit::Exit;
use crate::cli::signals::Signals;
use crate::cli::{SuiteSource, fault, print_problems, read_file, runtime, write_file};
use crate::contract::json::problem::{Place, Problem};
use crate::contract::{disk, json};
use crate::run::{embedded, sparing};
use crate::target::Target;
use crate::target::token::Token;
use mpsd_reference::config::{Log, RateLimits};
use mpsd_reference::faults;
use mpsd_reference::{Clock, Config, ConfigError, Server, StartError};

/// Run the reference as a service.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on; port 0 picks a free port [default: the configuration's `listen`, or 127.0.0.1:8730]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Configuration file: service configs, templates, principals, social relations, rules [default: the suite's test fixtures]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Add the suite's test fixtures to the configuration, so that `run --target` can test it.
    #[arg(long, requires = "config")]
    with_suite: bool,
    /// Write a target file for `run --target`, and the tokens in a file next to it.
    #[arg(long, value_name = "PATH")]
    target_file: Option<PathBuf>,
    /// Persist sessions and handles in this directory [default: in memory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Let requests advance their own clock with the header `X-Mpsd-Advance-Ms`.
    #[arg(long)]
    clock_control: bool,
    /// Inject a fault (see `prove --list`); repeatable.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// Apply a harmless variation (see `prove --list`); repeatable.
    #[arg(long = "variation", value_name = "VARIATION")]
    variations: Vec<String>,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Serve {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let mut config = match &self.config {
            None => embedded::config(suite.world(), self.clock_control).map_err(|error| fault(&error.into()))?,
            Some(path) => read_config(path)?,
        };
        let mut shown = None;
        if self.with_suite {
            let suites = embedded::config(suite.world(), self.clock_control).map_err(|error| fault(&error.into()))?;
            shown = Some(suites.clone());
            add(&mut config, suites)?;
        }
        config.clock_control |= self.clock_control;
        config.log = Log::to(|line| eprintln!("note: {line}"));
        if self.data.is_some() {
            config.data.clone_from(&self.data);
        }
        let faults = faults::all();
        for id in &self.faults {
            if !faults.iter().any(|fault| fault.id == id) {
                let known: Vec<&str> = faults.iter().map(|fault| fault.id).collect();
                return Err(unknown("fault", id, &known));
            }
            config.faults.push(id.clone());
        }
        let candidates = if self.variations.is_empty() {
            Vec::new()
        } else {
            sparing::candidates(&suite)
        };
        for id in &self.variations {
            match candidates.iter().find(|candidate| candidate.id == *id) {
                Some(candidate) => candidate.configure(&mut config),
                None => {
                    let known: Vec<&str> = candidates.iter().map(|candidate| candidate.id.as_str()).collect();
                    return Err(unknown("variation", id, &known));
                }
            }
        }
        let address = self
            .listen
            .or(config.listen)
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8730)));
        let runtime = runtime()?;
        runtime.block_on(async {
            let started = Server::start(&config, Clock::system(), address).await;
            let server = started.map_err(|error| match (error, &self.config) {
                (StartError::Config(error), Some(path)) => refuse(path, &error),
                (error, _) => fault(&error.into()),
            })?;
            // Before anybody learns that it is there.
            let mut signals = Signals::new();
            let target = match (&shown, &self.config) {
                // The suite's own part, as it is served here.
                (Some(suites), _) => {
                    let mut suites = suites.clone();
                    suites.rate_limits = config.rate_limits;
                    suites.clock_control = config.clock_control;
                    embedded::target(suite.world(), &suites, &server.url())
                }
                (None, Some(_)) => described(&config, &server.url()),
                (None, None) => embedded::target(suite.world(), &config, &server.url()),
            };
            if let Some(path) = &self.target_file {
                write_target(path, &target)?;
            }
            eprintln!("serving MPSD on {}; stop with Ctrl-C", server.url());
            if let Some(path) = &self.target_file {
                let path = path.display();
                let world = suite.world();
                let can_run = target.templates.keys().any(|name| world.templates.contains_key(name))
                    && target.identities.keys().any(|name| world.identities.contains_key(name));
                if can_run {
                    eprintln!("in another terminal: mpsd-conformance run --target {path}");
                } else {
                    eprintln!(
                        "{path} describes your own titles, which the cases know nothing of; use it with `watch --target`, with \
                         `import --target` and with the drafts that they make. To run the cases against this configuration, \
                         add --with-suite"
                    );
                }
            }
            signals.next().await;
            server.stop().await;
            Ok(Exit::Conforms)
        })
    }
}

/// Reads a configuration; reports its problems with their places.
fn read_config(path: &Path) -> Result<Config, Exit> {
    let text = read_file(path)?;
    let text = text.trim_start_matches('\u{feff}');
    let value = json::parse(&path.to_string_lossy(), text).map_err(|problem| print_problems(&[problem], Some(text)))?;
    Config::from_value(value).map_err(|error| refuse(path, &error))
}

/// Reports a problem of a configuration.
fn refuse(path: &Path, error: &ConfigError) -> Exit {
    let text = match read_file(path) {
        Ok(text) => text,
        Err(exit) => return exit,
    };
    let problem = Problem {
        file: path.to_string_lossy().into_owned(),
        place: if error.reason().starts_with("unknown field") {
            Place::Key(error.pointer())
        } else {
            Place::Value(error.pointer())
        },
        message: format!("invalid `{}` in the configuration", error.path()),
        expected: error.reason().to_owned(),
    };
    print_problems(&[problem], Some(text.trim_start_matches('\u{feff}')))
}

/// Reports a name that `prove --list` does not have.
fn unknown(kind: &str, id: &str, known: &[&str]) -> Exit {
    let near = Some(json::expected_one_of(id, known)).filter(|near| near.starts_with("did you mean"));
    let near = near.map_or(String::new(), |near| format!("; {near}"));
    fault(&anyhow::anyhow!("unknown {kind} `{id}`{near}; see `prove --list`"))
}

/// Adds what the suite needs to an operator's configuration.
fn add(config: &mut Config, suites: Config) -> Result<(), Exit> {
    for (name, principal) in suites.principals {
        if config.principals.insert(name.clone(), principal).is_some() {
            let message = format!("--with-suite: the configuration already has a principal `{name}`; rename it");
            return Err(fault(&anyhow::anyhow!(message)));
        }
    }
    config.service_configs.extend(suites.service_configs);
    config.social.follows.extend(suites.social.follows);
    config.social.favorites.extend(suites.social.favorites);
    config.social.blocks.extend(suites.social.blocks);
    Ok(())
}

/// The description of a service with an operator's own configuration: its first service config, and all it knows there.
fn described(config: &Config, url: &str) -> Target {
    let (scid, service) = config
        .service_configs
        .iter()
        .next()
        .map_or((String::new(), None), |(scid, s)| (scid.clone(), Some(s)));
    let templates = service.map(|service| {
        service
            .templates
            .keys()
            .map(|name| (name.clone(), name.clone()))
            .collect()
    });
    let tokens = config.tokens();
    let identities = config.principals.iter().map(|(name, principal)| {
        let identity = crate::target::Identity {
            xuid: principal.xuid.map(|xuid| xuid.0.to_string()),
            gamertag: principal.gamertag.clone(),
            title: principal.title.0.to_string(),
            device: principal.device.clone(),
            token: Token::fixed(tokens.get(name).map_or("", String::as_str)),
        };
        (name.clone(), identity)
    });
    Target {
        name: url.to_owned(),
        base_url: url.to_owned(),
        scid,
        templates: templates.unwrap_or_default(),
        identities: identities.collect(),
        lacks: match config.rate_limits {
            RateLimits::Off => ["rate-limits".to_owned()].into(),
            RateLimits::Documented => BTreeSet::default(),
        },
        advance_header: config.clock_control.then(|| embedded::ADVANCE_HEADER.to_owned()),
        ..Target::default()
    }
}

/// Writes a target's description, and its tokens to a file of their own that only the user may read.
fn write_target(path: &Path, target: &Target) -> Result<(), Exit> {
    let tokens_path = path.with_extension("tokens.json");
    let tokens_name = tokens_path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let identities = target.identities.iter().map(|(name, identity)| {
        let mut entry = identity.facts();
        entry.insert("token".to_owned(), json!({ "file": tokens_name, "key": name }));
        (name.clone(), Value::Object(entry))
    });
    let mut description = json!({
        "baseUrl": target.base_url,
        "scid": target.scid,
        "templates": target.templates,
        "identities": identities.collect::<Map<_, _>>(),
        "lacks": target.lacks,
    });
    if let (Some(header), Some(description)) = (&target.advance_header, description.as_object_mut()) {
        description.insert("clock".to_owned(), json!({ "advanceHeader": header }));
    }
    let tokens = target
        .identities
        .iter()
        .map(|(name, identity)| (name.clone(), (&*identity.token.reveal()).into()));
    let tokens = Value::Object(tokens.collect::<Map<_, _>>());
    write_secret(&tokens_path, &format!("{tokens:#}\n"))?;
    write_file(path, &format!("{description:#}\n"))
}

/// Writes a file that only the user may read.
fn write_secret(path: &Path, text: &str) -> Result<(), Exit> {
    use anyhow::Context as _;
    disk::replace_secret(path, text)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|error| fault(&error))
}
