//! To-do lists in the formats of other programs: text into entries that can be added, and entries into
//! text.
//!
//! It knows entries as the API has them, reads no file and asks nobody: whoever imports has the daemon
//! judge what comes out of it, which knows the limits of fields.
//!
//! ```
//! use formats::{Format, read};
//! let zone = jiff::tz::TimeZone::UTC;
//! let read = read(Format::Json, br#"[{"title": "milk"}]"#, &zone);
//! assert_eq!(read.items[0].entry.title.as_deref(), Some("milk"));
//! assert!(read.bad.is_empty());
//! ```
//!
//! **Ids.** Each entry that is read has an id, always the same for the same thing, so that a second
//! import finds it: an id of Muster is kept, another one (`UID`) is hashed, and what has none gets one
//! from its text and from how many equal ones stand before it.

#![warn(missing_docs)]

mod calendar;
mod csv;
mod days;
mod ids;
mod json;
mod markdown;
mod percent;
mod taskwarrior;
#[cfg(test)]
mod testing;
mod todotxt;

use api::lists::{NewEntry, TodoEntry};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What the API answers, with all fields.
    Json,
    /// todo.txt.
    TodoTxt,
    /// The to-dos of a calendar: iCalendar (RFC 5545).
    Calendar,
    /// Taskwarrior's JSON.
    Taskwarrior,
    /// CSV for spreadsheets (RFC 4180); it is only written.
    Csv,
    /// A task list in Markdown; it is only written.
    Markdown,
}

/// What was read of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The entries, in order.
    pub items: Vec<Item>,
    /// What cannot be understood: then nothing of the file is to be used.
    pub bad: Vec<Bad>,
    /// What lists have no place for, and how often it came.
    pub passed_over: BTreeMap<String, usize>,
}

/// An entry of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// The entry. It has an id.
    pub entry: NewEntry,
}

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, and what would be right.
    pub why: String,
}

/// A list to be written.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its entries, in order.
    pub entries: &'a [TodoEntry],
    /// The same as the API has answered them, with fields that are newer than this program.
    pub raw: &'a [Value],
    /// Where its reader is.
    pub zone: &'a TimeZone,
}

impl Format {
    /// What a file of that name holds, if the name tells.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "json" | "jsonl" => Some(Self::Json),
            "txt" => Some(Self::TodoTxt),
            "ics" | "ical" => Some(Self::Calendar),
            "csv" => Some(Self::Csv),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// Reads a file. What has no zone of its own is in `zone`.
pub fn read(format: Format, bytes: &[u8], zone: &TimeZone) -> Read {
    let text = match text(bytes) {
        Ok(text) => text,
        Err(bad) => {
            return Read {
                bad: vec![bad],
                ..Read::default()
            };
        }
    };
    match format {
        Format::Json => json::read(text),
        Format::TodoTxt => todotxt::read(text, zone),
        Format::Calendar => calendar::read(text, zone),
        Format::Taskwarrior => taskwarrior::read(text, zone),
        Format::Csv | Format::Markdown => {
            let mut read = Read::default();
            read.refuse(
                1,
                "this format is only written, since it does not hold all of an entry",
            );
            read
        }
    }
}

/// Writes a list.
pub fn write(format: Format, list: List<'_>) -> String {
    match format {
        Format::Json => json::write(list.raw),
        Format::TodoTxt => todotxt::write(list),
        Format::Calendar => calendar::write(list),
        Format::Taskwarrior => taskwarrior::write(list),
        Format::Csv => csv::write(list),
        Format::Markdown => markdown::write(list),
    }
}

/// A file's text, without the mark that editors of Windows begin it with.
fn text(bytes: &[u8]) -> Result<&str, Bad> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Bad {
            line: line_of(before),
            why: "it is not UTF-8".to_owned(),
        }
    })
}

/// The line on which what follows `before` begins.
fn line_of(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

impl Read {
    fn pass_over(&mut self, what: &str) {
        *self.passed_over.entry(what.to_owned()).or_default() += 1;
    }

    fn refuse(&mut self, line: usize, why: impl Into<String>) {
        self.bad.push(Bad {
            line,
            why: why.into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_text_has_no_mark_and_its_bad_line_a_number() {
        assert_eq!(text(b"\xef\xbb\xbfmilk").unwrap(), "milk");
        let bad = text(b"milk\ncaf\xe9\n").unwrap_err();
        assert_eq!((bad.line, bad.why.as_str()), (2, "it is not UTF-8"));
    }

    #[test]
    fn what_is_only_written_is_not_read() {
        for format in [Format::Csv, Format::Markdown] {
            assert_eq!(read(format, b"milk", &TimeZone::UTC).bad.len(), 1);
        }
    }

    #[test]
    fn a_name_tells_its_format_or_does_not() {
        for (name, format) in [
            ("a/b.JSON", Format::Json),
            ("todo.txt", Format::TodoTxt),
            ("tasks.ics", Format::Calendar),
            ("x.md", Format::Markdown),
        ] {
            assert_eq!(Format::of_name(name), Some(format), "{name}");
        }
        for name in ["-", "json", "list.docx", ""] {
            assert_eq!(Format::of_name(name), None, "{name}");
        }
    }
}
