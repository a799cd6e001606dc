//! One page: its frame, its links to others, and the pieces that pages share.

use std::fmt::Write as _;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::book::Book;
use crate::contract::clause::Clause;
use crate::contract::facts::reason;
use crate::report::Standing;
use crate::report::html::clean;
use crate::snapshot::example::Example;
use crate::snapshot::{Exchange, Message};

/// The parts of the book, for the head of every page.
const PARTS: [(&str, &str); 8] = [
    ("index.html", "Chapters"),
    ("operations.html", "Operations"),
    ("documents.html", "Documents"),
    ("statuses.html", "Statuses"),
    ("headers.html", "Headers"),
    ("versions.html", "Versions"),
    ("contradictions.html", "Contradictions"),
    ("search.html", "Index"),
];

/// A page that is being written.
pub(super) struct Page<'b, 'a> {
    pub(super) book: &'b Book<'a>,
    /// Where it stands in the book.
    pub(super) path: String,
    /// The way from there to the top.
    up: String,
}

impl<'b, 'a> Page<'b, 'a> {
    pub(super) fn new(book: &'b Book<'a>, path: impl Into<String>) -> Self {
        let path = path.into();
        let up = "../".repeat(path.matches('/').count());
        Self { book, path, up }
    }

    /// The whole page.
    pub(super) fn render(&self, title: &str, body: &Markup) -> String {
        let part = match self.path.split_once('/') {
            Some(("operations", _)) => "operations.html",
            Some(("documents", _)) => "documents.html",
            Some(_) => "index.html",
            None => &self.path,
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (clean(title)) " · MPSD contract" }
                    link rel="stylesheet" href=(self.to("style.css", ""));
                }
                body.book {
                    a.skip href="#content" { "Skip to content" }
                    header.top {
                        nav aria-label="Site navigation" {
                            @for (file, name) in PARTS {
                                a href=(self.to(file, "")) aria-current=[(file == part).then_some("page")] { (name) } " "
                            }
                        }
                        @if self.path != "search.html" {
                            form role="search" action=(self.to("search.html", "")) {
                                input type="search" name="q" placeholder="Find" aria-label="Find an id, a field, a word";
                            }
                        }
                    }
                    main id="content" { (body) }
                    footer {
                        p { "The contract of the Multiplayer Session Directory, as mpsd-conformance " (env!("CARGO_PKG_VERSION")) " tests it; also as "
                            a href=(self.to("openapi.json", "")) { "OpenAPI" } "." }
                    }
                }
            }
        };
        page.into_string()
    }

    /// A link's address: a file of the book, and a place in it.
    pub(super) fn to(&self, file: &str, place: &str) -> String {
        let mut address = format!("{}{}", self.up, encoded(file));
        if !place.is_empty() {
            let _ = write!(address, "#{}", encoded(place));
        }
        address
    }

    pub(super) fn clause(&self, clause: &Clause) -> Markup {
        html! { a href=(self.to(&format!("chapters/{}.html", clause.chapter), &clause.id)) { (clean(&clause.id)) } }
    }

    /// The clauses of some ids, one after the other.
    pub(super) fn clauses<'i>(&self, ids: impl IntoIterator<Item = &'i String>) -> Markup {
        let clauses = ids.into_iter().filter_map(|id| self.book.suite.clause(id));
        html! { @for clause in clauses { (self.clause(clause)) " " } }
    }

    /// Clauses with what they say.
    pub(super) fn clause_list<'i>(&self, clauses: impl IntoIterator<Item = &'i &'i Clause>) -> Markup {
        html! {
            ul.statements { @for clause in clauses {
                li { (self.clause(clause)) " " (self.grades(clause)) " " (self.prose(&clause.statement)) }
            } }
        }
    }

    /// How binding a clause is, how it is known, and how a target keeps it.
    pub(super) fn grades(&self, clause: &Clause) -> Markup {
        html! {
            span.level { (clause.level.name()) } " "
            span.verdict.(clause.evidence.name()) { (clause.evidence.name()) }
            @if let Some(standing) = self.book.standings.get(clause.id.as_str()) { " " (verdict(*standing)) }
        }
    }

    pub(super) fn case(&self, id: &str) -> Markup {
        html! { a href=(self.to(&format!("cases/{id}.html"), "")) { (clean(id)) } }
    }

    /// A case with its title.
    pub(super) fn case_line(&self, id: &str) -> Markup {
        let title = self.book.cases.get(id).map_or("", |case| case.title.as_str());
        html! { (self.prose(title)) " " small { (self.case(id)) } }
    }

    /// An operation, such as `PUT session`.
    pub(super) fn operation(&self, name: &str) -> Markup {
        let (verb, id) = name.split_once(' ').unwrap_or(("", name));
        html! { a href=(self.to(&format!("operations/{id}.html"), verb)) { (clean(name)) } }
    }

    /// What a body may be.
    pub(super) fn body(&self, schemas: &[String]) -> Markup {
        html! {
            @for (index, name) in schemas.iter().enumerate() {
                @if index > 0 { " or " }
                @match name.as_str() {
                    "none" => "no body",
                    "text" => "a plain-text message",
                    name => (self.document(name, "")),
                }
            }
        }
    }

    /// A document of the contract, or a field of it.
    pub(super) fn document(&self, name: &str, field: &str) -> Markup {
        let words = if field.is_empty() { name } else { field };
        html! { a href=(self.to(&format!("documents/{name}.html"), field)) { code { (clean(words)) } } }
    }

    pub(super) fn status(&self, code: u16) -> Markup {
        html! { a href=(self.to("statuses.html", &code.to_string())) { (code) } " " (reason(code)) }
    }

    pub(super) fn header(&self, name: &str) -> Markup {
        html! { a href=(self.to("headers.html", name)) { (clean(name)) } }
    }

    /// Text of the suite: what stands between backticks is code, and ids are links.
    pub(super) fn prose(&self, text: &str) -> Markup {
        html! {
            @for (index, part) in text.split('`').enumerate() {
                @if index % 2 == 1 { code { (clean(part)) } } @else { (self.linked(part)) }
            }
        }
    }

    fn linked(&self, text: &str) -> Markup {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let mut words: Vec<&str> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest
                .find(|letter| is_part(letter) != is_part(first))
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            words.push(word);
            rest = after;
        }
        html! {
            @for word in words {
                @if let Some(clause) = self.book.suite.clause(word) {
                    a href=(self.to(&format!("chapters/{}.html", clause.chapter), &clause.id)) { (clean(word)) }
                } @else if let Some(note) = self.book.suite.note(word) {
                    a href=(self.to(&format!("chapters/{}.html", note.chapter), &note.id)) { (clean(word)) }
                } @else if let Some(entry) = self.book.suite.ledger_entry(word) {
                    a href=(self.to("contradictions.html", &entry.id)) { (clean(word)) }
                } @else { (clean(word)) }
            }
        }
    }

    /// A real exchange, folded up.
    pub(super) fn example(&self, example: &Example<'_>, is_open: bool) -> Markup {
        let Example { case, exchange } = example;
        html! {
            details.example open[is_open] {
                summary { (clean(&self.heading(exchange))) }
                (http(exchange))
                p.from { "Step " (exchange.step) " of " (self.case(case)) ", sent by " (clean(&exchange.speaker)) "; recorded from the reference." }
            }
        }
    }

    /// What an exchange comes to: `PUT session: 412 Precondition Failed`.
    fn heading(&self, exchange: &Exchange) -> String {
        let Some(status) = exchange.status() else {
            return "On the socket".to_owned();
        };
        let line = exchange.request().line;
        let asked = line.split_once(' ').and_then(|(verb, path)| {
            let operation = self.book.suite.schemas().operation(verb, path)?;
            Some(format!("{verb} {}", operation.path().id))
        });
        format!("{}: {status} {}", asked.as_deref().unwrap_or(line), reason(status))
    }
}

/// A verdict of a run.
pub(super) fn verdict(standing: Standing) -> Markup {
    html! { span.verdict.(standing.name()) { (standing.text()) } }
}

/// An exchange as HTTP, the request beside its answer.
pub(super) fn http(exchange: &Exchange) -> Markup {
    let request = exchange.request();
    let Some(response) = exchange.response() else {
        let line = request.line.replace("FRAME", "On the socket of");
        return html! { pre { (raw(&line, &request)) } };
    };
    let status = response.line.parse().map(reason).unwrap_or_default();
    html! {
        div.sides {
            pre { (raw(&format!("{} HTTP/1.1", request.line), &request)) }
            pre { (raw(&format!("HTTP/1.1 {} {status}", response.line), &response)) }
        }
    }
}

/// A message; quotes stay as they are, of which bodies are full.
fn raw(line: &str, message: &Message<'_>) -> PreEscaped<String> {
    let mut text = format!("<b>{}</b>\n", escaped(line));
    for (name, value) in &message.headers {
        let _ = writeln!(text, "{}: {}", escaped(name), escaped(value));
    }
    if !message.body.is_empty() {
        text.push('\n');
        text.push_str(&escaped(&message.body.join("\n")));
    }
    PreEscaped(text)
}

fn escaped(text: &str) -> String {
    clean(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Text that may stand in an address; a slash stays one.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
