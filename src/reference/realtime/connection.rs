//! One connection, and the socket that it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use uuid::Uuid;

use super::super::rules::Rules;
use super::super::session::{Session, Subscription};
use super::super::session_ref::SessionKey;

/// The most sessions that one connection is told of (RTA-023).
const MOST_SESSIONS: usize = 10;

/// Why the service closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It has lived as long as it may, or as the token of its owner.
    Expired,
    /// The service stops.
    Stopping,
    /// It does not take what it is sent.
    TooSlow,
    /// It sends more than anybody needs to.
    TooMuch,
    /// It sent what is not the protocol.
    Nonsense(&'static str),
}

/// What the rest of the service sees of a socket.
pub(in super::super) struct Socket {
    owner: u64,
    /// How far ahead of the clock its own time is.
    ahead: SignedDuration,
    ends: Option<Timestamp>,
    events: mpsc::Sender<Event>,
    closing: OnceLock<Closing>,
    close: Notify,
}

/// A subscription of a socket to `/connections/`.
#[derive(Debug)]
pub(super) struct Connection {
    id: Uuid,
    subscription: u64,
    socket: Arc<Socket>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When it was lost.
    lost: Option<Timestamp>,
    /// The latest time at which a request met it alive. A request may be ahead of the clock, and so the loss be after it.
    seen: Timestamp,
    /// The sessions in which a member has it, and whether it is tapped for them.
    sessions: BTreeMap<SessionKey, bool>,
}

/// One change of a session, for all who are told of it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) session: SessionKey,
    pub(super) branch: Uuid,
    /// `None` for the end of the session (RTA-049).
    pub(super) number: Option<u64>,
    pub(super) at: Timestamp,
}

/// What is on its way to a socket.
#[derive(Debug)]
pub(super) struct Event {
    /// When it happened, in the time of the runtime.
    pub(super) at: Instant,
    pub(super) what: What,
}

/// What an event says.
#[derive(Debug)]
pub(super) enum What {
    /// A session has changed (RTA-014).
    Tap(Tap),
    /// The user is invited: the socket's subscription to invites, and the data of the event (RTA-050).
    Invite { subscription: u64, data: Arc<Value> },
}

/// A notice that a session has changed.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) connection: Arc<Connection>,
    /// The id of the member's subscription.
    pub(super) subscription: String,
    pub(super) change: Arc<Change>,
}

impl Socket {
    pub(super) fn new(owner: u64, ahead: SignedDuration, ends: Option<Timestamp>, events: mpsc::Sender<Event>) -> Self {
        Self {
            owner,
            ahead,
            ends,
            events,
            closing: OnceLock::new(),
            close: Notify::new(),
        }
    }

    pub(super) fn owner(&self) -> u64 {
        self.owner
    }

    /// When the service closes it.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.ends
    }

    /// Queues an event; a socket whose queue is full is closed.
    pub(super) fn queue(&self, what: What) {
        let event = Event {
            at: Instant::now(),
            what,
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            self.close(Closing::TooSlow);
        }
    }

    /// Its own time when the clock says `now`.
    pub(super) fn time(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.ahead).unwrap_or(now)
    }

    /// Asks it to close; the first reason counts.
    pub(super) fn close(&self, why: Closing) {
        if self.closing.set(why).is_ok() {
            self.close.notify_one();
        }
    }

    /// Waits until it is asked to close.
    pub(super) async fn closing(&self) -> Closing {
        loop {
            if let Some(why) = self.closing.get() {
                return *why;
            }
            self.close.notified().await;
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("owner", &self.owner)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(subscription: u64, socket: Arc<Socket>) -> Self {
        Self {
            id: Uuid::new_v4(),
            subscription,
            socket,
            state: Mutex::new(State {
                lost: None,
                seen: Timestamp::MIN,
                sessions: BTreeMap::new(),
            }),
        }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn subscription(&self) -> u64 {
        self.subscription
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state().lost.is_some()
    }

    /// When it was lost; a request at `now` that finds it alive proves that it lives then.
    pub(super) fn lost_at(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state();
        if state.lost.is_none() {
            state.seen = state.seen.max(now);
        }
        state.lost
    }

    /// It is lost at `at`, and counts as lost `early` before that. Says when it was lost; `None` if it already was.
    pub(super) fn lose(&self, at: Timestamp, early: SignedDuration) -> Option<Timestamp> {
        let mut state = self.state();
        if state.lost.is_some() {
            return None;
        }
        let at = at.max(state.seen);
        state.lost = Some(at.checked_sub(early).unwrap_or(at));
        Some(at)
    }

    /// The sessions in which a member depends on it.
    pub(super) fn sessions(&self) -> Vec<SessionKey> {
        self.state().sessions.keys().cloned().collect()
    }

    /// Whether it may be tapped for one more session, `session`.
    pub(super) fn has_room(&self, session: &SessionKey) -> bool {
        let state = self.state();
        state.sessions.get(session) == Some(&true) || state.tapped() < MOST_SESSIONS
    }

    /// A member of the session depends on it; `limited`: it is not tapped if it is for ten others.
    pub(super) fn tie(&self, session: &SessionKey, tapped: bool, limited: bool) {
        let mut state = self.state();
        let before = state.sessions.get(session).copied();
        let tapped = tapped && (before == Some(true) || !limited || state.tapped() < MOST_SESSIONS);
        if before != Some(tapped) {
            state.sessions.insert(session.clone(), tapped);
        }
    }

    pub(super) fn untie(&self, session: &SessionKey) {
        self.state().sessions.remove(session);
    }

    pub(super) fn is_tapped_for(&self, session: &SessionKey) -> bool {
        let state = self.state();
        state.lost.is_none() && state.sessions.get(session) == Some(&true)
    }

    /// Queues a tap.
    pub(super) fn tap(self: &Arc<Self>, subscription: &Subscription, change: &Arc<Change>) {
        self.socket.queue(What::Tap(Tap {
            connection: Arc::clone(self),
            // LIVE-019
            subscription: subscription.id.to_ascii_lowercase(),
            change: Arc::clone(change),
        }));
    }
}

impl Tap {
    /// Whether it makes an earlier tap needless: it is the same subscriber's, for a later change of the same session.
    pub(super) fn replaces(&self, earlier: &Self) -> bool {
        let (session, branch) = (&self.change.session, self.change.branch);
        self.subscription == earlier.subscription
            && *session == earlier.change.session
            && branch == earlier.change.branch
    }
}

impl State {
    fn tapped(&self) -> usize {
        self.sessions.values().filter(|tapped| **tapped).count()
    }
}

impl Change {
    pub(super) fn new(key: &SessionKey, after: &Session, at: Timestamp, rules: &Rules) -> Self {
        let stale = u64::from(!rules.taps_name_their_change.kept());
        Self {
            session: key.clone(),
            branch: after.branch(),
            number: Some(after.change_number().saturating_sub(stale)),
            at,
        }
    }

    /// The end of a session, of which `before` was the last state.
    pub(super) fn end(key: &SessionKey, before: &Session, at: Timestamp) -> Self {
        Self {
            session: key.clone(),
            branch: before.branch(),
            number: None,
            at,
        }
    }
}
