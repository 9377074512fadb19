//! `muster completions`.

use super::args::Cli;
use super::failure::Failure;
use super::output::Output;
use clap::CommandFactory;

/// Prints the script that teaches a shell to complete this command line.
pub(crate) fn run(shell: clap_complete::Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "muster", &mut script);
    output.raw(&String::from_utf8_lossy(&script))
}
