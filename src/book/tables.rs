//! The pages that gather one kind of thing: statuses, headers, contract versions, contradictions.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::book::page::Page;
use crate::book::{Add, Book};
use crate::contract::clause::LedgerEntry;
use crate::contract::facts;
use crate::contract::schemas::Field;
use crate::contract::version::ContractVersion;
use crate::report::html::clean;
use crate::snapshot::example;

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    statuses(book, add);
    headers(book, add);
    versions(book, add);
    contradictions(book, add);
}

/// The status codes of the contract.
pub(super) fn codes(book: &Book<'_>) -> BTreeSet<u16> {
    let table = book.suite.schemas().operations();
    let methods = table.operations.iter().flat_map(|path| path.methods.values());
    let own = methods.flat_map(|method| method.responses.keys());
    table.responses.keys().chain(own).copied().collect()
}

/// The headers of the contract.
pub(super) fn header_names<'b>(book: &'b Book<'_>) -> BTreeSet<&'b str> {
    let schemas = book.suite.schemas();
    let asked = schemas.operations().request_headers.keys();
    asked.chain(schemas.response_headers()).map(String::as_str).collect()
}

fn statuses(book: &Book<'_>, add: &mut Add<'_>) {
    let page = Page::new(book, "statuses.html");
    let body = html! {
        h1 { "Status codes" }
        p.lead { "What each status means, which operations return it, and the clauses that define when. The messages of error responses are not specified." }
        @for status in codes(book).into_iter().filter_map(|code| facts::status(book.suite, code)) {
            section id=(status.code) {
                h2 { a href=(page.to(&page.path, &status.code.to_string())) { (status.code) } " " (facts::reason(status.code)) }
                dl.facts {
                    @if let Some(schemas) = status.common { dt { "Any operation" } dd { (page.body(schemas)) } }
                    @for (schemas, operations) in &status.answers {
                        dt { (page.body(schemas)) }
                        dd { @for (index, operation) in operations.iter().enumerate() { @if index > 0 { ", " } (page.operation(operation)) } }
                    }
                }
                (page.clause_list(&status.clauses))
                @let cases: Vec<&str> = status.clauses.iter().flat_map(|clause| book.cases_of(clause)).copied().collect();
                @if let Some(example) = example::example(book.suite, &cases, |exchange| exchange.status() == Some(status.code)) {
                    (page.example(&example, false))
                }
            }
        }
    };
    add(page, "Status codes", body);
}

fn headers(book: &Book<'_>, add: &mut Add<'_>) {
    let page = Page::new(book, "headers.html");
    let body = html! {
        h1 { "Headers" }
        p.lead { "Headers of MPSD requests and responses, except for the general ones. Their names are case-insensitive." }
        @for header in header_names(book).into_iter().filter_map(|name| facts::header(book.suite, name)) {
            section id=(header.name) {
                h2 { a href=(page.to(&page.path, header.name)) { (clean(header.name)) } }
                dl.facts {
                    @if let Some(about) = header.asked { dt { "In requests" } dd { (page.prose(about)) } }
                    @if let Some(field) = &header.answered {
                        dt { "In responses" }
                        dd { (page.prose(&field.description)) @if let Some(unit) = &field.unit { " Unit: " (clean(unit)) "." } }
                    }
                }
                (page.clause_list(&header.clauses))
                @let cases: Vec<&str> = header.clauses.iter().flat_map(|clause| book.cases_of(clause)).copied().collect();
                @if let Some(example) = example::example(book.suite, &cases, |exchange| exchange.has_header(header.name)) {
                    (page.example(&example, false))
                }
            }
        }
    };
    add(page, "Headers", body);
}

fn versions(book: &Book<'_>, add: &mut Add<'_>) {
    let mut variants: BTreeMap<ContractVersion, usize> = BTreeMap::new();
    for variant in book.suite.cases().iter().flat_map(|case| &case.variants) {
        *variants.entry(variant.version).or_default() += 1;
    }
    let page = Page::new(book, "versions.html");
    let schemas = book.suite.schemas();
    let older =
        ContractVersion::spellings().filter(|version| version.spelling() != ContractVersion::CURRENT.spelling());
    let pairs = older.flat_map(|version| {
        let suffix = format!("-{version}");
        schemas.names().filter_map(move |older| {
            let name = older.strip_suffix(&suffix)?;
            Some((version, name, older, schemas.resolve(name, ContractVersion::CURRENT)?))
        })
    });
    let clauses = book.suite.clauses().iter();
    let clauses: Vec<_> = clauses
        .filter(|clause| {
            variants
                .keys()
                .any(|version| facts::mentions(&clause.statement, &version.to_string()))
        })
        .collect();
    let body = html! {
        h1 { "Contract versions" }
        p.lead { "A caller chooses a contract version with " (page.header("X-Xbl-Contract-Version")) ", and gets every session in that version, regardless of the version that wrote it. "
            @for (index, (version, count)) in variants.iter().enumerate() {
                @if index > 0 { ", " } (count) " cases use " (version)
            } "." }
        h2 { "Fields" }
        p { "Fields that differ between the documents of two contract versions." }
        @for (version, name, older, newer) in pairs {
            h3 { (clean(name.replace("-parts", "").as_str())) }
            (differences(&page, version, &schemas.fields(older), &schemas.fields(newer)))
        }
        h2 { "Clauses that differ between versions" }
        (page.clause_list(&clauses))
    };
    add(page, "Contract versions", body);
}

/// The fields of two renderings that are not the same.
fn differences(page: &Page<'_, '_>, version: ContractVersion, older: &[Field], newer: &[Field]) -> Markup {
    let labels = [version, ContractVersion::CURRENT].map(ContractVersion::spelt_alike);
    let same =
        |one: &Field, other: &Field| (&one.path, &one.kind, &one.default) == (&other.path, &other.kind, &other.default);
    let find = |fields: &'_ [Field], path: &str| fields.iter().find(|field| field.path == path).cloned();
    let paths: BTreeSet<&str> = older.iter().chain(newer).map(|field| field.path.as_str()).collect();
    let rows = paths
        .into_iter()
        .map(|path| (path, [find(older, path), find(newer, path)]));
    let rows = rows.filter(|(_, sides)| match sides {
        [Some(one), Some(other)] => !same(one, other),
        _ => true,
    });
    html! {
        div.scroll { table.stack {
            thead { tr { th { "field" } @for label in &labels { th { (label) } } th { "meaning" } th { "clause" } } }
            tbody { @for (path, sides) in rows { tr {
                th scope="row" { code { (clean(path)) } }
                @for (side, label) in sides.iter().zip(&labels) {
                    td data-label=(label) {
                        @match side {
                            Some(field) => { (clean(&field.kind)) @if let Some(unit) = &field.unit { ", " (clean(unit)) } @if let Some(default) = &field.default { ", default " code { (clean(default)) } } }
                            None => "–",
                        }
                    }
                }
                @let field = sides.iter().flatten().next();
                td { @if let Some(field) = field { (page.prose(&field.description)) } }
                td data-label="clause" { @if let Some(field) = field { (page.clauses(&field.clause)) } }
            } } }
        } }
    }
}

fn contradictions(book: &Book<'_>, add: &mut Add<'_>) {
    let page = Page::new(book, "contradictions.html");
    let body = html! {
        h1 { "Contradictions" }
        p.lead { "Points on which sources disagree. Each has two or more interpretations. A service follows one of them and does not fail for its choice." }
        @for entry in book.suite.ledger() { (contradiction(&page, entry)) }
    };
    add(page, "Contradictions", body);
}

fn contradiction(page: &Page<'_, '_>, entry: &LedgerEntry) -> Markup {
    let followed = page.book.report.and_then(|report| report.readings.get(&entry.id));
    html! {
        section id=(entry.id) {
            @for alias in &entry.aliases { span id=(alias) {} }
            h2 { a href=(page.to(&page.path, &entry.id)) { (clean(&entry.id)) } " " small { (page.prose(&entry.topic)) } }
            div.scroll { table.stack {
                thead { tr { th { "interpretation" } th { "statement" } th { "sources" } } }
                tbody { @for reading in &entry.readings { tr {
                    th scope="row" data-label="interpretation" { b { (clean(&reading.key)) }
                        @if followed.is_some_and(|keys| keys.contains(&reading.key)) { " " span.verdict.pass { "followed" } } }
                    td data-label="statement" { (page.prose(&reading.statement)) }
                    td data-label="sources" { (clean(&page.book.suite.sources().cite_all(&reading.sources))) }
                } } }
            } }
            dl.facts {
                dt { "Treatment" } dd { (page.prose(&entry.recommended)) }
                @if !entry.aliases.is_empty() { dt { "Also" } dd { (clean(&entry.aliases.join(", "))) } }
                dt { "Clauses" } dd { (page.clauses(&entry.clauses)) }
            }
        }
    }
}
