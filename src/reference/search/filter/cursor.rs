//! The token at hand, and going past it.

use super::error::FilterError;
use super::lexer::{Lexer, Token};

/// A text being read: the token at hand, and what follows it.
#[derive(Debug)]
pub(in super::super) struct Cursor<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    start: usize,
}

impl<'t> Cursor<'t> {
    pub(in super::super) fn new(text: &'t str) -> Result<Self, FilterError> {
        let mut lexer = Lexer::new(text)?;
        let (token, start) = lexer.next()?;
        Ok(Self { lexer, token, start })
    }

    pub(in super::super) fn advance(&mut self) -> Result<(), FilterError> {
        (self.token, self.start) = self.lexer.next()?;
        Ok(())
    }

    /// The token at hand.
    pub(in super::super) fn token(&self) -> Token<'t> {
        self.token
    }

    /// The offset of the token at hand.
    pub(super) fn start(&self) -> usize {
        self.start
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
