//! Which step of a case an exchange belongs to, as people read it: `2`, `2 before`, `2 #3`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A step, and what sets one of its exchanges apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepLabel {
    /// The number of the step, from 1.
    pub step: usize,
    /// Which exchange of the step.
    pub part: Part,
}

/// Which exchange of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The only one.
    Whole,
    /// The session was read before the step, to see whether it changes.
    Before,
    /// The session was read after the step.
    After,
    /// A request of an earlier step was sent again.
    Again,
    /// One of several requests at once, from 1.
    Copy(usize),
    /// Several requests at once, in one: so many.
    AtOnce(usize),
}

impl StepLabel {
    /// The label of a step's only exchange.
    pub fn new(step: usize) -> Self {
        let part = Part::Whole;
        Self { step, part }
    }

    /// The same step, and another of its exchanges.
    #[must_use]
    pub fn with(self, part: Part) -> Self {
        Self { part, ..self }
    }
}

impl fmt::Display for StepLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        match self.part {
            Part::Whole => write!(f, "{step}"),
            Part::Before => write!(f, "{step} before"),
            Part::After => write!(f, "{step} after"),
            Part::Again => write!(f, "{step} again"),
            Part::Copy(copy) => write!(f, "{step} #{copy}"),
            Part::AtOnce(count) => write!(f, "{step}, {count} at once"),
        }
    }
}

impl FromStr for StepLabel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (step, rest) = text.split_at(end);
        let count = |start: &str, end: &str| rest.strip_prefix(start)?.strip_suffix(end)?.parse().ok();
        let part = match rest {
            "" => Some(Part::Whole),
            " before" => Some(Part::Before),
            " after" => Some(Part::After),
            " again" => Some(Part::Again),
            _ => count(" #", "")
                .map(Part::Copy)
                .or_else(|| count(", ", " at once").map(Part::AtOnce)),
        };
        match (step.parse(), part) {
            (Ok(step), Some(part)) => Ok(Self { step, part }),
            _ => Err(format!(
                "expected a step such as `2`, `2 before` or `2 #3`, found `{text}`"
            )),
        }
    }
}

impl Serialize for StepLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_keeps_its_text() {
        let label = StepLabel::new(12);
        let texts = [
            (label, "12"),
            (label.with(Part::Before), "12 before"),
            (label.with(Part::After), "12 after"),
            (label.with(Part::Again), "12 again"),
            (label.with(Part::Copy(3)), "12 #3"),
            (label.with(Part::AtOnce(8)), "12, 8 at once"),
        ];
        for (label, text) in texts {
            assert_eq!(label.to_string(), text);
            assert_eq!(text.parse(), Ok(label));
        }
        for text in ["", "before", "2before", "2 #", "2 # 3", "2, at once"] {
            assert!(text.parse::<StepLabel>().is_err(), "{text}");
        }
    }
}
