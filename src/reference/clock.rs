//! The only place in the reference that reads the time.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// A source of the current time; clones share it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where the reference reads the wall clock"
        )]
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that was stopped at the present: whoever is told that time passes, moves it.
    pub fn stopped() -> Self {
        let now = Self::system().now();
        Self::from_fn(move || now)
    }

    /// A clock that says what `source` says, for tests.
    pub fn from_fn(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_stands_still() {
        let clock = Clock::stopped();
        let then = clock.now();
        assert!(Clock::system().now() > then);
        assert_eq!(clock.now(), then);
    }
}
