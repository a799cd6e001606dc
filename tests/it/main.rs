//! Integration tests.

#![expect(unreachable_pub, reason = "modules of a test binary are private")]

mod bad_cases;
mod command_line;
mod program;
mod small_suite;
mod wrong_service;
mod wrong_targets;
