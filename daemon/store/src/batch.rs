//! From the machine's rows to the database's: views and indexes follow the entries.
//!
//! One [`Batch`] collects the writes of all commits of a group. It is also what later rows of the
//! group are judged by: the entry that the first one added is the old entry of the second.

mod dropping;

use super::commit::Failure;
use super::db::{Db, Outlives, Space, View};
use super::{ReadError, keys, rows};
use crdt::entry::Entry;
use crdt::list::{LeftOut, RawChange};
use crdt::vector::{Tip, VersionVector};
use fjall::Slice;
use names::{Actor, EntryId, ListId, ListName};
use node::lists::{ListRow, Remake, Row};
use node::registry::KeptRow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// About how many bytes a row adds to a batch.
pub(super) fn weight(row: &Row) -> usize {
    const KEYS: usize = 256;
    let bytes = match row {
        Row::Change { bytes, .. } | Row::Snapshot { bytes, .. } => bytes.len(),
        Row::Entry { entry, .. } => entry.as_deref().map_or(0, entry_weight),
        Row::View { entries, .. } => entries
            .iter()
            .map(|entry| entry_weight(entry).saturating_add(KEYS))
            .sum(),
        Row::LeaveOut {
            entries,
            settled,
            moved,
            unseen,
            added,
            ..
        } => {
            let entries = entries
                .iter()
                .map(|entry| entry_weight(entry).saturating_add(KEYS));
            let settled = settled.iter().map(|one| one.bytes().len());
            let changes = moved.iter().chain(unseen).chain(added);
            let changes = changes.map(|change| change.bytes.len());
            entries.chain(settled).chain(changes).sum()
        }
        Row::Salt(salt) => salt.relayed().bytes().len(),
        Row::List { .. } | Row::Made { .. } | Row::Release { .. } | Row::Drop { .. } => 0,
        Row::Quarantine { reason, .. } => reason.len(),
    };
    bytes.saturating_add(KEYS)
}

fn entry_weight(entry: &Entry) -> usize {
    entry.title.len().saturating_add(entry.notes.len())
}

/// About how many bytes a row of the process registry adds to a batch.
pub(super) fn kept_weight(row: &KeptRow) -> usize {
    row.key
        .len()
        .saturating_add(row.value.as_ref().map_or(0, bytes::Bytes::len))
}

/// Writes that are committed together.
pub(super) struct Batch<'db> {
    db: &'db Arc<Db>,
    /// Lists whose rows are to be made anew: the others of a list that is written to are still as
    /// they were.
    remake: &'db BTreeMap<ListId, Remake>,
    /// Those that this batch makes anew.
    remade: BTreeSet<ListId>,
    /// What the keys will hold; `None` is a removal.
    writes: BTreeMap<Space, BTreeMap<Vec<u8>, Option<Slice>>>,
}

impl<'db> Batch<'db> {
    pub(super) fn new(db: &'db Arc<Db>, remake: &'db BTreeMap<ListId, Remake>) -> Self {
        Self {
            db,
            remake,
            remade: BTreeSet::new(),
            writes: BTreeMap::new(),
        }
    }

    /// Takes in the rows of one commit, after those of earlier ones.
    ///
    /// # Errors
    /// The database cannot be read, or a row is too large. Nothing is written, and the batch is of
    /// no use any more.
    pub(super) fn add(&mut self, rows: &[Row]) -> Result<(), Failure> {
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

    /// Commits the batch as one.
    pub(super) fn commit(self, outlives: Outlives) -> Result<(), fjall::Error> {
        let writes = self.writes.into_iter();
        let rows = writes.flat_map(|(space, rows)| {
            rows.into_iter()
                .map(move |(key, value)| ((space, key), value))
        });
        self.db.commit(rows, outlives)
    }

    fn add_row(&mut self, row: &Row, names: &BTreeMap<ListId, &ListName>) -> Result<(), Failure> {
        match row {
            Row::Change {
                list,
                id,
                hash,
                bytes,
            } => self.add_change(*list, Tip::of(*id, *hash), bytes)?,
            Row::Entry { list, id, entry } => match names.get(list) {
                Some(name) => self.add_entry(*list, Some(name), *id, entry.as_deref())?,
                None => self.add_entry(*list, self.name(*list)?.as_ref(), *id, entry.as_deref())?,
            },
            Row::List { list, row } => self.add_list(*list, row)?,
            Row::View {
                list,
                row,
                entries,
                thorough,
            } => self.add_view(*list, row, entries, *thorough)?,
            Row::Snapshot {
                list,
                covers,
                bytes,
            } => {
                self.put(
                    Space::Snapshots,
                    list.0.to_vec(),
                    rows::encode_snapshot(covers, bytes)?,
                );
            }
            Row::LeaveOut {
                list,
                row,
                entries,
                vector,
                settled,
                moved,
                unseen,
                added,
            } => {
                self.add_view(*list, row, entries, false)?;
                self.leave_out(*list, vector, settled, (moved, unseen))?;
                self.come_back(*list, added)?;
            }
            Row::Made { list, id } => {
                let key = keys::vector(*list, id.actor);
                self.put(Space::Made, key, rows::encode_made(id.seq)?);
            }
            Row::Salt(salt) => self.set_meta(&keys::salt(salt), Some(salt.relayed().bytes())),
            Row::Quarantine {
                list,
                since_ms,
                reason,
            } => {
                let row = rows::encode_quarantine(*since_ms, reason)?;
                self.set_meta(&keys::quarantine(*list), Some(&row));
            }
            Row::Release { list } => self.set_meta(&keys::quarantine(*list), None),
            Row::Drop { list } => self.drop_list(*list)?,
        }
        Ok(())
    }

    fn add_change(&mut self, list: ListId, tip: Tip, bytes: &[u8]) -> Result<(), Failure> {
        let Tip { id, mark } = tip;
        self.put(Space::Changes, keys::change(list, id), bytes);
        let key = keys::vector(list, id.actor);
        let last = match self.get(Space::Vectors, &key)? {
            Some(row) => match rows::decode_vector(&row) {
                Ok((seq, _)) => seq,
                Err(_) => self
                    .last_change(list, id.actor)?
                    .map_or(0, |tip| tip.id.seq),
            },
            None => 0,
        };
        if id.seq > last {
            self.put(Space::Vectors, key, rows::encode_vector(id.seq, mark)?);
        }
        Ok(())
    }

    /// An actor's last change that is committed: what a damaged row should say.
    fn last_change(&self, list: ListId, actor: Actor) -> Result<Option<Tip>, ReadError> {
        View::of(Arc::clone(self.db)).last_change(list, actor)
    }

    fn add_list(&mut self, list: ListId, row: &ListRow) -> Result<(), Failure> {
        let value = rows::encode_list(row, self.has_unknown_keys(list, row))?;
        self.put(Space::Lists, list.0.to_vec(), value);
        let name = row.name.as_str().as_bytes();
        if self.get(Space::Names, name)?.as_deref() != Some(list.0.as_slice()) {
            self.put(Space::Names, name.to_vec(), list.0);
        }
        Ok(())
    }

    /// What a list's row says of keys that the makers of all its rows did not know. Where the list
    /// waits for being made anew that must outlast this write, and a restart after it.
    fn has_unknown_keys(&self, list: ListId, row: &ListRow) -> Option<bool> {
        let waiting = self.remake.get(&list);
        match waiting.filter(|_| !self.remade.contains(&list)) {
            None | Some(Remake::Asked) => Some(row.has_unknown_keys),
            Some(Remake::UnknownKeys) => Some(true),
            Some(Remake::Damaged | Remake::Converted) => None,
        }
    }

    /// Replaces all rows of a list's view. What a row says that is there is of no interest: it may
    /// be damaged.
    fn add_view(
        &mut self,
        list: ListId,
        row: &ListRow,
        entries: &[Arc<Entry>],
        thorough: bool,
    ) -> Result<(), Failure> {
        self.remade.insert(list);
        for place in self.places(list, &row.name, thorough)? {
            let (space, key) = place;
            self.remove(space, key);
        }
        for key in self.keys(Space::Vectors, &list.0)? {
            let Some(actor) = keys::actor_of(&key) else {
                continue;
            };
            if let Some(tip) = self.last_change(list, actor)? {
                let row = rows::encode_vector(tip.id.seq, tip.mark)?;
                self.put(Space::Vectors, key, row);
            }
        }
        self.add_list(list, row)?;
        for entry in entries {
            self.add_entry(list, Some(&row.name), entry.id, Some(entry))?;
        }
        Ok(())
    }

    /// Moves changes of a list aside. Nothing of them is deleted.
    fn leave_out(
        &mut self,
        list: ListId,
        vector: &VersionVector,
        settled: &[LeftOut],
        (moved, unseen): (&[RawChange], &[RawChange]),
    ) -> Result<(), Failure> {
        for change in moved {
            self.remove(Space::Changes, keys::change(list, change.id));
        }
        for change in moved.iter().chain(unseen) {
            let key = keys::aside(list, change.id, change.hash);
            self.put(Space::Aside, key, &change.bytes);
        }
        for key in self.keys(Space::LeftOut, &list.0)? {
            self.remove(Space::LeftOut, key);
        }
        for one in settled {
            self.put(Space::LeftOut, keys::left_out(list, one), one.bytes());
        }
        for key in self.keys(Space::Vectors, &list.0)? {
            match keys::actor_of(&key).and_then(|actor| vector.tip(actor)) {
                Some(tip) => {
                    let row = rows::encode_vector(tip.id.seq, tip.mark)?;
                    self.put(Space::Vectors, key, row);
                }
                None => self.remove(Space::Vectors, key),
            }
        }
        // It may hold what has left.
        self.remove(Space::Snapshots, list.0.to_vec());
        Ok(())
    }

    /// Changes of a list come back from aside, or are new.
    fn come_back(&mut self, list: ListId, changes: &[RawChange]) -> Result<(), Failure> {
        for change in changes {
            self.remove(Space::Aside, keys::aside(list, change.id, change.hash));
            self.add_change(list, Tip::of(change.id, change.hash), &change.bytes)?;
        }
        Ok(())
    }

    /// The keys of all rows of a list's view, but for its own row. Those in the agenda are found by
    /// the places of entries; with `thorough` all of the agenda is looked through for others, and
    /// for rows that no entry of any list leads to.
    fn places(
        &self,
        list: ListId,
        name: &ListName,
        thorough: bool,
    ) -> Result<BTreeSet<(Space, Vec<u8>)>, Failure> {
        let mut found = BTreeSet::new();
        for space in [Space::Entries, Space::Ids, Space::Dues] {
            found.extend(
                self.keys(space, &list.0)?
                    .into_iter()
                    .map(|key| (space, key)),
            );
        }
        for (_, key) in found
            .clone()
            .into_iter()
            .filter(|(space, _)| *space == Space::Ids)
        {
            let stand = self.get(Space::Ids, &key)?;
            if let Some((due, place)) = stand.as_deref().and_then(keys::split_due) {
                found.insert((Space::Agenda, keys::agenda(due, name, place)));
            }
        }
        if thorough {
            for row in View::of(Arc::clone(self.db)).scan_prefix(Space::Agenda, &[]) {
                let (key, _) = row?;
                if self.is_stray(list, &key)? {
                    found.insert((Space::Agenda, key.to_vec()));
                }
            }
        }
        Ok(found)
    }

    /// Whether a row of the agenda has to go when that list is made anew: it is of the list, or no
    /// entry leads to it. Where the row that should lead to it is damaged, it stays until its own
    /// list is made anew.
    fn is_stray(&self, list: ListId, key: &[u8]) -> Result<bool, ReadError> {
        let Some((due, name, place)) = keys::split_agenda(key) else {
            return Ok(true);
        };
        let of = ListId::of(&name);
        let Some(id) = keys::entry_of_place(place).filter(|_| of != list) else {
            return Ok(true);
        };
        let Some(stand) = self.get(Space::Ids, &keys::id(of, id))? else {
            return Ok(true);
        };
        Ok(keys::split_due(&stand).is_some_and(|(due_now, place_now)| {
            keys::entry_of_place(place_now) == Some(id) && (due_now, place_now) != (due, place)
        }))
    }

    /// All keys with a prefix, committed or in this batch.
    fn keys(&self, space: Space, prefix: &[u8]) -> Result<BTreeSet<Vec<u8>>, ReadError> {
        let view = View::of(Arc::clone(self.db));
        let mut keys = BTreeSet::new();
        for row in view.scan_prefix(space, prefix) {
            keys.insert(row?.0.to_vec());
        }
        for (key, value) in self.writes.get(&space).into_iter().flatten() {
            if key.starts_with(prefix) && value.is_some() {
                keys.insert(key.clone());
            }
        }
        Ok(keys)
    }

    /// Moves an entry from where it stands in all views to where it belongs.
    fn add_entry(
        &mut self,
        list: ListId,
        name: Option<&ListName>,
        id: EntryId,
        entry: Option<&Entry>,
    ) -> Result<(), Failure> {
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
                rows::encode_entry(entry)?,
            );
        }
        Ok(())
    }

    /// The name of a list that has a row, be it in this batch.
    fn name(&self, list: ListId) -> Result<Option<ListName>, ReadError> {
        let Some(row) = self.get(Space::Lists, &list.0)? else {
            tracing::error!(%list, "an entry was written before its list");
            return Ok(None);
        };
        let name = rows::decode_list_name(&row);
        name.map(Some).map_err(|error| ReadError::view(list, error))
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
