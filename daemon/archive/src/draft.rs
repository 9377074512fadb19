//! A file that is there as a whole or not at all.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What to do where a file of that name is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it as it is, and fail.
    Refuse,
    /// Replace it, once the new one is whole.
    Replace,
}

/// A file that is being written under another name, for its owner only (mode 0600). Unless it is
/// [kept](Draft::keep), nothing stays of it.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    draft: PathBuf,
    existing: Existing,
}

impl Draft {
    /// Begins a file of that name, in its directory.
    ///
    /// # Errors
    /// The directory takes no file, or the file is there and is not to be replaced.
    pub fn create(path: &Path, existing: Existing) -> Result<Self, Error> {
        let name = path
            .file_name()
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it is no name of a file"))?;
        match path.symlink_metadata() {
            Ok(_) if existing == Existing::Refuse => return Err(is_there()),
            // A device, say, or a link, which somebody else may have put there.
            Ok(there) if !there.is_file() => {
                let words = "what is there is no regular file, and is not replaced";
                return Err(Error::new(ErrorKind::InvalidInput, words));
            }
            _ => {}
        }
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let draft = path.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            draft,
            existing,
        })
    }

    /// Reads what was written until now, from the beginning.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn read_back(&self) -> Result<File, Error> {
        File::open(&self.draft)
    }

    /// Gives the file its name, when all of it is on the disk.
    ///
    /// # Errors
    /// The disk fails, or a file of that name has come meanwhile.
    pub fn keep(mut self) -> Result<(), Error> {
        self.file.flush()?;
        self.file.sync_all()?;
        match self.existing {
            Existing::Replace => std::fs::rename(&self.draft, &self.path)?,
            Existing::Refuse => self.link()?,
        }
        let dir = self.path.parent().filter(|dir| *dir != Path::new(""));
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// A link never replaces a file. Some file systems know none.
    fn link(&self) -> Result<(), Error> {
        match std::fs::hard_link(&self.draft, &self.path) {
            Ok(()) => std::fs::remove_file(&self.draft),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(is_there()),
            Err(_) if self.path.symlink_metadata().is_ok() => Err(is_there()),
            Err(_) => std::fs::rename(&self.draft, &self.path),
        }
    }
}

fn is_there() -> Error {
    Error::new(ErrorKind::AlreadyExists, "there is such a file already")
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it is kept, there is none of that name any more.
        let _ = std::fs::remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, existing: Existing, words: &str) -> Result<(), Error> {
        let mut draft = Draft::create(path, existing)?;
        draft.write_all(words.as_bytes())?;
        draft.keep()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_replaces_none_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backup");
        let mut left = Draft::create(&path, Existing::Refuse).unwrap();
        left.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(left);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);

        write(&path, Existing::Refuse, "first").unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = write(&path, Existing::Refuse, "second").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        write(&path, Existing::Replace, "third").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn only_a_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [link.as_path(), dir.path(), Path::new("/dev/null")] {
            let refused = Draft::create(path, Existing::Replace).unwrap_err();
            assert!(refused.to_string().contains("no regular file"), "{refused}");
        }
    }

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backup");
        let draft = Draft::create(&path, Existing::Refuse).unwrap();
        std::fs::write(&path, "another").unwrap();
        assert!(draft.keep().is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "another");
    }
}
