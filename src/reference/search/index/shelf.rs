//! The handles of one template, and the ways into them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::handle::SearchHandle;
use super::super::order::Number;

/// A handle's place among the others: older ones first, and of the same time the one that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) created: Timestamp,
    /// From 1.
    pub(super) serial: u64,
}

/// Handles in the order they were made.
pub(super) type Row = BTreeMap<Slot, Arc<SearchHandle>>;

/// Handles by the value of a number, equal ones in the order they were made.
pub(super) type Scale = BTreeMap<(Number, Slot), Arc<SearchHandle>>;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) all: Row,
    /// The keys of these are in lower case, even where a filter compares exactly.
    pub(super) tags: HashMap<String, Row>,
    pub(super) achievement_ids: HashMap<String, Row>,
    pub(super) languages: HashMap<String, Row>,
    pub(super) strings: HashMap<String, HashMap<String, Row>>,
    pub(super) numbers: HashMap<String, Scale>,
}

impl Slot {
    /// Before all others.
    pub(super) const FIRST: Self = Self {
        created: Timestamp::MIN,
        serial: 0,
    };
    /// After all others.
    pub(super) const LAST: Self = Self {
        created: Timestamp::MAX,
        serial: u64::MAX,
    };
}

impl Shelf {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<Arc<SearchHandle>> {
        self.all.get(&slot).map(Arc::clone)
    }

    pub(super) fn insert(&mut self, slot: Slot, handle: &Arc<SearchHandle>) {
        let attributes = handle.attributes();
        let put = |row: &mut Row| {
            row.insert(slot, Arc::clone(handle));
        };
        put(&mut self.all);
        for tag in attributes.tags() {
            put(self.tags.entry(tag.clone()).or_default());
        }
        for id in attributes.achievement_ids() {
            put(self.achievement_ids.entry(id.to_lowercase()).or_default());
        }
        if let Some(language) = attributes.language() {
            put(self.languages.entry(language.to_lowercase()).or_default());
        }
        for (name, value) in attributes.strings() {
            let values = self.strings.entry(name.clone()).or_default();
            put(values.entry(value.clone()).or_default());
        }
        for (name, value) in attributes.numbers() {
            let scale = self.numbers.entry(name.clone()).or_default();
            scale.insert((Number::new(*value), slot), Arc::clone(handle));
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Arc<SearchHandle>> {
        let handle = self.all.remove(&slot)?;
        let attributes = handle.attributes();
        let take = |row: &mut Row| {
            row.remove(&slot);
            row.is_empty()
        };
        for tag in attributes.tags() {
            prune(&mut self.tags, tag.as_str(), take);
        }
        for id in attributes.achievement_ids() {
            prune(&mut self.achievement_ids, id.to_lowercase().as_str(), take);
        }
        if let Some(language) = attributes.language() {
            prune(&mut self.languages, language.to_lowercase().as_str(), take);
        }
        for (name, value) in attributes.strings() {
            prune(&mut self.strings, name.as_str(), |values| {
                prune(values, value.as_str(), take);
                values.is_empty()
            });
        }
        for (name, value) in attributes.numbers() {
            prune(&mut self.numbers, name.as_str(), |scale| {
                scale.remove(&(Number::new(*value), slot));
                scale.is_empty()
            });
        }
        Some(handle)
    }
}

/// Lets `take` have the value at `key`, and forgets it if it says so.
fn prune<K, Q, V>(map: &mut HashMap<K, V>, key: &Q, take: impl FnOnce(&mut V) -> bool)
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    if map.get_mut(key).is_some_and(take) {
        map.remove(key);
    }
}
