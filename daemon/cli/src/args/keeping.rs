//! What can be typed about what must not be lost.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `muster quarantine …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// Show what is wrong with a list in quarantine
    ///
    /// Reads all of its changes, tries to make its document, and asks the other members what they have of it.
    Why {
        /// The list
        list: String,
    },
    /// Try to load a list again, as after an update
    ///
    /// Makes its document from the changes on the disk. If that succeeds the list takes changes again.
    Release {
        /// The list
        list: String,
    },
    /// Put a list aside, and take it from other members
    ///
    /// All that is here of the list is written into a file on the node's host first, from which muster restore
    /// brings back what the others did not have.
    Replace(Replace),
}

/// `muster quarantine replace`.
#[derive(Debug, Args)]
pub(crate) struct Replace {
    /// The list
    pub(crate) list: String,
    /// Also if this node has changes that no connected member has
    #[arg(long)]
    pub(crate) force: bool,
}

/// `muster backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write
    pub(crate) file: PathBuf,
    /// Replace the file if it is there
    #[arg(long, conflicts_with = "verify")]
    pub(crate) force: bool,
    /// Only check that this file is whole, without a daemon
    #[arg(long)]
    pub(crate) verify: bool,
}

/// `muster restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The file
    pub(crate) file: PathBuf,
    /// Only this list
    #[arg(long)]
    pub(crate) list: Option<String>,
}
