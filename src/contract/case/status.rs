//! Sets of status codes, as cases write them: a code, a class such as `4xx`, or a list of both.

use std::fmt;

use serde_json::Value;

use crate::contract::json::Item;

/// A set of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Vec<(u16, u16)>);

impl StatusSet {
    /// Whether the set holds a status.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// The status, if there is but one in it.
    pub fn only(&self) -> Option<u16> {
        match self.0.as_slice() {
            [(low, high)] if low == high => Some(*low),
            _ => None,
        }
    }

    /// The number of statuses in it.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(low, high)| usize::from(high - low) + 1).sum()
    }

    /// Whether it holds refusals only.
    pub fn is_refusal(&self) -> bool {
        self.0.iter().all(|(low, high)| *low >= 400 && *high < 500)
    }

    /// Whether it holds successes only.
    pub fn is_success(&self) -> bool {
        self.0.iter().all(|(low, high)| *low >= 200 && *high < 300)
    }

    fn parse(text: &str) -> Option<Vec<(u16, u16)>> {
        match text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()) {
            Some(class @ 1..=5) => Some(vec![(class * 100, class * 100 + 99)]),
            _ => text
                .parse()
                .ok()
                .filter(|code| (100..600).contains(code))
                .map(|code| vec![(code, code)]),
        }
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            if low == high {
                write!(f, "{low}")?;
            } else {
                write!(f, "{}xx", low / 100)?;
            }
        }
        Ok(())
    }
}

/// Reads a status: a code, a class, or a list of both.
pub(in crate::contract) fn read_status(item: Item<'_>) -> Option<StatusSet> {
    let wrong = |item: Item<'_>| {
        item.wrong(
            "expected a status",
            "a code such as `200`, a class such as `\"4xx\"`, or a list of them",
        );
        None
    };
    let single = |item: Item<'_>| match item.value() {
        Value::String(text) => StatusSet::parse(text).or_else(|| wrong(item)),
        Value::Number(code) => StatusSet::parse(&code.to_string()).or_else(|| wrong(item)),
        _ => wrong(item),
    };
    let ranges = match item.value() {
        Value::Array(_) => item.elements(single)?.concat(),
        _ => single(item)?,
    };
    Some(StatusSet(ranges))
}

/// Reads a status or a class of them that is a key.
pub(super) fn read_status_key(key: &str, item: Item<'_>) -> Option<StatusSet> {
    let status = StatusSet::parse(key).map(StatusSet);
    if status.is_none() {
        item.wrong_key(
            format!("`{key}` is not a status"),
            "a code such as `200`, or a class such as `4xx`",
        );
    }
    status
}
