//! The filter language of search queries: the subset of `OData` that is documented, and no more.

mod evaluation;
mod field;
mod lexer;
mod parser;

use thiserror::Error;

use super::super::rules::Rules;

pub(super) use self::evaluation::{Subject, Value};
pub(super) use self::field::{Field, Literal, field};
pub(super) use self::lexer::Token;
pub(super) use self::parser::Parser;

/// A filter, ready to be evaluated.
///
/// Which spellings it accepts beyond the documented ones is said at [`Filter::parse`].
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// One branch, or the two sides of the root's `or`.
    branches: Vec<Branch>,
}

/// What a text is refused for: where, what is there, and what should be there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("column {column}: found {found}, expected {expected}")]
pub struct FilterError {
    /// The offset in bytes.
    pub position: usize,
    /// The character, counted from 1.
    pub column: usize,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

/// Conditions that hold together. Those about the handle can be judged without a look at its session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Branch {
    pub(super) of_handle: Vec<Condition>,
    pub(super) of_session: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
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
pub(super) struct Test {
    pub(super) operator: Operator,
    /// Whether the value is compared in lower case.
    pub(super) lowered: bool,
    pub(super) literal: Literal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Filter {
    /// Reads a filter. Takes time linear in its length; the length and the nesting are bounded.
    ///
    /// Besides the documented spellings it accepts those that older samples use (SRCH-FLT-029, SRCH-FLT-030, CONTRA-16):
    /// any case of letters in keywords and in the fixed parts of paths, `string/x` and `number/x`, `memberXuids` and
    /// `ownerXuids` without `session/`, and tags and strings without `tolower`. The names of attributes and roles are
    /// taken as they are spelt.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::parse_under(text, &Rules::default())
    }

    /// Reads a filter under other rules.
    pub fn parse_under(text: &str, rules: &Rules) -> Result<Self, FilterError> {
        Parser::new(text, rules)?.filter()
    }

    pub(super) fn branches(&self) -> &[Branch] {
        &self.branches
    }
}

impl Branch {
    fn push(&mut self, condition: Condition) {
        let (Condition::One { field, .. } | Condition::Any { field, .. }) = &condition;
        if field.is_of_session() {
            self.of_session.push(condition);
        } else {
            self.of_handle.push(condition);
        }
    }

    /// A user that is a member of every session that meets the branch.
    pub(super) fn member(&self) -> Option<u64> {
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

    fn append(&mut self, other: Self) {
        self.of_handle.extend(other.of_handle);
        self.of_session.extend(other.of_session);
    }
}
