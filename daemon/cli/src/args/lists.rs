//! What can be typed about lists and their entries.

use clap::{Args, ValueEnum};

/// `muster show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The list
    pub(crate) list: String,
    /// Only what is due on this day
    #[arg(long)]
    pub(crate) due: Option<String>,
    /// Only open entries
    #[arg(long, conflicts_with_all = ["done", "all"])]
    pub(crate) open: bool,
    /// Only completed entries
    #[arg(long, conflicts_with = "all")]
    pub(crate) done: bool,
    /// Open and completed entries (the default)
    #[arg(long)]
    pub(crate) all: bool,
    /// Only entries with this tag (several: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// The list as it was after this change
    #[arg(long, value_name = "HASH")]
    pub(crate) at: Option<String>,
}

/// `muster add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The list
    pub(crate) list: String,
    /// What needs doing; - reads titles from standard input, one a line
    pub(crate) title: String,
    /// When it is due
    #[arg(long)]
    pub(crate) due: Option<String>,
    /// A tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// How much it matters
    #[arg(long, value_enum)]
    pub(crate) priority: Option<Priority>,
    /// More about it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Who does it
    #[arg(long, value_name = "WHO")]
    pub(crate) assignee: Option<String>,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// `--replicas`, of each command that changes a list.
#[derive(Debug, Args)]
pub(crate) struct Durability {
    /// Wait until this many nodes, this one among them, have the change on disk: a number,
    /// majority or all
    #[arg(long, value_name = "N|majority|all", value_parser = replicas)]
    pub(crate) replicas: Option<String>,
}

fn replicas(text: &str) -> Result<String, String> {
    let is_number = text.parse::<u32>().is_ok_and(|count| count > 0);
    if is_number || matches!(text, "majority" | "all") {
        return Ok(text.to_owned());
    }
    Err("it must be a number of nodes from 1, majority or all".to_owned())
}

/// `muster rm-list`.
#[derive(Debug, Args)]
pub(crate) struct RmList {
    /// The list
    pub(crate) list: String,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// Priorities, as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Priority {
    High,
    Medium,
    Low,
    None,
}

/// `muster edit`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["title", "due", "tags", "untag", "priority", "note", "assignee"]))]
pub(crate) struct Edit {
    /// The list
    pub(crate) list: String,
    /// The entry's id
    pub(crate) id: String,
    /// What needs doing
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// When it is due; none clears
    #[arg(long)]
    pub(crate) due: Option<String>,
    /// Add a tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Remove a tag (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub(crate) untag: Vec<String>,
    /// How much it matters; none clears
    #[arg(long, value_enum)]
    pub(crate) priority: Option<Priority>,
    /// More about it; an empty text clears
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Who does it; an empty text clears
    #[arg(long, value_name = "WHO")]
    pub(crate) assignee: Option<String>,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// A list and some of its entries.
#[derive(Debug, Args)]
pub(crate) struct Entries {
    /// The list
    pub(crate) list: String,
    /// The entries' ids
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// `muster move`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["before", "after"]))]
pub(crate) struct Move {
    /// The list
    pub(crate) list: String,
    /// The entry's id
    pub(crate) id: String,
    /// Directly before this entry
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<String>,
    /// Directly after this entry
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) durability: Durability,
}
