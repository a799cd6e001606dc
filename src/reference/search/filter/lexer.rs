//! The words of a filter.

use super::error::FilterError;

/// The longest filter, in bytes.
pub(super) const LONGEST: usize = 8 * 1024;
/// How much of a text a message shows, in characters.
const SHOWN: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Token<'t> {
    /// A keyword, a name, a number: whatever stands between blanks and marks.
    Word(&'t str),
    /// What stands between single quotes; a quote inside is doubled still.
    Text(&'t str),
    Open,
    Close,
    Slash,
    Colon,
    Comma,
    End,
}

#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, FilterError> {
        let lexer = Self { text, at: 0 };
        if text.len() > LONGEST {
            let expected = format!("at most {LONGEST}");
            return Err(lexer.error(0, format!("a filter of {} bytes", text.len()), expected));
        }
        Ok(lexer)
    }

    /// The next token and the offset that it starts at.
    pub(super) fn next(&mut self) -> Result<(Token<'t>, usize), FilterError> {
        let rest = self.rest();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        let start = self.at;
        let mark = match trimmed.chars().next() {
            None => return Ok((Token::End, start)),
            Some('\'') => return self.quoted(start),
            Some('(') => Token::Open,
            Some(')') => Token::Close,
            Some('/') => Token::Slash,
            Some(':') => Token::Colon,
            Some(',') => Token::Comma,
            Some(_) => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '/' | ':' | ',' | '\'');
                let (word, _) = trimmed.split_at(trimmed.find(ends).unwrap_or(trimmed.len()));
                self.at += word.len();
                return Ok((Token::Word(word), start));
            }
        };
        self.at += 1;
        Ok((mark, start))
    }

    fn quoted(&mut self, start: usize) -> Result<(Token<'t>, usize), FilterError> {
        let inside = start + 1;
        self.at = inside;
        while let Some(length) = self.rest().find('\'') {
            let end = self.at + length;
            self.at = end + 1;
            if !self.rest().starts_with('\'') {
                return Ok((Token::Text(&self.text[inside..end]), start));
            }
            self.at += 1;
        }
        Err(self.error(
            start,
            "a string that does not end".to_owned(),
            "a closing `'`".to_owned(),
        ))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// What is wrong at the offset `position`.
    pub(super) fn error(&self, position: usize, found: String, expected: String) -> FilterError {
        let before = self.text.get(..position).unwrap_or(self.text);
        FilterError {
            position,
            column: before.chars().count() + 1,
            found,
            expected,
        }
    }
}

impl Token<'_> {
    /// What a message says of it.
    pub(super) fn shown(self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", cut(word)),
            Self::Text(text) => format!("the string '{}'", cut(text)),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Slash => "`/`".to_owned(),
            Self::Colon => "`:`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
