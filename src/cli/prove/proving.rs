//! One fault after another, each in a world of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anstream::eprintln;
use futures_util::stream::{self, StreamExt as _};

use crate::cli::exit::Exit;
use crate::cli::{embedded, fault as tell_fault, style_error};
use crate::reference::config::RateLimits;
use crate::reference::fault::Fault;
use crate::replay::verdict::{Outcome, Verdict};
use crate::replay::{self, Replay, Selected};
use crate::report::proof::{Proof, Proven, Verdicted};
use crate::suite::Suite;
use crate::suite::case::Step;

/// Conversations at a time with one service.
const CONVERSATIONS: usize = 12;
/// The feature that needs a service of its own: throttling would disturb all other cases.
const RATE_LIMITS: &str = "rate-limits";

/// The suite, and which of its cases test what.
#[derive(Debug)]
pub(super) struct Proving {
    suite: Arc<Suite>,
    /// Whether every case is run for every fault.
    matrix: bool,
    all: Vec<Selected>,
    /// The cases about each clause, by the clause's id.
    by_clause: BTreeMap<String, Vec<Selected>>,
}

impl Proving {
    pub(super) fn new(suite: Arc<Suite>, matrix: bool) -> Self {
        let mut all = Vec::new();
        let mut by_clause: BTreeMap<String, Vec<Selected>> = BTreeMap::new();
        for (index, case) in suite.cases().iter().enumerate() {
            for (number, variant) in case.variants.iter().enumerate() {
                let selected = Selected {
                    case: index,
                    variant: number,
                };
                all.push(selected);
                let own = variant.script.steps.iter().flat_map(Step::expectations);
                let own = own.filter_map(|expectation| expectation.clauses.as_ref()).flatten();
                let ids = variant.clauses.iter().chain(own).filter_map(|id| suite.clause(id));
                for id in ids.map(|clause| clause.id.as_str()).collect::<BTreeSet<_>>() {
                    by_clause.entry(id.to_owned()).or_default().push(selected);
                }
            }
        }
        Self {
            suite,
            matrix,
            all,
            by_clause,
        }
    }

    /// Proves every fault, some at a time.
    pub(super) async fn run(self: Arc<Self>, faults: Vec<Fault>, jobs: usize) -> Result<Proof, Exit> {
        let start = Instant::now();
        let (unfounded, reason) = self.baseline().await.map_err(|error| tell_fault(&error))?;
        if unfounded > 0 {
            eprintln!(
                "{}: without any fault {unfounded} cases do not pass, so nothing can be proven; the first: {reason}",
                style_error("error"),
            );
            return Err(Exit::Fault);
        }
        let prove = |fault: Fault| {
            let proving = Arc::clone(&self);
            async move {
                let task = tokio::spawn(async move { proving.prove(&fault).await });
                match task.await {
                    Ok(proven) => proven,
                    Err(error) => Err(anyhow::Error::new(error)),
                }
            }
        };
        let mut running = stream::iter(faults).map(prove).buffer_unordered(jobs);
        let mut faults = Vec::new();
        while let Some(proven) = running.next().await {
            faults.push(proven.map_err(|error| tell_fault(&error))?);
        }
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        Ok(Proof::new(&self.suite, faults, self.matrix, milliseconds))
    }

    /// How many cases do not pass without a fault, and the first of them.
    async fn baseline(&self) -> anyhow::Result<(usize, String)> {
        let mut wrong = Vec::new();
        for is_limited in [false, true] {
            let selected = self.of_world(&self.all, is_limited);
            self.replay(None, is_limited, &selected, |outcome| {
                if !matches!(outcome.verdict, Verdict::Pass | Verdict::NotApplicable) {
                    let reason = outcome.reason.as_deref().unwrap_or(outcome.verdict.told());
                    wrong.push(format!("{} ({reason})", outcome.id));
                }
                true
            })
            .await?;
        }
        Ok((wrong.len(), wrong.into_iter().next().unwrap_or_default()))
    }

    async fn prove(&self, fault: &Fault) -> anyhow::Result<Proven> {
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
        let rest: Vec<Selected> = self.all.iter().filter(|selected| !about.contains(selected)).copied().collect();
        for part in [first, rest] {
            for is_limited in [false, true] {
                let selected = self.of_world(&part, is_limited);
                if proven.verdict == Verdicted::Caught && !self.matrix {
                    return Ok(proven);
                }
                self.replay(Some(fault.id), is_limited, &selected, |outcome| {
                    proven.add(suite, outcome);
                    self.matrix || proven.verdict != Verdicted::Caught
                })
                .await?;
            }
        }
        Ok(proven)
    }

    /// Those cases that want throttling, or those that do not.
    fn of_world(&self, selected: &[Selected], is_limited: bool) -> Vec<Selected> {
        let wants = |selected: &&Selected| {
            let case = self.suite.cases().get(selected.case);
            case.is_some_and(|case| case.needs.iter().any(|need| need == RATE_LIMITS) == is_limited)
        };
        selected.iter().filter(wants).copied().collect()
    }

    /// Replays cases against a service with a fault; `take` says whether to go on.
    async fn replay(
        &self,
        fault: Option<&str>,
        is_limited: bool,
        selected: &[Selected],
        mut take: impl FnMut(&Outcome) -> bool,
    ) -> anyhow::Result<()> {
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
            strict: false,
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
