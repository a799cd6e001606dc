//! What the service has: everything that requests share.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};

use super::super::auth::Authority;
use super::super::clock::Clock;
use super::super::config::{Limits, decimal};
use super::super::failure::Failure;
use super::super::nonce::Nonces;
use super::super::provisions::Provisions;
use super::super::rate::Rates;
use super::super::realtime::RealTime;
use super::super::store::Store;
use super::super::wire::Wire;

/// The request header that says how many milliseconds ahead of the service's clock a request happens.
pub(super) const ADVANCE: &str = "x-mpsd-advance-ms";

pub(super) struct Edge {
    pub(super) authority: Authority,
    pub(super) nonces: Nonces,
    pub(super) provisions: Provisions,
    pub(super) store: Store,
    pub(super) real_time: Arc<RealTime>,
    pub(super) clock: Clock,
    pub(super) clock_control: bool,
    pub(super) limits: Limits,
    pub(super) rates: Option<Rates>,
    pub(super) explorer: bool,
    /// What is wrong on the wire, on purpose.
    pub(super) wire: Option<Arc<Wire>>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Edge {
    /// The time of a request: the clock's, unless the caller may move it and does.
    pub(super) fn now(&self, headers: &HeaderMap) -> Result<Timestamp, Failure> {
        let now = self.clock.now();
        let Some(advance) = headers.get(ADVANCE).filter(|_| self.clock_control) else {
            return Ok(now);
        };
        let millis = advance
            .to_str()
            .ok()
            .and_then(decimal)
            .and_then(|millis| i64::try_from(millis).ok());
        millis
            .and_then(|millis| now.checked_add(SignedDuration::from_millis(millis)).ok())
            .ok_or_else(|| Failure::Malformed(format!("{ADVANCE} is not a number of milliseconds.")))
    }

    pub(super) fn check_kept(&self) -> Result<(), Failure> {
        match self.store.broken() {
            Some(why) => Err(Failure::Unkept(why.to_owned())),
            None => Ok(()),
        }
    }
}
