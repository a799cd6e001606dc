//! The report for CI systems: `JUnit`'s XML, one test suite a chapter, one test case a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::contract::plain;
use crate::replay::verdict::Verdict;
use crate::report::model::{BODY, Case, Cause, Exchange, Report};

/// The suite of the entries of the list of deviations for which the run fails.
const STALE: &str = "deviations";

/// Renders a report as `JUnit`'s XML.
pub(super) fn render(report: &Report) -> anyhow::Result<String> {
    let part = report.part();
    let name = match &part {
        Some(part) => format!("MPSD conformance of {} ({part})", report.target.name),
        None => format!("MPSD conformance of {}", report.target.name),
    };
    let mut xml = quick_junit::Report::new(name);
    xml.set_time(duration(report.milliseconds));
    let causes = report.causes();
    let shared = causes.iter().filter(|cause| !cause.others.is_empty());
    let alike: BTreeMap<&str, &Cause<'_>> = shared
        .flat_map(|cause| cause.cases().map(move |case| (case.id.as_str(), cause)))
        .collect();
    let mut chapters: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &report.cases {
        chapters.entry(case.chapter()).or_default().push(case);
    }
    for (chapter, cases) in chapters {
        let mut suite = TestSuite::new(chapter);
        suite.set_time(duration(cases.iter().map(|case| case.milliseconds).sum()));
        suite.add_property(("target", report.target.name.as_str()));
        let version = format!("{} {}", report.suite.version, report.suite.fingerprint);
        suite.add_property(("suite", version.as_str()));
        if let Some(part) = &part {
            suite.add_property(("partial", part.as_str()));
        }
        for case in cases {
            let mut test = TestCase::new(
                case.id.as_str(),
                status(case, report.strict, alike.get(case.id.as_str()).copied()),
            );
            test.set_classname(format!("mpsd.{chapter}"));
            test.set_time(duration(case.milliseconds));
            suite.add_test_case(test);
        }
        xml.add_test_suite(suite);
    }
    let mut stale = report.stale().peekable();
    if stale.peek().is_some() {
        let mut suite = TestSuite::new(STALE);
        for listed in stale {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("staleDeviation").set_message(listed.state.text());
            status.set_description(format!("{}\n{}", listed.deviation.label(), listed.deviation.reason));
            let mut test = TestCase::new(listed.deviation.label(), status);
            test.set_classname("mpsd.deviations");
            suite.add_test_case(test);
        }
        xml.add_test_suite(suite);
    }
    // XML has no way to write some characters, and those who show it would be steered by others.
    Ok(plain::visible(&xml.to_string()?).into_owned())
}

/// What became of a case, and how many broke alike.
fn status(case: &Case, strict: bool, alike: Option<&Cause<'_>>) -> TestCaseStatus {
    let reason = case.reason.as_deref().unwrap_or("no reason given");
    match case.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Deviation | Verdict::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {reason}", case.verdict.text()));
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
fn text(case: &Case, alike: Option<&Cause<'_>>) -> String {
    let mut text = format!("{}\n", case.title);
    if let Some(cause) = alike {
        let _ = writeln!(text, "{} cases failed the same way: {}", cause.count(), cause.text);
    }
    if let Some(reason) = &case.reason {
        let _ = writeln!(text, "{reason}");
    }
    let mut shown = None;
    for finding in &case.findings {
        if shown != Some(finding.exchange)
            && let Some(exchange) = case.exchange(finding)
        {
            shown = Some(finding.exchange);
            write_exchange(&mut text, exchange);
        }
        let (weight, clauses) = (finding.weight.text(), finding.clauses.join(", "));
        let _ = writeln!(text, "{weight}: {} ({clauses})", finding.assertion);
        let _ = writeln!(
            text,
            "    expected {}\n    found    {}",
            finding.expected, finding.actual
        );
    }
    text
}

fn write_exchange(text: &mut String, exchange: &Exchange) {
    let Exchange {
        step,
        speaker,
        request,
        response,
    } = exchange;
    let _ = writeln!(text, "\nstep {step}, {speaker}: {}", request.line);
    if let Some(body) = request.body_within(BODY) {
        let _ = writeln!(text, "    sent     {body}");
    }
    let body = response.body_within(BODY).unwrap_or_default();
    let _ = writeln!(text, "    response {} {body}", response.line);
}

fn duration(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default()
}
