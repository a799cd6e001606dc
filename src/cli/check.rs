//! `check`: lints the suite itself.

use anstream::{eprintln, println};
use clap::Args;

use crate::cli::SuiteSource;
use crate::cli::exit::Exit;
use crate::contract::lint;
use crate::contract::manifest::Manifest;
use crate::contract::plain::count;

/// Lint the suite.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    suite: SuiteSource,
}

impl Check {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let problems = lint::check(&suite);
        for problem in &problems {
            eprintln!("{}\n", problem.render(suite.files().get(&problem.file), true));
        }
        let variants: usize = suite.cases().iter().map(|case| case.variants.len()).sum();
        let counts = format!(
            "{} clauses, {} case files, {variants} cases",
            suite.clauses().len(),
            suite.cases().len()
        );
        if let Ok(Some(manifest)) = Manifest::read(suite.files()) {
            let drafts = suite.cases().iter().filter(|case| case.is_draft());
            let drafts: usize = drafts.map(|case| case.variants.len()).sum();
            let grown = manifest.grown(&suite).saturating_sub(drafts);
            if grown > 0 {
                let are = if grown == 1 {
                    "is new or asserts"
                } else {
                    "are new or assert"
                };
                let grown = count(grown, "case");
                println!("{grown} {are} more than recorded; record with `run --suite . --snapshots record`");
            }
        }
        if problems.is_empty() {
            println!("ok: {counts}");
            return Ok(Exit::Conforms);
        }
        println!("{}: {counts}", count(problems.len(), "error"));
        Ok(Exit::Fault)
    }
}
