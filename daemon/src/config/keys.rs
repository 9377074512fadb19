//! What a key of the configuration is, and how its three sources and its documents call it.

pub(super) use super::settings::{KEYS, TABLES};

use super::Config;
use api::duration;
use std::time::Duration;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One text.
    Text,
    /// A file or directory; in a file, relative to that file.
    Path,
    /// Several texts; with commas between them in the environment and in flags.
    List,
    /// `true` or `false`.
    Switch,
    /// A whole number between these, included.
    Number(usize, usize),
    /// A text such as `10s`, between these, included.
    Time(Duration, Duration),
}

impl Kind {
    /// What would be right in a file.
    pub(super) fn in_toml(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Path => "a path in quotes",
            Self::List => "a list of texts such as [\"one\", \"two\"]",
            Self::Switch => "true or false",
            Self::Number(..) => "a whole number",
            Self::Time(..) => "a time in quotes such as \"10s\"",
        }
    }
}

/// What counts when nobody gives a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// This, written as in the environment.
    Text(&'static str),
    /// A place that depends on the rights of the daemon.
    Place(Place),
    /// Nothing, or what these words tell.
    Words(&'static str),
}

/// Where something is when nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Under systemd, in the directory that this variable names, if the service has one.
    pub(super) service: &'static str,
    /// What in that directory; empty for the directory itself.
    pub(super) in_service: &'static str,
    /// For root.
    pub(super) root: &'static str,
    /// Else in the directory that this variable names.
    pub(super) variable: &'static str,
    /// Or, where the variable is not set, in this directory of the user's home; empty for none.
    pub(super) below_home: &'static str,
    /// What in that directory.
    pub(super) file: &'static str,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applies {
    /// With `muster reload` or SIGHUP.
    AtReload,
    /// At the next start.
    AtRestart,
}

/// One key. All that is documented anywhere about it is here.
#[derive(Debug)]
pub(super) struct Key {
    /// Its table; empty at the top.
    pub(super) table: &'static str,
    /// Its name in the table.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// What stands for its value in the help of its flag.
    pub(super) value: &'static str,
    /// What it is for, in one line.
    pub(super) help: &'static str,
    /// More about that: whole sentences, or nothing.
    pub(super) more: &'static str,
    /// What a text must be, as mistakes say it. [`Key::right`] knows it for the other kinds.
    pub(super) text: &'static str,
    /// What counts without it.
    pub(super) default: Default,
    /// A value as it is written in a file, where the default is none.
    pub(super) example: &'static str,
    /// When a change takes effect.
    pub(super) applies: Applies,
    /// Whether the example file shows it: few will ever need the others.
    pub(super) in_example: bool,
    /// The resolved value, to be compared.
    pub(super) shown: fn(&Config) -> String,
}

impl Key {
    /// As people write it: `quic.listen`.
    pub(super) fn dotted(&self) -> String {
        if self.table.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.table, self.name)
        }
    }

    /// Its flag, without the dashes in front: `quic-listen`.
    pub(super) fn flag(&self) -> String {
        self.dotted().replace(['.', '_'], "-")
    }

    /// Its variable: `MUSTERD_QUIC__LISTEN`.
    pub(super) fn variable(&self) -> String {
        format!(
            "MUSTERD_{}",
            self.dotted().replace('.', "__").to_uppercase()
        )
    }

    /// Which values are right, in words: unit and range.
    pub(super) fn right(&self) -> String {
        match self.kind {
            Kind::Text | Kind::List => self.text.to_owned(),
            Kind::Path => "a path".to_owned(),
            Kind::Switch => "true or false".to_owned(),
            Kind::Number(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Time(least, most) => {
                format!(
                    "a time from {} to {} such as 500ms, 10s or \
                    2m",
                    duration::write(least),
                    duration::write(most)
                )
            }
        }
    }
}

/// The key with that table and name.
pub(super) fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.table == table && key.name == name)
        .copied()
}

/// Whether there is such a table.
pub(super) fn is_table(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.table == name)
}

/// What a table is about.
pub(super) fn table_about(name: &str) -> &'static str {
    TABLES
        .iter()
        .find(|(table, _)| *table == name)
        .map_or("", |(_, about)| about)
}
