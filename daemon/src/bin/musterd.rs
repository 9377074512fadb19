//! `musterd`: the daemon of one host.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (revision, epoch) = revision::built!();
    muster::set_build(revision, epoch);
    muster::daemon_main(std::env::args_os().collect())
}
