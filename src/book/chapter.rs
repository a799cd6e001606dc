//! A page for each chapter: its clauses, with all that is known of them.

use maud::{Markup, html};

use crate::book::page::Page;
use crate::book::{Add, Book};
use crate::contract::clause::{Clause, LedgerEntry};
use crate::contract::facts;
use crate::report::html::clean;
use crate::snapshot::example;

/// The most links of a kind that are shown unfolded.
const FEW: usize = 6;

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    let chapters = book.suite.chapters();
    for (place, chapter) in chapters.iter().enumerate() {
        let page = Page::new(book, format!("chapters/{}.html", chapter.name));
        let clauses = book.clauses(&chapter.name);
        let beside = |place: Option<usize>| place.and_then(|place| chapters.get(place));
        let body = html! {
            h1 { (clean(&chapter.title)) }
            p.lead { (page.prose(&chapter.about)) }
            nav.matrix aria-label="Clauses of the chapter" {
                @for clause in &clauses {
                    @let colour = book.standings.get(clause.id.as_str()).map_or(clause.evidence.name(), |standing| standing.name());
                    a class=(colour) href=(page.to(&page.path, &clause.id)) { (clean(&clause.id)) } " "
                }
            }
            @for clause in &clauses { (article(&page, clause)) }
            (notes(&page, &chapter.name))
            nav.beside aria-label="Previous and next chapter" {
                @if let Some(chapter) = beside(place.checked_sub(1)) {
                    a href=(page.to(&format!("chapters/{}.html", chapter.name), "")) rel="prev" { "← " (clean(&chapter.title)) }
                }
                " "
                @if let Some(chapter) = beside(place.checked_add(1)) {
                    a href=(page.to(&format!("chapters/{}.html", chapter.name), "")) rel="next" { (clean(&chapter.title)) " →" }
                }
            }
        };
        add(page, &chapter.title, body);
    }
}

fn article(page: &Page<'_, '_>, clause: &Clause) -> Markup {
    let book = page.book;
    let id = clause.id.as_str();
    let cases = book.cases_of(clause);
    html! {
        article.clause id=(id) {
            @for alias in &clause.aliases { span id=(alias) {} }
            h2 { a href=(page.to(&page.path, id)) { (clean(id)) } " " (page.grades(clause)) }
            p.statement { (page.prose(&clause.statement)) }
            dl.facts {
                @for citation in &clause.sources { dt { "Source" } dd { (clean(&book.suite.sources().cite(citation))) } }
                dt { "Evidence" } dd { (clause.evidence.name()) ": " (clause.evidence.meaning()) }
                @if !clause.aliases.is_empty() { dt { "Also" } dd { (clean(&clause.aliases.join(", "))) } }
                @if let Some(reason) = &clause.untestable { dt { "Untestable" } dd { (page.prose(reason)) } }
                @for entry in contradictions(book, clause) { dt { "Disputed" } dd { (disputed(page, entry)) } }
                @if let Some(answers) = book.answers.get(id) {
                    dt { "Decides" } dd { (folded(answers, "responses", |(operation, status)| html! { (status) " of " (page.operation(operation)) })) }
                }
                @let fields = fields(book, clause);
                @if !fields.is_empty() {
                    dt { "Fields" } dd { (folded(&fields, "fields", |(document, path)| html! { (page.document(document, path)) " of " (clean(document)) })) }
                }
                @for invariant in facts::invariants(book.suite, clause) { dt { "Every response" } dd { (page.prose(&invariant.about)) } }
                @if !cases.is_empty() { dt { "Cases" } dd { (folded(cases, "cases", |case| page.case_line(case))) } }
                @if let Some(faults) = book.faults.get(id) {
                    dt { "Faults" } dd { details {
                        summary { (faults.len()) " that break it, each detected" }
                        ul { @for fault in faults { li { (page.prose(&fault.text)) } } }
                    } }
                } @else if let Some(reason) = book.unproven.get(id) {
                    dt { "Faults" } dd { "no fault breaks it: " (page.prose(reason)) }
                }
            }
            @if let Some(example) = example::example_of(book.suite, clause, cases) { (page.example(&example, false)) }
        }
    }
}

/// A few things as a list; of many only how many there are, until it is unfolded.
/// Facts that are not tested, apart from the clauses.
fn notes(page: &Page<'_, '_>, chapter: &str) -> Markup {
    let suite = page.book.suite;
    let notes = suite.notes().iter().filter(|note| note.chapter == chapter);
    let notes: Vec<_> = notes.collect();
    html! {
        @if !notes.is_empty() {
            section.notes {
                h2 id="notes" { "Notes" }
                p { "Facts about clients and titles, and points that are not specified. They are not tested." }
                dl.facts { @for note in notes {
                    dt id=(note.id) { (clean(&note.id)) }
                    dd { (page.prose(&note.statement)) " " small { (note.evidence.name()) ", " (clean(&suite.sources().cite_all(&note.sources))) } }
                } }
            }
        }
    }
}

fn folded<T>(things: &[T], name: &str, show: impl Fn(&T) -> Markup) -> Markup {
    let list = html! { ul { @for thing in things { li { (show(thing)) } } } };
    html! {
        @if things.len() <= FEW { (list) } @else { details { summary { (things.len()) " " (name) } (list) } }
    }
}

/// The contradictions that a clause takes part in.
fn contradictions<'b>(book: &'b Book<'_>, clause: &Clause) -> impl Iterator<Item = &'b LedgerEntry> {
    let own = clause.contested.as_deref().and_then(|id| book.suite.ledger_entry(id));
    let is_named = |entry: &&LedgerEntry| {
        let mut named = entry.clauses.iter().filter_map(|id| book.suite.clause(id));
        own.is_none_or(|own| own.id != entry.id) && named.any(|named| named.id == clause.id)
    };
    let others: Vec<&LedgerEntry> = book.suite.ledger().iter().filter(is_named).collect();
    own.into_iter().chain(others)
}

fn disputed(page: &Page<'_, '_>, entry: &LedgerEntry) -> Markup {
    html! {
        a href=(page.to("contradictions.html", &entry.id)) { (clean(&entry.id)) } " " (page.prose(&entry.topic)) ":"
        ul { @for reading in &entry.readings { li { b { (clean(&reading.key)) } " " (page.prose(&reading.statement)) } } }
    }
}

/// The fields that name a clause: the document and the path.
fn fields<'b>(book: &'b Book<'_>, clause: &Clause) -> Vec<(&'b str, &'b str)> {
    let all = book
        .documents
        .iter()
        .flat_map(|(name, fields)| fields.iter().map(move |field| (*name, field)));
    let is_it = |id: &String| book.suite.clause(id).is_some_and(|found| found.id == clause.id);
    let named = all.filter(|(_, field)| field.clause.as_ref().is_some_and(is_it));
    named.map(|(name, field)| (name, field.path.as_str())).collect()
}
