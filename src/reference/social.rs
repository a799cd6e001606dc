//! Who follows, favours and blocks whom.

use std::collections::HashSet;

/// The social graph, as configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Social {
    /// Pairs (follower, followed) of xuids.
    pub follows: HashSet<(u64, u64)>,
    /// Pairs (who, favourite) of xuids.
    pub favorites: HashSet<(u64, u64)>,
    /// Pairs (who blocks, who is blocked) of xuids.
    pub blocks: HashSet<(u64, u64)>,
}

impl Social {
    /// Whether `who` follows `whom`.
    pub(crate) fn follows(&self, who: u64, whom: u64) -> bool {
        self.follows.contains(&(who, whom))
    }

    /// Whether `who` has blocked `whom`.
    pub(crate) fn blocks(&self, who: u64, whom: u64) -> bool {
        self.blocks.contains(&(who, whom))
    }
}
