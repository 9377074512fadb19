//! File systems of the tests' own, which go away with them. Only root can mount.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Whether this process may mount; if not, says which test is left out.
pub(crate) fn allowed(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("NOT RUN, needs root to mount a file system: {test}");
    }
    root
}

/// A mounted file system, unmounted on drop.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Runs `mount` with these arguments and the directory.
    pub(crate) fn new(dir: &Path, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        run(Command::new("mount").args(arguments).arg(dir));
        Self(dir.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Unmounts, and fails if something stays open there. A worker thread of fjall's still has the
    /// journal for a moment after the database has counted it as ended.
    pub(crate) fn unmount(self) {
        let patience = Instant::now() + Duration::from_secs(10);
        let mut umount = Command::new("umount");
        umount.arg(&self.0);
        while !umount.status().unwrap().success() {
            assert!(Instant::now() < patience, "{} is busy", self.0.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        std::mem::forget(self);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failed test may have left files open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            std::thread::panicking() || unmounted.unwrap().success(),
            "{} stays mounted",
            self.0.display()
        );
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
