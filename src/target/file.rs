//! The target file: a description of an endpoint, with its tokens kept elsewhere.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

use super::{Identity, Secret, Target};
use crate::suite::json::{Item, Report, parse};
use crate::suite::problem::{Place, Problem};

/// Reads a target file; tokens are fetched from where it says they are.
///
/// `name` is what problems call the file, `folder` is what its relative paths start from.
pub fn read(name: &str, text: &str, folder: &Path) -> Result<Target, Vec<Problem>> {
    let root = parse(name, text).map_err(|problem| vec![problem])?;
    let report = Report::new(name);
    let target = read_target(Item::root(&root, &report), folder);
    let mut problems = report.into_problems();
    match target {
        Some(target) if problems.is_empty() => Ok(Target {
            lock: Some(name.into()),
            ..target
        }),
        _ => {
            if problems.is_empty() {
                let (message, expected) = ("not a target".to_owned(), "see `schemas/target.schema.json`".to_owned());
                problems.push(Problem {
                    file: name.to_owned(),
                    place: Place::File,
                    message,
                    expected,
                });
            }
            Err(problems)
        }
    }
}

fn read_target(file: Item<'_>, folder: &Path) -> Option<Target> {
    let fields = file.object(&[
        "$schema",
        "about",
        "name",
        "baseUrl",
        "scid",
        "templates",
        "identities",
        "lacks",
        "clock",
        "limits",
    ])?;
    let base_url = fields.require("baseUrl")?;
    let url = base_url.string()?.trim_end_matches('/').to_owned();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        base_url.wrong(format!("`{url}` is no base URL"), "such as `https://mpsd.example:8443`");
    }
    let templates = fields.require("templates")?;
    let templates = match templates.value() {
        Value::Array(_) => templates
            .strings()?
            .into_iter()
            .map(|name| (name.clone(), name))
            .collect(),
        _ => templates.members(|key, item| Some((key.to_owned(), item.string()?.to_owned())))?,
    };
    let identities = fields
        .require("identities")?
        .members(|key, item| Some((key.to_owned(), read_identity(item, folder)?)))?;
    let advance_header = match fields.get("clock") {
        Some(clock) => Some(clock.object(&["advanceHeader"])?.string("advanceHeader")),
        None => None,
    };
    let in_flight = match fields.get("limits") {
        Some(limits) => limits
            .object(&["inFlight"])?
            .get("inFlight")
            .and_then(|item| item.unsigned()),
        None => None,
    };
    Some(Target {
        name: fields.optional_string("name").unwrap_or_else(|| url.clone()),
        base_url: url,
        scid: fields.string("scid"),
        templates: templates.into_iter().collect(),
        identities: identities.into_iter().collect(),
        lacks: fields.strings("lacks").into_iter().collect(),
        advance_header,
        in_flight: in_flight.and_then(|count| usize::try_from(count).ok()),
        lock: None,
        is_disposable: false,
    })
}

fn read_identity(item: Item<'_>, folder: &Path) -> Option<Identity> {
    let fields = item.object(&["about", "xuid", "gamertag", "title", "device", "token"])?;
    Some(Identity {
        xuid: fields.optional_string("xuid"),
        gamertag: fields.optional_string("gamertag"),
        title: fields.string("title"),
        device: fields.optional_string("device"),
        authorization: Secret::new(read_token(fields.require("token")?, folder)?),
    })
}

/// Fetches a token: the value of an `Authorization` header, never written in the file itself.
fn read_token(item: Item<'_>, folder: &Path) -> Option<String> {
    let fields = item.object(&["env", "file", "key", "command"])?;
    let found = if let Some(variable) = fields.get("env") {
        let name = variable.string()?;
        env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))
    } else if let Some(file) = fields.get("file") {
        token_from_file(&folder.join(file.string()?), fields.optional_string("key").as_deref())
    } else if let Some(command) = fields.get("command") {
        token_from_command(&command.strings()?, folder)
    } else {
        item.wrong(
            "a token without a source",
            "one of `env`, `file` (with an optional `key`) and `command`",
        );
        return None;
    };
    match found.map(|token| token.trim().to_owned()) {
        Ok(token) if !token.is_empty() => Some(token),
        Ok(_) => {
            item.wrong(
                "the token is empty",
                "the value of an `Authorization` header was expected from here",
            );
            None
        }
        Err(message) => {
            item.wrong(message, "the token was to come from here");
            None
        }
    }
}

fn token_from_file(path: &Path, key: Option<&str>) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let Some(key) = key else { return Ok(text) };
    // The parser's message would quote the file, and the file holds secrets.
    let root: Value = serde_json::from_str(&text).map_err(|_| format!("`{}` is not JSON", path.display()))?;
    let token = root.get(key).and_then(Value::as_str);
    token
        .map(str::to_owned)
        .ok_or_else(|| format!("`{}` has no string `{key}`", path.display()))
}

fn token_from_command(command: &[String], folder: &Path) -> Result<String, String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{program}` ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{program}` did not print text"))
}
