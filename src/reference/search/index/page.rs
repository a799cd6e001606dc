//! Taking handles from a shelf, page by page, by the cheapest way.

use std::ops::Bound;
use std::sync::Arc;

use super::super::super::rules::AnyNotEqual;
use super::super::filter::{Branch, Subject};
use super::super::handle::SearchHandle;
use super::plan::{self, Path};
use super::shelf::{Shelf, Slot};

/// Some handles that meet what a branch asks of handles, oldest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) handles: Vec<(Slot, Arc<SearchHandle>)>,
    /// The slot to go on after; `None` if there is nothing more.
    pub(super) next: Option<Slot>,
}

impl Shelf {
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
