//! The executable contract of the Multiplayer Session Directory (MPSD).

pub mod book;
pub mod cli;
pub mod contract;
pub mod replay;
pub mod report;
pub mod run;
pub mod snapshot;
pub mod target;
pub mod traffic;
pub mod wire;
