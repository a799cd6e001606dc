//! Snapshot files: the text, after a head that `insta` understands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::contract::disk;

const FENCE: &str = "---\n";
/// Where `insta` is called, as it notes in each file.
const SOURCE: &str = "tests/conformance.rs";

/// Why a snapshot file could not be read or written.
#[derive(Debug, Error)]
#[error("the snapshot {} {trouble}", path.display())]
pub struct SnapshotError {
    path: PathBuf,
    trouble: &'static str,
    source: Option<io::Error>,
}

impl SnapshotError {
    fn new(path: &Path, trouble: &'static str, source: Option<io::Error>) -> Self {
        Self {
            path: path.to_owned(),
            trouble,
            source,
        }
    }

    /// A text that must not be written.
    pub(super) fn secret(path: &Path) -> Self {
        Self::new(
            path,
            "was not written, because it would contain a secret of the target",
            None,
        )
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is no such file: the case was never recorded.
    pub fn is_missing(&self) -> bool {
        self.source
            .as_ref()
            .is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
    }
}

/// Writes a text with its head, and the folders that lead there.
///
/// `case` is the case file, relative to the suite's root, with `/`. The file is the one that `insta` writes.
pub fn write(path: &Path, case: &str, title: &str, text: &str) -> Result<(), SnapshotError> {
    let head = format!(
        "source: {SOURCE}\ndescription: {}\ninput_file: {case}\n",
        Value::from(title)
    );
    let file = format!("{FENCE}{head}{FENCE}{}\n", text.trim_end());
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| disk::replace(path, &file));
    written.map_err(|source| SnapshotError::new(path, "cannot be written", Some(source)))
}

/// Reads the text of a snapshot file, without its head.
pub fn read(path: &Path) -> Result<String, SnapshotError> {
    let file = disk::read_text(path);
    let file = file.map_err(|source| SnapshotError::new(path, "cannot be read", Some(source)))?;
    let no_head = "has no header: expected a line `---`, the source, and another line `---`";
    parse(&file).ok_or_else(|| SnapshotError::new(path, no_head, None))
}

/// The text of a snapshot file's content, without its head; `None` if it has no head.
pub fn parse(content: &str) -> Option<String> {
    let content = content.replace("\r\n", "\n");
    let (_, text) = content.strip_prefix(FENCE)?.split_once("\n---\n")?;
    Some(text.to_owned())
}
