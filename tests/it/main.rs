//! Integration tests.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a test ends it"
)]
#![expect(unreachable_pub, reason = "modules of a test binary are private")]

mod access_model;
mod agreement;
mod bad_cases;
mod book;
mod charges;
mod command_line;
mod configurations;
mod crowd;
mod descriptions;
mod documentation;
mod durability;
mod failures;
mod falsified;
mod foreign_input;
mod hostile_targets;
mod http2;
mod interrupts;
mod ladder;
mod made_up_writes;
mod manifest;
mod mutation;
mod needs;
mod network;
mod program;
mod prove;
mod reports;
mod secrets;
mod secure_targets;
mod service;
mod small_suite;
mod targets;
mod tokens;
mod traffic;
mod user_files;
mod variations;
mod words;
mod wrong_service;
mod wrong_targets;
