//! What can be typed about tokens.

use clap::{Args, Subcommand, ValueEnum};

/// `muster token`.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token that acts for you; it is shown only once
    Create(CreateToken),
    /// Show your tokens, or everybody's to those who may change the node
    List,
    /// Revoke a token
    Revoke {
        /// Its id
        id: String,
    },
}

/// `muster token create`.
#[derive(Debug, Args)]
pub(crate) struct CreateToken {
    /// What it allows
    #[arg(long, value_enum, default_value = "read")]
    pub(crate) scope: TokenScope,
    /// How long it is valid, such as 90s, 15m, 12h, 30d or 1y [default: 15m, for sd 30d]
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<String>,
}

/// Scopes of a token, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenScope {
    /// All reading, and all changes of lists; up to 12h
    Page,
    /// All reading; up to 30d
    Read,
    /// Prometheus' service discovery; up to 1y
    Sd,
}
