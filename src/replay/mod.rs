//! The conversation: a case's requests, the target's answers, and the verdict.

pub mod assertion;
mod claim;
pub mod contract;
mod conversation;
mod judge;
pub mod label;
pub mod matching;
mod roster;
mod scope;
pub mod verdict;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use crate::contract::Suite;
use crate::contract::case::{Case, Script, Variant};
use crate::target::Target;
use crate::wire::error::WireError;
use crate::wire::files;
use crate::wire::transport::Transport;
use verdict::{Outcome, Verdict};

/// A suite that is ready to be put to a target.
#[derive(Debug)]
pub struct Replay {
    suite: Arc<Suite>,
    target: Arc<Target>,
    transport: Transport,
    options: Options,
    /// Values that are the target's own, with their names.
    own: Arc<[(String, String)]>,
    /// A lock for each identity, for conversations that must have it to themselves.
    claims: HashMap<String, Arc<Mutex<()>>>,
    /// Where the target has a pace: as many conversations speak at a time as get their turn within about a second.
    turns: Option<Arc<Semaphore>>,
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
    /// Which findings fail a case.
    pub strictness: Strictness,
}

/// Which findings fail a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Those that break a clause which a service has to keep.
    #[default]
    Failures,
    /// Warnings as well.
    Warnings,
    /// Every finding, which is reported as a failure whatever the clause's level and evidence.
    Everything,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 64,
            exchange_limit: Duration::from_secs(10),
            case_limit: Duration::from_mins(1),
            frame_limit: Duration::from_secs(5),
            strictness: Strictness::default(),
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
        let identities = suite.world().identities.iter();
        let expired = identities.filter(|(_, identity)| identity.expired);
        let expired = expired.map(|(name, _)| name.clone()).collect();
        let transport = Transport::new(Arc::clone(&target), expired, options.exchange_limit)?;
        Ok(Self::over(transport, suite, target, options))
    }

    /// A replay against another instance of the same service: the run ends for both at once, and neither's secrets are written.
    pub fn beside(&self, target: Arc<Target>) -> Result<Self, WireError> {
        let transport = self.transport.beside(Arc::clone(&target))?;
        Ok(Self::over(transport, Arc::clone(&self.suite), target, self.options))
    }

    fn over(transport: Transport, suite: Arc<Suite>, target: Arc<Target>, options: Options) -> Self {
        let claims = target
            .identities
            .keys()
            .map(|name| (name.clone(), Arc::default()))
            .collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive and at most a million"
        )]
        let turns = target
            .limits
            .lowest_rate()
            .map(|rate| Arc::new(Semaphore::new((rate as usize).max(1))));
        Self {
            own: scope::own(&target).into(),
            suite,
            target,
            transport,
            options,
            claims,
            turns,
        }
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many conversations may go on at once.
    pub(crate) fn jobs(&self) -> usize {
        let in_flight = self.target.limits.whole.in_flight.unwrap_or(self.options.jobs);
        in_flight.min(self.options.jobs).min(files::conversations()).max(1)
    }

    /// The way to the target.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// How the run goes about it.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What a variant needs and the target does not have.
    pub fn not_applicable_to(&self, selected: Selected) -> Option<String> {
        let case = self.suite.cases().get(selected.case)?;
        let variant = case.variants.get(selected.variant)?;
        self.fit(case, variant, case.scripts().of(variant)?).err()
    }

    /// The script of a variant as the target is sent it, or why it cannot be.
    fn fit<'s>(&self, case: &Case, variant: &Variant, script: &'s Script) -> Result<Cow<'s, Script>, String> {
        let fit = self.target.fit(self.suite.world(), case, variant, script);
        fit.map_err(|missing| self.target.excuse(&missing))
    }

    /// The suite that is replayed.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// Replays one variant.
    pub async fn replay(&self, selected: Selected) -> Option<Outcome> {
        let case = self.suite.cases().get(selected.case)?;
        let variant = case.variants.get(selected.variant)?;
        let scripts = case.scripts();
        let script = scripts.of(variant)?;
        Some(match self.fit(case, variant, script) {
            Ok(script) => {
                let _claims = self.claim(&script.claims).await;
                let (outcome, is_sent_twice) = conversation::replay(self, case, variant, &script).await;
                if is_sent_twice && outcome.verdict != Verdict::Pass {
                    // The target may have carried out a request twice, which is not its fault. Now no connection is kept.
                    let (mut again, _) = conversation::replay(self, case, variant, &script).await;
                    again.leftovers.extend(outcome.leftovers);
                    again
                } else {
                    outcome
                }
            }
            Err(reason) => conversation::not_applicable(self, case, variant, script, reason),
        })
    }
}
