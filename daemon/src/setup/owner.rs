//! Whose the files of a node are: root makes them, and the daemon's own user must read and renew them.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chownat, fstat, openat};
use rustix::process::{Gid, Uid};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The user that the service runs as.
const SERVICE_USER: &str = "muster";

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Who should own what lies in the data directory: whoever has it, else the service's user where
    /// it is the service's, else nobody else than who makes it.
    pub(super) fn of(data_dir: &Path, is_service: bool) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        if let Ok(about) = data_dir.metadata() {
            let (uid, gid) = (about.uid(), about.gid());
            if uid != 0 {
                return Some(Self { uid, gid });
            }
        }
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        if is_service {
            account(&accounts, SERVICE_USER)
        } else {
            None
        }
    }

    /// Gives it a data directory, and what root has made below it in those directories.
    ///
    /// Whoever the directory belongs to can put anything there, also while this runs. So no link is
    /// followed, each file is judged and given by one descriptor, and nothing is given but what root
    /// has and what has no other name: a second name may stand in a directory that is none of theirs.
    ///
    /// # Errors
    /// Something cannot be given, or root has something there that is no plain file of one name.
    pub(super) fn take(self, data: &Path, made: &[&str]) -> io::Result<()> {
        let root = rustix::process::geteuid();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, data, flags, Mode::empty())?;
        for name in made {
            self.give((&directory, data), name.as_ref(), root)?;
        }
        self.own(&directory, root)
    }

    /// Gives what has that name in a directory, and what is below it; what is missing is none.
    fn give<D: AsFd>(self, within: (D, &Path), name: &Path, root: Uid) -> io::Result<()> {
        let path = within.1.join(name);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match openat(within.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let about = fstat(&file)?;
        if about.st_uid != root.as_raw() {
            return Ok(());
        }
        let kind = FileType::from_raw_mode(about.st_mode);
        if kind == FileType::Directory {
            for name in names(file.as_fd())? {
                self.give((&file, &path), &name, root)?;
            }
        } else if kind != FileType::RegularFile || about.st_nlink != 1 {
            return Err(io::Error::other(format!(
                "{} is a link, or has a second name: it stays root's",
                path.display()
            )));
        }
        self.own(&file, root)
    }

    /// Gives what is open, if it is root's.
    fn own(self, file: &OwnedFd, root: Uid) -> io::Result<()> {
        if fstat(file)?.st_uid != root.as_raw() {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        Ok(chownat(
            file,
            "",
            Some(uid),
            Some(gid),
            AtFlags::EMPTY_PATH,
        )?)
    }
}

/// What lies in a directory.
fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for entry in Dir::new(openat(directory, ".", flags, Mode::empty())?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(PathBuf::from(OsStr::from_bytes(name)));
        }
    }
    Ok(names)
}

/// A line of the accounts: `name:password:uid:gid:…`.
fn account(accounts: &str, user: &str) -> Option<Owner> {
    let line = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Some(Owner { uid, gid }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_name() {
        let accounts = "root:x:0:0::/:\nmusterd:x:5:5::/:\nmuster:x:990:991::/:\nbroken:x\n";
        let found = Owner { uid: 990, gid: 991 };
        assert_eq!(account(accounts, "muster"), Some(found));
        assert_eq!(account(accounts, "broken"), None);
        assert_eq!(account(accounts, "nobody"), None);
    }

    /// Somebody else as root sees it, and oneself without its rights, who can give nothing away.
    fn other() -> Owner {
        let uid = rustix::process::geteuid();
        let gid = rustix::process::getegid();
        if uid.is_root() {
            return Owner { uid: 990, gid: 991 };
        }
        Owner {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
        }
    }

    fn uid(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().uid()
    }

    #[test]
    fn what_was_made_is_given_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        for name in ["tls", "other"] {
            std::fs::create_dir_all(data.join(name)).unwrap();
            std::fs::write(data.join(name).join("file"), "").unwrap();
        }
        other().take(&data, &["tls", "authority"]).unwrap();
        for given in ["", "tls", "tls/file"] {
            assert_eq!(uid(&data.join(given)), other().uid, "{given}");
        }
        let before = uid(dir.path());
        for kept in ["other", "other/file"] {
            assert_eq!(uid(&data.join(kept)), before, "{kept}");
        }
    }

    #[test]
    fn links_to_what_lies_elsewhere_give_nothing_away() {
        let ways: [fn(&Path, &Path) -> io::Result<()>; 2] = [
            |target, path| std::os::unix::fs::symlink(target, path),
            |target, path| std::fs::hard_link(target, path),
        ];
        for second in ways {
            let dir = tempfile::tempdir().unwrap();
            let (data, shadow) = (dir.path().join("data"), dir.path().join("shadow"));
            std::fs::create_dir_all(data.join("tls")).unwrap();
            std::fs::write(&shadow, "").unwrap();
            let before = uid(&shadow);
            second(&shadow, &data.join("tls/node.pem")).unwrap();
            let refused = other().take(&data, &["tls"]).unwrap_err().to_string();
            assert!(refused.contains("tls/node.pem is a link"), "{refused}");
            assert_eq!(uid(&shadow), before);
        }
        let dir = tempfile::tempdir().unwrap();
        let (data, etc) = (dir.path().join("data"), dir.path().join("etc"));
        std::fs::create_dir_all(&data).unwrap();
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(etc.join("shadow"), "").unwrap();
        std::os::unix::fs::symlink(&etc, data.join("tls")).unwrap();
        other().take(&data, &["tls"]).unwrap_err();
        assert_eq!(uid(&etc.join("shadow")), uid(dir.path()));
    }
}
