//! The index: everything by name, and a search over it where scripts run.

use maud::{Markup, PreEscaped, html};

use crate::book::page::Page;
use crate::book::tables::{codes, header_names};
use crate::book::{Add, Book};
use crate::report::html::clean;

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    let page = Page::new(book, "search.html");
    let suite = book.suite;
    let operations = suite.schemas().operations().operations.iter();
    let operations = operations.flat_map(|path| path.methods.iter().map(move |(verb, method)| (path, verb, method)));
    let fields = book
        .documents
        .iter()
        .flat_map(|(name, fields)| fields.iter().map(move |field| (*name, field)));
    let body = html! {
        h1 { "Index" }
        form #find role="search" hidden {
            input #words type="search" name="q" aria-label="Find an id, a field, a word" placeholder="An id, a field, a word";
            output #shown {}
        }
        (group("Clauses", suite.clauses().iter().map(|clause| html! {
            (page.clause(clause)) " " @for alias in &clause.aliases { small { (clean(alias)) } " " } (clean(&clause.statement.replace('`', "")))
        })))
        (group("Notes", suite.notes().iter().map(|note| html! {
            a href=(page.to(&format!("chapters/{}.html", note.chapter), &note.id)) { (clean(&note.id)) } " " (clean(&note.statement.replace('`', "")))
        })))
        (group("Contradictions", suite.ledger().iter().map(|entry| html! {
            a href=(page.to("contradictions.html", &entry.id)) { (clean(&entry.id)) } " "
            @for alias in &entry.aliases { small { (clean(alias)) } " " } (clean(&entry.topic))
        })))
        (group("Operations", operations.map(|(path, verb, method)| html! {
            (page.operation(&format!("{verb} {}", path.id))) " " code { (clean(&path.path)) } " " (clean(&method.description))
        })))
        (group("Statuses", codes(book).into_iter().map(|code| page.status(code))))
        (group("Headers", header_names(book).into_iter().map(|name| page.header(name))))
        (group("Documents", book.documents.iter().map(|(name, _)| page.document(name, ""))))
        (group("Fields", fields.map(|(name, field)| html! {
            (page.document(name, &field.path)) " " small { "of " (name) } " " (clean(&field.description))
        })))
        (group("Cases", suite.cases().iter().map(|case| html! { (page.case(&case.id)) " " (clean(&case.title)) })))
        script { (PreEscaped(include_str!("finder.js"))) }
    };
    add(page, "Index", body);
}

/// One kind of thing.
fn group(name: &str, entries: impl Iterator<Item = Markup>) -> Markup {
    html! {
        section.group {
            h2 { (name) }
            ul { @for entry in entries { li { (entry) } } }
        }
    }
}
