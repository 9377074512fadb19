//! What is wrong with a configuration.

use std::process::ExitCode;

/// Why there is no configuration. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line could not be read, or asked for help or the version.
    #[error(transparent)]
    Usage(clap::Error),
    /// What is wrong, one sentence each.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

impl ConfigError {
    /// Tells the person who started the program, on the stream where they expect it, and says how to exit:
    /// 0 after help and version, else 2.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                // Nothing is left to be done when the terminal is gone.
                let _ = error.print();
                u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
            }
            Self::Mistakes(mistakes) => {
                use std::io::Write;
                let mut stderr = std::io::stderr().lock();
                for mistake in mistakes {
                    let _ = writeln!(stderr, "musterd: {mistake}");
                }
                ExitCode::from(2)
            }
        }
    }
}
