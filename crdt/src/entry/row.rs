//! An entry as its row in a store has it: a [record](crate::record).
//!
//! Its fields have the numbers of the table; what stands beside the table has numbers from 100 on.
//! A field that is as in [`Entry::new`] is left out. A row holds nothing but what its maker saw in
//! the document: it is not written over but made anew, and a program with a larger table makes the
//! rows anew of those lists that [have unknown keys](crate::list::Document::has_unknown_keys).

use super::kind::Kind;
use super::{Due, Entry, Field, Supply, Visit};
use crate::record::{InOrder, Number, RecordError, Writer, decode};
use names::EntryId;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of an entry's row.
const VERSION: u8 = 1;

const ID: Number = 102;
const CREATED_AT: Number = 103;
const CREATED_BY: Number = 104;
const MODIFIED_AT: Number = 105;
const MODIFIED_BY: Number = 106;
/// The numbers of the fields that are in conflict.
const CONFLICTS: Number = 107;
const TAG: Number = 108;
const HAS_UNKNOWN_KEYS: Number = 109;

impl Field {
    /// The number of the table: it is larger in a program that knows more fields. Rows that were
    /// made by a smaller one may lack what this program knows.
    pub const TABLE_NUMBER: Number = {
        let [.., last] = Self::TABLE else {
            unreachable!();
        };
        last.number()
    };
}

impl Entry {
    /// The entry's row.
    ///
    /// # Errors
    /// The entry is larger than a row may be.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut row = Row(Writer::new(VERSION));
        self.each(&mut row);
        row.put(Field::Tags.number(), &self.tags);
        row.0.put(ID, &self.id);
        row.put(CREATED_AT, &self.created_at);
        row.put(CREATED_BY, &self.created_by);
        row.put(MODIFIED_AT, &self.modified_at);
        row.put(MODIFIED_BY, &self.modified_by);
        let conflicts: Vec<Number> = self.conflicts.iter().map(|field| field.number()).collect();
        row.put(CONFLICTS, &conflicts);
        row.put(TAG, &self.tag);
        row.put(HAS_UNKNOWN_KEYS, &self.has_unknown_keys);
        row.0.finish()
    }

    /// Reads [`Entry::encode`], also of a program that knows more fields or fewer.
    ///
    /// # Errors
    /// The bytes are no such row.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut row = Reading(InOrder::read(VERSION, bytes)?);
        // The id comes after the fields, and a row's fields are read in order.
        let mut entry = Self::new(EntryId(0));
        entry.fill(&mut row)?;
        entry.tags = row.value(Field::Tags.number())?;
        let id = row.0.bytes(ID)?.ok_or(RecordError::Missing(ID))?;
        entry.id = decode(ID, id)?;
        entry.created_at = row.value(CREATED_AT)?;
        entry.created_by = row.value(CREATED_BY)?;
        entry.modified_at = row.value(MODIFIED_AT)?;
        entry.modified_by = row.value(MODIFIED_BY)?;
        let conflicts: Vec<Number> = row.value(CONFLICTS)?;
        let field = |number: Number| Field::ALL.iter().find(|field| field.number() == number);
        entry.conflicts = conflicts.into_iter().filter_map(field).copied().collect();
        entry.tag = row.value(TAG)?;
        entry.has_unknown_keys = row.value(HAS_UNKNOWN_KEYS)?;
        row.0.finish()?;
        Ok(entry)
    }

    /// When the entry of a row is due, by decoding no more than that: for who looks for a few entries
    /// among many.
    ///
    /// # Errors
    /// The bytes are no such row.
    pub fn due_in_row(bytes: &[u8]) -> Result<Option<Due>, RecordError> {
        Reading(InOrder::read(VERSION, bytes)?).value(Field::Due.number())
    }
}

/// A row in the making.
struct Row(Writer<'static>);

impl Row {
    fn put<T: Default + PartialEq + Serialize>(&mut self, number: Number, value: &T) {
        if *value != T::default() {
            self.0.put(number, value);
        }
    }
}

impl Visit for Row {
    fn field<K: Kind>(&mut self, field: Field, _: &K, value: &K::Value) {
        self.put(field.number(), value);
    }
}

/// The rest of a row that is being read.
struct Reading<'a>(InOrder<'a>);

impl Reading<'_> {
    fn value<T: Default + DeserializeOwned>(&mut self, number: Number) -> Result<T, RecordError> {
        match self.0.bytes(number)? {
            Some(value) => decode(number, value),
            None => Ok(T::default()),
        }
    }
}

impl Supply for Reading<'_> {
    type Error = RecordError;

    fn field<K: Kind>(&mut self, field: Field, _: &K) -> Result<K::Value, RecordError> {
        self.value(field.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Author, Priority};
    use names::EntryId;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Entry> {
        let due = prop_oneof![
            any::<i64>().prop_map(Due::Instant),
            Just(Due::Date("2026-02-03".parse().unwrap()))
        ];
        let fields = (
            any::<String>(),
            proptest::option::of(due),
            proptest::option::of(any::<i64>()),
            proptest::option::of(prop::sample::select(Priority::ALL.to_vec())),
            any::<String>(),
            proptest::option::of(any::<String>()),
        );
        let beside = (
            any::<u128>(),
            any::<Vec<String>>(),
            prop::sample::subsequence(Field::ALL.to_vec(), 0..4),
            any::<(i64, String, i64, String)>(),
            any::<(u64, bool)>(),
        );
        (fields, beside).prop_map(|(fields, beside)| {
            let (title, due, done_at, priority, notes, assignee) = fields;
            let (id, tags, conflicts, stamps, (tag, has_unknown_keys)) = beside;
            Entry {
                title,
                due,
                done_at,
                priority,
                notes,
                assignee,
                tags,
                conflicts,
                created_at: stamps.0,
                created_by: Author(stamps.1),
                modified_at: stamps.2,
                modified_by: Author(stamps.3),
                tag,
                has_unknown_keys,
                ..Entry::new(EntryId(id))
            }
        })
    }

    proptest! {
        #[test]
        fn an_entry_reads_as_its_row_was_written(entry in entries()) {
            let row = entry.encode().unwrap();
            prop_assert_eq!(Entry::due_in_row(&row), Ok(entry.due));
            prop_assert_eq!(Entry::decode(&row), Ok(entry));
        }

        #[test]
        fn damaged_rows_are_refused_and_never_a_panic(bytes: Vec<u8>) {
            let _ = (Entry::decode(&bytes), Entry::due_in_row(&bytes));
        }
    }

    #[test]
    fn a_row_is_what_it_was() {
        let entry = Entry {
            title: "milk".into(),
            done_at: Some(-1),
            tags: vec!["a".into()],
            conflicts: vec![Field::Deleted, Field::Title],
            tag: 9,
            ..Entry::new(EntryId(5))
        };
        let row = [
            &[1][..],
            &[1, 5, 4],
            b"milk",
            &[3, 2, 1, 1, 101, 3, 1, 1, b'a', 102, 1, 5],
            &[107, 3, 2, 100, 1, 108, 1, 9],
        ];
        assert_eq!(entry.encode(), Ok(row.concat()));
    }

    #[test]
    fn a_field_of_a_newer_program_is_passed_over() {
        let mut row = Row(Writer::new(VERSION));
        row.put(1, &"milk".to_owned());
        row.put(99, &"of a newer program".to_owned());
        row.put(ID, &5_u128);
        row.put(CONFLICTS, &vec![1_u16, 99]);
        row.put(200, &true);
        let entry = Entry {
            title: "milk".into(),
            conflicts: vec![Field::Title],
            ..Entry::new(EntryId(5))
        };
        assert_eq!(Entry::decode(&row.0.finish().unwrap()), Ok(entry));
    }

    #[test]
    fn the_numbers_of_the_table_rise_and_stay_below_those_beside_it() {
        let numbers = Field::TABLE.iter().map(|field| field.number());
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert!((1..100).contains(&Field::TABLE_NUMBER));
    }
}
