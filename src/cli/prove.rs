//! `prove`: runs the suite against deliberately wrong services, and against services that differ harmlessly.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use anstream::{eprintln, println};
use clap::Args;
use mpsd_reference::faults;

use crate::cli::exit::Exit;
use crate::cli::reports::{self, Wanted};
use crate::cli::{SuiteSource, fail, print, runtime, style_error, write_file};
use crate::contract::signature;
use crate::report::proof::{FORMATS, Proof, Reach, terminal};
use crate::run::prove::{Proving, select};
use crate::run::sparing::{self, Sparing};

/// Check that the suite detects injected faults, and that it passes services that differ only where the contract allows it.
#[derive(Debug, Args)]
pub(super) struct Prove {
    /// Ids of faults and harmless variations, patterns with `*`, ids of clauses that faults break, or kinds such as `rule`,
    /// `wire` or `reading` [default: all]
    #[arg(value_name = "FAULT")]
    selectors: Vec<String>,
    /// List faults and variations without running them.
    #[arg(long)]
    list: bool,
    /// Run every case for every fault, instead of stopping at the first one that detects it.
    #[arg(long)]
    matrix: bool,
    /// Record in the suite's directory which cases fail for each fault. Runs all faults; takes minutes.
    #[arg(long, conflicts_with_all = ["list", "selectors"], requires = "suite")]
    record: bool,
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = |text: &str| reports::parse(&FORMATS, text), help = HELP.as_str())]
    reports: Vec<Wanted<Proof>>,
    /// Number of concurrent faults.
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    suite: SuiteSource,
}

static HELP: LazyLock<String> = LazyLock::new(|| reports::help(&FORMATS, "proof"));

impl Prove {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        reports::check_paths(&self.reports)?;
        let suite = Arc::new(self.suite.load()?);
        let (faults, idle) = select(&faults::all(), &self.selectors);
        let (variations, idle_too) = sparing::select(sparing::candidates(&suite), &self.selectors);
        let idle: Vec<String> = idle
            .into_iter()
            .filter(|selector| idle_too.contains(selector))
            .collect();
        if faults.is_empty() && variations.is_empty() {
            eprintln!(
                "{}: no fault or variation is selected; see `prove --list`",
                style_error("error")
            );
            return Ok(Exit::NothingExecuted);
        }
        if !idle.is_empty() {
            eprintln!(
                "{}: no fault or variation matches `{}`; see `prove --list`",
                style_error("error"),
                idle.join("`, `")
            );
            return Ok(Exit::Fault);
        }
        if self.list {
            for fault in &faults {
                println!("{:<5} {:<44} {}", fault.kind.name(), fault.id, fault.text);
            }
            for one in &variations {
                println!("{:<14} {:<36} {} [{}]", one.kind, one.id, one.text, one.source);
            }
            return Ok(Exit::Conforms);
        }
        let jobs = self.jobs.map_or_else(default_jobs, std::num::NonZeroUsize::get);
        let reach = match (self.matrix, self.record) {
            (true, _) => Reach::Matrix,
            (false, true) => Reach::Clauses,
            (false, false) => Reach::First,
        };
        let proving = Proving::new(Arc::clone(&suite), reach).map_err(|error| fail(&suite, &error.into()))?;
        let proving = Arc::new(proving);
        let runtime = runtime()?;
        let is_whole = self.selectors.is_empty();
        let proved = runtime.block_on(Arc::clone(&proving).run(faults, is_whole, jobs));
        let mut proof = proved.map_err(|error| fail(&suite, &error))?;
        if let (true, Some(root)) = (self.record, suite.files().root()) {
            let signed = runtime.block_on(Arc::clone(&proving).sign(proof, jobs));
            let (signed, signatures) = signed.map_err(|error| fail(&suite, &error))?;
            write_file(&root.join(signature::FILE), &signatures.write())?;
            proof = signed;
        }
        // What is recorded and what a matrix shows is about faults.
        if self.record || self.matrix {
            drop(variations);
        } else if !variations.is_empty() {
            let start = Instant::now();
            let sparing = Arc::new(Sparing::new(Arc::clone(&suite)));
            let judged = runtime.block_on(sparing.run(variations, SERVICES));
            let judged = judged.map_err(|error| fail(&suite, &error))?;
            proof = proof.with_variations(judged, start.elapsed().as_secs_f64() * 1000.0);
        }
        // Whoever still hangs is not waited for.
        runtime.shutdown_background();
        print(&terminal::render(&proof, proving.recorded()));
        reports::write(&self.reports, &proof, None)?;
        let summary = &proof.summary;
        let missed = summary.survived + summary.wrong_reason + proof.unexplained(proving.recorded()).count();
        let missed = missed + summary.struck + summary.idle;
        Ok(if missed == 0 {
            Exit::Conforms
        } else {
            Exit::Nonconformance
        })
    }
}

/// Number of concurrent services with harmless variations: each gets the whole suite.
const SERVICES: usize = 3;

/// Some more than there are processors: a fault may make the service wait.
fn default_jobs() -> usize {
    3 * std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get)
}
