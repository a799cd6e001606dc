//! Integration tests.

#![expect(unreachable_pub, reason = "modules of a test binary are private")]

mod bad_cases;
mod wrong_service;
mod wrong_targets;
