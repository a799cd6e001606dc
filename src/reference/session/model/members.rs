//! The roster: members in the order of their indices, which are never used twice.

use std::collections::BTreeSet;
use std::ops::Index;
use std::sync::Arc;

use super::member::{Member, Status};

/// The members of a session. Clones share the members themselves.
#[derive(Clone, Debug, Default)]
pub(in crate::session) struct Members {
    list: Vec<Arc<Member>>,
    next: u32,
    /// The users who were members and left: they may come back to a locked session (SES-RESTR-019).
    left: Arc<BTreeSet<u64>>,
}

/// The member at a position, which must be one that the roster gave.
impl Index<usize> for Members {
    type Output = Member;

    fn index(&self, position: usize) -> &Member {
        &self.list[position]
    }
}

impl Members {
    pub(in crate::session) fn iter(&self) -> impl DoubleEndedIterator<Item = &Member> + ExactSizeIterator {
        self.list.iter().map(AsRef::as_ref)
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.list.len()
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The index of the first member; `next` if there is none (SES-RESP-010).
    pub(in crate::session) fn first(&self) -> u32 {
        self.list.first().map_or(self.next, |member| member.index)
    }

    /// The index that the next new member gets.
    pub(in crate::session) fn next(&self) -> u32 {
        self.next
    }

    pub(in crate::session) fn accepted(&self) -> usize {
        self.iter().filter(|member| member.is_accepted()).count()
    }

    pub(in crate::session) fn active(&self) -> usize {
        self.iter().filter(|member| member.status == Status::Active).count()
    }

    pub(in crate::session) fn at(&self, position: usize) -> Option<&Member> {
        self.list.get(position).map(AsRef::as_ref)
    }

    pub(in crate::session) fn position_of_xuid(&self, xuid: u64) -> Option<usize> {
        self.list.iter().position(|member| member.xuid == xuid)
    }

    pub(in crate::session) fn position_of_index(&self, index: u32) -> Option<usize> {
        self.list.binary_search_by_key(&index, |member| member.index).ok()
    }

    pub(in crate::session) fn by_xuid(&self, xuid: u64) -> Option<&Member> {
        self.position_of_xuid(xuid).and_then(|position| self.at(position))
    }

    pub(in crate::session) fn by_index(&self, index: u32) -> Option<&Member> {
        self.position_of_index(index).and_then(|position| self.at(position))
    }

    pub(in crate::session) fn has_left(&self, xuid: u64) -> bool {
        self.left.contains(&xuid)
    }

    /// The users who were members and left.
    pub(in crate::session) fn left(&self) -> impl Iterator<Item = u64> {
        self.left.iter().copied()
    }

    /// The roster without members, whose first one gets this index.
    pub(in crate::session) fn starting_at(next: u32) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// The roster with these members, in whatever order.
    pub(in crate::session) fn restore(members: Vec<Member>, next: u32, left: BTreeSet<u64>) -> Self {
        let mut list: Vec<_> = members.into_iter().map(Arc::new).collect();
        list.sort_unstable_by_key(|member| member.index);
        Self {
            list,
            next,
            left: Arc::new(left),
        }
    }

    /// Appends a member, whose index must be [`next`](Self::next) or more, and says where it stands.
    pub(in crate::session) fn push(&mut self, member: Member) -> usize {
        self.next = self.next.max(member.index.saturating_add(1));
        self.list.push(Arc::new(member));
        self.list.len() - 1
    }

    pub(in crate::session) fn replace(&mut self, position: usize, member: Member) {
        self.list[position] = Arc::new(member);
    }

    /// Removes the members that `goes` picks, and says whether there were any.
    pub(in crate::session) fn remove_where(&mut self, mut goes: impl FnMut(&Member) -> bool) -> bool {
        let before = self.list.len();
        let left = &mut self.left;
        self.list.retain(|member| {
            let goes = goes(member);
            if goes && member.is_accepted() {
                Arc::make_mut(left).insert(member.xuid);
            }
            !goes
        });
        self.list.len() != before
    }
}
