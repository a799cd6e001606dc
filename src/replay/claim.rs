//! Claims: a conversation that must have an identity to itself waits until nobody else has it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::contract::fingerprint;
use crate::replay::Replay;

/// How long to wait before a lock is tried again that another process holds.
const PAUSE: Duration = Duration::from_millis(10);
/// How many files there are to lock: they stay behind, and two users who share one only wait for each other now and then.
const LOCKS: u64 = 256;

/// Lets its holder have some identities to itself.
#[derive(Debug, Default)]
pub(super) struct Claims {
    guards: Vec<OwnedMutexGuard<()>>,
    files: Vec<File>,
}

impl Replay {
    /// Waits until nobody else has any of the identities: in this process, and in others on this machine that put the
    /// suite to the same service.
    pub(super) async fn claim(&self, names: &[String]) -> Claims {
        let mut claims = Claims::default();
        // All claim in the order of the names, so that nobody waits in a circle.
        for lock in names.iter().filter_map(|name| self.claims.get(name)) {
            claims.guards.push(Arc::clone(lock).lock_owned().await);
        }
        if self.target.is_disposable {
            return claims;
        }
        // Two identities may be one user; and files too are locked in an order that all keep to.
        let paths: BTreeSet<PathBuf> = names.iter().filter_map(|name| self.lock_file(name)).collect();
        for path in paths {
            // Where files cannot be locked, runs at the same time may disturb each other; one alone is not affected.
            let options = File::options().create(true).truncate(false).write(true).open(path);
            let Ok(file) = options else { continue };
            loop {
                match file.try_lock() {
                    Ok(()) => break claims.files.push(file),
                    Err(TryLockError::WouldBlock) if self.transport.halted().is_none() => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(_) => break,
                }
            }
        }
        claims
    }

    /// The file that stands for an identity of the target, whatever a target file calls either.
    fn lock_file(&self, name: &str) -> Option<PathBuf> {
        let identity = self.target.identities.get(name)?;
        let who = identity.xuid.as_deref().unwrap_or(name);
        let place = fingerprint::of([self.target.base_url.as_str(), who]) % LOCKS;
        Some(std::env::temp_dir().join(format!("mpsd-conformance-{place:02x}.lock")))
    }
}
