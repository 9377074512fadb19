//! File systems of the tests' own, which go away with them. Only root can mount.

use std::path::{Path, PathBuf};
use std::process::Command;

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

    /// Unmounts now, and fails if something is open there.
    pub(crate) fn unmount(self) {
        run(Command::new("umount").arg(&self.0));
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
