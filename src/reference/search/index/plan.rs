//! The cheapest way to the handles that may meet some conditions.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::super::filter::{Condition, Field, Literal, Operator, Test};
use super::super::order::Number;
use super::shelf::{Row, Scale, Shelf, Slot};

/// How far a range is counted. Longer ones are taken for half of their scale.
const COUNTED: usize = 4096;

/// A way through a shelf that misses no handle which meets the conditions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'s> {
    /// No handle can.
    Nowhere,
    /// In the order of slots.
    Row(&'s Row),
    /// Those with this number, in the order of slots.
    Equal(&'s Scale, Number),
    /// Those between two places, neither of which is taken, by number.
    Range(&'s Scale, (Number, Slot), (Number, Slot)),
}

/// What the conditions on one number leave of its scale, ends excluded.
#[derive(Clone, Copy)]
struct Span {
    from: (Number, Slot),
    to: (Number, Slot),
}

/// The cheapest way. `wanted` is how many handles are needed, if a way in the order of slots may end early; else all are.
pub(super) fn path<'s>(shelf: &'s Shelf, conditions: &[Condition], wanted: Option<usize>) -> Path<'s> {
    let mut ways = vec![(Path::Row(&shelf.all), shelf.all.len())];
    let mut spans: BTreeMap<&str, Span> = BTreeMap::new();
    for condition in conditions {
        match condition {
            Condition::One {
                field: Field::Number(name),
                test,
            } => {
                if let Literal::Number(number) = test.literal {
                    spans
                        .entry(name)
                        .or_insert(Span::WHOLE)
                        .narrow(test.operator, Number::new(number));
                }
            }
            Condition::One {
                field: Field::String(name),
                test,
            } => {
                if let Some(text) = equal(test) {
                    ways.push(row(shelf.strings.get(name).and_then(|values| values.get(&text))));
                }
            }
            Condition::One {
                field: Field::Language,
                test,
            } => {
                ways.extend(equal(test).map(|text| row(shelf.languages.get(&text))));
            }
            Condition::Any {
                field,
                tests,
                wanted: true,
            } => {
                let rows = match field {
                    Field::Tags => &shelf.tags,
                    Field::AchievementIds => &shelf.achievement_ids,
                    _ => continue,
                };
                ways.extend(tests.iter().filter_map(equal).map(|text| row(rows.get(&text))));
            }
            Condition::One { .. } | Condition::Any { .. } => {}
        }
    }
    for (name, span) in spans {
        // A span that is whole still comes from `ne`, which the lack of a number meets.
        if !span.is_whole() {
            ways.push(
                shelf
                    .numbers
                    .get(name)
                    .map_or((Path::Nowhere, 0), |scale| span.way(scale)),
            );
        }
    }
    let total = real(shelf.all.len()).max(1.0);
    let expected: f64 = ways.iter().map(|(_, length)| real(*length) / total).product::<f64>() * total;
    let cost = |(path, length): &(Path<'_>, usize)| match (path, wanted) {
        (Path::Nowhere, _) => 0.0,
        (Path::Row(_) | Path::Equal(..), Some(wanted)) => real(*length) * (real(wanted) / expected).min(1.0),
        (Path::Row(_) | Path::Equal(..) | Path::Range(..), None) => real(*length),
        // It is collected whole, and sorted.
        (Path::Range(..), Some(_)) => real(*length) * 2.0,
    };
    let cheapest = ways.iter().min_by(|one, other| cost(one).total_cmp(&cost(other)));
    cheapest.map_or(Path::Nowhere, |(path, _)| *path)
}

/// The key of the row whose handles alone can pass a test.
fn equal(test: &Test) -> Option<String> {
    match (&test.literal, test.operator) {
        (Literal::Text(value), Operator::Equal) => Some(value.to_lowercase()),
        _ => None,
    }
}

fn row(row: Option<&Row>) -> (Path<'_>, usize) {
    row.map_or((Path::Nowhere, 0), |row| (Path::Row(row), row.len()))
}

impl Span {
    const WHOLE: Self = Self {
        from: (Number(f64::NEG_INFINITY), Slot::FIRST),
        to: (Number(f64::INFINITY), Slot::LAST),
    };

    fn is_whole(&self) -> bool {
        self.from == Self::WHOLE.from && self.to == Self::WHOLE.to
    }

    /// No handle has the first or the last slot, so that they lie just before and after all of a number.
    fn narrow(&mut self, operator: Operator, number: Number) {
        let (before, after) = ((number, Slot::FIRST), (number, Slot::LAST));
        match operator {
            Operator::Equal => {
                self.from = self.from.max(before);
                self.to = self.to.min(after);
            }
            Operator::NotEqual => {}
            Operator::Greater => self.from = self.from.max(after),
            Operator::GreaterOrEqual => self.from = self.from.max(before),
            Operator::Less => self.to = self.to.min(before),
            Operator::LessOrEqual => self.to = self.to.min(after),
        }
    }

    fn way(self, scale: &Scale) -> (Path<'_>, usize) {
        // A range from behind its end is no range.
        if self.from >= self.to {
            return (Path::Nowhere, 0);
        }
        let range = scale.range((Bound::Excluded(self.from), Bound::Excluded(self.to)));
        let counted = range.take(COUNTED).count();
        let length = if counted < COUNTED {
            counted
        } else {
            COUNTED.max(scale.len() / 2)
        };
        let path = if self.from.0 == self.to.0 {
            Path::Equal(scale, self.from.0)
        } else {
            Path::Range(scale, self.from, self.to)
        };
        (path, length)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn real(count: usize) -> f64 {
    count as f64
}
