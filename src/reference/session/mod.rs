//! The session document: what is stored, how writes change it, how it is shown.
