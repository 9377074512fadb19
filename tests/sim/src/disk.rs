//! A disk as the store shows it: commits in order and in groups, durable when they return and not
//! before.

mod image;
mod reader;

pub use image::{Image, hash_of};
pub use reader::Reader;

use crate::chance::Chance;
use bytes::Bytes;
use names::ListId;
use node::lists::Row;
use node::registry::KeptRow;
use node::time::Instant;
use node::wire::{WriteError, WriteId};
use std::collections::VecDeque;
use std::time::Duration;

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
