//! Large changes in parts: cutting them up, and putting them together within bounds.

use crate::lists::wire::{CHUNK_BYTES, Chunk};
use crate::wire::ConnId;
use bytes::Bytes;
use crdt::list::MAX_CHANGE_BYTES;
use names::ListName;
use std::collections::BTreeMap;

const MAX_CHUNKS: u32 = (MAX_CHANGE_BYTES / CHUNK_BYTES) as u32;

/// The parts of a change.
pub(super) fn cut(name: &ListName, number: u64, change: &Bytes) -> impl Iterator<Item = Chunk> {
    let count = u32::try_from(change.len().div_ceil(CHUNK_BYTES)).unwrap_or(u32::MAX);
    (0..count)
        .zip((0usize..).step_by(CHUNK_BYTES))
        .map(move |(index, from)| {
            let bytes = change.slice(from..change.len().min(from.saturating_add(CHUNK_BYTES)));
            Chunk {
                name: name.clone(),
                number,
                index,
                count,
                bytes,
            }
        })
}

/// A part that no correct peer sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Impossible;

/// What has come of large changes, at most one per connection. If a part is lost, the rest of that
/// change is dropped; repair brings it back.
#[derive(Debug, Default)]
pub(super) struct Assemblies(BTreeMap<ConnId, Assembly>);

#[derive(Debug)]
struct Assembly {
    name: ListName,
    number: u64,
    next: u32,
    count: u32,
    bytes: Vec<u8>,
}

impl Assemblies {
    /// Takes a part; gives the change when it was the last one.
    pub(super) fn add(
        &mut self,
        conn: ConnId,
        chunk: Chunk,
    ) -> Result<Option<(ListName, Bytes)>, Impossible> {
        if chunk.count == 0
            || chunk.count > MAX_CHUNKS
            || chunk.index >= chunk.count
            || chunk.bytes.len() > CHUNK_BYTES
        {
            return Err(Impossible);
        }
        if chunk.index == 0 {
            let assembly = Assembly {
                name: chunk.name.clone(),
                number: chunk.number,
                next: 0,
                count: chunk.count,
                bytes: Vec::new(),
            };
            self.0.insert(conn, assembly);
        }
        let Some(assembly) = self.0.get_mut(&conn) else {
            return Ok(None);
        };
        let expected = (
            &assembly.name,
            assembly.number,
            assembly.next,
            assembly.count,
        );
        if expected != (&chunk.name, chunk.number, chunk.index, chunk.count) {
            self.0.remove(&conn);
            return Ok(None);
        }
        assembly.bytes.extend_from_slice(&chunk.bytes);
        assembly.next += 1;
        if assembly.next < assembly.count {
            return Ok(None);
        }
        Ok(self
            .0
            .remove(&conn)
            .map(|assembly| (assembly.name, assembly.bytes.into())))
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.0.remove(&conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(number: u64, length: usize) -> (Bytes, Vec<Chunk>) {
        let change: Bytes = (0..length).map(|i| i as u8).collect();
        let name = ListName::new("bob").unwrap();
        (change.clone(), cut(&name, number, &change).collect())
    }

    #[test]
    fn the_parts_make_the_change() {
        for length in [1, CHUNK_BYTES, CHUNK_BYTES + 1, MAX_CHANGE_BYTES] {
            let (change, parts) = parts(1, length);
            let mut assemblies = Assemblies::default();
            let whole: Vec<_> = parts
                .into_iter()
                .filter_map(|part| assemblies.add(ConnId(1), part).unwrap())
                .collect();
            assert_eq!(whole.len(), 1);
            assert_eq!(whole[0].1, change);
        }
    }

    #[test]
    fn parts_of_two_changes_are_never_mixed() {
        let (_, first) = parts(1, 3 * CHUNK_BYTES);
        let (_, second) = parts(2, 3 * CHUNK_BYTES);
        let mut assemblies = Assemblies::default();
        for part in [&first[0], &first[1], &second[2]] {
            assert_eq!(assemblies.add(ConnId(1), part.clone()), Ok(None));
        }
        assert_eq!(
            assemblies.add(ConnId(1), first[2].clone()),
            Ok(None),
            "its assembly was given up"
        );
    }

    #[test]
    fn impossible_parts_are_told() {
        let (_, parts) = parts(1, 10);
        for change in [
            |part: &mut Chunk| part.count = 0,
            |part: &mut Chunk| part.count = MAX_CHUNKS + 1,
            |part: &mut Chunk| part.index = 1,
            |part: &mut Chunk| part.bytes = vec![0; CHUNK_BYTES + 1].into(),
        ] {
            let mut part = parts[0].clone();
            change(&mut part);
            assert_eq!(Assemblies::default().add(ConnId(1), part), Err(Impossible));
        }
    }
}
