//! What clients send to add entries: one, or several.

use crate::http::json::parse;
use crate::http::lists::shown::new_entry;
use crate::http::problem::Problem;
use api::lists::{NewEntries, NewEntry as EntryBody};
use crdt::entry::NewEntry;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

/// The most entries that one call may add.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// What a client wants to add.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// Answered with the entry.
    One(Box<NewEntry>),
    /// Answered with items.
    Several(Vec<NewEntry>),
}

impl Added {
    /// Reads and checks the body of a call that adds.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Probe {
            entries: Option<IgnoredAny>,
        }
        // Which of the two it is decides how errors are worded, so it is found out first.
        let Probe { entries } = parse(bytes)?;
        if entries.is_none() {
            return new_entry(parse::<EntryBody>(bytes)?, "")
                .map(|entry| Self::One(Box::new(entry)));
        }
        let entries = several(bytes)?;
        let numbered = entries.into_iter().enumerate();
        let checked: Vec<NewEntry> = numbered
            .map(|(n, body)| new_entry(body, &format!("entries[{n}].")))
            .collect::<Result<_, _>>()?;
        let mut ids = BTreeSet::new();
        match checked
            .iter()
            .filter_map(|entry| entry.id)
            .find(|id| !ids.insert(*id))
        {
            Some(id) => Err(Problem::invalid(format!(
                "the id {id} is given to two entries"
            ))),
            None => Ok(Self::Several(checked)),
        }
    }
}

/// Reads a body of several entries, which are not checked yet.
pub(super) fn several(bytes: &[u8]) -> Result<Vec<EntryBody>, Problem> {
    let NewEntries { entries } = parse(bytes)?;
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return Err(Problem::invalid(format!(
            "\"entries\" has {} entries; it must have 1 to {MAX_ENTRIES}",
            entries.len()
        )));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::lists::shown::entry_patch;
    use crdt::entry::{Due, EntryPatch, Place};

    fn patch(text: &str) -> Result<EntryPatch, Problem> {
        entry_patch(parse(text.as_bytes())?)
    }

    fn added(text: &str) -> Result<Added, Problem> {
        Added::parse(text.as_bytes())
    }

    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn an_entry_needs_only_a_title() {
        assert_eq!(
            added(r#"{"title":"x"}"#).unwrap(),
            Added::One(Box::new(NewEntry {
                title: "x".into(),
                ..NewEntry::default()
            }))
        );
        let nulls = r#"{"title":"x","id":null,"due":null,"done":null,"priority":null,"tags":null,"notes":null,"assignee":null,"estimate":null}"#;
        assert_eq!(added(nulls).unwrap(), added(r#"{"title":"x"}"#).unwrap());
    }

    #[test]
    fn several_entries_come_in_their_order() {
        let Added::Several(entries) =
            added(r#"{"entries":[{"title":"a"},{"title":"b","due":"2026-03-01"}]}"#).unwrap()
        else {
            panic!()
        };
        assert_eq!(
            entries
                .iter()
                .map(|entry| entry.title.as_str())
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(
            entries[1].due,
            Some(Due::Date(jiff::civil::date(2026, 3, 1)))
        );
    }

    #[test]
    fn what_cannot_be_understood_is_400() {
        let wrong = [
            "[]",
            r#""x""#,
            r#"{"title":1}"#,
            r#"{"title":"x","done":"yes"}"#,
            r#"{"title":"x","colour":"red"}"#,
            r#"{"title":"x","tags":"a"}"#,
            r#"{"entries":{}}"#,
            r#"{"entries":["x"]}"#,
            r#"{"entries":[[]]}"#,
            r#"{"entries":[{"title":"a"}],"title":"b"}"#,
            r#"{"title":"x","due":5}"#,
            r#"{"title":"x","estimate":"1h"}"#,
            r#"{"title":"x","estimate":1.5}"#,
        ];
        for text in wrong {
            assert_eq!(added(text).unwrap_err().status(), 400, "{text}");
        }
    }

    #[test]
    fn a_broken_rule_is_422_and_names_the_field() {
        let broken = [
            (r#"{}"#, "title"),
            (r#"{"title":""}"#, "title"),
            (r#"{"title":"a\nb"}"#, "title"),
            (r#"{"title":null}"#, "title"),
            (r#"{"title":"x","due":"2026-02-30"}"#, "due"),
            (r#"{"title":"x","priority":"urgent"}"#, "priority"),
            (r#"{"title":"x","id":"7"}"#, "id"),
            (r#"{"title":"x","before":"7"}"#, "before"),
            (r#"{"title":"x","tags":[""]}"#, "tags"),
            (r#"{"title":"x","assignee":""}"#, "assignee"),
            (r#"{"title":"x","estimate":0}"#, "estimate"),
            (r#"{"title":"x","estimate":525601}"#, "estimate"),
            (r#"{"entries":[]}"#, "entries"),
            (r#"{"entries":[{"title":"a"},{}]}"#, "entries[1].title"),
        ];
        for (text, field) in broken {
            let problem = added(text).unwrap_err();
            assert!(
                problem.status() == 422 && problem.detail().contains(field),
                "{text}: {problem:?}"
            );
        }
    }

    #[test]
    fn an_id_names_one_entry_of_a_call() {
        let twice = format!(
            r#"{{"entries":[{{"title":"a","id":"{ID}"}},{{"title":"b","id":"{}"}}]}}"#,
            ID.to_lowercase()
        );
        assert_eq!(added(&twice).unwrap_err().status(), 422);
    }

    #[test]
    fn too_many_entries_are_refused() {
        let many = |count| {
            format!(
                r#"{{"entries":[{}]}}"#,
                vec![r#"{"title":"a"}"#; count].join(",")
            )
        };
        assert!(added(&many(MAX_ENTRIES)).is_ok());
        assert_eq!(added(&many(MAX_ENTRIES + 1)).unwrap_err().status(), 422);
    }

    #[test]
    fn a_patch_tells_clearing_from_leaving_alone() {
        assert_eq!(patch("{}").unwrap(), EntryPatch::default());
        let cleared = patch(
            r#"{"due":null,"done":null,"priority":null,"tags":null,"notes":null,"assignee":null,"estimate":null}"#,
        )
        .unwrap();
        let expected = EntryPatch {
            due: Some(None),
            done: Some(false),
            priority: Some(None),
            tags: Some(vec![]),
            notes: Some(String::new()),
            assignee: Some(None),
            estimate: Some(None),
            ..EntryPatch::default()
        };
        assert_eq!(cleared, expected);
        let moved = patch(&format!(r#"{{"after":"{ID}","title":"y"}}"#)).unwrap();
        assert_eq!(
            (moved.place, moved.title.as_deref()),
            (Some(Place::After(ID.parse().unwrap())), Some("y"))
        );
    }

    #[test]
    fn a_patch_is_read_strictly() {
        for (text, status) in [
            (r#"{"title":null}"#, 422),
            (r#"{"title":""}"#, 422),
            (r#"{"priority":"x"}"#, 422),
            (r#"{"estimate":-5}"#, 422),
            (r#"{"due":"x"}"#, 422),
            (
                r#"{"before":"01ARZ3NDEKTSV4RRFFQ69G5FAV","after":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#,
                422,
            ),
            (r#"{"done":1}"#, 400),
            (r#"{"id":"x"}"#, 400),
            (r#"{"order":"x"}"#, 400),
            ("[]", 400),
            ("", 400),
        ] {
            assert_eq!(patch(text).unwrap_err().status(), status, "{text}");
        }
    }
}
