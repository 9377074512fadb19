//! The database itself: one fjall database with a keyspace for each kind of row.
//!
//! fjall's own reactions to a full memtable are switched off (its size is set to no limit): it
//! would ask its worker to rotate at *every* commit until that has happened, over a bounded queue
//! into which the worker itself has to write, and so can come to a standstill under load. Instead
//! the commit thread calls [`Db::relieve`] after each commit, which also bounds the memory of all
//! keyspaces together. There is one worker, because with more of them one spins while another
//! compacts.

use super::ReadError;
use super::keys::{self, Bounds};
use crdt::list;
use crdt::vector::Tip;
use fjall::config::{FilterPolicy, PartitioningPolicy};
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice,
};
use names::{Actor, ChangeId, ListId};
use parking_lot::RwLock;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Cached blocks of all keyspaces.
const CACHE_BYTES: u64 = 8 << 20;
/// Rows in memory that are not being flushed yet, of all keyspaces.
const WRITE_BUFFER_BYTES: u64 = 8 << 20;
/// Memtables that may wait to be flushed; commits wait for the disk when there are more.
const MAX_SEALED: usize = 4;
/// When sealed journals take more than this, what they hold is flushed so that they can go. fjall
/// allows no less.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Files that stay open; a service's usual limit is 1,024 for everything.
const OPEN_FILES: usize = 128;
/// How long a clean stop waits for flushes; what is not flushed is read from the journal at the
/// next start.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

/// The kinds of rows; see the table in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Changes,
    Vectors,
    Lists,
    Names,
    Entries,
    Ids,
    Dues,
    Agenda,
    Snapshots,
    LeftOut,
    Aside,
    Made,
    Processes,
    Meta,
}

impl Space {
    const ALL: [Self; 14] = [
        Self::Changes,
        Self::Vectors,
        Self::Lists,
        Self::Names,
        Self::Entries,
        Self::Ids,
        Self::Dues,
        Self::Agenda,
        Self::Snapshots,
        Self::LeftOut,
        Self::Aside,
        Self::Made,
        Self::Processes,
        Self::Meta,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Vectors => "vectors-2",
            Self::Lists => "lists-2",
            Self::Names => "names",
            Self::Entries => "entries-2",
            Self::Ids => "ids",
            Self::Dues => "dues",
            Self::Agenda => "agenda",
            Self::Snapshots => "snapshots-2",
            Self::LeftOut => "left-out",
            Self::Aside => "aside",
            Self::Made => "made",
            Self::Processes => "processes-2",
            Self::Meta => "meta-2",
        }
    }

    /// Where a key is asked for that may be missing (a new entry's, an unknown list's) a Bloom
    /// filter spares the disk; where only ranges are read, or keys that another row names, it would
    /// be a waste. Filters and indexes are cut into blocks on all levels: a whole one has a
    /// megabyte, is too large for the cache and would be read for each key.
    fn options(self) -> KeyspaceCreateOptions {
        let options = KeyspaceCreateOptions::default().max_memtable_size(u64::MAX);
        let options = options.index_block_partitioning_policy(PartitioningPolicy::all(true));
        let options = options.filter_block_partitioning_policy(PartitioningPolicy::all(true));
        match self {
            Self::Changes
            | Self::Names
            | Self::Dues
            | Self::Agenda
            | Self::LeftOut
            | Self::Aside
            | Self::Made
            | Self::Processes => options.filter_policy(FilterPolicy::disabled()),
            Self::Entries | Self::Snapshots | Self::Meta => options.expect_point_read_hits(true),
            Self::Vectors | Self::Lists | Self::Ids => options,
        }
    }
}

/// What committed writes outlive for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlives {
    /// The host: they are synced to the disk.
    Host,
    /// This process, however it ends: the kernel has them.
    Process,
}

/// An open database.
pub(super) struct Db {
    database: Database,
    spaces: [Keyspace; Space::ALL.len()],
    dir: PathBuf,
}

impl Db {
    /// Opens the database in `dir`, or makes it.
    pub(super) fn open(dir: &Path) -> Result<Self, fjall::Error> {
        let builder = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .worker_threads(1);
        let database = builder
            .max_journaling_size(JOURNAL_BYTES)
            .max_cached_files(Some(OPEN_FILES))
            .open()?;
        let open = |space: Space| database.keyspace(space.name(), || space.options());
        let [
            changes,
            vectors,
            lists,
            names,
            entries,
            ids,
            dues,
            agenda,
            snapshots,
            left_out,
            aside,
            made,
            processes,
            meta,
        ] = Space::ALL.map(open);
        let spaces = [
            changes?, vectors?, lists?, names?, entries?, ids?, dues?, agenda?, snapshots?,
            left_out?, aside?, made?, processes?, meta?,
        ];
        Ok(Self {
            database,
            spaces,
            dir: dir.to_owned(),
        })
    }

    fn space(&self, space: Space) -> &Keyspace {
        let [
            changes,
            vectors,
            lists,
            names,
            entries,
            ids,
            dues,
            agenda,
            snapshots,
            left_out,
            aside,
            made,
            processes,
            meta,
        ] = &self.spaces;
        match space {
            Space::Changes => changes,
            Space::Vectors => vectors,
            Space::Lists => lists,
            Space::Names => names,
            Space::Entries => entries,
            Space::Ids => ids,
            Space::Dues => dues,
            Space::Agenda => agenda,
            Space::Snapshots => snapshots,
            Space::LeftOut => left_out,
            Space::Aside => aside,
            Space::Made => made,
            Space::Processes => processes,
            Space::Meta => meta,
        }
    }

    /// A keyspace of an earlier format; `None` if there is none.
    pub(super) fn old(&self, name: &str) -> Result<Option<Keyspace>, fjall::Error> {
        if !self.database.keyspace_exists(name) {
            return Ok(None);
        }
        let old = self.database.keyspace(name, KeyspaceCreateOptions::default);
        old.map(Some)
    }

    /// Removes a keyspace of an earlier format, if it is there.
    pub(super) fn drop_old(&self, name: &str) -> Result<(), fjall::Error> {
        match self.old(name)? {
            Some(old) => self.database.delete_keyspace(old),
            None => Ok(()),
        }
    }

    /// The committed value of a key, for the one thread that commits. Others read through a
    /// [`View`].
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, fjall::Error> {
        self.space(space).get(key)
    }

    /// Commits all writes or none, so that they outlive what they are to outlive. Each key may
    /// occur once only: fjall numbers a batch as a whole, so that of two writes to one key neither
    /// would be the later.
    pub(super) fn commit<I>(&self, writes: I, outlives: Outlives) -> Result<(), fjall::Error>
    where
        I: IntoIterator<Item = ((Space, Vec<u8>), Option<Slice>)>,
    {
        let persist = match outlives {
            Outlives::Host => PersistMode::SyncData,
            Outlives::Process => PersistMode::Buffer,
        };
        let mut batch = self.database.batch().durability(Some(persist));
        for ((space, key), value) in writes {
            match value {
                Some(value) => batch.insert(self.space(space), key, value),
                None => batch.remove(self.space(space), key),
            }
        }
        batch.commit()
    }

    /// Moves rows from memory to tables when there are many, and waits when more come than the disk
    /// takes.
    pub(super) fn relieve(&self) -> Result<(), fjall::Error> {
        let held = |space: &Keyspace| space.tree.active_memtable().size();
        if self.spaces.iter().map(held).sum::<u64>() > WRITE_BUFFER_BYTES
            && let Some(largest) = self.spaces.iter().max_by_key(|space| held(space))
        {
            largest.rotate_memtable()?;
        }
        while self.sealed() >= MAX_SEALED {
            self.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn sealed(&self) -> usize {
        self.spaces
            .iter()
            .map(Keyspace::sealed_memtable_count)
            .sum()
    }

    /// Whether fjall still takes writes: its worker may have failed since the last commit.
    fn check(&self) -> Result<(), fjall::Error> {
        self.database.persist(PersistMode::Buffer)
    }

    /// Writes all rows to tables, so that the next start finds little to replay.
    pub(super) fn flush(&self) -> Result<(), fjall::Error> {
        for space in &self.spaces {
            space.rotate_memtable()?;
        }
        let deadline = Instant::now() + FLUSH_DEADLINE;
        while self.sealed() > 0 && Instant::now() < deadline {
            self.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What the tables and journals take on the disk, in bytes. Takes no lock that a slow sync
    /// could hold.
    pub(super) fn disk_bytes(&self) -> u64 {
        let tables: u64 = self.spaces.iter().map(Keyspace::disk_space).sum();
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let journals = files.filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "jnl")
        });
        // Blocks of 512 bytes, whatever the file system's are: a journal is a sparse file.
        let blocks = journals
            .filter_map(|file| file.metadata().ok())
            .map(|metadata| metadata.blocks());
        tables.saturating_add(blocks.sum::<u64>().saturating_mul(512))
    }
}

/// A consistent view of the committed and synced rows: fjall publishes a batch, as a whole, after
/// its sync.
#[derive(Clone)]
pub(super) struct View {
    snapshot: fjall::Snapshot,
    db: Arc<Db>,
}

impl View {
    pub(super) fn of(db: Arc<Db>) -> Self {
        Self {
            snapshot: db.database.snapshot(),
            db,
        }
    }

    /// Whether it is of that opening of the database.
    pub(super) fn is_of(&self, db: &Arc<Db>) -> bool {
        Arc::ptr_eq(&self.db, db)
    }

    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, ReadError> {
        self.snapshot
            .get(self.db.space(space), key)
            .map_err(ReadError::from)
    }

    /// The rows between two keys, in the order of their keys.
    pub(super) fn scan(&self, space: Space, bounds: Bounds) -> Scan {
        let rows =
            (!keys::is_empty(&bounds)).then(|| self.snapshot.range(self.db.space(space), bounds));
        Scan {
            rows,
            _db: Arc::clone(&self.db),
        }
    }

    /// The last change of an actor, by the changes themselves.
    pub(super) fn last_change(&self, list: ListId, actor: Actor) -> Result<Option<Tip>, ReadError> {
        let bounds = keys::within(&keys::vector(list, actor));
        let mut changes = self.snapshot.range(self.db.space(Space::Changes), bounds);
        let Some(row) = changes.next_back() else {
            return Ok(None);
        };
        let (key, bytes) = row.into_inner()?;
        let id = keys::seq_of(&key).map(|seq| ChangeId { actor, seq });
        Ok(id.map(|id| Tip::of(id, list::hash_of(&bytes))))
    }

    /// The rows whose keys begin with `prefix`.
    pub(super) fn scan_prefix(&self, space: Space, prefix: &[u8]) -> Scan {
        self.scan(space, keys::within(prefix))
    }
}

/// Rows of a [`View`].
pub(super) struct Scan {
    rows: Option<fjall::Iter>,
    /// Keeps the database from being closed under the scan.
    _db: Arc<Db>,
}

impl Scan {
    /// Counts the rows without reading their values.
    pub(super) fn count_keys(self) -> Result<u64, ReadError> {
        let mut keys = self.rows.into_iter().flatten().map(fjall::Guard::key);
        Ok(keys.try_fold(0, |count: u64, key| key.map(|_| count.saturating_add(1)))?)
    }
}

impl Iterator for Scan {
    type Item = Result<(Slice, Slice), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows
            .as_mut()?
            .next()
            .map(|row| row.into_inner().map_err(ReadError::from))
    }
}

/// Where readers find the database, and do not find it while it is being reopened.
#[derive(Default)]
pub(super) struct Slot(RwLock<Option<Arc<Db>>>);

impl Slot {
    pub(super) fn put(&self, db: Arc<Db>) {
        *self.0.write() = Some(db);
    }

    pub(super) fn get(&self) -> Option<Arc<Db>> {
        self.0.read().clone()
    }

    /// Empties the slot and closes the database as soon as its last reader is done.
    ///
    /// # Errors
    /// Readers are still at work at the deadline: the database is in the slot as before.
    pub(super) fn close(&self, deadline: Duration) -> Result<(), StillRead> {
        let Some(mut db) = self.0.write().take() else {
            return Ok(());
        };
        let deadline = Instant::now() + deadline;
        loop {
            db = match Arc::try_unwrap(db) {
                Ok(db) => {
                    drop(db);
                    return Ok(());
                }
                Err(db) if Instant::now() < deadline => db,
                Err(db) => {
                    self.put(db);
                    return Err(StillRead);
                }
            };
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The database could not be closed because somebody reads.
#[derive(Debug)]
pub(super) struct StillRead;
