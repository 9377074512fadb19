//! What can be typed about the node and its cluster.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `muster log-level`.
#[derive(Debug, Args)]
pub(crate) struct LogLevel {
    /// off, error, warn, info, debug, trace, or directives such as info,node=debug; without it,
    /// shows what is logged
    pub(crate) level: Option<String>,
    /// Only for this long, such as 10m; up to 24h
    #[arg(long = "for", value_name = "TIME", requires = "level")]
    pub(crate) time: Option<String>,
    /// Go back to the level of the configuration
    #[arg(long, conflicts_with = "level")]
    pub(crate) reset: bool,
}

/// `muster rebuild`.
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Only this list
    pub(crate) list: Option<String>,
    /// Do it in the data directory itself, while no daemon runs
    #[arg(long)]
    pub(crate) offline: bool,
    /// The data directory [default: that of musterd]
    #[arg(long, value_name = "DIR", requires = "offline")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration that says where the data is [default: that of musterd]
    #[arg(
        long,
        value_name = "FILE",
        requires = "offline",
        conflicts_with = "data_dir"
    )]
    pub(crate) config: Option<PathBuf>,
}

/// `muster repair`.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Add the entries anew whose changes build on what is lost
    #[arg(long, conflicts_with = "acknowledge")]
    pub(crate) reissue: bool,
    /// End the attention and the alert; the journals stay on the disk
    #[arg(long)]
    pub(crate) acknowledge: bool,
}

/// `muster members`.
#[derive(Debug, Args)]
pub(crate) struct Members {
    /// Go on, and print each change
    #[arg(long)]
    pub(crate) watch: bool,
    /// Only those in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<MemberState>,
    /// Only those with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
}

/// States of a member, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberState {
    Alive,
    Suspect,
    Down,
    Restarting,
    Away,
    Left,
}

/// `muster away`.
#[derive(Debug, Args)]
pub(crate) struct Away {
    /// Its name or id
    #[arg(value_name = "NODE")]
    pub(crate) member: String,
    /// For how long from now, such as 12h or 30d; at most 366d
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) span: String,
    /// Why, for all who look
    #[arg(long, value_name = "WORDS")]
    pub(crate) why: Option<String>,
    /// Also where this node reaches no majority of those that are not away
    #[arg(long)]
    pub(crate) force: bool,
}

/// `muster partition`.
#[derive(Debug, Args)]
pub(crate) struct Partition {
    /// Exit with 4 where this node reaches less than that
    #[arg(long, value_name = "VERDICT", conflicts_with = "wait")]
    pub(crate) require: Option<Reach>,
    /// Wait until it reaches that much; exit with 5 after --timeout
    #[arg(long, value_name = "VERDICT")]
    pub(crate) wait: Option<Reach>,
}

/// How much of the cluster is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reach {
    Majority,
    Whole,
}

/// `muster events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of these kinds: member, process, list, partition
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Only about this member, list or process
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Begin with what happened since then: 8h, 30m, today, 2026-10-01T14:00
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// End with what happened until then: now, 2h (ago), 2026-10-01T15:00
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
    /// Begin with so many of the newest events that are kept
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) last: Option<u32>,
}
