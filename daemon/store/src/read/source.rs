//! What the jobs of the lists machines read.

use super::{ReadError, Reader, name_of, vector_of};
use crate::db::Space;
use crate::{keys, rows};
use bytes::Bytes;
use crdt::vector::{Range, VersionVector};
use names::{Actor, ChangeHash, ChangeId, ListId, ListName};
use node::lists::{Source, SourceError};
use std::collections::BTreeMap;
use std::ops::Bound;

impl Source for Reader {
    fn name(&self, list: ListId) -> Result<Option<ListName>, SourceError> {
        Ok(name_of(&self.view()?, list)?)
    }

    fn vector(&self, list: ListId) -> Result<VersionVector, SourceError> {
        Ok(vector_of(&self.view()?, list)?)
    }

    fn snapshot(&self, list: ListId) -> Result<Option<(VersionVector, Bytes)>, SourceError> {
        let Some(row) = self.view()?.get(Space::Snapshots, &list.0)? else {
            return Ok(None);
        };
        // It is a cache: one that cannot be read is none.
        Ok(rows::decode_snapshot(&row)
            .inspect_err(|error| tracing::warn!(%list, %error, "a snapshot cannot be read"))
            .ok())
    }

    fn changes(&self, list: ListId, range: Range) -> Result<Vec<Bytes>, SourceError> {
        let key = |seq| {
            keys::change(
                list,
                ChangeId {
                    actor: range.actor,
                    seq,
                },
            )
        };
        if range.from > range.to {
            return Ok(Vec::new());
        }
        let rows = self.view()?.scan(
            Space::Changes,
            (
                Bound::Included(key(range.from)),
                Bound::Included(key(range.to)),
            ),
        );
        let bytes = rows.map(|row| row.map(|(_, bytes)| Bytes::copy_from_slice(&bytes)));
        Ok(bytes.collect::<Result<_, ReadError>>()?)
    }

    fn left_out(&self, list: ListId) -> Result<Vec<Bytes>, SourceError> {
        let rows = self.view()?.scan_prefix(Space::LeftOut, &list.0);
        let bytes = rows.map(|row| row.map(|(_, bytes)| Bytes::copy_from_slice(&bytes)));
        Ok(bytes.collect::<Result<_, ReadError>>()?)
    }

    fn made(&self, list: ListId) -> Result<BTreeMap<Actor, u64>, SourceError> {
        let mut made = BTreeMap::new();
        for row in self.view()?.scan_prefix(Space::Made, &list.0) {
            let (key, value) = row?;
            // Of what cannot be read this node says nothing.
            if let (Some(actor), Ok(seq)) = (keys::actor_of(&key), rows::decode_made(&value)) {
                made.insert(actor, seq);
            }
        }
        Ok(made)
    }

    fn aside(&self, list: ListId) -> Result<Vec<ChangeHash>, SourceError> {
        let rows = self.view()?.scan_prefix(Space::Aside, &list.0);
        let hashes = rows.filter_map(|row| row.map(|(key, _)| keys::hash_of(&key)).transpose());
        Ok(hashes.collect::<Result<_, ReadError>>()?)
    }

    fn changes_aside(&self, list: ListId) -> Result<Vec<Bytes>, SourceError> {
        let rows = self.view()?.scan_prefix(Space::Aside, &list.0);
        let bytes = rows.map(|row| row.map(|(_, bytes)| Bytes::copy_from_slice(&bytes)));
        Ok(bytes.collect::<Result<_, ReadError>>()?)
    }
}

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> Self {
        Self {
            is_damage: matches!(error, ReadError::Damaged(_)),
            reason: error.to_string(),
        }
    }
}
