//! `run`: replays cases against a target, or against the embedded reference.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anstream::{eprint, eprintln};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use crate::cli::compare::read_report;
use crate::cli::exit::Exit;
use crate::cli::reports::{self, Reports, write_checked};
use crate::cli::review::review;
use crate::cli::signals::Signals;
use crate::cli::target::format_note;
use crate::cli::{
    SuiteSource, fail, load_target, now, on_worker, print, print_problems, read_file, runtime, style_error, today,
    write_file,
};
use crate::contract::Suite;
use crate::contract::manifest;
use crate::contract::plain::count;
use crate::replay::verdict::{Outcome, Verdict};
use crate::replay::{self, Replay, Selected, Strictness};
use crate::report::{self, Report};
use crate::run::preflight::{Gravity, Note};
use crate::run::runner::{Conversations, Done, Runner};
use crate::run::shard::Shard;
use crate::run::{record, selection};
use crate::snapshot::baseline::{Baseline, Change};
use crate::target;
use crate::target::deviations::Deviation;

/// Run cases against a target, or against the embedded reference.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Case ids, chapters, clause ids, or patterns with `*` [default: all cases]
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// How to run.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The target's description; without it the one that `MPSD_TARGET` names, or the embedded reference.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    #[command(flatten)]
    reports: Reports,
    /// Run only the Ith of N parts; combine their reports with `merge`.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Balance shards by the durations in this earlier JSON report; pass the same file to every shard.
    #[arg(long, value_name = "REPORT", requires = "shard")]
    balance: Option<PathBuf>,
    /// List of known deviations: cases that fail as listed do not fail the run.
    #[arg(long, value_name = "FILE")]
    deviations: Option<PathBuf>,
    /// Write a list of deviations that accepts the failures of this run. Entries of `--deviations` that still match are kept.
    #[arg(long, value_name = "FILE")]
    write_deviations: Option<PathBuf>,
    /// How to use snapshots (recorded exchanges): compare, record, review changes, or ignore them. The default is `check`
    /// for the embedded reference and with `--snapshot-dir`, otherwise `off`.
    #[arg(long, value_enum, value_name = "MODE")]
    snapshots: Option<Snapshots>,
    /// Directory of the snapshots [default: the suite's own]
    #[arg(long, value_name = "DIR")]
    snapshot_dir: Option<PathBuf>,
    /// Instead of failures, list what to implement next, ordered by how many cases it unblocks.
    #[arg(long)]
    next: bool,
    /// Turn warnings into failures.
    #[arg(long)]
    strict: bool,
    /// Number of concurrent cases.
    #[arg(long, value_name = "N", default_value = "64", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    jobs: usize,
    /// Timeout per exchange in seconds; a case whose response takes longer is inconclusive.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    exchange_limit: Duration,
    /// Timeout per case in seconds, not counting deliberate waits.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    case_limit: Duration,
    #[command(flatten)]
    suite: SuiteSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Snapshots {
    Check,
    Record,
    /// Compare, and ask about each change. Without a terminal, leave the changes for `cargo insta review`.
    Review,
    Off,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.ok_or_else(|| "expected a number of seconds from 0.01 to 86400".to_owned())
}

impl Options {
    /// The description that is named on the command line or in the environment. A variable that is set to nothing is not set:
    /// CI systems do so for those that they do not know.
    fn target(&self) -> Option<PathBuf> {
        let named = || std::env::var_os("MPSD_TARGET").filter(|path| !path.is_empty());
        self.target.clone().or_else(|| named().map(PathBuf::from))
    }
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
        options.reports.check_paths()?;
        let suite = Arc::new(options.suite.load()?);
        let selection = self.select(&suite)?;
        let deviations = match &options.deviations {
            Some(path) => load_deviations(path, &suite)?,
            None => Vec::new(),
        };
        let runtime = runtime()?;
        let target = options.target().map(|path| load_target(&path)).transpose()?;
        let is_embedded = target.is_none();
        let conversations = self.conversations(&suite, is_embedded)?;
        let replay_options = replay::Options {
            jobs: options.jobs,
            exchange_limit: options.exchange_limit,
            case_limit: options.case_limit,
            strictness: if options.strict {
                Strictness::Warnings
            } else {
                Strictness::Failures
            },
            ..replay::Options::default()
        };
        let runner = match target {
            Some(target) => Runner::against(Arc::clone(&suite), Arc::new(target), replay_options),
            None => runtime.block_on(Runner::embedded(Arc::clone(&suite), replay_options)),
        };
        let runner = Arc::new(runner.map_err(|error| fail(&suite, &error))?);
        let secrets = runner.secrets();
        let running = run(Arc::clone(&runner), selection, conversations.clone(), !is_embedded);
        let done = on_worker(&runtime, running)?;
        let halted = runner.halted();
        let short = if is_embedded {
            self.compare_with_manifest(&suite, &done.outcomes, halted.is_none(), &conversations)?
        } else {
            Vec::new()
        };
        let report = Report::of(report::Run {
            milliseconds: done.milliseconds,
            strict: options.strict,
            selectors: &self.selectors,
            shard: options.shard.map(|shard| shard.to_string()),
            halted,
            deviations: &deviations,
            today: today(),
            ..report::Run::new(&suite, runner.target(), done.outcomes)
        });
        let mut text = if options.next {
            report::terminal::render_ladder(&report, &suite)
        } else {
            report::terminal::render(&report, &suite)
        };
        let mut changes = done.changes;
        if !matches!(conversations, Conversations::Propose(_)) {
            for change in &changes {
                text.push('\n');
                text.push_str(&change.to_string());
            }
        }
        print(&text);
        tell_shortfall(&short);
        if is_embedded && report.summary.fail > 0 {
            eprintln!(
                "{}: against the embedded reference every failed assertion fails the run, at any level: correct the case or the reference",
                style_error("error")
            );
        }
        if let Conversations::Record(Baseline::Folder(folder)) = &conversations {
            let cases = count(report.cases.len(), "case");
            eprintln!("recorded the exchanges of {cases} in `{}`", folder.display());
        }
        options.reports.write(&report, Some(&secrets))?;
        if let Some(path) = &options.write_deviations {
            let drafted = report::deviations::draft(&report);
            write_checked(path, &target::deviations::write(&drafted), Some(&secrets))?;
            eprintln!(
                "wrote {} to `{}`; give each a reason",
                count(drafted.len(), "deviation"),
                path.display()
            );
        }
        if let Conversations::Propose(baseline @ Baseline::Folder(folder)) = &conversations {
            changes = review_changes(baseline, folder, changes)?;
        }
        let is_checked = matches!(conversations, Conversations::Check(_) | Conversations::Propose(_));
        let has_changes = is_checked && changes.iter().any(Change::is_difference);
        Ok(match reports::exit(&report) {
            // Where something fails, other cases may well do less.
            Exit::Conforms | Exit::Inconclusive | Exit::NothingExecuted if !short.is_empty() => Exit::Fault,
            Exit::Conforms | Exit::Inconclusive if has_changes => Exit::Nonconformance,
            exit => exit,
        })
    }

    /// The variants that the selectors and the shard choose.
    fn select(&self, suite: &Suite) -> Result<Vec<Selected>, Exit> {
        let options = &self.options;
        let mut selection = selection::select(suite, &self.selectors);
        if !selection.idle.is_empty() {
            eprintln!(
                "{}: {}",
                style_error("error"),
                selection::unknown(suite, &selection.idle)
            );
        }
        if selection.selected.is_empty() {
            return Err(Exit::NothingExecuted);
        }
        if !selection.idle.is_empty() {
            return Err(Exit::Fault);
        }
        if let Some(shard) = options.shard {
            let balance = options.balance.as_ref().map(|path| read_report(path)).transpose()?;
            selection.keep(suite, |ids| shard.choose(ids, balance.as_ref()));
            if selection.selected.is_empty() {
                eprintln!("{}: shard {shard} has no case; use fewer shards", style_error("error"));
                return Err(Exit::NothingExecuted);
            }
        }
        Ok(selection.selected)
    }

    /// Compares the run with the manifest, or records it; returns the cases that did less.
    fn compare_with_manifest(
        &self,
        suite: &Suite,
        outcomes: &[Outcome],
        is_ended: bool,
        conversations: &Conversations,
    ) -> Result<Vec<String>, Exit> {
        let manifest = record::manifest(suite).map_err(|error| fail(suite, &error.into()))?;
        let own = match &self.options.snapshot_dir {
            None => suite.files().root(),
            Some(_) => None,
        };
        match (conversations, own) {
            (Conversations::Record(_), Some(root)) => {
                let text = record::recorded(&manifest, suite, outcomes).write();
                write_file(&root.join(manifest::FILE), &text).map(|()| Vec::new())
            }
            _ => {
                let is_whole = is_ended && outcomes.len() == selection::all(suite).len();
                Ok(record::shortfall(&manifest, outcomes, is_whole))
            }
        }
    }

    /// How snapshots are used: by default those of the embedded reference are compared with the suite's own.
    fn conversations(&self, suite: &Suite, is_embedded: bool) -> Result<Conversations, Exit> {
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
        Ok(match mode {
            Snapshots::Check => Conversations::Check(baseline),
            Snapshots::Record => Conversations::Record(baseline),
            Snapshots::Review if matches!(baseline, Baseline::Embedded) => {
                eprintln!(
                    "{}: `--snapshots review` needs a directory: add `--snapshot-dir DIR` or `--suite DIR`",
                    style_error("error")
                );
                return Err(Exit::Fault);
            }
            Snapshots::Review => Conversations::Propose(baseline),
            Snapshots::Off => Conversations::Forget,
        })
    }
}

/// Prompts for each change at a terminal; returns those that were not accepted.
fn review_changes(baseline: &Baseline, folder: &Path, changes: Vec<Change>) -> Result<Vec<Change>, Exit> {
    if changes.is_empty() {
        return Ok(changes);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        eprintln!(
            "{} to review in `{}` (`.snap.new`): run `cargo insta review`, or `--snapshots review` at a terminal",
            count(changes.len(), "change"),
            folder.display()
        );
        return Ok(changes);
    }
    let reviewed = review(baseline, changes, &mut std::io::stdin().lock(), &mut anstream::stderr());
    reviewed.map_err(|error| crate::cli::fault(&anyhow::Error::new(error).context("the review ended early")))
}

/// Reports cases that did less than recorded.
fn tell_shortfall(short: &[String]) {
    const SHOWN: usize = 10;
    if short.is_empty() {
        return;
    }
    let error = style_error("error");
    eprintln!(
        "{error}: {} made fewer requests or assertions than recorded in {}:",
        count(short.len(), "case"),
        manifest::FILE
    );
    for line in short.iter().take(SHOWN) {
        eprintln!("  {line}");
    }
    if short.len() > SHOWN {
        eprintln!("  and {} more", short.len() - SHOWN);
    }
    eprintln!("  if this is intended, record it with `run --suite . --snapshots record`");
}

fn load_deviations(path: &Path, suite: &Suite) -> Result<Vec<Deviation>, Exit> {
    let text = read_file(path)?;
    let deviations = target::deviations::read(&path.to_string_lossy(), &text)
        .map_err(|problems| print_problems(&problems, Some(&text)));
    deviations.map(|mut deviations| {
        for clause in deviations.iter_mut().filter_map(|deviation| deviation.clause.as_mut()) {
            if let Some(known) = suite.clause(clause) {
                clause.clone_from(&known.id);
            }
        }
        deviations
    })
}

/// Looks at a described target, and runs the selected cases.
async fn run(
    runner: Arc<Runner>,
    selection: Vec<Selected>,
    conversations: Conversations,
    is_described: bool,
) -> Result<Done, Exit> {
    if is_described {
        look(runner.replayer(), &selection).await?;
    }
    let mut progress = Progress::new(selection.len());
    // Before the first request, since what it made would be left behind.
    let watching = tokio::spawn(watch_interrupts(Arc::clone(&runner), Signals::new()));
    let done = runner
        .run(&selection, &conversations, |outcome| progress.step(outcome))
        .await;
    watching.abort();
    progress.clear();
    done.map_err(|error| fail(runner.suite(), &error))
}

/// Ends the run at the first signal, and the process at the second.
async fn watch_interrupts(runner: Arc<Runner>, mut signals: Signals) {
    signals.next().await;
    eprintln!("\nstopping: deleting the sessions this run created; press Ctrl-C again to exit now");
    runner.interrupt();
    signals.next().await;
    #[expect(clippy::exit, reason = "a second interrupt ends the process at once")]
    std::process::exit(Exit::Inconclusive as i32);
}

/// Checks the target and reports its problems; `Err` when no run is possible.
async fn look(replay: &Replay, selection: &[Selected]) -> Result<(), Exit> {
    let look = replay.look(selection, now()).await;
    let is_long = |note: &&Note| note.gravity == Gravity::Doubt && note.found.ends_with("declared limits");
    let mut text = String::new();
    for note in look
        .notes
        .iter()
        .filter(|note| note.gravity >= Gravity::Problem || is_long(note))
    {
        text.push_str(&format_note(note));
    }
    replay.transport().secrets().redact_text(&mut text);
    eprint!("{text}");
    if look.speaker.is_none() {
        let is_unreachable = look.notes.iter().any(|note| note.gravity == Gravity::Fatal);
        return Err(if is_unreachable { Exit::Unreachable } else { Exit::Fault });
    }
    if look.is_too_long {
        eprintln!("{}: nothing was sent", style_error("error"));
        return Err(Exit::Fault);
    }
    Ok(())
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
            eprint!("\r{} of {} cases, {} failed", self.done, self.total, self.failed);
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.is_shown {
            eprint!("\r{:60}\r", "");
        }
    }
}
