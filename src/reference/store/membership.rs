//! Which sessions a user is in, and which carry a keyword: what queries start from.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use super::super::provisions::folded;
use super::super::session_ref::{SessionKey, SessionRef};

/// The two indices.
#[derive(Debug, Default)]
pub(super) struct Membership {
    by_xuid: RwLock<HashMap<u64, BTreeSet<SessionKey>>>,
    /// By scid and keyword, both folded (QRY-005).
    by_keyword: RwLock<HashMap<(String, String), BTreeSet<SessionKey>>>,
}

/// Which part of an index is looked at. A query looks at one part after another, and stops when it has enough.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Part<'s> {
    /// The service config.
    pub(in super::super) scid: &'s str,
    /// The only template, if it matters.
    pub(in super::super) template_name: Option<&'s str>,
    /// The last key of the part before.
    pub(in super::super) after: Option<&'s SessionKey>,
    /// How many keys at most.
    pub(in super::super) most: usize,
}

impl Part<'_> {
    fn take(&self, keys: &BTreeSet<SessionKey>) -> Vec<SessionKey> {
        let prefix = SessionKey::prefix(self.scid, self.template_name);
        let from = match self.after {
            None => Bound::Included(prefix.as_str()),
            Some(after) => Bound::Excluded(after.borrow()),
        };
        let keys = keys.range::<str, _>((from, Bound::Unbounded));
        let keys = keys.take_while(|key| Borrow::<str>::borrow(*key).starts_with(&prefix));
        keys.take(self.most).cloned().collect()
    }
}

impl Membership {
    /// All sessions of a user.
    pub(super) fn all_of(&self, xuid: u64) -> Vec<SessionKey> {
        let index = self.by_xuid.read().unwrap_or_else(PoisonError::into_inner);
        index.get(&xuid).into_iter().flatten().cloned().collect()
    }

    pub(super) fn of(&self, xuid: u64, part: &Part<'_>) -> Vec<SessionKey> {
        let index = self.by_xuid.read().unwrap_or_else(PoisonError::into_inner);
        index.get(&xuid).map(|keys| part.take(keys)).unwrap_or_default()
    }

    pub(super) fn about(&self, keyword: &str, part: &Part<'_>) -> Vec<SessionKey> {
        let index = self.by_keyword.read().unwrap_or_else(PoisonError::into_inner);
        let keys = index.get(&(folded(part.scid).into_owned(), folded(keyword).into_owned()));
        keys.map(|keys| part.take(keys)).unwrap_or_default()
    }

    pub(super) fn members_changed(&self, key: &SessionKey, before: &[u64], after: &[u64]) {
        if before == after {
            return;
        }
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
        let mut index = self.by_xuid.write().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&after) {
            if let Some(keys) = index.get_mut(gone) {
                keys.remove(key);
                if keys.is_empty() {
                    index.remove(gone);
                }
            }
        }
        for come in after.difference(&before) {
            index.entry(**come).or_default().insert(key.clone());
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
