//! A saved document from outside, looked at before Automerge sees it.
//!
//! | chunk | is |
//! | --- | --- |
//! | type 0 | a document: actors, heads, the columns of its changes and of its operations |
//! | type 1, 2 | a change; a deflated one |
//!
//! Columns may be deflated, and are run-length encoded: a hundred bytes can stand for any number of
//! operations. What they would expand to is added up first, as for changes.

use super::chunk::{self, ChunkError, DEFLATED, MAGIC, MAX_COLUMNS, Reader, TYPE_CHANGE};
use super::{MAX_BLOB_BYTES, MAX_CHANGE_BYTES};
use bytes::Bytes;
use flate2::read::DeflateDecoder;
use std::io::Read;

const TYPE_DOCUMENT: u8 = 0;
const TYPE_DEFLATED: u8 = 2;
/// The most rows of a column of a document: a list of 100,000 entries has about as many.
const MAX_ROWS: u64 = 1_000_000;
/// The most bytes that all columns have, inflated and written out.
const MAX_EXPANDED_BYTES: u64 = 128 << 20;

/// Checks what a saved document would expand to.
pub(super) fn check(bytes: &[u8]) -> Result<(), ChunkError> {
    if bytes.len() > MAX_BLOB_BYTES {
        return Err(ChunkError::Bytes);
    }
    let (mut rest, mut room) = (Reader::of(bytes), Room::default());
    while !rest.is_empty() {
        if rest.take(4, "magic")? != MAGIC {
            return Err(ChunkError::Malformed("magic"));
        }
        let checksum = rest.take(4, "checksum")?;
        let kind = rest.take(1, "type")?;
        let length = rest.unsigned("length")?;
        let body = rest.take(length, "body")?;
        match kind {
            [TYPE_DOCUMENT] => check_document(Reader::of(body), &mut room)?,
            [TYPE_CHANGE] => room.take_change(&change(checksum, body))?,
            [TYPE_DEFLATED] => {
                let mut inflated = Vec::new();
                inflate(body, MAX_CHANGE_BYTES as u64, &mut inflated)?;
                room.take_change(&change(checksum, &inflated))?;
            }
            _ => return Err(ChunkError::Malformed("type")),
        }
    }
    Ok(())
}

/// A change's chunk as it is when it is not deflated; the checksum is of that.
fn change(checksum: &[u8], body: &[u8]) -> Bytes {
    let mut chunk = [&MAGIC, checksum, &[TYPE_CHANGE]].concat();
    let mut length = body.len();
    while length >= 0x80 {
        chunk.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    chunk.push(length as u8);
    chunk.extend_from_slice(body);
    Bytes::from(chunk)
}

fn check_document(mut body: Reader<'_>, room: &mut Room) -> Result<(), ChunkError> {
    for _ in 0..body.count("actors")? {
        body.block("actor")?;
    }
    for _ in 0..body.count("heads")? {
        body.take(32, "head")?;
    }
    let mut columns = specifications(&mut body)?;
    columns.extend(specifications(&mut body)?);
    for (specification, length) in columns {
        let data = body.take(length, "column")?;
        if specification & DEFLATED == 0 {
            room.take_column(specification, data)?;
        } else {
            let mut inflated = Vec::new();
            inflate(data, room.bytes_left(), &mut inflated)?;
            room.take_column(specification, &inflated)?;
        }
    }
    Ok(())
}

fn specifications(body: &mut Reader<'_>) -> Result<Vec<(u64, u64)>, ChunkError> {
    let count = body.unsigned("columns")?;
    if count > MAX_COLUMNS {
        return Err(ChunkError::Malformed("columns"));
    }
    let column = |_| Ok((body.unsigned("column")?, body.unsigned("column length")?));
    (0..count).map(column).collect()
}

fn inflate(data: &[u8], most: u64, into: &mut Vec<u8>) -> Result<(), ChunkError> {
    let read = DeflateDecoder::new(data)
        .take(most.saturating_add(1))
        .read_to_end(into)
        .map_err(|_| ChunkError::Malformed("deflated data"))?;
    if read as u64 > most {
        return Err(ChunkError::Bytes);
    }
    Ok(())
}

/// What all of it expands to.
#[derive(Debug, Default)]
struct Room {
    bytes: u64,
    /// Of the changes that stand by themselves.
    operations: u64,
}

impl Room {
    fn bytes_left(&self) -> u64 {
        MAX_EXPANDED_BYTES.saturating_sub(self.bytes)
    }

    fn take_bytes(&mut self, bytes: u64) -> Result<(), ChunkError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_EXPANDED_BYTES {
            return Err(ChunkError::Bytes);
        }
        Ok(())
    }

    fn take_change(&mut self, chunk: &[u8]) -> Result<(), ChunkError> {
        self.take_bytes(chunk.len() as u64)?;
        chunk::check(chunk)?;
        let operations = chunk::parse(chunk)?.operations;
        self.operations = self.operations.saturating_add(operations);
        if self.operations > MAX_ROWS {
            return Err(ChunkError::Operations);
        }
        Ok(())
    }

    /// A column of a document, by the type in its specification.
    fn take_column(&mut self, specification: u64, data: &[u8]) -> Result<(), ChunkError> {
        self.take_bytes(data.len() as u64)?;
        let column = Reader::of(data);
        match specification & 7 {
            // How many each row has of what the next columns have.
            0 => column
                .bound(MAX_ROWS, |count| count.saturating_add(1))
                .map(drop),
            // Actors, integers, differences, lengths and types of values.
            1 | 2 | 3 | 6 => column.bound(MAX_ROWS, |_| 1).map(drop),
            4 => column.bound_flags(MAX_ROWS),
            5 => {
                let bytes = column.bound_texts(MAX_ROWS, self.bytes_left())?;
                self.take_bytes(bytes)
            }
            // The values themselves.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write;

    fn chunk_of(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut chunk = change(&[0; 4], body).to_vec();
        chunk[8] = kind;
        chunk
    }

    /// A document of which one column is that.
    fn document(specification: u8, column: &[u8]) -> Vec<u8> {
        let length = u8::try_from(column.len()).unwrap();
        let head = [0, 0, 0, 1, specification, length];
        chunk_of(TYPE_DOCUMENT, &[&head, column].concat())
    }

    /// A run of 2^40 rows.
    const RUN: [u8; 6] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];

    #[test]
    fn a_run_without_end_is_refused_in_each_kind_of_column() {
        for kind in [0, 1, 2, 3, 6] {
            let column = [&RUN[..], &[1]].concat();
            assert_eq!(
                check(&document(kind, &column)),
                Err(ChunkError::Operations),
                "{kind}"
            );
        }
        assert_eq!(check(&document(4, &RUN)), Err(ChunkError::Operations));
        let text = [&RUN[..], &[1, b'x']].concat();
        assert_eq!(check(&document(5, &text)), Err(ChunkError::Operations));
        // A text of 100 bytes, a million times, and twice that.
        let long = |column: u8| {
            let texts = [&[0xc0, 0x84, 0x3d, 100][..], &[b'x'; 100]].concat();
            document(column, &texts)
        };
        assert_eq!(check(&long(5)), Ok(()));
        let twice = [long(5), long(5)].concat();
        assert_eq!(check(&twice), Err(ChunkError::Operations));
        let groups = [&[2][..], &RUN].concat();
        assert_eq!(check(&document(0, &groups)), Err(ChunkError::Operations));
    }

    #[test]
    fn what_inflates_without_end_is_refused() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..300 {
            encoder.write_all(&zeros).unwrap();
        }
        let deflated = encoder.finish().unwrap();
        let change = chunk_of(TYPE_DEFLATED, &deflated);
        assert_eq!(check(&change), Err(ChunkError::Bytes));
        let mut body = vec![0, 0, 0, 1, 7 | 8];
        let mut length = deflated.len();
        while length >= 0x80 {
            body.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        body.push(length as u8);
        body.extend(deflated);
        assert_eq!(
            check(&chunk_of(TYPE_DOCUMENT, &body)),
            Err(ChunkError::Bytes)
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bytes in [
            &b"PK\x03\x04"[..],
            &chunk_of(7, &[]),
            &chunk_of(TYPE_DOCUMENT, &[9]),
        ] {
            assert!(
                matches!(check(bytes), Err(ChunkError::Malformed(_))),
                "{bytes:?}"
            );
        }
    }
}
