//! Integration tests.

#![expect(unreachable_pub, reason = "modules of a test binary are private")]

mod access_model;
mod crowd;
mod made_up_writes;
mod service;
