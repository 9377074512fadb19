//! What can be typed about a development cluster.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `muster dev`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Dev {
    /// How many nodes to run (3, or as many as there were)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) nodes: Option<u16>,
    /// Start over: delete what an earlier cluster left there
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where it is.
    #[command(flatten)]
    pub(crate) dir: DevDir,
    /// Without one, runs the cluster.
    #[command(subcommand)]
    pub(crate) command: Option<DevCommand>,
}

/// `--dir`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevDir {
    /// The cluster's directory [default: $MUSTER_DEV_DIR, else ./muster-dev]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What can be done to a running development cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Cut these nodes off from the others
    Split {
        /// The nodes of one side
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        #[command(flatten)]
        dir: DevDir,
    },
    /// End the split
    Heal {
        #[command(flatten)]
        dir: DevDir,
    },
    /// Kill a node (SIGKILL)
    Kill {
        /// The node
        #[arg(value_name = "NODE")]
        target: String,
        #[command(flatten)]
        dir: DevDir,
    },
    /// Start a node that was killed
    Start {
        /// The node
        #[arg(value_name = "NODE")]
        target: String,
        #[command(flatten)]
        dir: DevDir,
    },
}
