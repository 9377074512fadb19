//! What the program that the command line is a part of has besides it.

use serde::{Deserialize, Serialize};
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

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// It works, but not for ever, or not as it should.
    Warning,
    /// It does not work now, or is about to stop.
    Critical,
}

/// What an examination found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was examined, such as `clock` or `key file`.
    pub check: String,
    /// Whose: a member's name, or `here`.
    pub of: String,
    /// How bad it is.
    pub level: Level,
    /// What was found, in words.
    pub what: String,
    /// What to do about it; none when it is good.
    #[serde(rename = "do")]
    pub remedy: Option<String>,
}
