//! The report for people at a terminal.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::contract::clause::{Clause, Weight};
use crate::contract::json::problem::{Place, Problem};
use crate::contract::plain::{self, Plain};
use crate::replay::verdict::{Exchange, Finding, Outcome, Verdict};
use crate::report::cause::{self, Group};
use crate::report::curl::Asked;
use crate::report::{Report, Standing, document, ladder};

/// How many causes of failure are shown with a case's conversation.
const SHOWN: usize = 10;
/// How many rungs of the ladder are told.
const RUNGS: usize = 10;
/// How many cases that failed alike are named.
const NAMED: usize = 10;
/// How many findings of one case are shown.
const FINDINGS: usize = 6;
/// How many kinds of warnings, or of remarks, are told.
const LESSER: usize = 20;
/// How much of a body is shown, in bytes.
const BODY: usize = 1_500;
/// How much of a cause names it in a list, in bytes.
const CAUSE: usize = 160;
/// So many cases that broke without one document of the contract say something of the target.
const MANY: usize = 20;

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

/// Renders what to do next, rung by rung, and the counts.
pub fn render_ladder(report: &Report<'_>) -> String {
    let rungs = ladder::climb(report);
    let mut out = if rungs.is_empty() {
        format!("{GOOD}Nothing is missing{GOOD:#} in the cases that were judged\n")
    } else {
        format!("{STRONG}What to do next{STRONG:#}, by the cases that wait for it\n")
    };
    out.push_str(&ladder::render(&rungs, RUNGS));
    out.push('\n');
    // Writing to a string cannot fail.
    let _ = write_summary(&mut out, report);
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
    if broken.len() >= MANY && report.outcomes.iter().all(|outcome| outcome.documents == 0) {
        return write_stranger(out, report, broken);
    }
    // What the end of the run cut off is told once, not case by case.
    let told = broken.into_iter().filter(|outcome| !is_cut_off(report, outcome));
    let groups = cause::group(report, told);
    for group in groups.iter().take(SHOWN) {
        write_group(out, report, group)?;
    }
    if groups.len() > SHOWN {
        writeln!(out, "{BAD}and for other causes:{BAD:#}")?;
        for group in groups.iter().skip(SHOWN) {
            let cases = match group.outcomes.as_slice() {
                [one] => one.id.clone(),
                [first, ..] => format!("{} cases, such as {}", group.outcomes.len(), first.id),
                [] => String::new(),
            };
            writeln!(out, "  {} {FAINT}{}{FAINT:#}", Plain(&cases), Plain(&group.told))?;
        }
        writeln!(out)?;
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
            writeln!(
                out,
                "  {entry:<10} {:<28} {FAINT}{}{FAINT:#}",
                keys.join(", "),
                Plain(topic)
            )?;
        }
        writeln!(out)?;
    }
    for suspect in &report.suspects {
        writeln!(out, "{DOUBTFUL}looks like:{DOUBTFUL:#} {}", Plain(&suspect.told()))?;
    }
    if !report.suspects.is_empty() {
        writeln!(out)?;
    }
    for listed in report.stale() {
        let (deviation, state) = (&listed.deviation, listed.state.told());
        writeln!(
            out,
            "{BAD}listed deviation:{BAD:#} {} {state} {FAINT}{}{FAINT:#}",
            Plain(&deviation.label()),
            Plain(&deviation.reason)
        )?;
    }
    for leftover in report.leftovers().take(NAMED) {
        writeln!(out, "{DOUBTFUL}left behind:{DOUBTFUL:#} {}", Plain(leftover))?;
    }
    if let Some(more @ 1..) = report.leftovers().count().checked_sub(NAMED) {
        writeln!(
            out,
            "{DOUBTFUL}left behind:{DOUBTFUL:#} {more} more; `--report html=PATH` has them all"
        )?;
    }
    write_halt(out, report)?;
    write_summary(out, report)
}

/// All that there is to say of a target that answered nothing as only an MPSD would: a screen of it.
fn write_stranger(out: &mut String, report: &Report<'_>, broken: Vec<&Outcome>) -> fmt::Result {
    let exchanges: usize = report.outcomes.iter().map(|outcome| outcome.exchange_count).sum();
    if exchanges > 0 {
        writeln!(
            out,
            "{BAD}this does not look like an MPSD:{BAD:#} not one of {exchanges} answers was a document of the contract"
        )?;
        writeln!(
            out,
            "  {FAINT}does `baseUrl` ({}) lead to the right service?{FAINT:#}\n",
            Plain(&report.facts.base_url)
        )?;
    }
    let groups = cause::group(report, broken);
    for Group { told, outcomes } in groups.iter().take(SHOWN) {
        let first = outcomes.first().map_or("", |outcome| outcome.id.as_str());
        writeln!(
            out,
            "{:>6}  {} {FAINT}{}{FAINT:#}",
            outcomes.len(),
            cut_to(told, CAUSE),
            Plain(first)
        )?;
    }
    let rest: usize = groups.iter().skip(SHOWN).map(|group| group.outcomes.len()).sum();
    if rest > 0 {
        writeln!(
            out,
            "{rest:>6}  {FAINT}for other causes; `--report html=PATH` has them all{FAINT:#}"
        )?;
    }
    writeln!(out)?;
    write_halt(out, report)?;
    write_summary(out, report)
}

/// Why the run ended before its time, if it did.
fn write_halt(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let Some(halted) = &report.halted else { return Ok(()) };
    let count = report
        .outcomes
        .iter()
        .filter(|outcome| is_cut_off(report, outcome))
        .count();
    writeln!(
        out,
        "{BAD}{}:{BAD:#} {count} cases were not judged for it; this report is partial",
        Plain(&halted.reason)
    )
}

/// Whether the end of the run left a case without a verdict.
fn is_cut_off(report: &Report<'_>, outcome: &Outcome) -> bool {
    let halted = report.halted.as_ref().map(|halted| &*halted.reason);
    halted.is_some() && outcome.reason.as_deref() == halted
}

/// Cases that failed alike: one of them in full, and the names of the others.
fn write_group(out: &mut String, report: &Report<'_>, group: &Group<'_>) -> fmt::Result {
    let Some((first, others)) = group.outcomes.split_first() else {
        return Ok(());
    };
    if !others.is_empty() {
        writeln!(
            out,
            "{BAD}{} cases alike:{BAD:#} {}",
            group.outcomes.len(),
            Plain(&group.told)
        )?;
    }
    write_failure(out, report, first)?;
    if others.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {STRONG}and alike{STRONG:#}")?;
    for outcome in others.iter().take(NAMED) {
        writeln!(out, "  {}", Plain(&outcome.id))?;
    }
    if others.len() > NAMED {
        writeln!(
            out,
            "  {FAINT}and {} more; `--report html=PATH` has them all{FAINT:#}",
            others.len() - NAMED
        )?;
    }
    writeln!(out)
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
    writeln!(out, "{BAD}{verdict}{BAD:#} {STRONG}{}{STRONG:#}", Plain(&outcome.id))?;
    writeln!(out, "  {}", Plain(case.map_or("", |case| case.title.as_str())))?;
    if let Some(reason) = &outcome.reason {
        writeln!(out, "  {}", Plain(reason))?;
    }
    let is_failure = |finding: &&Finding| document::is_failure(finding.is_setup, finding.weight, report.strict);
    let decisive = cause::decisive(outcome, report.strict).map(|(_, finding)| finding);
    let mut told: Vec<&str> = Vec::new();
    for id in decisive.into_iter().flat_map(|finding| &finding.clauses) {
        if let Some(clause) = report.suite.clause(id).filter(|clause| !told.contains(&&*clause.id)) {
            told.push(&clause.id);
            write_clause(out, clause)?;
        }
    }
    // What decided the case comes first, with what else is wrong with the same answer.
    let mut findings: Vec<&Finding> = outcome.findings.iter().filter(is_failure).collect();
    findings.sort_by_key(|finding| {
        let is_decisive = decisive.is_some_and(|decisive| std::ptr::eq::<Finding>(decisive, *finding));
        (
            decisive.map(|decisive| decisive.exchange) != Some(finding.exchange),
            !is_decisive,
        )
    });
    let file = format!("cases/{}.json", outcome.case);
    let mut exchange = None;
    for finding in findings.iter().take(FINDINGS) {
        if exchange != Some(finding.exchange) {
            exchange = Some(finding.exchange);
            if let Some(exchange) = outcome.exchanges.get(finding.exchange) {
                write_exchange(out, exchange)?;
            }
        }
        write_finding(out, report, finding, &file)?;
    }
    if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS) {
        writeln!(out, "    {FAINT}and {more} more{FAINT:#}")?;
    }
    let others = findings.iter().flat_map(|finding| &finding.clauses);
    let mut others: Vec<&str> = others.map(String::as_str).filter(|id| !told.contains(id)).collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        writeln!(out, "  {FAINT}also counted against {}{FAINT:#}", others.join(", "))?;
    }
    let warnings = outcome
        .findings
        .iter()
        .filter(|finding| finding.weight == Weight::Warning);
    let warnings = warnings.filter(|finding| !is_failure(finding)).count();
    if warnings > 0 {
        writeln!(out, "  {FAINT}{warnings} of its findings are warnings{FAINT:#}")?;
    }
    let exchange = decisive.and_then(|finding| outcome.exchanges.get(finding.exchange));
    if let Some(exchange) = exchange {
        writeln!(out, "  {FAINT}{}{FAINT:#}", Plain(&curl(report, exchange)))?;
    }
    writeln!(out)
}

fn write_clause(out: &mut String, clause: &Clause) -> fmt::Result {
    let (level, evidence) = (clause.level.name(), clause.evidence.name());
    writeln!(
        out,
        "  {STRONG}{}{STRONG:#} {level}, {evidence}: {}",
        clause.id,
        Plain(&clause.statement)
    )?;
    writeln!(out, "    {FAINT}{}{FAINT:#}", Plain(&clause.source))
}

fn write_exchange(out: &mut String, exchange: &Exchange) -> fmt::Result {
    let Exchange {
        label,
        speaker,
        request,
        response,
        ..
    } = exchange;
    writeln!(
        out,
        "  step {label}, {speaker}: {} {}",
        Plain(&request.method),
        Plain(&request.path)
    )?;
    if let Some(body) = &request.body {
        writeln!(out, "    sent     {}", cut(&String::from_utf8_lossy(body)))?;
    }
    let kind = response.header("content-type").unwrap_or("no content type");
    writeln!(
        out,
        "    answered {} ({kind}) {}",
        response.status,
        cut(&String::from_utf8_lossy(&response.body)),
        kind = Plain(kind)
    )
}

fn write_finding(out: &mut String, report: &Report<'_>, finding: &Finding, file: &str) -> fmt::Result {
    let setup = if finding.is_setup { " while preparing" } else { "" };
    let label = finding.told();
    let text = report.suite.files().get(file).filter(|_| !finding.pointer.is_empty());
    let Some(text) = text else {
        let clauses = finding.clauses.join(", ");
        return writeln!(
            out,
            "    {BAD}{}{BAD:#}{setup}: {label} {FAINT}{clauses}{FAINT:#}",
            Plain(&finding.assertion),
            label = Plain(&label)
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
    let request = &exchange.request;
    let body = request.body.as_ref().map(|body| String::from_utf8_lossy(body));
    let asked = Asked {
        base_url: &report.facts.base_url,
        speaker: &exchange.speaker,
        method: &request.method,
        path: &request.path,
        headers: &request.headers,
        body: body.as_deref(),
    };
    asked.line()
}

fn cut(text: &str) -> String {
    cut_to(text, BODY)
}

fn cut_to(text: &str, limit: usize) -> String {
    let mut text: String = text
        .chars()
        .map(|c| if plain::is_steering(c) { ' ' } else { c })
        .collect();
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
            Plain(&chapter.name)
        )?;
    }
    writeln!(out)
}

fn style(count: usize) -> Style {
    if count > 0 { BAD } else { Style::new() }
}

/// Warnings or remarks: those that are alike are told by one of them.
fn write_lesser(out: &mut String, report: &Report<'_>, wanted: Weight) -> fmt::Result {
    // One of each kind, and how many there are.
    let mut kinds: Vec<(&Outcome, &Finding, usize)> = Vec::new();
    for (outcome, finding) in report.findings(wanted) {
        let kind = |finding: &Finding| cause::normalised(&finding.assertion);
        let is_alike = |known: &&mut (&Outcome, &Finding, usize)| {
            known.1.clauses == finding.clauses && kind(known.1) == kind(finding)
        };
        match kinds.iter_mut().find(is_alike) {
            Some((.., count)) => *count += 1,
            None => kinds.push((outcome, finding, 1)),
        }
    }
    if kinds.is_empty() {
        return Ok(());
    }
    kinds.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    let title = if wanted == Weight::Warning {
        "Warnings"
    } else {
        "Remarks"
    };
    writeln!(out, "{DOUBTFUL}{title}{DOUBTFUL:#}")?;
    for (outcome, finding, count) in kinds.iter().take(LESSER) {
        let times = match count {
            1 => String::new(),
            count => format!(", and {} more like it", count - 1),
        };
        writeln!(
            out,
            "  {}: {}: {} {FAINT}{}{times}{FAINT:#}",
            Plain(&outcome.id),
            Plain(&finding.assertion),
            cut_to(&finding.told(), CAUSE),
            finding.clauses.join(", ")
        )?;
    }
    if let Some(more @ 1..) = kinds.len().checked_sub(LESSER) {
        writeln!(
            out,
            "  {FAINT}and {more} other kinds; `--report html=PATH` has them all{FAINT:#}"
        )?;
    }
    writeln!(out)
}

fn write_summary(out: &mut String, report: &Report<'_>) -> fmt::Result {
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
        document::told(|verdict| report.count(verdict)),
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
        Plain(&report.facts.name),
        report.facts.clock.words()
    )
}
