//! Reading a backup.

use crate::{About, HEAD_BYTES, Kind, MAGIC, MAX_CONTENT_BYTES, SUM_BYTES, Sum, Totals, VERSION};
use std::io::{Error, ErrorKind, Read};

/// Why a file is no backup, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It does not begin as one.
    #[error("it is no backup of muster")]
    NoArchive,
    /// A newer program has made it.
    #[error("a newer program has made it (version {0} of the format): read it with that one")]
    Newer(u32),
    /// It ends before its end mark.
    #[error("it is cut off: it ends at byte {at}, before its end mark")]
    CutOff {
        /// Where it ends.
        at: u64,
    },
    /// A block is not what was written.
    #[error("it is damaged: the block at byte {at} is not what was written there")]
    Damaged {
        /// Where the block begins.
        at: u64,
    },
    /// The end mark does not say what there was.
    #[error("it is damaged: its end mark does not say what is in it")]
    Miscounted,
    /// There is something behind the end mark.
    #[error("it is damaged: something follows its end mark")]
    Trailing,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] Error),
}

/// A block as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it holds.
    pub kind: Kind,
    /// Its content.
    pub content: Vec<u8>,
}

/// Reads a backup, a block at a time. Each block that it gives is as it was written; whether the file is whole
/// is known at its end only.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    at: u64,
    sum: Sum,
    totals: Totals,
    about: About,
    is_over: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a backup.
    ///
    /// # Errors
    /// It is none.
    pub fn new(mut input: R) -> Result<Self, ArchiveError> {
        let mut beginning = [0; 12];
        input.read_exact(&mut beginning).map_err(|error| {
            if error.kind() == ErrorKind::UnexpectedEof {
                ArchiveError::NoArchive
            } else {
                ArchiveError::Io(error)
            }
        })?;
        let version = beginning.strip_prefix(&MAGIC[..]);
        let version = version.and_then(|version| version.try_into().ok());
        match version.map(u32::from_be_bytes) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => return Err(ArchiveError::Newer(newer)),
            Some(_) | None => return Err(ArchiveError::NoArchive),
        }
        let mut reader = Self {
            input,
            at: beginning.len() as u64,
            sum: Sum::first(&beginning),
            totals: Totals::default(),
            about: About {
                node: String::new(),
                cluster: String::new(),
                made_at_ms: 0,
                program: String::new(),
            },
            is_over: false,
        };
        let at = reader.at;
        let (kind, content) = reader.raw_block()?;
        let about = serde_json::from_slice(&content).ok();
        reader.about = about
            .filter(|_| Kind::of(kind) == Some(Kind::About))
            .ok_or(ArchiveError::Damaged { at })?;
        Ok(reader)
    }

    /// Who made it, and when.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What was read until now.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The next block of a kind that this program knows; `None` after the end mark.
    ///
    /// # Errors
    /// The file is damaged or cut off, or cannot be read: nothing more can be had from it.
    pub fn next_block(&mut self) -> Result<Option<Block>, ArchiveError> {
        while !self.is_over {
            let (kind, content) = self.raw_block()?;
            match Kind::of(kind) {
                None => {}
                Some(Kind::End) => self.end(&content)?,
                Some(kind) => {
                    self.totals.count(kind);
                    return Ok(Some(Block { kind, content }));
                }
            }
        }
        Ok(None)
    }

    fn end(&mut self, content: &[u8]) -> Result<(), ArchiveError> {
        if content != self.totals.bytes() {
            return Err(ArchiveError::Miscounted);
        }
        if self.input.read(&mut [0])? > 0 {
            return Err(ArchiveError::Trailing);
        }
        self.is_over = true;
        Ok(())
    }

    fn raw_block(&mut self) -> Result<(u8, Vec<u8>), ArchiveError> {
        let began = self.at;
        let damaged = || ArchiveError::Damaged { at: began };
        let mut head = [0; HEAD_BYTES];
        self.fill(&mut head)?;
        let (&kind, length) = head.split_first().ok_or_else(damaged)?;
        let length = length.try_into().map_err(|_| damaged())?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| damaged())?;
        if length > MAX_CONTENT_BYTES {
            return Err(damaged());
        }
        let mut content = Vec::new();
        let read = self.input.by_ref().take(length as u64);
        let got = { read }.read_to_end(&mut content)?;
        self.at = self.at.saturating_add(got as u64);
        if got < length {
            return Err(ArchiveError::CutOff { at: self.at });
        }
        let mut sum = [0; SUM_BYTES];
        self.fill(&mut sum)?;
        self.sum = self.sum.after(head, &content);
        if self.sum != Sum(sum) {
            return Err(damaged());
        }
        Ok((kind, content))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        let mut got = 0;
        while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => return Err(ArchiveError::CutOff { at: self.at }),
                Ok(read) => {
                    got += read;
                    self.at = self.at.saturating_add(read as u64);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
