//! The transport: a request reaches the target at the pace it declares, with a valid token, and again when it is throttled; and a
//! target that is gone is not asked for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::fmt::rfc2822;
use uuid::Uuid;

use crate::contract::version::ContractVersion;
use crate::target::token::Token;
use crate::target::{Secret, Target};
use crate::wire::client::Client;
use crate::wire::error::WireError;
use crate::wire::halt::{Halt, Halted};
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::pacing::Pacing;
use crate::wire::secrets::Secrets;
use crate::wire::socket::{Offer, Opened, Socket};

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
struct Health {
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

/// The way to one target, which all conversations of a run share.
#[derive(Debug)]
pub struct Transport {
    target: Arc<Target>,
    client: Client,
    pacing: Pacing,
    /// Identities whose token is meant to be refused, and never renewed for it.
    expired: BTreeSet<String>,
    /// A token that nobody has: what an unknown caller sends, and what no report may hold.
    canary: Secret,
    secrets: Arc<Secrets>,
    halt: Arc<Halt>,
    health: Health,
}

impl Transport {
    /// Makes ready; nothing is sent yet. `expired` names the identities whose token is meant to be refused, `limit` is the time of
    /// one exchange.
    pub fn new(target: Arc<Target>, expired: BTreeSet<String>, limit: Duration) -> Result<Self, WireError> {
        let canary = Secret::new(format!("XBL3.0 x=0;{}", Uuid::new_v4().simple()));
        Ok(Self {
            client: Client::new(&target, limit)?,
            pacing: Pacing::new(&target.limits, target.identities.keys()),
            expired,
            secrets: Arc::new(Secrets::new(&target, &canary)),
            canary,
            halt: Arc::default(),
            health: Health::default(),
            target,
        })
    }

    /// A way to another instance of the same service: both end together, and neither's secrets are written.
    pub fn beside(&self, target: Arc<Target>) -> Result<Self, WireError> {
        for (name, identity) in &target.identities {
            let token = identity.token.reveal();
            if self.secrets.find(&token).is_none() {
                self.secrets.learn(name, &token);
            }
        }
        let other = Self::new(target, self.expired.clone(), self.client.timeout())?;
        Ok(Self {
            canary: self.canary.clone(),
            secrets: Arc::clone(&self.secrets),
            halt: Arc::clone(&self.halt),
            ..other
        })
    }

    /// The client, for requests without pace, renewal or retry.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The secrets that nothing which is written may hold; a token that is renewed joins them.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// The token that nobody has, as a header's value.
    pub fn canary(&self) -> &str {
        self.canary.reveal()
    }

    /// Ends the run for all who share the transport.
    pub fn interrupt(&self) {
        self.halt.end("the run was interrupted", true);
    }

    /// Why the run ended before its time, if it did.
    pub fn halted(&self) -> Option<Halted> {
        self.halt.get()
    }

    /// Waits until the run has ended before its time.
    pub(crate) async fn reached_halt(&self) -> Halted {
        self.halt.reached().await
    }

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
                let reason = format!("run stopped: {HOPELESSLY_THROTTLED} consecutive requests returned {status}");
                self.halt.end(&reason, false);
            }
            let pause = pause(&response, throttled);
            throttled += 1;
            if throttled > MAX_THROTTLED || waited + pause > patience.pauses {
                let asked = if throttled > MAX_THROTTLED {
                    String::new()
                } else {
                    format!(
                        "; waiting {} s would exceed the time limit of the case",
                        pause.as_secs_f32()
                    )
                };
                let error = WireError::Throttled(format!("{throttled} responses with {status}{asked}"));
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
        let is_own = authorization(request).is_some_and(|sent| *sent == *token.reveal());
        (is_own && !self.expired.contains(speaker)).then_some(token)
    }

    /// Puts a new token into a request; false when there is none.
    async fn renew(&self, speaker: &str, token: &Token, request: &mut WireRequest) -> Result<bool, WireError> {
        let old = authorization(request).unwrap_or_default().to_owned();
        let fetching = token.clone();
        let renewed = tokio::task::spawn_blocking(move || fetching.renew(&old)).await;
        let renewed = renewed.map_err(|error| WireError::Token(error.to_string()))?;
        let renewed =
            renewed.map_err(|error| WireError::Token(format!("cannot renew the token of {speaker}: {error}")))?;
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
        // These say nothing of the target; to go on would not help either.
        if matches!(error, WireError::Machine(_) | WireError::Limit(_)) {
            if misses >= HOPELESS {
                let reason = format!("run stopped after {misses} consecutive requests failed on this machine: {error}");
                self.halt.end(&reason, false);
            }
            return;
        }
        if misses >= HOPELESS {
            let reason = format!("run stopped: no response to {misses} consecutive requests (last error: {error})");
            self.halt.end(&reason, false);
        } else if misses.is_multiple_of(DOUBTFUL) && !self.is_there().await {
            let reason = format!(
                "run stopped: no response to {misses} consecutive requests, nor to a simple GET (last error: {error})"
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
    let wait = response
        .header("retry-after")
        .and_then(|text| text.trim().parse().ok().map(Duration::from_secs));
    let until = || Duration::try_from(date("retry-after")?.duration_since(date("date")?)).ok();
    let doubled = BACKOFF.saturating_mul(1 << before.min(8)).min(LONGEST_BACKOFF);
    wait.or_else(until).unwrap_or(doubled)
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
