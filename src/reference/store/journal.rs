//! The journal of a service that keeps its data: what became of each session and handle, one JSON text a line, in the
//! order in which it came about.
//!
//! A change is written before it is answered, so what a caller was told survives the end of the process; what the system
//! had not put on the disk yet does not survive that of the machine. The journal grows until the service starts again: it
//! is then written anew, with what is there alone.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use super::super::handle::Handle;
use super::super::rules::Rules;
use super::super::session::{Former, Session};
use super::super::session_ref::{SessionKey, SessionRef};

const JOURNAL: &str = "journal.jsonl";
/// Whoever has this file locked has the folder to itself.
const LOCK: &str = "lock";

/// Why a folder's data cannot be used.
#[derive(Debug, Error)]
pub(in super::super) enum JournalError {
    /// The system does not let it be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Another service keeps its data there.
    #[error("another service uses `{}`", .0.display())]
    Taken(PathBuf),
    /// A line says nothing that this service ever writes.
    #[error("`{}`, line {line}: {reason}; move the file away to start with nothing", path.display())]
    Line { path: PathBuf, line: usize, reason: String },
}

/// An open journal.
#[derive(Debug)]
pub(in super::super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    /// Why nothing can be kept any more.
    broken: OnceLock<String>,
    _lock: File,
}

/// What a journal says is there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) sessions: HashMap<SessionKey, Session>,
    pub(super) formers: HashMap<SessionKey, (SessionRef, Former)>,
    /// With the number of those that were made before.
    handles: HashMap<Uuid, (usize, Handle)>,
    made: usize,
}

impl Journal {
    /// Opens the journal of a folder, which is made if it is not there, and reads what it says.
    pub(super) fn open(folder: &Path, rules: &Rules) -> Result<(Self, Kept), JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let place = folder.join(LOCK);
        let options = File::options().create(true).truncate(false).write(true).open(&place);
        let lock = options.map_err(failed(&place))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Taken(folder.to_owned()),
            TryLockError::Error(error) => failed(&place)(error),
        })?;
        let path = folder.join(JOURNAL);
        let kept = match File::open(&path) {
            Ok(file) => read(&path, file, rules)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(failed(&path)(error)),
        };
        // The old journal is there until the new one is complete.
        let new = path.with_extension("new");
        let mut file = File::create(&new).map_err(failed(&new))?;
        file.write_all(&kept.lines()).map_err(failed(&new))?;
        file.sync_all().map_err(failed(&new))?;
        fs::rename(&new, &path).map_err(failed(&path))?;
        let journal = Self {
            path,
            file: Mutex::new(file),
            broken: OnceLock::new(),
            _lock: lock,
        };
        Ok((journal, kept))
    }

    /// Why nothing can be kept any more, if so: what happens from then on would be forgotten.
    pub(in super::super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// A session came to be, or changed.
    pub(super) fn keep_session(&self, session: &Session) {
        self.write(&session_line(session));
    }

    /// A session ended.
    pub(super) fn end_session(&self, at: &SessionRef, former: &Former) {
        self.write(&former_line(at, former));
    }

    /// A handle was made.
    pub(super) fn keep_handle(&self, handle: &Handle) {
        self.write(&handle_line(handle));
    }

    /// A handle was removed.
    pub(super) fn remove_handle(&self, id: Uuid) {
        self.write(&json!({ "removed": id.to_string() }));
    }

    fn write(&self, line: &Value) {
        let line = format!("{line}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            let path = self.path.display();
            self.broken.get_or_init(|| format!("cannot write `{path}`: {error}"));
        }
    }
}

impl Kept {
    /// Takes out the handles, in the order in which they were made.
    pub(super) fn take_handles(&mut self) -> Vec<Handle> {
        let mut handles: Vec<_> = std::mem::take(&mut self.handles).into_values().collect();
        handles.sort_unstable_by_key(|(made, _)| *made);
        handles.into_iter().map(|(_, handle)| handle).collect()
    }

    fn lines(&self) -> Vec<u8> {
        let formers = self.formers.values().map(|(at, former)| former_line(at, former));
        let sessions = self.sessions.values().map(session_line);
        let mut handles: Vec<_> = self.handles.values().collect();
        handles.sort_unstable_by_key(|(made, _)| *made);
        let handles = handles.into_iter().map(|(_, handle)| handle_line(handle));
        let lines = formers.chain(sessions).chain(handles);
        lines.flat_map(|line| format!("{line}\n").into_bytes()).collect()
    }

    /// Takes up one line.
    fn add(&mut self, line: &Value, rules: &Rules) -> Result<(), String> {
        if let Some(stored) = line.get("session") {
            let session = Session::from_stored(stored, rules).map_err(|refusal| refusal.message)?;
            let key = session.at().key();
            self.formers.remove(&key);
            self.sessions.insert(key, session);
        } else if let Some(ended) = line.get("ended") {
            let at = SessionRef::from_json(ended).ok_or("`ended` names no session")?;
            let correlation_id = guid(line, "correlationId").ok_or("`correlationId` is not a GUID")?;
            let key = at.key();
            self.sessions.remove(&key);
            self.formers.insert(key, (at, Former { correlation_id }));
        } else if let Some(stored) = line.get("handle") {
            let handle = Handle::from_stored(stored, rules).ok_or("`handle` is not a handle")?;
            self.handles.insert(handle.id, (self.made, handle));
            self.made += 1;
        } else {
            let removed = guid(line, "removed").ok_or("nothing that the service writes")?;
            self.handles.remove(&removed);
        }
        Ok(())
    }
}

fn read(path: &Path, file: File, rules: &Rules) -> Result<Kept, JournalError> {
    let mut kept = Kept::default();
    let mut lines = BufReader::new(file);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let failed = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        // A line without an end was being written when the service died: nobody was told of it.
        if lines.read_until(b'\n', &mut text).map_err(failed)? == 0 || !text.ends_with(b"\n") {
            break;
        }
        let added = serde_json::from_slice(&text)
            .map_err(|error| error.to_string())
            .and_then(|value| kept.add(&value, rules));
        added.map_err(|reason| JournalError::Line {
            path: path.to_owned(),
            line,
            reason,
        })?;
    }
    Ok(kept)
}

fn session_line(session: &Session) -> Value {
    json!({ "session": session.to_stored() })
}

fn former_line(at: &SessionRef, former: &Former) -> Value {
    json!({ "ended": at.to_json(), "correlationId": former.correlation_id.to_string() })
}

fn handle_line(handle: &Handle) -> Value {
    json!({ "handle": handle.to_stored() })
}

fn guid(line: &Value, member: &str) -> Option<Uuid> {
    Uuid::try_parse(line.get(member)?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &Rules::default()).unwrap();
        journal.remove_handle(Uuid::new_v4());
        assert_eq!(journal.broken(), None);
        // Not open for writing.
        journal.file = Mutex::new(File::open(&journal.path).unwrap());
        journal.remove_handle(Uuid::new_v4());
        assert!(journal.broken().unwrap().contains("journal.jsonl"));
    }
}
