//! Canonical text.
