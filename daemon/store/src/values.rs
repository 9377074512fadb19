//! What rows hold: bincode 2 (standard configuration, as on the wire), with what must be read
//! quickly in front.

use super::ReadError;
use super::format1::EntryRow;
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::vector::VersionVector;
use names::ListName;
use node::lists::ListRow;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// More than any row can have: a damaged length must not make the decoder ask for all memory.
const MAX_ROW_BYTES: usize = 64 << 20;

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ReadError> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| ReadError::Malformed(error.to_string()))
}

/// Decodes a value from the beginning of `bytes`.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    let config = bincode::config::standard().with_limit::<MAX_ROW_BYTES>();
    let decoded = bincode::serde::decode_from_slice(bytes, config);
    decoded
        .map(|(value, _)| value)
        .map_err(|error| ReadError::Malformed(error.to_string()))
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), ReadError> {
    bytes
        .split_at_checked(at)
        .ok_or_else(|| ReadError::Malformed(format!("{} bytes are too few", bytes.len())))
}

/// A number of eight bytes, big endian.
pub(super) fn number(bytes: &[u8]) -> Result<u64, ReadError> {
    let number = bytes.try_into().map(u64::from_be_bytes);
    number.map_err(|_| ReadError::Malformed(format!("{} bytes are no number", bytes.len())))
}

/// Sixteen bytes: an id.
pub(super) fn id(bytes: &[u8]) -> Result<[u8; 16], ReadError> {
    bytes
        .try_into()
        .map_err(|_| ReadError::Malformed(format!("{} bytes are no id", bytes.len())))
}

/// An entry as [`EntryRow`].
pub(super) fn encode_entry(entry: &Entry) -> Result<Vec<u8>, ReadError> {
    encode(&EntryRow::from(entry))
}

/// Reads [`encode_entry`].
pub(super) fn decode_entry(bytes: &[u8]) -> Result<Entry, ReadError> {
    decode::<EntryRow>(bytes).map(Entry::from)
}

/// sum ‖ row: opening a store needs the sums of all lists and nothing else.
pub(super) fn encode_list(row: &ListRow) -> Result<Vec<u8>, ReadError> {
    Ok([row.sum.to_be_bytes().as_slice(), &encode(row)?].concat())
}

/// Reads [`encode_list`].
pub(super) fn decode_list(bytes: &[u8]) -> Result<ListRow, ReadError> {
    decode(split(bytes, 8)?.1)
}

/// Only the sum of [`encode_list`].
pub(super) fn decode_list_sum(bytes: &[u8]) -> Result<u64, ReadError> {
    number(split(bytes, 8)?.0)
}

/// Only the name of [`encode_list`], which is the row's first field.
pub(super) fn decode_list_name(bytes: &[u8]) -> Result<ListName, ReadError> {
    decode(split(bytes, 8)?.1)
}

/// length of the vector ‖ vector ‖ document.
pub(super) fn encode_snapshot(
    covers: &VersionVector,
    document: &Bytes,
) -> Result<Vec<u8>, ReadError> {
    let vector = encode(covers)?;
    let length = u64::try_from(vector.len()).unwrap_or(u64::MAX);
    Ok([length.to_be_bytes().as_slice(), &vector, document].concat())
}

/// Reads [`encode_snapshot`].
pub(super) fn decode_snapshot(bytes: &[u8]) -> Result<(VersionVector, Bytes), ReadError> {
    let (length, rest) = split(bytes, 8)?;
    let (vector, document) = split(rest, usize::try_from(number(length)?).unwrap_or(usize::MAX))?;
    Ok((decode(vector)?, Bytes::copy_from_slice(document)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::{Actor, ChangeHash, ChangeId};
    use proptest::prelude::*;

    #[test]
    fn the_front_of_a_list_row_is_its_sum_and_name() {
        let name = ListName::new("groceries").unwrap();
        let row = ListRow {
            name,
            total: 3,
            open: 2,
            modified_at: -5,
            heads: vec![ChangeHash([1; 32])],
            sum: u64::MAX - 1,
        };
        let bytes = encode_list(&row).unwrap();
        assert_eq!(decode_list_sum(&bytes).unwrap(), row.sum);
        assert_eq!(decode_list_name(&bytes).unwrap(), row.name);
        assert_eq!(decode_list(&bytes).unwrap(), row);
    }

    #[test]
    fn a_snapshot_reads_back() {
        let covers: VersionVector = [ChangeId {
            actor: Actor([3; 16]),
            seq: 9,
        }]
        .into_iter()
        .collect();
        let bytes = encode_snapshot(&covers, &Bytes::from_static(b"document")).unwrap();
        assert_eq!(
            decode_snapshot(&bytes).unwrap(),
            (covers, Bytes::from_static(b"document"))
        );
    }

    proptest! {
        #[test]
        fn damaged_rows_are_refused_and_never_a_panic(bytes: Vec<u8>) {
            let _ = (decode_list(&bytes), decode_list_sum(&bytes), decode_snapshot(&bytes), decode_entry(&bytes), number(&bytes));
        }
    }
}
