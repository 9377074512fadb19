//! Writing lists into a backup ([`archive`]), as they were at one instant.

use super::db::Space;
use super::keys;
use super::read::{ReadError, Reader};
use archive::{Kind, Writer};
use crdt::list;
use names::{ListId, ListName};
use node::lists::{Source, SourceError, each_change};
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
        Ok(Self { reader, writer })
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

    /// Writes a list.
    ///
    /// # Errors
    /// As of [`Backup::begin`].
    pub fn list(&mut self, name: &ListName) -> Result<(), BackupError> {
        let list = ListId::of(name);
        self.writer.put(Kind::List, name.as_str().as_bytes())?;
        match self.in_order(list) {
            Ok(true) => {}
            Ok(false) => self.as_they_stand(list)?,
            Err(BackupError::Read(ReadError::Damaged(reason))) => {
                self.writer.put(Kind::Lacking, reason.as_bytes())?;
                self.one_by_one(list)?;
            }
            Err(error) => return Err(error),
        }
        for (space, kind) in [(Space::LeftOut, Kind::LeftOut), (Space::Aside, Kind::Aside)] {
            for row in self.reader.view()?.scan_prefix(space, &list.0) {
                match row {
                    Ok((_, value)) => self.writer.put(kind, &value)?,
                    Err(ReadError::Damaged(reason)) => {
                        self.writer.put(Kind::Lacking, reason.as_bytes())?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Writes the list's changes, each behind those that it depends on. False if there are rows that this did
    /// not bring.
    fn in_order(&mut self, list: ListId) -> Result<bool, BackupError> {
        let rows = self.reader.view()?.scan_prefix(Space::Changes, &list.0);
        let rows = rows.count_keys()?;
        let (mut written, mut failed) = (0_u64, None);
        let writer = &mut *self.writer;
        each_change(list, &self.reader, &mut |bytes| {
            if list::start_op(&bytes).is_none() {
                return true;
            }
            written += 1;
            failed = writer.put(Kind::Change, &bytes).err();
            failed.is_none()
        })
        .map_err(unreadable)?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(written == rows),
        }
    }

    /// Writes all rows of the list's changes in the order of their keys, also those that were written before.
    fn as_they_stand(&mut self, list: ListId) -> Result<(), BackupError> {
        for row in self.reader.view()?.scan_prefix(Space::Changes, &list.0) {
            let (key, bytes) = row?;
            self.raw(&key, &bytes)?;
        }
        Ok(())
    }

    /// Writes those rows of the list's changes that the disk gives.
    fn one_by_one(&mut self, list: ListId) -> Result<(), BackupError> {
        let view = self.reader.view()?;
        let vector = self.reader.vector(list).map_err(unreadable)?;
        for tip in vector.iter() {
            for seq in 1..=tip.id.seq {
                let key = keys::change(list, names::ChangeId { seq, ..tip.id });
                match view.get(Space::Changes, &key) {
                    Ok(Some(bytes)) => self.raw(&key, &bytes)?,
                    Ok(None) | Err(ReadError::Damaged(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn raw(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), BackupError> {
        if list::start_op(bytes).is_some() {
            return Ok(self.writer.put(Kind::Change, bytes)?);
        }
        let id = key.get(16..).unwrap_or_default();
        Ok(self.writer.put(Kind::Odd, &[id, bytes].concat())?)
    }
}

fn unreadable(error: SourceError) -> BackupError {
    BackupError::Read(if error.is_damage {
        ReadError::Damaged(error.reason)
    } else {
        ReadError::Failed(error.reason)
    })
}
