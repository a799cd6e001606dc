//! The end of a run before its time: the target is gone, or somebody stopped the run.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether a run is over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// What the cases that were not judged for it say.
    pub reason: Arc<str>,
    /// Whether somebody stopped the run, so that the target can still be asked to forget what the run made.
    pub is_interrupt: bool,
}

/// Where a run learns that it is over; the first reason stays.
#[derive(Debug)]
pub(crate) struct Halt(watch::Sender<Option<Halted>>);

impl Default for Halt {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Halt {
    /// Ends the run.
    pub(crate) fn end(&self, reason: &str, is_interrupt: bool) {
        self.0.send_if_modified(|halted| {
            let is_first = halted.is_none();
            if is_first {
                *halted = Some(Halted {
                    reason: reason.into(),
                    is_interrupt,
                });
            }
            is_first
        });
    }

    /// Why the run is over; `None` while it is not.
    pub(crate) fn get(&self) -> Option<Halted> {
        self.0.borrow().clone()
    }

    /// Waits until the run is over.
    pub(crate) async fn reached(&self) -> Halted {
        let mut receiver = self.0.subscribe();
        let halted = receiver
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|halted| halted.clone());
        match halted {
            Some(halted) => halted,
            // The sender lives as long as whoever waits here.
            None => std::future::pending().await,
        }
    }
}
