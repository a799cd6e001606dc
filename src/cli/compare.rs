//! `compare`: what changed between two reports, and why.

use std::path::{Path, PathBuf};

use anstream::eprintln;
use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::{print, read_file, style_error};
use crate::report::compare::{compare, render};
use crate::report::{Report, json};

/// Compare two JSON reports.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The earlier report.
    old: PathBuf,
    /// The later report.
    new: PathBuf,
}

impl Compare {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let comparison = compare(&read_report(&self.old)?, &read_report(&self.new)?);
        print(&render(&comparison));
        Ok(if comparison.has_regressed() {
            Exit::Nonconformance
        } else if comparison.common == 0 {
            eprintln!("{}: the reports have no case in common", style_error("error"));
            Exit::NothingExecuted
        } else if comparison.has_lost_sight() {
            Exit::Inconclusive
        } else {
            Exit::Conforms
        })
    }
}

/// Reads a JSON report.
pub(super) fn read_report(path: &Path) -> Result<Report, Exit> {
    json::read(&read_file(path)?).map_err(|message| {
        eprintln!("{}: `{}`: {message}", style_error("error"), path.display());
        Exit::Fault
    })
}
