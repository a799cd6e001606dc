//! The filter language of search queries: the subset of `OData` that is documented, and no more.

mod condition;
mod cursor;
mod error;
mod evaluation;
mod field;
mod lexer;
mod parser;
mod path;

pub(super) use self::condition::{Branch, Condition, Operator, Test};
pub(super) use self::cursor::Cursor;
pub use self::error::FilterError;
pub(super) use self::evaluation::{Subject, Value};
pub(super) use self::field::{Field, Literal};
pub(super) use self::lexer::Token;
use self::parser::Parser;
pub(super) use self::path::{field, single};
use super::super::rules::Rules;

/// A filter, ready to be evaluated.
///
/// Which spellings it accepts beyond the documented ones is said at [`Filter::parse`].
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// One branch, or the two sides of the root's `or`.
    branches: Vec<Branch>,
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
        let branches = Parser::new(text, rules)?.branches()?;
        Ok(Self { branches })
    }

    pub(super) fn branches(&self) -> &[Branch] {
        &self.branches
    }
}
