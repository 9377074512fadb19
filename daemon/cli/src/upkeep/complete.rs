//! `muster completions`.

use crate::failure::Failure;
use crate::output::Output;
use crate::program::Program;

/// Prints the script that teaches a shell to complete this command line.
pub(crate) fn run(
    shell: clap_complete::Shell,
    output: &Output,
    program: &Program,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = crate::command((program.version)());
    clap_complete::generate(shell, &mut command, "muster", &mut script);
    output.raw(&String::from_utf8_lossy(&script))
}
