//! The limits of an entry's fields, checked where a client's text comes in. What other replicas
//! hold may break them.

use super::kind::{Kind, Line};
use super::{EntryPatch, Field, NewEntry, Visit};
use std::collections::BTreeSet;

/// The most tags of an entry.
pub const MAX_TAGS: usize = 64;
/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 64;

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
    /// Checks its fields and tags.
    ///
    /// # Errors
    /// The first field that breaks its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        let mut check = Check(Ok(()));
        self.each(&mut check);
        check.0?;
        check_tags(&self.tags)
    }
}

impl EntryPatch {
    /// Checks those of the fields and tags that it sets.
    ///
    /// # Errors
    /// The first field that breaks its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        let mut check = Check(Ok(()));
        self.each(&mut check);
        check.0?;
        self.tags.as_deref().map_or(Ok(()), check_tags)
    }
}

/// What is wrong with the first of several fields that breaks its limit.
struct Check(Result<(), FieldError>);

impl Visit for Check {
    fn field<K: Kind>(&mut self, field: Field, kind: &K, value: &K::Value) {
        if self.0.is_ok() {
            self.0 = kind.check(value).map_err(|detail| refuse(field, detail));
        }
    }
}

/// Checks tags.
///
/// # Errors
/// There are too many, or one breaks its limit.
pub fn check_tags(tags: &[String]) -> Result<(), FieldError> {
    let count = tags.iter().collect::<BTreeSet<_>>().len();
    if count > MAX_TAGS {
        let detail = format!("has {count} tags; at most {MAX_TAGS} are allowed");
        return Err(refuse(Field::Tags, detail));
    }
    let tag = Line {
        max_bytes: MAX_TAG_BYTES,
    };
    tags.iter()
        .try_for_each(|text| tag.check(text))
        .map_err(|detail| refuse(Field::Tags, detail))
}

fn refuse(field: Field, detail: String) -> FieldError {
    FieldError {
        field: field.as_str(),
        detail,
    }
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
            new.title = "é".repeat(4096 / 2);
            new.notes = "\n\t".repeat(65_536 / 2);
            new.tags = (0..MAX_TAGS).map(|tag| format!("{tag:064}")).collect();
            new.assignee = Some("a".repeat(200));
        };
        assert_eq!(entry(full), Ok(()));
    }

    #[test]
    fn the_field_that_breaks_a_limit_is_named() {
        assert_eq!(entry(|new| new.title = " ".into()), Err("title"));
        assert_eq!(entry(|new| new.title = "two\nlines".into()), Err("title"));
        assert_eq!(entry(|new| new.title = "x".repeat(4096 + 1)), Err("title"));
        assert_eq!(entry(|new| new.notes = "bell\u{7}".into()), Err("notes"));
        assert_eq!(
            entry(|new| new.notes = "x".repeat(65_536 + 1)),
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
