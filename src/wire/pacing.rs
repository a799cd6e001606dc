//! How fast a target may be asked: requests a second and in flight, as a whole and by identity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::target::limits::{Limits, Pace};

/// Keeps the limits of one target.
#[derive(Debug)]
pub struct Pacing {
    whole: Gate,
    identities: HashMap<String, Gate>,
}

/// Lets its holder have one request in flight.
#[derive(Debug)]
pub struct Permit {
    _held: [Option<OwnedSemaphorePermit>; 2],
}

impl Pacing {
    /// Keeps `limits` for the identities of a target.
    pub fn new<'a>(limits: &Limits, identities: impl IntoIterator<Item = &'a String>) -> Self {
        let gate = |name: &String| (name.clone(), Gate::new(limits.per_identity));
        Self {
            whole: Gate::new(limits.whole),
            identities: identities.into_iter().map(gate).collect(),
        }
    }

    /// Waits until a request of this speaker may be sent.
    pub async fn admit(&self, speaker: &str) -> Permit {
        let own = match self.identities.get(speaker) {
            Some(gate) => gate.pass().await,
            None => None,
        };
        Permit {
            _held: [own, self.whole.pass().await],
        }
    }
}

#[derive(Debug)]
struct Gate {
    slots: Option<Arc<Semaphore>>,
    interval: Option<Duration>,
    /// When the next request may be sent.
    next: Mutex<Option<Instant>>,
}

impl Gate {
    fn new(pace: Pace) -> Self {
        let interval = pace
            .per_second
            .and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok());
        Self {
            slots: pace.in_flight.map(|count| Arc::new(Semaphore::new(count.max(1)))),
            interval,
            next: Mutex::default(),
        }
    }

    async fn pass(&self) -> Option<OwnedSemaphorePermit> {
        let permit = match &self.slots {
            // It is never closed.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        if let Some(interval) = self.interval {
            let turn = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                let turn = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
                *next = Some(turn + interval);
                turn
            };
            sleep_until(turn).await;
        }
        permit
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    fn pacing(whole: Pace, per_identity: Pace) -> Pacing {
        Pacing::new(&Limits { whole, per_identity }, &["alice".to_owned(), "bob".to_owned()])
    }

    fn rate(per_second: f64) -> Pace {
        Pace {
            per_second: Some(per_second),
            in_flight: None,
        }
    }

    #[tokio::test]
    async fn requests_keep_their_distance_and_identities_have_a_pace_of_their_own() {
        tokio::time::pause();
        let start = Instant::now();
        let both = pacing(Pace::default(), rate(2.0));
        join_all(["alice", "bob", "alice", "bob", "alice", "nobody", "nobody"].map(|name| both.admit(name))).await;
        assert_eq!(start.elapsed().as_secs(), 1);
        let start = Instant::now();
        let whole = pacing(rate(2.0), Pace::default());
        join_all(["alice", "bob", "nobody"].map(|name| whole.admit(name))).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[tokio::test]
    async fn no_more_than_the_declared_number_is_in_flight() {
        tokio::time::pause();
        let pacing = pacing(
            Pace {
                per_second: None,
                in_flight: Some(1),
            },
            Pace::default(),
        );
        let first = pacing.admit("alice").await;
        let second = tokio::time::timeout(Duration::from_secs(1), pacing.admit("bob")).await;
        assert!(second.is_err());
        drop(first);
        pacing.admit("bob").await;
    }

    #[test]
    fn the_busiest_identity_or_the_whole_decides_how_long_it_takes() {
        let limits = Limits {
            whole: rate(10.0),
            per_identity: rate(1.0),
        };
        assert_eq!(limits.duration([("alice", 60), ("bob", 40)]).as_secs(), 60);
        let limits = Limits {
            whole: rate(1.0),
            per_identity: rate(1.0),
        };
        assert_eq!(limits.duration([("alice", 60), ("bob", 40)]).as_secs(), 100);
        assert_eq!(Limits::default().duration([("alice", 60)]), Duration::ZERO);
    }
}
