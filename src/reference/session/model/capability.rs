//! What a session can be made capable of.

use serde_json::{Map, Value};

macro_rules! capabilities {
    ($( $Name:ident = $text:literal: $meaning:literal, )+) => {
        /// What a session can be made capable of by its constants.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Capability {
            $( #[doc = $meaning] $Name, )+
        }

        impl Capability {
            pub(in crate::session) const ALL: &[(&str, Capability)] = &[ $( ($text, Capability::$Name), )+ ];

            /// The key in `constants.system.capabilities`.
            pub(crate) const fn name(self) -> &'static str {
                match self { $( Self::$Name => $text, )+ }
            }
        }
    };
}

capabilities! {
    Connectivity = "connectivity": "Members exchange secure device addresses and measure their network.",
    SuppressPresenceActivityCheck = "suppressPresenceActivityCheck": "Absent users stay active.",
    Gameplay = "gameplay": "The session counts for recent players and reputation.",
    Large = "large": "Up to 10000 members, of whom each sees only itself.",
    ConnectionRequiredForActiveMembers = "connectionRequiredForActiveMembers": "Active members need a live connection.",
    CloudCompute = "cloudCompute": "Deprecated.",
    AutoPopulateServerCandidates = "autoPopulateServerCandidates": "The service ranks the servers that members measured.",
    UserAuthorizationStyle = "userAuthorizationStyle": "Open to platforms without a strong title identity.",
    CrossPlay = "crossPlay": "PC and console play together.",
    Broadcast = "broadcast": "A broadcaster and its viewers.",
    Team = "team": "A team of a tournament.",
    Arbitration = "arbitration": "A match of a tournament.",
    HasOwners = "hasOwners": "Some members own the session.",
    Searchable = "searchable": "Search handles may lead here.",
    ClientMatchmaking = "clientMatchmaking": "Clients report the state of matchmaking.",
}

/// The set of capabilities that are true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Capabilities(u16);

impl Capabilities {
    pub(in crate::session) const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    pub(in crate::session) const fn add(&mut self, capability: Capability) {
        self.0 |= 1 << capability as u16;
    }

    /// The object shown in documents: only what is true (SES-CAP-002).
    pub(in crate::session) fn to_json(self) -> Map<String, Value> {
        Capability::ALL
            .iter()
            .filter(|(_, capability)| self.has(*capability))
            .map(|(name, _)| ((*name).to_owned(), Value::Bool(true)))
            .collect()
    }
}
