//! The documents: a list of them, and a page for each with its fields.

use maud::{Markup, html};

use crate::book::page::Page;
use crate::book::{Add, Book};
use crate::contract::schemas::Field;
use crate::contract::version::ContractVersion;
use crate::report::html::clean;

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    let said = |name: &str, keyword: &str| {
        let document = book.suite.schemas().document(name);
        let said = document.and_then(|document| document.get(keyword)?.as_str());
        said.unwrap_or_default().to_owned()
    };
    let page = Page::new(book, "documents.html");
    let body = html! {
        h1 { "Documents" }
        p.lead { "Request and response bodies. Each field has its meaning, type, unit, default and clause." }
        div.scroll { table.stack {
            thead { tr { th { "document" } th { "content" } th.number { "fields" } } }
            tbody { @for (name, fields) in &book.documents { tr {
                th scope="row" { (page.document(name, "")) }
                td data-label="content" { b { (clean(&said(name, "title"))) } " " (page.prose(&said(name, "description"))) }
                td.number data-label="fields" { (fields.len()) }
            } } }
        } }
    };
    add(page, "Documents", body);
    for (name, fields) in &book.documents {
        let page = Page::new(book, format!("documents/{name}.html"));
        let title = said(name, "title");
        let uses = uses(book, name);
        let schema = book.suite.schemas().document(name).map(|schema| format!("{schema:#}"));
        let body = html! {
            h1 { (clean(&title)) " " small { code { (name) } } }
            p.lead { (page.prose(&said(name, "description"))) }
            dl.facts { @for (way, operations) in &uses { @if !operations.is_empty() {
                dt { (way) }
                dd { @for (index, operation) in operations.iter().enumerate() { @if index > 0 { ", " } (page.operation(operation)) } }
            } } }
            @if !fields.is_empty() { (table(&page, fields)) }
            details.source { summary { "JSON Schema" } pre { (clean(&schema.unwrap_or_default())) } }
        };
        add(page, &title, body);
    }
}

/// The operations that take a document, and those that answer it.
fn uses(book: &Book<'_>, name: &str) -> [(&'static str, Vec<String>); 2] {
    let schemas = book.suite.schemas();
    let is_it = |known: &str| ContractVersion::spellings().any(|version| schemas.resolve(known, version) == Some(name));
    let (mut takers, mut givers) = (Vec::new(), Vec::new());
    for path in &schemas.operations().operations {
        for (verb, method) in &path.methods {
            let operation = format!("{verb} {}", path.id);
            if method.request.as_ref().is_some_and(|request| is_it(&request.schema)) {
                takers.push(operation.clone());
            }
            if method.responses.values().flatten().any(|schema| is_it(schema)) {
                givers.push(operation);
            }
        }
    }
    [("Request of", takers), ("Response of", givers)]
}

fn table(page: &Page<'_, '_>, fields: &[Field]) -> Markup {
    html! {
        div.scroll { table.fields.stack {
            thead { tr { th { "field" } th { "meaning" } th { "type" } th { "unit" } th { "default" } th { "clause" } } }
            tbody { @for field in fields { tr id=(field.path) {
                th scope="row" { a href=(page.to(&page.path, &field.path)) { code { (clean(&field.path)) } } }
                td { (page.prose(&field.description))
                    @if field.is_required { " " small { "Required." } }
                    @if field.volatile.is_some() { " " small { "Varies between runs." } } }
                td data-label="type" { (clean(&field.kind)) }
                td data-label="unit" { @if let Some(unit) = &field.unit { (clean(unit)) } }
                td data-label="default" { @if let Some(default) = &field.default { code { (clean(default)) } } }
                td data-label="clause" { (page.clauses(&field.clause)) }
            } } }
        } }
    }
}
