//! What is on a disk, and what rows do to it.

use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{LeftOut, RawChange, Salt};
use crdt::vector::{Sums, Tip, VersionVector};
use names::{Actor, ChangeHash, ChangeId, EntryId, ListId, NodeId};
use node::lists::{ListRow, Remake, Row};
use node::registry::KeptRow;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a disk holds: what a process finds when it starts.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// What the cluster machine keeps.
    pub cluster: Option<Bytes>,
    /// Rows of the registry, written without a sync.
    pub kept: BTreeMap<Bytes, Bytes>,
    /// Raw changes.
    pub changes: BTreeMap<(ListId, Actor, u64), Bytes>,
    /// The view's lines of lists.
    pub lists: BTreeMap<ListId, ListRow>,
    /// The view's entries.
    pub entries: BTreeMap<(ListId, EntryId), Arc<Entry>>,
    /// Documents in compact form.
    pub snapshots: BTreeMap<ListId, (VersionVector, Bytes)>,
    /// Lists that cannot be loaded, with the reason.
    pub quarantined: BTreeMap<ListId, String>,
    /// Lists whose rows are to be made anew after the next start.
    pub remake: BTreeMap<ListId, Remake>,
    /// What stays of changes with one number.
    pub left_out: BTreeMap<(ListId, Vec<u8>), LeftOut>,
    /// Salts of actors, by their nodes.
    pub salts: BTreeMap<(NodeId, [u8; 16]), Salt>,
    /// How many changes of its actors the node has made.
    pub made: BTreeMap<(ListId, Actor), u64>,
    /// Changes that were in a list once.
    pub aside: BTreeMap<(ListId, ChangeHash), Bytes>,
    hashes: BTreeSet<ChangeHash>,
}

/// The hash by which a raw change is known: SHA-256 of all that follows its magic and checksum.
pub fn hash_of(change: &[u8]) -> ChangeHash {
    ChangeHash(Sha256::digest(change.get(8..).unwrap_or_default()).into())
}

impl Image {
    /// The version vector of a list.
    pub fn vector(&self, list: ListId) -> VersionVector {
        let (first, last) = (
            (list, Actor([0; 16]), 0),
            (list, Actor([255; 16]), u64::MAX),
        );
        let mut last_of: BTreeMap<Actor, (u64, &Bytes)> = BTreeMap::new();
        for (&(_, actor, seq), bytes) in self.changes.range(first..=last) {
            last_of.insert(actor, (seq, bytes));
        }
        last_of
            .into_iter()
            .map(|(actor, (seq, bytes))| Tip::of(ChangeId { actor, seq }, hash_of(bytes)))
            .collect()
    }

    /// All lists with the sums of their vectors, as a store tells them at its start.
    pub fn known(&self) -> Vec<(ListId, Sums)> {
        let lists: BTreeSet<ListId> = self
            .changes
            .keys()
            .map(|(list, ..)| *list)
            .chain(self.lists.keys().copied())
            .collect();
        lists
            .into_iter()
            .map(|list| (list, self.sums(list)))
            .collect()
    }

    fn sums(&self, list: ListId) -> Sums {
        let mut sums = self.vector(list).sums(list);
        let left_out = self.left_out.iter().filter(|((of, _), _)| *of == list);
        left_out.for_each(|(_, one)| sums.leave_out(list, one.ruling()));
        sums
    }

    /// All raw changes of a list.
    pub fn changes_of(&self, list: ListId) -> impl Iterator<Item = &Bytes> {
        let (first, last) = (
            (list, Actor([0; 16]), 0),
            (list, Actor([255; 16]), u64::MAX),
        );
        self.changes.range(first..=last).map(|(_, bytes)| bytes)
    }

    /// The view of a list, by id.
    pub fn entries_of(&self, list: ListId) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries
            .range((list, EntryId(0))..=(list, EntryId(u128::MAX)))
            .map(|(_, entry)| entry)
    }

    /// Whether that change is here.
    pub fn has(&self, change: &ChangeHash) -> bool {
        self.hashes.contains(change)
    }

    /// Hashes of all changes here.
    pub fn hashes(&self) -> &BTreeSet<ChangeHash> {
        &self.hashes
    }

    /// Puts a row of the registry in; gives the row that takes that back.
    pub(super) fn keep(&mut self, row: KeptRow) -> KeptRow {
        let before = match row.value {
            Some(value) => self.kept.insert(row.key.clone(), value),
            None => self.kept.remove(&row.key),
        };
        KeptRow {
            key: row.key,
            value: before,
        }
    }

    /// Puts a row in; tells what about it breaks the store's contract.
    pub(super) fn put(&mut self, row: &Row) -> Result<(), String> {
        match row {
            Row::Change {
                list, id, bytes, ..
            } => return self.put_change(*list, *id, bytes),
            Row::Entry {
                list,
                id,
                entry: Some(entry),
            } => {
                self.entries.insert((*list, *id), Arc::clone(entry));
            }
            Row::Entry {
                list,
                id,
                entry: None,
            } => {
                self.entries.remove(&(*list, *id));
            }
            Row::List { list, row } => {
                self.lists.insert(*list, row.clone());
            }
            Row::View {
                list, row, entries, ..
            } => {
                self.entries.retain(|(of, _), _| of != list);
                for entry in entries {
                    self.entries.insert((*list, entry.id), Arc::clone(entry));
                }
                self.lists.insert(*list, row.clone());
                self.remake.remove(list);
            }
            Row::LeaveOut {
                list,
                row,
                entries,
                settled,
                moved,
                unseen,
                added,
                ..
            } => {
                let aside = unseen
                    .iter()
                    .map(|one| ((*list, one.hash), one.bytes.clone()));
                self.aside.extend(aside);
                return self.leave_out(*list, (row, entries), settled, (moved, added));
            }
            Row::Made { list, id } => {
                self.made.insert((*list, id.actor), id.seq);
            }
            Row::Salt(salt) => {
                self.salts.insert((salt.owner(), salt.salt()), salt.clone());
            }
            Row::Snapshot {
                list,
                covers,
                bytes,
            } => {
                self.snapshots
                    .insert(*list, (covers.clone(), bytes.clone()));
            }
            Row::Quarantine { list, reason, .. } => {
                self.quarantined.insert(*list, reason.clone());
            }
            Row::Release { list } => {
                self.quarantined.remove(list);
            }
            Row::Drop { list } => self.drop_list(*list),
        }
        Ok(())
    }

    /// Removes everything of a list.
    fn drop_list(&mut self, list: ListId) {
        let hashes: Vec<ChangeHash> = self.changes_of(list).map(|bytes| hash_of(bytes)).collect();
        for hash in hashes {
            self.hashes.remove(&hash);
        }
        self.changes.retain(|(of, ..), _| *of != list);
        self.entries.retain(|(of, _), _| *of != list);
        self.left_out.retain(|(of, _), _| *of != list);
        self.aside.retain(|(of, _), _| *of != list);
        self.made.retain(|(of, _), _| *of != list);
        self.lists.remove(&list);
        self.snapshots.remove(&list);
        self.quarantined.remove(&list);
        self.remake.remove(&list);
    }

    /// Moves changes of a list aside, and makes its view anew.
    fn leave_out(
        &mut self,
        list: ListId,
        (row, entries): (&ListRow, &[Arc<Entry>]),
        settled: &[LeftOut],
        (moved, added): (&[RawChange], &[RawChange]),
    ) -> Result<(), String> {
        for change in moved {
            let key = (list, change.id.actor, change.id.seq);
            if self.changes.remove(&key).as_ref() != Some(&change.bytes) {
                return Err(format!("{key:?} was moved aside and is not there"));
            }
            // The liar gives changes of one list to others, too.
            let mut all = self.changes.values();
            if !all.any(|bytes| hash_of(bytes) == change.hash) {
                self.hashes.remove(&change.hash);
            }
            let key = (list, change.hash);
            self.aside.insert(key, change.bytes.clone());
        }
        self.left_out.retain(|(of, _), _| *of != list);
        for one in settled {
            self.left_out.insert((list, one.key()), one.clone());
        }
        for change in added {
            self.aside.remove(&(list, change.hash));
            self.put_change(list, change.id, &change.bytes)?;
        }
        self.snapshots.remove(&list);
        self.entries.retain(|(of, _), _| *of != list);
        for entry in entries {
            self.entries.insert((list, entry.id), Arc::clone(entry));
        }
        self.lists.insert(list, row.clone());
        Ok(())
    }

    fn put_change(&mut self, list: ListId, id: ChangeId, bytes: &Bytes) -> Result<(), String> {
        let key = (list, id.actor, id.seq);
        if let Some(old) = self.changes.get(&key) {
            return if old == bytes {
                Ok(())
            } else {
                Err(format!(
                    "change {id:?} of {list} was \
                written with other bytes"
                ))
            };
        }
        if id.seq == 0 || (id.seq > 1 && !self.changes.contains_key(&(list, id.actor, id.seq - 1)))
        {
            return Err(format!(
                "change {id:?} of {list} was written before the one before it"
            ));
        }
        self.hashes.insert(hash_of(bytes));
        self.changes.insert(key, bytes.clone());
        Ok(())
    }
}
