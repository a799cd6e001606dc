//! The executable contract of the Multiplayer Session Directory (MPSD).

pub mod book;
pub mod cli;
pub mod reference;
pub mod replay;
pub mod report;
pub mod snapshot;
pub mod suite;
pub mod target;
pub mod traffic;
