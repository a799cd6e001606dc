//! Every case is a test: replayed against the embedded reference, and compared with its snapshot.

#![expect(clippy::print_stderr, reason = "a suite that is broken is told before any test runs")]

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use insta::{Settings, assert_snapshot};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use mpsd_conformance::contract::Suite;
use mpsd_conformance::contract::files::Files;
use mpsd_conformance::contract::manifest::Manifest;
use mpsd_conformance::replay::Options;
use mpsd_conformance::replay::verdict::Verdict;
use mpsd_conformance::report::{Report, Run, terminal};
use mpsd_conformance::run::runner::{Conversations, Runner};
use mpsd_conformance::run::{record, selection};
use mpsd_conformance::snapshot;
use mpsd_conformance::snapshot::baseline;
use tokio::runtime::Runtime;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One runtime for all threads: the client's connections belong to the runtime that opened them.
static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(Runtime::new);

/// The suite with the reference that it is put to, and what was recorded of it.
struct Stage {
    runner: Runner,
    manifest: Manifest,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let files = Files::embedded();
    let ids: Vec<String> = match &arguments.filter {
        // Nextest starts a process for each test.
        Some(id) if arguments.exact => files.case_ids().filter(|case| case == id).map(str::to_owned).collect(),
        _ => files.case_ids().map(str::to_owned).collect(),
    };
    let stage = if arguments.list {
        None
    } else {
        let files = match ids.as_slice() {
            [id] => files.with_only(id),
            _ => files,
        };
        match stage(files) {
            Ok(stage) => Some(Arc::new(stage)),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::FAILURE;
            }
        }
    };
    silence_snapshot_panics();
    let trials = ids.into_iter().map(|id| {
        let (name, stage) = (id.clone(), stage.clone());
        Trial::ignorable_test(name, move || {
            stage
                .as_ref()
                .map_or(Ok(Completion::ignored()), |stage| trial(stage, &id))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Reads the suite and starts the reference.
fn stage(files: Files) -> Result<Stage, String> {
    let suite = Arc::new(Suite::load(files).map_err(|broken| broken.render(false))?);
    // A process for one case alone does not read it.
    let manifest = if suite.cases().len() > 1 {
        record::manifest(&suite).map_err(|error| error.to_string())?
    } else {
        Manifest::default()
    };
    let runtime = RUNTIME.as_ref().map_err(ToString::to_string)?;
    let runner = runtime.block_on(Runner::embedded(suite, Options::default()));
    let runner = runner.map_err(|error| error.to_string())?;
    Ok(Stage { runner, manifest })
}

/// Replays all variants of a case; the reference has no excuse, so every finding fails it.
fn trial(stage: &Stage, id: &str) -> Result<Completion, Failed> {
    let runner = &stage.runner;
    let suite = runner.suite();
    let case = suite.cases().iter().find(|case| case.id == id);
    let case = case.ok_or("the suite has no such case")?;
    let selection = selection::select(suite, &[id.to_owned()]).selected;
    let run = runner.run(&selection, &Conversations::Keep, |_| {});
    let outcomes = RUNTIME.as_ref()?.block_on(run)?.outcomes;
    let text = baseline::text(case, &outcomes).unwrap_or_default();
    if outcomes.iter().all(|outcome| outcome.verdict == Verdict::Pass) {
        let short = record::shortfall(&stage.manifest, &outcomes, false);
        if !short.is_empty() {
            return Err(format!("less was done than the manifest says: {}", short.join("; ")).into());
        }
        return assert_recorded(id, &case.title, &text).map(|()| Completion::Completed);
    }
    let report = Report::of(Run::new(suite, runner.target(), outcomes));
    let failed = report.cases.iter().filter(|case| case.verdict != Verdict::Pass);
    let mut message: String = failed
        .map(|case| terminal::render_failure(&report, suite, case))
        .collect();
    message = anstream::adapter::strip_str(&message).to_string();
    message.push_str(&difference(id, &text));
    Err(message.into())
}

/// Compares a conversation with the snapshot, which `cargo insta review` or `run --snapshots record` renews.
fn assert_recorded(id: &str, title: &str, text: &str) -> Result<(), Failed> {
    let (chapter, name) = id.rsplit_once('/').unwrap_or(("", id));
    let root = Path::new(ROOT);
    let mut settings = Settings::new();
    settings.set_snapshot_path(root.join("snapshots").join(chapter));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(title);
    settings.set_input_file(root.join("cases").join(format!("{id}.json")));
    let asserted = panic::catch_unwind(AssertUnwindSafe(|| settings.bind(|| assert_snapshot!(name, text))));
    asserted.map_err(|_| difference(id, text).into())
}

/// A unified diff from the snapshot to what was said now; empty if there is none.
fn difference(id: &str, text: &str) -> String {
    let path = Path::new(ROOT).join("snapshots").join(format!("{id}.snap"));
    match snapshot::read(&path) {
        Ok(recorded) => snapshot::compare(&recorded, text).map_or_else(String::new, |difference| difference.diff),
        Err(error) if error.is_missing() => format!(
            "there is no snapshot; `run --snapshots record` makes {}",
            path.display()
        ),
        Err(error) => error.to_string(),
    }
}

/// A snapshot that differs is told as the test's failure; the panic that `insta` tells it by is not shown besides.
fn silence_snapshot_panics() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let is_snapshot = panic
            .payload_as_str()
            .is_some_and(|message| message.starts_with("snapshot assertion for"));
        if !is_snapshot {
            hook(panic);
        }
    }));
}
