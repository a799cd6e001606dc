//! The suite's files: embedded in the binary, or read from a checkout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

/// Name and text of every file under `cases/`, `schemas/` and `snapshots/`, as they were at build time.
static EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The folders that make a suite.
const FOLDERS: [&str; 3] = ["cases", "schemas", "snapshots"];

/// The files of a suite, by their name relative to its root, with `/` between folders.
#[derive(Clone, Debug)]
pub struct Files {
    root: Option<PathBuf>,
    texts: BTreeMap<String, Cow<'static, str>>,
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
        let texts = EMBEDDED
            .iter()
            .map(|&(name, text)| (name.to_owned(), Cow::Borrowed(text)))
            .collect();
        Self { root: None, texts }
    }

    /// The suite in the folder `root`, which has `cases` and `schemas`.
    pub fn load(root: &Path) -> Result<Self, FilesError> {
        let mut files = Self {
            root: Some(root.to_owned()),
            texts: BTreeMap::new(),
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
                let text = fs::read_to_string(&path).map_err(at(&path))?;
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                self.texts.insert(name, Cow::Owned(text));
            }
        }
        Ok(())
    }

    /// A suite of the given files, for tests and for single files from elsewhere.
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts = texts.into_iter().map(|(name, text)| (name, Cow::Owned(text))).collect();
        Self { root: None, texts }
    }

    /// The same suite with more files.
    #[must_use]
    pub fn with(mut self, texts: impl IntoIterator<Item = (String, String)>) -> Self {
        self.texts
            .extend(texts.into_iter().map(|(name, text)| (name, Cow::Owned(text))));
        self
    }

    /// The ids of the cases, in order.
    pub fn case_ids(&self) -> impl Iterator<Item = &str> {
        self.under("cases/").filter_map(|(name, _)| case_id(name))
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

    /// The text of one file.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(AsRef::as_ref)
    }

    /// The files under a folder, by name; `folder` ends with `/`.
    pub fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts
            .range(folder.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(folder))
            .map(|(name, text)| (name.as_str(), text.as_ref()))
    }
}

/// The id of the case in a file: `chapter/name`; a chapter's clauses and templates are no cases.
fn case_id(name: &str) -> Option<&str> {
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
