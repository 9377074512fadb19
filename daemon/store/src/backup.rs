//! Writing lists into a backup ([`archive`]), as they were at one instant.

use super::db::Space;
use super::keys;
use super::read::{ReadError, Reader};
use archive::{Kind, Writer};
use crdt::list;
use names::{ChangeHash, ChangeId, ListId, ListName};
use node::lists::{Source, SourceError, each_change};
use std::collections::BTreeSet;
use std::io::Write;

/// Why a backup was not written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The backup cannot be written.
    #[error("the backup cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// What is written into a backup.
pub struct Backup<'a, W> {
    reader: Reader,
    writer: &'a mut Writer<W>,
    is_lacking: bool,
}

impl<W> std::fmt::Debug for Backup<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").finish_non_exhaustive()
    }
}

impl<'a, W: Write> Backup<'a, W> {
    /// Begins to write what the store has at this instant, and writes the salts of all actors. Calls block.
    ///
    /// # Errors
    /// The store cannot be read, or the backup not be written.
    pub fn begin(reader: &Reader, writer: &'a mut Writer<W>) -> Result<Self, BackupError> {
        let reader = reader.at_this_instant()?;
        for row in reader.view()?.scan_prefix(Space::Meta, keys::SALT) {
            writer.put(Kind::Salt, &row?.1)?;
        }
        Ok(Self {
            reader,
            writer,
            is_lacking: false,
        })
    }

    /// Whether the disk did not give all of what was to be written.
    pub fn is_lacking(&self) -> bool {
        self.is_lacking
    }

    /// Writes all lists, those without entries too.
    ///
    /// # Errors
    /// As of [`Backup::begin`].
    pub fn lists(&mut self) -> Result<(), BackupError> {
        for row in self.reader.view()?.scan_prefix(Space::Names, &[]) {
            // A key that is none is not of any list.
            if let Some(name) = keys::list_name(&row?.0) {
                self.list(&name)?;
            }
        }
        Ok(())
    }

    /// Writes a list. Gives how many rows of its changes that were.
    ///
    /// # Errors
    /// As of [`Backup::begin`].
    pub fn list(&mut self, name: &ListName) -> Result<u64, BackupError> {
        let list = ListId::of(name);
        self.writer.put(Kind::List, name.as_str().as_bytes())?;
        let (mut rows, mut written) = (0, BTreeSet::new());
        match self.plain_rows(list) {
            Ok(Some(plain)) => {
                self.in_order(list, &mut |_| {})?;
                rows = plain;
            }
            Ok(None) => {
                self.in_order(list, &mut |hash| written.extend([hash]))?;
                rows += self.others(list, &mut written)?;
            }
            Err(ReadError::Damaged(reason)) => {
                self.lacks(&reason)?;
                let in_order = self.in_order(list, &mut |hash| written.extend([hash]));
                unless_damaged(in_order)?;
                rows += self.one_by_one(list, &mut written)?;
            }
            Err(error) => return Err(error.into()),
        }
        for (space, kind) in [(Space::LeftOut, Kind::LeftOut), (Space::Aside, Kind::Aside)] {
            for row in self.reader.view()?.scan_prefix(space, &list.0) {
                match row {
                    Ok((_, value)) => self.writer.put(kind, &value)?,
                    Err(ReadError::Damaged(reason)) => self.lacks(&reason)?,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let in_order = u64::try_from(written.len()).unwrap_or(u64::MAX);
        Ok(rows.saturating_add(in_order))
    }

    fn lacks(&mut self, reason: &str) -> Result<(), BackupError> {
        self.is_lacking = true;
        Ok(self.writer.put(Kind::Lacking, reason.as_bytes())?)
    }

    /// How many rows the list's changes have, if they are nothing but changes without a gap.
    fn plain_rows(&self, list: ListId) -> Result<Option<u64>, ReadError> {
        let (mut rows, mut last) = (0, Vec::new());
        for row in self.reader.view()?.scan_prefix(Space::Changes, &list.0) {
            let (key, bytes) = row?;
            let seq = keys::seq_of(&key);
            let is_next = match seq {
                Some(1) => true,
                Some(seq) => last == keys::change_before(&key, seq),
                None => false,
            };
            if !is_next || list::start_op(&bytes).is_none() {
                return Ok(None);
            }
            last = key.to_vec();
            rows += 1;
        }
        Ok(Some(rows))
    }

    /// Writes the list's changes, each behind those that it depends on, as far as they are found so.
    fn in_order(
        &mut self,
        list: ListId,
        note: &mut dyn FnMut(ChangeHash),
    ) -> Result<(), BackupError> {
        let (writer, mut failed) = (&mut *self.writer, None);
        each_change(list, &self.reader, &mut |bytes| {
            if list::start_op(&bytes).is_some() {
                note(list::hash_of(&bytes));
                failed = writer.put(Kind::Change, &bytes).err();
            }
            failed.is_none()
        })
        .map_err(unreadable)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Writes the rows of the list's changes that were not written before. Gives how many of them are no
    /// changes.
    fn others(
        &mut self,
        list: ListId,
        written: &mut BTreeSet<ChangeHash>,
    ) -> Result<u64, BackupError> {
        let mut odd = 0;
        for row in self.reader.view()?.scan_prefix(Space::Changes, &list.0) {
            let (key, bytes) = row?;
            odd += self.raw(&key, &bytes, written)?;
        }
        Ok(odd)
    }

    /// The same of those rows that the disk gives.
    fn one_by_one(
        &mut self,
        list: ListId,
        written: &mut BTreeSet<ChangeHash>,
    ) -> Result<u64, BackupError> {
        let view = self.reader.view()?;
        let vector = self.reader.vector(list).map_err(unreadable)?;
        let mut odd = 0;
        for tip in vector.iter() {
            for seq in 1..=tip.id.seq {
                let key = keys::change(list, ChangeId { seq, ..tip.id });
                match view.get(Space::Changes, &key) {
                    Ok(Some(bytes)) => odd += self.raw(&key, &bytes, written)?,
                    Ok(None) | Err(ReadError::Damaged(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(odd)
    }

    fn raw(
        &mut self,
        key: &[u8],
        bytes: &[u8],
        written: &mut BTreeSet<ChangeHash>,
    ) -> Result<u64, BackupError> {
        if list::start_op(bytes).is_none() {
            let id = key.get(16..).unwrap_or_default();
            self.writer.put(Kind::Odd, &[id, bytes].concat())?;
            return Ok(1);
        }
        if written.insert(list::hash_of(bytes)) {
            self.writer.put(Kind::Change, bytes)?;
        }
        Ok(0)
    }
}

fn unless_damaged(written: Result<(), BackupError>) -> Result<(), BackupError> {
    match written {
        Err(BackupError::Read(ReadError::Damaged(_))) => Ok(()),
        written => written,
    }
}

fn unreadable(error: SourceError) -> BackupError {
    BackupError::Read(if error.is_damage {
        ReadError::Damaged(error.reason)
    } else {
        ReadError::Failed(error.reason)
    })
}
