//! The command line: one file a command, and the only place that prints or ends the process.

mod book;
mod check;
mod compare;
mod exit;
mod explain;
mod import;
mod list;
mod lookup;
mod merge;
mod prove;
mod reports;
mod review;
mod run;
mod serve;
mod signals;
mod target;
mod validate;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, println};
use clap::{Parser, Subcommand};
use exit::Exit;

use crate::contract::disk;
use crate::contract::files::Files;
use crate::contract::json::problem::Problem;
use crate::contract::{Suite, plain};
use crate::run::error::{RunError, SuiteError};
use crate::wire::files;

/// A conformance test suite for the Multiplayer Session Directory (MPSD).
///
/// Without a command, runs the whole suite against the embedded reference service.
#[derive(Debug, Parser)]
#[command(
    name = "mpsd-conformance",
    version,
    max_term_width = 110,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cases against a target, or against the embedded reference.
    Run(run::Run),
    /// Run the reference as a service.
    Serve(serve::Serve),
    /// List chapters, cases, clauses, templates, identities or features.
    List(list::List),
    /// Show everything about a clause, case, contradiction, fault, field, header or status code.
    Explain(explain::Explain),
    /// Check the suite's own files.
    Check(check::Check),
    /// Create and check a target file for your service.
    Target(target::Target),
    /// Self-test: check that the suite detects injected faults and accepts allowed differences.
    Prove(prove::Prove),
    /// Compare two JSON reports.
    Compare(compare::Compare),
    /// Merge the JSON reports of several shards.
    Merge(merge::Merge),
    /// Turn captured traffic into draft cases.
    Import(import::Import),
    /// Proxy a live service and check its traffic.
    Watch(watch::Watch),
    /// Write the contract as a static site, with `openapi.json`.
    Book(book::Book),
    /// Validate JSON documents against one of the suite's schemas.
    Validate(validate::Validate),
}

/// Where the suite is read from.
#[derive(Clone, Debug, clap::Args)]
struct SuiteSource {
    /// Read cases, schemas and snapshots from this directory instead of the embedded ones.
    #[arg(long, value_name = "DIR", global = true)]
    suite: Option<PathBuf>,
    /// Add the draft cases of this directory, written by `import`, as `drafts/NAME`.
    #[arg(long, value_name = "DIR", global = true)]
    drafts: Option<PathBuf>,
}

impl SuiteSource {
    /// Reads the suite; its faults are printed.
    fn load(&self) -> Result<Suite, Exit> {
        let mut files = match &self.suite {
            None => Files::embedded(),
            Some(root) => Files::load(root).map_err(|error| fault(&anyhow::Error::new(error)))?,
        };
        if let Some(folder) = &self.drafts {
            files = files.with(import::drafts(folder)?);
        }
        Suite::load(files).map_err(|broken| {
            eprintln!("{}", broken.render(true));
            let errors = plain::count(broken.problems.len(), "error");
            eprintln!("\nthe suite has {errors}; nothing was sent");
            Exit::Fault
        })
    }
}

/// Parses the arguments and carries out the command.
pub fn main() -> ExitCode {
    files::raise_limit();
    let arguments = Arguments::parse();
    let exit = match arguments.command {
        None => run::Run::all(arguments.run).execute(),
        Some(Command::Run(command)) => command.execute(),
        Some(Command::Serve(command)) => command.execute(),
        Some(Command::List(command)) => command.execute(),
        Some(Command::Explain(command)) => command.execute(),
        Some(Command::Check(command)) => command.execute(),
        Some(Command::Target(command)) => command.execute(),
        Some(Command::Prove(command)) => command.execute(),
        Some(Command::Compare(command)) => command.execute(),
        Some(Command::Merge(command)) => command.execute(),
        Some(Command::Import(command)) => command.execute(),
        Some(Command::Watch(command)) => command.execute(),
        Some(Command::Book(command)) => command.execute(),
        Some(Command::Validate(command)) => command.execute(),
    };
    exit.unwrap_or_else(|exit| exit).into()
}

/// Reports an error in the user's input, with its causes.
fn fault(error: &anyhow::Error) -> Exit {
    eprintln!("{}: {error:#}", style_error("error"));
    Exit::Fault
}

/// Reports why an engine failed.
fn fail(suite: &Suite, error: &RunError) -> Exit {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let text: Vec<String> = causes.map(ToString::to_string).collect();
    eprintln!("{}: {}", style_error("error"), text.join(": "));
    match error {
        RunError::Suite(SuiteError::Recorded { file, problems }) => print_problems(problems, suite.files().get(file)),
        RunError::Suite(_) | RunError::Target(_) | RunError::Machine(_) | RunError::Snapshot(_) | RunError::Run(_) => {
            Exit::Fault
        }
    }
}

/// Prints what is wrong with a file that the user gave.
fn print_problems(problems: &[Problem], text: Option<&str>) -> Exit {
    for problem in problems {
        eprintln!("{}", problem.render(text, true));
    }
    Exit::Fault
}

/// The local time, for what expires and for comparing clocks.
#[expect(clippy::disallowed_methods, reason = "no verdict of a case depends on it")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The day, for what expires.
fn today() -> jiff::civil::Date {
    now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn style_error(text: &str) -> String {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    format!("{style}{text}{style:#}")
}

/// Reads a file that the user named.
fn read_file(path: &Path) -> Result<String, Exit> {
    use anyhow::Context as _;
    disk::read_text(path)
        .with_context(|| format!("cannot read `{}`", path.display()))
        .map_err(|e| fault(&e))
}

/// Reads a target file and fetches its tokens.
fn load_target(path: &Path) -> Result<crate::target::Target, Exit> {
    let text = read_file(path)?;
    crate::target::file::read(&path.to_string_lossy(), &text, disk::folder_of(path))
        .map_err(|problems| print_problems(&problems, Some(&text)))
}

/// Writes a file that the user named; one that is there is replaced when the new one is whole.
fn write_file(path: &Path, text: &str) -> Result<(), Exit> {
    use anyhow::Context as _;
    disk::replace(path, text)
        .with_context(|| format!("cannot write `{}`", path.display()))
        .map_err(|e| fault(&e))
}

/// Prints to standard output, where a closed pipe is not an error. Of what steers a terminal, styles alone go out.
fn print(text: &str) {
    println!("{}", plain::styled(text.trim_end()));
}

/// A runtime that all requests of the process share.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| fault(&anyhow::Error::new(error).context("cannot start the runtime")))
}

/// Has a worker of the runtime do it: a thread that only waits would have to be woken for each thing that comes.
fn on_worker<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    task: impl Future<Output = T> + Send + 'static,
) -> T {
    match runtime.block_on(runtime.spawn(task)) {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
