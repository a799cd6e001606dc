//! The report for people: one HTML file that needs nothing else, with every text escaped.

use std::borrow::Cow;
use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::contract::plain;
use crate::contract::plain::count;
use crate::replay::verdict::Verdict;
use crate::report::curl;
use crate::report::model::{BODY, Case, Cause, Clause, Exchange, Finding, Message, Report, Standing, Summary};

/// Nothing is loaded from anywhere, whatever a target answered.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Renders a report as a page.
pub(super) fn render(report: &Report) -> String {
    let mut cases_by_clause: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &report.cases {
        let found = case.findings.iter().flat_map(|finding| &finding.clauses);
        for clause in case.clauses.iter().chain(found) {
            let cases = cases_by_clause.entry(clause).or_default();
            if cases.last().is_none_or(|last| last.id != case.id) {
                cases.push(case);
            }
        }
    }
    let title = format!("MPSD conformance of {}", report.target.name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (clean(&title)) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header { (head(report)) }
                main {
                    (suspects(report))
                    (causes(report))
                    (chapters(report))
                    (deviations(report))
                    (filter(report))
                    (cases(report))
                    (clauses(report, &cases_by_clause))
                    (readings(report))
                }
                script { (PreEscaped(include_str!("script.js"))) }
            }
        }
    };
    page.into_string()
}

fn head(report: &Report) -> Markup {
    let summary = &report.summary;
    let scope = &report.suite;
    html! {
        h1 { "MPSD conformance " small { "of " (clean(&report.target.name)) } }
        @if let Some(part) = report.part() {
            p.partial { strong { "Partial: " } "this report covers " (part)
                @if !scope.selectors.is_empty() { ", selected by " code { (clean(&scope.selectors.join(" "))) } }
                "." }
        }
        ul.counts {
            @for verdict in Verdict::ALL {
                @let count = summary.count(verdict);
                @if count > 0 || verdict == Verdict::Pass || verdict == Verdict::Fail {
                    li class=(verdict.name()) { b { (count) } " " (verdict.text()) }
                }
            }
            li { b { (percent(summary.conformance)) } " conformance" }
            li { b { (percent(summary.coverage)) } " coverage" }
        }
        p.facts {
            (count(summary.total(), "case")) ", " (count(summary.warnings, "warning")) ", " (count(summary.remarks, "note"))
            @if report.strict { ", warnings are failures" }
            "; " (format!("{:.1}", report.milliseconds / 1000.0)) " s; suite " (scope.version) " "
            code { (scope.fingerprint) }
            @if !report.target.lacks.is_empty() {
                "; features not supported by the target: "
                (clean(&report.target.lacks.iter().map(String::as_str).collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

fn suspects(report: &Report) -> Markup {
    html! {
        @if !report.suspects.is_empty() {
            section id="suspects" {
                h2 { "Known faults with similar failures" }
                ul { @for suspect in &report.suspects { li { (clean(&suspect.text())) } } }
            }
        }
    }
}

/// How many causes are open from the start.
const OPEN: usize = 3;
/// How many cases that broke alike are named at once.
const NAMED: usize = 12;

/// What broke cases, the most frequent first: each with one case to look at, and the names of the others.
fn causes(report: &Report) -> Markup {
    let causes = report.causes();
    let broken: usize = causes.iter().map(Cause::count).sum();
    let statements: BTreeMap<&str, &Clause> = report
        .clauses
        .iter()
        .map(|clause| (clause.id.as_str(), clause))
        .collect();
    html! {
        @if !causes.is_empty() {
            section id="causes" {
                h2 { (count(broken, "case")) " to look at, with " (count(causes.len(), "cause")) }
                ol.causes {
                    @for (place, cause) in causes.iter().enumerate() {
                        li { details.cause.(cause.example.verdict.name()) open[place < OPEN] {
                            summary { b.number { (cause.count()) } " " span { (clean(cause.text)) } }
                            (cause_details(report, cause, &statements))
                            @let (named, more) = cause.others.split_at(cause.others.len().min(NAMED));
                            @if !named.is_empty() { p.links { "same failure in: " (case_links(named)) } }
                            @if !more.is_empty() {
                                details.more { summary { "and " (more.len()) " more" } p.links { (case_links(more)) } }
                            }
                        } }
                    }
                }
            }
        }
    }
}

/// One case of a cause: the clause that it breaks, what was expected and found, and how to ask by hand; and the
/// clauses that the others break.
fn cause_details(report: &Report, cause: &Cause<'_>, statements: &BTreeMap<&str, &Clause>) -> Markup {
    let first = cause.example;
    let finding = first.decisive(report.strict);
    let exchange = finding.and_then(|finding| first.exchange(finding));
    let curl = exchange.map(|exchange| curl::line(&report.target, exchange, None));
    let broken = cause.cases().filter_map(|case| case.decisive(report.strict));
    let mut clauses: Vec<&str> = Vec::new();
    for clause in broken.flat_map(|finding| &finding.clauses) {
        if !clauses.contains(&clause.as_str()) {
            clauses.push(clause);
        }
    }
    let own = finding.map_or(0, |finding| finding.clauses.len());
    let (own, others) = clauses.split_at(own.min(clauses.len()));
    html! {
        @for clause in own.iter().filter_map(|id| statements.get(id)) {
            p.statement { a href={ "#" (clause.id) } { (clause.id) } " "
                small { (clause.level.name()) ", " (clause.evidence.name()) } " " (clean(&clause.statement)) }
        }
        @if !others.is_empty() {
            p.links { "also fails " @for clause in others { a href={ "#" (clause) } { (clean(clause)) } " " } }
        }
        p.links { "for example " a href={ "#case-" (first.id) } { (clean(&first.id)) } " " small { (clean(&first.title)) } }
        @if let Some(finding) = finding {
            (finding_details(finding))
        } @else if let Some(reason) = &first.reason {
            p.reason { (clean(reason)) }
        }
        @if let Some(curl) = curl { pre.curl tabindex="0" { (clean(&curl)) } }
    }
}

fn case_links(cases: &[&Case]) -> Markup {
    html! { @for case in cases { a href={ "#case-" (case.id) } { (clean(&case.id)) } " " } }
}

fn chapters(report: &Report) -> Markup {
    html! {
        section id="chapters" {
            h2 { "Chapters" }
            div.scroll { table.chapters {
                thead { tr {
                    th { "chapter" } th.number { "conformance" } th.number { "coverage" } th { "cases" }
                    th.number { "clauses passed" } th.number { "failed" } th.number { "not tested" }
                } }
                tbody {
                    @for chapter in &report.chapters {
                        @let summary = report.summary_of(chapter);
                        @let standing = |wanted: &dyn Fn(Standing) -> bool| {
                            report.clauses.iter().filter(|clause| clause.chapter == chapter.name && wanted(clause.verdict)).count()
                        };
                        @if summary.total() > 0 || !report.suite.partial {
                            tr {
                                th scope="row" { a href={ "#clauses-" (chapter.name) } title=(clean(&chapter.title)) { (clean(&chapter.name)) } }
                                td.number { (percent(summary.conformance)) }
                                td.number { (percent(summary.coverage)) }
                                td { (bar(&summary)) }
                                td.number { (standing(&|s| s == Standing::Judged(Verdict::Pass))) }
                                td.number { (standing(&|s| matches!(s, Standing::Judged(Verdict::Fail | Verdict::Deviation)))) }
                                td.number { (standing(&|s| !matches!(s, Standing::Untestable | Standing::Judged(Verdict::Pass | Verdict::Fail | Verdict::Deviation)))) }
                            }
                        }
                    }
                }
            } }
        }
    }
}

/// The verdicts of a chapter as a bar; what it shows is also said.
fn bar(summary: &Summary) -> Markup {
    html! {
        span.bar role="img" aria-label=(summary.text()) title=(summary.text()) {
            @for verdict in Verdict::ALL {
                @let count = summary.count(verdict);
                @if count > 0 { i class=(verdict.name()) style={ "flex-grow:" (count) } {} }
            }
        }
        " " small { (summary.total()) }
    }
}

fn deviations(report: &Report) -> Markup {
    html! {
        @if !report.deviations.is_empty() {
            section id="deviations" {
                h2 { "Listed deviations" }
                div.scroll { table {
                    thead { tr { th { "entry" } th { "reason" } th { "state" } th.number { "cases" } } }
                    tbody {
                        @for listed in &report.deviations {
                            tr.stale[listed.state.is_stale()] {
                                td { (clean(&listed.deviation.label())) }
                                td { (clean(&listed.deviation.reason))
                                    @if let Some(issue) = &listed.deviation.issue { " (" (clean(issue)) ")" }
                                    @if let Some(day) = listed.deviation.expires { ", until " (day) } }
                                td { (listed.state.text()) }
                                td.number { (listed.cases.len()) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn filter(report: &Report) -> Markup {
    html! {
        form id="filter" role="search" {
            input id="words" type="search" placeholder="Search cases and clauses" aria-label="Search cases and clauses";
            select id="chapter" aria-label="Chapter" {
                option value="" { "all chapters" }
                @for chapter in &report.chapters { option value=(chapter.name) { (clean(&chapter.name)) } }
            }
            @for verdict in Verdict::ALL {
                @if report.summary.count(verdict) > 0 {
                    label class=(verdict.name()) {
                        input type="checkbox" name="verdict" value=(verdict.name()) checked;
                        " " (verdict.text())
                    }
                }
            }
            output id="shown" {}
        }
    }
}

fn cases(report: &Report) -> Markup {
    let (passed, other): (Vec<&Case>, Vec<&Case>) = report
        .cases
        .iter()
        .partition(|case| case.verdict == Verdict::Pass && case.conversation.is_empty());
    html! {
        section id="cases" {
            h2 { "Cases" }
            @if other.is_empty() { p { "Every case passed." } }
            @for case in other { (case_details(case)) }
            @if !passed.is_empty() {
                details.passed {
                    summary { (passed.len()) " passed without a warning" }
                    @for case in passed {
                        p.case data-verdict=(case.verdict.name()) data-chapter=(case.chapter()) id={ "case-" (case.id) } {
                            code { (clean(&case.id)) } " " (clean(&case.title))
                        }
                    }
                }
            }
        }
    }
}

fn case_details(case: &Case) -> Markup {
    html! {
        details.case data-verdict=(case.verdict.name()) data-chapter=(case.chapter()) id={ "case-" (case.id) } {
            summary { span.verdict.(case.verdict.name()) { (case.verdict.text()) } " " code { (clean(&case.id)) } span.title { (clean(&case.title)) } }
            @if let Some(reason) = &case.reason { p.reason { (clean(reason)) } }
            p.clauses { @for clause in &case.clauses { a href={ "#" (clause) } { (clean(clause)) } " " } }
            @for finding in &case.findings { (finding_details(finding)) }
            @if !case.conversation.is_empty() {
                h4 { "Exchanges" }
                @for (index, of) in case.conversation.iter().enumerate() {
                    (exchange(of, case.findings.iter().any(|finding| finding.exchange == index)))
                }
            }
        }
    }
}

fn finding_details(finding: &Finding) -> Markup {
    html! {
        div.finding.(finding.weight.name()) {
            p {
                b { (clean(&finding.assertion.to_string())) } " "
                small { (finding.weight.text()) @if finding.setup { ", in a setup step" } }
                @for clause in &finding.clauses { " " a href={ "#" (clause) } { (clean(clause)) } }
                @if let (Some(step), Some(speaker), Some(request)) = (&finding.step, &finding.speaker, &finding.request) {
                    br; small { "step " (step) ", " (clean(speaker)) ": " code { (clean(request)) } }
                }
            }
            div.sides {
                div { h5 { "expected" } pre { (clean(&finding.expected)) } }
                div { h5 { "actual" } pre { (clean(&finding.actual)) } }
            }
        }
    }
}

fn exchange(exchange: &Exchange, is_found_wrong: bool) -> Markup {
    html! {
        details.exchange.wrong[is_found_wrong] open[is_found_wrong] {
            summary { "step " (exchange.step) ", " (clean(&exchange.speaker)) ": " code { (clean(&exchange.request.line)) } " → " b { (clean(&exchange.response.line)) } }
            div.sides { (message("request", &exchange.request)) (message("answer", &exchange.response)) }
        }
    }
}

fn message(name: &str, message: &Message) -> Markup {
    html! {
        div {
            h5 { (name) }
            pre.head { @for (header, value) in &message.headers { (clean(header)) ": " (clean(value)) "\n" } }
            @if let Some(body) = message.body_within(BODY) { pre { (clean(&pretty(&body))) } }
        }
    }
}

fn clauses(report: &Report, cases_by_clause: &BTreeMap<&str, Vec<&Case>>) -> Markup {
    html! {
        section id="clauses" {
            h2 { "Clauses" }
            p.legend { @for (name, text) in LEGEND { span class=(name) { (text) } " " } }
            @for chapter in &report.chapters {
                @let clauses: Vec<&Clause> = report.clauses.iter().filter(|clause| clause.chapter == chapter.name).collect();
                @if clauses.iter().any(|clause| clause.verdict != Standing::Untested) || !report.suite.partial {
                    div.chapter {
                        h3 id={ "clauses-" (chapter.name) } { (clean(&chapter.title)) " " small { (clean(&chapter.name)) } }
                        div.matrix {
                            @for clause in &clauses {
                                a class=(clause.verdict.name()) href={ "#" (clause.id) } title={ (clause.id) ": " (clean(&clause.statement)) } { (clause.id) }
                            }
                        }
                        details {
                            summary { (clauses.len()) " clauses" }
                            @for clause in &clauses { (clause_details(clause, cases_by_clause.get(clause.id.as_str()))) }
                        }
                    }
                }
            }
        }
    }
}

/// What the colours of the matrix say.
const LEGEND: [(&str, &str); 7] = [
    ("pass", "passed"),
    ("fail", "failed"),
    ("deviation", "fails as listed"),
    ("inconclusive", "inconclusive"),
    ("notApplicable", "not applicable"),
    ("untested", "not tested by this run"),
    ("untestable", "untestable"),
];

fn clause_details(clause: &Clause, cases: Option<&Vec<&Case>>) -> Markup {
    html! {
        div.clause id=(clause.id) data-verdict=(clause.verdict.name()) data-chapter=(clause.chapter) {
            p {
                span.verdict.(clause.verdict.name()) { (clause.verdict.text()) } " " b { (clause.id) } " "
                small { (clause.level.name()) ", " (clause.evidence.name()) }
                br; (clean(&clause.statement))
                @if let Some(reason) = &clause.reason { br; small { "untestable: " (clean(reason)) } }
            }
            @if let Some(cases) = cases {
                p.links { @for case in cases { a class=(case.verdict.name()) href={ "#case-" (case.id) } { (clean(&case.id)) } " " } }
            }
        }
    }
}

fn readings(report: &Report) -> Markup {
    html! {
        @if !report.readings.is_empty() {
            section id="readings" {
                h2 { "Interpretations of contested clauses that the target follows" }
                div.scroll { table { tbody {
                    @for (entry, keys) in &report.readings {
                        tr { th scope="row" { (clean(entry)) } td { (clean(&keys.iter().map(String::as_str).collect::<Vec<_>>().join(", "))) } }
                    }
                } } }
            }
        }
        @if !report.leftovers.is_empty() {
            section id="leftovers" {
                h2 { "Not deleted" }
                ul { @for leftover in &report.leftovers { li { code { (clean(leftover)) } } } }
            }
        }
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.1} %"))
}

/// A body as people read it.
fn pretty(body: &str) -> Cow<'_, str> {
    let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
    value
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .map_or(Cow::Borrowed(body), Cow::Owned)
}

/// A text without the control characters that HTML does not allow.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    plain::visible(text)
}
