//! Writing a backup.

use crate::{About, HEAD_BYTES, Kind, MAX_CONTENT_BYTES, Sum, Totals, beginning};
use std::io::{Error, ErrorKind, Write};

/// Writes a backup, a block at a time. One that is not [finished](Writer::finish) is no backup.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    sum: Sum,
    totals: Totals,
}

impl<W: Write> Writer<W> {
    /// Begins a backup.
    ///
    /// # Errors
    /// Writing fails.
    pub fn new(mut out: W, about: &About) -> Result<Self, Error> {
        let beginning = beginning();
        out.write_all(&beginning)?;
        let mut writer = Self {
            out,
            sum: Sum::first(&beginning),
            totals: Totals::default(),
        };
        writer.put(Kind::About, &serde_json::to_vec(about)?)?;
        Ok(writer)
    }

    /// Writes a block.
    ///
    /// # Errors
    /// Writing fails, or the content is larger than a block may be.
    pub fn put(&mut self, kind: Kind, content: &[u8]) -> Result<(), Error> {
        if content.len() > MAX_CONTENT_BYTES {
            let words = "it is larger than a block of a backup may be";
            return Err(Error::new(ErrorKind::InvalidInput, words));
        }
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut head = [kind as u8; HEAD_BYTES];
        if let Some((_, rest)) = head.split_first_mut() {
            rest.copy_from_slice(&length.to_be_bytes());
        }
        self.sum = self.sum.after(head, content);
        self.totals.count(kind);
        self.out.write_all(&head)?;
        self.out.write_all(content)?;
        self.out.write_all(&self.sum.0)
    }

    /// What was written until now.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Writes the end mark. Gives what was written to, flushed.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(mut self) -> Result<W, Error> {
        self.put(Kind::End, &self.totals.bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}
