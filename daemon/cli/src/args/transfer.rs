//! What can be typed about lists that go to other programs and come from them.

use super::Durability;
use clap::{Args, ValueEnum};
use formats::Format;
use std::path::PathBuf;

/// `muster export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The list
    pub(crate) list: String,
    /// The format
    #[arg(long, value_enum, default_value_t = FormatName::Json)]
    pub(crate) format: FormatName,
}

/// `muster import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The list
    pub(crate) list: String,
    /// The file; - reads standard input
    pub(crate) file: PathBuf,
    /// The format; else by the file's name
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatName>,
    /// Show what would come, and import nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) durability: Durability,
}

/// Formats, as people name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// What the API answers, with all fields
    Json,
    /// todo.txt, one entry a line
    #[value(name = "todo.txt")]
    TodoTxt,
    /// The to-dos of a calendar (iCalendar)
    Ics,
    /// As task export writes it
    Taskwarrior,
    /// For spreadsheets; it cannot be imported
    Csv,
    /// A task list to read; it cannot be imported
    Markdown,
}

impl FormatName {
    /// All names, in words.
    pub(crate) fn all() -> String {
        let values = Self::value_variants().iter();
        let names = values.filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()));
        names.collect::<Vec<_>>().join(", ")
    }
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Json => Self::Json,
            FormatName::TodoTxt => Self::TodoTxt,
            FormatName::Ics => Self::Calendar,
            FormatName::Taskwarrior => Self::Taskwarrior,
            FormatName::Csv => Self::Csv,
            FormatName::Markdown => Self::Markdown,
        }
    }
}
