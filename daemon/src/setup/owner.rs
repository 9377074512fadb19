//! Whose the files of a node are: root makes them, and the daemon's own user must read and renew them.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

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

    /// Gives it a directory and all that lies in it.
    pub(super) fn take(self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            for entry in path.read_dir()? {
                self.take(&entry?.path())?;
            }
        }
        chown(path, Some(self.uid), Some(self.gid))
    }
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
}
