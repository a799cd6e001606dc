//! Whether a handle and its session are what a filter asks for.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::super::rules::AnyNotEqual;
use super::super::facts::{RoleFacts, SessionFacts};
use super::super::handle::SearchHandle;
use super::condition::{Condition, Operator, Test};
use super::field::{Field, Literal, Measure};

/// What is judged: a handle, and its session if it has been looked at.
#[derive(Clone, Copy)]
pub(in super::super) struct Subject<'s> {
    pub(in super::super) handle: &'s SearchHandle,
    pub(in super::super) session: Option<&'s dyn SessionFacts>,
    pub(in super::super) any_not_equal: AnyNotEqual,
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Value<'v> {
    Text(&'v str),
    Number(f64),
    Time(Timestamp),
    Xuid(u64),
}

impl<'s> Subject<'s> {
    pub(in super::super) fn meets(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| match condition {
            Condition::One { field, test } => test.passes(self.value(field)),
            Condition::Any { field, tests, wanted } => self.any(field, tests) == *wanted,
        })
    }

    /// The value of a field that is no collection, if there is one.
    pub(in super::super) fn value(&self, field: &Field) -> Option<Value<'s>> {
        let attributes = self.handle.attributes();
        Some(match field {
            Field::Language => Value::Text(attributes.language()?),
            Field::String(name) => Value::Text(attributes.strings().get(name)?),
            Field::Number(name) => Value::Number(*attributes.numbers().get(name)?),
            Field::Scid => Value::Text(&self.handle.session().scid),
            Field::TemplateName => Value::Text(&self.handle.session().template_name),
            Field::TitleId => number(self.session?.title_id()?),
            Field::PostedTime => Value::Time(self.handle.created()),
            Field::ScheduledTime => Value::Time(self.session?.scheduled_time()?),
            Field::RegistrationState => Value::Text(self.session?.registration_state()?),
            Field::MembersCount => number(self.session?.members_count()),
            Field::MaxMembersCount => number(self.session?.max_members_count()),
            Field::TargetMembersCount => number(self.session?.target_members_count()?),
            Field::MaxMembersCountRemaining => {
                remaining(self.session?.max_members_count(), self.session?.members_count())
            }
            Field::TargetMembersCountRemaining => {
                remaining(self.session?.target_members_count()?, self.session?.members_count())
            }
            Field::Needs => {
                let session = self.session?;
                let wanted = session
                    .target_members_count()
                    .unwrap_or_else(|| session.max_members_count());
                remaining(wanted, session.members_count())
            }
            Field::Role {
                role_type,
                role,
                measure,
            } => {
                let RoleFacts { count, max, target } = self.session?.role(role_type, role)?;
                match measure {
                    Measure::Count => number(count),
                    Measure::Target => number(target.or(max)?),
                    Measure::Needs => remaining(target.or(max)?, count),
                }
            }
            Field::Tags | Field::AchievementIds | Field::Keywords | Field::MemberXuids | Field::OwnerXuids => {
                return None;
            }
        })
    }

    fn any(&self, field: &Field, tests: &[Test]) -> bool {
        let attributes = self.handle.attributes();
        let words = |list: &[String]| self.some(&list.iter().map(|text| Value::Text(text)), tests);
        let xuids = |list: &[u64]| self.some(&list.iter().map(|xuid| Value::Xuid(*xuid)), tests);
        match (field, self.session) {
            (Field::Tags, _) => words(attributes.tags()),
            (Field::AchievementIds, _) => words(attributes.achievement_ids()),
            (Field::Keywords, Some(session)) => words(session.keywords()),
            (Field::MemberXuids, Some(session)) => xuids(&session.member_xuids()),
            (Field::OwnerXuids, Some(session)) => xuids(&session.owner_xuids()),
            _ => words(&[]),
        }
    }

    /// SRCH-FLT-012: `ne` speaks of the collection, whatever else is asked of its elements.
    fn some<'v>(&self, elements: &(impl Iterator<Item = Value<'v>> + Clone), tests: &[Test]) -> bool {
        let is_collective =
            |test: &&Test| test.operator == Operator::NotEqual && self.any_not_equal == AnyNotEqual::None;
        let mut single = tests.iter().filter(|test| !is_collective(test)).peekable();
        tests
            .iter()
            .filter(is_collective)
            .all(|test| elements.clone().all(|element| test.passes(Some(element))))
            && (single.peek().is_none()
                || elements
                    .clone()
                    .any(|element| single.clone().all(|test| test.passes(Some(element)))))
    }
}

impl Test {
    /// A value that is missing is equal to nothing, neither greater nor less (SRCH-FLT-015).
    fn passes(&self, value: Option<Value<'_>>) -> bool {
        let order = value.and_then(|value| self.order(value));
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }

    /// How the value stands to the literal.
    fn order(&self, value: Value<'_>) -> Option<Ordering> {
        match (value, &self.literal) {
            (Value::Text(text), Literal::Text(literal)) => {
                let text = if self.lowered {
                    Cow::Owned(text.to_lowercase())
                } else {
                    Cow::Borrowed(text)
                };
                Some((*text).cmp(literal.as_str()))
            }
            (Value::Number(number), Literal::Number(literal)) => number.partial_cmp(literal),
            (Value::Time(time), Literal::Time(literal)) => Some(time.cmp(literal)),
            (Value::Xuid(xuid), Literal::Xuid(literal)) => literal.map(|literal| xuid.cmp(&literal)),
            _ => None,
        }
    }
}

/// Counts are far below what floating point holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of members are small")]
fn number<'v>(count: u64) -> Value<'v> {
    Value::Number(count as f64)
}

/// Negative when there are more than wanted.
#[expect(clippy::cast_precision_loss, reason = "counts of members are small")]
fn remaining<'v>(wanted: u64, count: u64) -> Value<'v> {
    Value::Number(wanted as f64 - count as f64)
}
