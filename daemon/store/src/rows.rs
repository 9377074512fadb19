//! What the rows of format 2 hold: [records](crdt::record) of version 1, with these fields.
//!
//! | row | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | list | name | sum of the vector's numbers | entries | open entries | modified at (ms) | heads | whether it has keys that the row's maker does not know | sum of the vector |
//! | vector | number of the actor's last change | first 16 bytes of that change's hash (raw) | | | | | | |
//! | made | number of the last change of that actor that this node has made | | | | | | | |
//! | snapshot | the numbers of the vector that it covers | the saved document (raw) | | | | | | |
//! | token | uid | scope | SHA-256 of the secret (raw) | expires at (ms) | | | | |
//!
//! An entry's row is described at [`crdt::entry::Entry::encode`]; the rows of `processes` and the
//! cluster's state in `meta` by the machines that make them (`daemon/node/src/cluster`).
//!
//! Rows of lists, entries and vectors follow from the changes, so they are made anew and not written
//! over: what a newer program put there does not survive an older one, and is there again when the
//! newer one has remade the list. A token's row is written once.
//!
//! Field 8 of a list and field 2 of a vector are missing where a program wrote the row that knew
//! numbers only; they are added when the store is opened (see `marks`).

use bytes::Bytes;
use crdt::entry::Entry;
use crdt::record::{Record, RecordError, Writer};
use crdt::vector::{Mark, Numbers, Sums, VersionVector};
use names::ListName;
use node::lists::ListRow;

/// The version of all records that this module writes.
const VERSION: u8 = 1;

/// Sixteen bytes: an id.
pub(super) fn id(bytes: &[u8]) -> Result<[u8; 16], RecordError> {
    bytes
        .try_into()
        .map_err(|_| RecordError::Damaged("an id has 16 bytes"))
}

/// An entry's row.
pub(super) fn encode_entry(entry: &Entry) -> Result<Vec<u8>, RecordError> {
    entry.encode()
}

/// Reads [`encode_entry`].
pub(super) fn decode_entry(bytes: &[u8]) -> Result<Entry, RecordError> {
    Entry::decode(bytes)
}

/// A list's row. `has_unknown_keys` is left out by who does not know.
pub(super) fn encode_list(
    row: &ListRow,
    has_unknown_keys: Option<bool>,
) -> Result<Vec<u8>, RecordError> {
    let mut writer = begin_list(row);
    writer
        .put_some(7, has_unknown_keys.as_ref())
        .put(8, &row.sums.content);
    writer.finish()
}

/// A list's row as it comes from an earlier format: its maker has looked neither for unknown keys
/// nor at hashes.
pub(super) fn encode_converted_list(row: &ListRow) -> Result<Vec<u8>, RecordError> {
    begin_list(row).finish()
}

fn begin_list(row: &ListRow) -> Writer<'static> {
    let mut writer = Writer::new(VERSION);
    writer
        .put(1, &row.name)
        .put(2, &row.sums.numbers)
        .put(3, &row.total)
        .put(4, &row.open)
        .put(5, &row.modified_at)
        .put(6, &row.heads);
    writer
}

/// Reads [`encode_list`].
pub(super) fn decode_list(bytes: &[u8]) -> Result<ListRow, RecordError> {
    let record = Record::read(VERSION, bytes)?;
    Ok(ListRow {
        name: record.need(1)?,
        sums: Sums {
            numbers: record.need(2)?,
            content: record.get(8)?.unwrap_or_default(),
        },
        total: record.need(3)?,
        open: record.need(4)?,
        modified_at: record.need(5)?,
        heads: record.need(6)?,
        has_unknown_keys: record.get(7)?.unwrap_or(true),
    })
}

/// Only the name of [`encode_list`].
pub(super) fn decode_list_name(bytes: &[u8]) -> Result<ListName, RecordError> {
    Record::read(VERSION, bytes)?.need(1)
}

/// What opening a store needs of each list, and nothing else: the sums of its vector, and whether it
/// has keys that the row's maker does not know (`None` if its maker did not look).
pub(super) fn decode_list_sums(bytes: &[u8]) -> Result<(Sums, Option<bool>), RecordError> {
    let record = Record::read(VERSION, bytes)?;
    let sums = Sums {
        numbers: record.need(2)?,
        content: record.get(8)?.unwrap_or_default(),
    };
    Ok((sums, record.get(7)?))
}

/// Whether a list's row has the sum of its vector. If not, it was written by a program that knew
/// numbers only, or it is damaged.
pub(super) fn has_content_sum(bytes: &[u8]) -> bool {
    Record::read(VERSION, bytes).is_ok_and(|record| record.fields().bytes(8).is_some())
}

/// A list's row with the sum of its vector, and everything else as it is.
pub(super) fn with_content_sum(bytes: &[u8], content: u64) -> Result<Vec<u8>, RecordError> {
    let record = Record::read(VERSION, bytes)?;
    let mut writer = Writer::over(VERSION, record, 8);
    for (number, value) in record.fields().take_while(|(number, _)| *number < 8) {
        writer.put_bytes(number, value);
    }
    writer.put(8, &content);
    writer.finish()
}

/// The number of an actor's last change, and which change that is, if that is known.
pub(super) fn encode_vector(seq: u64, mark: Option<Mark>) -> Result<Vec<u8>, RecordError> {
    let mut writer = Writer::new(VERSION);
    writer.put(1, &seq);
    if let Some(Mark(mark)) = mark {
        writer.put_bytes(2, &mark);
    }
    writer.finish()
}

/// Reads [`encode_vector`]; no mark if a program wrote the row that knew numbers only.
pub(super) fn decode_vector(bytes: &[u8]) -> Result<(u64, Option<Mark>), RecordError> {
    let record = Record::read(VERSION, bytes)?;
    let mark = record.fields().bytes(2).map(id).transpose()?;
    Ok((record.need(1)?, mark.map(Mark)))
}

/// How many changes of an actor this node has made.
pub(super) fn encode_made(seq: u64) -> Result<Vec<u8>, RecordError> {
    let mut writer = Writer::new(VERSION);
    writer.put(1, &seq);
    writer.finish()
}

/// Reads [`encode_made`].
pub(super) fn decode_made(bytes: &[u8]) -> Result<u64, RecordError> {
    Record::read(VERSION, bytes)?.need(1)
}

/// A saved document and what it covers.
pub(super) fn encode_snapshot(
    covers: &VersionVector,
    document: &[u8],
) -> Result<Vec<u8>, RecordError> {
    let mut writer = Writer::new(VERSION);
    writer.put(1, &Numbers::from(covers)).put_bytes(2, document);
    writer.finish()
}

/// Reads [`encode_snapshot`]; of what it covers only the numbers.
pub(super) fn decode_snapshot(bytes: &[u8]) -> Result<(VersionVector, Bytes), RecordError> {
    let record = Record::read(VERSION, bytes)?;
    let document = record.fields().bytes(2).ok_or(RecordError::Missing(2))?;
    let covers: Numbers = record.need(1)?;
    Ok((covers.into(), Bytes::copy_from_slice(document)))
}

/// Since when a list is in quarantine, and why.
pub(super) fn encode_quarantine(since_ms: i64, reason: &str) -> Result<Vec<u8>, RecordError> {
    let mut writer = Writer::new(VERSION);
    writer.put(1, &since_ms).put_bytes(2, reason.as_bytes());
    writer.finish()
}

/// Reads [`encode_quarantine`]; also where a program wrote the row that put the words of the reason there
/// alone: since when is not known then.
pub(super) fn decode_quarantine(bytes: &[u8]) -> (Option<i64>, String) {
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Words do not begin with the byte of a version.
    let record = Record::read(VERSION, bytes).ok();
    let told = record.and_then(|record| Some((record.need(1).ok()?, record.fields().bytes(2)?)));
    match told {
        Some((since_ms, reason)) => (Some(since_ms), words(reason)),
        None => (None, words(bytes)),
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Whose it is.
    pub uid: u32,
    /// The name of what it allows.
    pub scope: String,
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// When it ends, in milliseconds since the epoch.
    pub expires_ms: i64,
}

impl TokenRow {
    /// The token's row.
    pub(super) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut writer = Writer::new(VERSION);
        writer
            .put(1, &self.uid)
            .put(2, &self.scope)
            .put_bytes(3, &self.hash)
            .put(4, &self.expires_ms);
        writer.finish()
    }

    /// Reads [`TokenRow::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = Record::read(VERSION, bytes)?;
        let hash = record.fields().bytes(3).ok_or(RecordError::Missing(3))?;
        Ok(Self {
            uid: record.need(1)?,
            scope: record.need(2)?,
            hash: hash
                .try_into()
                .map_err(|_| RecordError::Damaged("its hash has another length"))?,
            expires_ms: record.need(4)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::vector::Tip;
    use names::{Actor, ChangeHash, ChangeId};
    use proptest::prelude::*;

    #[test]
    fn a_list_row_reads_back() {
        let row = ListRow {
            name: ListName::new("groceries").unwrap(),
            total: 3,
            open: 2,
            modified_at: -5,
            heads: vec![ChangeHash([1; 32])],
            sums: Sums {
                numbers: u64::MAX - 1,
                content: 7,
            },
            has_unknown_keys: true,
        };
        for looked in [Some(true), None] {
            let bytes = encode_list(&row, looked).unwrap();
            assert_eq!(decode_list_sums(&bytes), Ok((row.sums, looked)));
            assert_eq!(decode_list_name(&bytes).as_ref(), Ok(&row.name));
            assert_eq!(decode_list(&bytes).as_ref(), Ok(&row));
        }
    }

    #[test]
    fn the_other_rows_read_back() {
        let change = ChangeId {
            actor: Actor([3; 16]),
            seq: 9,
        };
        let tip = |mark| Tip { id: change, mark };
        let covers: VersionVector = [tip(Some(Mark([4; 16])))].into_iter().collect();
        let bytes = encode_snapshot(&covers, b"document").unwrap();
        let numbered: VersionVector = [tip(None)].into_iter().collect();
        assert_eq!(
            decode_snapshot(&bytes),
            Ok((numbered, Bytes::from_static(b"document")))
        );
        for mark in [None, Some(Mark([4; 16]))] {
            let bytes = encode_vector(u64::MAX, mark).unwrap();
            assert_eq!(decode_vector(&bytes), Ok((u64::MAX, mark)));
        }
        let token = TokenRow {
            uid: 7,
            scope: "sd".to_owned(),
            hash: [9; 32],
            expires_ms: 1,
        };
        assert_eq!(TokenRow::decode(&token.encode().unwrap()), Ok(token));
    }

    #[test]
    fn the_row_of_a_quarantine_reads_back_also_from_an_earlier_program() {
        let bytes = encode_quarantine(7, "changes are missing").unwrap();
        let read = decode_quarantine(&bytes);
        assert_eq!(read, (Some(7), "changes are missing".to_owned()));
        let earlier = decode_quarantine(b"changes are missing");
        assert_eq!(earlier, (None, "changes are missing".to_owned()));
    }

    #[test]
    fn rows_are_what_they_were() {
        let token = TokenRow {
            uid: 7,
            scope: "sd".to_owned(),
            hash: [9; 32],
            expires_ms: 1,
        };
        let bytes = [
            &[1, 1, 1, 7, 2, 3, 2, b's', b'd', 3, 32][..],
            &[9; 32],
            &[4, 1, 2],
        ]
        .concat();
        assert_eq!(token.encode(), Ok(bytes));
        let numbered = vec![1, 1, 3, 251, 44, 1];
        assert_eq!(encode_vector(300, None).as_ref(), Ok(&numbered));
        let marked = [&numbered[..], &[2, 16], &[7; 16]].concat();
        assert_eq!(encode_vector(300, Some(Mark([7; 16]))), Ok(marked));
        let row = ListRow {
            name: ListName::new("a").unwrap(),
            total: 3,
            open: 2,
            modified_at: -5,
            heads: vec![ChangeHash([1; 32])],
            sums: Sums {
                numbers: 8,
                content: 9,
            },
            has_unknown_keys: false,
        };
        let fields = [
            1, 1, 2, 1, b'a', 2, 1, 8, 3, 1, 3, 4, 1, 2, 5, 1, 9, 6, 33, 1,
        ];
        let converted = [&fields[..], &[1; 32]].concat();
        assert_eq!(encode_converted_list(&row).as_ref(), Ok(&converted));
        let numbered = [&converted[..], &[7, 1, 0]].concat();
        let bytes = [&numbered[..], &[8, 1, 9]].concat();
        assert_eq!(encode_list(&row, Some(false)).as_ref(), Ok(&bytes));
        assert!(has_content_sum(&bytes) && !has_content_sum(&numbered));
        assert_eq!(with_content_sum(&numbered, 9), Ok(bytes));
        let covers = VersionVector::default();
        let bytes = vec![1, 1, 1, 0, 2, 2, b'o', b'k'];
        assert_eq!(encode_snapshot(&covers, b"ok"), Ok(bytes));
    }

    proptest! {
        #[test]
        fn damaged_rows_are_refused_and_never_a_panic(bytes: Vec<u8>) {
            let _ = (decode_list(&bytes), decode_list_sums(&bytes), decode_snapshot(&bytes), decode_vector(&bytes));
            let _ = (decode_entry(&bytes), TokenRow::decode(&bytes));
        }
    }
}
