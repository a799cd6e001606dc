//! `validate`: any JSON document against one of the suite's schemas.

use std::io::Read as _;
use std::path::PathBuf;

use anstream::{eprintln, println};
use clap::Args;
use serde_json::Value;

use crate::cli::exit::Exit;
use crate::cli::{SuiteSource, fault, print_problems, read_file, style_error};
use crate::contract::disk;
use crate::contract::json::problem::{line_column, locate};
use crate::contract::json::{self, expected_one_of};
use crate::contract::schemas::Severity;
use crate::contract::version::ContractVersion;

/// Validate JSON documents against one of the suite's schemas.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// The schema's name, such as `session`, `session-request` or `handle`.
    schema: String,
    /// The documents to validate; `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Contract version of the document [default: its `contractVersion`, or the current one]
    #[arg(long, value_name = "VERSION")]
    contract_version: Option<ContractVersion>,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Validate {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        let suite = self.suite.load()?;
        let schemas = suite.schemas();
        if schemas.resolve(&self.schema, ContractVersion::CURRENT).is_none() {
            let names: Vec<&str> = schemas.names().collect();
            let expected = expected_one_of(&self.schema, &names);
            eprintln!("{}: unknown schema `{}`; {expected}", style_error("error"), self.schema);
            return Ok(Exit::Fault);
        }
        let mut exit = Exit::Conforms;
        for path in &self.files {
            let name = path.to_string_lossy();
            let text = if name == "-" {
                let mut bytes = Vec::new();
                let read = std::io::stdin()
                    .read_to_end(&mut bytes)
                    .and_then(|_| disk::decode(bytes));
                read.map_err(|error| fault(&anyhow::Error::new(error).context("cannot read standard input")))?
            } else {
                read_file(path)?
            };
            let value = match json::parse(&name, &text) {
                Ok(value) => value,
                Err(problem) => {
                    exit = exit.max(print_problems(&[problem], Some(&text)));
                    continue;
                }
            };
            let own = value.get("contractVersion").and_then(Value::as_u64);
            let own = own.and_then(ContractVersion::of);
            let version = self.contract_version.or(own).unwrap_or(ContractVersion::CURRENT);
            let mut violations = 0;
            let mut found = schemas.validate(&self.schema, version, &value);
            if found.is_empty() {
                found = schemas.unknown_names(&self.schema, version, &value);
            }
            for violation in found {
                let place = locate(&text, &violation.pointer, false).map(|range| line_column(&text, range.start));
                let (line, column) = place.unwrap_or((1, 1));
                let clause = violation
                    .clause
                    .as_ref()
                    .map_or(String::new(), |clause| format!(" ({clause})"));
                let pointer = if violation.pointer.is_empty() {
                    "the document"
                } else {
                    &violation.pointer
                };
                let kind = match violation.severity {
                    Severity::Remark => "note",
                    _ => "error",
                };
                println!(
                    "{name}:{line}:{column}: {kind}: {pointer}: {}{clause}",
                    violation.message
                );
                violations += usize::from(violation.severity > Severity::Remark);
            }
            if violations == 0 {
                println!(
                    "{name}: valid {}",
                    schemas.resolve(&self.schema, version).unwrap_or(&self.schema)
                );
            } else {
                exit = exit.max(Exit::Nonconformance);
            }
        }
        Ok(exit)
    }
}
