//! The report for people at a terminal.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::{Report, Standing};
use crate::replay::verdict::{Exchange, Finding, Outcome, Verdict};
use crate::suite::clause::{Clause, Weight};
use crate::suite::problem::{Place, Problem};

/// How many failures are shown with their conversation.
const SHOWN: usize = 20;
/// How much of a body is shown, in bytes.
const BODY: usize = 1_500;
/// How many ways to fail are counted.
const GROUPS: usize = 15;
/// How much of what is wrong names such a way, in bytes.
const GROUP: usize = 160;
/// How many leftovers are named.
const LEFTOVERS: usize = 10;

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Renders a report; styles are always in it, and whoever prints it strips what the terminal cannot show.
pub fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

/// Renders what is known of one case that did not pass, with the exchanges it is about.
pub fn render_failure(report: &Report<'_>, outcome: &Outcome) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_failure(&mut out, report, outcome);
    out
}

fn write(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let broken: Vec<&Outcome> = report.outcomes.iter().filter(|outcome| is_broken(outcome)).collect();
    // What the end of the run cut off is told once, not case by case.
    let is_cut_off = |outcome: &&&Outcome| {
        let halted = report.halted.as_ref().map(|halted| &*halted.reason);
        halted.is_some() && outcome.reason.as_deref() == halted
    };
    let told: Vec<&Outcome> = broken.iter().filter(|outcome| !is_cut_off(outcome)).copied().collect();
    if broken.len() > SHOWN && report.outcomes.iter().all(|outcome| outcome.documents == 0) {
        return write_stranger(out, report, &broken);
    }
    for outcome in told.iter().take(SHOWN) {
        write_failure(out, report, outcome)?;
    }
    if let Some(more) = told.get(SHOWN..).filter(|more| !more.is_empty()) {
        writeln!(out, "{BAD}and {} more:{BAD:#}", more.len())?;
        write_groups(out, report, more)?;
        writeln!(out, "  {FAINT}`--report html=PATH` has them all{FAINT:#}\n")?;
    }
    write_chapters(out, report)?;
    write_lesser(out, report, Weight::Warning)?;
    write_lesser(out, report, Weight::Remark)?;
    let readings = report.readings();
    if !readings.is_empty() {
        writeln!(
            out,
            "{STRONG}Readings{STRONG:#} of contested clauses that the target follows"
        )?;
        for (entry, keys) in readings {
            let topic = report
                .suite
                .ledger_entry(entry)
                .map_or("", |entry| entry.topic.as_str());
            let keys: Vec<_> = keys.into_iter().collect();
            writeln!(out, "  {entry:<10} {:<28} {FAINT}{topic}{FAINT:#}", keys.join(", "))?;
        }
        writeln!(out)?;
    }
    for listed in report.stale() {
        let (deviation, state) = (&listed.deviation, listed.state.told());
        writeln!(
            out,
            "{BAD}listed deviation:{BAD:#} {} {state} {FAINT}{}{FAINT:#}",
            deviation.label(),
            deviation.reason
        )?;
    }
    for leftover in report.leftovers().take(LEFTOVERS) {
        writeln!(out, "{DOUBTFUL}left behind:{DOUBTFUL:#} {leftover}")?;
    }
    if let Some(more @ 1..) = report.leftovers().count().checked_sub(LEFTOVERS) {
        writeln!(
            out,
            "{DOUBTFUL}left behind:{DOUBTFUL:#} {more} more; `--report json=PATH` has them all"
        )?;
    }
    write_halt(out, report)?;
    write_summary(out, report)
}

/// All that there is to say of a target that answered nothing as the contract would.
fn write_stranger(out: &mut String, report: &Report<'_>, broken: &[&Outcome]) -> fmt::Result {
    let exchanges: usize = report.outcomes.iter().map(|outcome| outcome.exchange_count).sum();
    if exchanges > 0 {
        writeln!(
            out,
            "{BAD}this does not look like an MPSD:{BAD:#} not one of {exchanges} answers was a document of the contract"
        )?;
        writeln!(
            out,
            "  {FAINT}does `baseUrl` ({}) lead to the right service?{FAINT:#}\n",
            report.facts.base_url
        )?;
    }
    write_groups(out, report, broken)?;
    if let Some(outcome) = broken.iter().find(|outcome| outcome.verdict == Verdict::Fail) {
        writeln!(
            out,
            "  {FAINT}`mpsd-conformance run --target FILE {}` shows one in full{FAINT:#}",
            outcome.id
        )?;
    }
    writeln!(out)?;
    write_halt(out, report)?;
    write_summary(out, report)
}

fn write_halt(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let Some(halted) = &report.halted else { return Ok(()) };
    let cut = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.reason.as_deref() == Some(&*halted.reason));
    writeln!(
        out,
        "{BAD}{}:{BAD:#} {} cases were not judged for it; this report is partial",
        halted.reason,
        cut.count()
    )
}

/// Counts what did not pass by what was wrong with it, the commonest first.
fn write_groups(out: &mut String, report: &Report<'_>, broken: &[&Outcome]) -> fmt::Result {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for outcome in broken {
        groups.entry(group(report, outcome)).or_default().push(&outcome.id);
    }
    let mut groups: Vec<(String, Vec<&str>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, ids)| Reverse(ids.len()));
    for (what, ids) in groups.iter().take(GROUPS) {
        let first = ids.first().copied().unwrap_or_default();
        writeln!(out, "{:>6}  {what} {FAINT}{first}{FAINT:#}", ids.len())?;
    }
    let rest: usize = groups.iter().skip(GROUPS).map(|(_, ids)| ids.len()).sum();
    if rest > 0 {
        writeln!(out, "{rest:>6}  in {} other ways", groups.len() - GROUPS)?;
    }
    Ok(())
}

/// What is wrong with a case, in words that many cases share.
fn group(report: &Report<'_>, outcome: &Outcome) -> String {
    let worst = outcome.worst();
    let findings = || {
        outcome
            .findings
            .iter()
            .filter(|finding| finding.is_setup || Some(finding.weight) == worst)
    };
    // The status says more than what is missing in a body that came with the wrong one.
    let finding = findings()
        .find(|finding| finding.assertion == "status")
        .or_else(|| findings().next());
    let (None, Some(finding)) = (&outcome.reason, finding) else {
        let reason = outcome.reason.as_deref().unwrap_or_default();
        return format!("{}: {}", outcome.verdict.told(), cut_to(reason, GROUP));
    };
    let Some(Exchange { request, response, .. }) = outcome.exchanges.get(finding.exchange) else {
        return finding.assertion.clone();
    };
    let operation = report.suite.schemas().operation(&request.method, &request.path);
    let place = operation.map_or("another path", |operation| operation.path().id.as_str());
    // The places in a document differ from case to case; what is asserted of them often does not.
    let assertion = finding.assertion.split(' ').next().unwrap_or_default();
    let what = match assertion {
        "status" => format!("expected {}", finding.expected),
        _ => format!("{assertion}: found {}", finding.actual),
    };
    format!(
        "{} {place} answered {}, {}",
        request.method,
        response.status,
        cut_to(&what, GROUP)
    )
}

fn is_broken(outcome: &Outcome) -> bool {
    matches!(
        outcome.verdict,
        Verdict::Fail | Verdict::SuiteFault | Verdict::Inconclusive | Verdict::Fixed
    )
}

fn write_failure(out: &mut String, report: &Report<'_>, outcome: &Outcome) -> fmt::Result {
    let verdict = match outcome.verdict {
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Fixed => "FIXED",
        _ => "SUITE FAULT",
    };
    let case = report.suite.cases().iter().find(|case| case.id == outcome.case);
    writeln!(out, "{BAD}{verdict}{BAD:#} {STRONG}{}{STRONG:#}", outcome.id)?;
    writeln!(out, "  {}", case.map_or("", |case| case.title.as_str()))?;
    if let Some(reason) = &outcome.reason {
        writeln!(out, "  {reason}")?;
    }
    let mut told: Vec<&str> = Vec::new();
    let ids = outcome
        .findings
        .iter()
        .filter(|finding| finding.weight == Weight::Failure)
        .flat_map(|f| &f.clauses);
    for clause in ids.filter_map(|id| report.suite.clause(id)) {
        if !told.contains(&clause.id.as_str()) {
            told.push(&clause.id);
            write_clause(out, clause)?;
        }
    }
    let file = format!("cases/{}.json", outcome.case);
    let mut exchanges: Vec<usize> = Vec::new();
    for finding in outcome
        .findings
        .iter()
        .filter(|finding| finding.weight > Weight::Remark)
    {
        if !exchanges.contains(&finding.exchange) {
            exchanges.push(finding.exchange);
            if let Some(exchange) = outcome.exchanges.get(finding.exchange) {
                write_exchange(out, exchange)?;
            }
        }
        write_finding(out, report, finding, &file)?;
    }
    if let Some(exchange) = exchanges.first().and_then(|index| outcome.exchanges.get(*index)) {
        writeln!(out, "  {FAINT}{}{FAINT:#}", curl(report, exchange))?;
    }
    writeln!(out)
}

fn write_clause(out: &mut String, clause: &Clause) -> fmt::Result {
    let (level, evidence) = (clause.level.name(), clause.evidence.name());
    writeln!(
        out,
        "  {STRONG}{}{STRONG:#} {level}, {evidence}: {}",
        clause.id, clause.statement
    )?;
    writeln!(out, "    {FAINT}{}{FAINT:#}", clause.source)
}

fn write_exchange(out: &mut String, exchange: &Exchange) -> fmt::Result {
    let Exchange {
        label,
        speaker,
        request,
        response,
        ..
    } = exchange;
    writeln!(out, "  step {label}, {speaker}: {} {}", request.method, request.path)?;
    if let Some(body) = &request.body {
        writeln!(out, "    sent     {}", cut(&String::from_utf8_lossy(body)))?;
    }
    let kind = response.header("content-type").unwrap_or("no content type");
    writeln!(
        out,
        "    answered {} ({kind}) {}",
        response.status,
        cut(&String::from_utf8_lossy(&response.body))
    )
}

fn write_finding(out: &mut String, report: &Report<'_>, finding: &Finding, file: &str) -> fmt::Result {
    let setup = if finding.is_setup { " while preparing" } else { "" };
    let label = format!("expected {}, found {}", finding.expected, finding.actual);
    let text = report.suite.files().get(file).filter(|_| !finding.pointer.is_empty());
    let Some(text) = text else {
        let clauses = finding.clauses.join(", ");
        return writeln!(
            out,
            "    {BAD}{}{BAD:#}{setup}: {label} {FAINT}{clauses}{FAINT:#}",
            finding.assertion
        );
    };
    let problem = Problem {
        file: file.to_owned(),
        place: Place::Value(finding.pointer.clone()),
        message: format!("{} ({}{setup})", finding.assertion, finding.weight.name()),
        expected: label,
    };
    for line in problem.render(Some(text), true).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

/// The request as a command line, with the token left out.
fn curl(report: &Report<'_>, exchange: &Exchange) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let request = &exchange.request;
    let mut line = format!(
        "curl -i --path-as-is -X {} {}",
        request.method,
        quote(&format!("{}{}", report.facts.base_url, request.path))
    );
    for (name, value) in &request.headers {
        let _ = write!(line, " -H {}", quote(&format!("{name}: {value}")));
    }
    if exchange.speaker != "nobody" {
        let _ = write!(
            line,
            " -H \"Authorization: $MPSD_TOKEN\" # the token of {}",
            exchange.speaker
        );
    }
    if let Some(body) = &request.body {
        let data = format!(" --data-binary {}", quote(&String::from_utf8_lossy(body)));
        let at = line.find(" -H ").unwrap_or(line.len());
        line.insert_str(at, &data);
    }
    line
}

fn cut(text: &str) -> String {
    cut_to(text, BODY)
}

fn cut_to(text: &str, limit: usize) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > limit {
        let end = (0..=limit)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or_default();
        let length = text.len();
        text.truncate(end);
        let _ = write!(text, "... ({length} bytes)");
    }
    text
}

fn write_chapters(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let width = report
        .suite
        .chapters()
        .iter()
        .map(|chapter| chapter.name.len())
        .max()
        .unwrap_or(8)
        .max(8);
    writeln!(
        out,
        "{STRONG}{:<width$}  clauses: hold   fail  not judged  untestable    cases: pass   fail  other{STRONG:#}",
        "chapter"
    )?;
    for chapter in report.suite.chapters() {
        let standings = || {
            report
                .standings
                .iter()
                .filter(|(clause, _)| clause.chapter == chapter.name)
        };
        let clauses = |wanted: &dyn Fn(Standing) -> bool| standings().filter(|(_, standing)| wanted(*standing)).count();
        let held = clauses(&|standing| standing == Standing::Judged(Verdict::Pass));
        let failed = clauses(&|standing| matches!(standing, Standing::Judged(Verdict::Fail | Verdict::Deviation)));
        let untestable = clauses(&|standing| standing == Standing::Untestable);
        let open = standings().count() - held - failed - untestable;
        let is_here = |outcome: &&Outcome| outcome.case.split('/').next() == Some(chapter.name.as_str());
        let cases = || report.outcomes.iter().filter(is_here);
        let passed = cases().filter(|outcome| outcome.verdict == Verdict::Pass).count();
        let failing = cases().filter(|outcome| outcome.verdict == Verdict::Fail).count();
        let other = cases().count() - passed - failing;
        if report.is_partial && cases().count() == 0 {
            continue;
        }
        let (fail_style, case_style) = (style(failed), style(failing));
        writeln!(
            out,
            "{:<width$}  {held:>13}  {fail_style}{failed:>5}{fail_style:#}  {open:>10}  {untestable:>10}  {passed:>12}  \
             {case_style}{failing:>5}{case_style:#}  {other:>5}",
            chapter.name
        )?;
    }
    writeln!(out)
}

fn style(count: usize) -> Style {
    if count > 0 { BAD } else { Style::new() }
}

fn write_lesser(out: &mut String, report: &Report<'_>, wanted: Weight) -> fmt::Result {
    let mut findings = report.findings(wanted).peekable();
    if findings.peek().is_none() {
        return Ok(());
    }
    let title = if wanted == Weight::Warning {
        "Warnings"
    } else {
        "Remarks"
    };
    writeln!(out, "{DOUBTFUL}{title}{DOUBTFUL:#}")?;
    let mut told: Vec<(&str, &str)> = Vec::new();
    for (outcome, finding) in findings {
        if told.contains(&(&outcome.id, &finding.assertion)) {
            continue;
        }
        told.push((&outcome.id, &finding.assertion));
        let Finding {
            assertion,
            expected,
            actual,
            clauses,
            ..
        } = finding;
        writeln!(
            out,
            "  {}: {assertion}: expected {expected}, found {actual} {FAINT}{}{FAINT:#}",
            outcome.id,
            clauses.join(", ")
        )?;
    }
    writeln!(out)
}

fn write_summary(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let counts = Verdict::ALL
        .into_iter()
        .map(|verdict| (verdict.told(), report.count(verdict)));
    let counts: Vec<_> = counts
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let is_good = !report.outcomes.iter().any(is_broken) && report.stale().next().is_none();
    let style = if is_good { GOOD } else { BAD };
    let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} %"));
    let whole: usize = report.suite.cases().iter().map(|case| case.variants.len()).sum();
    let partial = if report.is_partial {
        format!(", a part of the suite of {whole}")
    } else {
        String::new()
    };
    writeln!(
        out,
        "{style}{}{style:#} of {} cases{partial}",
        counts.join(", "),
        report.outcomes.len()
    )?;
    let lesser = [(Weight::Warning, "warnings"), (Weight::Remark, "remarks")];
    let lesser: Vec<_> = lesser
        .map(|(weight, name)| format!("{} {name}", report.findings(weight).count()))
        .into();
    let exchanges: usize = report.outcomes.iter().map(|outcome| outcome.exchange_count).sum();
    let assertions: usize = report.outcomes.iter().map(|outcome| outcome.assertions).sum();
    writeln!(
        out,
        "conformance {}, coverage {}, {}; {exchanges} exchanges and {assertions} assertions in {:.2} s against {}; {}",
        percent(report.conformance()),
        percent(report.coverage()),
        lesser.join(", "),
        report.milliseconds / 1000.0,
        report.facts.name,
        report.facts.clock.words()
    )
}
