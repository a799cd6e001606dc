//! The report for CI systems: `JUnit`'s XML, one test suite a chapter, one test case a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::replay::verdict::Verdict;
use crate::report::document::{Case, Document, Said};

/// The suite of the entries of the list of deviations for which the run fails.
pub const STALE: &str = "deviations";

/// Renders a report as `JUnit`'s XML.
pub fn render(document: &Document) -> String {
    let part = document.part();
    let name = match &part {
        Some(part) => format!("MPSD conformance of {} ({part})", document.target.name),
        None => format!("MPSD conformance of {}", document.target.name),
    };
    let mut report = Report::new(name);
    report.set_time(duration(document.milliseconds));
    let causes = document.causes();
    let alike: BTreeMap<&str, (&str, usize)> = causes
        .iter()
        .filter(|(_, cases)| cases.len() > 1)
        .flat_map(|(told, cases)| cases.iter().map(move |case| (case.id.as_str(), (*told, cases.len()))))
        .collect();
    let mut chapters: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &document.cases {
        chapters.entry(case.chapter()).or_default().push(case);
    }
    for (chapter, cases) in chapters {
        let mut suite = TestSuite::new(chapter);
        suite.set_time(duration(cases.iter().map(|case| case.milliseconds).sum()));
        suite.add_property(("target", document.target.name.as_str()));
        let asked = format!("{} {}", document.suite.version, document.suite.fingerprint);
        suite.add_property(("suite", asked.as_str()));
        if let Some(part) = &part {
            suite.add_property(("partial", part.as_str()));
        }
        for case in cases {
            let mut test = TestCase::new(
                case.id.as_str(),
                status(case, document.strict, alike.get(case.id.as_str())),
            );
            test.set_classname(format!("mpsd.{chapter}"));
            test.set_time(duration(case.milliseconds));
            suite.add_test_case(test);
        }
        report.add_test_suite(suite);
    }
    let mut stale = document.stale().peekable();
    if stale.peek().is_some() {
        let mut suite = TestSuite::new(STALE);
        for listed in stale {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("staleDeviation").set_message(listed.state.told());
            status.set_description(format!("{}\n{}", listed.deviation.label(), listed.deviation.reason));
            let mut test = TestCase::new(listed.deviation.label(), status);
            test.set_classname("mpsd.deviations");
            suite.add_test_case(test);
        }
        report.add_test_suite(suite);
    }
    // Nothing but a failing writer can fail here, and a string does not fail.
    report.to_string().unwrap_or_default()
}

/// What became of a case, and how many broke alike.
fn status(case: &Case, strict: bool, alike: Option<&(&str, usize)>) -> TestCaseStatus {
    let reason = case.reason.as_deref().unwrap_or_default();
    match case.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Deviation | Verdict::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {reason}", case.verdict.told()));
            status
        }
        Verdict::Fail | Verdict::Fixed => {
            let first = case.decisive(strict);
            let message = match first {
                Some(found) => format!(
                    "{}: expected {}, found {}",
                    found.assertion, found.expected, found.actual
                ),
                None => reason.to_owned(),
            };
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(case.verdict.name())
                .set_message(message)
                .set_description(text(case, alike));
            status
        }
        Verdict::Inconclusive | Verdict::SuiteFault => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_type(case.verdict.name())
                .set_message(reason)
                .set_description(text(case, alike));
            status
        }
    }
}

/// What did not hold, and the exchanges it is about.
fn text(case: &Case, alike: Option<&(&str, usize)>) -> String {
    let mut text = format!("{}\n", case.title);
    if let Some((cause, count)) = alike {
        let _ = writeln!(text, "{count} cases alike: {cause}");
    }
    if let Some(reason) = &case.reason {
        let _ = writeln!(text, "{reason}");
    }
    let mut told = None;
    for finding in &case.findings {
        if told != Some(finding.exchange)
            && let Some(said) = case.conversation.get(finding.exchange)
        {
            told = Some(finding.exchange);
            write_exchange(&mut text, said);
        }
        let (weight, clauses) = (finding.weight.name(), finding.clauses.join(", "));
        let _ = writeln!(text, "{weight}: {} ({clauses})", finding.assertion);
        let _ = writeln!(
            text,
            "    expected {}\n    found    {}",
            finding.expected, finding.actual
        );
    }
    text
}

fn write_exchange(text: &mut String, said: &Said) {
    let _ = writeln!(text, "\nstep {}, {}: {}", said.step, said.speaker, said.request.line);
    if let Some(body) = &said.request.body {
        let _ = writeln!(text, "    sent     {body}");
    }
    let _ = writeln!(
        text,
        "    answered {} {}",
        said.response.line,
        said.response.body.as_deref().unwrap_or_default()
    );
}

fn duration(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default()
}
