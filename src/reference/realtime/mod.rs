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
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::connection::{Change, Closing, Connection, Event, Socket, What};
use self::due::{Due, DueQueue, Ticket};
use self::message::TitleName;
use self::socket::{Opening, Pace};
use super::clock::Clock;
use super::config::{Events, Log};
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
    /// How long events are held back.
    pace: Pace,
    connections: RwLock<HashMap<Uuid, Arc<Connection>>>,
    listeners: RwLock<Vec<Listener>>,
    due: DueQueue,
    /// Counts how often all sockets were closed.
    closed: watch::Sender<u64>,
    /// What is wrong on the wire, on purpose.
    wire: Option<Arc<Wire>>,
    log: Log,
}

/// A socket's subscription to the invites of its owner to a title.
#[derive(Debug)]
struct Listener {
    socket: Arc<Socket>,
    subscription: u64,
    title: u32,
}

/// An open socket. Dropping it loses its connections.
#[derive(Debug)]
pub(super) struct Seat {
    real_time: Arc<RealTime>,
    socket: Arc<Socket>,
    /// The title that the owner runs.
    title: u32,
    connections: Vec<Arc<Connection>>,
    /// The other subscriptions.
    others: Vec<u64>,
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
    pub(super) fn new(
        clock: Clock,
        rules: Rules,
        life: Duration,
        events: Events,
        wire: Option<Arc<Wire>>,
        log: Log,
    ) -> Self {
        Self {
            pace: Pace {
                delay: Duration::from_millis(events.delay_millis),
                window: Duration::from_millis(events.window_millis),
            },
            listeners: RwLock::default(),
            log,
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

    /// Opens a socket, whose time may be ahead of the clock.
    fn open(self: &Arc<Self>, opening: Opening) -> (Seat, mpsc::Receiver<Event>) {
        let Opening {
            owner, now, expires, ..
        } = opening;
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
            title: opening.title,
            connections: Vec::new(),
            others: Vec::new(),
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

    /// Sends the data of an invite to the sockets of the invited user that listen for invites to the title.
    pub(super) fn invite(&self, invited: u64, title: u32, data: Value) {
        if !self.rules.invites_arrive.kept() {
            return;
        }
        let data = Arc::new(data);
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter() {
            if listener.socket.owner() == invited && listener.title == title {
                listener.socket.queue(What::Invite {
                    subscription: listener.subscription,
                    data: Arc::clone(&data),
                });
            }
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

    /// Whether it has as many subscriptions as it may have.
    fn is_full(&self) -> bool {
        self.connections.len() + self.others.len() >= socket::SUBSCRIPTIONS
    }

    /// Whether it has a subscription that is no connection.
    fn listens(&self, subscription: u64) -> bool {
        self.others.contains(&subscription)
    }

    /// Adds a subscription that is no connection; `invites_to` says for invites to which title.
    fn listen(&mut self, subscription: u64, invites_to: Option<TitleName>) {
        self.others.push(subscription);
        let title = match invites_to {
            None => return,
            Some(TitleName::Current) => self.title,
            Some(TitleName::Id(title)) => title,
        };
        let mut listeners = self.listeners();
        listeners.push(Listener {
            socket: Arc::clone(&self.socket),
            subscription,
            title,
        });
    }

    fn listeners(&self) -> RwLockWriteGuard<'_, Vec<Listener>> {
        let listeners = self.real_time.listeners.write();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the subscriptions to invites of which `ends` is true.
    fn stop_listening(&self, ends: impl Fn(u64) -> bool) {
        let mut listeners = self.listeners();
        listeners.retain(|listener| !Arc::ptr_eq(&listener.socket, &self.socket) || !ends(listener.subscription));
    }

    /// Ends the subscription. That of a connection counts as a disconnect (RTA-030). Says whether there was one.
    fn unsubscribe(&mut self, subscription: u64) -> bool {
        if self.listens(subscription) {
            self.others.retain(|other| *other != subscription);
            self.stop_listening(|other| other == subscription);
            return true;
        }
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
        if !self.others.is_empty() {
            self.stop_listening(|_| true);
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
        if self.real_time.log.is_read() && !quietly {
            self.warn_of_deaf_subscriptions(key, before, after);
        }
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

    /// Tells the operator of new subscriptions that will never be tapped, since the session lacks the capability (RTA-011).
    fn warn_of_deaf_subscriptions(&self, key: &SessionKey, before: Option<&Session>, after: Option<&Session>) {
        let Some(after) = after else { return };
        if after.has_capability(Capability::ConnectionRequiredForActiveMembers) {
            return;
        }
        let wants = |session: &Session, xuid: u64| {
            let subscription = session.member(xuid).and_then(|member| member.subscription);
            subscription.is_some_and(|subscription| !subscription.change_types.is_empty())
        };
        for member in after.members() {
            let was = before.is_some_and(|before| wants(before, member.xuid));
            if !was && wants(after, member.xuid) {
                self.real_time.log.line(&format!(
                    "user {} subscribed to changes of {}, but will not be notified: the session does not have the capability \
                     `connectionRequiredForActiveMembers`; add it to the template's `constants.system.capabilities`",
                    member.xuid,
                    key.as_str()
                ));
            }
        }
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
