//! `run`: replays cases against a target, or against the embedded reference.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anstream::eprintln;
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::{SuiteSource, embedded, print, read_file, runtime, selection, style_error, write_file};
use crate::replay::client::WireRequest;
use crate::replay::verdict::{Outcome, Verdict};
use crate::replay::{self, Replay};
use crate::report::{self, Report};
use crate::snapshot::baseline::{self, Baseline, Change};
use crate::suite::Suite;
use crate::target::{self, Target};

/// Replay cases.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Case ids, chapters, clause ids, or patterns with `*`; all cases when none is given.
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// How to run.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The target's description; the embedded reference when absent.
    #[arg(long, value_name = "FILE", env = "MPSD_TARGET")]
    target: Option<PathBuf>,
    /// Write a report, such as `json=report.json`; may be given several times.
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = parse_report)]
    reports: Vec<(Format, PathBuf)>,
    /// Compare the conversations with recorded ones, record them, or do neither. `check` is the default for the
    /// embedded reference and wherever `--snapshot-dir` is given.
    #[arg(long, value_enum, value_name = "MODE")]
    snapshots: Option<Snapshots>,
    /// The folder of recorded conversations; the suite's own when absent.
    #[arg(long, value_name = "DIR")]
    snapshot_dir: Option<PathBuf>,
    /// Turn warnings into failures.
    #[arg(long)]
    strict: bool,
    /// Conversations at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    jobs: usize,
    #[command(flatten)]
    suite: SuiteSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Snapshots {
    Check,
    Record,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
}

fn parse_report(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, path) = text
        .split_once('=')
        .ok_or("expected FORMAT=PATH, such as `json=report.json`")?;
    let format = Format::from_str(format, true).map_err(|_| format!("unknown format `{format}`; expected `json`"))?;
    Ok((format, path.into()))
}

impl Run {
    /// A run of the whole suite.
    pub(super) fn all(options: Options) -> Self {
        Self {
            selectors: Vec::new(),
            options,
        }
    }

    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let options = &self.options;
        let suite = Arc::new(options.suite.load()?);
        let selection = selection::select(&suite, &self.selectors);
        if selection.selected.is_empty() {
            eprintln!(
                "{}: no case is selected; `mpsd-conformance list` shows what there is",
                style_error("error")
            );
            return Ok(Exit::NothingExecuted);
        }
        if !selection.idle.is_empty() {
            eprintln!(
                "{}: nothing is selected by `{}`",
                style_error("error"),
                selection.idle.join("`, `")
            );
            return Ok(Exit::Fault);
        }
        let runtime = runtime()?;
        let described = options.target.as_ref().map(|path| load_target(path)).transpose()?;
        let is_embedded = described.is_none();
        let (target, service) = if let Some(target) = described {
            (target, None)
        } else {
            let started = runtime
                .block_on(embedded::start(suite.world()))
                .map_err(|error| super::fault(&error))?;
            (started.0, Some(started.1))
        };
        let baseline = self.baseline(&suite, is_embedded);
        let target = Arc::new(target);
        let replay_options = replay::Options {
            jobs: options.jobs,
            strict: options.strict,
            ..replay::Options::default()
        };
        let replay = Replay::new(Arc::clone(&suite), Arc::clone(&target), replay_options);
        let replay = Arc::new(replay.map_err(|error| super::fault(&anyhow::Error::new(error)))?);
        let start = Instant::now();
        let total = selection.selected.len();
        let outcomes = runtime.block_on(async {
            if !is_embedded {
                probe(&replay, &target).await?;
            }
            let mut outcomes = Vec::with_capacity(total);
            let (is_told, schemas) = (baseline.is_some(), Arc::clone(&suite));
            let mut receiver = replay.replay_all(selection.selected, move |outcome| {
                if is_told {
                    outcome.text = baseline::tell(outcome, schemas.schemas());
                }
            });
            let mut progress = Progress::new(total);
            while let Some(outcome) = receiver.recv().await {
                progress.step(&outcome);
                outcomes.push(outcome);
            }
            progress.clear();
            Ok(outcomes)
        })?;
        drop(service);
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let report = Report::new(&suite, &target, outcomes, milliseconds);
        let changes = match &baseline {
            Some((baseline, Snapshots::Record)) => baseline
                .record(&suite, &report.outcomes)
                .map_err(|e| super::fault(&anyhow::Error::new(e)))?,
            Some((baseline, _)) => baseline.compare(&suite, &report.outcomes),
            None => Vec::new(),
        };
        let mut text = report::terminal::render(&report);
        for change in &changes {
            text.push('\n');
            text.push_str(&change.to_string());
        }
        print(&text);
        for (format, path) in &options.reports {
            match format {
                Format::Json => write_file(path, &format!("{:#}\n", report::json::render(&report)))?,
            }
        }
        let is_checked = matches!(baseline, Some((_, Snapshots::Check)));
        Ok(exit(&report, is_checked && changes.iter().any(Change::is_difference)))
    }

    fn baseline(&self, suite: &Suite, is_embedded: bool) -> Option<(Baseline, Snapshots)> {
        let options = &self.options;
        let default = if is_embedded || options.snapshot_dir.is_some() {
            Snapshots::Check
        } else {
            Snapshots::Off
        };
        let mode = options.snapshots.unwrap_or(default);
        let baseline = match (&options.snapshot_dir, suite.files().root()) {
            (Some(folder), _) => Baseline::Folder(folder.clone()),
            (None, Some(root)) => Baseline::Folder(root.join("snapshots")),
            (None, None) if mode == Snapshots::Record => Baseline::Folder("snapshots".into()),
            (None, None) => Baseline::Embedded,
        };
        (mode != Snapshots::Off).then_some((baseline, mode))
    }
}

/// The exit code of a run.
fn exit(report: &Report<'_>, has_changes: bool) -> Exit {
    let count = |verdict| report.count(verdict);
    let executed = report.outcomes.iter().any(|outcome| outcome.exchange_count > 0);
    let unreachable = |outcome: &Outcome| outcome.verdict == Verdict::Inconclusive && outcome.exchange_count == 0;
    if count(Verdict::SuiteFault) > 0 {
        Exit::Fault
    } else if !executed && report.outcomes.iter().any(unreachable) {
        Exit::Unreachable
    } else if !executed {
        Exit::NothingExecuted
    } else if count(Verdict::Fail) + count(Verdict::Fixed) > 0 || has_changes {
        Exit::Nonconformance
    } else if count(Verdict::Inconclusive) > 0 {
        Exit::Inconclusive
    } else {
        Exit::Conforms
    }
}

fn load_target(path: &std::path::Path) -> Result<Target, Exit> {
    let text = read_file(path)?;
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    target::file::read(&path.to_string_lossy(), &text, folder).map_err(|problems| {
        for problem in problems {
            eprintln!("{}", problem.render(Some(&text), true));
        }
        Exit::Fault
    })
}

/// Asks each identity for the list of templates, to find a target that is not there or knows nobody.
async fn probe(replay: &Replay, target: &Target) -> Result<(), Exit> {
    let mut refused = Vec::new();
    for (name, identity) in &target.identities {
        let request = WireRequest {
            method: "GET".to_owned(),
            path: format!("/serviceconfigs/{}/sessiontemplates", target.scid),
            headers: vec![
                ("X-Xbl-Contract-Version".to_owned(), "107".to_owned()),
                ("Authorization".to_owned(), identity.authorization.reveal().to_owned()),
            ],
            body: None,
        };
        match replay.client().send(&request).await {
            Ok(response) if response.status == 401 => refused.push(name.as_str()),
            Ok(_) => return Ok(()),
            Err(error) => {
                eprintln!(
                    "{}: {} cannot be reached: {error}",
                    style_error("error"),
                    target.base_url
                );
                return Err(Exit::Unreachable);
            }
        }
    }
    eprintln!(
        "{}: {} refuses every identity ({})",
        style_error("error"),
        target.base_url,
        refused.join(", ")
    );
    Err(Exit::Unreachable)
}

/// A line that counts, on a terminal only.
struct Progress {
    total: usize,
    done: usize,
    failed: usize,
    is_shown: bool,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            failed: 0,
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    fn step(&mut self, outcome: &Outcome) {
        self.done += 1;
        self.failed += usize::from(outcome.verdict == Verdict::Fail);
        if self.is_shown && (self.done.is_multiple_of(16) || self.done == self.total) {
            anstream::eprint!("\r{} of {} cases, {} failed", self.done, self.total, self.failed);
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.is_shown {
            anstream::eprint!("\r{:60}\r", "");
        }
    }
}
