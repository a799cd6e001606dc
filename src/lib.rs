//! The executable contract of the Multiplayer Session Directory (MPSD).

pub mod reference;
pub mod snapshot;
pub mod suite;
