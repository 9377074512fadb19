//! What can be typed to find out what is wrong.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `muster doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The configuration to examine when no daemon answers [default: that of musterd]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `muster debug`.
#[derive(Debug, Subcommand)]
pub(crate) enum Debug {
    /// Write one file with status, metrics, configuration, doctor's findings, the last decisions
    /// and the log; no secrets
    Bundle(Bundle),
}

/// `muster debug bundle`.
#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// The file to write [default: muster-NODE-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The configuration to examine when no daemon answers [default: that of musterd]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
