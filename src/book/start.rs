//! The first page: what the contract is, how sure, and where to read on.

use maud::{Markup, html};

use crate::book::page::Page;
use crate::book::{Add, Book};
use crate::contract::case::chapter_of;
use crate::contract::clause::{Clause, EVIDENCE, LEVELS};
use crate::contract::version::ContractVersion;
use crate::replay::verdict::Verdict;
use crate::report::html::clean;
use crate::report::{Report, Standing};

pub(super) fn add(book: &Book<'_>, add: &mut Add<'_>) {
    let page = Page::new(book, "index.html");
    let suite = book.suite;
    let variants: usize = suite.cases().iter().map(|case| case.variants.len()).sum();
    let body = html! {
        h1 { "The contract of the Multiplayer Session Directory" }
        p.lead {
            "The Multiplayer Session Directory (MPSD) is the Xbox Live service through which players find and join each other's games. It stores "
            "sessions: JSON documents that describe who plays together, under which rules, and how they connect. Titles create, join, "
            "update and leave sessions over HTTP. ETags prevent lost updates, handles make sessions discoverable for "
            "others, and a WebSocket notifies subscribers of changes."
        }
        p {
            "This site documents how such a service behaves: " (suite.clauses().len()) " clauses, each with its sources and evidence, and "
            (variants) " cases that test them. All HTTP examples were recorded from the suite's reference service. Values that vary "
            "between runs are replaced by names such as " code { "<etag:1>" } ", and the " code { "Authorization" } " header is omitted."
        }
        ul.ways {
            li { a href="operations.html" { "Operations" } ": each path with its methods, requests, responses and examples" }
            li { a href="documents.html" { "Documents" } ": every field, with its type, unit, default and clause" }
            li { a href="statuses.html" { "Statuses" } " and " a href="headers.html" { "headers" } ": their meanings and clauses" }
            li { a href="versions.html" { "Contract versions" } ": what differs between " (ContractVersion::all_listed("and")) }
            li { a href="contradictions.html" { "Contradictions" } ": what sources disagree on, and how the suite treats it" }
            li { a href="search.html" { "Index" } ": everything by name, with a search" }
            li { a href="openapi.json" { "openapi.json" } ": OpenAPI 3.1 with the JSON Schemas, for tools" }
        }
        @if let Some(report) = book.report { (overlay(book, report)) }
        section {
            h2 id="clauses" { "How to read a clause" }
            p { "A clause is one statement of the contract. Its id never changes. "
                "Its level is how binding it is:" }
            dl.meanings {
                @for (name, level) in LEVELS {
                    dt { span.level { (name) } " " (count(suite.clauses(), |clause| clause.level == level)) }
                    dd { (level.meaning()) "." }
                }
            }
            p { "Its evidence is how it is known:" }
            dl.meanings {
                @for (name, evidence) in EVIDENCE {
                    dt { span.verdict.(name) { (name) } " " (count(suite.clauses(), |clause| clause.evidence == evidence)) }
                    dd { (evidence.meaning()) "." }
                }
            }
            p { "A source such as " code { "live-mpsd-status-codes: 412" } " is a page of Microsoft's public documentation, named by the last part of its address, "
                "with a section. Names such as XSAPI are public client libraries. Each clause lists the cases that test it and the faults that break it: "
                "deliberately wrong services that its cases detect." }
        }
        section {
            h2 id="chapters" { "Chapters" }
            div.scroll { table.chapters.stack {
                thead { tr {
                    th { "chapter" } th.number { "clauses" }
                    @for (name, _) in LEVELS { th.number { (name) } }
                    th { "evidence" } th.number { "cases" }
                    @if book.report.is_some() { th.number { "passed" } th.number { "failed" } }
                } }
                tbody { @for chapter in suite.chapters() {
                    @let clauses = book.clauses(&chapter.name);
                    tr {
                        th scope="row" {
                            a href=(page.to(&format!("chapters/{}.html", chapter.name), "")) { (clean(&chapter.title)) }
                            br; small { (page.prose(&chapter.about)) }
                        }
                        td.number data-label="clauses" { (clauses.len()) }
                        @for (name, level) in LEVELS {
                            td.number data-label=(name) { (count(clauses.iter().copied(), |clause| clause.level == level)) }
                        }
                        td data-label="evidence" { (bar(&clauses)) }
                        td.number data-label="cases" { (suite.cases().iter().filter(|case| chapter_of(&case.id) == chapter.name).count()) }
                        @if book.report.is_some() {
                            @let standing = |wanted: fn(Standing) -> bool| count(clauses.iter().copied(), |clause| {
                                book.standings.get(clause.id.as_str()).is_some_and(|standing| wanted(*standing))
                            });
                            td.number data-label="hold" { (standing(|standing| standing == Standing::Judged(Verdict::Pass))) }
                            td.number data-label="fail" { (standing(is_broken)) }
                        }
                    }
                } }
            } }
        }
    };
    add(page, "Chapters", body);
}

/// What a target does, in a few words.
fn overlay(book: &Book<'_>, report: &Report) -> Markup {
    let of_another = report.suite.fingerprint != book.suite.fingerprint();
    let summary = &report.summary;
    html! {
        section.overlay {
            h2 id="target" { "What " (clean(&report.target.name)) " does" }
            p { "The verdict of a run is shown for each clause and case: " (summary.text())
                @if let Some(conformance) = summary.conformance { "; conformance " (format!("{conformance:.1} %")) }
                "." }
            @if of_another { p.partial { "The run used a different version of the suite than this site." } }
            @if let Some(part) = report.part() { p.partial { "The run was partial: it covers " (clean(&part)) "." } }
        }
    }
}

pub(super) fn is_broken(standing: Standing) -> bool {
    matches!(standing, Standing::Judged(Verdict::Fail | Verdict::Deviation))
}

fn count<'c>(clauses: impl IntoIterator<Item = &'c Clause>, wanted: impl Fn(&Clause) -> bool) -> usize {
    clauses.into_iter().filter(|clause| wanted(clause)).count()
}

/// How the clauses of a chapter are known, as a bar; what it shows is also said.
fn bar(clauses: &[&Clause]) -> Markup {
    let counts = EVIDENCE.map(|(name, evidence)| {
        (
            name,
            count(clauses.iter().copied(), |clause| clause.evidence == evidence),
        )
    });
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    let listed: Vec<String> = counts.clone().map(|(name, count)| format!("{count} {name}")).collect();
    let listed = listed.join(", ");
    html! {
        span.bar role="img" aria-label=(listed) title=(listed) {
            @for (name, count) in counts { i class=(name) style={ "flex-grow:" (count) } {} }
        }
    }
}
