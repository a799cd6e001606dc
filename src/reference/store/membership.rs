//! Which sessions a user is in, and which carry a keyword: what queries start from.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use super::super::provisions::folded;
use super::super::session_ref::{SessionKey, SessionRef};

/// The two indices.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// In the order in which the user came.
    by_xuid: RwLock<HashMap<u64, Vec<SessionKey>>>,
    /// By scid and keyword, both folded (QRY-005).
    by_keyword: RwLock<HashMap<(String, String), BTreeSet<SessionKey>>>,
}

impl Membership {
    /// The newest first: a query ends after so many.
    pub(super) fn of(&self, xuid: u64) -> Vec<SessionKey> {
        let index = self.by_xuid.read().unwrap_or_else(PoisonError::into_inner);
        index
            .get(&xuid)
            .map(|keys| keys.iter().rev().cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn about(&self, scid: &str, keyword: &str) -> Vec<SessionKey> {
        let index = self.by_keyword.read().unwrap_or_else(PoisonError::into_inner);
        let keys = index.get(&(folded(scid).into_owned(), folded(keyword).into_owned()));
        keys.map(|keys| keys.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn members_changed(&self, key: &SessionKey, before: &[u64], after: &[u64]) {
        if before == after {
            return;
        }
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
        let mut index = self.by_xuid.write().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&after) {
            if let Some(keys) = index.get_mut(gone) {
                if let Some(place) = keys.iter().rposition(|other| other == key) {
                    keys.remove(place);
                }
                if keys.is_empty() {
                    index.remove(gone);
                }
            }
        }
        for come in after.difference(&before) {
            index.entry(**come).or_default().push(key.clone());
        }
    }

    pub(super) fn keywords_changed(&self, key: &SessionKey, at: &SessionRef, before: &[String], after: &[String]) {
        if before == after {
            return;
        }
        let before: BTreeSet<_> = before.iter().map(|keyword| folded(keyword)).collect();
        let after: BTreeSet<_> = after.iter().map(|keyword| folded(keyword)).collect();
        let scid = folded(&at.scid);
        let mut index = self.by_keyword.write().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&after) {
            let place = (scid.clone().into_owned(), gone.clone().into_owned());
            if let Some(keys) = index.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    index.remove(&place);
                }
            }
        }
        for come in after.difference(&before) {
            let place = (scid.clone().into_owned(), come.clone().into_owned());
            index.entry(place).or_default().insert(key.clone());
        }
    }
}
