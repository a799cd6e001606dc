//! Delivery: a request reaches the target at the pace it declares, with a token that is good, and again when it is told to
//! come back; and a target that is gone is not asked for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::fmt::rfc2822;

use crate::contract::case::Script;
use crate::contract::version::ContractVersion;
use crate::replay::Replay;
use crate::replay::socket::{Offer, Opened, Socket};
use crate::target::token::Token;
use crate::wire::client::{WireError, WireRequest, WireResponse};

/// How often a throttled request is sent again.
const MAX_THROTTLED: usize = 8;
/// How long a throttled request waits when the target does not say, the first time; then twice as long, and so on.
const BACKOFF: Duration = Duration::from_millis(500);
/// The longest of these.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
/// After so many failures in a row the target is asked something plain, to see whether it is still there.
const DOUBTFUL: usize = 20;
/// After so many it is not asked any more, whatever it says to that.
const HOPELESS: usize = 100;
/// After so many throttled answers in a row it is not asked any more.
const HOPELESSLY_THROTTLED: usize = 200;
/// How often a target that may be gone is tried, and how long apart.
const LAST_TRIES: (usize, Duration) = (3, Duration::from_millis(500));

/// What the last requests came to.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Failures in a row.
    misses: AtomicUsize,
    /// Throttled answers in a row.
    throttled: AtomicUsize,
}

impl Health {
    /// Notes that all is well, which it nearly always was: what is written takes all other conversations' time too.
    fn recover(&self) {
        for count in [&self.misses, &self.throttled] {
            if count.load(Ordering::Relaxed) != 0 {
                count.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Whether being throttled is an answer like any other.
    pub(crate) expects_throttling: bool,
    /// How long it may wait in all for a target that throttles it.
    pub(crate) pauses: Duration,
}

impl Replay {
    /// Sends a request, and whatever it takes to have a real answer to it.
    pub(crate) async fn deliver(
        &self,
        speaker: &str,
        request: &mut WireRequest,
        patience: Patience,
    ) -> Result<WireResponse, WireError> {
        self.attempt(speaker, request, patience, None)
            .await
            .map(|(_, response)| response)
    }

    /// As [`Self::deliver`], for a request that opens a real-time socket; a target that refuses it only answers.
    pub(crate) async fn open(
        &self,
        speaker: &str,
        request: &mut WireRequest,
        offer: Offer,
        patience: Patience,
    ) -> Result<(Opened, WireResponse), WireError> {
        self.attempt(speaker, request, patience, Some(offer)).await
    }

    async fn attempt(
        &self,
        speaker: &str,
        request: &mut WireRequest,
        patience: Patience,
        handshake: Option<Offer>,
    ) -> Result<(Opened, WireResponse), WireError> {
        let token = self.own_token(speaker, request);
        if let Some(token) = token.filter(|token| token.is_due()) {
            self.renew(speaker, token, request).await?;
        }
        let mut waited = Duration::ZERO;
        let mut is_renewed = false;
        let mut throttled = 0;
        loop {
            let permit = self.pacing.admit(speaker).await;
            let result = if let Some(offer) = handshake {
                Socket::open(&self.client, &request.path, &request.headers, offer, &self.secrets).await
            } else {
                self.client
                    .send(request)
                    .await
                    .map(|response| (Opened::Refused, response))
            };
            drop(permit);
            let (socket, mut response) = match result {
                Ok(answered) => answered,
                Err(error) => {
                    self.note_miss(&error).await;
                    return Err(error);
                }
            };
            if let (401, Some(token)) = (response.status, token) {
                if is_renewed {
                    token.doubt();
                } else if token.may_renew(authorization(request).unwrap_or_default())
                    && self.renew(speaker, token, request).await?
                {
                    is_renewed = true;
                    continue;
                }
            }
            if patience.expects_throttling || !matches!(response.status, 429 | 503) {
                self.health.recover();
                response.redact(&self.secrets);
                return Ok((socket, response));
            }
            let status = response.status;
            if self.health.throttled.fetch_add(1, Ordering::Relaxed) + 1 >= HOPELESSLY_THROTTLED {
                let reason = format!(
                    "the target was given up: it answered {HOPELESSLY_THROTTLED} requests in a row with {status}"
                );
                self.halt.end(&reason, false);
            }
            let pause = pause(&response, throttled);
            throttled += 1;
            if throttled > MAX_THROTTLED || waited + pause > patience.pauses {
                let asked = if throttled > MAX_THROTTLED {
                    String::new()
                } else {
                    format!(", and a pause of {} s is too long for it", pause.as_secs_f32())
                };
                let error = WireError::Throttled(format!("answered {status} {throttled} times{asked}"));
                self.note_miss(&error).await;
                return Err(error);
            }
            waited += pause;
            tokio::time::sleep(pause).await;
        }
    }

    /// The token of a speaker, if that is what the request is sent with and there may be another one; a token that is meant
    /// to be refused is none.
    fn own_token(&self, speaker: &str, request: &WireRequest) -> Option<&Token> {
        let token = &self.target.identities.get(speaker)?.token;
        if !token.is_renewable() {
            return None;
        }
        let is_expired = self
            .suite
            .world()
            .identities
            .get(speaker)
            .is_some_and(|identity| identity.expired);
        let is_own = authorization(request).is_some_and(|sent| *sent == *token.reveal());
        (is_own && !is_expired).then_some(token)
    }

    /// Puts a new token into a request; false when there is none.
    async fn renew(&self, speaker: &str, token: &Token, request: &mut WireRequest) -> Result<bool, WireError> {
        let old = authorization(request).unwrap_or_default().to_owned();
        let fetching = token.clone();
        let renewed = tokio::task::spawn_blocking(move || fetching.renew(&old)).await;
        let renewed = renewed.map_err(|error| WireError::Token(error.to_string()))?;
        let renewed =
            renewed.map_err(|error| WireError::Token(format!("the token of {speaker} cannot be renewed: {error}")))?;
        let Some(value) = renewed else { return Ok(false) };
        self.secrets.learn(speaker, &value);
        for (name, sent) in &mut request.headers {
            if name.eq_ignore_ascii_case("authorization") {
                *sent = value.to_string();
            }
        }
        Ok(true)
    }

    /// Counts a failure; after too many the run is over.
    async fn note_miss(&self, error: &WireError) {
        if matches!(error, WireError::Unsendable(_) | WireError::Token(_)) {
            return;
        }
        let misses = self.health.misses.fetch_add(1, Ordering::Relaxed) + 1;
        if misses >= HOPELESS {
            let reason =
                format!("the target was given up: it had no answer to {misses} requests in a row, at last: {error}");
            self.halt.end(&reason, false);
        } else if misses.is_multiple_of(DOUBTFUL) && !self.is_there().await {
            let reason = format!(
                "the target was given up: it had no answer to {misses} requests in a row, nor to a plain read: {error}"
            );
            self.halt.end(&reason, false);
        }
    }

    /// Whether the target answers a plain read.
    pub(crate) async fn is_there(&self) -> bool {
        let (tries, pause) = LAST_TRIES;
        let Some(speaker) = self.target.identities.keys().next() else {
            return false;
        };
        for attempt in 0..tries {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
            }
            let _permit = self.pacing.admit(speaker).await;
            let answer = self.client.send(&self.plain_read(speaker)).await;
            if answer.is_ok_and(|answer| !matches!(answer.status, 429 | 503)) {
                return true;
            }
        }
        false
    }

    /// A request that changes nothing, and that every service has an answer to.
    pub(crate) fn plain_read(&self, speaker: &str) -> WireRequest {
        let mut headers = vec![(
            "X-Xbl-Contract-Version".to_owned(),
            ContractVersion::CURRENT.to_string(),
        )];
        if let Some(identity) = self.target.identities.get(speaker) {
            headers.extend(identity.headers());
        }
        WireRequest {
            method: "GET".to_owned(),
            path: format!("/serviceconfigs/{}/sessiontemplates", self.target.scid),
            headers,
            body: None,
        }
    }

    /// How long a conversation may take: the time of a case, what it waits for, and what the target's pace costs it.
    pub(crate) fn limit(&self, script: &Script) -> Duration {
        let waits: u64 = if self.target.advance_header.is_some() {
            0
        } else {
            script
                .steps()
                .map(|step| step.after.unwrap_or_default() + step.within.unwrap_or_default())
                .sum()
        };
        let requests = script.steps().map(|step| step.requests().len() + 2).sum();
        self.options.case_limit + Duration::from_millis(waits) + self.pace_of(requests)
    }

    /// What the target's pace may cost so many requests of one conversation, beside those of the others.
    pub(crate) fn pace_of(&self, requests: usize) -> Duration {
        let Some(rate) = self.target.limits.lowest_rate() else {
            return Duration::ZERO;
        };
        let each = Duration::try_from_secs_f64(2.0 * rate.recip().max(1.0)).unwrap_or(Duration::MAX);
        each.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX))
    }
}

fn authorization(request: &WireRequest) -> Option<&str> {
    let mut values = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    values.next().map(|(_, value)| value.as_str())
}

/// How long a throttled request waits.
fn pause(response: &WireResponse, before: usize) -> Duration {
    let date = |name| {
        rfc2822::DateTimeParser::new()
            .parse_timestamp(response.header(name)?)
            .ok()
    };
    let told = response
        .header("retry-after")
        .and_then(|text| text.trim().parse().ok().map(Duration::from_secs));
    let until = || Duration::try_from(date("retry-after")?.duration_since(date("date")?)).ok();
    let doubled = BACKOFF.saturating_mul(1 << before.min(8)).min(LONGEST_BACKOFF);
    told.or_else(until).unwrap_or(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> WireResponse {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        WireResponse {
            status: 429,
            headers,
            ..WireResponse::default()
        }
    }

    #[test]
    fn a_throttled_request_waits_as_long_as_it_is_told() {
        assert_eq!(pause(&answer(&[("Retry-After", "7")]), 3), Duration::from_secs(7));
        let dates = [
            ("Date", "Sat, 15 Jun 2030 12:00:00 GMT"),
            ("Retry-After", "Sat, 15 Jun 2030 12:01:00 GMT"),
        ];
        assert_eq!(pause(&answer(&dates), 0), Duration::from_mins(1));
        assert_eq!(pause(&answer(&[("Retry-After", "99999999999999999999")]), 0), BACKOFF);
    }

    #[test]
    fn a_throttled_request_that_is_told_nothing_waits_longer_each_time() {
        let pauses: Vec<_> = (0..6).map(|before| pause(&answer(&[]), before).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000]);
    }
}
