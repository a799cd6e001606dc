//! Who a request speaks for.

/// The authenticated caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The name it has in the configuration.
    pub name: String,
    /// The title it runs, a decimal number in documents (`activeTitleId`).
    pub title_id: u32,
    /// A user, or a service.
    pub kind: PrincipalKind,
}

/// What kind of caller a [`Principal`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrincipalKind {
    /// A signed-in user.
    User(User),
    /// A title's service: it has no xuid, and may act on members and servers of any session.
    Server {
        /// Whether it may still call when it denies itself `Multiplayer.Manage` (AUTH-014).
        has_runtime_access: bool,
    },
}

/// The claims of a user's token, or what a service says of a user for whom it acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The user's id, a decimal string in documents.
    pub xuid: u64,
    /// The gamertag claim, if the token carries one.
    pub gamertag: Option<String>,
    /// The device the user is signed in on; equal for users of one console.
    pub device_id: Option<String>,
    /// Whether the user has the multiplayer privilege.
    pub may_play_multiplayer: bool,
    /// Whether the platform has a strong title identity (`userAuthorizationStyle` is for those without).
    pub has_title_identity: bool,
}

impl Principal {
    /// The user behind this principal; `None` for a server.
    pub(crate) fn user(&self) -> Option<&User> {
        match &self.kind {
            PrincipalKind::User(user) => Some(user),
            PrincipalKind::Server { .. } => None,
        }
    }

    /// The xuid behind this principal; `None` for a server.
    pub(crate) fn xuid(&self) -> Option<u64> {
        self.user().map(|user| user.xuid)
    }

    /// Whether this is a service principal.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self.kind, PrincipalKind::Server { .. })
    }
}
