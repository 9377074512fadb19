//! The limits of an entry's fields, checked where a client's text comes in. What other replicas
//! hold may break them.

use super::{EntryPatch, NewEntry};
use names::is_unprintable;
use std::collections::BTreeSet;

/// The longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 4096;
/// The longest notes, in bytes.
pub const MAX_NOTES_BYTES: usize = 65_536;
/// The most tags of an entry.
pub const MAX_TAGS: usize = 64;
/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 64;
/// The longest assignee, in bytes.
pub const MAX_ASSIGNEE_BYTES: usize = 200;

/// A field that breaks a limit. Nothing was changed; the client has to send another value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {detail}")]
pub struct FieldError {
    /// The field, as JSON names it.
    pub field: &'static str,
    /// What is wrong with its value and what would be right.
    pub detail: String,
}

impl NewEntry {
    /// Checks title, notes, tags and assignee.
    ///
    /// # Errors
    /// The first field that breaks its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        check_line("title", &self.title, MAX_TITLE_BYTES)?;
        check_notes(&self.notes)?;
        check_tags(&self.tags)?;
        self.assignee.as_deref().map_or(Ok(()), check_assignee)
    }
}

impl EntryPatch {
    /// Checks those of title, notes, tags and assignee that it sets.
    ///
    /// # Errors
    /// The first field that breaks its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        self.title
            .as_deref()
            .map_or(Ok(()), |title| check_line("title", title, MAX_TITLE_BYTES))?;
        self.notes.as_deref().map_or(Ok(()), check_notes)?;
        self.tags.as_deref().map_or(Ok(()), check_tags)?;
        self.assignee
            .as_ref()
            .and_then(Option::as_deref)
            .map_or(Ok(()), check_assignee)
    }
}

fn check_assignee(assignee: &str) -> Result<(), FieldError> {
    check_line("assignee", assignee, MAX_ASSIGNEE_BYTES)
}

/// One line that is not blank and shows all that it holds.
fn check_line(field: &'static str, text: &str, most: usize) -> Result<(), FieldError> {
    let refuse = |detail| Err(FieldError { field, detail });
    if text.trim().is_empty() {
        return refuse("is empty: at least one visible character is needed".to_owned());
    }
    check_length(field, text, most)?;
    match text.chars().find(|c| is_unprintable(*c)) {
        Some(bad) => refuse(format!(
            "has the control or format character {}: one line of plain \
            text is allowed",
            bad.escape_unicode()
        )),
        None => Ok(()),
    }
}

fn check_notes(notes: &str) -> Result<(), FieldError> {
    check_length("notes", notes, MAX_NOTES_BYTES)?;
    match notes
        .chars()
        .find(|c| is_unprintable(*c) && !matches!(c, '\n' | '\t'))
    {
        Some(bad) => {
            let detail = format!(
                "has the control or format character {}: of these only \\n \
                and \\t are allowed",
                bad.escape_unicode()
            );
            Err(FieldError {
                field: "notes",
                detail,
            })
        }
        None => Ok(()),
    }
}

fn check_tags(tags: &[String]) -> Result<(), FieldError> {
    let count = tags.iter().collect::<BTreeSet<_>>().len();
    if count > MAX_TAGS {
        return Err(FieldError {
            field: "tags",
            detail: format!(
                "has {count} tags; at most \
            {MAX_TAGS} are allowed"
            ),
        });
    }
    tags.iter()
        .try_for_each(|tag| check_line("tags", tag, MAX_TAG_BYTES))
}

fn check_length(field: &'static str, text: &str, most: usize) -> Result<(), FieldError> {
    if text.len() <= most {
        return Ok(());
    }
    Err(FieldError {
        field,
        detail: format!(
            "has {} bytes; at most {most} are \
        allowed",
            text.len()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(change: impl FnOnce(&mut NewEntry)) -> Result<(), &'static str> {
        let mut new = NewEntry {
            title: "milk".into(),
            ..NewEntry::default()
        };
        change(&mut new);
        new.check().map_err(|error| error.field)
    }

    #[test]
    fn an_entry_at_its_limits_is_allowed() {
        let full = |new: &mut NewEntry| {
            new.title = "é".repeat(MAX_TITLE_BYTES / 2);
            new.notes = "\n\t".repeat(MAX_NOTES_BYTES / 2);
            new.tags = (0..MAX_TAGS).map(|tag| format!("{tag:064}")).collect();
            new.assignee = Some("a".repeat(MAX_ASSIGNEE_BYTES));
        };
        assert_eq!(entry(full), Ok(()));
    }

    #[test]
    fn the_field_that_breaks_a_limit_is_named() {
        assert_eq!(entry(|new| new.title = " ".into()), Err("title"));
        assert_eq!(entry(|new| new.title = "two\nlines".into()), Err("title"));
        assert_eq!(
            entry(|new| new.title = "x".repeat(MAX_TITLE_BYTES + 1)),
            Err("title")
        );
        assert_eq!(entry(|new| new.notes = "bell\u{7}".into()), Err("notes"));
        assert_eq!(
            entry(|new| new.notes = "x".repeat(MAX_NOTES_BYTES + 1)),
            Err("notes")
        );
        assert_eq!(entry(|new| new.tags = vec![String::new()]), Err("tags"));
        assert_eq!(
            entry(|new| new.tags = (0..=MAX_TAGS).map(|tag| tag.to_string()).collect()),
            Err("tags")
        );
        assert_eq!(
            entry(|new| new.assignee = Some("\u{202e}eve".into())),
            Err("assignee")
        );
    }

    #[test]
    fn a_patch_is_checked_where_it_sets_something() {
        assert_eq!(EntryPatch::default().check(), Ok(()));
        assert_eq!(
            EntryPatch {
                assignee: Some(None),
                notes: Some(String::new()),
                ..EntryPatch::default()
            }
            .check(),
            Ok(())
        );
        let error = EntryPatch {
            title: Some(String::new()),
            ..EntryPatch::default()
        }
        .check()
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "title is empty: at least one visible character is needed"
        );
    }
}
