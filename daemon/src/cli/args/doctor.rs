//! What can be typed to find out what is wrong.

use clap::Args;
use std::path::PathBuf;

/// `muster doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The configuration to examine when no daemon answers [default: that of musterd]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
