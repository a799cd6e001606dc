//! What has to happen at some time, in the order of time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use super::connection::Socket;

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    /// The socket ends.
    End(Weak<Socket>),
    /// The loss of a connection is noticed; `at` is when, in the connection's own time.
    Loss { connection: Uuid, at: Timestamp },
}

/// An entry of the queue.
pub(super) type Ticket = (Timestamp, u64);

/// What is due, the earliest first. Times are the clock's.
#[derive(Debug, Default)]
pub(super) struct DueQueue {
    entries: Mutex<Entries>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    by_time: BTreeMap<Ticket, Due>,
    pushed: u64,
}

impl DueQueue {
    pub(super) fn push(&self, when: Timestamp, due: Due) -> Ticket {
        let mut entries = self.entries();
        entries.pushed += 1;
        let ticket = (when, entries.pushed);
        entries.by_time.insert(ticket, due);
        if entries
            .by_time
            .first_key_value()
            .is_some_and(|(first, _)| *first == ticket)
        {
            self.changed.notify_one();
        }
        ticket
    }

    pub(super) fn cancel(&self, ticket: Ticket) {
        self.entries().by_time.remove(&ticket);
    }

    /// Takes the first entry that is due at `now`.
    pub(super) fn pop(&self, now: Timestamp) -> Option<Due> {
        let mut entries = self.entries();
        let first = entries.by_time.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// Waits until something may be due that was not at `now`, at most for `glance` if anything waits at all.
    pub(super) async fn wait(&self, now: Timestamp, glance: Duration) {
        let first = self.entries().by_time.first_key_value().map(|((when, _), _)| *when);
        match first {
            None => self.changed.notified().await,
            Some(when) => {
                let left = Duration::try_from(when.duration_since(now)).unwrap_or_default();
                // Either way it is time to look again.
                drop(tokio::time::timeout(left.min(glance), self.changed.notified()).await);
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
