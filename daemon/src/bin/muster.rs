//! `muster`: the command line, and (as `muster daemon`) the daemon under its other name.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &muster::program())
}
