//! Two files of lines, which together keep the last of what was written: a JSON object a line.
//!
//! New lines go to the end of `current`. When that has enough it takes the place of `previous`, and a
//! new one begins: so both together have the last lines, as many as one of them takes, but for lines
//! that are larger than all sense. Nothing is promised of them: they are not synced, and a line that
//! cannot be read is passed over.

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) const CURRENT: &str = "current";
pub(crate) const PREVIOUS: &str = "previous";

/// When a file has enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// How many lines it takes.
    pub(crate) lines: usize,
    /// How many bytes.
    pub(crate) bytes: u64,
}

/// Shows all lines that a directory has, the oldest first. Gives a file that could not be read, and why.
pub(crate) fn read(dir: &Path, mut take: impl FnMut(&[u8])) -> Result<(), (PathBuf, io::Error)> {
    let mut result = Ok(());
    for name in [PREVIOUS, CURRENT] {
        let path = dir.join(name);
        match read_file(&path, &mut take) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => result = Err((path, error)),
        }
    }
    result
}

fn read_file(path: &Path, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        take(&line);
        line.clear();
    }
    Ok(())
}

/// Writes lines to the files of a directory.
#[derive(Debug)]
pub(crate) struct Writer {
    dir: PathBuf,
    most: Most,
    current: Option<Current>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    file: File,
    lines: usize,
    bytes: u64,
    /// It may end in the middle of a line.
    is_torn: bool,
}

impl Writer {
    pub(crate) fn new(dir: PathBuf, most: Most) -> Self {
        Self {
            dir,
            most,
            current: None,
        }
    }

    /// Appends lines.
    ///
    /// # Errors
    /// The disk takes no more: some of the lines may be there.
    pub(crate) fn append<L: Serialize>(
        &mut self,
        lines: impl Iterator<Item = L>,
    ) -> io::Result<()> {
        let is_room =
            |current: &Current| current.lines < self.most.lines && current.bytes < self.most.bytes;
        let mut current = match self.current.take() {
            Some(current) if is_room(&current) => current,
            Some(_) => {
                std::fs::rename(self.dir.join(CURRENT), self.dir.join(PREVIOUS))?;
                self.open()?
            }
            None => self.open()?,
        };
        let mut text = Vec::new();
        if current.is_torn {
            text.push(b'\n');
        }
        for line in lines {
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
            current.lines += 1;
        }
        current.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        let written = current.file.write_all(&text);
        current.is_torn = written.is_err();
        self.current = Some(current);
        written
    }

    fn open(&self) -> io::Result<Current> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.dir)?;
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true).mode(0o600);
        let file = options.open(self.dir.join(CURRENT))?;
        let bytes = file.metadata()?.len();
        let lines = BufReader::new(&file).split(b'\n').count();
        let mut last = *b"\n";
        if let Some(at) = bytes.checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        Ok(Current {
            file,
            lines,
            bytes,
            is_torn: last != *b"\n",
        })
    }
}
