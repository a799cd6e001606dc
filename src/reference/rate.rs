//! Rate limits: two fixed windows for each user in each title (RATE-001, RATE-002).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::rules::Rules;

/// What a request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counter {
    /// Anything but search handles.
    General,
    /// A query for search handles.
    SearchRead,
    /// The creation of a search handle; a deletion does not say of what type the handle is, and counts as any request.
    SearchWrite,
}

/// Which window is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// The short one.
    Burst,
    /// The long one.
    Sustain,
}

impl Window {
    /// Its length in seconds (RATE-002).
    pub(super) fn seconds(self) -> u32 {
        match self {
            Self::Burst => 15,
            Self::Sustain => 300,
        }
    }

    fn limit(self, counter: Counter) -> u32 {
        match (self, counter) {
            (Self::Burst, Counter::General) => 30,    // RATE-003
            (Self::Sustain, Counter::General) => 300, // RATE-003
            (Self::Burst, _) => 1,                    // RATE-006
            (Self::Sustain, _) => 20,                 // RATE-006
        }
    }
}

/// A request too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttled {
    pub(super) window: Window,
    /// How many requests the window has seen, this one included.
    pub(super) current: u32,
    /// How many it allows.
    pub(super) limit: u32,
    /// Seconds until the window is over, at least 1 (RATE-007).
    pub(super) retry_after: u32,
}

/// The windows of all callers.
#[derive(Debug, Default)]
pub(super) struct Rates {
    counts: Mutex<HashMap<(u64, u32, Counter), [Count; 2]>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// The second at which the window began.
    began: i64,
    seen: u32,
}

/// Beyond this many callers, windows that are over are forgotten.
const CALLERS_KEPT: usize = 100_000;

impl Rates {
    /// Counts a request of `xuid` in `title`, throttled ones included (RATE-005).
    pub(super) fn count(
        &self,
        xuid: u64,
        title: u32,
        counter: Counter,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<(), Throttled> {
        let xuid = if rules.users_are_limited_alone.kept() { xuid } else { 0 };
        let now = now.as_second();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= CALLERS_KEPT {
            counts.retain(|_, [_, sustain]| now - sustain.began < i64::from(Window::Sustain.seconds()));
        }
        let windows = counts.entry((xuid, title, counter)).or_default();
        let mut full = Ok(());
        for (window, count) in [Window::Burst, Window::Sustain].into_iter().zip(windows) {
            let times = if rules.windows_are_short.kept() { 1 } else { 2 };
            let length = times * i64::from(window.seconds());
            if now - count.began >= length || now < count.began {
                *count = Count { began: now, seen: 0 };
            }
            count.seen = count.seen.saturating_add(1);
            let limit = window.limit(counter);
            // The first that is refused is the one after the limit (CONTRA-41).
            if count.seen > limit {
                full = Err(Throttled {
                    window,
                    current: count.seen,
                    limit,
                    retry_after: u32::try_from(count.began + length - now).unwrap_or(1).max(1),
                });
            }
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rates: &Rates, xuid: u64, title: u32, counter: Counter, now: Timestamp) -> Result<(), Throttled> {
        rates.count(xuid, title, counter, now, &Rules::default())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn the_thirty_first_request_in_fifteen_seconds_is_throttled() {
        let rates = Rates::default();
        for _ in 0..30 {
            assert_eq!(count(&rates, 1, 2, Counter::General, at(0)), Ok(()));
        }
        let throttled = count(&rates, 1, 2, Counter::General, at(5)).unwrap_err();
        assert_eq!(
            (throttled.window, throttled.current, throttled.limit),
            (Window::Burst, 31, 30)
        );
        assert_eq!(throttled.retry_after, 10);
        assert_eq!(
            count(&rates, 1, 3, Counter::General, at(5)),
            Ok(()),
            "another title is not affected"
        );
        assert_eq!(
            count(&rates, 9, 2, Counter::General, at(5)),
            Ok(()),
            "another user is not affected"
        );
        assert_eq!(
            count(&rates, 1, 2, Counter::General, at(15)),
            Ok(()),
            "the window is over"
        );
    }

    #[test]
    fn throttled_requests_count_toward_the_long_window() {
        let rates = Rates::default();
        let accepted = (0..300)
            .filter(|_| count(&rates, 1, 2, Counter::General, at(0)).is_ok())
            .count();
        assert_eq!(accepted, 30);
        let throttled = count(&rates, 1, 2, Counter::General, at(20)).unwrap_err();
        assert_eq!((throttled.window, throttled.retry_after), (Window::Sustain, 280));
    }

    #[test]
    fn search_handles_have_their_own_counters() {
        let rates = Rates::default();
        assert!(count(&rates, 1, 2, Counter::SearchRead, at(0)).is_ok());
        assert!(count(&rates, 1, 2, Counter::SearchWrite, at(0)).is_ok());
        assert!(count(&rates, 1, 2, Counter::General, at(0)).is_ok());
        assert!(count(&rates, 1, 2, Counter::SearchRead, at(14)).is_err());
    }
}
