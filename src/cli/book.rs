//! `book`: writes the contract as a static site, with `openapi.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anstream::{eprintln, println};
use anyhow::Context as _;
use clap::Args;

use crate::book;
use crate::cli::compare::read_report;
use crate::cli::exit::Exit;
use crate::cli::{SuiteSource, fault, style_error};
use crate::contract::disk;

/// Marks a directory as a generated site, and lists its files.
const MARKER: &str = ".mpsd-book";

/// Write the contract as a static site.
#[derive(Debug, Args)]
pub(super) struct Book {
    /// Output directory: new, empty, or a previously generated site, which is replaced.
    folder: PathBuf,
    /// Show the results of this JSON report for each clause and case.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Book {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let former = self.former()?;
        let suite = self.suite.load()?;
        let report = self.report.as_deref().map(read_report).transpose()?;
        let files = book::render(&suite, report.as_ref());
        self.write(&files, &former).map_err(|error| fault(&error))?;
        let bytes: usize = files.values().map(String::len).sum();
        let start = self.folder.join("index.html");
        println!(
            "{} files written, {:.1} MB; open {}",
            files.len(),
            megabytes(bytes),
            start.display()
        );
        Ok(Exit::Conforms)
    }

    /// The files of a previously generated site; other files belong to the user and are not overwritten.
    fn former(&self) -> Result<Vec<String>, Exit> {
        let cannot = |error| {
            let folder = self.folder.display();
            fault(&anyhow::Error::new(error).context(format!("cannot use `{folder}` as a folder")))
        };
        let mut entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        match fs::read_to_string(self.folder.join(MARKER)) {
            Ok(list) => Ok(list
                .lines()
                .filter(|name| is_inside(Path::new(name)))
                .map(str::to_owned)
                .collect()),
            Err(_) if entries.next().is_none() => Ok(Vec::new()),
            Err(_) => {
                eprintln!(
                    "{}: `{}` is not empty and is not a generated site; choose a new or empty directory",
                    style_error("error"),
                    self.folder.display()
                );
                Err(Exit::Fault)
            }
        }
    }

    fn write(&self, files: &BTreeMap<String, String>, former: &[String]) -> anyhow::Result<()> {
        let write = |path: PathBuf, text: &str| {
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            let written = folder.and_then(|()| disk::replace(&path, text));
            written.with_context(|| format!("cannot write `{}`", path.display()))
        };
        for name in former.iter().filter(|name| !files.contains_key(*name)) {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove `{}`", path.display()));
                }
                // A folder that holds nothing any more goes, too.
                _ => _ = path.parent().map(fs::remove_dir),
            }
        }
        // First of all, so that a book whose writing was interrupted is one.
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        write(self.folder.join(MARKER), &(names.join("\n") + "\n"))?;
        files
            .iter()
            .try_for_each(|(name, text)| write(self.folder.join(name), text))
    }
}

/// Whether a path stays below the folder that it is joined to.
fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
