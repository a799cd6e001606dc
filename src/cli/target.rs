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

/// Create and check target files.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    suite: SuiteSource,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a target file to fill in; its `about` explains each part.
    Init {
        /// Output file [default: standard output]
        file: Option<PathBuf>,
    },
    /// Print what a service must be provisioned with: templates, users and their relations. With `--target`: how much of the
    /// suite it can be tested with, and what the next account, template or feature would add.
    Needs {
        /// Target file of the service.
        #[arg(long, value_name = "FILE")]
        target: Option<PathBuf>,
    },
    /// Check a target: reachability, tokens, templates, users, and which cases do not apply.
    Check {
        /// Target file of the service.
        file: PathBuf,
        /// Only for these cases: case ids, chapters, clause ids, or patterns with `*`.
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
            "`name`: name of the service in reports. `baseUrl`: its URL without `/serviceconfigs`. `scid`: one of your service configs.",
            "`tls`, for `https`: `authorities` lists PEM files of certificate authorities to trust in addition to the system's. `certificate` and `key` are the client certificate and key, if your service requires mutual TLS. `selfSigned` accepts any certificate of a service on this machine.",
            "`proxy`: \"http://HOST:PORT\", or { \"url\": ..., \"authorization\": SOURCE }. Proxy environment variables are ignored.",
            "`http2`: `true` sends requests over HTTP/2: negotiated with TLS or, without TLS, from the first byte. WebSockets use HTTP/1.1.",
            "`headers`: extra headers sent with every request. A value is a string, or a SOURCE as for tokens, which is then kept secret.",
            "`templates`: the suite's template names, each with its name on your service. Remove those it does not have; the cases that need them are then not applicable. With `bare`, the creator of a session sends the constants of most other templates, so `bare` alone covers many cases. `mpsd-conformance target needs` prints the content of each.",
            "`identities`: the test users, with the facts of your own accounts. Remove those you do not have: `alice`, `bob`, `carol` and `dave` can replace each other in most cases, so two or three of them cover many cases. `mpsd-conformance target needs --target FILE` reports what another one would add. Identities of one `title` share a title id; different titles are intended. `mpsd-conformance target needs` prints the relations between users as `relations`; if your service has no way to set them, add `social-graph` and `blocks` to `lacks`.",
            "A token is the full value of an `Authorization` header. Never put it in this file. Its SOURCE: { \"env\": NAME }, { \"file\": PATH, \"key\": NAME } or { \"command\": [PROGRAM, ARGUMENT...] }. Tokens from a file or command are reloaded after `expiresIn` seconds, and once after a 401 response; a command may also print { \"token\": VALUE, \"expiresIn\": SECONDS }.",
            format!("`lacks`: the features your service does not support, of {}.", features.join(", ")),
            "`sockets`: \"nonce\" to open real-time sockets with a nonce of GET /nonce instead of the token.",
            "`clock`: { \"advanceHeader\": NAME } if a request header advances the clock of one case, in ms; without it, timed cases wait in real time.",
            "`limits`: rate and concurrency limits: `requestsPerSecond` and `inFlight` for the whole run, and per identity under `perIdentity`."
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
            "{}: `{}` exists and is not overwritten; choose another name or delete it first",
            style_error("error"),
            path.display()
        );
        return Ok(Exit::Fault);
    }
    write_checked(&path, &text, None)?;
    let path = path.display();
    eprintln!("wrote `{path}`; fill it in, then run: mpsd-conformance target check {path}");
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
        "{judged} of {all} cases can be tested ({} %)",
        percent(*judged)
    )];
    let lists = [
        ("Adding one of these would add", &worth.more, '+'),
        ("Removing one of these would remove", &worth.less, '-'),
    ];
    for (title, changes, sign) in lists.into_iter().filter(|(_, changes, _)| !changes.is_empty()) {
        lines.extend([String::new(), title.to_owned()]);
        lines.extend(changes.iter().take(MOST_CHANGES).map(|Change { what, judged: then }| {
            let difference = then.abs_diff(*judged);
            format!("  {what:<40} {sign}{difference:<5} {then:>5} ({} %)", percent(*then))
        }));
        let others = changes.len().saturating_sub(MOST_CHANGES);
        lines.extend((others > 0).then(|| format!("  and {others} more")));
    }
    lines.join("\n")
}

fn check(suite: Suite, file: &std::path::Path, selectors: &[String]) -> Result<Exit, Exit> {
    let target = load_target(file)?;
    let selection = selection::select(&suite, selectors);
    if selection.selected.is_empty() || !selection.idle.is_empty() {
        eprintln!(
            "{}: no case matches `{}`",
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
        Gravity::Fine => (AnsiColor::Green.on_default(), "ok"),
        Gravity::Doubt => (AnsiColor::Yellow.on_default(), "note"),
        Gravity::Problem => (AnsiColor::Red.on_default(), "error"),
        Gravity::Fatal => (AnsiColor::Red.on_default().bold(), "error"),
    };
    let faint = Style::new().dimmed();
    let advice = if note.advice.is_empty() {
        String::new()
    } else {
        format!("\n         {faint}{}{faint:#}", note.advice)
    };
    format!("{style}{word:<7}{style:#}  {}{advice}\n", note.found)
}
