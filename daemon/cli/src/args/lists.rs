//! What can be typed about lists and their entries.

use crate::lists::fields::{Fields, Priority, minutes};
use clap::{Args, ValueEnum};

/// `muster show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The list
    pub(crate) list: String,
    /// All of one entry: its notes in full, its last changes, what was written apart
    #[arg(conflicts_with_all = ["due", "open", "done", "all", "tags", "estimate_min", "estimate_max", "at", "assignee", "text", "priority", "overdue", "no_due", "sort", "waiting"])]
    pub(crate) id: Option<String>,
    /// Only what is due on this day, such as today, mon or eom; or none, overdue
    #[arg(long, value_name = "DAY", allow_hyphen_values = true)]
    pub(crate) due: Option<String>,
    /// Only what was due before today and is not done
    #[arg(long, conflicts_with_all = ["due", "done", "all", "no_due"])]
    pub(crate) overdue: bool,
    /// Only what is not due at any time
    #[arg(long, conflicts_with = "due")]
    pub(crate) no_due: bool,
    /// Only what this one does
    #[arg(long, value_name = "WHO")]
    pub(crate) assignee: Option<String>,
    /// Only entries with this text in their titles or notes
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Only entries of this priority; none for those without
    #[arg(long, value_enum)]
    pub(crate) priority: Option<Priority>,
    /// In this order instead of the list's
    #[arg(long, value_enum, value_name = "BY")]
    pub(crate) sort: Option<SortBy>,
    /// Only open entries
    #[arg(long, conflicts_with_all = ["done", "all"])]
    pub(crate) open: bool,
    /// Only completed entries
    #[arg(long, conflicts_with = "all")]
    pub(crate) done: bool,
    /// Open and completed entries (the default)
    #[arg(long)]
    pub(crate) all: bool,
    /// Also what waits until a later day
    #[arg(long)]
    pub(crate) waiting: bool,
    /// Only entries with this tag (several: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Only entries that take at least this long, such as 30m or 1h30m
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    pub(crate) estimate_min: Option<u32>,
    /// Only entries that take at most this long; not those without an estimate
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    pub(crate) estimate_max: Option<u32>,
    /// The list as it was after this change, which muster log tells
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
    /// A tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    #[command(flatten)]
    pub(crate) fields: Fields,
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

/// By what `muster show` sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// What is due first; what is not due comes last
    Due,
    /// The highest first; those without come last
    Priority,
    /// The newest first
    Created,
    /// What was changed last comes first
    Modified,
}

/// `muster agenda`.
#[derive(Debug, Args)]
pub(crate) struct Agenda {
    /// Only what is due today or overdue
    #[arg(long)]
    pub(crate) today: bool,
    /// Only what was due before today
    #[arg(long, conflicts_with = "today")]
    pub(crate) overdue: bool,
    /// Also what waits until a later day
    #[arg(long)]
    pub(crate) waiting: bool,
    /// Only of this list (may be repeated)
    #[arg(long = "list", value_name = "LIST")]
    pub(crate) lists: Vec<String>,
    /// Only entries with this tag (several: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
}

/// `muster rm-list`.
#[derive(Debug, Args)]
pub(crate) struct RmList {
    /// The list
    pub(crate) list: String,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// `muster edit`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["title", "tags", "untag"]).args(Fields::OPTIONS))]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) entries: Entries,
    /// What needs doing
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Add a tag (may be repeated)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Remove a tag (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub(crate) untag: Vec<String>,
    #[command(flatten)]
    pub(crate) fields: Fields,
}

/// A list and some of its entries.
#[derive(Debug, Args)]
pub(crate) struct Entries {
    /// The list
    pub(crate) list: String,
    /// The entries' ids
    #[arg(required_unless_present = "filter", value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Instead of ids: all of which this holds, such as tag=food, due=overdue, text=milk,
    /// assignee=kim, priority=low or state=done (several: all of it)
    #[arg(long = "where", value_name = "FIELD=VALUE", conflicts_with = "ids")]
    pub(crate) filter: Vec<String>,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// `muster resolve`.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The list
    pub(crate) list: String,
    /// The entry's id
    pub(crate) id: String,
    /// The field, as muster conflicts names it
    pub(crate) field: String,
    /// The value that it shall have: one of those that muster conflicts shows, or another one
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// `muster log`.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The list
    pub(crate) list: String,
    /// Only the changes of this entry
    pub(crate) id: Option<String>,
    /// How many at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}

/// `muster undo`, `muster redo`.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The list
    pub(crate) list: String,
    /// The change, or the first characters of its hash; your last one without
    #[arg(value_name = "HASH")]
    pub(crate) change: Option<String>,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// `muster move`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["before", "after"]))]
pub(crate) struct Move {
    #[command(flatten)]
    pub(crate) entries: Entries,
    /// Directly before this entry
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<String>,
    /// Directly after this entry
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
}
