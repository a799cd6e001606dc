//! Real-time activity: who is connected, and who is told of which change.
//!
//! A socket is one WebSocket; each of its subscriptions to `/connections/` is a *connection*, whose id members write.
//! Locks are taken in one order: a session's slot, the connections, one connection, the queue of what is due. Taps are put
//! into the bounded queue of a socket while the slot is locked, which keeps them in order; they are sent without any lock.

mod connection;
mod due;
mod message;
pub(super) mod socket;
#[cfg(test)]
pub(super) mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::connection::{Change, Closing, Connection, Event, Socket};
use self::due::{Due, DueQueue, Ticket};
use super::clock::Clock;
use super::rules::{Rules, UnsubscribeNoticed};
use super::session::{CONNECTION_GRACE, Capability, Changes, Connections, MemberView, Session, Status, Subscription};
use super::session_ref::SessionKey;
use super::wire::Wire;

/// How many taps a socket may be behind before it is closed.
const TAPS_WAITING: usize = 1024;
/// How often the clock is asked whether something is due: it may be another one than the runtime's.
const GLANCE: Duration = Duration::from_secs(1);

/// All connections.
#[derive(Debug)]
pub(super) struct RealTime {
    clock: Clock,
    rules: Rules,
    /// How long a socket lives (RTA-029).
    life: SignedDuration,
    connections: RwLock<HashMap<Uuid, Arc<Connection>>>,
    due: DueQueue,
    /// Counts how often all sockets were closed.
    closed: watch::Sender<u64>,
    /// What is wrong on the wire, on purpose.
    wire: Option<Arc<Wire>>,
}

/// An open socket. Dropping it loses its connections.
#[derive(Debug)]
pub(super) struct Seat {
    real_time: Arc<RealTime>,
    socket: Arc<Socket>,
    connections: Vec<Arc<Connection>>,
    end: Option<Ticket>,
}

/// The connections, as a request at some time sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionsAt<'r> {
    real_time: &'r RealTime,
    now: Timestamp,
    /// Who writes, if a user does.
    writer: Option<u64>,
}

impl RealTime {
    pub(super) fn new(clock: Clock, rules: Rules, life: Duration, wire: Option<Arc<Wire>>) -> Self {
        Self {
            clock,
            rules,
            life: SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX),
            connections: RwLock::default(),
            due: DueQueue::default(),
            closed: watch::Sender::new(0),
            wire,
        }
    }

    /// The connections as they are at `now`; `writer` is the user who makes the request.
    pub(super) fn at(&self, now: Timestamp, writer: Option<u64>) -> ConnectionsAt<'_> {
        ConnectionsAt {
            real_time: self,
            now,
            writer,
        }
    }

    /// Opens a socket of `owner` at `now`, which may be ahead of the clock. `expires` is when the owner's token does.
    fn open(self: &Arc<Self>, owner: u64, now: Timestamp, expires: Option<Timestamp>) -> (Seat, mpsc::Receiver<Event>) {
        let (events, waiting) = mpsc::channel(TAPS_WAITING);
        let ahead = now.duration_since(self.clock.now());
        // RTA-029, RTA-043
        let aged = now.checked_add(self.life).ok();
        let ends = aged
            .filter(|_| self.rules.sockets_end.kept())
            .into_iter()
            .chain(expires.filter(|_| self.rules.tokens_end_sockets.kept()))
            .min();
        let socket = Arc::new(Socket::new(owner, ahead, ends, events));
        let end = ends.map(|ends| {
            let due = ends.checked_sub(ahead).unwrap_or(ends);
            self.due.push(due, Due::End(Arc::downgrade(&socket)))
        });
        let seat = Seat {
            real_time: Arc::clone(self),
            socket,
            connections: Vec::new(),
            end,
        };
        (seat, waiting)
    }

    /// Closes all sockets, and returns when they are closed.
    pub(super) async fn close(&self) {
        self.closed.send_modify(|times| *times += 1);
        self.closed.closed().await;
    }

    /// Carries out what is due, for ever: ends sockets, and accesses the sessions of lost connections by `access`, which
    /// is given the time of the access.
    pub(super) async fn run(&self, access: impl Fn(&SessionKey, Timestamp)) {
        loop {
            let now = self.clock.now();
            while let Some(due) = self.due.pop(now) {
                match due {
                    Due::End(socket) => {
                        if let Some(socket) = socket.upgrade() {
                            socket.close(Closing::Expired);
                        }
                    }
                    Due::Loss { connection, at } => {
                        for session in self.find(connection).iter().flat_map(|lost| lost.sessions()) {
                            access(&session, at);
                            tokio::task::yield_now().await;
                        }
                        // From now on it is one that nobody knows, which was lost long ago.
                        self.connections
                            .write()
                            .unwrap_or_else(PoisonError::into_inner)
                            .remove(&connection);
                    }
                }
            }
            self.due.wait(now, GLANCE).await;
        }
    }

    /// Whether the connection is lost, or not known any more.
    #[cfg(test)]
    pub(super) fn has_lost(&self, connection: Uuid) -> bool {
        self.find(connection).is_none_or(|connection| connection.is_lost())
    }

    fn find(&self, connection: Uuid) -> Option<Arc<Connection>> {
        let connections = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        connections.get(&connection).map(Arc::clone)
    }

    /// Takes a connection for lost; `at` is when, in its own time, or now.
    fn lose(&self, connection: &Connection, at: Option<Timestamp>, grace: SignedDuration) {
        let now = self.clock.now();
        let own = connection.socket().time(now);
        let Some(lost) = connection.lose(at.unwrap_or(own), CONNECTION_GRACE - grace) else {
            return;
        };
        let after = |time: Timestamp| time.checked_add(grace).unwrap_or(Timestamp::MAX);
        let due = Due::Loss {
            connection: connection.id(),
            at: after(lost),
        };
        // Nobody takes it back: a lost connection stays lost.
        let _: Ticket = self.due.push(after(now), due);
    }
}

impl Seat {
    fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// The frames that are sent instead of one: the frame itself, unless the wire is wrong.
    fn on_the_wire(&self, frame: String) -> Vec<String> {
        match &self.real_time.wire {
            Some(wire) => wire.frames(frame),
            None => vec![frame],
        }
    }

    fn rules(&self) -> &Rules {
        &self.real_time.rules
    }

    fn closed(&self) -> watch::Receiver<u64> {
        self.real_time.closed.subscribe()
    }

    /// The open connection of a subscription.
    fn connection(&self, subscription: u64) -> Option<&Arc<Connection>> {
        self.connections
            .iter()
            .find(|connection| connection.subscription() == subscription)
    }

    /// Opens a connection as the subscription `subscription` of the socket (RTA-008).
    fn subscribe(&mut self, subscription: u64) -> Uuid {
        let connection = Arc::new(Connection::new(subscription, Arc::clone(&self.socket)));
        let id = connection.id();
        self.connections.push(Arc::clone(&connection));
        let mut connections = self
            .real_time
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        connections.insert(id, connection);
        id
    }

    /// Ends the subscription, which counts as a disconnect (RTA-030). Says whether there was one.
    fn unsubscribe(&mut self, subscription: u64) -> bool {
        let Some(connection) = self.connection(subscription).map(Arc::clone) else {
            return false;
        };
        if self.rules().unsubscribing_disconnects.kept() {
            self.connections.retain(|other| other.id() != connection.id());
            let grace = match self.rules().unsubscribe_noticed {
                UnsubscribeNoticed::AtOnce => SignedDuration::ZERO,
                UnsubscribeNoticed::AfterGrace => CONNECTION_GRACE,
            };
            self.real_time.lose(&connection, None, grace);
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(end) = self.end {
            self.real_time.due.cancel(end);
        }
        for connection in &self.connections {
            self.real_time.lose(connection, None, CONNECTION_GRACE);
        }
    }
}

impl Connections for ConnectionsAt<'_> {
    fn owner(&self, connection: Uuid) -> Option<u64> {
        self.real_time
            .find(connection)
            .map(|connection| connection.socket().owner())
    }

    fn lost_at(&self, connection: Uuid) -> Option<Timestamp> {
        let connection = self.real_time.find(connection)?;
        let socket = connection.socket();
        if let Some(end) = socket.ends().filter(|end| *end <= self.now) {
            // In the time of the request the socket is over, whatever the clock says.
            self.real_time.lose(&connection, Some(end), CONNECTION_GRACE);
            socket.close(Closing::Expired);
        }
        connection.lost_at(self.now)
    }

    fn has_room(&self, connection: Uuid, session: &SessionKey) -> bool {
        self.real_time
            .find(connection)
            .is_none_or(|connection| connection.has_room(session))
    }
}

impl ConnectionsAt<'_> {
    /// Tells the subscribers of a session that it has changed, unless `quietly`, and keeps in mind which connections its
    /// members depend on. The session's slot is locked.
    pub(super) fn session_changed(
        &self,
        key: &SessionKey,
        before: Option<&Session>,
        after: Option<&Session>,
        quietly: bool,
    ) {
        let depends = |session: &Session| session.members().any(|member| member.connection.is_some());
        if !before.is_some_and(depends) && !after.is_some_and(depends) {
            return;
        }
        let connections = self
            .real_time
            .connections
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let of = |member: &MemberView<'_>| {
            let connection = connections.get(&member.connection?)?;
            (connection.socket().owner() == member.xuid).then_some(connection)
        };
        if let (Some(before), None) = (before, after)
            && !quietly
            && self.rules().ends_are_told.kept()
        {
            self.session_ended(key, before, of);
        }
        for member in before.into_iter().flat_map(Session::members) {
            let now = after.and_then(|after| after.member(member.xuid));
            if now.and_then(|now| now.connection) != member.connection
                && let Some(connection) = of(&member)
            {
                connection.untie(key);
            }
        }
        let Some(after) = after else { return };
        let limited = self.rules().ten_sessions_a_connection.kept();
        for member in after.members() {
            let wishes = self.wish(after, &member).is_some();
            let as_before = |before: &Session| {
                let was = before.member(member.xuid);
                was.is_some_and(|was| {
                    was.connection == member.connection && self.wish(before, &was).is_some() == wishes
                })
            };
            if !before.is_some_and(as_before)
                && let Some(connection) = of(&member)
            {
                connection.tie(key, wishes, limited);
            }
        }

        // RTA-018
        let changes = before.map_or_else(Changes::existence, |before| Changes::between(before, after));
        if quietly || changes.is_none() {
            return;
        }
        let mut change = None;
        for member in after.members() {
            let Some(wish) = self.wish(after, &member) else {
                continue;
            };
            let Some(connection) = of(&member).filter(|connection| connection.is_tapped_for(key)) else {
                continue;
            };
            let named =
                wish.change_types.is_empty() || changes.concern(wish) || !self.rules().taps_match_their_kinds.kept();
            // RTA-019
            let is_told = Some(member.xuid) != self.writer || self.rules().writers_are_tapped.kept();
            if !named || !is_told {
                continue;
            }
            // RTA-020
            if change.is_some() && !self.rules().every_subscriber_is_tapped.kept() {
                break;
            }
            let change = change.get_or_insert_with(|| Arc::new(Change::new(key, after, self.now, self.rules())));
            connection.tap(wish, change);
        }
    }

    /// Tells the subscribers of a session that it has ended (RTA-049): the last member, or those whom its end removes.
    fn session_ended<'c>(
        &self,
        key: &SessionKey,
        before: &Session,
        of: impl Fn(&MemberView<'_>) -> Option<&'c Arc<Connection>>,
    ) {
        let change = Arc::new(Change::end(key, before, self.now));
        for member in before.members() {
            if let Some(wish) = self.wish(before, &member)
                && Changes::existence().concern(wish)
                && let Some(connection) = of(&member).filter(|connection| connection.is_tapped_for(key))
            {
                connection.tap(wish, &change);
            }
        }
    }

    fn rules(&self) -> &Rules {
        &self.real_time.rules
    }

    /// What the member wants to be told, if it may be told anything (RTA-011, RTA-013).
    fn wish<'s>(&self, session: &Session, member: &MemberView<'s>) -> Option<&'s Subscription> {
        let may =
            member.status == Status::Active && session.has_capability(Capability::ConnectionRequiredForActiveMembers);
        let wish = member.subscription?;
        let wants = !wish.change_types.is_empty() || !self.rules().no_kinds_no_taps.kept();
        ((may || !self.rules().only_active_members_are_tapped.kept()) && wants).then_some(wish)
    }
}
