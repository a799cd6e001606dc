//! The reports that a command writes, and what they make of its exit code.

use std::path::{Path, PathBuf};

use anstream::{eprintln, println};
use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::{style_error, write_file};
use crate::replay::verdict::Verdict;
use crate::report::document::Document;
use crate::report::{github, html, json, junit};
use crate::wire::secrets::Secrets;

/// Where reports go.
#[derive(Clone, Debug, Args)]
pub(super) struct Reports {
    /// Write a report, such as `json=report.json`; may be given several times. Formats: json, junit, html.
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = parse)]
    reports: Vec<(Format, PathBuf)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Junit,
    Html,
}

fn parse(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, path) = text
        .split_once('=')
        .ok_or("expected FORMAT=PATH, such as `json=report.json`")?;
    let known = || format!("unknown format `{format}`; expected `json`, `junit` or `html`");
    let format = Format::from_str(format, true).map_err(|_| known())?;
    if path.is_empty() {
        return Err("the path is missing; expected FORMAT=PATH, such as `json=report.json`".to_owned());
    }
    let path = PathBuf::from(path);
    // Before the run, which may take an hour, and not after it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(format!("there is no folder `{}` to write it into", folder.display()));
    }
    if path.is_dir() {
        return Err(format!("`{}` is a folder; expected a file", path.display()));
    }
    Ok((format, path))
}

impl Reports {
    /// Writes every report, and annotations where GitHub Actions runs the command.
    pub(super) fn write(&self, document: &Document, secrets: Option<&Secrets>) -> Result<(), Exit> {
        for (format, path) in &self.reports {
            let text = match format {
                Format::Json => json::render(document),
                Format::Junit => junit::render(document),
                Format::Html => html::render(document),
            };
            write_checked(path, &text, secrets)?;
        }
        if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
            let text = github::render(document);
            check("the annotations", &text, secrets)?;
            println!("{}", text.trim_end());
        }
        Ok(())
    }
}

/// Writes a file, unless it would hold a secret.
pub(super) fn write_checked(path: &Path, text: &str, secrets: Option<&Secrets>) -> Result<(), Exit> {
    check(&format!("`{}`", path.display()), text, secrets)?;
    write_file(path, text)
}

fn check(what: &str, text: &str, secrets: Option<&Secrets>) -> Result<(), Exit> {
    let Some(owner) = secrets.and_then(|secrets| secrets.find(text)) else {
        return Ok(());
    };
    eprintln!(
        "{}: {what} would hold a token, that of {owner}, and was not written",
        style_error("error")
    );
    Err(Exit::Fault)
}

/// The exit code that a report stands for.
pub(super) fn exit(document: &Document) -> Exit {
    let summary = &document.summary;
    let is_executed = document.cases.iter().any(|case| case.exchanges > 0);
    let is_cut_off = document
        .cases
        .iter()
        .any(|case| case.verdict == Verdict::Inconclusive && case.exchanges == 0);
    if summary.suite_fault > 0 {
        Exit::Fault
    } else if document.interrupted && !is_executed {
        Exit::Inconclusive
    } else if !is_executed && is_cut_off {
        Exit::Unreachable
    } else if !is_executed {
        Exit::NothingExecuted
    } else if summary.fail + summary.fixed > 0 || document.stale().next().is_some() {
        Exit::Nonconformance
    } else if summary.inconclusive > 0 {
        Exit::Inconclusive
    } else {
        Exit::Conforms
    }
}
