//! The operations: a list of them, and a page for each address.

use maud::{Markup, html};

use crate::book::page::Page;
use crate::book::{Add, Book};
use crate::contract::schemas::{Method, OperationPath};
use crate::contract::version::ContractVersion;
use crate::report::html::clean;
use crate::snapshot::example::Example;

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    let table = book.suite.schemas().operations();
    let page = Page::new(book, "operations.html");
    let body = html! {
        h1 { "Operations" }
        p.lead { "The paths of the service and their methods. A segment in braces stands for any one segment; the other segments are "
            "case-insensitive. For tools: " a href="openapi.json" { "openapi.json" } "." }
        div.scroll { table.stack {
            thead { tr { th { "path" } th { "methods" } th { "resource" } } }
            tbody { @for path in &table.operations { tr {
                th scope="row" { a href=(page.to(&format!("operations/{}.html", path.id), "")) { code { (clean(&path.path)) } } }
                td data-label="methods" { @for verb in path.methods.keys() {
                    a href=(page.to(&format!("operations/{}.html", path.id), verb)) { (clean(verb)) } " "
                } }
                td data-label="resource" { (page.prose(&path.description)) }
            } } }
        } }
        h2 { "Any operation" }
        p { "For request headers, see " a href="headers.html" { "headers" } ". In addition to its own responses, any operation may return:" }
        (common(&page, None))
    };
    add(page, "Operations", body);
    for path in &table.operations {
        let page = Page::new(book, format!("operations/{}.html", path.id));
        let body = address(&page, path);
        add(page, &format!("Operations: {}", path.id), body);
    }
}

fn address(page: &Page<'_, '_>, path: &OperationPath) -> Markup {
    let parameters = &page.book.suite.schemas().operations().parameters;
    let own = parameters
        .iter()
        .filter(|(name, _)| path.path.contains(&format!("{{{name}}}")));
    html! {
        h1 { (page.prose(&path.description)) }
        p.address { code { (clean(&path.path)) } }
        dl.facts { @for (name, about) in own { dt { code { (clean(name)) } } dd { (page.prose(about)) } } }
        @for (verb, method) in &path.methods {
            section id=(verb) {
                h2 { a href=(page.to(&page.path, verb)) { (clean(verb)) } " " small { (page.prose(&method.description)) } }
                @if let Some(request) = &method.request {
                    p { "The body is a " (page.document(&request.schema, ""))
                        @for (version, older) in older(page.book, &request.schema) { "; at contract " (version.spelt_alike()) " a " (page.document(older, "")) }
                        "." }
                }
                @if !method.query.is_empty() {
                    h3 { "Query" }
                    dl.facts { @for (name, parameter) in &method.query {
                        dt { code { (clean(name)) } }
                        dd { (page.prose(&parameter.description)) " " small { code { (clean(&serde_json::Value::Object(parameter.schema.clone()).to_string())) } } }
                    } }
                }
                h3 { "Responses" }
                (answers(page, path, verb, method))
                h3 { "Examples" }
                @for (place, example) in examples(page.book, path, verb, method).enumerate() { (page.example(example, place == 0)) }
            }
        }
        h2 { "Any operation" }
        (common(page, Some(path)))
    }
}

/// The schemas of a document at versions that spell it otherwise.
fn older<'b>(book: &'b Book<'_>, schema: &str) -> Vec<(ContractVersion, &'b str)> {
    let schemas = book.suite.schemas();
    let spelt = ContractVersion::spellings().filter_map(|version| Some((version, schemas.resolve(schema, version)?)));
    spelt.filter(|(_, older)| *older != schema).collect()
}

fn answers(page: &Page<'_, '_>, path: &OperationPath, verb: &str, method: &Method) -> Markup {
    let common = &page.book.suite.schemas().operations().clauses;
    let clauses = |status| {
        method
            .clauses
            .get(status)
            .or_else(|| common.get(status))
            .into_iter()
            .flatten()
    };
    html! {
        div.scroll { table.stack {
            thead { tr { th { "status" } th { "body" } th { "headers" } th { "clauses" } } }
            tbody { @for (status, schemas) in &method.responses { tr {
                th scope="row" { (page.status(*status)) }
                td data-label="body" { (page.body(schemas)) }
                td data-label="headers" {
                    @if let Some(seen) = page.book.wire.seen(&path.id, verb, *status) {
                        @for name in &seen.headers { (page.header(name)) " " }
                    }
                }
                td data-label="clauses" { (page.clauses(clauses(status))) }
            } } }
        } }
    }
}

fn examples<'b>(
    book: &'b Book<'_>,
    path: &'b OperationPath,
    verb: &'b str,
    method: &'b Method,
) -> impl Iterator<Item = &'b Example<'b>> {
    let statuses = method.responses.keys();
    statuses.filter_map(move |status| Some(&book.wire.seen(&path.id, verb, *status)?.example))
}

/// The answers that any operation may give, but for those that all verbs of an address have of their own.
fn common(page: &Page<'_, '_>, path: Option<&OperationPath>) -> Markup {
    let table = page.book.suite.schemas().operations();
    let is_own = |status: &u16| {
        path.is_some_and(|path| {
            path.methods
                .values()
                .all(|method| method.responses.contains_key(status))
        })
    };
    html! {
        div.scroll { table.stack {
            thead { tr { th { "status" } th { "body" } th { "clauses" } } }
            tbody { @for (status, schemas) in table.responses.iter().filter(|(status, _)| !is_own(status)) { tr {
                th scope="row" { (page.status(*status)) }
                td data-label="body" { (page.body(schemas)) }
                td data-label="clauses" { @if let Some(ids) = table.clauses.get(status) { (page.clauses(ids)) } }
            } } }
        } }
    }
}
