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
    /// The Automerge document, for its libraries
    Automerge,
}

impl FormatName {
    /// That of a file of that name, if it tells.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        if name.to_ascii_lowercase().ends_with(".automerge") {
            return Some(Self::Automerge);
        }
        let format = Format::of_name(name);
        let mut all = Self::value_variants().iter().copied();
        all.find(|one| format.is_some() && one.as_text() == format)
    }

    /// How it is read and written as text, if it is one.
    pub(crate) fn as_text(self) -> Option<Format> {
        match self {
            Self::Json => Some(Format::Json),
            Self::TodoTxt => Some(Format::TodoTxt),
            Self::Ics => Some(Format::Calendar),
            Self::Taskwarrior => Some(Format::Taskwarrior),
            Self::Csv => Some(Format::Csv),
            Self::Markdown => Some(Format::Markdown),
            Self::Automerge => None,
        }
    }

    /// All names, in words.
    pub(crate) fn all() -> String {
        let values = Self::value_variants().iter();
        let names = values.filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()));
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::FormatName;

    #[test]
    fn a_files_name_tells_its_format() {
        for (name, format) in [
            ("x.automerge", Some(FormatName::Automerge)),
            ("todo.txt", Some(FormatName::TodoTxt)),
            ("x.json", Some(FormatName::Json)),
            ("x.ICS", Some(FormatName::Ics)),
            ("x", None),
            ("-", None),
        ] {
            assert_eq!(FormatName::of_file(name), format, "{name}");
        }
    }
}
