//! Embeds the suite's files into the library.
fn main() {}
