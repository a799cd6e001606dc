//! The report for people at a terminal.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::contract::Suite;
use crate::contract::clause::{Clause, Weight};
use crate::contract::json::problem::{Place, Problem};
use crate::contract::plain::{self, Plain, count};
use crate::replay::verdict::Verdict;
use crate::report::model::{self, Case, Cause, Exchange, Finding, Report, Standing};
use crate::report::{curl, ladder};

/// How many causes of failure are shown with a case's conversation.
const SHOWN: usize = 10;
/// How many rungs of the ladder are shown.
const RUNGS: usize = 10;
/// How many cases that failed alike are named.
const NAMED: usize = 10;
/// How many findings of one case are shown.
const FINDINGS: usize = 6;
/// How many kinds of warnings, or of notes, are shown.
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

/// Renders a report on the suite; styles are always in it, and whoever prints it strips what the terminal cannot show.
pub fn render(report: &Report, suite: &Suite) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report, suite);
    out
}

/// Renders what to do next, rung by rung, and the counts.
pub fn render_ladder(report: &Report, suite: &Suite) -> String {
    let rungs = ladder::climb(report, suite);
    let mut out = if rungs.is_empty() {
        format!("{GOOD}Nothing is missing{GOOD:#} in the tested cases\n")
    } else {
        format!("{STRONG}What to do next{STRONG:#}, ordered by the number of cases it unblocks\n")
    };
    out.push_str(&ladder::render(&rungs, RUNGS));
    out.push('\n');
    // Writing to a string cannot fail.
    let _ = write_summary(&mut out, report);
    out
}

/// Renders what is known of one case that did not pass, with the exchanges it is about.
pub fn render_failure(report: &Report, suite: &Suite, case: &Case) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_failure(&mut out, report, suite, case);
    out
}

fn write(out: &mut String, report: &Report, suite: &Suite) -> fmt::Result {
    let broken = report.cases.iter().filter(|case| case.is_broken()).count();
    if broken >= MANY && report.cases.iter().all(|case| case.documents == 0) {
        return write_stranger(out, report);
    }
    let causes = report.causes();
    for cause in causes.iter().take(SHOWN) {
        write_cause(out, report, suite, cause)?;
    }
    if causes.len() > SHOWN {
        writeln!(out, "{BAD}other causes:{BAD:#}")?;
        for cause in causes.iter().skip(SHOWN) {
            let example = Plain(&cause.example.id);
            match cause.count() {
                1 => write!(out, "  {example}")?,
                count => write!(out, "  {count} cases, such as {example}")?,
            }
            writeln!(out, " {FAINT}{}{FAINT:#}", Plain(cause.text))?;
        }
        writeln!(out)?;
    }
    write_chapters(out, report)?;
    write_lesser(out, report, Weight::Warning)?;
    write_lesser(out, report, Weight::Remark)?;
    if !report.readings.is_empty() {
        writeln!(
            out,
            "{STRONG}Interpretations{STRONG:#} of contested clauses that the target follows"
        )?;
        for (entry, keys) in &report.readings {
            let topic = suite.ledger_entry(entry).map_or("", |entry| entry.topic.as_str());
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let (keys, topic) = (keys.join(", "), Plain(topic));
            writeln!(out, "  {entry:<10} {keys:<28} {FAINT}{topic}{FAINT:#}")?;
        }
        writeln!(out)?;
    }
    for suspect in &report.suspects {
        writeln!(out, "{DOUBTFUL}hint:{DOUBTFUL:#} {}", Plain(&suspect.text()))?;
    }
    if !report.suspects.is_empty() {
        writeln!(out)?;
    }
    for listed in report.stale() {
        let (deviation, state) = (&listed.deviation, listed.state.text());
        writeln!(
            out,
            "{BAD}listed deviation:{BAD:#} {} {state} {FAINT}{}{FAINT:#}",
            Plain(&deviation.label()),
            Plain(&deviation.reason)
        )?;
    }
    for leftover in report.leftovers.iter().take(NAMED) {
        writeln!(out, "{DOUBTFUL}not deleted:{DOUBTFUL:#} {}", Plain(leftover))?;
    }
    if let Some(more @ 1..) = report.leftovers.len().checked_sub(NAMED) {
        writeln!(
            out,
            "{DOUBTFUL}not deleted:{DOUBTFUL:#} {more} more; see `--report html=PATH`"
        )?;
    }
    write_halt(out, report)?;
    write_summary(out, report)
}

/// All that there is to report of a target that answered nothing as only an MPSD would: a screen of it.
fn write_stranger(out: &mut String, report: &Report) -> fmt::Result {
    let exchanges: usize = report.cases.iter().map(|case| case.exchanges).sum();
    if exchanges > 0 {
        writeln!(out, "{BAD}no response looked like MPSD{BAD:#} (0 of {exchanges})")?;
        writeln!(
            out,
            "  {FAINT}check `baseUrl` ({}){FAINT:#}\n",
            Plain(&report.target.base_url)
        )?;
    }
    let causes = report.causes();
    for cause in causes.iter().take(SHOWN) {
        let (count, text, example) = (cause.count(), cut_to(cause.text, CAUSE), Plain(&cause.example.id));
        writeln!(out, "{count:>6}  {text} {FAINT}{example}{FAINT:#}")?;
    }
    let rest: usize = causes.iter().skip(SHOWN).map(Cause::count).sum();
    if rest > 0 {
        writeln!(
            out,
            "{rest:>6}  {FAINT}with other causes; see `--report html=PATH`{FAINT:#}"
        )?;
    }
    writeln!(out)?;
    write_halt(out, report)?;
    write_summary(out, report)
}

/// Why the run ended before its time, if it did.
fn write_halt(out: &mut String, report: &Report) -> fmt::Result {
    let Some(reason) = &report.halted else { return Ok(()) };
    let unfinished = report.cases.iter().filter(|case| report.is_cut_off(case)).count();
    writeln!(
        out,
        "{BAD}{}:{BAD:#} {} not finished; this report is partial",
        Plain(reason),
        count(unfinished, "case")
    )
}

/// Cases that broke alike: one of them in full, and the names of the others.
fn write_cause(out: &mut String, report: &Report, suite: &Suite, cause: &Cause<'_>) -> fmt::Result {
    if !cause.others.is_empty() {
        let (count, text) = (cause.count(), Plain(cause.text));
        writeln!(out, "{BAD}{count} cases failed the same way:{BAD:#} {text}")?;
    }
    write_failure(out, report, suite, cause.example)?;
    if cause.others.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {STRONG}same failure in{STRONG:#}")?;
    for case in cause.others.iter().take(NAMED) {
        writeln!(out, "  {}", Plain(&case.id))?;
    }
    if let Some(more @ 1..) = cause.others.len().checked_sub(NAMED) {
        writeln!(out, "  {FAINT}and {more} more; see `--report html=PATH`{FAINT:#}")?;
    }
    writeln!(out)
}

fn write_failure(out: &mut String, report: &Report, suite: &Suite, case: &Case) -> fmt::Result {
    let verdict = match case.verdict {
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Fixed => "FIXED",
        _ => "SUITE FAULT",
    };
    writeln!(out, "{BAD}{verdict}{BAD:#} {STRONG}{}{STRONG:#}", Plain(&case.id))?;
    writeln!(out, "  {}", Plain(&case.title))?;
    if let Some(reason) = &case.reason {
        writeln!(out, "  {}", Plain(reason))?;
    }
    let decisive = case.decisive(report.strict);
    let mut shown: Vec<&str> = Vec::new();
    for id in decisive.into_iter().flat_map(|finding| &finding.clauses) {
        if let Some(clause) = suite.clause(id).filter(|clause| !shown.contains(&&*clause.id)) {
            shown.push(&clause.id);
            write_clause(out, suite, clause)?;
        }
    }
    // What decided the case comes first, with what else is wrong with the same response.
    let mut findings: Vec<&Finding> = case.failures(report.strict).collect();
    findings.sort_by_key(|finding| {
        let is_decisive = decisive.is_some_and(|decisive| std::ptr::eq::<Finding>(decisive, *finding));
        (
            decisive.map(|decisive| decisive.exchange) != Some(finding.exchange),
            !is_decisive,
        )
    });
    let mut exchange = None;
    for finding in findings.iter().take(FINDINGS) {
        if exchange != Some(finding.exchange) {
            exchange = Some(finding.exchange);
            if let Some(exchange) = case.exchange(finding) {
                write_exchange(out, exchange)?;
            }
        }
        write_finding(out, suite, case, finding)?;
    }
    if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS) {
        writeln!(out, "    {FAINT}and {more} more{FAINT:#}")?;
    }
    let others = findings.iter().flat_map(|finding| &finding.clauses);
    let mut others: Vec<&str> = others.map(String::as_str).filter(|id| !shown.contains(id)).collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        writeln!(out, "  {FAINT}also fails {}{FAINT:#}", others.join(", "))?;
    }
    let warnings = case.findings.iter().filter(|finding| finding.weight == Weight::Warning);
    let warnings = warnings.filter(|finding| !report.strict && !finding.setup).count();
    if warnings > 0 {
        let more = if warnings == 1 { "is a warning" } else { "are warnings" };
        writeln!(
            out,
            "  {FAINT}{} of this case {more}{FAINT:#}",
            count(warnings, "failed assertion")
        )?;
    }
    if let Some(exchange) = decisive.and_then(|finding| case.exchange(finding)) {
        let line = curl::line(&report.target, exchange, Some(BODY));
        writeln!(out, "  {FAINT}{}{FAINT:#}", Plain(&line))?;
    }
    writeln!(out)
}

fn write_clause(out: &mut String, suite: &Suite, clause: &Clause) -> fmt::Result {
    let (level, evidence) = (clause.level.name(), clause.evidence.name());
    writeln!(
        out,
        "  {STRONG}{}{STRONG:#} {level}, {evidence}: {}",
        clause.id,
        Plain(&clause.statement)
    )?;
    writeln!(
        out,
        "    {FAINT}{}{FAINT:#}",
        Plain(&suite.sources().cite_all(&clause.sources))
    )
}

fn write_exchange(out: &mut String, exchange: &Exchange) -> fmt::Result {
    let Exchange {
        step,
        speaker,
        request,
        response,
    } = exchange;
    writeln!(out, "  step {step}, {speaker}: {}", Plain(&request.line))?;
    if let Some(body) = &request.body {
        writeln!(out, "    sent     {}", cut_to(body, BODY))?;
    }
    let kind = response.header("content-type").unwrap_or("no content type");
    writeln!(
        out,
        "    response {} ({}) {}",
        response.line,
        Plain(kind),
        cut_to(response.body.as_deref().unwrap_or_default(), BODY)
    )
}

fn write_finding(out: &mut String, suite: &Suite, case: &Case, finding: &Finding) -> fmt::Result {
    let setup = if finding.setup { " in a setup step" } else { "" };
    let (label, file) = (finding.text(), case.file());
    let text = suite.files().get(&file).filter(|_| !finding.pointer.is_empty());
    let Some(text) = text else {
        let clauses = finding.clauses.join(", ");
        return writeln!(
            out,
            "    {BAD}{}{BAD:#}{setup}: {label} {FAINT}{clauses}{FAINT:#}",
            Plain(&finding.assertion.to_string()),
            label = Plain(&label)
        );
    };
    let problem = Problem {
        file,
        place: Place::Value(finding.pointer.clone()),
        message: format!("{} ({}{setup})", finding.assertion, finding.weight.text()),
        expected: label,
    };
    for line in problem.render(Some(text), true).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn cut_to(text: &str, limit: usize) -> String {
    let steering = |c: char| if plain::is_steering(c) { ' ' } else { c };
    model::cut(text, limit).chars().map(steering).collect()
}

fn write_chapters(out: &mut String, report: &Report) -> fmt::Result {
    let names = report.chapters.iter().map(|chapter| chapter.name.len());
    let width = names.max().unwrap_or(8).max(8);
    writeln!(
        out,
        "{STRONG}{:<width$}  clauses: pass   fail  not tested  untestable    cases: pass   fail  other{STRONG:#}",
        "chapter"
    )?;
    for chapter in &report.chapters {
        let standings = || report.clauses.iter().filter(|clause| clause.chapter == chapter.name);
        let clauses = |wanted: &dyn Fn(Standing) -> bool| standings().filter(|clause| wanted(clause.verdict)).count();
        let held = clauses(&|standing| standing == Standing::Judged(Verdict::Pass));
        let failed = clauses(&|standing| matches!(standing, Standing::Judged(Verdict::Fail | Verdict::Deviation)));
        let untestable = clauses(&|standing| standing == Standing::Untestable);
        let open = standings().count() - held - failed - untestable;
        let summary = report.summary_of(chapter);
        if report.suite.partial && summary.total() == 0 {
            continue;
        }
        let (passed, failing) = (summary.pass, summary.fail);
        let other = summary.total() - passed - failing;
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

/// Warnings or notes: of those of one kind, one is shown.
fn write_lesser(out: &mut String, report: &Report, wanted: Weight) -> fmt::Result {
    // One of each kind, and how many there are.
    let mut kinds: Vec<(&Case, &Finding, usize)> = Vec::new();
    for (case, finding) in report.findings(wanted) {
        let kind = |finding: &Finding| finding.assertion.clone().general();
        let is_alike = |known: &&mut (&Case, &Finding, usize)| {
            known.1.clauses == finding.clauses && kind(known.1) == kind(finding)
        };
        match kinds.iter_mut().find(is_alike) {
            Some((.., count)) => *count += 1,
            None => kinds.push((case, finding, 1)),
        }
    }
    if kinds.is_empty() {
        return Ok(());
    }
    kinds.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    let title = if wanted == Weight::Warning { "Warnings" } else { "Notes" };
    writeln!(out, "{DOUBTFUL}{title}{DOUBTFUL:#}")?;
    for (case, finding, count) in kinds.iter().take(LESSER) {
        let times = match count {
            1 => String::new(),
            count => format!(", and {} more of this kind", count - 1),
        };
        writeln!(
            out,
            "  {}: {}: {} {FAINT}{}{times}{FAINT:#}",
            Plain(&case.id),
            Plain(&finding.assertion.to_string()),
            cut_to(&finding.text(), CAUSE),
            finding.clauses.join(", ")
        )?;
    }
    if let Some(more @ 1..) = kinds.len().checked_sub(LESSER) {
        writeln!(
            out,
            "  {FAINT}and {more} other kinds; see `--report html=PATH`{FAINT:#}"
        )?;
    }
    writeln!(out)
}

fn write_summary(out: &mut String, report: &Report) -> fmt::Result {
    let is_good = !report.cases.iter().any(Case::is_broken) && report.stale().next().is_none();
    let style = if is_good { GOOD } else { BAD };
    let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} %"));
    let (run, whole, summary) = (report.cases.len(), report.suite.cases, &report.summary);
    let partial = if run < whole {
        format!(", part of the suite of {}", count(whole, "case"))
    } else {
        String::new()
    };
    writeln!(
        out,
        "{style}{}{style:#} of {}{partial}",
        summary.text(),
        count(run, "case")
    )?;
    let exchanges: usize = report.cases.iter().map(|case| case.exchanges).sum();
    let assertions: usize = report.cases.iter().map(|case| case.assertions).sum();
    writeln!(
        out,
        "conformance {}, coverage {}, {}, {}; {} and {} in {:.2} s against {}; {}",
        percent(summary.conformance),
        percent(summary.coverage),
        count(summary.warnings, "warning"),
        count(summary.remarks, "note"),
        count(exchanges, "exchange"),
        count(assertions, "assertion"),
        report.milliseconds / 1000.0,
        Plain(&report.target.name),
        report.target.clock.text()
    )
}
