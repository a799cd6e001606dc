//! A suite that is ready to be replayed against a target, or against the embedded reference, and what a run comes to.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::FutureExt as _;
use mpsd_reference::Server;
use mpsd_reference::config::RateLimits;
use tokio::sync::mpsc;

use crate::contract::Suite;
use crate::contract::case::Case;
use crate::replay::verdict::{Exchange, Outcome, Verdict};
use crate::replay::{Options, Replay, Selected, Strictness};
use crate::run::embedded;
use crate::run::error::RunError;
use crate::snapshot::baseline::{self, Baseline, Change};
use crate::target::Target;
use crate::wire::halt::Halted;
use crate::wire::secrets::Secrets;

/// The feature of a service that throttles.
const RATE_LIMITS: &str = "rate-limits";

/// Whether a case needs a service that throttles. The embedded reference does so in an instance of its own, as throttling would
/// disturb all other cases.
pub(crate) fn needs_rate_limits(case: &Case) -> bool {
    case.needs.iter().any(|need| need == RATE_LIMITS)
}

/// A suite and what it is replayed against.
#[derive(Debug)]
pub struct Runner {
    replay: Arc<Replay>,
    /// The embedded reference with its documented rate limits, for the cases that need them.
    limited: Option<Arc<Replay>>,
    /// The embedded reference's instances; they serve as long as the runtime, or until they are stopped.
    servers: Vec<Server>,
}

/// What becomes of the conversations of a run.
#[derive(Clone, Debug)]
pub enum Conversations {
    /// They are forgotten once there is a verdict.
    Forget,
    /// Their canonical text is kept in [`Outcome::text`].
    Keep,
    /// Compared with recorded ones.
    Check(Baseline),
    /// Recorded.
    Record(Baseline),
    /// Compared; what differs is left beside the recorded file for a review.
    Propose(Baseline),
}

/// What a run came to.
#[derive(Debug)]
pub struct Done {
    /// One outcome for each selected variant, by case.
    pub outcomes: Vec<Outcome>,
    /// What comparing or recording the conversations came to, by case.
    pub changes: Vec<Change>,
    /// How long the run took, in ms.
    pub milliseconds: f64,
}

impl Runner {
    /// Makes ready for a described target; nothing is sent yet.
    pub fn against(suite: Arc<Suite>, target: Arc<Target>, options: Options) -> Result<Self, RunError> {
        Ok(Self {
            replay: Arc::new(Replay::new(suite, target, options)?),
            limited: None,
            servers: Vec::new(),
        })
    }

    /// Starts the embedded reference, with a second instance if the suite has cases that need rate limits.
    ///
    /// Every finding fails its case, whatever its weight: the reference has no excuse, so either it or the case is wrong.
    pub async fn embedded(suite: Arc<Suite>, options: Options) -> Result<Self, RunError> {
        let options = Options {
            strictness: Strictness::Everything,
            ..options
        };
        let config = embedded::config(suite.world(), true)?;
        let (mut target, server) = embedded::serve(suite.world(), &config).await?;
        let is_limited = suite.cases().iter().any(needs_rate_limits);
        if is_limited {
            target.lacks.remove(RATE_LIMITS);
        }
        let replay = Replay::new(Arc::clone(&suite), Arc::new(target), options)?;
        let mut servers = vec![server];
        let mut limited = None;
        if is_limited {
            let mut config = config;
            config.rate_limits = RateLimits::Documented;
            let (target, server) = embedded::serve(suite.world(), &config).await?;
            limited = Some(Arc::new(replay.beside(Arc::new(target))?));
            servers.push(server);
        }
        Ok(Self {
            replay: Arc::new(replay),
            limited,
            servers,
        })
    }

    /// The suite.
    pub fn suite(&self) -> &Suite {
        self.replay.suite()
    }

    /// The target; of the embedded reference's two instances the one without rate limits.
    pub fn target(&self) -> &Target {
        self.replay.target()
    }

    /// What replays the cases against [`Self::target`].
    pub fn replayer(&self) -> &Arc<Replay> {
        &self.replay
    }

    /// The secrets that nothing which is written may hold.
    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(self.replay.transport().secrets())
    }

    /// Ends the run: no case is begun any more, those that are under way are left, and what they made is taken back.
    pub fn interrupt(&self) {
        self.replay.transport().interrupt();
    }

    /// Why the run ended before its time, if it did.
    pub fn halted(&self) -> Option<Halted> {
        self.replay.transport().halted()
    }

    /// Stops the embedded reference, which lets requests under way end.
    pub async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }

    fn replay_of(&self, selected: Selected) -> &Arc<Replay> {
        let case = self.suite().cases().get(selected.case);
        match &self.limited {
            Some(limited) if case.is_some_and(needs_rate_limits) => limited,
            _ => &self.replay,
        }
    }

    /// Replays many variants concurrently; the outcomes come as they are done, and one that never comes panicked.
    ///
    /// `finish` is called with each where it was made, before its conversation is forgotten: exchanges are kept only of
    /// outcomes that have findings or no verdict.
    pub fn replay_all(
        &self,
        selection: &[Selected],
        finish: impl Fn(&mut Outcome) + Send + Sync + 'static,
    ) -> mpsc::Receiver<Outcome> {
        let jobs = self.replay.jobs();
        let (sender, receiver) = mpsc::channel(jobs);
        let workers = jobs.min(selection.len());
        let queue: Vec<(Arc<Replay>, Selected)> = selection
            .iter()
            .map(|selected| (Arc::clone(self.replay_of(*selected)), *selected))
            .collect();
        let (queue, next, finish) = (Arc::new(queue), Arc::new(AtomicUsize::new(0)), Arc::new(finish));
        let room = Arc::new(Room::default());
        for _ in 0..workers {
            let (queue, next, room) = (Arc::clone(&queue), Arc::clone(&next), Arc::clone(&room));
            let (sender, finish) = (sender.clone(), Arc::clone(&finish));
            tokio::spawn(async move {
                while let Some((replay, selected)) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let replayed = async {
                        let mut outcome = replay.replay(*selected).await?;
                        finish(&mut outcome);
                        Some(outcome)
                    };
                    // A case that panics is missed by whoever counts the outcomes; the others go on.
                    let Ok(Some(mut outcome)) = AssertUnwindSafe(replayed).catch_unwind().await else {
                        continue;
                    };
                    if outcome.findings.is_empty() && outcome.verdict == Verdict::Pass {
                        outcome.exchanges = Vec::new();
                        outcome.fresh = Vec::new();
                    }
                    room.shorten(&mut outcome.exchanges);
                    if sender.send(outcome).await.is_err() {
                        // The receiver is gone only when the run was given up.
                        return;
                    }
                }
            });
        }
        receiver
    }

    /// Replays the selected variants, and compares or records their conversations; `watch` sees each outcome as it comes.
    pub async fn run(
        &self,
        selection: &[Selected],
        conversations: &Conversations,
        mut watch: impl FnMut(&Outcome) + Send,
    ) -> Result<Done, RunError> {
        let start = Instant::now();
        let mut gathered = Gathered::new(self.suite(), selection);
        let mut changes = Vec::new();
        let has_text = !matches!(conversations, Conversations::Forget);
        let (replay, secrets) = (Arc::clone(&self.replay), self.secrets());
        let mut receiver = self.replay_all(selection, move |outcome| {
            outcome.redact(&secrets);
            if has_text {
                outcome.text = baseline::text_of(outcome, replay.suite().schemas());
            }
        });
        while let Some(outcome) = receiver.recv().await {
            watch(&outcome);
            if let Some((case, outcomes)) = gathered.add(outcome) {
                changes.extend(self.compare(conversations, case, outcomes)?);
                if !matches!(conversations, Conversations::Keep) {
                    // The conversations of a whole run are too much to be kept.
                    for outcome in outcomes {
                        outcome.text = None;
                    }
                }
            }
        }
        let outcomes = gathered.finish();
        let lost = selection.len() - outcomes.len();
        if lost > 0 {
            return Err(RunError::Run(format!("{lost} cases did not finish")));
        }
        changes.sort_by(|a, b| a.about().cmp(b.about()));
        Ok(Done {
            outcomes,
            changes,
            milliseconds: start.elapsed().as_secs_f64() * 1000.0,
        })
    }

    fn compare(
        &self,
        conversations: &Conversations,
        case: &Case,
        outcomes: &[Outcome],
    ) -> Result<Option<Change>, RunError> {
        let (suite, secrets) = (self.suite(), self.secrets());
        Ok(match conversations {
            Conversations::Forget | Conversations::Keep => None,
            Conversations::Check(baseline) => baseline.compare(suite, case, outcomes),
            Conversations::Record(baseline) => baseline.record(suite, case, outcomes, &secrets)?,
            Conversations::Propose(baseline) => baseline.propose(suite, case, outcomes, &secrets)?,
        })
    }
}

/// How many bytes the bodies that a run keeps may take before they are cut to [`SHORT`].
const ROOM: usize = 16 << 20;
/// How many bytes of a body are kept while there is room.
const LONG: usize = 64 << 10;
/// How many bytes of a body are kept when there is no more room: a service that answers thousands of requests with one
/// large page is reported in bounded memory.
const SHORT: usize = 1 << 10;

/// The bytes that the bodies of a run's outcomes take.
#[derive(Debug, Default)]
struct Room(AtomicUsize);

impl Room {
    /// Cuts the bodies of judged exchanges to what there is room for, and drops what they were parsed to.
    fn shorten(&self, exchanges: &mut [Exchange]) {
        for exchange in exchanges {
            exchange.json = None;
            let bodies = exchange.request.body.iter_mut().chain([&mut exchange.response.body]);
            for body in bodies {
                let limit = if self.0.load(Ordering::Relaxed) < ROOM {
                    LONG
                } else {
                    SHORT
                };
                if let Some(more) = body.len().checked_sub(limit).filter(|more| *more > 0) {
                    let end = format!("\n[{more} more bytes were not kept]");
                    *body = [&body[..limit], end.as_bytes()].concat().into();
                }
                self.0.fetch_add(body.len(), Ordering::Relaxed);
            }
        }
    }
}

/// The outcomes of a run, brought together by case as they come.
struct Gathered<'a>(BTreeMap<&'a str, Gathering<'a>>);

struct Gathering<'a> {
    case: &'a Case,
    /// How many of the selected variants are still to come.
    left: usize,
    outcomes: Vec<Outcome>,
}

impl<'a> Gathered<'a> {
    fn new(suite: &'a Suite, selection: &[Selected]) -> Self {
        let mut cases: BTreeMap<&str, Gathering<'_>> = BTreeMap::new();
        for case in selection.iter().filter_map(|selected| suite.cases().get(selected.case)) {
            let none = || Gathering {
                case,
                left: 0,
                outcomes: Vec::new(),
            };
            cases.entry(&case.id).or_insert_with(none).left += 1;
        }
        Self(cases)
    }

    /// Adds an outcome; its case with all that came of it, when it was the last.
    fn add(&mut self, outcome: Outcome) -> Option<(&'a Case, &mut Vec<Outcome>)> {
        let gathering = self.0.get_mut(outcome.case.as_str())?;
        gathering.outcomes.push(outcome);
        gathering.left -= 1;
        (gathering.left == 0).then_some((gathering.case, &mut gathering.outcomes))
    }

    /// All outcomes.
    fn finish(self) -> Vec<Outcome> {
        self.0.into_values().flat_map(|gathering| gathering.outcomes).collect()
    }
}
