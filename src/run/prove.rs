//! The proof that the suite catches what it claims to catch: it is run against services with one seeded fault each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use mpsd_reference::config::RateLimits;
use mpsd_reference::faults::Fault;

use crate::contract::signature::{self, Signatures};
use crate::contract::{Suite, pattern};
use crate::replay::verdict::{Outcome, Verdict};
use crate::replay::{self, Replay, Selected, Strictness};
use crate::report::proof::{Proof, Proven, Reach, Verdicted, unproven};
use crate::run::embedded;
use crate::run::error::{RunError, SuiteError};
use crate::run::runner::needs_rate_limits;

/// Conversations at a time with one service.
const CONVERSATIONS: usize = 12;

/// The faults that selectors choose: ids, patterns with `*`, ids of clauses that a fault breaks, or kinds; none chooses all.
/// The second list has the selectors that choose none.
pub fn select(faults: &[Fault], selectors: &[String]) -> (Vec<Fault>, Vec<String>) {
    let chooses = |selector: &str, fault: &Fault| {
        let is_clause = fault.clauses.iter().any(|clause| clause.eq_ignore_ascii_case(selector));
        pattern::matches(selector, fault.id) || is_clause || fault.kind.name() == selector
    };
    let is_idle = |selector: &&String| !faults.iter().any(|fault| chooses(selector, fault));
    let idle = selectors.iter().filter(is_idle).cloned().collect();
    let is_chosen = |fault: &Fault| selectors.is_empty() || selectors.iter().any(|selector| chooses(selector, fault));
    let chosen = faults.iter().filter(|fault| is_chosen(fault)).cloned().collect();
    (chosen, idle)
}

/// The suite, and which of its cases test what.
#[derive(Debug)]
pub struct Proving {
    suite: Arc<Suite>,
    /// What was recorded before, with the reasons why some clauses are broken by no fault.
    recorded: Signatures,
    reach: Reach,
    all: Vec<Selected>,
    /// The cases about each clause, by the clause's id.
    by_clause: BTreeMap<String, Vec<Selected>>,
}

impl Proving {
    /// Reads what the suite's cases test and what was recorded of earlier proofs; nothing is run yet.
    pub fn new(suite: Arc<Suite>, reach: Reach) -> Result<Self, SuiteError> {
        let recorded = Signatures::read(suite.files()).map_err(|problems| SuiteError::Recorded {
            file: signature::FILE,
            problems,
        })?;
        let mut all = Vec::new();
        let mut by_clause: BTreeMap<String, Vec<Selected>> = BTreeMap::new();
        for (index, case) in suite.cases().iter().enumerate() {
            for (number, variant) in case.variants.iter().enumerate() {
                let selected = Selected {
                    case: index,
                    variant: number,
                };
                all.push(selected);
                let named = variant.clauses.iter().chain(&variant.judged);
                let ids = named.filter_map(|id| suite.clause(id));
                for id in ids.map(|clause| clause.id.as_str()).collect::<BTreeSet<_>>() {
                    by_clause.entry(id.to_owned()).or_default().push(selected);
                }
            }
        }
        Ok(Self {
            suite,
            recorded: recorded.unwrap_or_default(),
            reach,
            all,
            by_clause,
        })
    }

    /// What was recorded of earlier proofs; empty where nothing was.
    pub fn recorded(&self) -> &Signatures {
        &self.recorded
    }

    /// Proves every fault, some at a time; `is_whole` says that these are all, which have to break every clause that can be
    /// broken.
    pub async fn run(self: Arc<Self>, faults: Vec<Fault>, is_whole: bool, jobs: usize) -> Result<Proof, RunError> {
        let start = Instant::now();
        let mut faults = self.each(faults, jobs, Self::prove).await?;
        if is_whole && self.reach == Reach::First {
            faults = self.break_clauses(faults, jobs).await?;
        }
        self.check_baseline(&faults).await?;
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        Ok(Proof::new(&self.suite, faults, self.reach, is_whole, milliseconds))
    }

    /// Runs the cases of clauses that were not found broken yet, one of the faults that break a clause after another. The
    /// first case that catches a fault leaves the other clauses that it breaks open.
    async fn break_clauses(self: &Arc<Self>, mut faults: Vec<Proven>, jobs: usize) -> Result<Vec<Proven>, RunError> {
        let mut tried: BTreeSet<(String, String)> = BTreeSet::new();
        loop {
            let mut open: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for clause in unproven(&self.suite, &faults) {
                let breaks = |fault: &&Proven| {
                    fault.clauses.contains(&clause) && !tried.contains(&(clause.clone(), fault.id.clone()))
                };
                if let Some(fault) = faults.iter().find(breaks) {
                    tried.insert((clause.clone(), fault.id.clone()));
                    open.entry(fault.id.clone()).or_default().push(clause);
                }
            }
            if open.is_empty() {
                return Ok(faults);
            }
            let (mut chosen, mut rest) = (Vec::new(), Vec::new());
            for fault in faults {
                match open.remove(&fault.id) {
                    Some(clauses) => chosen.push((fault, clauses)),
                    None => rest.push(fault),
                }
            }
            faults = self.each(chosen, jobs, Self::break_more).await?;
            faults.extend(rest);
        }
    }

    /// Runs for a fault the cases of some clauses, each until the clause was found broken.
    async fn break_more(self: Arc<Self>, (mut proven, clauses): (Proven, Vec<String>)) -> Result<Proven, RunError> {
        let id = proven.id.clone();
        for clause in clauses {
            let cases = self.by_clause.get(&clause).map(Vec::as_slice).unwrap_or_default();
            let is_open = |selected: &&Selected| self.id(**selected).is_some_and(|id| !proven.ran.contains(id));
            let open: Vec<Selected> = cases.iter().filter(is_open).copied().collect();
            for is_limited in [false, true] {
                if proven.broke.contains(&clause) {
                    break;
                }
                let selected = self.of_world(&open, is_limited);
                let take = |outcome: &Outcome| {
                    proven.add(&self.suite, outcome);
                    !proven.broke.contains(&clause)
                };
                self.replay(Some(&id), is_limited, &selected, take).await?;
            }
        }
        Ok(proven)
    }

    /// Runs the cases by which faults are distinguished for every fault of a proof, and sums up which of them fail.
    pub async fn sign(self: Arc<Self>, proof: Proof, jobs: usize) -> Result<(Proof, Signatures), RunError> {
        let witnesses = Proof::witnesses(&proof.faults);
        let proof = Arc::clone(&self).run_more(proof, &witnesses, jobs).await?;
        let signatures = proof.signatures(witnesses, &self.recorded);
        Ok((proof, signatures))
    }

    /// Runs some cases for every fault of a proof, as far as they were not run for it.
    async fn run_more(self: Arc<Self>, proof: Proof, cases: &BTreeSet<String>, jobs: usize) -> Result<Proof, RunError> {
        let start = Instant::now();
        let is_meant = |selected: &&Selected| self.id(**selected).is_some_and(|id| cases.contains(id));
        let wanted: Arc<[Selected]> = self.all.iter().filter(is_meant).copied().collect();
        let faults = self
            .each(proof.faults, jobs, move |proving: Arc<Self>, mut proven: Proven| {
                let wanted = Arc::clone(&wanted);
                async move {
                    let is_open =
                        |selected: &&Selected| proving.id(**selected).is_some_and(|id| !proven.ran.contains(id));
                    let part: Vec<Selected> = wanted.iter().filter(is_open).copied().collect();
                    let id = proven.id.clone();
                    for is_limited in [false, true] {
                        let selected = proving.of_world(&part, is_limited);
                        let take = |outcome: &Outcome| {
                            proven.add(&proving.suite, outcome);
                            true
                        };
                        proving.replay(Some(&id), is_limited, &selected, take).await?;
                    }
                    Ok(proven)
                }
            })
            .await?;
        let milliseconds = proof.milliseconds + start.elapsed().as_secs_f64() * 1000.0;
        Ok(Proof::new(&self.suite, faults, self.reach, true, milliseconds))
    }

    /// Proves several faults at a time.
    async fn each<T, F>(
        self: &Arc<Self>,
        faults: Vec<T>,
        jobs: usize,
        prove: impl Fn(Arc<Self>, T) -> F,
    ) -> Result<Vec<Proven>, RunError>
    where
        F: Future<Output = Result<Proven, RunError>> + Send + 'static,
    {
        let started = faults.into_iter().map(|fault| {
            let proving = prove(Arc::clone(self), fault);
            async move {
                let broke_off =
                    |error: tokio::task::JoinError| Err(RunError::Run(format!("a self-test run failed: {error}")));
                tokio::spawn(proving).await.unwrap_or_else(broke_off)
            }
        });
        let mut running = stream::iter(started).buffer_unordered(jobs);
        let mut faults = Vec::new();
        while let Some(proven) = running.next().await {
            faults.push(proven?);
        }
        Ok(faults)
    }

    /// The id of a case.
    fn id(&self, selected: Selected) -> Option<&str> {
        let case = self.suite.cases().get(selected.case)?;
        case.variants.get(selected.variant).map(|variant| variant.id.as_str())
    }

    /// Makes sure that the cases that noticed something pass without a fault: else they prove nothing.
    async fn check_baseline(&self, faults: &[Proven]) -> Result<(), RunError> {
        let catches = faults
            .iter()
            .flat_map(|fault| fault.caught_by.iter().chain(&fault.also_found_by));
        let named: BTreeSet<&str> = catches.map(|catch| catch.case.as_str()).collect();
        let is_named = |selected: &&Selected| self.id(**selected).is_some_and(|id| named.contains(id));
        let cases: Vec<Selected> = self.all.iter().filter(is_named).copied().collect();
        let mut wrong = Vec::new();
        for is_limited in [false, true] {
            let selected = self.of_world(&cases, is_limited);
            let take = |outcome: &Outcome| {
                if outcome.verdict != Verdict::Pass || !outcome.findings.is_empty() {
                    wrong.push(outcome.id.clone());
                }
                true
            };
            self.replay(None, is_limited, &selected, take).await?;
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(SuiteError::ProveNothing(wrong).into())
    }

    async fn prove(self: Arc<Self>, fault: Fault) -> Result<Proven, RunError> {
        let suite = &self.suite;
        let mut proven = Proven::new(suite, fault.id, &fault.text, fault.kind.name(), &fault.clauses);
        let about: BTreeSet<Selected> = proven
            .clauses
            .iter()
            .filter_map(|clause| self.by_clause.get(clause))
            .flatten()
            .copied()
            .collect();
        let first: Vec<Selected> = about.iter().copied().collect();
        let rest: Vec<Selected> = self
            .all
            .iter()
            .filter(|selected| !about.contains(selected))
            .copied()
            .collect();
        let to_the_end = [self.reach != Reach::First, self.reach == Reach::Matrix];
        for (part, to_the_end) in [first, rest].into_iter().zip(to_the_end) {
            for is_limited in [false, true] {
                if proven.verdict == Verdicted::Caught && !to_the_end {
                    return Ok(proven);
                }
                let selected = self.of_world(&part, is_limited);
                let take = |outcome: &Outcome| {
                    proven.add(suite, outcome);
                    to_the_end || proven.verdict != Verdicted::Caught
                };
                self.replay(Some(fault.id), is_limited, &selected, take).await?;
            }
        }
        Ok(proven)
    }

    /// Those cases that want throttling, or those that do not.
    fn of_world(&self, selected: &[Selected], is_limited: bool) -> Vec<Selected> {
        let wants = |selected: &&Selected| {
            let case = self.suite.cases().get(selected.case);
            case.is_some_and(|case| needs_rate_limits(case) == is_limited)
        };
        selected.iter().filter(wants).copied().collect()
    }

    /// Replays cases against a service with a fault; `take` says whether to go on.
    async fn replay(
        &self,
        fault: Option<&str>,
        is_limited: bool,
        selected: &[Selected],
        mut take: impl FnMut(&Outcome) -> bool + Send,
    ) -> Result<(), RunError> {
        if selected.is_empty() {
            return Ok(());
        }
        let (target, server) = embedded::start_with(self.suite.world(), |config| {
            config.faults.extend(fault.map(str::to_owned));
            if is_limited {
                config.rate_limits = RateLimits::Documented;
            }
        })
        .await?;
        let options = replay::Options {
            jobs: CONVERSATIONS,
            exchange_limit: Duration::from_secs(5),
            case_limit: Duration::from_secs(20),
            frame_limit: Duration::from_secs(2),
            strictness: Strictness::Failures,
        };
        let replay = Replay::new(Arc::clone(&self.suite), Arc::new(target), options)?;
        {
            let mut outcomes = stream::iter(selected.iter().copied())
                .map(|selected| replay.replay(selected))
                .buffer_unordered(CONVERSATIONS);
            while let Some(outcome) = outcomes.next().await {
                if outcome.is_some_and(|outcome| !take(&outcome)) {
                    break;
                }
            }
        }
        drop(replay);
        // Conversations that were given up may keep it waiting.
        tokio::spawn(server.stop());
        Ok(())
    }
}
