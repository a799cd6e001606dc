//! The reports that a command writes, and what they make of its exit code.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anstream::{eprintln, println};
use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::{style_error, write_file};
use crate::contract::disk;
use crate::replay::verdict::Verdict;
use crate::report::{FORMATS, Format, Report, github};
use crate::wire::secrets::Secrets;

/// Where reports go.
#[derive(Clone, Debug, Args)]
pub(super) struct Reports {
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = |text: &str| parse(&FORMATS, text), help = HELP.as_str())]
    reports: Vec<Wanted<Report>>,
}

static HELP: LazyLock<String> = LazyLock::new(|| help(&FORMATS, "report"));

/// What `--report` of a command does, with all its formats.
pub(super) fn help<T>(formats: &[Format<T>], file: &str) -> String {
    let names = names(formats).join(", ");
    format!("Write a report, such as `json={file}.json`; repeatable. Formats: {names}")
}

fn names<T>(formats: &[Format<T>]) -> Vec<&'static str> {
    formats.iter().map(|format| format.name).collect()
}

/// A report that is to be written.
#[derive(Debug)]
pub(super) struct Wanted<T: 'static> {
    format: &'static Format<T>,
    path: PathBuf,
}

impl<T> Clone for Wanted<T> {
    fn clone(&self) -> Self {
        Self {
            format: self.format,
            path: self.path.clone(),
        }
    }
}

/// Reads `FORMAT=PATH`.
pub(super) fn parse<T>(formats: &'static [Format<T>], text: &str) -> Result<Wanted<T>, String> {
    let (name, path) = text
        .split_once('=')
        .ok_or("expected FORMAT=PATH, such as `json=report.json`")?;
    let format = formats.iter().find(|format| format.name.eq_ignore_ascii_case(name));
    let format = format.ok_or_else(|| {
        format!(
            "unknown format `{name}`; expected one of `{}`",
            names(formats).join("`, `")
        )
    })?;
    if path.is_empty() {
        return Err("missing path; expected FORMAT=PATH, such as `json=report.json`".to_owned());
    }
    let path = PathBuf::from(path);
    // Before the run, which may take an hour, and not after it.
    let folder = disk::folder_of(&path);
    if !folder.is_dir() {
        return Err(format!("the directory `{}` does not exist", folder.display()));
    }
    if path.is_dir() {
        return Err(format!("`{}` is a directory; expected a file", path.display()));
    }
    Ok(Wanted { format, path })
}

/// Refuses two reports that are to be written to one file.
pub(super) fn check_paths<T>(wanted: &[Wanted<T>]) -> Result<(), Exit> {
    for (place, one) in wanted.iter().enumerate() {
        let is_same =
            |other: &&Wanted<T>| other.path.is_file() == one.path.is_file() && disk::is_same(&one.path, &other.path);
        if let Some(other) = wanted.iter().take(place).find(is_same) {
            let path = one.path.display();
            return Err(crate::cli::fault(&anyhow::anyhow!(
                "two reports, {} and {}, would be written to `{path}`; give each a path of its own",
                other.format.name,
                one.format.name
            )));
        }
    }
    Ok(())
}

/// Writes each report that is wanted.
pub(super) fn write<T>(wanted: &[Wanted<T>], report: &T, secrets: Option<&Secrets>) -> Result<(), Exit> {
    for Wanted { format, path } in wanted {
        let text = (format.render)(report).map_err(|error| {
            let context = format!(
                "internal error: the format `{}` cannot show this report; please report this",
                format.name
            );
            crate::cli::fault(&error.context(context))
        })?;
        write_checked(path, &text, secrets)?;
        eprintln!("wrote the {} report to `{}`", format.name, path.display());
    }
    Ok(())
}

impl Reports {
    /// Refuses two reports that are to be written to one file.
    pub(super) fn check_paths(&self) -> Result<(), Exit> {
        check_paths(&self.reports)
    }

    /// Writes every report, and annotations where GitHub Actions runs the command.
    pub(super) fn write(&self, report: &Report, secrets: Option<&Secrets>) -> Result<(), Exit> {
        write(&self.reports, report, secrets)?;
        if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
            let text = github::render(report);
            check("the annotations", &text, secrets)?;
            println!("{}", text.trim_end());
        }
        Ok(())
    }
}

/// Writes a file, unless it would contain a secret.
pub(super) fn write_checked(path: &Path, text: &str, secrets: Option<&Secrets>) -> Result<(), Exit> {
    check(&format!("`{}`", path.display()), text, secrets)?;
    write_file(path, text)
}

fn check(what: &str, text: &str, secrets: Option<&Secrets>) -> Result<(), Exit> {
    let Some(owner) = secrets.and_then(|secrets| secrets.find(text)) else {
        return Ok(());
    };
    eprintln!(
        "{}: {what} was not written, because it would contain the token of {owner}",
        style_error("error")
    );
    Err(Exit::Fault)
}

/// The exit code that a report stands for.
pub(super) fn exit(report: &Report) -> Exit {
    let summary = &report.summary;
    let is_executed = report.cases.iter().any(|case| case.exchanges > 0);
    let is_cut_off = report
        .cases
        .iter()
        .any(|case| case.verdict == Verdict::Inconclusive && case.exchanges == 0);
    if summary.suite_fault > 0 {
        Exit::Fault
    } else if report.interrupted && !is_executed {
        Exit::Inconclusive
    } else if !is_executed && is_cut_off {
        Exit::Unreachable
    } else if !is_executed {
        Exit::NothingExecuted
    } else if summary.fail + summary.fixed > 0 || report.stale().next().is_some() {
        Exit::Nonconformance
    } else if summary.inconclusive > 0 {
        Exit::Inconclusive
    } else {
        Exit::Conforms
    }
}
