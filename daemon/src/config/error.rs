//! What is wrong with a configuration.

/// Why there is no configuration. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The command line could not be read: what is wrong, and how it is used.
    #[error("{0}")]
    Usage(String),
    /// What is wrong, one sentence each.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
    /// The same, where only a check was asked for.
    #[error("{}", .0.join("\n"))]
    Checked(Vec<String>),
}

impl ConfigError {
    /// What the daemon ends with: 2 when it was to run (a service manager need not try again), 1
    /// when it was to check.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Mistakes(_) => 2,
            Self::Checked(_) => 1,
        }
    }
}
