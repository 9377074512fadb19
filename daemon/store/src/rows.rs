//! What the rows of format 2 hold: [records](crdt::record) of version 1, with these fields.
//!
//! | row | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | list | name | sum of the vector | entries | open entries | modified at (ms) | heads | whether it has keys that the row's maker does not know |
//! | vector | number of the actor's last change | | | | | | |
//! | snapshot | the vector that it covers | the saved document (raw) | | | | | |
//! | token | uid | scope | SHA-256 of the secret (raw) | expires at (ms) | | | |
//!
//! An entry's row is described at [`crdt::entry::Entry::encode`]; the rows of `processes` and the
//! cluster's state in `meta` by the machines that make them (`daemon/node/src/cluster`).
//!
//! Rows of lists, entries and vectors follow from the changes, so they are made anew and not written
//! over: what a newer program put there does not survive an older one, and is there again when the
//! newer one has remade the list. A token's row is written once.

use bytes::Bytes;
use crdt::entry::Entry;
use crdt::record::{Record, RecordError, Writer};
use crdt::vector::VersionVector;
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
    let mut writer = Writer::new(VERSION);
    writer
        .put(1, &row.name)
        .put(2, &row.sum)
        .put(3, &row.total)
        .put(4, &row.open)
        .put(5, &row.modified_at)
        .put(6, &row.heads)
        .put_some(7, has_unknown_keys.as_ref());
    writer.finish()
}

/// Reads [`encode_list`].
pub(super) fn decode_list(bytes: &[u8]) -> Result<ListRow, RecordError> {
    let record = Record::read(VERSION, bytes)?;
    Ok(ListRow {
        name: record.need(1)?,
        sum: record.need(2)?,
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

/// What opening a store needs of each list, and nothing else: the sum of its vector, and whether it
/// has keys that the row's maker does not know (`None` if its maker did not look).
pub(super) fn decode_list_sum(bytes: &[u8]) -> Result<(u64, Option<bool>), RecordError> {
    let record = Record::read(VERSION, bytes)?;
    Ok((record.need(2)?, record.get(7)?))
}

/// The number of an actor's last change.
pub(super) fn encode_vector(seq: u64) -> Result<Vec<u8>, RecordError> {
    let mut writer = Writer::new(VERSION);
    writer.put(1, &seq);
    writer.finish()
}

/// Reads [`encode_vector`].
pub(super) fn decode_vector(bytes: &[u8]) -> Result<u64, RecordError> {
    Record::read(VERSION, bytes)?.need(1)
}

/// A saved document and what it covers.
pub(super) fn encode_snapshot(
    covers: &VersionVector,
    document: &[u8],
) -> Result<Vec<u8>, RecordError> {
    let mut writer = Writer::new(VERSION);
    writer.put(1, covers).put_bytes(2, document);
    writer.finish()
}

/// Reads [`encode_snapshot`].
pub(super) fn decode_snapshot(bytes: &[u8]) -> Result<(VersionVector, Bytes), RecordError> {
    let record = Record::read(VERSION, bytes)?;
    let document = record.fields().bytes(2).ok_or(RecordError::Missing(2))?;
    Ok((record.need(1)?, Bytes::copy_from_slice(document)))
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
            sum: u64::MAX - 1,
            has_unknown_keys: true,
        };
        for looked in [Some(true), None] {
            let bytes = encode_list(&row, looked).unwrap();
            assert_eq!(decode_list_sum(&bytes), Ok((row.sum, looked)));
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
        let covers: VersionVector = [change].into_iter().collect();
        let bytes = encode_snapshot(&covers, b"document").unwrap();
        assert_eq!(
            decode_snapshot(&bytes),
            Ok((covers, Bytes::from_static(b"document")))
        );
        assert_eq!(
            decode_vector(&encode_vector(u64::MAX).unwrap()),
            Ok(u64::MAX)
        );
        let token = TokenRow {
            uid: 7,
            scope: "sd".to_owned(),
            hash: [9; 32],
            expires_ms: 1,
        };
        assert_eq!(TokenRow::decode(&token.encode().unwrap()), Ok(token));
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
        assert_eq!(encode_vector(300), Ok(vec![1, 1, 3, 251, 44, 1]));
        let row = ListRow {
            name: ListName::new("a").unwrap(),
            total: 3,
            open: 2,
            modified_at: -5,
            heads: vec![ChangeHash([1; 32])],
            sum: 8,
            has_unknown_keys: false,
        };
        let fields = [
            1, 1, 2, 1, b'a', 2, 1, 8, 3, 1, 3, 4, 1, 2, 5, 1, 9, 6, 33, 1,
        ];
        let bytes = [&fields[..], &[1; 32], &[7, 1, 0]].concat();
        assert_eq!(encode_list(&row, Some(false)), Ok(bytes));
        let covers = VersionVector::default();
        let bytes = vec![1, 1, 1, 0, 2, 2, b'o', b'k'];
        assert_eq!(encode_snapshot(&covers, b"ok"), Ok(bytes));
    }

    proptest! {
        #[test]
        fn damaged_rows_are_refused_and_never_a_panic(bytes: Vec<u8>) {
            let _ = (decode_list(&bytes), decode_list_sum(&bytes), decode_snapshot(&bytes), decode_vector(&bytes));
            let _ = (decode_entry(&bytes), TokenRow::decode(&bytes));
        }
    }
}
