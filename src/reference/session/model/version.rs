//! The contract versions that the service supports.

/// A version of the contract that requests and templates may be written in; 104 and 105 have the same names (VER-005).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ContractVersion {
    /// 104.
    V104 = 104,
    /// 105.
    V105 = 105,
    /// 107.
    V107 = 107,
}

impl ContractVersion {
    /// All versions, oldest first.
    pub(crate) const ALL: [Self; 3] = [Self::V104, Self::V105, Self::V107];

    /// The number in the header.
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }

    /// The version with a number.
    pub(crate) fn of(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| u64::from(version.number()) == number)
    }

    /// Whether the version has the names of before 107 (`timeouts`, `managedInitialization`).
    pub(in crate::session) fn has_old_names(self) -> bool {
        self < Self::V107
    }

    /// All versions, for messages: `104, 105, 107`.
    pub(crate) fn listed() -> String {
        Self::ALL.map(|version| version.number().to_string()).join(", ")
    }
}
