//! What the program that the command line is a part of has besides it.

use api::node::Finding;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The program: its daemon, and what can be asked without one that runs.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its version with revision and day, as `muster --version` tells them.
    pub version: fn() -> String,
    /// Runs a daemon until its end: the whole of `musterd`, from its command line (the program's
    /// name first) to its exit code.
    pub daemon: fn(Vec<OsString>) -> ExitCode,
    /// What keeps a daemon from running on this host, as far as can be seen without one: with the
    /// configuration in this file, else with the one that `musterd` would find.
    pub examine_host: fn(Option<PathBuf>) -> Vec<Finding>,
    /// Writes the manual pages into a directory, which is made if it is missing.
    pub manual: fn(&Path) -> io::Result<()>,
}
