//! Shards: parts of a selection that together are the whole, for machines that share the work.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use crate::contract::fingerprint;
use crate::report::Report;

/// One of several parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    index: usize,
    count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("expected I/N with I from 1 to N, such as `2/4`".to_owned()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// The ids of the cases that are in the shard.
    ///
    /// With an earlier report the shards take as long as each other; else a case's shard follows from its id alone.
    pub(crate) fn choose<'i>(self, ids: &[&'i str], balance: Option<&Report>) -> BTreeSet<&'i str> {
        let own = self.index - 1;
        let Some(report) = balance else {
            let is_own = |id: &&str| fingerprint::of([*id]) % (self.count as u64) == own as u64;
            return ids.iter().copied().filter(is_own).collect();
        };
        let known: HashMap<&str, f64> = report
            .cases
            .iter()
            .map(|case| (case.id.as_str(), case.milliseconds))
            .collect();
        let (sum, number) = known
            .values()
            .fold((0.0, 0.0), |(sum, number), time| (sum + time, number + 1.0));
        let usual = if number > 0.0 { sum / number } else { 1.0 };
        // Whole microseconds: sums of fractions would depend on their order.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration is small and not negative"
        )]
        let time = |id: &str| (known.get(id).copied().unwrap_or(usual) * 1000.0) as u64 + 1;
        let mut slowest: Vec<(Reverse<u64>, &str)> = ids.iter().map(|id| (Reverse(time(id)), *id)).collect();
        slowest.sort_unstable();
        let mut loads: BTreeSet<(u64, usize)> = (0..self.count).map(|shard| (0, shard)).collect();
        let mut chosen = BTreeSet::new();
        for (Reverse(time), id) in slowest {
            let Some((load, lightest)) = loads.pop_first() else {
                break;
            };
            loads.insert((load + time, lightest));
            if lightest == own {
                chosen.insert(id);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards<'i>(count: usize, ids: &[&'i str], balance: Option<&Report>) -> Vec<BTreeSet<&'i str>> {
        (1..=count)
            .map(|index| Shard { index, count }.choose(ids, balance))
            .collect()
    }

    #[test]
    fn each_case_is_in_exactly_one_shard() {
        let ids: Vec<String> = (0..200).map(|number| format!("chapter/case-{number}@107")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let shards = shards(4, &ids, None);
        for id in ids {
            assert_eq!(shards.iter().filter(|shard| shard.contains(id)).count(), 1);
        }
        for shard in &shards {
            assert!((20..80).contains(&shard.len()));
        }
    }

    #[test]
    fn a_case_stays_in_its_shard_when_others_come_and_go() {
        let all = shards(3, &["a/x", "a/y", "a/z"], None);
        let less = shards(3, &["a/x", "a/z"], None);
        for (mut all, less) in all.into_iter().zip(less) {
            all.remove("a/y");
            assert_eq!(all, less);
        }
    }

    #[test]
    fn recorded_durations_make_shards_of_equal_length() {
        let mut report = crate::report::model::sample(&[]);
        let case = |id: &str, milliseconds| {
            let mut case = crate::report::model::sample(&[(id, crate::replay::verdict::Verdict::Pass, &[])])
                .cases
                .remove(0);
            case.milliseconds = milliseconds;
            case
        };
        report.cases = vec![
            case("a/slow", 1000.0),
            case("a/b", 500.0),
            case("a/c", 300.0),
            case("a/d", 200.0),
        ];
        let ids = ["a/slow", "a/b", "a/c", "a/d"];
        assert_eq!(
            shards(2, &ids, Some(&report)),
            [BTreeSet::from(["a/slow"]), BTreeSet::from(["a/b", "a/c", "a/d"])]
        );
    }

    #[test]
    fn only_a_shard_that_there_is_can_be_asked_for() {
        assert!("1/1".parse::<Shard>().is_ok() && "2/4".parse::<Shard>().is_ok());
        for text in ["0/4", "5/4", "1", "a/b", "1/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
