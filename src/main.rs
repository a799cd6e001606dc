//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    mpsd_conformance::cli::main()
}
