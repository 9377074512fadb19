//! A disk as the store shows it: commits in order and in groups, durable when they return and not
//! before.

mod reader;

pub use reader::Reader;

use crate::chance::Chance;
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{LeftOut, RawChange, Salt};
use crdt::vector::{Sums, Tip, VersionVector};
use names::{Actor, ChangeHash, ChangeId, EntryId, ListId, NodeId};
use node::lists::{ListRow, Remake, Row};
use node::registry::KeptRow;
use node::time::Instant;
use node::wire::{WriteError, WriteId};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

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
    fn keep(&mut self, row: KeptRow) -> KeptRow {
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
    fn put(&mut self, row: &Row) -> Result<(), String> {
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
            Row::Salts { learned, dropped } => self.keep_salts(learned, dropped),
            Row::Snapshot {
                list,
                covers,
                bytes,
            } => {
                self.snapshots
                    .insert(*list, (covers.clone(), bytes.clone()));
            }
            Row::Quarantine { list, reason } => {
                self.quarantined.insert(*list, reason.clone());
            }
        }
        Ok(())
    }

    fn keep_salts(&mut self, learned: &[Salt], dropped: &[Salt]) {
        let key = |salt: &Salt| (salt.owner(), salt.salt());
        for salt in dropped {
            self.salts.remove(&key(salt));
        }
        self.salts
            .extend(learned.iter().map(|salt| (key(salt), salt.clone())));
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
            self.hashes.remove(&change.hash);
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

/// What one commit writes.
#[derive(Clone, Debug)]
pub enum Content {
    /// Rows of a lists machine.
    Rows(Vec<Row>),
    /// What the cluster machine keeps.
    Cluster(Bytes),
}

/// A commit on its way.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The machine that asked.
    pub machine: usize,
    /// Its name for it.
    pub id: WriteId,
    /// What to write.
    pub content: Content,
}

/// A commit that has returned.
#[derive(Clone, Debug)]
pub struct Returned {
    /// The machine that asked.
    pub machine: usize,
    /// Its name for it.
    pub id: WriteId,
    /// How it went.
    pub result: Result<(), WriteError>,
}

/// How much of what was not synced yet a crash leaves on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing of it.
    Nothing,
    /// All of it.
    Everything,
    /// The first commits of it.
    Prefix,
}

/// One host's disk and the commit thread of the process that uses it.
#[derive(Debug)]
pub struct Disk {
    /// What is durable.
    pub image: Image,
    /// An older state, which a careless person may restore.
    pub backup: Option<Image>,
    /// The shortest and the longest time that a batch takes.
    pub pace: (Duration, Duration),
    /// How the next batch fails, if it does, and what of it is there afterwards.
    pub failing: Option<(WriteError, Survival)>,
    /// How all batches fail, as long as they do; nothing of them is there.
    pub broken: Option<WriteError>,
    /// What was written against the contract.
    pub violations: Vec<String>,
    waiting: VecDeque<Commit>,
    batch: Vec<Commit>,
    reopening: bool,
    /// Rows of the registry on their way, in order.
    keeping: VecDeque<(WriteId, Vec<KeptRow>)>,
    /// When the last of them is written.
    kept_until: Instant,
    /// What takes the rows back that were written since the last sync, the newest last.
    unsynced: Vec<KeptRow>,
    chance: Chance,
}

impl Disk {
    /// An empty disk.
    pub fn new(chance: Chance) -> Self {
        let pace = (Duration::from_micros(100), Duration::from_millis(3));
        let (image, waiting, batch, keeping, kept_until, unsynced) = Default::default();
        let (backup, failing, violations, reopening) = Default::default();
        Self {
            image,
            backup,
            pace,
            failing,
            broken: None,
            violations,
            waiting,
            batch,
            reopening,
            keeping,
            kept_until,
            unsynced,
            chance,
        }
    }

    /// Takes a commit; refused while the store is being reopened.
    pub fn commit(&mut self, commit: Commit) -> Result<(), Returned> {
        if self.reopening {
            return Err(Returned {
                machine: commit.machine,
                id: commit.id,
                result: Err(WriteError::Failed),
            });
        }
        self.waiting.push_back(commit);
        Ok(())
    }

    /// Begins the next batch if none is being written: how long it takes.
    pub fn begin(&mut self) -> Option<Duration> {
        if !self.batch.is_empty() || self.waiting.is_empty() {
            return None;
        }
        self.batch.extend(self.waiting.drain(..));
        Some(self.chance.span(self.pace.0, self.pace.1))
    }

    /// The batch is done: every commit of it, and if it failed every one behind it, returns.
    pub fn finish(&mut self) -> Vec<Returned> {
        let broken = self.broken.map(|error| (error, Survival::Nothing));
        let Some((error, survival)) = self.failing.take().or(broken) else {
            let batch = std::mem::take(&mut self.batch);
            batch.iter().for_each(|commit| self.apply(commit));
            // One journal: what was written before is synced, too.
            self.unsynced.clear();
            return batch
                .into_iter()
                .map(|Commit { machine, id, .. }| Returned {
                    machine,
                    id,
                    result: Ok(()),
                })
                .collect();
        };
        self.reopening = true;
        let failed: Vec<Commit> = self.batch.iter().chain(&self.waiting).cloned().collect();
        self.settle_batch(survival);
        failed
            .into_iter()
            .map(|Commit { machine, id, .. }| Returned {
                machine,
                id,
                result: Err(error),
            })
            .collect()
    }

    /// How many writes are on their way by which changes leave a list.
    pub fn settling_writes(&self, list: ListId) -> usize {
        let commits = self.batch.iter().chain(&self.waiting);
        let is_of_list = |commit: &&Commit| match &commit.content {
            Content::Rows(rows) => rows.iter().any(|row| settles(row, list)),
            Content::Cluster(_) => false,
        };
        commits.filter(is_of_list).count()
    }

    /// Whether the store waits to be reopened.
    pub fn is_reopening(&self) -> bool {
        self.reopening
    }

    /// The store works again.
    pub fn reopen(&mut self) {
        self.reopening = false;
    }

    /// Takes rows of the registry, to be written without a sync: when they are.
    pub fn keep(&mut self, now: Instant, id: WriteId, rows: Vec<KeptRow>) -> Instant {
        self.keeping.push_back((id, rows));
        let takes = self.chance.span(Duration::from_micros(20), self.pace.1 / 4);
        self.kept_until = self.kept_until.max(now + takes);
        self.kept_until
    }

    /// The next rows of the registry are written, or not, and nobody knows.
    pub fn kept(&mut self) -> Option<(WriteId, Result<(), WriteError>)> {
        let (id, rows) = self.keeping.pop_front()?;
        let broken = if self.reopening {
            Some(WriteError::Failed)
        } else {
            self.failing.map(|(error, _)| error).or(self.broken)
        };
        match broken {
            Some(error) => {
                if self.chance.happens(0.5) {
                    self.write(rows);
                }
                Some((id, Err(error)))
            }
            None => {
                self.write(rows);
                Some((id, Ok(())))
            }
        }
    }

    /// Somebody replaces what it holds.
    pub fn replace(&mut self, image: Image) {
        self.image = image;
        self.unsynced.clear();
    }

    fn write(&mut self, rows: Vec<KeptRow>) {
        for row in rows {
            let back = self.image.keep(row);
            self.unsynced.push(back);
        }
    }

    /// The host loses its power: some of what was not synced is lost, the newest first.
    pub fn lose_power(&mut self) {
        let left = self.chance.below(self.unsynced.len() + 1);
        for row in self.unsynced.drain(..).skip(left).rev() {
            self.image.keep(row);
        }
    }

    /// The process ends: what was not synced survives as told. Of the registry's rows survives what
    /// was written, and some of what was being written.
    pub fn settle(&mut self, survival: Survival) {
        let kept = self.chance.below(self.keeping.len() + 1);
        let rows: Vec<Vec<KeptRow>> = self
            .keeping
            .drain(..)
            .take(kept)
            .map(|(_, rows)| rows)
            .collect();
        rows.into_iter().for_each(|rows| self.write(rows));
        self.settle_batch(survival);
    }

    fn settle_batch(&mut self, survival: Survival) {
        let batch = std::mem::take(&mut self.batch);
        // A failed batch is one write of the journal; what waited behind it was never written.
        let keep = match survival {
            Survival::Nothing => 0,
            Survival::Everything => batch.len(),
            Survival::Prefix => self.chance.below(batch.len() + 1),
        };
        batch
            .iter()
            .take(keep)
            .for_each(|commit| self.apply(commit));
        self.waiting.clear();
    }

    /// The process ends in order: all that was asked for is written.
    pub fn flush(&mut self) {
        if self.reopening {
            return self.settle(Survival::Nothing);
        }
        let kept: Vec<Vec<KeptRow>> = self.keeping.drain(..).map(|(_, rows)| rows).collect();
        kept.into_iter().for_each(|rows| self.write(rows));
        let all: Vec<Commit> = self.batch.drain(..).chain(self.waiting.drain(..)).collect();
        all.iter().for_each(|commit| self.apply(commit));
    }

    /// What jobs read; fails now and then while the store is being reopened.
    pub fn reader(&mut self) -> Reader<'_> {
        let broken = self.reopening && self.chance.happens(0.5);
        Reader::new(&self.image, broken)
    }

    fn apply(&mut self, commit: &Commit) {
        match &commit.content {
            Content::Cluster(bytes) => self.image.cluster = Some(bytes.clone()),
            Content::Rows(rows) => {
                let wrong = rows.iter().filter_map(|row| self.image.put(row).err());
                self.violations.extend(wrong);
            }
        }
    }
}

/// Whether changes leave that list by it.
fn settles(row: &Row, list: ListId) -> bool {
    matches!(row, Row::LeaveOut { list: of, .. } if *of == list)
}
