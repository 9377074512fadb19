//! `muster completions`.

use super::failure::Failure;
use super::output::Output;

/// Prints the script that teaches a shell to complete this command line.
pub(crate) fn run(shell: clap_complete::Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "muster", &mut script);
    output.raw(&String::from_utf8_lossy(&script))
}
