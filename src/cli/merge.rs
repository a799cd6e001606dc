//! `merge`: the reports of all shards as one report.

use std::path::PathBuf;

use anstream::eprintln;
use clap::Args;

use crate::cli::compare::read_report;
use crate::cli::exit::Exit;
use crate::cli::reports::{self, Reports};
use crate::cli::{print, style_error, today};
use crate::contract::plain;
use crate::report::merge::{merge, missing_shards};

/// Merge JSON reports of one suite and one target.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// The JSON reports of the shards.
    #[arg(required = true, value_name = "REPORT")]
    parts: Vec<PathBuf>,
    #[command(flatten)]
    reports: Reports,
}

impl Merge {
    /// Carries out the command; it ends as the run of the whole would have.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        self.reports.check_paths()?;
        let read = |path: &PathBuf| Ok((path.display().to_string(), read_report(path)?));
        let parts = self.parts.iter().map(read).collect::<Result<Vec<_>, Exit>>()?;
        let missing = missing_shards(&parts);
        let report = merge(parts, today()).map_err(|message| {
            eprintln!("{}: {message}", style_error("error"));
            Exit::Fault
        })?;
        // The parts were checked for secrets when they were written; the tokens are not known here.
        self.reports.write(&report, None)?;
        let part = report
            .suite
            .part(report.cases.len())
            .map_or(String::new(), |part| format!(", {part}"));
        let stale = report.stale().map(|listed| {
            format!(
                "\nlisted deviation: {} {}",
                listed.deviation.label(),
                listed.state.text()
            )
        });
        let stale: String = stale.collect();
        print(&format!(
            "{} of {}{part}{stale}",
            report.summary.text(),
            plain::count(report.summary.total(), "case")
        ));
        let exit = reports::exit(&report);
        if missing.is_empty() {
            return Ok(exit);
        }
        eprintln!(
            "{}: missing reports for shards: {}",
            style_error("error"),
            missing.join(", ")
        );
        // What nobody reported cannot be said to conform.
        Ok(if exit == Exit::Conforms {
            Exit::Inconclusive
        } else {
            exit
        })
    }
}
