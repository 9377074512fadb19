//! Files that are there whole or not at all, with the right mode from their first byte on.

use crate::PkiError;
use data_encoding::{BASE64, HEXLOWER};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// How long a line of PEM is (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// Who may read a file.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Its owner only: 0600.
    Secret,
    /// Everybody: 0644.
    Public,
}

/// What happens to a file of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and nothing is written.
    No,
    /// It is replaced in one step.
    Yes,
}

/// Makes a directory (mode 0700) and its parents if they are missing.
///
/// # Errors
/// It cannot be made.
pub fn directory(path: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| PkiError::File {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file under a name of its own, syncs it, and gives it its name in one step.
///
/// # Errors
/// It cannot be written, or is there already and shall stay.
pub fn write(path: &Path, bytes: &[u8], mode: Mode, replace: Replace) -> Result<(), PkiError> {
    let error = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            PkiError::Exists { path }
        } else {
            PkiError::File { path, source }
        }
    };
    let Some(directory) = path.parent() else {
        return Err(error(io::ErrorKind::InvalidInput.into()));
    };
    let draft = directory.join(format!(
        ".draft-{}",
        HEXLOWER.encode(&rand::random::<[u8; 16]>())
    ));
    let written = fill(&draft, bytes, mode).and_then(|()| match replace {
        // A link fails if the name is taken; a rename would replace it.
        Replace::No => fs::hard_link(&draft, path),
        Replace::Yes => fs::rename(&draft, path),
    });
    if replace == Replace::No || written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(error)
}

fn fill(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let mode = match mode {
        Mode::Secret => 0o600,
        Mode::Public => 0o644,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The PEM block of that label with those bytes.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(PEM_LINE)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}
