//! Signals that end the process.

#[cfg(unix)]
use std::future::poll_fn;
#[cfg(unix)]
use std::task::Poll;

/// Ctrl-C, and what a supervisor sends; one that comes while nobody waits is not lost.
pub(super) struct Signals {
    #[cfg(unix)]
    listened: Vec<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Listens from now on; before that, either ends the process at once.
    pub(super) fn new() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
            let listened = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
            Self { listened }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        poll_fn(|context| {
            let is_ready = |signal: &mut tokio::signal::unix::Signal| signal.poll_recv(context).is_ready();
            let count = self.listened.iter_mut().map(is_ready).filter(|ready| *ready).count();
            if count > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
