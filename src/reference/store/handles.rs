//! The handles, and the ways to find them.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use uuid::Uuid;

use super::super::handle::{Handle, HandleKind};
use super::super::search::SearchIndex;
use super::super::session_ref::{SessionKey, folded};
use super::journal::Journal;

/// All handles.
#[derive(Debug, Default)]
pub(in super::super) struct Handles {
    table: RwLock<Table>,
    /// The search handles, once more: what queries run on. Locked after the table.
    search: SearchIndex,
    /// Where they are kept, if anywhere. Written with the table locked.
    journal: Option<Arc<Journal>>,
}

#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<Uuid, Arc<Handle>>,
    /// By owner and folded scid: at most one activity each (HDL-ACT-006).
    activities: HashMap<(u64, String), Uuid>,
    /// Transfer handles by target.
    transfers: HashMap<SessionKey, HashSet<Uuid>>,
    /// Handles that expire, in the order they were made.
    expiring: VecDeque<(Timestamp, Uuid)>,
}

impl Handles {
    /// The handles that were kept, in the order in which they were made, and are kept on.
    pub(super) fn restored(kept: Vec<Handle>, journal: Arc<Journal>) -> Self {
        let mut handles = Self::default();
        for handle in kept {
            handles.insert(&handle.at.key(), Arc::new(handle), Timestamp::MIN);
        }
        handles.journal = Some(journal);
        handles
    }

    /// The handle `id`, unless it has expired (HDL-INV-019).
    pub(in super::super) fn get(&self, id: Uuid, now: Timestamp) -> Option<Arc<Handle>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .by_id
            .get(&id)
            .filter(|handle| handle.expires().is_none_or(|expires| now < expires))
            .map(Arc::clone)
    }

    /// The activity of `xuid` in a service config.
    pub(in super::super) fn activity(&self, xuid: u64, scid: &str) -> Option<Arc<Handle>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let id = table.activities.get(&(xuid, folded(scid).into_owned()))?;
        table.by_id.get(id).map(Arc::clone)
    }

    /// The index of search handles.
    pub(in super::super) fn search(&self) -> &SearchIndex {
        &self.search
    }

    /// Stores a handle of the session at `key`, and forgets those that have expired at `clock`. Gives back the activity
    /// that it replaces.
    pub(super) fn insert(&self, key: &SessionKey, handle: Arc<Handle>, clock: Timestamp) -> Option<Arc<Handle>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, expired)) = table.expiring.pop_front_if(|(due, _)| *due < clock) {
            table.by_id.remove(&expired);
        }
        let mut replaced = None;
        match &handle.kind {
            HandleKind::Activity { owner } => {
                let place = (*owner, folded(&handle.at.scid).into_owned());
                if let Some(before) = table.activities.insert(place, handle.id) {
                    replaced = table.by_id.remove(&before);
                    self.note_removal(before);
                }
            }
            HandleKind::Transfer { .. } => {
                table.transfers.entry(key.clone()).or_default().insert(handle.id);
            }
            HandleKind::Invite { expires, .. } => table.expiring.push_back((*expires, handle.id)),
            HandleKind::Search(search) => {
                // SRCH-HDL-005
                if let Some(before) = self.search.insert(search) {
                    table.by_id.remove(&before.id());
                    self.note_removal(before.id());
                }
            }
        }
        if let Some(journal) = &self.journal {
            journal.keep_handle(&handle);
        }
        table.by_id.insert(handle.id, handle);
        replaced
    }

    /// Takes back a handle that another one has replaced; it can be found by its id alone.
    pub(in super::super) fn keep(&self, handle: Arc<Handle>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.by_id.insert(handle.id, handle);
    }

    /// Removes a handle, if it is there.
    pub(in super::super) fn remove(&self, id: Uuid) -> Option<Arc<Handle>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let handle = table.by_id.remove(&id)?;
        self.note_removal(id);
        match &handle.kind {
            HandleKind::Activity { owner } => {
                let place = (*owner, folded(&handle.at.scid).into_owned());
                if table.activities.get(&place) == Some(&id) {
                    table.activities.remove(&place);
                }
            }
            HandleKind::Transfer { .. } => {
                let key = handle.at.key();
                if let Some(ids) = table.transfers.get_mut(&key) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        table.transfers.remove(&key);
                    }
                }
            }
            HandleKind::Search(_) => {
                self.search.remove(id);
            }
            HandleKind::Invite { .. } => {}
        }
        Some(handle)
    }

    /// The handles to these sessions, the oldest first.
    pub(in super::super) fn to_sessions(&self, keys: &BTreeSet<&SessionKey>, now: Timestamp) -> Vec<Arc<Handle>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let lives = |handle: &Handle| handle.expires().is_none_or(|expires| now < expires);
        let mut found: Vec<_> = table
            .by_id
            .values()
            .filter(|handle| lives(handle) && keys.contains(&handle.at.key()))
            .map(Arc::clone)
            .collect();
        found.sort_by_key(|handle| (handle.created, handle.id));
        found
    }

    /// Removes the transfer handles to a session that has ended (HDL-TRF-004), and its search handle (SRCH-HDL-018).
    /// Invites stay (HDL-GEN-017).
    pub(super) fn session_ended(&self, key: &SessionKey) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for id in table.transfers.remove(key).into_iter().flatten() {
            table.by_id.remove(&id);
            self.note_removal(id);
        }
        if let Some(handle) = self.search.of_session(key) {
            table.by_id.remove(&handle.id());
            self.note_removal(handle.id());
            self.search.remove(handle.id());
        }
    }

    fn note_removal(&self, id: Uuid) {
        if let Some(journal) = &self.journal {
            journal.remove_handle(id);
        }
    }
}
