//! Who is let in: the visibility of a session, and the restrictions on reads and joins.

use super::names::names;

/// Who may see and join a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// Only members and reserved users see and join it.
    Private,
    /// Everyone sees it, only reserved users join it.
    Visible,
    /// Everyone sees and joins it, unless a restriction says otherwise.
    #[default]
    Open,
}

names!(Visibility {
    Private = "private",
    Visible = "visible",
    Open = "open",
});

/// Who may join or read an open session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Restriction {
    /// Users on the device of an active member.
    Local,
    /// Users whom an accepted member follows, and local ones.
    Followed,
    /// Everyone.
    #[default]
    None,
}

names!(Restriction {
    None = "none",
    Local = "local",
    Followed = "followed",
});
