//! The report for programs; its shape is `schemas/report.schema.json`.

use crate::contract::plain;
use crate::report::model::{Report, SHAPE};

/// Renders a report as JSON; an error is a defect of this program.
pub fn render(report: &Report) -> anyhow::Result<String> {
    Ok(plain::in_json(serde_json::to_string_pretty(report)?) + "\n")
}

/// Reads a report; an error says what is wrong with it, in one line.
pub fn read(text: &str) -> Result<Report, String> {
    if text.trim().is_empty() {
        return Err("the file is empty".to_owned());
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(SHAPE) => {}
        Some(version) => {
            return Err(format!(
                "a report of version {version}; this program reads version {SHAPE}"
            ));
        }
        None => return Err("not a report: expected a JSON report, as `run --report json=PATH` writes it".to_owned()),
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| format!("not a complete report: at `{}`: {}", error.path(), error.inner()))
}
