//! Text that others wrote, made safe to show: what would steer a terminal is spelt out.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Shows a text on one line, with what is no visible character as `\u{..}`.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(is_steering) {
            return f.pad(self.0);
        }
        for c in self.0.chars() {
            if is_steering(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether a character moves the cursor, begins an escape sequence or turns the direction of what follows.
pub fn is_steering(c: char) -> bool {
    let is_direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_direction
}

/// The same number of bytes in the same lines, so that places in the text stay what they are.
pub fn same_length(text: &str) -> Cow<'_, str> {
    let is_replaced = |c: char| is_steering(c) && c != '\n' && c != '\r' && c != '\t';
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c.len_utf8() {
        _ if !is_replaced(c) => c,
        1 => '?',
        2 => '¿',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\u{9b}2J\r\n\u{7f}\u{202e}z";

    #[test]
    fn nothing_that_steers_a_terminal_is_shown() {
        let shown = Plain(HOSTILE).to_string();
        assert_eq!(shown, r"a\u{1b}[31m\u{9b}2J\r\n\u{7f}\u{202e}z");
        assert_eq!(Plain("plain – ¿ok?").to_string(), "plain – ¿ok?");
    }

    #[test]
    fn places_stay_what_they_are() {
        let shown = same_length(HOSTILE);
        assert_eq!(shown, "a?[31m¿2J\r\n?\u{fffd}z");
        assert_eq!(shown.len(), HOSTILE.len());
    }
}
