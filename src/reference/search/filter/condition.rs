//! A filter as it is evaluated: branches of conditions, each a test of a field.

use super::field::{Field, Literal};

/// Conditions that hold together. Those about the handle can be judged without a look at its session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Branch {
    pub(in super::super) of_handle: Vec<Condition>,
    pub(in super::super) of_session: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Condition {
    /// One value passes a test.
    One { field: Field, test: Test },
    /// Some element of a collection passes all tests, or, if not `wanted`, none does.
    Any {
        field: Field,
        tests: Vec<Test>,
        wanted: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Test {
    pub(in super::super) operator: Operator,
    /// Whether the value is compared in lower case.
    pub(in super::super) lowered: bool,
    pub(in super::super) literal: Literal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Branch {
    pub(super) fn push(&mut self, condition: Condition) {
        let (Condition::One { field, .. } | Condition::Any { field, .. }) = &condition;
        if field.is_of_session() {
            self.of_session.push(condition);
        } else {
            self.of_handle.push(condition);
        }
    }

    /// A user that is a member of every session that meets the branch.
    pub(in super::super) fn member(&self) -> Option<u64> {
        self.of_session.iter().find_map(|condition| match condition {
            Condition::Any {
                field: Field::MemberXuids | Field::OwnerXuids,
                tests,
                wanted: true,
            } => tests.iter().find_map(|test| match (test.operator, &test.literal) {
                (Operator::Equal, Literal::Xuid(xuid)) => *xuid,
                _ => None,
            }),
            _ => None,
        })
    }

    pub(super) fn append(&mut self, other: Self) {
        self.of_handle.extend(other.of_handle);
        self.of_session.extend(other.of_session);
    }
}
