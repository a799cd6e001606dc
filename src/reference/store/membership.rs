//! Which sessions a user is in, and which carry a keyword: what queries start from.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use super::super::session_ref::{SessionKey, SessionRef, folded};

/// The two indices.
#[derive(Debug, Default)]
pub(super) struct Membership {
    by_xuid: RwLock<HashMap<u64, Row>>,
    /// By scid and keyword, both folded (QRY-005).
    by_keyword: RwLock<HashMap<(String, String), Row>>,
}

/// Which part of an index is looked at. A query looks at one part after another, and stops when it has enough.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Part<'s> {
    /// The service config.
    pub(in super::super) scid: &'s str,
    /// The only template, if it matters.
    pub(in super::super) template_name: Option<&'s str>,
    /// Where the part before ended; `None` to begin with.
    pub(in super::super) after: Option<Place>,
    /// How many keys at most.
    pub(in super::super) most: usize,
}

/// Where a part of an index ends.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Place(u64);

/// Sessions, the one that came last first: a query ends after so many, and those are what it asks for.
#[derive(Debug, Default)]
struct Row {
    newest: BTreeMap<Reverse<u64>, SessionKey>,
    numbers: HashMap<SessionKey, u64>,
    /// How many have come so far.
    come: u64,
}

impl Row {
    fn add(&mut self, key: &SessionKey) {
        if self.numbers.contains_key(key) {
            return;
        }
        self.newest.insert(Reverse(self.come), key.clone());
        self.numbers.insert(key.clone(), self.come);
        self.come += 1;
    }

    fn remove(&mut self, key: &SessionKey) {
        if let Some(number) = self.numbers.remove(key) {
            self.newest.remove(&Reverse(number));
        }
    }

    fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// A part, and where it ends if there may be more.
    fn part(&self, part: &Part<'_>) -> (Vec<SessionKey>, Option<Place>) {
        let prefix = SessionKey::prefix(part.scid, part.template_name);
        let from = part
            .after
            .map_or(Bound::Unbounded, |Place(number)| Bound::Excluded(Reverse(number)));
        let mut keys = Vec::new();
        for (Reverse(number), key) in self.newest.range((from, Bound::Unbounded)) {
            if Borrow::<str>::borrow(key).starts_with(&prefix) {
                keys.push(key.clone());
            }
            if keys.len() >= part.most {
                return (keys, Some(Place(*number)));
            }
        }
        (keys, None)
    }
}

impl Membership {
    /// All sessions of a user.
    pub(super) fn all_of(&self, xuid: u64) -> Vec<SessionKey> {
        let index = self.by_xuid.read().unwrap_or_else(PoisonError::into_inner);
        let row = index.get(&xuid);
        row.into_iter().flat_map(|row| row.newest.values()).cloned().collect()
    }

    pub(super) fn of(&self, xuid: u64, part: &Part<'_>) -> (Vec<SessionKey>, Option<Place>) {
        let index = self.by_xuid.read().unwrap_or_else(PoisonError::into_inner);
        index.get(&xuid).map(|row| row.part(part)).unwrap_or_default()
    }

    pub(super) fn about(&self, keyword: &str, part: &Part<'_>) -> (Vec<SessionKey>, Option<Place>) {
        let index = self.by_keyword.read().unwrap_or_else(PoisonError::into_inner);
        let row = index.get(&(folded(part.scid).into_owned(), folded(keyword).into_owned()));
        row.map(|row| row.part(part)).unwrap_or_default()
    }

    pub(super) fn members_changed(&self, key: &SessionKey, before: &[u64], after: &[u64]) {
        if before == after {
            return;
        }
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
        let mut index = self.by_xuid.write().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&after) {
            if let Some(row) = index.get_mut(gone) {
                row.remove(key);
                if row.is_empty() {
                    index.remove(gone);
                }
            }
        }
        for come in after.difference(&before) {
            index.entry(**come).or_default().add(key);
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
            if let Some(row) = index.get_mut(&place) {
                row.remove(key);
                if row.is_empty() {
                    index.remove(&place);
                }
            }
        }
        for come in after.difference(&before) {
            let place = (scid.clone().into_owned(), come.clone().into_owned());
            index.entry(place).or_default().add(key);
        }
    }
}
