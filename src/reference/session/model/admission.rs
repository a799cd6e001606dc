//! Who is let in: the visibility of a session, and the restrictions on reads and joins.

/// Who may see and join a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Only members and reserved users see and join it.
    Private,
    /// Everyone sees it, only reserved users join it.
    Visible,
    /// Everyone sees and joins it, unless a restriction says otherwise.
    #[default]
    Open,
}

impl Visibility {
    pub(in crate::session) const ALL: &[(&str, Self)] = &[
        ("private", Self::Private),
        ("visible", Self::Visible),
        ("open", Self::Open),
    ];

    /// The value in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Visible => "visible",
            Self::Open => "open",
        }
    }
}

/// Who may join or read an open session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    /// Users on the device of an active member.
    Local,
    /// Users whom an accepted member follows, and local ones.
    Followed,
    /// Everyone.
    #[default]
    None,
}

impl Restriction {
    pub(in crate::session) const ALL: &[(&str, Self)] = &[
        ("none", Self::None),
        ("local", Self::Local),
        ("followed", Self::Followed),
    ];

    /// The value in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Local => "local",
            Self::Followed => "followed",
        }
    }
}
