//! The report as TAP, the Test Anything Protocol, version 14: a line a case, with a YAML block about each that did not pass.

use std::fmt::{self, Write as _};

use crate::contract::plain;
use crate::replay::verdict::Verdict;
use crate::report::model::{Case, Finding, Report};

/// Renders a report as TAP 14.
pub(super) fn render(report: &Report) -> anyhow::Result<String> {
    let mut out = String::new();
    write(&mut out, report)?;
    Ok(out)
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let stale: Vec<_> = report.stale().collect();
    writeln!(out, "TAP version 14\n1..{}", report.cases.len() + stale.len())?;
    writeln!(out, "# MPSD conformance of {}", line(&report.target.name))?;
    if let Some(part) = report.part() {
        writeln!(out, "# Partial: this report covers {}", line(&part))?;
    }
    for (number, case) in (1..).zip(&report.cases) {
        write_case(out, report, number, case)?;
    }
    for (number, listed) in (report.cases.len() + 1..).zip(stale) {
        let label = escaped(&listed.deviation.label());
        writeln!(out, "not ok {number} - listed deviation: {label}\n  ---")?;
        write_value(out, "message", listed.state.text())?;
        write_value(out, "reason", &listed.deviation.reason)?;
        writeln!(out, "  ...")?;
    }
    writeln!(out, "# {} of {} cases", report.summary.text(), report.summary.total())
}

fn write_case(out: &mut String, report: &Report, number: usize, case: &Case) -> fmt::Result {
    let id = escaped(&case.id);
    let reason = case.reason.as_deref().unwrap_or_default();
    match case.verdict {
        Verdict::Pass => return writeln!(out, "ok {number} - {id}"),
        Verdict::NotApplicable => return writeln!(out, "ok {number} - {id} # SKIP {}", escaped(reason)),
        // A known failure, which is to be mended and fails no run.
        Verdict::Deviation => writeln!(out, "not ok {number} - {id} # TODO {}", escaped(reason))?,
        Verdict::Fail | Verdict::Fixed | Verdict::Inconclusive | Verdict::SuiteFault => {
            writeln!(out, "not ok {number} - {id}")?;
        }
    }
    writeln!(out, "  ---")?;
    write_value(out, "message", &case.title)?;
    write_value(out, "verdict", case.verdict.name())?;
    if let Some(reason) = &case.reason {
        write_value(out, "reason", reason)?;
    }
    if let Some(finding) = case.decisive(report.strict) {
        write_finding(out, case, finding)?;
    }
    writeln!(out, "  ...")
}

fn write_finding(out: &mut String, case: &Case, finding: &Finding) -> fmt::Result {
    let clauses: Vec<String> = finding.clauses.iter().map(|id| quoted(id)).collect();
    writeln!(out, "  clause: [{}]", clauses.join(", "))?;
    write_value(out, "assertion", &finding.assertion.to_string())?;
    write_value(out, "expected", &finding.expected)?;
    write_value(out, "actual", &finding.actual)?;
    writeln!(out, "  place:")?;
    let place = [
        ("file", Some(case.file())),
        (
            "pointer",
            Some(finding.pointer.clone()).filter(|pointer| !pointer.is_empty()),
        ),
        ("step", finding.step.map(|step| step.to_string())),
        ("speaker", finding.speaker.clone()),
        ("request", finding.request.clone()),
    ];
    for (key, value) in place {
        if let Some(value) = value {
            write!(out, "  ")?;
            write_value(out, key, &value)?;
        }
    }
    Ok(())
}

/// A key of a YAML block.
fn write_value(out: &mut String, key: &str, value: &str) -> fmt::Result {
    writeln!(out, "  {key}: {}", quoted(value))
}

/// A YAML scalar in double quotes: as JSON has it, with everything escaped that YAML does not allow or terminals act on.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if plain::is_steering(letter) => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    // Writing to a string cannot fail.
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A text on one line.
fn line(text: &str) -> String {
    let blank = |letter: char| if plain::is_steering(letter) { ' ' } else { letter };
    text.chars().map(blank).collect()
}

/// A description or a reason: `#` would begin a directive, and `\` escapes.
fn escaped(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::label::StepLabel;
    use crate::report::model::{Listed, State, sample};
    use crate::target::deviations::Deviation;

    #[test]
    fn each_verdict_has_its_line_and_what_failed_its_block() {
        let mut report = sample(&[
            ("a/x#row@107", Verdict::Pass, &[]),
            ("a/y", Verdict::NotApplicable, &[]),
            ("a/z", Verdict::Deviation, &[("status", "404")]),
            ("b/x", Verdict::Fail, &[("body /a", "\"one\"\n\u{1b}[2J two\\")]),
        ]);
        report.cases[1].reason = Some("the target lacks `x`\n# not ok".to_owned());
        report.cases[2].reason = Some("known: we know".to_owned());
        let failed = &mut report.cases[3].findings[0];
        failed.pointer = "/steps/0/expect/body/a".to_owned();
        failed.step = Some(StepLabel::new(1));
        failed.request = Some("PUT /a".to_owned());
        report.deviations.push(Listed {
            deviation: Deviation {
                case: Some("c/#1".to_owned()),
                reason: "known".to_owned(),
                ..Deviation::default()
            },
            state: State::Unmatched,
            cases: Vec::new(),
        });
        let expected = r#"TAP version 14
1..5
# MPSD conformance of sample
ok 1 - a/x\#row@107
ok 2 - a/y # SKIP the target lacks `x` \# not ok
not ok 3 - a/z # TODO known: we know
  ---
  message: "The case a/z."
  verdict: "deviation"
  reason: "known: we know"
  clause: ["SES-001"]
  assertion: "status"
  expected: "200"
  actual: "404"
  place:
    file: "cases/a/z.json"
  ...
not ok 4 - b/x
  ---
  message: "The case b/x."
  verdict: "fail"
  clause: ["SES-001"]
  assertion: "body /a"
  expected: "200"
  actual: "\"one\"\n\u001b[2J two\\"
  place:
    file: "cases/b/x.json"
    pointer: "/steps/0/expect/body/a"
    step: "1"
    request: "PUT /a"
  ...
not ok 5 - listed deviation: c/\#1
  ---
  message: "matches no failure: correct it or remove it from the list"
  reason: "known"
  ...
# 1 pass, 1 fail, 1 deviation, 1 not applicable of 4 cases
"#;
        assert_eq!(render(&report).unwrap(), expected);
    }

    #[test]
    fn a_partial_report_says_so_and_an_empty_one_has_a_plan() {
        let mut report = sample(&[]);
        report.suite.partial = true;
        report.suite.cases = 9;
        let text = render(&report).unwrap();
        assert!(text.starts_with("TAP version 14\n1..0\n"), "{text}");
        assert!(
            text.contains("# Partial: this report covers part of the suite: 0 of 9 cases"),
            "{text}"
        );
    }
}
