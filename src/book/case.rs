//! A page for each case: what it is about, and the whole conversation.

use maud::{Markup, html};
use serde_json::Value;

use crate::book::page::{Page, http, verdict};
use crate::book::{Add, Book};
use crate::contract::case::{Case, Script, Step, Variant, chapter_of};
use crate::contract::facts;
use crate::report::Standing;
use crate::report::html::clean;
use crate::snapshot::{Section, sections};

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    for case in book.suite.cases() {
        let page = Page::new(book, format!("cases/{}.html", case.id));
        let said = sections(&book.suite.files().snapshot(&case.id).unwrap_or_default());
        let text = book
            .suite
            .files()
            .get(&format!("cases/{}.json", case.id))
            .unwrap_or_default();
        let name = chapter_of(&case.id);
        let chapter = book.suite.chapters().iter().find(|chapter| chapter.name == name);
        let clauses = case
            .variants
            .iter()
            .flat_map(|variant| variant.clauses.iter().chain(&variant.judged));
        let clauses = facts::once_each(clauses.filter_map(|id| book.suite.clause(id)));
        let body = html! {
            h1 { (page.prose(&case.title)) }
            p.lead {
                "Case " code { (clean(&case.id)) }
                @if let Some(chapter) = chapter { " of " a href=(page.to(&format!("chapters/{name}.html"), "")) { (clean(&chapter.title)) } }
                @if !case.needs.is_empty() { "; needs " (clean(&case.needs.join(", "))) }
                "."
            }
            h2 { "Tested clauses" }
            (page.clause_list(&clauses))
            @if case.variants.len() > 1 { (variants(book, case, text)) } @else if let [variant] = case.variants.as_slice() {
                @if let Some(verdict) = judged(book, variant) { p { "In the run: " (verdict) } }
            }
            h2 { "Exchanges" }
            @if let [only] = said.as_slice() { (exchanges(case, only, None)) } @else {
                @for (place, section) in said.iter().enumerate() {
                    details.variant open[place == 0] {
                        summary { (clean(&case.id)) b { (clean(&section.id)) } }
                        (exchanges(case, section, said.first().filter(|_| place > 0)))
                    }
                }
            }
            @if said.is_empty() { p { "No exchanges are recorded." } }
            details.source {
                summary { "Source of the case" }
                pre { (clean(text)) }
            }
        };
        add(page, &case.title, body);
    }
}

/// The variants, with the values that make them differ.
fn variants(book: &Book<'_>, case: &Case, text: &str) -> Markup {
    let file: Value = serde_json::from_str(text).unwrap_or_default();
    let list = |pointer: &str| {
        file.pointer(pointer)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (columns, rows) = (list("/table/columns"), list("/table/rows"));
    let of = |variant: &Variant| {
        let rows = rows.iter().filter_map(Value::as_array);
        let name = variant
            .id
            .strip_prefix(&case.id)?
            .strip_prefix('#')?
            .split('@')
            .next()?;
        rows.into_iter()
            .find(|row| row.first().and_then(Value::as_str) == Some(name))
            .cloned()
    };
    html! {
        h2 { "Variants" }
        div.scroll { table {
            thead { tr {
                th { "variant" } th { "contract" }
                @for column in columns.iter().skip(1) { th { (word(column)) } }
                @if book.report.is_some() { th { "in the run" } }
            } }
            tbody { @for variant in &case.variants { tr {
                th scope="row" { (clean(variant.id.strip_prefix(&case.id).unwrap_or(&variant.id))) }
                td { (variant.version) }
                @for cell in of(variant).unwrap_or_default().iter().skip(1) { td { code { (word(cell)) } } }
                @if book.report.is_some() { td { @if let Some(verdict) = judged(book, variant) { (verdict) } } }
            } } }
        } }
    }
}

/// A cell of a table.
fn word(cell: &Value) -> String {
    let text = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    clean(&text).into_owned()
}

fn judged(book: &Book<'_>, variant: &Variant) -> Option<Markup> {
    let found = book.verdicts.get(variant.id.as_str())?;
    Some(verdict(Standing::Judged(*found)))
}

/// What was said in a variant; what is the same in the first one is not said again.
fn exchanges(case: &Case, section: &Section, first: Option<&Section>) -> Markup {
    let is_it = |variant: &&Variant| variant.id.strip_prefix(&case.id) == Some(&section.id);
    let variant = case.variants.iter().find(is_it).or(case.variants.first());
    let scripts = case.scripts();
    let script = variant.and_then(|variant| scripts.of(variant));
    let steps: Vec<&Step> = script.into_iter().flat_map(Script::steps).collect();
    html! {
        @for exchange in &section.exchanges {
            @let step = exchange.step.step.checked_sub(1).and_then(|place| steps.get(place));
            h3 { "Step " (exchange.step) ", " (clean(&exchange.speaker)) " " small { (step.copied().map(notes).unwrap_or_default()) } }
            @if first.is_some_and(|first| first.exchanges.contains(exchange)) { p { small { "Same as in the first variant." } } } @else { (http(exchange)) }
        }
    }
}

/// What a step is there for, as far as the exchange does not show it.
fn notes(step: &Step) -> String {
    let mut notes: Vec<String> = Vec::new();
    if step.is_setup {
        notes.push("setup".to_owned());
    }
    if let Some(after) = step.after {
        notes.push(format!("{after} ms later"));
    }
    if let Some(within) = step.within {
        notes.push(format!("repeated for up to {within} ms until it passes"));
    }
    if step.expectations().any(|expect| expect.guarded().is_some()) {
        notes.push("the session must not change".to_owned());
    }
    notes.join("; ")
}
