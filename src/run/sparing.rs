//! The other half of the proof: the suite against services that differ only where the contract leaves them free.
//!
//! Each run of the suite has several variations in force, of different kinds, for a right service may differ in many ways at
//! once. Only where such a run fails is each of them tried by itself, with the cases that failed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use regex::Regex;

use crate::contract::clause::Weight;
use crate::contract::{Suite, pattern};
use crate::replay::verdict::{Finding, Outcome, Verdict};
use crate::replay::{self, Replay, Selected, Strictness};
use crate::report::proof::{Spared, Strike};
use crate::run::embedded;
use crate::run::error::RunError;
use crate::run::runner::needs_rate_limits;
use mpsd_reference::config::{Config, RateLimits};
use mpsd_reference::faults;
use mpsd_reference::variations::{self, READING};

/// Conversations at a time with one service.
const CONVERSATIONS: usize = 48;
/// How many variations are in force at a time.
const TOGETHER: usize = 8;
/// The kind of a random pair of readings.
const PAIR: &str = "pair";
/// The kind of a fault that breaks only what need not be kept.
const LESSER: &str = "lesser";
/// How many cases show whether a variation that the service itself makes has any effect.
const SAMPLE: usize = 60;

/// A way in which the reference is varied.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// What selectors and reports call it.
    pub(crate) id: String,
    /// What is different, in one sentence.
    pub(crate) text: String,
    /// What leaves it free.
    pub(crate) source: String,
    /// Variations of one kind are not in force together.
    pub(crate) kind: String,
    /// What the reference is configured with.
    variations: Vec<String>,
    faults: Vec<String>,
    /// What it must not meet in a run: its kind, and the rules that it sets.
    apart: Vec<String>,
}

impl Candidate {
    /// Puts it in force.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.variations.extend(self.variations.iter().cloned());
        config.faults.extend(self.faults.iter().cloned());
    }
}

/// All variations: those of the reference, its contested readings in pairs, and the faults whose clauses need not be kept.
pub(crate) fn candidates(suite: &Suite) -> Vec<Candidate> {
    let all = variations::all();
    let rule = |id: &str| id.split('=').next().unwrap_or_default().to_owned();
    let one = |variation: &variations::Variation| {
        let kind = variation.kind.to_owned();
        let more = (variation.kind == READING).then(|| rule(&variation.id));
        Candidate {
            id: variation.id.clone(),
            text: variation.text.clone(),
            source: variation.source.clone(),
            variations: vec![variation.id.clone()],
            faults: Vec::new(),
            apart: std::iter::once(kind.clone()).chain(more).collect(),
            kind,
        }
    };
    let mut candidates: Vec<Candidate> = all.iter().map(one).collect();
    let readings: Vec<&variations::Variation> = all.iter().filter(|variation| variation.kind == READING).collect();
    for (place, first) in readings.iter().enumerate() {
        // A stride that has no divisor in common with any likely number of readings, so that each meets two others.
        let Some(second) = readings.get((place + 17) % readings.len()) else {
            continue;
        };
        if rule(&first.id) == rule(&second.id) {
            continue;
        }
        candidates.push(Candidate {
            id: format!("{}+{}", first.id, second.id),
            text: format!("{} {}", first.text, second.text),
            source: format!("{}, {}", first.source, second.source),
            kind: PAIR.to_owned(),
            variations: vec![first.id.clone(), second.id.clone()],
            faults: Vec::new(),
            apart: vec![READING.to_owned(), rule(&first.id), rule(&second.id)],
        });
    }
    candidates.extend(faults::all().into_iter().filter_map(|fault| {
        let clauses: Option<Vec<_>> = fault.clauses.iter().map(|id| suite.clause(id)).collect();
        let clauses = clauses.filter(|clauses| clauses.iter().all(|clause| clause.weight() < Weight::Failure))?;
        let source = clauses
            .iter()
            .map(|clause| format!("{} ({})", clause.id, clause.level.name()));
        Some(Candidate {
            id: fault.id.to_owned(),
            text: fault.text,
            source: source.collect::<Vec<_>>().join(", "),
            kind: LESSER.to_owned(),
            variations: Vec::new(),
            faults: vec![fault.id.to_owned()],
            apart: vec![LESSER.to_owned()],
        })
    }));
    candidates
}

/// The variations that selectors choose: ids, patterns with `*`, or kinds; none chooses all. The second list has the
/// selectors that choose none.
pub(crate) fn select(candidates: Vec<Candidate>, selectors: &[String]) -> (Vec<Candidate>, Vec<String>) {
    let chooses = |selector: &String, one: &Candidate| pattern::matches(selector, &one.id) || one.kind == *selector;
    let is_idle = |selector: &&String| !candidates.iter().any(|one| chooses(selector, one));
    let idle = selectors.iter().filter(is_idle).cloned().collect();
    let is_chosen = |one: &Candidate| selectors.is_empty() || selectors.iter().any(|selector| chooses(selector, one));
    let chosen = candidates.into_iter().filter(is_chosen).collect();
    (chosen, idle)
}

/// The suite, and its cases.
#[derive(Debug)]
pub(crate) struct Sparing {
    suite: Arc<Suite>,
    all: Vec<Selected>,
}

/// What a run with variations came to.
#[derive(Debug, Default)]
struct Run {
    struck: Vec<(Selected, Strike)>,
    touched: BTreeMap<String, usize>,
    traces: BTreeMap<String, u64>,
}

impl Sparing {
    pub(crate) fn new(suite: Arc<Suite>) -> Self {
        let cases = suite.cases().iter().enumerate();
        let all =
            cases.flat_map(|(case, file)| (0..file.variants.len()).map(move |variant| Selected { case, variant }));
        Self {
            all: all.collect(),
            suite,
        }
    }

    /// Finds out which variations are spared, some runs at a time.
    pub(crate) async fn run(self: Arc<Self>, candidates: Vec<Candidate>, jobs: usize) -> Result<Vec<Spared>, RunError> {
        let started = bundles(candidates).into_iter().map(|bundle| {
            let sparing = Arc::clone(&self);
            async move {
                let judged = tokio::spawn(async move { sparing.judge(bundle).await });
                judged
                    .await
                    .unwrap_or_else(|error| Err(RunError::Run(error.to_string())))
            }
        });
        let mut running = stream::iter(started).buffer_unordered(jobs);
        let mut spared = Vec::new();
        while let Some(judged) = running.next().await {
            spared.extend(judged?);
        }
        spared.sort_by(|a: &Spared, b: &Spared| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
        Ok(spared)
    }

    async fn judge(&self, bundle: Vec<Candidate>) -> Result<Vec<Spared>, RunError> {
        let together = self.replay(&bundle, &self.all, false).await?;
        let open: Vec<Selected> = together.struck.iter().map(|(selected, _)| *selected).collect();
        let mut spared = Vec::new();
        let mut is_explained = open.is_empty();
        for candidate in &bundle {
            let mut result = Spared::new(&candidate.id, &candidate.text, &candidate.source, &candidate.kind);
            if !open.is_empty() {
                let alone = self.replay(std::slice::from_ref(candidate), &open, false).await?;
                is_explained |= !alone.struck.is_empty();
                result.strike(alone.struck.into_iter().map(|(_, strike)| strike));
            }
            result.touched = match together.touched.get(&candidate.id) {
                Some(touched) => Some(*touched),
                None if candidate.kind == LESSER => None,
                None => Some(self.effect(candidate).await?),
            };
            spared.push(result);
        }
        if !is_explained {
            // None of them by itself: all of them together, if it happens again.
            let again = self.replay(&bundle, &open, false).await?;
            let strikes: Vec<Strike> = again.struck.into_iter().map(|(_, strike)| strike).collect();
            for result in &mut spared {
                result.strike(strikes.iter().cloned());
            }
        }
        Ok(spared)
    }

    /// In how many cases the service behaves in another way: for variations that leave no mark on their way.
    async fn effect(&self, candidate: &Candidate) -> Result<usize, RunError> {
        let sample = self.sample(candidate);
        let plain = self.replay(&[], &sample, true).await?.traces;
        let varied = self
            .replay(std::slice::from_ref(candidate), &sample, true)
            .await?
            .traces;
        let differs = |(id, trace): &(&String, &u64)| plain.get(*id) != Some(*trace);
        Ok(varied.iter().filter(differs).count())
    }

    /// Cases by which the effect of a variation shows: those about the clauses and ledger entries of its rules, or the first
    /// that there are.
    fn sample(&self, candidate: &Candidate) -> Vec<Selected> {
        let rules = candidate.variations.iter().filter_map(|id| id.split_once('='));
        let ids: BTreeSet<&str> = rules
            .flat_map(|(rule, _)| {
                let entry = self.suite.ledger_entry(rule);
                let clauses = entry
                    .into_iter()
                    .flat_map(|entry| entry.clauses.iter().map(String::as_str));
                clauses.chain([rule])
            })
            .filter_map(|id| self.suite.clause(id))
            .map(|clause| clause.id.as_str())
            .collect();
        let is_about = |selected: &&Selected| {
            let case = self.suite.cases().get(selected.case);
            let variant = case.and_then(|case| case.variants.get(selected.variant));
            variant.is_some_and(|variant| {
                let mut named = variant.clauses.iter().chain(&variant.judged);
                ids.is_empty()
                    || named.any(|id| {
                        self.suite
                            .clause(id)
                            .is_some_and(|clause| ids.contains(clause.id.as_str()))
                    })
            })
        };
        self.all.iter().filter(is_about).take(SAMPLE).copied().collect()
    }

    /// What a service with these variations need not keep.
    fn free(&self, with: &[Candidate]) -> Free {
        if with.iter().any(|candidate| candidate.kind == LESSER) {
            return Free::EveryLesserClause;
        }
        let named = with
            .iter()
            .flat_map(|candidate| candidate.source.split([',', ' ', '(', ')']));
        let of_entries = |id: &str| {
            self.suite
                .ledger_entry(id)
                .map_or(&[][..], |entry| &entry.clauses)
                .to_vec()
        };
        let ids = named.flat_map(|id| of_entries(id).into_iter().chain([id.to_owned()]));
        let canonical = |id: String| self.suite.clause(&id).map(|clause| clause.id.clone());
        Free::These(ids.filter_map(canonical).collect())
    }

    /// Replays cases against a service with variations.
    async fn replay(&self, with: &[Candidate], cases: &[Selected], is_traced: bool) -> Result<Run, RunError> {
        let mut run = Run::default();
        let free = self.free(with);
        for is_limited in [false, true] {
            let wants = |selected: &&Selected| {
                let case = self.suite.cases().get(selected.case);
                case.is_some_and(|case| needs_rate_limits(case) == is_limited)
            };
            let selected: Vec<Selected> = cases.iter().filter(wants).copied().collect();
            if selected.is_empty() {
                continue;
            }
            let (target, server) = embedded::start_with(self.suite.world(), |config| {
                for candidate in with {
                    candidate.configure(config);
                }
                if is_limited {
                    config.rate_limits = RateLimits::Documented;
                }
            })
            .await?;
            let options = replay::Options {
                jobs: CONVERSATIONS,
                exchange_limit: Duration::from_mins(1),
                case_limit: Duration::from_mins(5),
                frame_limit: Duration::from_secs(5),
                strictness: Strictness::Failures,
            };
            let replay = Replay::new(Arc::clone(&self.suite), Arc::new(target), options)?;
            {
                let mut outcomes = stream::iter(selected)
                    .map(|selected| {
                        let replayed = replay.replay(selected);
                        async move { (selected, replayed.await) }
                    })
                    .buffer_unordered(CONVERSATIONS);
                while let Some((selected, outcome)) = outcomes.next().await {
                    let Some(outcome) = outcome else { continue };
                    if let Some(strike) = strike(&outcome, &free) {
                        run.struck.push((selected, strike));
                    }
                    if is_traced {
                        run.traces.insert(outcome.id.clone(), trace(&outcome));
                    }
                }
            }
            for (id, touched) in server.touched() {
                *run.touched.entry(id.to_owned()).or_default() += touched;
            }
            drop(replay);
            // Conversations that were given up may keep it waiting.
            tokio::spawn(server.stop());
        }
        run.struck.sort_by_key(|(selected, _)| *selected);
        Ok(run)
    }
}

/// Why an outcome is held against a variation; `None` where it is not. A warning is, unless it is about what is free.
fn strike(outcome: &Outcome, free: &Free) -> Option<Strike> {
    let is_struck = |finding: &&Finding| match finding.weight {
        Weight::Failure => true,
        Weight::Warning => match free {
            Free::These(ids) => !finding.clauses.iter().any(|id| ids.contains(id)),
            Free::EveryLesserClause => false,
        },
        Weight::Remark => false,
    };
    let worst = outcome
        .findings
        .iter()
        .filter(is_struck)
        .max_by_key(|finding| finding.weight);
    let (clause, found) = match (outcome.verdict, worst) {
        (Verdict::NotApplicable, _) | (Verdict::Pass, None) => return None,
        (Verdict::Pass | Verdict::Fail, Some(finding)) => (
            finding.clauses.first().cloned().unwrap_or_default(),
            format!("{}: {}", finding.assertion, finding.text()),
        ),
        (_, _) => (String::new(), outcome.reason.clone().unwrap_or_default()),
    };
    Some(Strike {
        case: outcome.id.clone(),
        verdict: outcome.verdict,
        clause,
        found,
    })
}

/// What variations leave free.
enum Free {
    /// The clauses that their sources name.
    These(BTreeSet<String>),
    /// Whatever is SHOULD, MAY or inferred: a fault that breaks such a clause breaks others of the kind with it.
    EveryLesserClause,
}

/// What a service did in a case, apart from what is new each time.
fn trace(outcome: &Outcome) -> u64 {
    let mut hasher = DefaultHasher::new();
    for exchange in &outcome.exchanges {
        exchange.response.status.hash(&mut hasher);
        let body = String::from_utf8_lossy(&exchange.response.body);
        volatile().replace_all(&body, "").hash(&mut hasher);
    }
    hasher.finish()
}

/// GUIDs and times.
fn volatile() -> Regex {
    crate::contract::case::matcher::regex(
        "(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?",
    )
    .unwrap_or_else(|| Regex::new("$.").unwrap_or_else(|_| unreachable!()))
}

/// Variations that may be in force together: each run has one of a kind, and one reading or pair.
fn bundles(candidates: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut bundles: Vec<(BTreeSet<String>, Vec<Candidate>)> = Vec::new();
    for candidate in candidates {
        let is_free = |(taken, bundle): &&mut (BTreeSet<String>, Vec<Candidate>)| {
            bundle.len() < TOGETHER && candidate.apart.iter().all(|kind| !taken.contains(kind))
        };
        // Faults of lesser clauses hide warnings: they join the last runs, so that the first ones are strict.
        let found = if candidate.kind == LESSER {
            bundles.iter_mut().rev().find(is_free)
        } else {
            bundles.iter_mut().find(is_free)
        };
        let place = match found {
            Some(place) => place,
            None => {
                bundles.push((BTreeSet::new(), Vec::new()));
                let Some(last) = bundles.last_mut() else { continue };
                last
            }
        };
        place.0.extend(candidate.apart.iter().cloned());
        place.1.push(candidate);
    }
    bundles.into_iter().map(|(_, bundle)| bundle).collect()
}
