//! What is wrong with a file that a person wrote, shown with the place underlined.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use jsonc_parser::ast::{ObjectPropName, Value as Node};
use jsonc_parser::common::Ranged as _;

use crate::contract::json::unescape;
use crate::contract::plain::{self, Plain};

/// A fault of a file: of the suite itself, or of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as the person knows it.
    pub file: String,
    /// Where in the file.
    pub place: Place,
    /// What is wrong, in one line.
    pub message: String,
    /// What was expected there.
    pub expected: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A range of bytes.
    Bytes(Range<usize>),
    /// A value, by JSON Pointer; where it does not exist, the nearest that does.
    Value(String),
    /// The key of a member, by the JSON Pointer of the member.
    Key(String),
}

impl Problem {
    /// Renders the problem with the text it is about; `styled` adds colour.
    pub fn render(&self, text: Option<&str>, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
        let (file, expected) = (Plain(&self.file).to_string(), Plain(&self.expected).to_string());
        let title = Level::ERROR.primary_title(Plain(&self.message).to_string());
        match text.zip(text.and_then(|text| self.range(text))) {
            Some((text, range)) => {
                let mark = AnnotationKind::Primary.span(range).label(expected);
                let source = Snippet::source(plain::same_length(text)).path(file);
                renderer.render(&[title.element(source.annotation(mark))])
            }
            None => {
                let mut line = renderer.render(&[annotate_snippets::Group::with_title(title)]);
                let _ = write!(line, "\n --> {file}");
                if !expected.is_empty() {
                    let _ = write!(line, "\n  = {expected}");
                }
                line
            }
        }
    }

    /// The bytes that the problem is about.
    fn range(&self, text: &str) -> Option<Range<usize>> {
        match &self.place {
            Place::File => None,
            Place::Bytes(range) => {
                let end = text.ceil_char_boundary(range.end);
                Some(text.floor_char_boundary(range.start.min(end))..end)
            }
            Place::Value(pointer) => locate(text, pointer, false),
            Place::Key(pointer) => locate(text, pointer, true),
        }
    }

    /// Line and column of the place, counted from 1; columns in characters.
    pub fn line_column(&self, text: &str) -> Option<(usize, usize)> {
        let start = self.range(text)?.start;
        Some(line_column(text, start))
    }
}

/// Line and column of a byte offset, counted from 1; columns in characters.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The bytes of the value (or of its key) that a JSON Pointer names, or of the nearest one that exists.
pub fn locate(text: &str, pointer: &str, key: bool) -> Option<Range<usize>> {
    let parsed = jsonc_parser::parse_to_ast(
        text,
        &jsonc_parser::CollectOptions::default(),
        &jsonc_parser::ParseOptions::default(),
    );
    let root = parsed.ok()?.value?;
    let mut node = &root;
    let mut range = node.range();
    let mut segments = pointer.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let segment = unescape(segment);
        let (found, name) = match node {
            Node::Object(object) => {
                // The last of several members with one name is the one that counts.
                let property = object
                    .properties
                    .iter()
                    .rev()
                    .find(|property| property_name(&property.name) == segment);
                (
                    property.map(|property| &property.value),
                    property.map(|property| property.name.range()),
                )
            }
            Node::Array(array) => (
                segment.parse().ok().and_then(|index: usize| array.elements.get(index)),
                None,
            ),
            _ => (None, None),
        };
        let Some(found) = found else { break };
        node = found;
        range = match name {
            Some(name) if key && segments.peek().is_none() => name,
            _ => node.range(),
        };
    }
    // Of a long object its first line is shown.
    let end = text
        .get(range.start..range.end)?
        .find('\n')
        .map_or(range.end, |newline| range.start + newline);
    Some(range.start..end)
}

fn property_name<'a>(name: &'a ObjectPropName<'a>) -> &'a str {
    match name {
        ObjectPropName::String(literal) => literal.value.as_ref(),
        ObjectPropName::Word(literal) => literal.value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_within_a_character_is_shown_by_the_character() {
        let problem = Problem {
            file: "a.json".to_owned(),
            place: Place::Bytes(2..4),
            message: "not JSON".to_owned(),
            expected: "from here on".to_owned(),
        };
        assert!(problem.render(Some("{ééé}"), false).contains("{ééé}"));
        assert!(problem.render(Some("{"), false).contains("a.json:1"));
    }
}
