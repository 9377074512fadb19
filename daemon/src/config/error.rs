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
}
