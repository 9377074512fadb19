//! `muster`: the command line, and (as `muster daemon`) the daemon under its other name.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (revision, epoch) = revision::built!();
    muster::set_build(revision, epoch);
    cli::run(std::env::args_os(), &muster::program())
}
