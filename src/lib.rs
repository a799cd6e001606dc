//! The executable contract of the Multiplayer Session Directory (MPSD).

pub mod reference;
pub mod replay;
pub mod suite;
pub mod target;
