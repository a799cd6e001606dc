//! The report for GitHub Actions: workflow commands that become annotations of a run.

use std::fmt::Write as _;

use crate::contract::plain;
use crate::replay::verdict::Verdict;
use crate::report::model::Report;

/// A step shows no more annotations than this of a kind.
const SHOWN: usize = 9;

/// Renders what stands out in a report, one command a line.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let is_broken = |verdict| matches!(verdict, Verdict::Fail | Verdict::Fixed | Verdict::SuiteFault);
    let mut errors: Vec<(String, String)> = Vec::new();
    for listed in report.stale() {
        let message = format!("{} {}", listed.deviation.label(), listed.state.text());
        errors.push(("listed deviation".to_owned(), message));
    }
    for case in report.cases.iter().filter(|case| is_broken(case.verdict)) {
        let found = case.decisive(report.strict).map(|found| {
            format!(
                "\n{}: expected {}, found {}",
                found.assertion, found.expected, found.actual
            )
        });
        let reason = case.reason.as_ref().map(|reason| format!("\n{reason}"));
        let message = format!(
            "{}{}{}",
            case.title,
            reason.unwrap_or_default(),
            found.unwrap_or_default()
        );
        errors.push((format!("{}: {}", case.verdict.text(), case.id), message));
    }
    for (title, message) in errors.iter().take(SHOWN) {
        let _ = writeln!(out, "::error title={}::{}", property(title), data(message));
    }
    if errors.len() > SHOWN {
        let message = format!("and {} more, see the report", errors.len() - SHOWN);
        let _ = writeln!(out, "::error title=MPSD conformance::{}", data(&message));
    }
    let unclear = report.cases.iter().filter(|case| case.verdict == Verdict::Inconclusive);
    for case in unclear.take(SHOWN) {
        let reason = case.reason.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "::warning title={}::{}",
            property(&format!("inconclusive: {}", case.id)),
            data(reason)
        );
    }
    let part = report.part().map_or(String::new(), |part| format!(", {part}"));
    let summary = format!(
        "{} of {}{part}",
        report.summary.text(),
        plain::count(report.summary.total(), "case")
    );
    let _ = writeln!(
        out,
        "::notice title={}::{}",
        property(&format!("MPSD: {}", report.target.name)),
        data(&summary)
    );
    out
}

fn data(text: &str) -> String {
    plain::visible(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
