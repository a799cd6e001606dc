//! Integration tests.

mod reports;
