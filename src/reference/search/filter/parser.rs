//! Recursive descent over the tokens of a filter.
//!
//! ```text
//! filter      = disjunction END
//! disjunction = conjunction { "or" conjunction }            at most one "or", at the root
//! conjunction = term { "and" term }
//! term        = "(" disjunction ")" | any [ ("eq" | "ne") ("true" | "false") ] | value operator literal
//! value       = path | "tolower" "(" path ")"
//! any         = path "/" "any" "(" variable ":" predicate ")"
//! predicate   = element { "and" element }
//! element     = "(" predicate ")" | ( variable | "tolower" "(" variable ")" ) operator literal
//! ```

use super::super::super::rules::{NamedTag, Rules};
use super::condition::{Branch, Condition, Operator, Test};
use super::cursor::Cursor;
use super::error::FilterError;
use super::field::{Field, Kind, Literal};
use super::lexer::Token;
use super::path::{attribute_expected, known, single};

/// How deep parentheses may be nested.
const DEEPEST: usize = 32;

const OPERATOR: &str = "a comparison: eq, ne, gt, ge, lt or le";

/// A filter being read.
#[derive(Debug)]
pub(super) struct Parser<'t> {
    cursor: Cursor<'t>,
    rules: &'t Rules,
}

/// What has been read: one branch, or the two sides of an `or` at an offset.
struct Parsed {
    left: Branch,
    right: Option<(usize, Branch)>,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, rules: &'t Rules) -> Result<Self, FilterError> {
        let cursor = Cursor::new(text)?;
        Ok(Self { cursor, rules })
    }

    /// The whole filter: one branch, or the two sides of the root's `or`.
    pub(super) fn branches(mut self) -> Result<Vec<Branch>, FilterError> {
        let parsed = self.disjunction(0)?;
        self.cursor.expect(Token::End, "`and`, `or` or the end")?;
        let mut branches = vec![parsed.left];
        branches.extend(parsed.right.map(|(_, branch)| branch));
        Ok(branches)
    }

    fn disjunction(&mut self, depth: usize) -> Result<Parsed, FilterError> {
        let mut whole = self.conjunction(depth)?;
        while self.cursor.at_keyword("or") {
            let at = self.cursor.start();
            self.cursor.advance()?;
            let other = self.conjunction(depth)?;
            let before = [&whole, &other].into_iter().filter_map(Parsed::or).max();
            if let Some(before) = before {
                if !self.rules.one_or.kept() {
                    continue;
                }
                // SRCH-FLT-005
                return Err(self.cursor.error_at(
                    before.max(at),
                    "a second `or`".to_owned(),
                    "at most one in a filter",
                ));
            }
            whole.right = Some((at, other.left));
        }
        Ok(whole)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Parsed, FilterError> {
        let mut whole = self.term(depth)?;
        while self.cursor.at_keyword("and") {
            self.cursor.advance()?;
            let other = self.term(depth)?;
            let or = whole.or().or(other.or());
            if let Some(at) = or.filter(|_| self.rules.or_is_at_the_root.kept()) {
                // SRCH-FLT-006
                return Err(self
                    .cursor
                    .error_at(at, "an `or` below an `and`".to_owned(), "`or` only at the root"));
            }
            whole.left.append(other.left);
        }
        Ok(whole)
    }

    fn term(&mut self, depth: usize) -> Result<Parsed, FilterError> {
        if self.cursor.token() == Token::Open {
            self.descend(depth)?;
            let inner = self.disjunction(depth + 1)?;
            self.cursor.expect(Token::Close, "`and`, `or` or `)`")?;
            return Ok(inner);
        }
        let mut left = Branch::default();
        left.push(self.condition(depth)?);
        Ok(Parsed { left, right: None })
    }

    fn condition(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let Token::Word(word) = self.cursor.token() else {
            return Err(attribute_expected(&self.cursor));
        };
        let start = self.cursor.start();
        self.cursor.advance()?;
        if word.eq_ignore_ascii_case("tolower") && self.cursor.token() == Token::Open {
            self.cursor.advance()?;
            let Token::Word(word) = self.cursor.token() else {
                return Err(attribute_expected(&self.cursor));
            };
            let start = self.cursor.start();
            self.cursor.advance()?;
            let field = single(
                known(&mut self.cursor, word, start, self.rules)?,
                &self.cursor,
                word,
                start,
            )?;
            self.check_lowering(field.kind(), start)?;
            self.cursor.expect(Token::Close, "`)`")?;
            let test = self.test(&field, true)?;
            return Ok(Condition::One { field, test });
        }
        let field = known(&mut self.cursor, word, start, self.rules)?;
        if field.is_collection() {
            return self.any(field, depth);
        }
        let test = self.test(&field, false)?;
        Ok(Condition::One { field, test })
    }

    /// What follows a collection (SRCH-FLT-003, SRCH-FLT-004).
    fn any(&mut self, field: Field, depth: usize) -> Result<Condition, FilterError> {
        self.cursor.expect(Token::Slash, "`/any(`")?;
        let is_named = field == Field::Tags && self.rules.named_tag == NamedTag::AnyTag;
        if is_named && !self.cursor.at_keyword("any") {
            return self.named_tag(field);
        }
        if !self.cursor.at_keyword("any") {
            return Err(self.cursor.unexpected("`any(`"));
        }
        self.cursor.advance()?;
        self.cursor.expect(Token::Open, "`(`")?;
        let (variable, _) = self.cursor.word("the name of a variable")?;
        self.cursor.expect(Token::Colon, "`:`")?;
        let mut tests = Vec::new();
        self.predicate(&field, variable, depth, &mut tests)?;
        self.cursor.expect(Token::Close, "`and` or `)`")?;
        let wanted = match self.operator() {
            None => true,
            Some(_) if !self.rules.any_may_be_compared.kept() => {
                return Err(self.cursor.unexpected("`and`, `or` or the end"));
            }
            Some(operator @ (Operator::Equal | Operator::NotEqual)) => {
                self.cursor.advance()?;
                let truth = self.cursor.at_keyword("true");
                if !truth && !self.cursor.at_keyword("false") {
                    return Err(self.cursor.unexpected("`true` or `false`"));
                }
                self.cursor.advance()?;
                truth == (operator == Operator::Equal)
            }
            Some(_) => return Err(self.cursor.unexpected("`eq`, `ne`, `and`, `or` or the end")),
        };
        Ok(Condition::Any { field, tests, wanted })
    }

    /// `tags/{name} eq '{tag}'`, a form of the client library's documentation: some tag is equal, in any case (X-57).
    fn named_tag(&mut self, field: Field) -> Result<Condition, FilterError> {
        let (name, start) = self.cursor.word("`any(`")?;
        if self.cursor.token() == Token::Open {
            return Err(self.cursor.error_at(start, Token::Word(name).shown(), "`any(`"));
        }
        let mut test = self.test(&field, false)?;
        if let Literal::Text(text) = &mut test.literal {
            *text = text.to_lowercase();
        }
        Ok(Condition::Any {
            field,
            tests: vec![test],
            wanted: true,
        })
    }

    fn predicate(
        &mut self,
        field: &Field,
        variable: &str,
        depth: usize,
        tests: &mut Vec<Test>,
    ) -> Result<(), FilterError> {
        loop {
            if self.cursor.token() == Token::Open {
                self.descend(depth)?;
                self.predicate(field, variable, depth + 1, tests)?;
                self.cursor.expect(Token::Close, "`and` or `)`")?;
            } else {
                tests.push(self.element(field, variable)?);
            }
            if self.cursor.at_keyword("or") {
                return Err(self.cursor.error_at(
                    self.cursor.start(),
                    "an `or` in `any`".to_owned(),
                    "`or` only at the root",
                ));
            }
            if !self.cursor.at_keyword("and") {
                return Ok(());
            }
            self.cursor.advance()?;
        }
    }

    fn element(&mut self, field: &Field, variable: &str) -> Result<Test, FilterError> {
        let expected = format!("the variable `{variable}` or `tolower({variable})`");
        let (word, start) = self.cursor.word(&expected)?;
        let is_call = self.cursor.token() == Token::Open;
        if is_call && word.eq_ignore_ascii_case("tolower") {
            self.check_lowering(field.kind(), start)?;
            self.cursor.advance()?;
            let (word, start) = self.cursor.word(&expected)?;
            self.check_variable(word, start, variable)?;
            self.cursor.expect(Token::Close, "`)`")?;
            return self.test(field, true);
        }
        if is_call {
            let expected = "`tolower`, the only function"; // SRCH-FLT-002
            return Err(self.cursor.error_at(start, format!("the function `{word}`"), expected));
        }
        self.check_variable(word, start, variable)?;
        self.test(field, false)
    }

    /// What follows a value: the operator and the literal.
    fn test(&mut self, field: &Field, lowered: bool) -> Result<Test, FilterError> {
        let operator = self.operator().ok_or_else(|| self.cursor.unexpected(OPERATOR))?;
        self.cursor.advance()?;
        let kind = field.kind();
        let mut literal = kind
            .literal(self.cursor.token())
            .ok_or_else(|| self.cursor.unexpected(kind.expected()))?;
        self.cursor.advance()?;
        let folded = field.is_address() && !lowered;
        let folds_literal = folded || lowered && !self.rules.literals_keep_their_case.kept();
        if let (true, Literal::Text(text)) = (folds_literal, &mut literal) {
            *text = text.to_lowercase();
        }
        Ok(Test {
            operator,
            lowered: (lowered || folded) && !field.is_kept_lowered(),
            literal,
        })
    }

    fn operator(&self) -> Option<Operator> {
        let Token::Word(word) = self.cursor.token() else {
            return None;
        };
        let ends_count = self.rules.ge_is_no_gt.kept();
        match word.to_ascii_lowercase().as_str() {
            "ge" if !ends_count => Some(Operator::Greater),
            "le" if !ends_count => Some(Operator::Less),
            "eq" => Some(Operator::Equal),
            "ne" => Some(Operator::NotEqual),
            "gt" => Some(Operator::Greater),
            "ge" => Some(Operator::GreaterOrEqual),
            "lt" => Some(Operator::Less),
            "le" => Some(Operator::LessOrEqual),
            _ => None,
        }
    }

    fn check_lowering(&self, kind: Kind, start: usize) -> Result<(), FilterError> {
        if matches!(kind, Kind::Text | Kind::Xuid) {
            return Ok(());
        }
        Err(self.cursor.error_at(
            start,
            "an attribute that is not a string".to_owned(),
            "a string for `tolower`",
        ))
    }

    fn check_variable(&self, word: &str, start: usize, variable: &str) -> Result<(), FilterError> {
        if word == variable {
            return Ok(());
        }
        Err(self
            .cursor
            .error_at(start, Token::Word(word).shown(), &format!("the variable `{variable}`")))
    }

    /// Goes past an opening parenthesis.
    fn descend(&mut self, depth: usize) -> Result<(), FilterError> {
        if depth >= DEEPEST {
            let expected = format!("at most {DEEPEST} parentheses inside each other");
            return Err(self
                .cursor
                .error_at(self.cursor.start(), "one more `(`".to_owned(), &expected));
        }
        self.cursor.advance()
    }
}

impl Parsed {
    fn or(&self) -> Option<usize> {
        self.right.as_ref().map(|(at, _)| *at)
    }
}
