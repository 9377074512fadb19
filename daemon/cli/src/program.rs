//! What the program that the command line is a part of has besides it.

use api::node::Finding;
use names::{ListName, Role};
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
    /// Where a daemon keeps its data with the configuration in this file, else with the one that
    /// `musterd` would find; or what is wrong with that configuration.
    pub data_dir: fn(Option<PathBuf>) -> Result<PathBuf, String>,
    /// Makes the rows of a list, or of all lists, anew from their changes in a data directory that no
    /// daemon has.
    pub rebuild: fn(&Path, Option<&ListName>) -> Result<Rebuilt, OfflineError>,
    /// Makes this host the first node of a new cluster.
    pub init: fn(&Placing) -> Result<Founded, SetupError>,
    /// Makes this host a further node of a cluster.
    pub join: fn(&Joining) -> Result<Joined, SetupError>,
    /// Gives the node of this host another name; its id and its data stay.
    pub rename: fn(&Joining) -> Result<Joined, SetupError>,
    /// Signs the draft of a withdrawal with the key of the cluster's own authority in that directory.
    pub sign: fn(&Path, &[u8]) -> Result<SignedWithdrawal, SignError>,
    /// Writes the manual pages into a directory, which is made if it is missing.
    pub manual: fn(&Path) -> io::Result<()>,
}

/// What a new node is to be called, and where its configuration is.
#[derive(Clone, Debug, Default)]
pub struct Placing {
    /// Its name, if it was chosen; else the host's is taken.
    pub name: Option<String>,
    /// Its configuration, if it is not the one that `musterd` would find.
    pub config: Option<PathBuf>,
}

/// By whom a host joins.
#[derive(Clone, Debug)]
pub struct Joining {
    /// What the node is to be called, and where its configuration is.
    pub placing: Placing,
    /// `host:port` of a node of the cluster.
    pub address: String,
    /// The token that the host was given.
    pub token: String,
}

/// A cluster's first node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The id of the cluster.
    pub cluster: String,
    /// Its configuration.
    pub config: PathBuf,
    /// Whether that is the one that the service reads.
    pub is_default: bool,
    /// Its key.
    pub key: PathBuf,
    /// Where the daemon will be asked.
    pub socket: PathBuf,
    /// The key of the cluster's authority.
    pub authority_key: PathBuf,
}

/// A node that has joined a cluster, or has another name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its name.
    pub name: String,
    /// What it was called before, of a node that has another name now.
    pub earlier_name: Option<String>,
    /// Its id.
    pub id: String,
    /// What it is in the cluster.
    pub role: Role,
    /// The name of the node that signed its certificate.
    pub by: String,
    /// Its configuration.
    pub config: PathBuf,
    /// Whether that is the one that the service reads.
    pub is_default: bool,
    /// Its key.
    pub key: PathBuf,
    /// Where the daemon will be asked.
    pub socket: PathBuf,
}

/// Why a host is no node, in words; nothing was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// What was typed makes no sense.
    Usage(String),
    /// It is a node already or is being made one, or the name is taken.
    Conflict(String),
    /// Anything else.
    Failed(String),
}

/// A statement that an authority is withdrawn, signed by the cluster's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedWithdrawal {
    /// Its bytes.
    pub statement: Vec<u8>,
    /// The name of the authority.
    pub name: String,
    /// Its key.
    pub key: String,
    /// Why it is withdrawn.
    pub reason: String,
    /// When the statement was drafted, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who has drafted it.
    pub by: String,
    /// How many certificates and revocations stay good.
    pub good: usize,
}

/// Why a withdrawal was not signed.
#[derive(Debug)]
pub enum SignError {
    /// It is no draft of one, in words.
    Draft(String),
    /// The key cannot be used.
    Key(pki::PkiError),
}

/// What was made anew without a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Of how many lists.
    pub lists: u64,
    /// How many lists cannot be: they are in quarantine.
    pub quarantined: usize,
}

/// Why nothing, or not all, was made anew without a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfflineError {
    /// There is no such list, in words.
    NoList(String),
    /// Anything else, in words: what was made anew stays so.
    Failed(String),
}
