//! Nonces: a client that cannot set headers opens its socket with one, in place of a token (RTA-046).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::auth::Unauthenticated;
use super::principal::Principal;
use super::rules::Rules;

/// How long a nonce can be used.
const LIFE: SignedDuration = SignedDuration::from_mins(1);
/// How many unused nonces are kept; beyond, the oldest is dropped.
const MOST: usize = 10_000;

/// The nonces that were issued and not used.
#[derive(Debug, Default)]
pub(super) struct Nonces(Mutex<HashMap<String, Bearer>>);

/// Whom a nonce stands for.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) principal: Arc<Principal>,
    /// When the token that the nonce was issued for expires.
    pub(super) expires: Option<Timestamp>,
    issued: Timestamp,
}

impl Nonces {
    /// A new nonce for the bearer of a token.
    pub(super) fn issue(&self, principal: &Arc<Principal>, expires: Option<Timestamp>, now: Timestamp) -> String {
        let nonce = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let bearer = Bearer {
            principal: Arc::clone(principal),
            expires,
            issued: now,
        };
        let mut nonces = self.nonces();
        nonces.retain(|_, bearer| bearer.is_good(now));
        if nonces.len() >= MOST
            && let Some(oldest) = nonces.iter().min_by_key(|(_, bearer)| bearer.issued)
        {
            let oldest = oldest.0.clone();
            nonces.remove(&oldest);
        }
        nonces.insert(nonce.clone(), bearer);
        nonce
    }

    /// Whom the nonce stands for. It is spent by that.
    pub(super) fn redeem(&self, nonce: &str, now: Timestamp, rules: &Rules) -> Result<Bearer, Unauthenticated> {
        let mut nonces = self.nonces();
        let bearer = if rules.nonces_are_spent.kept() {
            nonces.remove(nonce)
        } else {
            nonces.get(nonce).cloned()
        };
        let bearer = bearer.ok_or(Unauthenticated::UnknownNonce)?;
        if !bearer.is_good(now) {
            return Err(Unauthenticated::UnknownNonce);
        }
        if bearer.expires.is_some_and(|expires| expires <= now) {
            return Err(Unauthenticated::Expired);
        }
        Ok(bearer)
    }

    fn nonces(&self) -> MutexGuard<'_, HashMap<String, Bearer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bearer {
    fn is_good(&self, now: Timestamp) -> bool {
        now.duration_since(self.issued) < LIFE
    }
}
