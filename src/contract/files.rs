//! The suite's files: embedded in the binary, or read from a checkout.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use thiserror::Error;

use crate::contract::disk;

/// Name and text of every file under `cases/` and `schemas/`, and of what is no snapshot under `snapshots/`, as they were
/// at build time.
static TEXTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/texts.rs"));
/// Name of every snapshot, with the place of its text among the packed ones.
#[expect(clippy::unreadable_literal, reason = "nobody reads what the build script writes")]
static SNAPSHOTS: &[(&str, usize, usize)] = include!(concat!(env!("OUT_DIR"), "/snapshots.rs"));
/// The texts of the snapshots, each compressed by itself: they are many, alike, and seldom needed.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/snapshots.lz4"));

/// The folders that make a suite.
const FOLDERS: [&str; 3] = ["cases", "schemas", "snapshots"];

/// The files of a suite, by their name relative to its root, with `/` between folders.
#[derive(Clone, Debug)]
pub struct Files {
    root: Option<PathBuf>,
    texts: BTreeMap<String, Text>,
    snapshots: BTreeMap<String, Snapshot>,
}

/// The text of a case, a schema or what else describes the suite; a copy of it is cheap.
#[derive(Clone, Debug)]
pub struct Text(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Embedded(&'static str),
    Read(Arc<str>),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Kept::Embedded(text) => text,
            Kept::Read(text) => text,
        }
    }
}

/// Where a snapshot is read from, each time that it is asked for.
#[derive(Clone, Debug)]
enum Snapshot {
    Packed(&'static [u8]),
    File(PathBuf),
}

/// A suite's folder that could not be read.
#[derive(Debug, Error)]
#[error("cannot read `{}`", path.display())]
pub struct FilesError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Files {
    /// The suite that this binary carries.
    pub fn embedded() -> Self {
        let texts = TEXTS
            .iter()
            .map(|&(name, text)| (name.to_owned(), Text(Kept::Embedded(text))));
        let snapshots = SNAPSHOTS
            .iter()
            .filter_map(|&(name, start, end)| Some((name.to_owned(), Snapshot::Packed(PACKED.get(start..end)?))));
        Self {
            root: None,
            texts: texts.collect(),
            snapshots: snapshots.collect(),
        }
    }

    /// The suite in the folder `root`, which has `cases` and `schemas`.
    pub fn load(root: &Path) -> Result<Self, FilesError> {
        let mut files = Self {
            root: Some(root.to_owned()),
            texts: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        };
        for folder in FOLDERS {
            let path = root.join(folder);
            if folder != "snapshots" || path.exists() {
                files.load_folder(root, &path)?;
            }
        }
        Ok(files)
    }

    fn load_folder(&mut self, root: &Path, folder: &Path) -> Result<(), FilesError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| FilesError { path, source }
        };
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let path = entry.map_err(at(folder))?.path();
            if path.is_dir() {
                self.load_folder(root, &path)?;
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json" || extension == "snap")
            {
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                if path.extension().is_some_and(|extension| extension == "snap") {
                    self.snapshots.insert(name, Snapshot::File(path));
                } else {
                    let text = disk::read_text(&path).map_err(at(&path))?;
                    self.texts.insert(name, Text(Kept::Read(text.into())));
                }
            }
        }
        Ok(())
    }

    /// A suite of the given files, for tests and for single files from elsewhere.
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts = texts
            .into_iter()
            .map(|(name, text)| (name, Text(Kept::Read(text.into()))));
        Self {
            root: None,
            texts: texts.collect(),
            snapshots: BTreeMap::new(),
        }
    }

    /// The same suite with more files.
    #[must_use]
    pub fn with(mut self, texts: impl IntoIterator<Item = (String, String)>) -> Self {
        self.texts.extend(
            texts
                .into_iter()
                .map(|(name, text)| (name, Text(Kept::Read(text.into())))),
        );
        self
    }

    /// The ids of the cases, in order.
    pub fn case_ids(&self) -> impl Iterator<Item = &str> {
        self.names_under("cases/").filter_map(case_id)
    }

    /// The same suite without its other cases, which are not parsed then.
    #[must_use]
    pub fn with_only(mut self, case: &str) -> Self {
        self.texts.retain(|name, _| case_id(name).is_none_or(|id| id == case));
        self
    }

    /// The folder it was read from; `None` when it is embedded.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The text of one file that is no snapshot.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.text(name).map(|text| &**text)
    }

    /// The text of one file, to be kept.
    pub fn text(&self, name: &str) -> Option<&Text> {
        self.texts.get(name)
    }

    /// The text of a recorded conversation, with its head, by the case's id; `None` when there is none that can be read.
    pub fn snapshot(&self, case: &str) -> Option<String> {
        match self.snapshots.get(&format!("snapshots/{case}.snap"))? {
            Snapshot::File(path) => disk::read_text(path).ok(),
            Snapshot::Packed(packed) => {
                let text = lz4_flex::block::decompress_size_prepended(packed).ok()?;
                String::from_utf8(text).ok()
            }
        }
    }

    /// The ids of the cases of which a conversation is recorded.
    pub fn recorded(&self) -> impl Iterator<Item = &str> {
        let names = self.snapshots.keys();
        names.filter_map(|name| name.strip_prefix("snapshots/")?.strip_suffix(".snap"))
    }

    /// The names of the files under a folder; `folder` ends with `/`.
    pub fn names_under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts
            .range(folder.to_owned()..)
            .map(|(name, _)| name.as_str())
            .take_while(move |name| name.starts_with(folder))
    }

    /// The files under a folder, by name; `folder` ends with `/`.
    pub fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.names_under(folder)
            .filter_map(|name| Some((name, self.get(name)?)))
    }
}

/// The id of the case in a file: `chapter/name`; a chapter's clauses and templates are no cases.
pub(super) fn case_id(name: &str) -> Option<&str> {
    let id = name.strip_prefix("cases/")?.strip_suffix(".json")?;
    let (_, name) = id.rsplit_once('/')?;
    (name != "clauses" && name != "templates").then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_case_can_be_kept_without_the_others() {
        let names = [
            "cases/world.json",
            "cases/a/clauses.json",
            "cases/a/one.json",
            "cases/a/two.json",
            "schemas/x.json",
        ];
        let files = || Files::from_texts(names.map(|name| (name.to_owned(), String::new())));
        assert_eq!(files().case_ids().collect::<Vec<_>>(), ["a/one", "a/two"]);
        let kept = files().with_only("a/two");
        assert_eq!(kept.case_ids().collect::<Vec<_>>(), ["a/two"]);
        assert!(
            ["cases/world.json", "cases/a/clauses.json", "schemas/x.json"]
                .iter()
                .all(|name| kept.get(name).is_some())
        );
    }
}
