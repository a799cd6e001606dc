//! The command line.

use std::process::ExitCode;

/// Exchanges are made on one thread and forgotten on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mpsd_conformance::cli::main()
}
