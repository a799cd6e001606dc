//! `run`: replays cases against a target, or against the embedded reference.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anstream::{eprint, eprintln};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use crate::cli::compare::read_report;
use crate::cli::exit::Exit;
use crate::cli::reports::{self, Reports, write_checked};
use crate::cli::review::review;
use crate::cli::signals::Signals;
use crate::cli::target::format_note;
use crate::cli::{SuiteSource, fail, now, on_worker, print, read_file, runtime, style_error, tell, today, write_file};
use crate::contract::Suite;
use crate::contract::case::Case;
use crate::contract::manifest::{self, Manifest, Ran};
use crate::replay::verdict::{Outcome, Verdict};
use crate::replay::{self, Replay, Selected};
use crate::report::{self, Report};
use crate::run::preflight::{Gravity, Note};
use crate::run::shard::Shard;
use crate::run::{embedded, selection};
use crate::snapshot::baseline::{self, Baseline, Change};
use crate::target::deviations::Deviation;
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
    #[command(flatten)]
    reports: Reports,
    /// Run only the Ith of N parts; `merge` joins their reports.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// An earlier JSON report, to make shards that take as long as each other; the same one for all shards.
    #[arg(long, value_name = "REPORT", requires = "shard")]
    balance: Option<PathBuf>,
    /// The list of the target's known deviations: what fails as listed does not fail the run.
    #[arg(long, value_name = "FILE")]
    deviations: Option<PathBuf>,
    /// Draft the list of deviations that would excuse this run; entries of `--deviations` that still hold are kept.
    #[arg(long, value_name = "FILE")]
    write_deviations: Option<PathBuf>,
    /// Compare the conversations with recorded ones, record them, review what changed, or do nothing of that. `check` is the default for the
    /// embedded reference and wherever `--snapshot-dir` is given.
    #[arg(long, value_enum, value_name = "MODE")]
    snapshots: Option<Snapshots>,
    /// The folder of recorded conversations; the suite's own when absent.
    #[arg(long, value_name = "DIR")]
    snapshot_dir: Option<PathBuf>,
    /// Instead of each failure, tell which missing behaviours stand in the way of the most cases.
    #[arg(long)]
    next: bool,
    /// Turn warnings into failures.
    #[arg(long)]
    strict: bool,
    /// Conversations at a time.
    #[arg(long, value_name = "N", default_value = "64", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    jobs: usize,
    /// Seconds that one exchange may take; an answer that takes longer leaves its case inconclusive.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    exchange_limit: Duration,
    /// Seconds that one case may take, beside the time that it lets pass.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    case_limit: Duration,
    #[command(flatten)]
    suite: SuiteSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Snapshots {
    Check,
    Record,
    /// Compare, and ask about each conversation that changed; without a terminal, leave them for `cargo insta review`.
    Review,
    Off,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.ok_or_else(|| "expected seconds, from 0.01 to 86400".to_owned())
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
        let mut selection = selection::select(&suite, &self.selectors);
        if !selection.idle.is_empty() {
            eprintln!(
                "{}: {}",
                style_error("error"),
                selection::unknown(&suite, &selection.idle)
            );
        }
        if selection.selected.is_empty() {
            return Ok(Exit::NothingExecuted);
        }
        if !selection.idle.is_empty() {
            return Ok(Exit::Fault);
        }
        if let Some(shard) = options.shard {
            let balance = options.balance.as_ref().map(|path| read_report(path)).transpose()?;
            selection.keep(&suite, |ids| shard.choose(ids, balance.as_ref()));
            if selection.selected.is_empty() {
                eprintln!(
                    "{}: no case is in shard {shard}; fewer shards will do",
                    style_error("error")
                );
                return Ok(Exit::NothingExecuted);
            }
        }
        let deviations = match &options.deviations {
            Some(path) => load_deviations(path, &suite)?,
            None => Vec::new(),
        };
        let runtime = runtime()?;
        let described = options.target.as_ref().map(|path| load_target(path)).transpose()?;
        let is_embedded = described.is_none();
        let (target, service) = if let Some(target) = described {
            (target, None)
        } else {
            let started = runtime
                .block_on(embedded::start(suite.world()))
                .map_err(|error| fail(&suite, &error))?;
            (started.0, Some(started.1))
        };
        let baseline = self.baseline(&suite, is_embedded);
        if matches!(baseline, Some((Baseline::Embedded, Snapshots::Review))) {
            eprintln!(
                "{}: there is no folder to review; `--snapshot-dir DIR` or `--suite DIR` names one",
                style_error("error")
            );
            return Ok(Exit::Fault);
        }
        let target = Arc::new(target);
        let replay_options = replay::Options {
            jobs: options.jobs,
            exchange_limit: options.exchange_limit,
            case_limit: options.case_limit,
            strict: options.strict,
            ..replay::Options::default()
        };
        let replay = Replay::new(Arc::clone(&suite), Arc::clone(&target), replay_options);
        let replay = Arc::new(replay.map_err(|error| crate::cli::fault(&anyhow::Error::new(error)))?);
        let secrets = replay.secrets();
        let start = Instant::now();
        let total = selection.selected.len();
        let baseline = Arc::new(baseline);
        let conversations = Conversations {
            suite: Arc::clone(&suite),
            replay: Arc::clone(&replay),
            selected: selection.selected,
            baseline: Arc::clone(&baseline),
            is_embedded,
        };
        let (outcomes, mut changes) = on_worker(&runtime, conversations.hold())?;
        changes.sort_by(|a, b| a.about().cmp(b.about()));
        drop(service);
        if outcomes.len() < total {
            let lost = total - outcomes.len();
            eprintln!(
                "{}: {lost} cases came to no end; that is a defect of this program",
                style_error("error")
            );
            return Ok(Exit::Fault);
        }
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let report = Report::of(report::Run {
            milliseconds,
            strict: options.strict,
            selectors: &self.selectors,
            shard: options.shard.map(|shard| shard.to_string()),
            halted: replay.halted(),
            deviations: &deviations,
            today: today(),
            ..report::Run::new(&suite, &target, outcomes)
        });
        let short = if is_embedded {
            self.hold_to_manifest(&suite, &report, Option::as_ref(&baseline))?
        } else {
            Vec::new()
        };
        let mut text = if options.next {
            report::terminal::render_ladder(&report, &suite)
        } else {
            report::terminal::render(&report, &suite)
        };
        let is_reviewed = matches!(*baseline, Some((_, Snapshots::Review)));
        for change in changes.iter().filter(|_| !is_reviewed) {
            text.push('\n');
            text.push_str(&change.to_string());
        }
        print(&text);
        tell_shortfall(&short);
        options.reports.write(&report, Some(&secrets))?;
        if let Some(path) = &options.write_deviations {
            let drafted = report::deviations::draft(&report);
            write_checked(path, &target::deviations::write(&drafted), Some(&secrets))?;
            eprintln!(
                "{} deviations drafted in `{}`; give each a reason",
                drafted.len(),
                path.display()
            );
        }
        if let Some((baseline @ Baseline::Folder(folder), Snapshots::Review)) = &*baseline {
            changes = review_changes(baseline, folder, changes)?;
        }
        let is_checked = matches!(*baseline, Some((_, Snapshots::Check | Snapshots::Review)));
        let has_changes = is_checked && changes.iter().any(Change::is_difference);
        Ok(match reports::exit(&report) {
            // Where something fails, other cases may well do less.
            Exit::Conforms | Exit::Inconclusive | Exit::NothingExecuted if !short.is_empty() => Exit::Fault,
            Exit::Conforms | Exit::Inconclusive if has_changes => Exit::Nonconformance,
            exit => exit,
        })
    }

    /// Holds what was done against what was recorded, or records it; what fell short is returned.
    fn hold_to_manifest(
        &self,
        suite: &Suite,
        report: &Report,
        baseline: Option<&(Baseline, Snapshots)>,
    ) -> Result<Vec<String>, Exit> {
        let recorded = Manifest::read(suite.files())
            .map_err(|problems| tell(&problems, suite.files().get(manifest::FILE).unwrap_or_default()))?;
        let (done, failed): (Vec<_>, Vec<_>) = report
            .cases
            .iter()
            .partition(|case| matches!(case.verdict, Verdict::Pass | Verdict::NotApplicable));
        let ran = done.iter().map(|case| Ran {
            id: &case.id,
            exchanges: case.exchanges,
            assertions: case.assertions,
        });
        let ran: Vec<Ran<'_>> = ran.collect();
        let own = self
            .options
            .snapshot_dir
            .is_none()
            .then(|| suite.files().root())
            .flatten();
        match (baseline, own) {
            (Some((_, Snapshots::Record)), Some(root)) => {
                let text = recorded.unwrap_or_default().recorded(suite, &ran).write();
                write_file(&root.join(manifest::FILE), &text).map(|()| Vec::new())
            }
            _ => {
                let failed = failed.iter().map(|case| case.id.as_str()).collect();
                let short = recorded.map(|recorded| recorded.fallen_short(&ran, &failed, !report.suite.partial));
                Ok(short.unwrap_or_default())
            }
        }
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

/// Asks about what changed, where somebody is there to answer; what was not accepted is returned.
fn review_changes(baseline: &Baseline, folder: &Path, changes: Vec<Change>) -> Result<Vec<Change>, Exit> {
    if changes.is_empty() {
        return Ok(changes);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        eprintln!(
            "to be reviewed: {} in `{}`, as `.snap.new`; `cargo insta review`, or `--snapshots review` at a terminal, goes \
             through them",
            changes.len(),
            folder.display()
        );
        return Ok(changes);
    }
    let reviewed = review(baseline, changes, &mut std::io::stdin().lock(), &mut anstream::stderr());
    reviewed.map_err(|error| crate::cli::fault(&anyhow::Error::new(error).context("the review broke off")))
}

/// Tells of cases that did less than was recorded.
fn tell_shortfall(short: &[String]) {
    const SHOWN: usize = 10;
    if short.is_empty() {
        return;
    }
    let error = style_error("error");
    eprintln!(
        "{error}: less was done than {} says, in {} cases:",
        manifest::FILE,
        short.len()
    );
    for line in short.iter().take(SHOWN) {
        eprintln!("  {line}");
    }
    if short.len() > SHOWN {
        eprintln!("  and {} more", short.len() - SHOWN);
    }
    eprintln!("  where that is meant, `run --suite . --snapshots record` records it");
}

fn load_deviations(path: &Path, suite: &Suite) -> Result<Vec<Deviation>, Exit> {
    let text = read_file(path)?;
    let deviations =
        target::deviations::read(&path.to_string_lossy(), &text).map_err(|problems| tell(&problems, &text));
    deviations.map(|mut deviations| {
        for clause in deviations.iter_mut().filter_map(|deviation| deviation.clause.as_mut()) {
            if let Some(known) = suite.clause(clause) {
                clause.clone_from(&known.id);
            }
        }
        deviations
    })
}

/// Reads a target file and fetches its tokens.
pub(super) fn load_target(path: &Path) -> Result<Target, Exit> {
    let text = read_file(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    target::file::read(&path.to_string_lossy(), &text, folder).map_err(|problems| tell(&problems, &text))
}

/// Ends the run when it is told to stop, and the process when it is told again.
async fn watch_interrupts(replay: Arc<Replay>, mut signals: Signals) {
    signals.next().await;
    eprintln!("\nstopping: what the run made is taken back; once more ends it at once");
    replay.interrupt();
    signals.next().await;
    #[expect(clippy::exit, reason = "whoever asks twice wants nothing else to be waited for")]
    std::process::exit(Exit::Inconclusive as i32);
}

/// Looks at the target, and tells what is not as it should be; `Err` when no run is possible.
async fn look(replay: &Replay, selection: &[Selected]) -> Result<(), Exit> {
    let look = replay.look(selection, now()).await;
    let is_long = |note: &&Note| note.gravity == Gravity::Doubt && note.found.ends_with("declared pace");
    let mut text = String::new();
    for note in look
        .notes
        .iter()
        .filter(|note| note.gravity >= Gravity::Problem || is_long(note))
    {
        text.push_str(&format_note(note));
    }
    replay.secrets().redact_text(&mut text);
    eprint!("{text}");
    if look.speaker.is_none() {
        return Err(Exit::Unreachable);
    }
    if look.is_too_long {
        eprintln!("{}: nothing was sent", style_error("error"));
        return Err(Exit::Fault);
    }
    Ok(())
}

/// The conversations of a run, before they are held.
struct Conversations {
    suite: Arc<Suite>,
    replay: Arc<Replay>,
    selected: Vec<Selected>,
    baseline: Arc<Option<(Baseline, Snapshots)>>,
    is_embedded: bool,
}

impl Conversations {
    /// Replays them all, and compares each case's with the recorded ones or records them.
    async fn hold(self) -> Result<(Vec<Outcome>, Vec<Change>), Exit> {
        let Self { suite, replay, .. } = &self;
        if !self.is_embedded {
            look(replay, &self.selected).await?;
        }
        let mut gathered = Gathered::new(suite, &self.selected);
        let mut progress = Progress::new(self.selected.len());
        let mut changes = Vec::new();
        // Before the first request, since what it made would be left behind.
        let watching = tokio::spawn(watch_interrupts(Arc::clone(replay), Signals::new()));
        let (is_told, schemas, secrets) = (self.baseline.is_some(), Arc::clone(suite), replay.secrets());
        let mut receiver = replay.replay_all(self.selected.clone(), move |outcome| {
            outcome.redact(&secrets);
            if is_told {
                outcome.text = baseline::tell(outcome, schemas.schemas());
            }
        });
        while let Some(outcome) = receiver.recv().await {
            progress.step(&outcome);
            if let Some((case, outcomes)) = gathered.add(outcome) {
                changes.extend(self.keep(case, outcomes)?);
                // The conversations of a whole run are too much to be kept.
                for outcome in outcomes {
                    outcome.text = None;
                }
            }
        }
        watching.abort();
        progress.clear();
        Ok((gathered.finish(), changes))
    }

    fn keep(&self, case: &Case, outcomes: &[Outcome]) -> Result<Option<Change>, Exit> {
        let (suite, secrets) = (&self.suite, self.replay.secrets());
        match &*self.baseline {
            Some((baseline, Snapshots::Record)) => baseline
                .record(suite, case, outcomes, &secrets)
                .map_err(|e| crate::cli::fault(&anyhow::Error::new(e))),
            Some((baseline, Snapshots::Review)) => baseline
                .propose(suite, case, outcomes, &secrets)
                .map_err(|e| crate::cli::fault(&anyhow::Error::new(e))),
            Some((baseline, _)) => Ok(baseline.compare(suite, case, outcomes)),
            None => Ok(None),
        }
    }
}

/// The outcomes of a run, brought together by case as they come.
struct Gathered<'a>(BTreeMap<&'a str, Gathering<'a>>);

struct Gathering<'a> {
    case: &'a Case,
    /// How many of the selected variants are still to come.
    left: usize,
    outcomes: Vec<Outcome>,
}

impl<'a> Gathered<'a> {
    fn new(suite: &'a Suite, selected: &[Selected]) -> Self {
        let mut cases: BTreeMap<&str, Gathering<'_>> = BTreeMap::new();
        for case in selected.iter().filter_map(|selected| suite.cases().get(selected.case)) {
            let none = || Gathering {
                case,
                left: 0,
                outcomes: Vec::new(),
            };
            cases.entry(&case.id).or_insert_with(none).left += 1;
        }
        Self(cases)
    }

    /// Adds an outcome; its case with all that came of it, when it was the last.
    fn add(&mut self, outcome: Outcome) -> Option<(&'a Case, &mut Vec<Outcome>)> {
        let gathering = self.0.get_mut(outcome.case.as_str())?;
        gathering.outcomes.push(outcome);
        gathering.left -= 1;
        (gathering.left == 0).then_some((gathering.case, &mut gathering.outcomes))
    }

    /// All outcomes.
    fn finish(self) -> Vec<Outcome> {
        self.0.into_values().flat_map(|gathering| gathering.outcomes).collect()
    }
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
