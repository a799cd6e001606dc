//! What changed between two reports, and why: the suite, the target, the list of deviations, or how clauses are graded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::replay::assertion::Assertion;
use crate::replay::verdict::Verdict;
use crate::report::model::{Case, Report};

/// Why a case's verdict is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The same case was answered differently.
    Target,
    /// The same answers are listed as deviations, or no longer are.
    Deviations,
    /// The case itself was changed.
    Suite,
    /// The same answers weigh more or less: a clause is graded anew, or the run was stricter.
    Evidence,
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It has a worse verdict.
    Broke,
    /// It fails as before, yet in another way.
    Differs,
    /// It was judged, and now is not.
    Unjudged,
    /// It has a better verdict.
    Fixed,
    /// It was not judged, and now is.
    Judged,
    /// Only the new report has it.
    New,
    /// Only the old report has it.
    Gone,
}

/// One case that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What became of it.
    pub effect: Effect,
    /// Why.
    pub origin: Origin,
    /// The case.
    pub id: String,
    /// The verdicts and what was found, for people.
    pub text: String,
}

/// What changed between two reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is different about the suite, the target, the list and the grades.
    pub notes: Vec<(Topic, String)>,
    /// The cases that are not as they were.
    pub changes: Vec<Change>,
    /// The number of cases that both reports have.
    pub common: usize,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// What was asked.
    Suite,
    /// Who was asked.
    Target,
    /// The list of known deviations.
    Deviations,
    /// How binding clauses are, and how they are known.
    Evidence,
}

impl Comparison {
    /// Whether the same question got a worse answer.
    pub fn has_regressed(&self) -> bool {
        let is_same_question = |origin| matches!(origin, Origin::Target | Origin::Deviations);
        self.changes
            .iter()
            .any(|change| change.effect == Effect::Broke && is_same_question(change.origin))
    }

    /// Whether something that was judged no longer is, though the suite still asks it.
    pub fn has_lost_sight(&self) -> bool {
        let is_lost = |change: &Change| match change.effect {
            Effect::Unjudged => true,
            Effect::Gone => change.origin != Origin::Suite,
            _ => false,
        };
        self.changes.iter().any(is_lost)
    }
}

/// Compares two reports.
pub fn compare(old: &Report, new: &Report) -> Comparison {
    let old_cases: BTreeMap<&str, &Case> = old.cases.iter().map(|case| (case.id.as_str(), case)).collect();
    let new_cases: BTreeMap<&str, &Case> = new.cases.iter().map(|case| (case.id.as_str(), case)).collect();
    let ids: BTreeSet<&str> = old_cases.keys().chain(new_cases.keys()).copied().collect();
    let mut comparison = Comparison {
        notes: notes(old, new),
        ..Comparison::default()
    };
    for id in ids {
        let change = |effect, origin, text| {
            Some(Change {
                effect,
                origin,
                id: id.to_owned(),
                text,
            })
        };
        let found = match (old_cases.get(id), new_cases.get(id)) {
            (Some(before), Some(after)) => {
                comparison.common += 1;
                difference(before, after).map(|(effect, origin)| Change {
                    effect,
                    origin,
                    id: id.to_owned(),
                    text: text(before, after),
                })
            }
            (None, Some(after)) => {
                let is_same_suite = old.suite.fingerprint == new.suite.fingerprint;
                let origin = if is_same_suite { Origin::Target } else { Origin::Suite };
                change(Effect::New, origin, after.verdict.text().to_owned())
            }
            (Some(before), None) => {
                // A whole report has every case that its suite has.
                let (origin, why) = if new.suite.partial {
                    (Origin::Target, "not run")
                } else {
                    (Origin::Suite, "not in the suite")
                };
                change(Effect::Gone, origin, format!("{}, now {why}", before.verdict.text()))
            }
            (None, None) => None,
        };
        comparison.changes.extend(found);
    }
    comparison
        .changes
        .sort_by(|a, b| (a.effect, a.origin, &a.id).cmp(&(b.effect, b.origin, &b.id)));
    comparison
}

/// How bad a verdict is; `None` is no judgement.
fn rank(verdict: Verdict) -> Option<u8> {
    match verdict {
        Verdict::Pass | Verdict::Fixed => Some(0),
        Verdict::Deviation => Some(1),
        Verdict::Fail | Verdict::SuiteFault => Some(2),
        Verdict::NotApplicable | Verdict::Inconclusive => None,
    }
}

fn difference(before: &Case, after: &Case) -> Option<(Effect, Origin)> {
    let has_same_answers = answers(before) == answers(after);
    let effect = match (rank(before.verdict), rank(after.verdict)) {
        (Some(old), Some(new)) if new > old => Effect::Broke,
        (Some(old), Some(new)) if new < old => Effect::Fixed,
        (Some(0), Some(_)) | (None, None) => return None,
        (Some(_), Some(_)) if has_same_answers => return None,
        (Some(_), Some(_)) => Effect::Differs,
        (Some(_), None) => Effect::Unjudged,
        (None, Some(_)) => Effect::Judged,
    };
    let is_listed = before.verdict == Verdict::Deviation || after.verdict == Verdict::Deviation;
    let origin = if before.fingerprint != after.fingerprint {
        Origin::Suite
    } else if !has_same_answers || matches!(effect, Effect::Unjudged | Effect::Judged) {
        Origin::Target
    } else if is_listed && before.verdict != Verdict::Pass && after.verdict != Verdict::Pass {
        Origin::Deviations
    } else {
        Origin::Evidence
    };
    Some((effect, origin))
}

/// What a target did otherwise than expected, whatever that weighs.
fn answers(case: &Case) -> BTreeSet<(&Assertion, &str)> {
    case.findings
        .iter()
        .map(|finding| (&finding.assertion, finding.observed.as_str()))
        .collect()
}

fn text(before: &Case, after: &Case) -> String {
    let mut text = format!("{}, previously {}", after.verdict.text(), before.verdict.text());
    let known = answers(before);
    let is_new =
        |finding: &&crate::report::model::Finding| !known.contains(&(&finding.assertion, finding.observed.as_str()));
    if let Some(finding) = after
        .findings
        .iter()
        .filter(is_new)
        .max_by_key(|finding| finding.weight)
    {
        let _ = write!(
            text,
            ": {}: expected {}, found {}",
            finding.assertion, finding.expected, finding.actual
        );
    } else if let Some(reason) = &after.reason {
        let _ = write!(text, ": {reason}");
    }
    text
}

fn notes(old: &Report, new: &Report) -> Vec<(Topic, String)> {
    let mut notes = Vec::new();
    let mut note = |topic, text: String| notes.push((topic, text));
    if old.suite.version != new.suite.version {
        note(
            Topic::Suite,
            format!("version {}, previously {}", new.suite.version, old.suite.version),
        );
    }
    if old.suite.fingerprint != new.suite.fingerprint {
        note(
            Topic::Suite,
            format!(
                "different suite: {} cases, previously {}",
                new.suite.cases, old.suite.cases
            ),
        );
    }
    if old.suite.common != new.suite.common {
        note(
            Topic::Suite,
            "schemas, invariants, templates or test fixtures changed: the verdict of any case may change".to_owned(),
        );
    }
    for (name, report) in [("old", old), ("new", new)] {
        if let Some(part) = report.part() {
            note(Topic::Suite, format!("the {name} report covers {part}"));
        }
    }
    if old.target.name != new.target.name {
        note(
            Topic::Target,
            format!("{}, previously {}", new.target.name, old.target.name),
        );
    }
    for (what, before, after) in [
        ("not supported", &old.target.lacks, &new.target.lacks),
        ("template", &old.target.templates, &new.target.templates),
        ("identity", &old.target.identities, &new.target.identities),
    ] {
        for added in after.difference(before) {
            note(Topic::Target, format!("+ {what}: {added}"));
        }
        for removed in before.difference(after) {
            note(Topic::Target, format!("- {what}: {removed}"));
        }
    }
    let entries = |report: &Report| -> Vec<String> {
        report
            .deviations
            .iter()
            .map(|listed| format!("{} ({})", listed.deviation.label(), listed.deviation.reason))
            .collect()
    };
    let (before, after) = (entries(old), entries(new));
    for entry in after.iter().filter(|entry| !before.contains(entry)) {
        note(Topic::Deviations, format!("+ {entry}"));
    }
    for entry in before.iter().filter(|entry| !after.contains(entry)) {
        note(Topic::Deviations, format!("- {entry}"));
    }
    if old.strict != new.strict {
        let name = |is_strict| if is_strict { "failures" } else { "warnings" };
        note(
            Topic::Evidence,
            format!(
                "failed SHOULD clauses count as {}, previously as {}",
                name(new.strict),
                name(old.strict)
            ),
        );
    }
    let graded: BTreeMap<&str, _> = old
        .clauses
        .iter()
        .map(|clause| (clause.id.as_str(), (clause.level, clause.evidence)))
        .collect();
    for clause in &new.clauses {
        if let Some((level, evidence)) = graded.get(clause.id.as_str())
            && (*level, *evidence) != (clause.level, clause.evidence)
        {
            let (before, after) = (
                format!("{} {}", level.name(), evidence.name()),
                (clause.level.name(), clause.evidence.name()),
            );
            note(
                Topic::Evidence,
                format!("{}: {} {}, previously {before}", clause.id, after.0, after.1),
            );
        }
    }
    notes
}

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Renders a comparison for a terminal; styles are always in it.
pub fn render(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, comparison);
    out
}

fn write(out: &mut String, comparison: &Comparison) -> fmt::Result {
    for (topic, title) in [
        (Topic::Suite, "The suite"),
        (Topic::Target, "The target"),
        (Topic::Deviations, "The list of deviations"),
        (Topic::Evidence, "Levels and evidence of clauses"),
    ] {
        let mut notes = comparison.notes.iter().filter(|(about, _)| *about == topic).peekable();
        if notes.peek().is_some() {
            writeln!(out, "{STRONG}{title}{STRONG:#}")?;
            for (_, note) in notes {
                writeln!(out, "  {note}")?;
            }
        }
    }
    let mut last = None;
    for change in &comparison.changes {
        let heading = (change.effect, change.origin);
        if last != Some(heading) {
            last = Some(heading);
            let count = comparison
                .changes
                .iter()
                .filter(|other| (other.effect, other.origin) == heading)
                .count();
            let (style, title) = heading_of(change.effect);
            writeln!(out, "{style}{title}{style:#} {FAINT}{}{FAINT:#}: {count}", why(change))?;
        }
        writeln!(out, "  {}  {FAINT}{}{FAINT:#}", change.id, change.text)?;
    }
    let count = |wanted| {
        comparison
            .changes
            .iter()
            .filter(|change| change.effect == wanted)
            .count()
    };
    writeln!(
        out,
        "{STRONG}{} broke, {} fixed, {} fail differently, {} new, {} gone{STRONG:#} ({} cases in both reports)",
        count(Effect::Broke),
        count(Effect::Fixed),
        count(Effect::Differs),
        count(Effect::New),
        count(Effect::Gone),
        comparison.common
    )
}

fn heading_of(effect: Effect) -> (Style, &'static str) {
    match effect {
        Effect::Broke => (BAD, "Broke"),
        Effect::Differs => (DOUBTFUL, "Fails differently"),
        Effect::Unjudged => (DOUBTFUL, "No longer tested"),
        Effect::Fixed => (GOOD, "Fixed"),
        Effect::Judged => (STRONG, "Now tested"),
        Effect::New => (STRONG, "New"),
        Effect::Gone => (STRONG, "Gone"),
    }
}

fn why(change: &Change) -> &'static str {
    match (change.effect, change.origin) {
        (Effect::New, Origin::Suite) => "in the suite",
        (Effect::New, _) => "in the report, previously not run",
        (Effect::Gone, Origin::Suite) => "from the suite",
        (Effect::Gone, _) => "from the report, now not run",
        (_, Origin::Target) => "by the target",
        (_, Origin::Deviations) => "by the list of deviations",
        (_, Origin::Suite) => "by the suite, which changed the case",
        (_, Origin::Evidence) => "by a changed level or evidence",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::sample;

    fn effects(old: &Report, new: &Report) -> Vec<(Effect, Origin)> {
        compare(old, new)
            .changes
            .into_iter()
            .map(|change| (change.effect, change.origin))
            .collect()
    }

    #[test]
    fn a_worse_answer_to_the_same_case_is_a_regression_by_the_target() {
        let old = sample(&[("a/x", Verdict::Pass, &[])]);
        let new = sample(&[("a/x", Verdict::Fail, &[("status", "404")])]);
        assert_eq!(effects(&old, &new), [(Effect::Broke, Origin::Target)]);
        assert!(compare(&old, &new).has_regressed());
        assert_eq!(effects(&new, &old), [(Effect::Fixed, Origin::Target)]);
        assert!(!compare(&new, &old).has_regressed());
    }

    #[test]
    fn a_listed_break_is_a_regression_all_the_same() {
        let old = sample(&[("a/x", Verdict::Pass, &[])]);
        let new = sample(&[("a/x", Verdict::Deviation, &[("status", "404")])]);
        assert_eq!(effects(&old, &new), [(Effect::Broke, Origin::Target)]);
    }

    #[test]
    fn the_same_failure_taken_off_the_list_is_a_change_of_the_list() {
        let old = sample(&[("a/x", Verdict::Deviation, &[("status", "404")])]);
        let new = sample(&[("a/x", Verdict::Fail, &[("status", "404")])]);
        assert_eq!(effects(&old, &new), [(Effect::Broke, Origin::Deviations)]);
        assert_eq!(effects(&new, &old), [(Effect::Fixed, Origin::Deviations)]);
    }

    #[test]
    fn a_case_that_was_changed_is_no_regression() {
        let old = sample(&[("a/x", Verdict::Pass, &[])]);
        let mut new = sample(&[("a/x", Verdict::Fail, &[("status", "404")])]);
        for case in &mut new.cases {
            case.fingerprint = "changed".to_owned();
        }
        assert_eq!(effects(&old, &new), [(Effect::Broke, Origin::Suite)]);
        assert!(!compare(&old, &new).has_regressed());
    }

    #[test]
    fn the_same_answer_that_weighs_more_is_a_change_of_the_evidence() {
        let old = sample(&[("a/x", Verdict::Pass, &[("status", "404")])]);
        let new = sample(&[("a/x", Verdict::Fail, &[("status", "404")])]);
        assert_eq!(effects(&old, &new), [(Effect::Broke, Origin::Evidence)]);
        assert!(!compare(&old, &new).has_regressed());
    }

    #[test]
    fn failing_in_another_way_is_told() {
        let old = sample(&[("a/x", Verdict::Fail, &[("status", "404")])]);
        let new = sample(&[("a/x", Verdict::Fail, &[("status", "500")])]);
        assert_eq!(effects(&old, &new), [(Effect::Differs, Origin::Target)]);
        assert_eq!(effects(&old, &old), []);
    }

    #[test]
    fn what_is_no_longer_judged_or_run_is_told() {
        let old = sample(&[("a/x", Verdict::Pass, &[]), ("a/y", Verdict::Pass, &[])]);
        let mut new = sample(&[("a/x", Verdict::NotApplicable, &[])]);
        new.suite.partial = true;
        assert_eq!(
            effects(&old, &new),
            [(Effect::Unjudged, Origin::Target), (Effect::Gone, Origin::Target)]
        );
        assert!(compare(&old, &new).has_lost_sight() && !compare(&old, &new).has_regressed());
        new.suite.partial = false;
        assert!(effects(&old, &new).contains(&(Effect::Gone, Origin::Suite)));
    }

    #[test]
    fn each_kind_of_change_has_its_heading() {
        let old = sample(&[("a/x", Verdict::Pass, &[]), ("a/y", Verdict::Pass, &[])]);
        let mut new = sample(&[
            ("a/x", Verdict::Fail, &[("status", "404")]),
            ("a/z", Verdict::Pass, &[]),
        ]);
        new.suite.fingerprint = "other".to_owned();
        new.target.lacks.insert("clock".to_owned());
        let text = anstream::adapter::strip_str(&render(&compare(&old, &new))).to_string();
        for part in [
            "The suite",
            "+ not supported: clock",
            "Broke by the target: 1",
            "New in the suite: 1",
            "Gone from the suite: 1",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
