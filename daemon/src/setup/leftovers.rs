//! What an attempt has made, so that it is all or nothing, and only one attempt at a time.

use cli::SetupError;
use pki::files;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What has been made so far, and is taken away again unless all of it comes to be.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    made: Vec<Made>,
    /// The data directory, locked. After what was made, so that it is unlocked when that is gone.
    lock: Option<File>,
}

#[derive(Debug)]
enum Made {
    /// A directory, which others may have put something into.
    Directory(PathBuf),
    /// Something with all that is in it.
    Whole(PathBuf),
}

impl Leftovers {
    /// Makes the directories for the configuration and for the data, and locks that for the data until
    /// this value is dropped.
    ///
    /// # Errors
    /// They cannot be made, or another attempt has the lock; what is there then is the other's.
    pub(super) fn begin(&mut self, config: &Path, data: &Path) -> Result<(), SetupError> {
        let missing = [missing(config), missing(data)].concat();
        let cannot = |path: &Path, error: &dyn std::fmt::Display| {
            SetupError::Failed(format!("cannot make {}: {error}", path.display()))
        };
        std::fs::create_dir_all(config).map_err(|error| cannot(config, &error))?;
        files::directory(data).map_err(|error| cannot(data, &error))?;
        match lock(data) {
            Ok(Some(lock)) => self.lock = Some(lock),
            Ok(None) => {
                return Err(SetupError::Conflict(format!(
                    "muster init or muster join is at work in {} already: let it end first",
                    data.display()
                )));
            }
            Err(error) => {
                return Err(SetupError::Failed(format!(
                    "cannot lock {}: {error}",
                    data.display()
                )));
            }
        }
        self.made.extend(missing.into_iter().map(Made::Directory));
        Ok(())
    }

    /// That is about to be made; nothing if it is there already.
    pub(super) fn note(&mut self, path: &Path) {
        if !path.exists() {
            self.made.push(Made::Whole(path.to_path_buf()));
        }
    }

    /// All of it has come to be. The lock stays.
    pub(super) fn keep(&mut self) {
        self.made.clear();
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for made in self.made.iter().rev() {
            // What cannot be removed now could not be made either.
            let _ = match made {
                Made::Directory(path) => std::fs::remove_dir(path),
                Made::Whole(path) => std::fs::remove_dir_all(path),
            };
        }
    }
}

/// A directory and those above it, as far as they are missing; the uppermost one first.
fn missing(path: &Path) -> Vec<PathBuf> {
    let missing = path.ancestors().take_while(|one| !one.exists());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    missing.reverse();
    missing
}

/// Locks a directory; `None` if somebody else has it, or has just removed it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let directory = File::open(path)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(is_at(&directory, path)?.then_some(directory))
}

/// Whether that open directory is still the one at that path.
fn is_at(directory: &File, path: &Path) -> io::Result<bool> {
    let is = directory.metadata()?;
    match path.metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (is.dev(), is.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_taken_away_again() {
        let dir = tempfile::tempdir().unwrap();
        let (config, data) = (dir.path().to_path_buf(), dir.path().join("a/b"));
        let mut made = Leftovers::default();
        made.begin(&config, &data).unwrap();
        made.note(&data.join("tls"));
        std::fs::create_dir_all(data.join("tls/node.key")).unwrap();
        drop(made);
        assert!(config.exists() && !dir.path().join("a").exists());
    }

    #[test]
    fn a_second_attempt_is_refused_and_takes_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let (config, data) = (dir.path().join("etc"), dir.path().join("data"));
        let mut first = Leftovers::default();
        first.begin(&config, &data).unwrap();
        let mut second = Leftovers::default();
        let refused = second.begin(&config, &data).unwrap_err();
        assert!(matches!(refused, SetupError::Conflict(_)), "{refused:?}");
        drop(second);
        assert!(config.exists() && data.exists());
        first.keep();
        drop(first);
        assert!(config.exists() && data.exists());
        Leftovers::default().begin(&config, &data).unwrap();
    }

    #[test]
    fn a_directory_that_was_made_anew_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let opened = File::open(&data).unwrap();
        assert!(is_at(&opened, &data).unwrap());
        std::fs::remove_dir(&data).unwrap();
        assert!(!is_at(&opened, &data).unwrap());
        std::fs::create_dir(&data).unwrap();
        assert!(!is_at(&opened, &data).unwrap());
    }
}
