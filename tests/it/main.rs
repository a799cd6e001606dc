//! Integration tests.

mod bad_cases;
mod command_line;
mod program;
mod reports;
mod small_suite;
mod wrong_service;
mod wrong_targets;
