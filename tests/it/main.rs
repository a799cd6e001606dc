//! Integration tests.

#![expect(unreachable_pub, reason = "modules of a test binary are private")]

mod access_model;
mod bad_cases;
mod crowd;
mod made_up_writes;
mod reports;
mod service;
mod targets;
mod wrong_service;
mod wrong_targets;
