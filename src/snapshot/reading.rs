//! Canonical text, read back: what was said in a recorded conversation, exchange by exchange.

use crate::replay::label::StepLabel;
use crate::snapshot::parse;

/// What was said in one variant of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Names the variant within its case.
    pub id: String,
    /// The exchanges, in order.
    pub exchanges: Vec<Exchange>,
}

/// A request and its answer, or what went over a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The step of the case.
    pub step: StepLabel,
    /// Who spoke.
    pub speaker: String,
    /// What was said, as the file has it.
    pub text: String,
}

/// One half of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Method and path, or the status.
    pub line: &'a str,
    /// The headers.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body, line by line.
    pub body: Vec<&'a str>,
}

/// The variants of a snapshot file, which has its head still; none where there is nothing to be read. What stands under a
/// heading that names no step is passed over.
pub fn sections(file: &str) -> Vec<Section> {
    let text = parse(file).unwrap_or_default();
    let sections = text.split("\n## ").skip(1).map(|section| {
        let (id, said) = section.split_once('\n').unwrap_or((section, ""));
        let exchanges = said.split("\n### ").skip(1).filter_map(|exchange| {
            let (heading, text) = exchange.split_once('\n').unwrap_or((exchange, ""));
            let (step, speaker) = heading.split_once(": ").unwrap_or((heading, ""));
            Some(Exchange {
                step: step.parse().ok()?,
                speaker: speaker.to_owned(),
                text: text.trim_end().to_owned(),
            })
        });
        Section {
            id: id.to_owned(),
            exchanges: exchanges.collect(),
        }
    });
    sections.collect()
}

impl Exchange {
    /// The request; for a frame all that was said.
    pub fn request(&self) -> Message<'_> {
        let lines = self.text.lines().take_while(|line| !line.starts_with("< "));
        message(lines, "> ")
    }

    /// The answer; a frame has none.
    pub fn response(&self) -> Option<Message<'_>> {
        let lines = self.text.lines().skip_while(|line| !line.starts_with("< "));
        Some(message(lines, "< ")).filter(|message| !message.line.is_empty())
    }

    /// The status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.response()?.line.parse().ok()
    }

    /// Whether it has a header, either way.
    pub fn has_header(&self, name: &str) -> bool {
        let lines = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("> ").or(line.strip_prefix("< ")));
        let mut names = lines.filter_map(|line| Some(line.split_once(": ")?.0));
        names.any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn message<'a>(lines: impl Iterator<Item = &'a str>, mark: &str) -> Message<'a> {
    let mut message = Message::default();
    for line in lines {
        match line.strip_prefix(mark) {
            Some(line) if message.line.is_empty() => message.line = line,
            Some(line) => message.headers.push(line.split_once(": ").unwrap_or((line, ""))),
            None => message.body.push(line.strip_prefix("| ").unwrap_or(line)),
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::label::Part;

    #[test]
    fn what_was_recorded_is_read_back() {
        let file = "---\nsource: x\n---\n# It is so.\n\n## 107\n\n### 1: alice\n> PUT /a\n> If-Match: *\n{\n  \"b\": 1\n}\n\
                    < 404\n< Content-Type: text/plain\n| no: <1>\n\n### 2, 8 at once: several\n> GET /a\n< 204\n\n\
                    ## #row\n\n### 1: bob\n> FRAME bob\n[]\n[\n  1\n]\n";
        let sections = sections(file);
        let [first, row] = sections.as_slice() else {
            panic!("two variants, not {sections:?}")
        };
        assert_eq!(
            (first.id.as_str(), first.exchanges.len(), row.id.as_str()),
            ("107", 2, "#row")
        );
        let put = &first.exchanges[0];
        let (request, response) = (put.request(), put.response().unwrap());
        assert_eq!((request.line, request.headers), ("PUT /a", vec![("If-Match", "*")]));
        assert_eq!(request.body, ["{", "  \"b\": 1", "}"]);
        assert_eq!((put.status(), response.body), (Some(404), vec!["no: <1>"]));
        assert_eq!(
            (first.exchanges[1].step, first.exchanges[1].status()),
            (StepLabel::new(2).with(Part::AtOnce(8)), Some(204))
        );
        let frame = &row.exchanges[0];
        assert!(
            frame.response().is_none() && frame.request().body.len() == 4,
            "{frame:?}"
        );
    }
}
