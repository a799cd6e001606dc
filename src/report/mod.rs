//! Reports: one model of what a run came to, and the formats that show it. Nothing here prints or writes a file.
//!
//! [`Report::of`] makes the model, and [`json::read`] reads it back. A format is a file that renders the model, and an entry
//! of [`FORMATS`].

mod build;
mod cause;
pub mod compare;
mod curl;
pub mod deviations;
pub mod diagnosis;
pub mod github;
#[cfg(test)]
mod hostile_text;
pub mod html;
pub mod json;
mod junit;
pub mod ladder;
pub mod merge;
pub mod model;
pub mod proof;
mod tap;
pub mod terminal;

pub use build::Run;
pub use model::{Report, Standing};

/// A format that something is written in, to a file.
#[derive(Debug)]
pub struct Format<T: 'static> {
    /// What `--report NAME=PATH` calls it.
    pub name: &'static str,
    /// Renders the whole file. An error is a defect of the format: every report can be rendered.
    pub render: fn(&T) -> anyhow::Result<String>,
}

impl<T> Format<T> {
    const fn new(name: &'static str, render: fn(&T) -> anyhow::Result<String>) -> Self {
        Self { name, render }
    }
}

/// The formats of `--report`, in the order of the help.
pub static FORMATS: [Format<Report>; 4] = [
    Format::new("json", json::render),
    Format::new("junit", junit::render),
    Format::new("html", |report| Ok(html::render(report))),
    Format::new("tap", tap::render),
];
