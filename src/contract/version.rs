//! The versions of the contract: callers name one in `X-Xbl-Contract-Version`, and see every session as that version
//! spells it.

use std::fmt;
use std::str::FromStr;

use crate::contract::json::Item;

/// Declares the versions, oldest first: each with its number, and with the oldest version whose documents have the same
/// fields.
macro_rules! versions {
    ($($version:ident = $number:literal spelt as $oldest:ident),+ $(,)?) => {
        /// A version of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ContractVersion {
            $(#[doc = concat!("Version ", $number, ".")] $version),+
        }

        impl ContractVersion {
            /// All versions, oldest first.
            pub const ALL: &[Self] = &[$(Self::$version),+];

            /// Its number.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$version => $number),+
                }
            }

            /// The oldest version whose documents have the same fields: `NAME-104.schema.json` is the document of 104 and
            /// of every version that is spelt like it.
            #[must_use]
            pub const fn spelling(self) -> Self {
                match self {
                    $(Self::$version => Self::$oldest),+
                }
            }
        }
    };
}

versions! {
    V104 = 104 spelt as V104,
    V105 = 105 spelt as V104,
    V107 = 107 spelt as V107,
}

impl ContractVersion {
    /// The version of a case, request or document that names none.
    pub const CURRENT: Self = Self::V107;

    /// The version with a number.
    pub fn of(number: u64) -> Option<Self> {
        let all = Self::ALL.iter().copied();
        all.into_iter().find(|version| u64::from(version.number()) == number)
    }

    /// Whether a service may do without it: it lacks `legacy-versions` then.
    pub fn is_legacy(self) -> bool {
        self < Self::CURRENT
    }

    /// One version for each spelling of the documents, oldest first.
    pub fn spellings() -> impl DoubleEndedIterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(|version| version.spelling() == *version)
    }

    /// All versions whose documents are spelt like this one's, for readers: `104 and 105`.
    pub fn spelt_alike(self) -> String {
        let alike = Self::ALL.iter().filter(|version| version.spelling() == self.spelling());
        listed(alike.copied(), "and")
    }

    /// All versions, for readers: `104, 105 or 107`; the word stands before the last.
    pub fn all_listed(word: &str) -> String {
        listed(Self::ALL.iter().copied(), word)
    }

    /// Reads a version of a case.
    pub(super) fn read(item: Item<'_>) -> Option<Self> {
        let number = item.unsigned()?;
        let version = Self::of(number);
        if version.is_none() {
            item.wrong(
                format!("unknown contract version {number}"),
                format!("expected {}", Self::all_listed("or")),
            );
        }
        version
    }

    /// Reads the versions of a case: a list of them, or `"all"`.
    pub(super) fn read_list(item: Item<'_>) -> Option<Vec<Self>> {
        if item.value() == "all" {
            return Some(Self::ALL.to_vec());
        }
        if item.value().is_string() {
            item.wrong("unknown contract versions", "`\"all\"` or a list of versions goes here");
            return None;
        }
        item.elements(Self::read)
    }
}

impl Default for ContractVersion {
    fn default() -> Self {
        Self::CURRENT
    }
}

impl fmt::Display for ContractVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl FromStr for ContractVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok();
        number
            .and_then(Self::of)
            .ok_or_else(|| format!("expected {}", Self::all_listed("or")))
    }
}

fn listed(versions: impl Iterator<Item = ContractVersion>, word: &str) -> String {
    let mut names: Vec<String> = versions.map(|version| version.to_string()).collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} {word} {last}", names.join(", ")),
        last => last.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_schema_of_a_version_lists_all_of_them() {
        let schema: Value = serde_json::from_str(include_str!("../../schemas/version.schema.json")).unwrap();
        let known: Vec<Value> = ContractVersion::ALL
            .iter()
            .map(|version| version.number().into())
            .collect();
        assert_eq!(schema["enum"], Value::from(known));
    }

    #[test]
    fn versions_are_listed_as_in_a_sentence() {
        let three = [ContractVersion::V104, ContractVersion::V105, ContractVersion::V107];
        assert_eq!(listed(three.into_iter(), "or"), "104, 105 or 107");
        assert_eq!(listed(three.into_iter().take(2), "and"), "104 and 105");
        assert_eq!(listed(three.into_iter().take(1), "and"), "104");
    }
}
