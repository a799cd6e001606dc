//! What is stored: sessions and handles, in memory; and, where they are kept, in a journal.
//!
//! Each session has a slot with a lock of its own, so that checking an `ETag` and storing the next state are one step,
//! and sessions do not wait for each other. Locks are taken in one order: slot, then an index or the handles. No slot is
//! locked while another one is.

mod handles;
mod journal;
mod membership;

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use self::handles::Handles;
use self::journal::{Journal, JournalError};
use self::membership::Membership;
pub(super) use self::membership::{Part, Place};
use super::document::Document;
use super::handle::Handle;
use super::realtime::ConnectionsAt;
use super::rules::Rules;
use super::session::{Access, Capability, ContractVersion, Former, Outcome, Session};
use super::session_ref::SessionKey;

/// How many addresses keep the correlation id of a session that is gone (SES-CREATE-019 names no period).
const FORMERS_KEPT: usize = 1 << 16;
const SHARDS: usize = 32;

/// All sessions and handles.
#[derive(Debug, Default)]
pub(super) struct Store {
    hasher: RandomState,
    shards: [RwLock<HashMap<SessionKey, Arc<Slot>>>; SHARDS],
    membership: Membership,
    handles: Handles,
    formers: Mutex<VecDeque<SessionKey>>,
    /// Where all of it is kept, if anywhere.
    journal: Option<Arc<Journal>>,
}

/// What timers are judged by.
#[derive(Clone, Copy)]
pub(super) struct Moment<'m> {
    pub(super) now: Timestamp,
    pub(super) connections: ConnectionsAt<'m>,
    pub(super) rules: &'m Rules,
}

/// The place of one session.
#[derive(Debug, Default)]
struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    live: Option<Live>,
    former: Option<Former>,
    /// The slot has left its shard: whoever waited for it looks again.
    retired: bool,
}

/// A session that is there, with what has been made of it so far.
pub(super) struct Live {
    session: Session,
    etag: String,
    /// By contract version.
    bodies: Vec<(ContractVersion, Bytes)>,
    /// The indexed members, in the session's order.
    xuids: Vec<u64>,
    bound: Vec<Uuid>,
    /// When the next timer is due.
    due: Option<Timestamp>,
    /// Whether a member depends on a real-time connection, which may be lost at any time.
    connected: bool,
}

impl Store {
    /// The store whose data is kept in `folder`, with what is there already.
    pub(super) fn open(folder: &Path, rules: &Rules) -> Result<Self, JournalError> {
        let (journal, mut kept) = Journal::open(folder, rules)?;
        let journal = Arc::new(journal);
        let mut store = Self {
            handles: Handles::restored(kept.take_handles(), Arc::clone(&journal)),
            ..Self::default()
        };
        let live: Vec<(SessionKey, Live)> = kept
            .sessions
            .into_iter()
            .map(|(key, session)| (key, Live::new(session)))
            .collect();
        // Queries answer with the session first that a user came to last, or that was made last.
        let members = live.iter().flat_map(|(key, live)| {
            let times = live.session.join_times();
            times.map(move |(time, xuid)| (time, key, xuid))
        });
        let mut members: Vec<_> = members.collect();
        members.sort_unstable();
        for (_, key, xuid) in members {
            store.membership.members_changed(key, &[], &[xuid]);
        }
        let mut sessions: Vec<_> = live
            .iter()
            .map(|(key, live)| (live.session.start_time(), key, live))
            .collect();
        sessions.sort_unstable_by_key(|(start, key, _)| (*start, *key));
        for (_, key, live) in sessions {
            let (at, keywords) = (live.session.at(), live.session.keywords());
            store.membership.keywords_changed(key, at, &[], keywords);
        }
        for (key, live) in live {
            let slot = store.slot(&key);
            slot.0.lock().unwrap_or_else(PoisonError::into_inner).live = Some(live);
        }
        for (key, (_, former)) in kept.formers {
            let slot = store.slot(&key);
            slot.0.lock().unwrap_or_else(PoisonError::into_inner).former = Some(former);
            store.remember_former(&key);
        }
        store.journal = Some(journal);
        Ok(store)
    }

    /// Why nothing can be kept any more, if it is to be kept and cannot.
    pub(super) fn broken(&self) -> Option<&str> {
        self.journal.as_ref()?.broken()
    }

    /// Looks at the session at `key` as it is after its timers; `None` if there is none.
    pub(super) fn read<R>(&self, key: &SessionKey, moment: Moment<'_>, look: impl FnOnce(&mut Live) -> R) -> Option<R> {
        let slot = Arc::clone(
            self.shard(key)
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(key)?,
        );
        let mut visit = self.visit(key, &slot, moment)?;
        visit.apply_timers();
        visit.state.live.as_mut().map(look)
    }

    /// Looks at the session at `key` as it is stored, whatever its timers say (DBG-003); `None` if there is none.
    pub(super) fn peek<R>(&self, key: &SessionKey, look: impl FnOnce(&Session) -> R) -> Option<R> {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        let slot = shard.get(key).map(Arc::clone);
        drop(shard);
        let slot = slot?;
        let state = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.live.as_ref().map(|live| look(&live.session))
    }

    /// Looks at the session at `key`, or the lack of one, after its timers, and lets `change` change it. Nobody else sees
    /// or changes it meanwhile.
    pub(super) fn write<R>(&self, key: &SessionKey, moment: Moment<'_>, change: impl FnOnce(&mut Visit<'_>) -> R) -> R {
        loop {
            let slot = self.slot(key);
            let Some(mut visit) = self.visit(key, &slot, moment) else {
                continue;
            };
            visit.apply_timers();
            return change(&mut visit);
        }
    }

    /// All sessions that `xuid` is in, in whatever state.
    pub(super) fn all_sessions_of(&self, xuid: u64) -> Vec<SessionKey> {
        self.membership.all_of(xuid)
    }

    /// The sessions that `xuid` is in, in whatever state, the one it came to last first; and where the part ends.
    pub(super) fn sessions_of(&self, xuid: u64, part: &Part<'_>) -> (Vec<SessionKey>, Option<Place>) {
        self.membership.of(xuid, part)
    }

    /// The sessions that carry `keyword`, the newest first; and where the part ends.
    pub(super) fn sessions_about(&self, keyword: &str, part: &Part<'_>) -> (Vec<SessionKey>, Option<Place>) {
        self.membership.about(keyword, part)
    }

    /// The handles.
    pub(super) fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Whether anything is kept for the address.
    #[cfg(test)]
    pub(super) fn knows(&self, key: &SessionKey) -> bool {
        self.shard(key)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(key)
    }

    fn shard(&self, key: &SessionKey) -> &RwLock<HashMap<SessionKey, Arc<Slot>>> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        &self.shards[index]
    }

    fn slot(&self, key: &SessionKey) -> Arc<Slot> {
        let shard = self.shard(key);
        if let Some(slot) = shard.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(slot);
        }
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shard.entry(key.clone()).or_default())
    }

    fn visit<'s>(&'s self, key: &'s SessionKey, slot: &'s Slot, moment: Moment<'s>) -> Option<Visit<'s>> {
        let state = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!state.retired).then_some(Visit {
            store: self,
            key,
            moment,
            state,
        })
    }

    /// Takes a slot without anything in it out of its shard.
    fn retire(&self, key: &SessionKey, state: &mut State) {
        if state.live.is_none() && state.former.is_none() && !state.retired {
            state.retired = true;
            let mut shard = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
            shard.remove(key);
        }
    }

    /// Forgets the correlation ids of sessions that are gone longest.
    fn remember_former(&self, key: &SessionKey) {
        let mut formers = self.formers.lock().unwrap_or_else(PoisonError::into_inner);
        formers.push_back(key.clone());
        let forgotten = if formers.len() > FORMERS_KEPT {
            formers.pop_front()
        } else {
            None
        };
        drop(formers);
        let Some(forgotten) = forgotten.filter(|forgotten| forgotten != key) else {
            return;
        };
        let shard = self.shard(&forgotten).read().unwrap_or_else(PoisonError::into_inner);
        let slot = shard.get(&forgotten).map(Arc::clone);
        drop(shard);
        // A slot that is busy is in use again; it may keep its former id.
        if let Some(slot) = slot
            && let Ok(mut state) = slot.0.try_lock()
            && !state.retired
        {
            state.former = None;
            self.retire(&forgotten, &mut state);
        }
    }
}

/// A slot, locked.
pub(super) struct Visit<'s> {
    store: &'s Store,
    key: &'s SessionKey,
    moment: Moment<'s>,
    state: MutexGuard<'s, State>,
}

impl Visit<'_> {
    /// The session, if there is one.
    pub(super) fn live(&mut self) -> Option<&mut Live> {
        self.state.live.as_mut()
    }

    /// What is left of the session that was here before.
    pub(super) fn former(&self) -> Option<&Former> {
        self.state.former.as_ref()
    }

    /// Stores the next state of the session, and tells its subscribers.
    pub(super) fn commit(&mut self, session: Session) -> &mut Live {
        self.replace(session, false)
    }

    fn replace(&mut self, session: Session, quietly: bool) -> &mut Live {
        let before = self.state.live.take();
        let live = Live::new(match &before {
            Some(_) => session,
            // A search handle may have been there first (HDL-GEN-003).
            None => match self.store.handles.search().of_session(self.key) {
                Some(handle) => session.with_search_handle(Some(handle.id())),
                None => session,
            },
        });
        let index = &self.store.membership;
        if let Some(before) = &before {
            index.members_changed(self.key, &before.xuids, &live.xuids);
            index.keywords_changed(
                self.key,
                live.session.at(),
                before.session.keywords(),
                live.session.keywords(),
            );
            let stays =
                |xuid| !self.moment.rules.activity_ends_with_membership.kept() && live.session.member(xuid).is_none();
            let bound = before.session.bound_activities().filter(|(xuid, _)| !stays(*xuid));
            let bound = bound.filter(|(_, handle)| !live.bound.contains(handle));
            let searched = before.session.search_handle();
            let searched = searched.filter(|handle| live.session.search_handle() != Some(*handle));
            for handle in bound.map(|(_, handle)| handle).chain(searched) {
                self.store.handles.remove(handle);
            }
        } else {
            index.members_changed(self.key, &[], &live.xuids);
            index.keywords_changed(self.key, live.session.at(), &[], live.session.keywords());
        }
        let before = before.as_ref().map(Live::session);
        self.moment
            .connections
            .session_changed(self.key, before, Some(&live.session), quietly);
        if let Some(journal) = &self.store.journal {
            journal.keep_session(&live.session);
        }
        self.state.live.insert(live)
    }

    /// Ends the session.
    pub(super) fn end(&mut self) {
        let Some(live) = self.state.live.take() else {
            return;
        };
        self.moment
            .connections
            .session_changed(self.key, Some(&live.session), None, false);
        let index = &self.store.membership;
        index.members_changed(self.key, &live.xuids, &[]);
        index.keywords_changed(self.key, live.session.at(), live.session.keywords(), &[]);
        for handle in live.bound {
            self.store.handles.remove(handle);
        }
        self.store.handles.session_ended(self.key);
        let former = Former {
            correlation_id: live.session.correlation_id(),
        };
        if let Some(journal) = &self.store.journal {
            journal.end_session(live.session.at(), &former);
        }
        self.state.former = Some(former);
        self.store.remember_former(self.key);
    }

    /// Stores a handle of this session. Gives back the activity of the same owner that it replaces, which may be bound to
    /// another session. `clock` is the service's own time, by which expired handles are forgotten.
    pub(super) fn put_handle(&mut self, handle: Arc<Handle>, clock: Timestamp) -> Option<Arc<Handle>> {
        self.store.handles.insert(self.key, handle, clock)
    }

    fn apply_timers(&mut self) {
        let moment = self.moment;
        let Some(live) = &self.state.live else { return };
        if !live.connected && live.due.is_none_or(|due| moment.now < due) {
            return;
        }
        match live.session.after_timers(moment.now, &moment.connections, moment.rules) {
            Outcome::Unchanged => {}
            Outcome::Created(session) | Outcome::Changed(session) => {
                // TMO-024
                self.replace(session, !moment.rules.timers_tap.kept());
            }
            Outcome::Gone => self.end(),
        }
    }
}

impl Drop for Visit<'_> {
    /// A slot without anything in it leaves its shard, so that refused requests leave nothing behind.
    fn drop(&mut self) {
        self.store.retire(self.key, &mut self.state);
    }
}

impl Live {
    fn new(session: Session) -> Self {
        let connected = session.has_capability(Capability::ConnectionRequiredForActiveMembers)
            || session.members().any(|member| member.connection.is_some());
        Self {
            etag: session.etag(),
            bodies: Vec::new(),
            xuids: session.members().map(|member| member.xuid).collect(),
            bound: session.bound_activities().map(|(_, handle)| handle).collect(),
            due: session.next_timer(),
            connected,
            session,
        }
    }

    /// The session.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Its entity tag, quoted.
    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// The document for this caller and contract version. What is the same for all is rendered once.
    pub(super) fn document(&mut self, access: &Access<'_>) -> Document {
        let body = if self.session.view_is_personal() {
            self.session.to_bytes(access)
        } else {
            let known = self.bodies.iter().find(|(version, _)| *version == access.version);
            if let Some((_, body)) = known {
                body.clone()
            } else {
                let body = self.session.to_bytes(access);
                self.bodies.push((access.version, body.clone()));
                body
            }
        };
        Document {
            body,
            etag: Some(self.etag.clone()),
            expires: self.due,
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("at", self.session.at())
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}
