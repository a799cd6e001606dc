//! HTTP archives (HAR 1.2): read as tools export them, and written.

mod read;
mod write;

pub use read::{Capture, HarError, LONGEST, Skipped, read};
pub use write::Writer;
