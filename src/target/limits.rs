//! The limits that a target declares: how fast requests may be sent to it.

use std::time::Duration;

/// A pace that must not be exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// The most requests a second.
    pub per_second: Option<f64>,
    /// The most requests that wait for their answer at a time.
    pub in_flight: Option<usize>,
}

/// The limits that a target declares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Of all requests together.
    pub whole: Pace,
    /// Of the requests of each identity.
    pub per_identity: Pace,
}

impl Limits {
    /// The lowest rate of all, in requests a second.
    pub fn lowest_rate(&self) -> Option<f64> {
        let rates = [self.whole.per_second, self.per_identity.per_second];
        rates.into_iter().flatten().min_by(f64::total_cmp)
    }

    /// How long so many requests of each speaker take at least.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    pub fn duration<'a>(&self, requests: impl IntoIterator<Item = (&'a str, usize)>) -> Duration {
        let (mut all, mut most) = (0, 0);
        for (_, count) in requests {
            all += count;
            most = most.max(count);
        }
        let seconds = |count: usize, pace: Pace| pace.per_second.map_or(0.0, |rate| count as f64 / rate);
        let seconds = seconds(all, self.whole).max(seconds(most, self.per_identity));
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// What the pace may cost so many requests of one conversation, beside those of the others.
    pub fn allowance(&self, requests: usize) -> Duration {
        let Some(rate) = self.lowest_rate() else {
            return Duration::ZERO;
        };
        let each = Duration::try_from_secs_f64(2.0 * rate.recip().max(1.0)).unwrap_or(Duration::MAX);
        each.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX))
    }
}
