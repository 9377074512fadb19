//! From the machine's rows to the database's: views and indexes follow the entries.
//!
//! One [`Batch`] collects the writes of all commits of a group. It is also what later rows of the
//! group are judged by: the entry that the first one added is the old entry of the second.

use super::db::{Db, Outlives, Space};
use super::{ReadError, keys, values};
use crdt::entry::Entry;
use fjall::Slice;
use names::{ChangeId, EntryId, ListId, ListName};
use node::cluster::registry::KeptRow;
use node::lists::{ListRow, Row};
use std::collections::BTreeMap;

/// The key in `meta` of a list in quarantine begins with this; the list's id follows.
pub(super) const QUARANTINE: &[u8] = b"quarantine/";

/// The key of a list's quarantine in `meta`.
pub(super) fn quarantine_key(list: ListId) -> Vec<u8> {
    [QUARANTINE, &list.0].concat()
}

/// The key in `meta` of a token's record begins with this; the token's id follows.
pub(super) const TOKEN: &[u8] = b"token/";

/// The key of a token's record in `meta`.
pub(super) fn token_key(id: [u8; 8]) -> Vec<u8> {
    [TOKEN, &id].concat()
}

/// About how many bytes a row adds to a batch.
pub(super) fn weight(row: &Row) -> usize {
    const KEYS: usize = 256;
    let bytes = match row {
        Row::Change { bytes, .. } | Row::Snapshot { bytes, .. } => bytes.len(),
        Row::Entry { entry, .. } => entry.as_ref().map_or(0, |entry| {
            entry.title.len().saturating_add(entry.notes.len())
        }),
        Row::List { .. } => 0,
        Row::Quarantine { reason, .. } => reason.len(),
    };
    bytes.saturating_add(KEYS)
}

/// About how many bytes a row of the process registry adds to a batch.
pub(super) fn kept_weight(row: &KeptRow) -> usize {
    row.key
        .len()
        .saturating_add(row.value.as_ref().map_or(0, bytes::Bytes::len))
}

/// Writes that are committed together.
pub(super) struct Batch<'db> {
    db: &'db Db,
    /// What the keys will hold; `None` is a removal.
    writes: BTreeMap<Space, BTreeMap<Vec<u8>, Option<Slice>>>,
}

impl<'db> Batch<'db> {
    pub(super) fn new(db: &'db Db) -> Self {
        Self {
            db,
            writes: BTreeMap::new(),
        }
    }

    /// Takes in the rows of one commit, after those of earlier ones.
    ///
    /// # Errors
    /// The database cannot be read. Nothing is written, and the batch is of no use any more.
    pub(super) fn add(&mut self, rows: &[Row]) -> Result<(), ReadError> {
        // Lists first: the agenda sorts entries by their list's name.
        let named = rows.iter().filter_map(|row| {
            if let Row::List { list, row } = row {
                Some((*list, &row.name))
            } else {
                None
            }
        });
        let names: BTreeMap<ListId, &ListName> = named.collect();
        let (lists, others): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| matches!(row, Row::List { .. }));
        lists
            .into_iter()
            .chain(others)
            .try_for_each(|row| self.add_row(row, &names))
    }

    /// Writes a row of `meta`, or removes it.
    pub(super) fn set_meta(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.put(Space::Meta, key.to_vec(), value),
            None => self.remove(Space::Meta, key.to_vec()),
        }
    }

    /// Writes or removes a row of the process registry.
    pub(super) fn keep(&mut self, row: &KeptRow) {
        match &row.value {
            Some(value) => self.put(Space::Processes, row.key.to_vec(), value),
            None => self.remove(Space::Processes, row.key.to_vec()),
        }
    }

    /// Commits.
    pub(super) fn commit(self, outlives: Outlives) -> Result<(), fjall::Error> {
        let writes = self.writes.into_iter();
        let rows = writes.flat_map(|(space, rows)| {
            rows.into_iter()
                .map(move |(key, value)| ((space, key), value))
        });
        self.db.commit(rows, outlives)
    }

    fn add_row(&mut self, row: &Row, names: &BTreeMap<ListId, &ListName>) -> Result<(), ReadError> {
        match row {
            Row::Change { list, id, bytes } => self.add_change(*list, *id, bytes)?,
            Row::Entry { list, id, entry } => match names.get(list) {
                Some(name) => self.add_entry(*list, Some(name), *id, entry.as_deref())?,
                None => self.add_entry(*list, self.name(*list)?.as_ref(), *id, entry.as_deref())?,
            },
            Row::List { list, row } => self.add_list(*list, row)?,
            Row::Snapshot {
                list,
                covers,
                bytes,
            } => {
                self.put(
                    Space::Snapshots,
                    list.0.to_vec(),
                    values::encode_snapshot(covers, bytes)?,
                );
            }
            Row::Quarantine { list, reason } => {
                self.set_meta(&quarantine_key(*list), Some(reason.as_bytes()))
            }
        }
        Ok(())
    }

    fn add_change(&mut self, list: ListId, id: ChangeId, bytes: &[u8]) -> Result<(), ReadError> {
        self.put(Space::Changes, keys::change(list, id), bytes);
        let vector = keys::vector(list, id.actor);
        let last = self
            .get(Space::Vectors, &vector)?
            .map_or(Ok(0), |last| values::number(&last))?;
        if id.seq > last {
            self.put(Space::Vectors, vector, id.seq.to_be_bytes());
        }
        Ok(())
    }

    fn add_list(&mut self, list: ListId, row: &ListRow) -> Result<(), ReadError> {
        self.put(Space::Lists, list.0.to_vec(), values::encode_list(row)?);
        let name = row.name.as_str().as_bytes();
        if self.get(Space::Names, name)?.is_none() {
            self.put(Space::Names, name.to_vec(), list.0);
        }
        Ok(())
    }

    /// Moves an entry from where it stands in all views to where it belongs.
    fn add_entry(
        &mut self,
        list: ListId,
        name: Option<&ListName>,
        id: EntryId,
        entry: Option<&Entry>,
    ) -> Result<(), ReadError> {
        let key = keys::id(list, id);
        let old = self.get(Space::Ids, &key)?;
        let new = entry.map(|entry| stand(entry, id));
        if old.as_deref() != new.as_deref() {
            if let Some((due, place)) = old.as_deref().and_then(keys::split_due) {
                self.remove(Space::Entries, keys::entry(list, place));
                index_keys(list, name, due, place).for_each(|(space, key)| self.remove(space, key));
            }
            if let Some((due, place)) = new.as_deref().and_then(keys::split_due) {
                index_keys(list, name, due, place)
                    .for_each(|(space, key)| self.put(space, key, list.0));
            }
            match &new {
                Some(stand) => self.put(Space::Ids, key, stand),
                None => self.remove(Space::Ids, key),
            }
        }
        if let (Some(entry), Some((_, place))) = (entry, new.as_deref().and_then(keys::split_due)) {
            self.put(
                Space::Entries,
                keys::entry(list, place),
                values::encode_entry(entry)?,
            );
        }
        Ok(())
    }

    /// The name of a list that has a row, be it in this batch.
    fn name(&self, list: ListId) -> Result<Option<ListName>, ReadError> {
        let name = self
            .get(Space::Lists, &list.0)?
            .map(|row| values::decode_list_name(&row))
            .transpose()?;
        if name.is_none() {
            tracing::error!(%list, "an entry was written before its list");
        }
        Ok(name)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, ReadError> {
        match self.writes.get(&space).and_then(|rows| rows.get(key)) {
            Some(written) => Ok(written.clone()),
            None => Ok(self.db.get(space, key)?),
        }
    }

    fn put(&mut self, space: Space, key: Vec<u8>, value: impl AsRef<[u8]>) {
        self.writes
            .entry(space)
            .or_default()
            .insert(key, Some(Slice::from(value.as_ref())));
    }

    fn remove(&mut self, space: Space, key: Vec<u8>) {
        self.writes.entry(space).or_default().insert(key, None);
    }
}

/// The value in `ids`, from which the keys of an entry in all views can be made: due ‖ place.
fn stand(entry: &Entry, id: EntryId) -> Vec<u8> {
    [
        keys::due(entry.due.map(|due| due.sort_ms())).as_slice(),
        &keys::place(&entry.order, id),
    ]
    .concat()
}

/// The keys of an entry that stands there in the indexes by due time: its list's, if it is due at
/// all, and the agenda.
fn index_keys(
    list: ListId,
    name: Option<&ListName>,
    due: &[u8],
    place: &[u8],
) -> impl Iterator<Item = (Space, Vec<u8>)> + use<> {
    let dated = keys::is_dated(due).then(|| (Space::Dues, keys::dated(list, due, place)));
    let agenda = name.map(|name| (Space::Agenda, keys::agenda(due, name, place)));
    dated.into_iter().chain(agenda)
}
