//! How many files, and so connections, the system lets this process have open.

use std::sync::LazyLock;

/// As many as are asked for: enough for any number of conversations, and few enough for programs that look through all of them.
const WANTED: u64 = 1 << 14;
/// What the process has open besides connections.
const OTHERS: u64 = 64;
/// The most files that one conversation usually has open; the embedded reference has the other end of each connection.
const PER_CONVERSATION: u64 = 8;

/// The limit, raised as far as the system allows: a Mac begins with 256.
static LIMIT: LazyLock<u64> = LazyLock::new(|| rlimit::increase_nofile_limit(WANTED).unwrap_or(u64::from(u8::MAX)));

/// How many conversations fit below the limit.
pub(crate) fn conversations() -> usize {
    let fitting = LIMIT.saturating_sub(OTHERS) / PER_CONVERSATION;
    usize::try_from(fitting).unwrap_or(usize::MAX).max(1)
}

/// Raises the limit now, before anything is open.
pub fn raise_limit() {
    LazyLock::force(&LIMIT);
}
