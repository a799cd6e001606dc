//! The kill matrix as a page that needs nothing else: chapters across, faults down.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::contract::case::chapter_of;
use crate::report::html::{POLICY, clean};
use crate::report::proof::{Catch, Proof, Proven, Verdicted, variations};

/// Renders a proof as a page.
pub(super) fn render(proof: &Proof) -> String {
    let mut chapters: Vec<&str> = proof.faults.iter().flat_map(all).map(chapter).collect();
    chapters.sort_unstable();
    chapters.dedup();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "MPSD conformance: the kill matrix" }
                style { (PreEscaped(include_str!("../html/style.css"))) (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header { (head(proof)) }
                main {
                    (variations::table(&proof.variations))
                    (matrix(proof, &chapters))
                    (list("never-failed", "Assertions that never failed",
                        &proof.never_failed.iter().map(|place| format!("{} {}", place.case, place.pointer)).collect::<Vec<_>>()))
                    (list("unproven", "MUST clauses that no fault breaks", &proof.unproven))
                }
            }
        }
    };
    page.into_string()
}

fn all(fault: &Proven) -> impl Iterator<Item = &Catch> {
    fault.caught_by.iter().chain(&fault.also_found_by)
}

fn chapter(catch: &Catch) -> &str {
    chapter_of(&catch.case)
}

fn head(proof: &Proof) -> Markup {
    let summary = &proof.summary;
    html! {
        h1 { "MPSD conformance " small { "the kill matrix" } }
        ul.counts {
            li.pass { b { (summary.caught) } " caught" }
            li.inconclusive { b { (summary.wrong_reason) } " caught for the wrong reason" }
            li.fail { b { (summary.survived) } " survived" }
            li.pass { b { (summary.spared) } " spared" }
            li.fail { b { (summary.struck) } " struck" }
        }
        p.facts {
            (proof.faults.len()) " faults, one by one, and " (proof.variations.len()) " harmless variations; " (format!("{:.1}", proof.milliseconds / 1000.0)) " s; "
            @if proof.matrix { "every case was run for every fault" } @else { "the run of a fault stopped at the first case that caught it" }
        }
    }
}

fn matrix(proof: &Proof, chapters: &[&str]) -> Markup {
    html! {
        section id="matrix" {
            h2 { "Faults" }
            p { "Each cell counts the cases of a chapter that failed for a fault: first those that failed a clause the fault breaks, then in "
                "parentheses those that failed another clause." }
            div.scroll { table.matrix {
                thead { tr {
                    th { "fault" } th { "verdict" } th { "breaks" }
                    @for chapter in chapters { th.across { span { (clean(chapter)) } } }
                } }
                tbody {
                    @for verdict in Verdicted::ALL {
                        @for fault in proof.faults.iter().filter(|fault| fault.verdict == verdict) {
                            (row(fault, chapters))
                        }
                    }
                }
            } }
        }
    }
}

fn row(fault: &Proven, chapters: &[&str]) -> Markup {
    let mut own: BTreeMap<&str, Vec<&Catch>> = BTreeMap::new();
    let mut other: BTreeMap<&str, Vec<&Catch>> = BTreeMap::new();
    for catch in &fault.caught_by {
        own.entry(chapter(catch)).or_default().push(catch);
    }
    for catch in &fault.also_found_by {
        other.entry(chapter(catch)).or_default().push(catch);
    }
    let title = |catches: &[&Catch]| -> String {
        let shown = |catch: &&Catch| format!("{} {} {}", catch.case, catch.clause, catch.assertion);
        catches.iter().take(12).map(shown).collect::<Vec<_>>().join("\n")
    };
    html! {
        tr id=(clean(&fault.id)) class=(fault.verdict.name()) {
            th scope="row" { code { (clean(&fault.id)) } br; small { (clean(&fault.text)) } }
            td { (fault.verdict.text()) }
            td { @for clause in &fault.clauses { code { (clean(clause)) } " " } }
            @for chapter in chapters {
                @let own = own.get(chapter).map_or(&[][..], Vec::as_slice);
                @let other = other.get(chapter).map_or(&[][..], Vec::as_slice);
                @let both: Vec<&Catch> = own.iter().chain(other).copied().collect();
                @if both.is_empty() { td {} } @else {
                    td.hit.own[!own.is_empty()] title=(clean(&title(&both))) {
                        @if !own.is_empty() { (own.len()) }
                        @if !other.is_empty() { " (" (other.len()) ")" }
                    }
                }
            }
        }
    }
}

fn list(id: &str, title: &str, entries: &[String]) -> Markup {
    html! {
        @if !entries.is_empty() {
            section id=(id) {
                h2 { (title) }
                details {
                    summary { (entries.len()) }
                    ul { @for entry in entries { li { code { (clean(entry)) } } } }
                }
            }
        }
    }
}
