//! `prove`: runs the suite against services that are wrong on purpose.

use std::sync::{Arc, LazyLock};

use anstream::{eprintln, println};
use clap::Args;
use mpsd_reference::faults;

use crate::cli::exit::Exit;
use crate::cli::reports::{self, Wanted};
use crate::cli::{SuiteSource, fail, print, runtime, style_error, write_file};
use crate::contract::signature;
use crate::report::proof::{FORMATS, Proof, Reach, terminal};
use crate::run::prove::{Proving, select};

/// Prove that the suite catches what it claims to catch.
#[derive(Debug, Args)]
pub(super) struct Prove {
    /// Fault ids, patterns with `*`, ids of clauses that they break, or `rule` or `wire`; all faults when none is given.
    #[arg(value_name = "FAULT")]
    selectors: Vec<String>,
    /// List the faults instead.
    #[arg(long)]
    list: bool,
    /// Run every case for every fault, instead of stopping at the first that catches it.
    #[arg(long)]
    matrix: bool,
    /// Record which cases fail for which fault in the suite's folder; takes every fault, and more time.
    #[arg(long, conflicts_with_all = ["list", "selectors"], requires = "suite")]
    record: bool,
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = |text: &str| reports::parse(&FORMATS, text), help = HELP.as_str())]
    reports: Vec<Wanted<Proof>>,
    /// Faults at a time.
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    suite: SuiteSource,
}

static HELP: LazyLock<String> = LazyLock::new(|| reports::help(&FORMATS, "proof"));

impl Prove {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let (faults, idle) = select(&faults::all(), &self.selectors);
        if faults.is_empty() {
            eprintln!(
                "{}: no fault is selected; `prove --list` shows what there is",
                style_error("error")
            );
            return Ok(Exit::NothingExecuted);
        }
        if !idle.is_empty() {
            eprintln!(
                "{}: no fault is selected by `{}`",
                style_error("error"),
                idle.join("`, `")
            );
            return Ok(Exit::Fault);
        }
        if self.list {
            for fault in &faults {
                println!("{:<5} {:<44} {}", fault.kind.name(), fault.id, fault.text);
            }
            return Ok(Exit::Conforms);
        }
        let suite = Arc::new(self.suite.load()?);
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
        // Whoever still hangs is not waited for.
        runtime.shutdown_background();
        print(&terminal::render(&proof, proving.recorded()));
        reports::write(&self.reports, &proof, None)?;
        let missed =
            proof.summary.survived + proof.summary.wrong_reason + proof.unexplained(proving.recorded()).count();
        Ok(if missed == 0 {
            Exit::Conforms
        } else {
            Exit::Nonconformance
        })
    }
}

/// Some more than there are processors: a fault may make the service wait.
fn default_jobs() -> usize {
    3 * std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get)
}
