//! `import`: captured traffic to drafts of cases.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anstream::{eprintln, println};
use clap::Args;
use serde_json::Value;

use crate::cli::exit::Exit;
use crate::cli::load_target;
use crate::cli::{SuiteSource, fault, style_error, write_file};
use crate::contract::case::DRAFTS;
use crate::contract::disk;
use crate::contract::plain::count;
use crate::run::embedded;
use crate::traffic::draft::{self, Draft};
use crate::traffic::har::{self, Capture};

/// Turn a HAR file into draft cases.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The capture, a HAR 1.2 file as browsers, Fiddler, mitmproxy and `watch` write it; `-` for standard input.
    #[arg(value_name = "HAR")]
    har: PathBuf,
    /// Output directory of the drafts.
    #[arg(long, value_name = "DIR", default_value = "drafts")]
    out: PathBuf,
    /// Name of the drafts [default: the name of the capture].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Make one draft of the whole capture instead of one per session.
    #[arg(long)]
    one: bool,
    /// Target file of the captured service: maps its tokens and templates to those of the suite.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Overwrite existing drafts.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Import {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let target = self.target.as_ref().map(|path| load_target(path)).transpose()?;
        let capture = self.read(&suite)?;
        let file = self.har.display();
        println!("{}", summary(&file.to_string(), &capture));
        for (place, remark) in &capture.remarks {
            eprintln!("note: {file}: /log/entries/{place}: {remark}");
        }
        if capture.passed.is_empty() {
            eprintln!(
                "{}: `{file}` has no MPSD requests: no path below /serviceconfigs/, and no /handles with X-Xbl-Contract-Version",
                style_error("error")
            );
            return Ok(Exit::NothingExecuted);
        }
        let stem = self.har.file_stem().unwrap_or_default().to_string_lossy();
        let mut name = slug(self.name.as_deref().unwrap_or(&stem));
        if is_reserved(&name) {
            name.push_str("-seen");
        }
        let advance = target.as_ref().and_then(|target| target.advance_header.clone());
        let options = draft::Options {
            name: &name,
            is_one: self.one,
            target: target.as_ref(),
            advance_header: advance.as_deref().unwrap_or(embedded::ADVANCE_HEADER),
        };
        let (drafts, hints) = draft::draft(&suite, capture.passed, &options);
        for hint in hints {
            eprintln!("  hint: {hint}");
        }
        self.write(&drafts)?;
        let folder = self.out.display();
        println!("\nmpsd-conformance check --drafts {folder}         # shows what is still missing");
        println!("mpsd-conformance run --drafts {folder} drafts    # runs them");
        Ok(Exit::Conforms)
    }

    fn read(&self, suite: &crate::contract::Suite) -> Result<Capture, Exit> {
        use anyhow::Context as _;
        let input: Box<dyn BufRead> = if self.har.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            let opened = File::open(&self.har).with_context(|| format!("cannot read `{}`", self.har.display()));
            Box::new(BufReader::with_capacity(
                1 << 16,
                opened.map_err(|error| fault(&error))?,
            ))
        };
        let folder = disk::folder_of(&self.har);
        let attached = |name: &str| {
            // A name, and no path to elsewhere.
            let is_plain = Path::new(name).file_name().is_some_and(|plain| plain == name);
            let mut body = Vec::new();
            let file = is_plain.then(|| File::open(folder.join(name)).ok()).flatten()?;
            file.take(har::LONGEST as u64).read_to_end(&mut body).ok()?;
            Some(body)
        };
        har::read(input, suite.schemas(), &attached).map_err(|error| {
            let (line, column) = error.line_column();
            eprintln!("{}: {error}", style_error("error"));
            eprintln!(" --> {}:{line}:{column}", self.har.display());
            if !error.pointer.is_empty() {
                eprintln!("  = at {}", error.pointer);
            }
            eprintln!("  = {}", error.advice);
            Exit::Fault
        })
    }

    fn write(&self, drafts: &[Draft]) -> Result<(), Exit> {
        use anyhow::Context as _;
        let path = |draft: &Draft| self.out.join(format!("{}.json", draft.name));
        let is_other = |draft: &&Draft| std::fs::read_to_string(path(draft)).is_ok_and(|old| old != text(&draft.case));
        if let Some(draft) = drafts.iter().find(is_other).filter(|_| !self.force) {
            eprintln!(
                "{}: `{}` exists and differs; use `--force` to overwrite it, or `--name` to choose another name",
                style_error("error"),
                path(draft).display()
            );
            return Err(Exit::Fault);
        }
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create `{}`", self.out.display()))
            .map_err(|error| fault(&error))?;
        for draft in drafts {
            write_file(&path(draft), &text(&draft.case))?;
            println!(
                "wrote {} ({})",
                path(draft).display(),
                count(draft.exchanges, "exchange")
            );
            for hint in &draft.hints {
                println!("  hint: {hint}");
            }
        }
        Ok(())
    }
}

/// What was in the file.
fn summary(file: &str, capture: &Capture) -> String {
    let mut text = format!(
        "{file}: {} of {} entries are MPSD requests",
        capture.passed.len(),
        capture.entries
    );
    for (reason, count) in &capture.skipped {
        let _ = write!(text, "\n  {count} left out: {reason}");
    }
    if capture.hollow > 0 {
        let _ = write!(
            text,
            "\n  {} imported without a response body, because the capture has none; export it with content",
            capture.hollow
        );
    }
    text
}

/// A name in kebab-case.
fn slug(name: &str) -> String {
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let text: String = name.chars().map(kept).collect();
    let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        "capture".to_owned()
    } else {
        parts.join("-")
    }
}

/// A case as people write it: short objects on one line.
fn text(case: &Value) -> String {
    let mut out = String::new();
    write(case, 0, &mut out);
    out.push('\n');
    out
}

/// The longest line that an object or array is put on.
const WIDTH: usize = 120;

fn write(value: &Value, indent: usize, out: &mut String) {
    let flat = flat(value);
    if indent > 0 && indent + flat.len() <= WIDTH {
        out.push_str(&flat);
        return;
    }
    let inner = indent + 2;
    let separate = |is_first: bool, out: &mut String| {
        out.push_str(if is_first { "\n" } else { ",\n" });
        out.push_str(&" ".repeat(inner));
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                separate(index == 0, out);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                write(value, inner, out);
            }
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            out.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index == 0, out);
                write(item, inner, out);
            }
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            out.push(']');
        }
        _ => out.push_str(&flat),
    }
}

/// A value on one line, with blanks where people put them.
fn flat(value: &Value) -> String {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let members: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), flat(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flat).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a file of this name is no case: a chapter has other files, and Windows has devices.
fn is_reserved(name: &str) -> bool {
    let is_port = |prefix| name.strip_prefix(prefix).is_some_and(|rest: &str| rest.len() == 1);
    matches!(name, "clauses" | "templates" | "con" | "prn" | "aux" | "nul") || is_port("com") || is_port("lpt")
}

/// Reads the drafts of a folder, by the names that their files would have in a suite.
pub(super) fn drafts(folder: &Path) -> Result<Vec<(String, String)>, Exit> {
    use anyhow::Context as _;
    let context = |path: &Path| format!("cannot read `{}`", path.display());
    let entries = std::fs::read_dir(folder)
        .with_context(|| context(folder))
        .map_err(|error| fault(&error))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| context(folder))
            .map_err(|error| fault(&error))?
            .path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((format!("cases/{DRAFTS}/{name}"), crate::cli::read_file(&path)?));
        }
    }
    found.sort();
    Ok(found)
}
