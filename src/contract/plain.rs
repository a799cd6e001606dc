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

/// A number with its noun: `1 case`, `2 cases`, `2 entries`.
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// Whether a character moves the cursor, begins an escape sequence or turns the direction of what follows.
pub fn is_steering(c: char) -> bool {
    let is_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_line = matches!(c, '\u{2028}' | '\u{2029}');
    // They are no characters, and XML has no place for some of them.
    let is_none = matches!(c, '\u{feff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}');
    c.is_control() || is_direction || is_line || is_none
}

/// Shows a text in its lines, with all else that is no visible character as `\u{..}`: for files that others show.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| is_steering(c) && !matches!(c, '\n' | '\t');
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// JSON with an escape for each character that would steer whoever shows it; it says the same.
pub fn in_json(json: String) -> String {
    // Such characters are in strings alone, and those of ASCII are escaped there already; what is left are ends of lines.
    let is_hidden = |c: char| is_steering(c) && !c.is_ascii_control() || c == '\u{7f}';
    if !json.contains(is_hidden) {
        return json;
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            // All of them are of one unit. Writing to a string cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same number of bytes in the same lines, so that places in the text stay what they are.
pub fn same_length(text: &str) -> Cow<'_, str> {
    if text.contains(is_replaced) {
        Cow::Owned(text.chars().map(replaced).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same where the text has styles of its own: they stay, and no other sequence does.
pub fn styled(text: &str) -> Cow<'_, str> {
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let kept = style_length(rest).unwrap_or_default();
        match rest.split_at_checked(kept) {
            Some((style, after)) if kept > 0 => {
                shown.push_str(style);
                rest = after;
            }
            _ => {
                shown.push(replaced(c));
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    Cow::Owned(shown)
}

/// The bytes of the style that a text begins with.
fn style_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters
        .get(end..)?
        .starts_with('m')
        .then_some("\u{1b}[".len() + end + 1)
}

fn is_replaced(c: char) -> bool {
    is_steering(c) && !matches!(c, '\n' | '\r' | '\t')
}

/// What is shown instead of a character, in as many bytes.
fn replaced(c: char) -> char {
    match c.len_utf8() {
        _ if !is_replaced(c) => c,
        1 => '?',
        2 => '¿',
        _ => '\u{fffd}',
    }
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
    fn styles_stay_and_nothing_else_does() {
        assert_eq!(
            styled("\u{1b}[1;31mFAIL\u{1b}[0m a\nb"),
            "\u{1b}[1;31mFAIL\u{1b}[0m a\nb"
        );
        assert_eq!(
            styled("\u{1b}[31mé\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}\u{1b}[3"),
            "\u{1b}[31mé?[2J?]0;x?¿?[3"
        );
    }

    #[test]
    fn places_stay_what_they_are() {
        let shown = same_length(HOSTILE);
        assert_eq!(shown, "a?[31m¿2J\r\n?\u{fffd}z");
        assert_eq!(shown.len(), HOSTILE.len());
    }
}
