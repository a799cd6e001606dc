//! The handles of one template, and the ways into them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::super::rules::AnyNotEqual;
use super::super::filter::{Branch, Subject};
use super::super::handle::SearchHandle;
use super::super::order::Number;
use super::plan::{self, Path};

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

/// Some handles that meet what a branch asks of handles, oldest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) handles: Vec<(Slot, Arc<SearchHandle>)>,
    /// The slot to go on after; `None` if there is nothing more.
    pub(super) next: Option<Slot>,
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

    /// The next `size` handles after a slot that meet the branch as far as it asks about handles. `in_order` says whether
    /// pages are taken one by one, so that a way in the order of slots can end early.
    pub(super) fn page(
        &self,
        branch: &Branch,
        any_not_equal: AnyNotEqual,
        in_order: bool,
        after: Option<Slot>,
        size: usize,
    ) -> Page {
        let after = after.unwrap_or(Slot::FIRST);
        let wanted = in_order.then_some(size);
        let meets = |handle: &SearchHandle| {
            Subject {
                handle,
                session: None,
                any_not_equal,
            }
            .meets(&branch.of_handle)
        };
        match plan::path(self, &branch.of_handle, wanted) {
            Path::Nowhere => Page::default(),
            Path::Row(row) => {
                let rest = row.range((Bound::Excluded(after), Bound::Unbounded));
                Page::fill(rest.map(|(slot, handle)| (*slot, handle)), meets, size)
            }
            Path::Equal(scale, number) => {
                let range = (Bound::Excluded((number, after)), Bound::Excluded((number, Slot::LAST)));
                Page::fill(
                    scale.range(range).map(|((_, slot), handle)| (*slot, handle)),
                    meets,
                    size,
                )
            }
            Path::Range(scale, from, to) => {
                let range = scale.range((Bound::Excluded(from), Bound::Excluded(to)));
                let rest = range
                    .map(|((_, slot), handle)| (*slot, handle))
                    .filter(|(slot, _)| *slot > after);
                let mut page = Page::fill(rest, meets, usize::MAX);
                page.handles.sort_unstable_by_key(|(slot, _)| *slot);
                page
            }
        }
    }
}

impl Page {
    fn fill<'h>(
        handles: impl Iterator<Item = (Slot, &'h Arc<SearchHandle>)>,
        meets: impl Fn(&SearchHandle) -> bool,
        size: usize,
    ) -> Self {
        let mut page = Self::default();
        for (slot, handle) in handles.filter(|(_, handle)| meets(handle)) {
            page.handles.push((slot, Arc::clone(handle)));
            if page.handles.len() == size {
                page.next = Some(slot);
                break;
            }
        }
        page
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
