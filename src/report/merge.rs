//! Reports of parts of one run, joined into one report.

use jiff::civil::Date;

use crate::replay::verdict::Verdict;
use crate::report::model::{DECISIVE, Report, Scope, Standing};
use crate::target::deviations::Deviation;

/// Joins reports of the same suite and target, each with its name; anything else is refused with the reason.
pub fn merge(reports: Vec<(String, Report)>, today: Date) -> Result<Report, String> {
    let mut reports = reports.into_iter();
    let (first, mut merged) = reports.next().ok_or("nothing to merge")?;
    let listed = entries(&merged);
    for (name, report) in reports {
        check(&first, &merged, &listed, &name, &report)?;
        if let Some(case) = report
            .cases
            .iter()
            .find(|case| merged.cases.iter().any(|known| known.id == case.id))
        {
            return Err(format!(
                "`{}` is in `{name}` and in an earlier report; each case must be in one shard only",
                case.id
            ));
        }
        merged.cases.extend(report.cases);
        merged.milliseconds += report.milliseconds;
        merged.leftovers.extend(report.leftovers);
        merged.interrupted |= report.interrupted;
        merged.halted = merged.halted.or(report.halted);
        for (entry, keys) in report.readings {
            merged.readings.entry(entry).or_default().extend(keys);
        }
        for (known, clause) in merged.clauses.iter_mut().zip(report.clauses) {
            known.verdict = stronger(known.verdict, clause.verdict);
        }
        for selector in report.suite.selectors {
            if !merged.suite.selectors.contains(&selector) {
                merged.suite.selectors.push(selector);
            }
        }
    }
    merged.cases.sort_by(|a, b| a.id.cmp(&b.id));
    merged.suite.shard = None;
    let is_whole = merged.cases.len() == merged.suite.cases;
    merged.suite.partial = !is_whole || merged.halted.is_some();
    if is_whole {
        merged.suite.selectors.clear();
    }
    // Only now is it known whether an entry with a pattern still matches something.
    merged.apply(&listed, today);
    let fixed = merged.cases.iter().filter(|case| case.verdict == Verdict::Fixed);
    for id in fixed.flat_map(|case| &case.clauses) {
        let clause = merged.clauses.iter_mut().find(|clause| &clause.id == id);
        if let Some(clause) = clause.filter(|clause| clause.verdict == Standing::Judged(Verdict::Pass)) {
            clause.verdict = Standing::Judged(Verdict::Fixed);
        }
    }
    Ok(merged)
}

/// The shards of the run that no report is of, as `--shard` spells them.
pub fn missing_shards(reports: &[(String, Report)]) -> Vec<String> {
    let split = |report: &Report| {
        let (place, count) = report.suite.shard.as_deref()?.split_once('/')?;
        Some((place.parse().ok()?, count.parse().ok()?))
    };
    let known: Vec<(usize, usize)> = reports.iter().filter_map(|(_, report)| split(report)).collect();
    let count = known.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let missing = (1..=count).filter(|place| !known.contains(&(*place, count)));
    missing.map(|place| format!("{place}/{count}")).collect()
}

fn check(first: &str, merged: &Report, listed: &[Deviation], name: &str, report: &Report) -> Result<(), String> {
    let refuse = |what: &str, a: &str, b: &str| {
        Err(format!(
            "`{name}` was made with a different {what} than `{first}`: {b}, not {a}"
        ))
    };
    let (a, b) = (&merged.suite, &report.suite);
    if (&a.version, &a.fingerprint) != (&b.version, &b.fingerprint) {
        let text = |suite: &Scope| format!("{} {}", suite.version, suite.fingerprint);
        return refuse("suite", &text(a), &text(b));
    }
    let (a, b) = (&merged.target, &report.target);
    if a.name != b.name {
        return refuse("target", &a.name, &b.name);
    }
    if (&a.lacks, &a.templates, &a.identities) != (&b.lacks, &b.templates, &b.identities) {
        return Err(format!(
            "`{name}` and `{first}` describe the target `{}` differently",
            a.name
        ));
    }
    if merged.strict != report.strict {
        return Err(format!(
            "one of `{first}` and `{name}` was made with `--strict`, the other was not"
        ));
    }
    if listed != entries(report) {
        return Err(format!(
            "`{name}` was made with a different list of deviations than `{first}`"
        ));
    }
    Ok(())
}

fn entries(report: &Report) -> Vec<Deviation> {
    report
        .deviations
        .iter()
        .map(|listed| listed.deviation.clone())
        .collect()
}

/// Of two verdicts about a clause, the one that decides.
fn stronger(a: Standing, b: Standing) -> Standing {
    let place = |standing| match standing {
        Standing::Judged(verdict) => DECISIVE
            .iter()
            .position(|known| *known == verdict)
            .unwrap_or(DECISIVE.len()),
        Standing::Untested | Standing::Untestable => DECISIVE.len(),
    };
    if place(b) < place(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{SampleCase, State, sample};

    fn today() -> Date {
        "2030-06-15".parse().unwrap()
    }

    fn shard(cases: &[SampleCase<'_>]) -> Report {
        let mut shard = sample(cases);
        shard.suite.partial = true;
        shard.suite.cases = 2;
        shard.suite.shard = Some("1/2".to_owned());
        shard
    }

    fn join(reports: Vec<Report>) -> Result<Report, String> {
        let names = ["a.json", "b.json", "c.json"].map(str::to_owned);
        merge(names.into_iter().zip(reports).collect(), today())
    }

    #[test]
    fn all_shards_make_a_whole_report() {
        let a = shard(&[("a/y", Verdict::Fail, &[("status", "404")])]);
        let b = shard(&[("a/x", Verdict::Pass, &[])]);
        let merged = join(vec![a.clone(), b]).unwrap();
        assert!(!merged.suite.partial && merged.suite.shard.is_none());
        assert_eq!((merged.summary.pass, merged.summary.fail), (1, 1));
        assert_eq!(merged.cases.first().unwrap().id, "a/x");
        assert_eq!(missing_shards(&[("a".to_owned(), a.clone())]), ["2/2"]);
        assert!(join(vec![a]).unwrap().suite.partial);
    }

    #[test]
    fn other_suites_targets_and_lists_are_refused() {
        let a = shard(&[("a/x", Verdict::Pass, &[])]);
        let b = shard(&[("a/y", Verdict::Pass, &[])]);
        let mut suite = b.clone();
        suite.suite.fingerprint = "other".to_owned();
        let mut target = b.clone();
        target.target.name = "other".to_owned();
        let mut strict = b.clone();
        strict.strict = true;
        let mut list = b.clone();
        list.apply(
            &[Deviation {
                case: Some("a/y".to_owned()),
                ..Deviation::default()
            }],
            today(),
        );
        for (other, part) in [
            (suite, "a different suite"),
            (target, "a different target"),
            (strict, "strict"),
            (list, "list"),
        ] {
            let error = join(vec![a.clone(), other]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(join(vec![a.clone(), a]).unwrap_err().contains("one shard"));
    }

    #[test]
    fn a_pattern_is_found_stale_only_when_all_shards_are_there() {
        let entry = Deviation {
            case: Some("a/*".to_owned()),
            reason: "known".to_owned(),
            ..Deviation::default()
        };
        let mut a = shard(&[("a/x", Verdict::Pass, &[])]);
        let mut b = shard(&[("a/y", Verdict::Pass, &[])]);
        for report in [&mut a, &mut b] {
            report.apply(std::slice::from_ref(&entry), today());
            assert_eq!(report.deviations.first().unwrap().state, State::NotJudged);
        }
        let merged = join(vec![a, b]).unwrap();
        assert_eq!(merged.deviations.first().unwrap().state, State::Fixed);
        assert_eq!(merged.summary.fixed, 2);
    }
}
