//! The table of a case: each row is a variant, with values for some of the variables.

use serde_json::{Map, Value};

use crate::contract::json::Item;
use crate::contract::version::ContractVersion;

/// A row of a table; without a name where a case has no table.
#[derive(Default)]
pub(super) struct Row {
    /// What the variant's id ends in.
    pub(super) name: String,
    /// The clauses that it tests, where they are not the case's.
    pub(super) clauses: Option<Vec<String>>,
    /// The version that it is run at, where it is not the case's.
    pub(super) version: Option<ContractVersion>,
    /// The values of variables, by name.
    pub(super) cells: Map<String, Value>,
}

/// Reads a table.
pub(super) fn read_table(item: Item<'_>) -> Option<Vec<Row>> {
    let fields = item.object(&["columns", "rows"])?;
    let columns = fields.require("columns")?.strings()?;
    if columns.first().is_none_or(|first| first != "row") {
        item.wrong(
            "the first column of a table is `row`, the row's name",
            "expected `row` as the first column",
        );
        return None;
    }
    let mut names = Vec::new();
    fields.require("rows")?.elements(|row| {
        let cells = row.value().as_array().map(Vec::as_slice).unwrap_or_default();
        if cells.len() != columns.len() {
            let message = format!("expected {} cells, found {}", columns.len(), cells.len());
            row.wrong(message, format!("one cell for each of `{}`", columns.join("`, `")));
            return None;
        }
        let mut read = Row::default();
        let mut index = 0;
        row.elements(|cell| {
            let column = columns.get(index)?;
            index += 1;
            match column.as_str() {
                "row" => {
                    read.name = cell.string()?.to_owned();
                    let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    if read.name.is_empty() || !read.name.chars().all(is_slug) {
                        cell.wrong("a row's name is kebab-case", "lower-case letters, digits and hyphens");
                    }
                    if names.contains(&read.name) {
                        cell.wrong(
                            format!("two rows are named `{}`", read.name),
                            "a name of its own goes here",
                        );
                    }
                    names.push(read.name.clone());
                }
                "clauses" if !cell.value().is_null() => read.clauses = Some(cell.strings()?),
                "version" if !cell.value().is_null() => read.version = Some(ContractVersion::read(cell)?),
                "clauses" | "version" => {}
                _ => {
                    read.cells.insert(column.clone(), cell.value().clone());
                }
            }
            Some(())
        })?;
        Some(read)
    })
}
