//! The data directory: whose it is, in which format, and opening the database in it.

use super::commit::Failure;
use super::convert::ConvertError;
use super::db::{Db, Outlives, Space, View};
use super::read::Known;
use super::{CLUSTER, Epoch, NODE, ReadError, Reader, Recovered, TABLE};
use super::{convert, journal, keys, marks, read, rows, salvage};
use bytes::Bytes;
use crdt::entry::Field;
use names::{ListId, NodeId};
use node::lists::Remake;
use node::registry::KeptRow;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The format that this program writes, and the newest that it reads. Older ones are converted.
pub(super) const FORMAT: u32 = 2;
/// More than any file of the directory's own has.
const SMALL_FILE_BYTES: u64 = 64;

/// Why a data directory cannot be used, in words for people.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there.
    #[error("there is no data directory at {dir}")]
    Missing {
        /// Where it should be.
        dir: PathBuf,
    },
    /// Another daemon runs on it.
    #[error("the data directory {dir} is in use by the daemon with pid {pid}")]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other daemon's pid, as its lock file says.
        pid: String,
    },
    /// A newer program wrote it. Nothing was changed.
    #[error(
        "the data directory {dir} has format {found}; this version of Muster knows formats up \
        to {FORMAT}"
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It belongs to a node with another certificate. Nothing was changed.
    #[error(
        "the data directory {dir} belongs to node {owner}, but the certificate is that of \
        node {node}; a node keeps its id when it is renamed (muster join … --rename, muster pki issue … --rename)"
    )]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: NodeId,
        /// Who wanted it.
        node: NodeId,
    },
    /// A file of it cannot be read or written.
    #[error("the data directory {dir} cannot be used: {source}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database in it cannot be used.
    #[error("the data directory {dir} cannot be used: {reason}")]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why not, for people.
        reason: String,
    },
    /// The commit thread could not be started.
    #[error("no thread for the store: {0}")]
    Thread(#[source] std::io::Error),
}

/// A data directory that this process has locked.
pub(super) struct Home {
    dir: PathBuf,
    lock: File,
}

impl Drop for Home {
    /// Closing the file would not do: a child of this process holds a copy of it until it executes
    /// another program.
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.lock, rustix::fs::FlockOperation::Unlock) {
            tracing::warn!(%error, "the data directory stays locked until this process ends");
        }
    }
}

impl Home {
    /// Makes the directory if need be, and locks it.
    pub(super) fn claim(dir: &Path) -> Result<Self, OpenError> {
        check_format(dir)?;
        let io = |source| OpenError::Io {
            dir: dir.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        let lock = lock(dir)?;
        // Once more under the lock: a newer daemon may have come and gone in between.
        check_format(dir)?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io)?;
        if !dir.join("format").try_exists().map_err(io)? {
            write_format(dir).map_err(io)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            lock,
        })
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.join("db")
    }

    /// Where damaged journals are kept.
    pub(super) fn damaged(&self) -> PathBuf {
        damaged(&self.dir)
    }

    /// Opens the database and reads what it has. A panic in it is an error like any other.
    pub(super) fn open_database(&self, epoch: Epoch) -> Result<(Arc<Db>, Recovered), String> {
        let words = |failure: Failure| self.words(&failure);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let cut = journal::cut_damage(&self.database(), &self.damaged());
            cut.map_err(|error| words(fjall::Error::Io(error).into()))?;
            let db = Arc::new(Db::open(&self.database()).map_err(|error| words(error.into()))?);
            self.convert(&db)?;
            salvage::restore_salts(&self.damaged(), &db).map_err(words)?;
            let recovered = recovered(&db, epoch).map_err(words)?;
            Ok((db, recovered))
        }));
        opened.unwrap_or_else(|_| Err("the database panicked".to_owned()))
    }

    /// Brings a directory of an earlier format to this one. The format is written last: whatever
    /// interrupts this, the next start begins it again.
    fn convert(&self, db: &Arc<Db>) -> Result<(), String> {
        let old = read_format(&self.dir).map_err(|error| error.to_string())?;
        if old.is_some_and(|format| format.trim() == "1") {
            tracing::info!(dir = %self.dir.display(), "converting the data directory to format 2");
            let converted = convert::from_format_1(db).and_then(|()| {
                write_format(&self.dir).map_err(|error| fjall::Error::Io(error).into())
            });
            converted.map_err(|error| {
                let reason = match error {
                    ConvertError::Database(failure) => self.words(&failure),
                    ConvertError::Row { .. } => error.to_string(),
                };
                format!(
                    "it cannot be converted from format 1 to format {FORMAT}, and stays as it is: \
                    {reason}"
                )
            })?;
        }
        convert::drop_format_1(db).map_err(|error| self.words(&error.into()))
    }

    /// Why the database failed, with what can be done about it where that is known.
    fn words(&self, failure: &Failure) -> String {
        if failure.is_full(&self.dir) {
            "the disk is full: make room and start again".to_owned()
        } else {
            failure.to_string()
        }
    }

    /// The database cannot be opened.
    pub(super) fn unusable(&self, reason: String) -> OpenError {
        OpenError::Unusable {
            dir: self.dir.clone(),
            reason,
        }
    }
}

impl Reader {
    /// Whose directory this is.
    pub(super) fn node(&self) -> Result<Option<NodeId>, ReadError> {
        self.view()?
            .get(Space::Meta, NODE)?
            .map(|id| rows::id(&id).map(NodeId))
            .transpose()
            .map_err(|reason| ReadError::row("the node's id", reason))
    }
}

fn recovered(db: &Arc<Db>, epoch: Epoch) -> Result<Recovered, Failure> {
    let view = View::of(Arc::clone(db));
    let cluster = view.get(Space::Meta, CLUSTER)?;
    let (mut known, quarantined) = (read::known(db)?, read::quarantined(db)?);
    marks::complete(db, &mut known)?;
    let remake = remakes(db, &view, &known, &quarantined)?;
    Ok(Recovered {
        cluster: cluster.map(|bytes| Bytes::copy_from_slice(&bytes)),
        lists: known.iter().map(|known| (known.list, known.sums)).collect(),
        quarantined,
        remake,
        processes: processes(db)?,
        salts: salts(db)?,
        format: FORMAT,
        epoch,
    })
}

/// The lists that are to be made anew. Where there are none, the directory is of this program's
/// table of fields from now on; so it is also if a newer program had it: what this one writes lacks
/// what that one knows.
fn remakes(
    db: &Db,
    view: &View,
    known: &[Known],
    quarantined: &[ListId],
) -> Result<Vec<(ListId, Remake)>, Failure> {
    let ours = Field::TABLE_NUMBER.to_be_bytes();
    let table = view.get(Space::Meta, TABLE)?;
    let is_older = table.as_deref().is_none_or(|table| *table < ours[..]);
    let mut remake: Vec<(ListId, Remake)> = known
        .iter()
        .filter(|known| !quarantined.contains(&known.list))
        .filter_map(|known| Some((known.list, known.remake(is_older)?)))
        .collect();
    remake.sort_by_key(|(_, remake)| *remake);
    if table.as_deref() != Some(&ours[..]) && (remake.is_empty() || !is_older) {
        let row = (
            (Space::Meta, TABLE.to_vec()),
            Some(fjall::Slice::from(ours)),
        );
        db.commit([row], Outlives::Host)?;
    }
    Ok(remake)
}

fn salts(db: &Arc<Db>) -> Result<Vec<Bytes>, ReadError> {
    let rows = View::of(Arc::clone(db)).scan_prefix(Space::Meta, keys::SALT);
    rows.map(|row| row.map(|(_, value)| Bytes::copy_from_slice(&value)))
        .collect()
}

fn processes(db: &Arc<Db>) -> Result<Vec<KeptRow>, ReadError> {
    let rows = View::of(Arc::clone(db)).scan_prefix(Space::Processes, &[]);
    let kept = |(key, value): (fjall::Slice, fjall::Slice)| KeptRow {
        key: Bytes::copy_from_slice(&key),
        value: Some(Bytes::copy_from_slice(&value)),
    };
    rows.map(|row| row.map(kept)).collect()
}

/// Refuses a directory that no node has made. Changes nothing.
pub(super) fn must_exist(dir: &Path) -> Result<(), OpenError> {
    match read_format(dir) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(OpenError::Missing {
            dir: dir.to_owned(),
        }),
        Err(source) => Err(OpenError::Io {
            dir: dir.to_owned(),
            source,
        }),
    }
}

/// Refuses what a newer program wrote. Changes nothing.
fn check_format(dir: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        dir: dir.to_owned(),
        source,
    };
    let Some(text) = read_format(dir).map_err(io)? else {
        return Ok(());
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found <= FORMAT => Ok(()),
        Ok(found) => Err(OpenError::Newer {
            dir: dir.to_owned(),
            found,
        }),
        Err(_) => Err(OpenError::Unusable {
            dir: dir.to_owned(),
            reason: format!(
                "its file \"format\" \
                says {text:?}, which is no number"
            ),
        }),
    }
}

/// What the file `format` says; `None` if there is none.
fn read_format(dir: &Path) -> std::io::Result<Option<String>> {
    match File::open(dir.join("format")) {
        Ok(file) => read_small(&file).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says that the directory has this program's format, as a whole or not at all.
fn write_format(dir: &Path) -> std::io::Result<()> {
    let (path, draft) = (dir.join("format"), dir.join("format.new"));
    let mut file = File::create(&draft)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    std::fs::rename(draft, path)?;
    File::open(dir)?.sync_all()
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io {
        dir: dir.to_owned(),
        source,
    };
    // Not truncated: before it is locked it holds the other daemon's pid.
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .clone();
    let mut file = options.open(dir.join("lock")).map_err(io)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let pid = read_small(&file).map_err(io)?.trim().to_owned();
            return Err(OpenError::InUse {
                dir: dir.to_owned(),
                pid,
            });
        }
        Err(error) => return Err(io(error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io)?;
    Ok(file)
}

fn read_small(file: &File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(SMALL_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Where damaged journals of that data directory are kept.
pub(super) fn damaged(dir: &Path) -> PathBuf {
    dir.join("damaged")
}

/// What the file system of a directory has left for this process and its size, in bytes; `None` if
/// it does not say.
pub(super) fn disk(dir: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some((
        stat.f_bavail.saturating_mul(stat.f_frsize),
        stat.f_blocks.saturating_mul(stat.f_frsize),
    ))
}
