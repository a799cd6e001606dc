//! The conversation: a case's requests, the target's answers, and the verdict.

pub mod assertion;
mod claim;
pub mod contract;
mod conversation;
pub(crate) mod delivery;
pub mod halt;
mod judge;
pub mod label;
pub mod matching;
mod roster;
mod scope;
mod socket;
pub mod verdict;

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, Semaphore, mpsc};
use uuid::Uuid;

use crate::contract::Suite;
use crate::contract::case::{Case, Script, Variant};
use crate::target::{Secret, Target};
use crate::wire::client::{Client, WireError};
use crate::wire::pacing::Pacing;
use crate::wire::secrets::Secrets;
use delivery::Health;
use halt::{Halt, Halted};
use verdict::{Outcome, Verdict};

/// A suite that is ready to be put to a target.
#[derive(Debug)]
pub struct Replay {
    pub(crate) suite: Arc<Suite>,
    pub(crate) target: Arc<Target>,
    /// Values that are the target's own, with their names.
    own: Arc<[(String, String)]>,
    pub(crate) client: Client,
    pub(crate) options: Options,
    /// A lock for each identity, for conversations that must have it to themselves.
    claims: HashMap<String, Arc<Mutex<()>>>,
    /// A token that nobody has: what the unknown speaker says, and what no report may hold.
    canary: Secret,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) pacing: Pacing,
    /// Where the target has a pace: as many conversations speak at a time as get their turn within about a second.
    turns: Option<Arc<Semaphore>>,
    health: Health,
    halt: Halt,
}

/// How a run goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Conversations at a time.
    pub jobs: usize,
    /// Time limit of one exchange.
    pub exchange_limit: Duration,
    /// Time limit of one case, beside the time that it lets pass.
    pub case_limit: Duration,
    /// How long a frame is waited for when the step does not say.
    pub frame_limit: Duration,
    /// Whether warnings are failures.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 64,
            exchange_limit: Duration::from_secs(10),
            case_limit: Duration::from_mins(1),
            frame_limit: Duration::from_secs(5),
            strict: false,
        }
    }
}

/// A variant of a case, by the places of both in the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selected {
    /// The case.
    pub case: usize,
    /// The variant of the case.
    pub variant: usize,
}

impl Replay {
    /// Makes ready; no request is sent yet.
    pub fn new(suite: Arc<Suite>, target: Arc<Target>, options: Options) -> Result<Self, WireError> {
        let client = Client::new(&target, options.exchange_limit)?;
        let claims = target
            .identities
            .keys()
            .map(|name| (name.clone(), Arc::default()))
            .collect();
        let canary = Secret::new(format!("XBL3.0 x=0;{}", Uuid::new_v4().simple()));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive and at most a million"
        )]
        let turns = target
            .limits
            .lowest_rate()
            .map(|rate| Arc::new(Semaphore::new((rate as usize).max(1))));
        Ok(Self {
            secrets: Arc::new(Secrets::new(&target, &canary)),
            pacing: Pacing::new(&target.limits, target.identities.keys()),
            suite,
            own: scope::own(&target).into(),
            target,
            client,
            options,
            claims,
            canary,
            turns,
            health: Health::default(),
            halt: Halt::default(),
        })
    }

    /// The secrets that nothing which is written may hold; a token that is renewed joins them.
    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets)
    }

    /// Ends the run: no case is begun any more, those that are under way are left, and what they made is taken back.
    pub fn interrupt(&self) {
        self.halt.end("the run was interrupted", true);
    }

    /// Why the run ended before its time, if it did.
    pub fn halted(&self) -> Option<Halted> {
        self.halt.get()
    }

    /// What a variant needs and the target does not have.
    pub fn not_applicable_to(&self, selected: Selected) -> Option<String> {
        let case = self.suite.cases().get(selected.case)?;
        let variant = case.variants.get(selected.variant)?;
        self.fit(case, variant, case.scripts().of(variant)).err()
    }

    /// What is said in a variant when it is put to the target; or why it cannot be.
    fn fit<'s>(&self, case: &Case, variant: &Variant, script: &'s Script) -> Result<Cow<'s, Script>, String> {
        let fit = self.target.fit(self.suite.world(), case, variant, script);
        fit.map_err(|missing| self.target.excuse(&missing))
    }

    /// The suite that is replayed.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// The client that talks to the target.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Replays one variant.
    pub async fn replay(&self, selected: Selected) -> Option<Outcome> {
        let case = self.suite.cases().get(selected.case)?;
        let variant = case.variants.get(selected.variant)?;
        let scripts = case.scripts();
        let script = scripts.of(variant);
        Some(match self.fit(case, variant, script) {
            Ok(script) => {
                let _claims = self.claim(&script.claims).await;
                conversation::replay(self, case, variant, &script).await
            }
            Err(reason) => conversation::not_applicable(self, case, variant, script, reason),
        })
    }

    /// Replays many variants at a time; the outcomes come as they are done.
    ///
    /// `finish` is called with each where it was made, before its conversation is forgotten: exchanges are kept only of
    /// outcomes that have findings or no verdict.
    pub fn replay_all(
        self: &Arc<Self>,
        selection: Vec<Selected>,
        finish: impl Fn(&mut Outcome) + Send + Sync + 'static,
    ) -> mpsc::Receiver<Outcome> {
        let finish = Arc::new(finish);
        let jobs = self
            .target
            .limits
            .whole
            .in_flight
            .unwrap_or(self.options.jobs)
            .min(self.options.jobs)
            .max(1);
        let (sender, receiver) = mpsc::channel(jobs);
        let workers = jobs.min(selection.len());
        let (selection, next) = (Arc::new(selection), Arc::new(AtomicUsize::new(0)));
        for _ in 0..workers {
            let (replay, sender, finish) = (Arc::clone(self), sender.clone(), Arc::clone(&finish));
            let (selection, next) = (Arc::clone(&selection), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(selected) = selection.get(next.fetch_add(1, Ordering::Relaxed)) {
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
                    if sender.send(outcome).await.is_err() {
                        // The receiver is gone only when the run was given up.
                        return;
                    }
                }
            });
        }
        receiver
    }
}
