//! `target`: a description of one's own service to start from, what the service must have, and a trial of both.

use std::path::PathBuf;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::exit::Exit;
use crate::cli::load_target;
use crate::cli::reports::write_checked;
use crate::cli::{SuiteSource, fault, now, print, runtime, style_error};
use crate::contract::Suite;
use crate::replay::{self, Replay};
use crate::run::preflight::{Gravity, Note};
use crate::run::worth::{self, Change, Worth};
use crate::run::{embedded, selection};

/// Describe and try a target.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    suite: SuiteSource,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a target file to start from; `about` says what each part is for.
    Init {
        /// The file; standard output without it.
        file: Option<PathBuf>,
    },
    /// Print what the suite needs a service to have: templates, users and how they know each other. For a target: how much of the
    /// suite it can be asked, and what the next account, template or feature would add.
    Needs {
        /// The target's description.
        #[arg(long, value_name = "FILE")]
        target: Option<PathBuf>,
    },
    /// Try a target: is it there, does it accept its identities, are its templates what they should be, what is missing.
    Check {
        /// The target's description.
        file: PathBuf,
        /// Only for these cases: ids, chapters, clause ids, or patterns with `*`.
        #[arg(value_name = "SELECTOR")]
        selectors: Vec<String>,
    },
}

impl Target {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        match self.command {
            Command::Init { file } => init(&suite, file),
            Command::Needs { target: None } => Ok(needs(&suite)),
            Command::Needs { target: Some(file) } => {
                print(&format_worth(&worth::of(&suite, &load_target(&file)?)));
                Ok(Exit::Conforms)
            }
            Command::Check { file, selectors } => check(suite, &file, &selectors),
        }
    }
}

fn init(suite: &Suite, file: Option<PathBuf>) -> Result<Exit, Exit> {
    let world = suite.world();
    let config = embedded::config(world, false).map_err(|error| fault(&error.into()))?;
    let target = embedded::target(world, &config, "https://mpsd.example");
    let identities = target.identities.iter().map(|(name, identity)| {
        let mut entry = Map::new();
        if let Some(known) = world.identities.get(name) {
            entry.insert("about".to_owned(), known.about.as_str().into());
        }
        entry.extend(identity.facts());
        entry.insert(
            "token".to_owned(),
            json!({ "env": format!("MPSD_TOKEN_{}", name.to_uppercase()) }),
        );
        (name.clone(), Value::Object(entry))
    });
    let features: Vec<&str> = world.features.keys().map(String::as_str).collect();
    let description = json!({
        "about": [
            "`name` is what reports call the service; `baseUrl` ends before `/serviceconfigs`; `scid` is a service config of your own.",
            "`tls`, for `https`: `authorities` names PEM files of certificate authorities beside the system's, `certificate` and `key` those of the suite itself where the service wants to see one, and `selfSigned` takes any certificate of a service on this machine.",
            "`proxy`: \"http://HOST:PORT\", or { \"url\": ..., \"authorization\": SOURCE }. The proxies of the environment are never used.",
            "`http2`: `true` sends requests over HTTP/2, as TLS agrees or, without TLS, from the first byte; sockets use HTTP/1.1.",
            "`headers`: what else goes with every request; a value is a text, or a SOURCE as a token has, and then a secret.",
            "`templates`: the suite's names, with the names they have on your service. Leave out what it does not have: the cases that need it are not applicable then. With `bare` the creator of a session sends what most of the other templates say, so that `bare` alone goes a long way. `mpsd-conformance target needs` prints what is in each.",
            "`identities`: who can speak, with the facts of your own users. Leave out whom you do not have: `alice`, `bob`, `carol` and `dave` take each other's parts where nothing sets them apart, so that two or three of them go a long way. `mpsd-conformance target needs --target FILE` reports what another would add. All of one `title` share a title id; those with another one differ on purpose. How they know each other, `mpsd-conformance target needs` prints as `relations`; if your service cannot be told, `social-graph` and `blocks` belong in `lacks`.",
            "A token is a whole `Authorization` value and never stands in this file. Its SOURCE: { \"env\": NAME }, { \"file\": PATH, \"key\": NAME } or { \"command\": [PROGRAM, ARGUMENT...] }. A file or a command is asked again after `expiresIn` seconds, and when the service answers 401; a command may also print { \"token\": VALUE, \"expiresIn\": SECONDS }.",
            format!("`lacks`: what the service does not do, of {}.", features.join(", ")),
            "`sockets`: \"nonce\" if real-time sockets are to be opened with a nonce of GET /nonce instead of the token.",
            "`clock`: { \"advanceHeader\": NAME } if a request header moves the clock of one conversation ahead, in ms; without it timed cases really wait.",
            "`limits`: `requestsPerSecond` and `inFlight` of all together, and the same of each identity in `perIdentity`; a run keeps to them and says how long it will take."
        ],
        "name": "my service",
        "baseUrl": target.base_url,
        "scid": "00000000-0000-0000-0000-000000000000",
        "templates": target.templates,
        "identities": identities.collect::<Map<_, _>>(),
        "lacks": target.lacks,
        "limits": { "inFlight": 16 },
    });
    let text = format!("{description:#}\n");
    let Some(path) = file else {
        print(&text);
        return Ok(Exit::Conforms);
    };
    if path.exists() {
        eprintln!(
            "{}: `{}` is there already; it is not overwritten",
            style_error("error"),
            path.display()
        );
        return Ok(Exit::Fault);
    }
    write_checked(&path, &text, None)?;
    let path = path.display();
    eprintln!("`{path}` is written; fill in what is yours, then: mpsd-conformance target check {path}");
    Ok(Exit::Conforms)
}

fn needs(suite: &Suite) -> Exit {
    let world = suite.world();
    let templates = world.templates.iter().map(|(name, template)| {
        let (about, version) = (&template.about, template.contract_version.number());
        let entry = json!({ "about": about, "contractVersion": version, "constants": template.constants, "roleTypes": template.role_types });
        (name.clone(), entry)
    });
    let identities = world.identities.iter().map(|(name, identity)| {
        let entry = json!({
            "about": identity.about,
            "kind": if identity.is_server { "server" } else { "user" },
            "title": identity.title,
            "device": identity.device,
            "multiplayerPrivilege": identity.multiplayer_privilege,
            "titleIdentity": identity.title_identity,
            "expired": identity.expired,
        });
        (name.clone(), entry)
    });
    let needs = json!({
        "templates": templates.collect::<Map<_, _>>(),
        "titlesWithAccess": world.titles.iter().filter(|(_, has_access)| **has_access).map(|(name, _)| name).collect::<Vec<_>>(),
        "identities": identities.collect::<Map<_, _>>(),
        "relations": world.relations,
    });
    print(&format!("{needs:#}"));
    Exit::Conforms
}

/// As many of the changes as anybody reads.
const MOST_CHANGES: usize = 15;

fn format_worth(worth: &Worth) -> String {
    let percent = |count: usize| count * 100 / worth.all.max(1);
    let Worth { all, judged, .. } = worth;
    let mut lines = vec![format!(
        "{judged} of {all} variants can be judged ({} %)",
        percent(*judged)
    )];
    let lists = [
        ("One more of these would add", &worth.more, '+'),
        ("One less of these would take away", &worth.less, '-'),
    ];
    for (title, changes, sign) in lists.into_iter().filter(|(_, changes, _)| !changes.is_empty()) {
        lines.extend([String::new(), title.to_owned()]);
        lines.extend(changes.iter().take(MOST_CHANGES).map(|Change { what, judged: then }| {
            let difference = then.abs_diff(*judged);
            format!("  {what:<40} {sign}{difference:<5} {then:>5} ({} %)", percent(*then))
        }));
        let others = changes.len().saturating_sub(MOST_CHANGES);
        lines.extend((others > 0).then(|| format!("  and {others} others")));
    }
    lines.join("\n")
}

fn check(suite: Suite, file: &std::path::Path, selectors: &[String]) -> Result<Exit, Exit> {
    let target = load_target(file)?;
    let selection = selection::select(&suite, selectors);
    if selection.selected.is_empty() || !selection.idle.is_empty() {
        eprintln!(
            "{}: nothing is selected by `{}`",
            style_error("error"),
            selection.idle.join("`, `")
        );
        return Ok(Exit::Fault);
    }
    let replay = Replay::new(suite.into(), target.into(), replay::Options::default());
    let replay = replay.map_err(|error| fault(&anyhow::Error::new(error)))?;
    let notes = runtime()?.block_on(replay.preflight(&selection.selected, now()));
    let mut text = String::new();
    for note in &notes {
        text.push_str(&format_note(note));
    }
    replay.transport().secrets().redact_text(&mut text);
    print(&text);
    Ok(match notes.iter().map(|note| note.gravity).max() {
        Some(Gravity::Fatal) => Exit::Unreachable,
        Some(Gravity::Problem) => Exit::Fault,
        _ => Exit::Conforms,
    })
}

/// A note in a line, with what to do in the next.
pub(super) fn format_note(note: &Note) -> String {
    let (style, word) = match note.gravity {
        Gravity::Fine => (AnsiColor::Green.on_default(), "fine"),
        Gravity::Doubt => (AnsiColor::Yellow.on_default(), "note"),
        Gravity::Problem => (AnsiColor::Red.on_default(), "problem"),
        Gravity::Fatal => (AnsiColor::Red.on_default().bold(), "fatal"),
    };
    let faint = Style::new().dimmed();
    let advice = if note.advice.is_empty() {
        String::new()
    } else {
        format!("\n         {faint}{}{faint:#}", note.advice)
    };
    format!("{style}{word:<7}{style:#}  {}{advice}\n", note.found)
}
