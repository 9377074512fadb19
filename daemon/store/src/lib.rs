//! The node's disk: what was acknowledged is in here, and what is read is read from here.
//!
//! One [`Store`] owns a data directory. Writes go through one thread, which commits what has queued
//! up as a group and syncs it to the disk (fdatasync) before anybody hears of it; a [`Reader`] sees
//! synced rows only, group by group. Only the process registry's rows need no sync: they are of no
//! use after the host's end, and outlive this process without. fjall, the database below, appears
//! nowhere outside of this crate.
//!
//! ```text
//! let (store, recovered) = Store::open(dir, notices, synced)?; // lock, format, recovery
//! store.claim(node)?;                                      // this directory is this node's
//! store.commit(rows, Box::new(|result| …));                // never blocks; answered in order
//! for entry in store.reader().entries(list, None) { … }    // never waits for a commit
//! ```
//!
//! # On the disk: format 2
//!
//! | in the data directory | is |
//! | --- | --- |
//! | `lock` | locked (flock) while a daemon runs; holds its pid in decimal |
//! | `format` | the number of this format in decimal; read before anything is touched |
//! | `db/` | the fjall database (its format 3) with the keyspaces below |
//! | `damaged/` | journals of it that were damaged, as they were found: `N.jnl` until somebody acknowledges them, then `N.acknowledged` |
//!
//! Integers are big endian. *place* = order (zero bytes as `00 ff`) ‖ `00 00` ‖ entry id (16);
//! *due* = `00` ‖ milliseconds since the epoch (8, sign bit flipped), or `01` and eight zero bytes
//! for none. A *record* has a version and numbered fields ([`crdt::record`]); their tables are in
//! `rows.rs`, in `crdt/src/entry/row.rs`, and for what the cluster machine keeps in
//! `daemon/node/src/cluster/kept.rs` and `registry/rows.rs` there.
//!
//! | keyspace | key | value |
//! | --- | --- | --- |
//! | `changes` | list id ‖ actor ‖ seq (8) | the raw Automerge change; never overwritten with other bytes; moved to `aside` when it leaves its list and back when it returns, never deleted |
//! | `vectors-2` | list id ‖ actor | record: the number of that actor's last change, and the first bytes of its hash |
//! | `lists-2` | list id | record: [`ListRow`](node::lists::ListRow) |
//! | `names` | list name | list id |
//! | `entries-2` | list id ‖ place | record: [`Entry`](crdt::entry::Entry) |
//! | `ids` | list id ‖ entry id | due ‖ place |
//! | `dues` | list id ‖ due ‖ place, only entries with a due time | list id |
//! | `agenda` | due ‖ list name ‖ `00` ‖ place | list id |
//! | `snapshots-2` | list id | record: the vector that it covers, the saved document |
//! | `left-out` | list id ‖ hash, and one byte more for an owner's word | what stays of changes with one number: [`LeftOut`](crdt::list::LeftOut), as it was first written |
//! | `aside` | list id ‖ actor ‖ seq (8) ‖ hash | a raw change that was in the list once |
//! | `made` | list id ‖ actor | record: the number of the last change of that actor that this node has made |
//! | `processes-2` | as the process registry makes them | records: registrations and links of this host |
//! | `meta-2` | `node` | node id |
//! | | `cluster` | record: the cluster machine's state |
//! | | `table` | the number of the table of entries' fields (2) by which all lists were made |
//! | | `probe` | nothing |
//! | | `quarantine/` ‖ list id | record: since when, and the reason; of earlier programs the reason alone |
//! | | `token/` ‖ token id (8) | record: [`TokenRow`] |
//! | | `salt/` ‖ node id ‖ salt (16) | [`Salt`](crdt::list::Salt), as its node has signed it |
//!
//! A row of the view that cannot be read is made anew from the list's changes. Any other, and one
//! of a version that this program does not know, is an error in words that stops the start.
//!
//! Format 1 had other values in keyspaces without the `-2`. It is converted when the store is
//! opened (see `convert`).
//!
//! `entries` to `agenda` are views: they follow from the documents, and the store keeps them equal
//! to the entries that are committed.

#![warn(missing_docs)]

mod backup;
mod batch;
mod commit;
mod convert;
mod db;
mod journal;
mod keys;
mod marks;
mod open;
mod read;
mod reopen;
mod rows;
mod salvage;
mod syncs;

pub use backup::{Backup, BackupError};
pub use open::OpenError;
pub use read::{AgendaKey, Quarantined, ReadError, Reader};
pub use rows::TokenRow;
pub use salvage::{Damage, Salvaged};

use bytes::Bytes;
use commit::{Committer, Observers, Request, Work};
use crdt::vector::Sums;
use db::Slot;
use names::{ListId, NodeId};
use node::lists::{Remake, Row};
use node::registry::KeptRow;
use node::wire::WriteError;
use open::Home;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use syncs::Syncs;

/// The key of the cluster machine's state in `meta`.
const CLUSTER: &[u8] = b"cluster";
/// The key of the node's id in `meta`.
const NODE: &[u8] = b"node";
/// The key in `meta` of the number of the table of fields by which all lists were made.
const TABLE: &[u8] = b"table";

/// Told what became of a commit, on the commit thread: must be quick and must not panic.
pub type Done = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// Names the time from one opening of the database to the next within this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// What the store has when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What was kept last with [`Store::keep_cluster`].
    pub cluster: Option<Bytes>,
    /// All lists with the sums of their version vectors.
    pub lists: Vec<(ListId, Sums)>,
    /// Those in quarantine.
    pub quarantined: Vec<ListId>,
    /// Lists whose rows are to be made anew from their changes (by [`Row::View`]).
    pub remake: Vec<(ListId, Remake)>,
    /// What was kept with [`Store::keep_processes`], by key.
    pub processes: Vec<KeptRow>,
    /// The salts of actors, as their nodes have signed them.
    pub salts: Vec<Bytes>,
    /// The format on the disk.
    pub format: u32,
    /// To be given to [`Store::commit_in`] by those who know what the store had at this opening.
    pub epoch: Epoch,
}

/// What happens to the store by itself; told on the commit thread, in order with the answers to
/// commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A commit failed: it and all that waited were answered with this error, and so is every other
    /// until `Reopened`.
    Failed(WriteError),
    /// The database was opened again and takes writes: what it has now is the truth.
    Reopened(Recovered),
}

/// The store of one node. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    requests: Sender<Request>,
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Opens the data directory, or makes it (mode 0700). Rows that were acknowledged before a
    /// crash are there; unacknowledged ones may be.
    ///
    /// On the commit thread, `notices` is called with what happens to the store, and `synced` with
    /// the time that each group of commits took to be written; both must be quick.
    ///
    /// # Errors
    /// Another daemon has it, its format is newer (then nothing was changed), or the disk fails.
    pub fn open(
        dir: &Path,
        notices: impl Fn(Notice) + Send + 'static,
        synced: impl Fn(Duration) + Send + 'static,
    ) -> Result<(Self, Recovered), OpenError> {
        let home = Home::claim(dir)?;
        let shared = Arc::new(Shared {
            slot: Arc::new(Slot::default()),
            counters: Counters::default(),
            dir: dir.to_owned(),
        });
        let (db, recovered) = home
            .open_database(Epoch::default())
            .map_err(|reason| home.unusable(reason))?;
        shared.slot.put(db);
        let (requests, queue) = channel();
        let observers = Observers {
            notices: Box::new(notices),
            synced: Box::new(synced),
        };
        let committer = Committer::new(home, Arc::clone(&shared), queue, observers, &recovered);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || committer.run())
            .map_err(OpenError::Thread)?;
        Ok((
            Self {
                requests,
                shared,
                thread: Arc::new(Mutex::new(Some(thread))),
            },
            recovered,
        ))
    }

    /// Opens a data directory that is there, for work on it while no daemon runs: what happens to
    /// the store by itself is told nobody.
    ///
    /// # Errors
    /// As [`Store::open`], and where there is none.
    pub fn open_present(dir: &Path) -> Result<(Self, Recovered), OpenError> {
        open::must_exist(dir)?;
        Self::open(dir, |_| {}, |_| {})
    }

    /// Makes the directory this node's at its first start, and checks that it is at every later
    /// one. Waits for the disk.
    ///
    /// # Errors
    /// The directory belongs to another node; nothing was changed. Or the disk fails.
    pub fn claim(&self, node: NodeId) -> Result<(), OpenError> {
        let unusable = |reason| OpenError::Unusable {
            dir: self.shared.dir.clone(),
            reason,
        };
        match self
            .reader()
            .node()
            .map_err(|error| unusable(error.to_string()))?
        {
            Some(owner) if owner == node => Ok(()),
            Some(owner) => Err(OpenError::OtherNode {
                dir: self.shared.dir.clone(),
                owner,
                node,
            }),
            None => self
                .put_and_wait(NODE, &node.0)
                .map_err(|error| unusable(error.to_string())),
        }
    }

    /// The damage of journals that was found when the store was opened, then or earlier, and that nobody
    /// has acknowledged. Reads these journals: calls block.
    ///
    /// # Errors
    /// The disk fails, or the store is being reopened.
    pub fn damages(&self) -> Result<Vec<Damage>, ReadError> {
        salvage::damages(&open::damaged(&self.shared.dir), &self.reader().view()?)
    }

    /// Takes from what is missing after [`Store::damages`] what the store has got since; reads no journal.
    ///
    /// # Errors
    /// The disk fails, or the store is being reopened.
    pub fn compare_damages(&self, damages: &mut [Damage]) -> Result<(), ReadError> {
        let view = self.reader().view()?;
        damages
            .iter_mut()
            .try_for_each(|damage| salvage::compare(damage, &view))
    }

    /// Somebody has seen the damage: nobody is told of it any more. The journals stay on the disk. Gives
    /// how many there were.
    ///
    /// # Errors
    /// The disk fails.
    pub fn acknowledge_damage(&self) -> std::io::Result<usize> {
        journal::acknowledge(&open::damaged(&self.shared.dir))
    }

    fn put_and_wait(&self, key: &'static [u8], value: &[u8]) -> Result<(), WriteError> {
        let (tell, told) = channel();
        let done = Box::new(move |result| {
            // Nobody waits any more only if this process is ending.
            let _ = tell.send(result);
        });
        self.request(Work {
            meta: Some((key.to_vec(), Some(Bytes::copy_from_slice(value)))),
            ..Work::new(done)
        });
        told.recv().unwrap_or(Err(WriteError::Failed))
    }

    /// Commits all rows or none, after all commits before, and then calls `done` on the commit
    /// thread: after success the rows are on the disk and readers see them; after a failure their
    /// fate is open until [`Notice::Reopened`]. Never blocks. What waits is bounded by the callers
    /// only, who know how much they have in flight.
    ///
    /// The first entry of a list comes with the list's own row, in this or an earlier commit.
    pub fn commit(&self, rows: Vec<Row>, done: Done) {
        self.request(Work {
            rows,
            ..Work::new(done)
        });
    }

    /// [`Store::commit`] for one whose rows build on what the store had in that epoch: fails if the
    /// store was reopened since. Without this, a commit on its way while the store reopens could
    /// succeed after [`Notice::Reopened`] was told, and what that says the store has would be
    /// wrong.
    pub fn commit_in(&self, epoch: Epoch, rows: Vec<Row>, done: Done) {
        self.request(Work {
            epoch: Some(epoch),
            rows,
            ..Work::new(done)
        });
    }

    /// Commits the cluster machine's state, replacing what was kept before.
    pub fn keep_cluster(&self, bytes: Bytes, done: Done) {
        self.request(Work {
            meta: Some((CLUSTER.to_vec(), Some(bytes))),
            ..Work::new(done)
        });
    }

    /// Commits a token's row, replacing what was kept before; without a row, its removal.
    pub fn keep_token(&self, id: [u8; 8], row: Option<&TokenRow>, done: Done) {
        let row = match row.map(TokenRow::encode).transpose() {
            Ok(row) => row.map(Bytes::from),
            // It would have to be larger than a record may be.
            Err(_) => return done(Err(WriteError::Failed)),
        };
        self.request(Work {
            meta: Some((keys::token(id), row)),
            ..Work::new(done)
        });
    }

    /// Commits rows of the process registry, after all commits before: they outlive this process,
    /// however it ends, but not for certain the host. Of two rows with one key the later one
    /// counts.
    pub fn keep_processes(&self, rows: Vec<KeptRow>, done: Done) {
        self.request(Work {
            kept: rows,
            ..Work::new(done)
        });
    }

    /// Calls that on the commit thread, when it comes to it.
    pub fn call(&self, call: Box<dyn FnOnce() + Send>) {
        // An error means that the thread has ended: there is nothing to be called on.
        let _ = self.requests.send(Request::Call(call));
    }

    fn request(&self, work: Work) {
        self.shared.counters.queued.fetch_add(1, Ordering::Relaxed);
        if let Err(refused) = self.requests.send(Request::Commit(work)) {
            self.shared.counters.queued.fetch_sub(1, Ordering::Relaxed);
            refused.0.refuse(WriteError::Failed);
        }
    }

    /// For reading what is committed.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared.slot))
    }

    /// Commits what is queued, moves all rows from the journal to tables, so that the next start is
    /// quick, and closes the store: commits fail from now on, and so do reads. Does nothing the
    /// second time.
    pub fn close(self) {
        // An error means that the thread has ended already.
        let _ = self.requests.send(Request::Close);
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the commit thread panicked");
        }
    }

    /// Numbers for metrics. Asks the file system, but waits for no commit.
    pub fn stats(&self) -> StoreStats {
        self.shared.stats()
    }
}

/// Plain numbers; counters run from the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Commits acknowledged.
    pub commits: u64,
    /// Groups that they were committed in: one write to the journal and one sync each.
    pub groups: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of these rows, about.
    pub bytes: u64,
    /// Time spent writing and syncing groups.
    pub sync: Duration,
    /// The longest of these times.
    pub sync_max: Duration,
    /// Of the latest of these times, half were at most this, and 99 of 100 at most that; `None`
    /// before the first one.
    pub sync_quantiles: Option<(Duration, Duration)>,
    /// Commits waiting or under way.
    pub queued: u64,
    /// Failed groups.
    pub failures: u64,
    /// Times that the database was opened again.
    pub reopens: u64,
    /// What the database takes on the disk, in bytes; 0 while it is closed.
    pub disk_bytes: u64,
    /// What the file system has left for this process, in bytes; `None` if it does not say.
    pub disk_free_bytes: Option<u64>,
    /// The file system's size in bytes; `None` if it does not say.
    pub disk_size_bytes: Option<u64>,
}

/// What the commit thread shares with the handles.
struct Shared {
    slot: Arc<Slot>,
    counters: Counters,
    dir: PathBuf,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    groups: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    sync_ns: AtomicU64,
    sync_max_ns: AtomicU64,
    syncs: Syncs,
    queued: AtomicU64,
    failures: AtomicU64,
    reopens: AtomicU64,
}

impl Shared {
    fn stats(&self) -> StoreStats {
        let (disk_free_bytes, disk_size_bytes) = open::disk(&self.dir).unzip();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        StoreStats {
            commits: read(&counters.commits),
            groups: read(&counters.groups),
            rows: read(&counters.rows),
            bytes: read(&counters.bytes),
            sync: Duration::from_nanos(read(&counters.sync_ns)),
            sync_max: Duration::from_nanos(read(&counters.sync_max_ns)),
            sync_quantiles: counters.syncs.quantiles(),
            queued: read(&counters.queued),
            failures: read(&counters.failures),
            reopens: read(&counters.reopens),
            disk_bytes: self.slot.get().map_or(0, |db| db.disk_bytes()),
            disk_free_bytes,
            disk_size_bytes,
        }
    }
}
