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

use super::super::super::rules::Rules;
use super::field::{Field, Kind, attribute_expected, known};
use super::lexer::{Lexer, Token};
use super::{Branch, Condition, Filter, FilterError, Operator, Test};

/// How deep parentheses may be nested.
const DEEPEST: usize = 32;
const OPERATOR: &str = "a comparison: eq, ne, gt, ge, lt or le";

/// A filter being read: the token at hand, and what follows it.
#[derive(Debug)]
pub(in super::super) struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    start: usize,
    rules: &'t Rules,
}

/// What has been read: one branch, or the two sides of an `or` at an offset.
struct Parsed {
    left: Branch,
    right: Option<(usize, Branch)>,
}

impl<'t> Parser<'t> {
    pub(in super::super) fn new(text: &'t str, rules: &'t Rules) -> Result<Self, FilterError> {
        let mut lexer = Lexer::new(text)?;
        let (token, start) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            start,
            rules,
        })
    }

    /// The whole filter.
    pub(super) fn filter(mut self) -> Result<Filter, FilterError> {
        let parsed = self.disjunction(0)?;
        self.expect(Token::End, "`and`, `or` or the end")?;
        let mut branches = vec![parsed.left];
        branches.extend(parsed.right.map(|(_, branch)| branch));
        Ok(Filter { branches })
    }

    fn disjunction(&mut self, depth: usize) -> Result<Parsed, FilterError> {
        let mut whole = self.conjunction(depth)?;
        while self.at_keyword("or") {
            let at = self.start;
            self.advance()?;
            let other = self.conjunction(depth)?;
            let before = [&whole, &other].into_iter().filter_map(Parsed::or).max();
            if let Some(before) = before {
                if !self.rules.one_or.kept() {
                    continue;
                }
                // SRCH-FLT-005
                return Err(self.error_at(before.max(at), "a second `or`".to_owned(), "at most one in a filter"));
            }
            whole.right = Some((at, other.left));
        }
        Ok(whole)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Parsed, FilterError> {
        let mut whole = self.term(depth)?;
        while self.at_keyword("and") {
            self.advance()?;
            let other = self.term(depth)?;
            let or = whole.or().or(other.or());
            if let Some(at) = or.filter(|_| self.rules.or_is_at_the_root.kept()) {
                // SRCH-FLT-006
                return Err(self.error_at(at, "an `or` below an `and`".to_owned(), "`or` only at the root"));
            }
            whole.left.append(other.left);
        }
        Ok(whole)
    }

    fn term(&mut self, depth: usize) -> Result<Parsed, FilterError> {
        if self.token == Token::Open {
            self.descend(depth)?;
            let inner = self.disjunction(depth + 1)?;
            self.expect(Token::Close, "`and`, `or` or `)`")?;
            return Ok(inner);
        }
        let mut left = Branch::default();
        left.push(self.condition(depth)?);
        Ok(Parsed { left, right: None })
    }

    fn condition(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let Token::Word(word) = self.token else {
            return Err(attribute_expected(self));
        };
        let start = self.start;
        self.advance()?;
        if word.eq_ignore_ascii_case("tolower") && self.token == Token::Open {
            self.advance()?;
            let Token::Word(word) = self.token else {
                return Err(attribute_expected(self));
            };
            let start = self.start;
            self.advance()?;
            let field = known(self, word, start)?.check_single(self, word, start)?;
            self.check_lowering(field.kind(), start)?;
            self.expect(Token::Close, "`)`")?;
            let test = self.test(&field, true)?;
            return Ok(Condition::One { field, test });
        }
        let field = known(self, word, start)?;
        if field.is_collection() {
            return self.any(field, depth);
        }
        let test = self.test(&field, false)?;
        Ok(Condition::One { field, test })
    }

    /// What follows a collection (SRCH-FLT-003, SRCH-FLT-004).
    fn any(&mut self, field: Field, depth: usize) -> Result<Condition, FilterError> {
        self.expect(Token::Slash, "`/any(`")?;
        if !self.at_keyword("any") {
            return Err(self.unexpected("`any(`"));
        }
        self.advance()?;
        self.expect(Token::Open, "`(`")?;
        let (variable, _) = self.word("the name of a variable")?;
        self.expect(Token::Colon, "`:`")?;
        let mut tests = Vec::new();
        self.predicate(&field, variable, depth, &mut tests)?;
        self.expect(Token::Close, "`and` or `)`")?;
        let wanted = match self.operator() {
            None => true,
            Some(_) if !self.rules.any_may_be_compared.kept() => return Err(self.unexpected("`and`, `or` or the end")),
            Some(operator @ (Operator::Equal | Operator::NotEqual)) => {
                self.advance()?;
                let truth = self.at_keyword("true");
                if !truth && !self.at_keyword("false") {
                    return Err(self.unexpected("`true` or `false`"));
                }
                self.advance()?;
                truth == (operator == Operator::Equal)
            }
            Some(_) => return Err(self.unexpected("`eq`, `ne`, `and`, `or` or the end")),
        };
        Ok(Condition::Any { field, tests, wanted })
    }

    fn predicate(
        &mut self,
        field: &Field,
        variable: &str,
        depth: usize,
        tests: &mut Vec<Test>,
    ) -> Result<(), FilterError> {
        loop {
            if self.token == Token::Open {
                self.descend(depth)?;
                self.predicate(field, variable, depth + 1, tests)?;
                self.expect(Token::Close, "`and` or `)`")?;
            } else {
                tests.push(self.element(field, variable)?);
            }
            if self.at_keyword("or") {
                return Err(self.error_at(self.start, "an `or` in `any`".to_owned(), "`or` only at the root"));
            }
            if !self.at_keyword("and") {
                return Ok(());
            }
            self.advance()?;
        }
    }

    fn element(&mut self, field: &Field, variable: &str) -> Result<Test, FilterError> {
        let expected = format!("the variable `{variable}` or `tolower({variable})`");
        let (word, start) = self.word(&expected)?;
        let is_call = self.token == Token::Open;
        if is_call && word.eq_ignore_ascii_case("tolower") {
            self.check_lowering(field.kind(), start)?;
            self.advance()?;
            let (word, start) = self.word(&expected)?;
            self.check_variable(word, start, variable)?;
            self.expect(Token::Close, "`)`")?;
            return self.test(field, true);
        }
        if is_call {
            let expected = "`tolower`, the only function"; // SRCH-FLT-002
            return Err(self.error_at(start, format!("the function `{word}`"), expected));
        }
        self.check_variable(word, start, variable)?;
        self.test(field, false)
    }

    /// What follows a value: the operator and the literal.
    fn test(&mut self, field: &Field, lowered: bool) -> Result<Test, FilterError> {
        let operator = self.operator().ok_or_else(|| self.unexpected(OPERATOR))?;
        self.advance()?;
        let kind = field.kind();
        let mut literal = kind
            .literal(self.token)
            .ok_or_else(|| self.unexpected(kind.expected()))?;
        self.advance()?;
        let folded = field.is_address() && !lowered;
        let folds_literal = folded || lowered && !self.rules.literals_keep_their_case.kept();
        if let (true, super::Literal::Text(text)) = (folds_literal, &mut literal) {
            *text = text.to_lowercase();
        }
        Ok(Test {
            operator,
            lowered: (lowered || folded) && !field.is_kept_lowered(),
            literal,
        })
    }

    fn operator(&self) -> Option<Operator> {
        let Token::Word(word) = self.token else {
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
        Err(self.error_at(start, "an attribute that is no text".to_owned(), "a text for `tolower`"))
    }

    fn check_variable(&self, word: &str, start: usize, variable: &str) -> Result<(), FilterError> {
        if word == variable {
            return Ok(());
        }
        Err(self.error_at(start, Token::Word(word).shown(), &format!("the variable `{variable}`")))
    }

    /// Goes past an opening parenthesis.
    fn descend(&mut self, depth: usize) -> Result<(), FilterError> {
        if depth >= DEEPEST {
            let expected = format!("at most {DEEPEST} parentheses inside each other");
            return Err(self.error_at(self.start, "one more `(`".to_owned(), &expected));
        }
        self.advance()
    }

    pub(in super::super) fn advance(&mut self) -> Result<(), FilterError> {
        (self.token, self.start) = self.lexer.next()?;
        Ok(())
    }

    /// The token at hand.
    pub(in super::super) fn token(&self) -> Token<'t> {
        self.token
    }

    pub(in super::super) fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Goes past `token`, or says that `expected` was.
    pub(in super::super) fn expect(&mut self, token: Token<'_>, expected: &str) -> Result<(), FilterError> {
        if self.token == token {
            self.advance()
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// Goes past a word, and gives it with its offset.
    pub(in super::super) fn word(&mut self, expected: &str) -> Result<(&'t str, usize), FilterError> {
        let Token::Word(word) = self.token else {
            return Err(self.unexpected(expected));
        };
        let start = self.start;
        self.advance()?;
        Ok((word, start))
    }

    pub(in super::super) fn unexpected(&self, expected: &str) -> FilterError {
        self.error_at(self.start, self.token.shown(), expected)
    }

    pub(in super::super) fn error_at(&self, position: usize, found: String, expected: &str) -> FilterError {
        self.lexer.error(position, found, expected.to_owned())
    }
}

impl Parsed {
    fn or(&self) -> Option<usize> {
        self.right.as_ref().map(|(at, _)| *at)
    }
}
