//! Every format shows whatever text a target sends, and stays well-formed: nothing in it ends a string, a line or a tag early, and
//! nothing steers who shows it.

use std::sync::LazyLock;

use crate::contract::files::Files;
use crate::contract::{Suite, plain};
use crate::replay::label::StepLabel;
use crate::replay::verdict::Verdict;
use crate::report::model::{Exchange, Message, Report, sample};
use crate::report::{FORMATS, github, json, terminal};

/// Texts that a target may send, and what each of them tries.
const TEXTS: &[(&str, &str)] = &[
    ("controls of ASCII", "a\0\u{1}\u{7}\u{8}\u{b}\u{c}\u{1f}\u{7f}b"),
    ("ends of lines", "a\rb\nc\r\nd\u{85}e\u{2028}f\u{2029}g"),
    ("escape sequences", "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31mred\u{1b}[0m"),
    ("escape sequences in one character", "\u{9b}31m\u{9d}0;x\u{9c}\u{90}"),
    (
        "turned directions",
        "\u{202e}abc\u{2066}d\u{2067}\u{2069}\u{200f}\u{61c}",
    ),
    ("noncharacters", "\u{fffe}\u{ffff}\u{fdd0}\u{fdef}\u{1fffe}\u{10ffff}"),
    ("a byte order mark", "\u{feff}a\u{feff}"),
    ("half a surrogate pair", "\u{fffd} \\ud83d"),
    (
        "ends of XML",
        "]]> <![CDATA[ &amp; &#0; </failure></testcase> <?x?> <!-- -->",
    ),
    (
        "ends of HTML",
        "</script><script>alert(1)</script><img src=x onerror=alert(1)> </pre> \" '",
    ),
    (
        "commands of CI systems",
        "a\n::error title=b::c\n##vso[task.complete]\n##[error]\n::stop-commands::d\n%0A%0D",
    ),
    (
        "directives of TAP",
        "x # SKIP y # TODO z\\# \nnot ok 9\nBail out!\n1..0\n  ...\n  ---",
    ),
    ("scalars of YAML", ": - ? | > & * ! % @ ` { } [ ] , \"' yes ~ \\\\ #"),
    ("quotes of shells", "' \" $(id) `id` \\ !! ; & | \n"),
    ("letters of every kind", "é ü 漢字 😀 e\u{301} \u{200d}"),
    ("nothing", ""),
    ("blanks", "   \t  "),
    ("one long line", LONG),
];

/// 4,000 bytes without a blank.
const LONG: &str = {
    const BYTES: [u8; 4000] = [b'x'; 4000];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

static SUITE: LazyLock<Suite> = LazyLock::new(|| Suite::load(Files::embedded()).unwrap());

/// A report in which a text stands wherever a target's own text may.
fn report(text: &str) -> Report {
    let mut report = sample(&[
        ("a/x", Verdict::Fail, &[("status", text)]),
        ("a/y", Verdict::Pass, &[]),
        ("a/z", Verdict::Inconclusive, &[]),
        ("b/x", Verdict::NotApplicable, &[]),
    ]);
    report.target.name = text.to_owned();
    let message = |line: &str| Message {
        line: line.to_owned(),
        headers: vec![("X-A".to_owned(), text.to_owned())],
        body: Some(text.to_owned()),
        raw: Some(text.bytes().chain([0xff, 0xed, 0xa0, 0xbd]).collect()),
    };
    for case in &mut report.cases {
        case.title = text.to_owned();
        case.cause = Some(text.to_owned());
        if case.verdict != Verdict::Pass {
            case.reason = Some(text.to_owned());
        }
        case.conversation = vec![Exchange {
            step: StepLabel::new(1),
            speaker: "alice".to_owned(),
            request: message("PUT /a"),
            response: message("200"),
        }];
    }
    report
}

/// What a person or a program must not meet in a file, apart from line ends and tabs.
fn is_hidden(c: char) -> bool {
    plain::is_steering(c) && !matches!(c, '\n' | '\t')
}

fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

type Render = Box<dyn Fn(&Report) -> String>;

/// What is wrong with a file of a format; `plain` is one of a report with plain text.
fn fault(format: &str, file: &str, plain: &str, text: &str) -> Option<String> {
    if let Some(c) = file.chars().find(|c| is_hidden(*c)) {
        return Some(format!("it has {}", c.escape_default()));
    }
    let count = |text: &str, part: &str| text.matches(part).count();
    let lines = |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    match format {
        "json" => match json::read(file) {
            Ok(read) => (read.cases[0].findings[0].actual != text).then(|| "its message differs".to_owned()),
            Err(reason) => Some(reason),
        },
        "junit" => {
            let mut reader = quick_xml::Reader::from_str(file);
            reader.config_mut().enable_all_checks(true);
            let broken = std::iter::repeat_with(|| reader.read_event())
                .take_while(|event| !matches!(event, Ok(quick_xml::events::Event::Eof)))
                .find_map(Result::err);
            let foreign = file.chars().find(|c| !is_xml(*c));
            let has_more = ["<testcase", "<failure", "<error"]
                .iter()
                .find(|tag| count(file, tag) != count(plain, tag));
            broken
                .map(|error| error.to_string())
                .or(foreign.map(|c| format!("XML has no {}", c.escape_default())))
                .or(has_more.map(|tag| format!("there are more {tag}")))
        }
        "html" => ["<script", "<img", "</pre", "<td", "<li"]
            .iter()
            .find(|tag| count(file, tag) != count(plain, tag))
            .map(|tag| format!("there are more {tag}")),
        "tap" => ["ok ", "not ok", "Bail out", "1..", "TAP"]
            .iter()
            .find(|start| lines(file, start) != lines(plain, start))
            .map(|start| format!("more lines begin with {start:?}")),
        "github" => file
            .lines()
            .find(|line| {
                !["::error ", "::warning ", "::notice "]
                    .iter()
                    .any(|start| line.starts_with(start))
            })
            .map(|line| format!("a line is not an annotation: {line}")),
        _ => None,
    }
}

#[test]
fn every_format_stays_well_formed_whatever_a_target_sends() {
    let mut formats: Vec<(&str, Render)> = Vec::new();
    for format in &FORMATS {
        formats.push((format.name, Box::new(|report| (format.render)(report).unwrap())));
    }
    formats.push(("github", Box::new(github::render)));
    formats.push((
        "terminal",
        Box::new(|report| {
            let styles = terminal::render(report, &SUITE);
            // As it is printed; styles are the program's own.
            let printed = plain::styled(&styles).into_owned();
            printed
                .split('\u{1b}')
                .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest))
                .collect()
        }),
    ));
    let mut wrong = Vec::new();
    for (name, render) in &formats {
        let plain = render(&report("plain"));
        for (what, text) in TEXTS {
            let file = render(&report(text));
            if let Some(fault) = fault(name, &file, &plain, text) {
                wrong.push(format!("{name}, {what}: {fault}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
