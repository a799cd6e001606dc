//! The conversation: a case's requests, the target's answers, and the verdict.

pub mod client;
mod conversation;
mod judge;
pub mod matching;
mod roster;
mod scope;
pub mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use crate::suite::Suite;
use crate::target::Target;
use client::{Client, WireError};
use verdict::Outcome;

/// A suite that is ready to be put to a target.
#[derive(Debug)]
pub struct Replay {
    suite: Arc<Suite>,
    target: Arc<Target>,
    client: Client,
    options: Options,
}

/// How a run goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Conversations at a time.
    pub jobs: usize,
    /// Time limit of one exchange.
    pub exchange_limit: Duration,
    /// Time limit of one case.
    pub case_limit: Duration,
    /// Whether warnings are failures.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 64,
            exchange_limit: Duration::from_secs(10),
            case_limit: Duration::from_secs(60),
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
        let client = Client::new(&target.base_url, options.exchange_limit)?;
        Ok(Self {
            suite,
            target,
            client,
            options,
        })
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
        Some(conversation::replay(self, case, variant).await)
    }

    /// Replays many variants at a time; the outcomes come as they are done.
    pub fn replay_all(self: &Arc<Self>, selection: Vec<Selected>) -> mpsc::Receiver<Outcome> {
        let jobs = self.target.in_flight.unwrap_or(self.options.jobs).max(1);
        let (sender, receiver) = mpsc::channel(jobs);
        let permits = Arc::new(Semaphore::new(jobs));
        let replay = Arc::clone(self);
        tokio::spawn(async move {
            for selected in selection {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let (replay, sender) = (Arc::clone(&replay), sender.clone());
                tokio::spawn(async move {
                    if let Some(outcome) = replay.replay(selected).await {
                        // The receiver is gone only when the run was given up.
                        let _ = sender.send(outcome).await;
                    }
                    drop(permit);
                });
            }
        });
        receiver
    }
}
