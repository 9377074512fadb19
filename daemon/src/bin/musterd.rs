//! `musterd`: the daemon of one host.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster::daemon_main(std::env::args_os().collect())
}
