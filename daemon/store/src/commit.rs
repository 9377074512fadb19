//! The one thread that writes: it takes what has queued up, commits it as a group, syncs, and only
//! then tells.
//!
//! A group of nothing but the process registry's rows is not synced: it need not outlive the host,
//! whose end is that of all its processes.
//!
//! Groups keep the order of the queue, and so do the answers. When a commit fails, the thread goes
//! on answering at once, with that error, and in between tries to open the database anew (see
//! [`super::reopen`]).

use super::batch::{Batch, kept_weight, weight};
use super::db::{Db, Outlives};
use super::open::Home;
use super::reopen::{self, Outage};
use super::{Done, Epoch, Notice, ReadError, Recovered, Shared, TABLE};
use bytes::Bytes;
use crdt::entry::Field;
use crdt::record::RecordError;
use names::ListId;
use node::lists::{Remake, Row};
use node::registry::KeptRow;
use node::wire::WriteError;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A group has at most this many rows, unless one commit alone has more.
const GROUP_ROWS: usize = 4096;
/// A group has about at most this many bytes, unless one commit alone has more.
const GROUP_BYTES: usize = 4 << 20;
/// How long closing waits for readers.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What the handles ask of the thread.
pub(super) enum Request {
    /// Commit this.
    Commit(Work),
    /// Call this.
    Call(Box<dyn FnOnce() + Send>),
    /// Finish what is queued, and end.
    Close,
}

impl Request {
    /// Answers a request that will not be carried out.
    pub(super) fn refuse(self, error: WriteError) {
        match self {
            Self::Commit(work) => (work.done)(Err(error)),
            Self::Call(_) | Self::Close => {}
        }
    }
}

/// One commit.
pub(super) struct Work {
    /// Only if the store was not reopened since.
    pub(super) epoch: Option<Epoch>,
    pub(super) rows: Vec<Row>,
    /// A row of `meta`, or its removal.
    pub(super) meta: Option<(Vec<u8>, Option<Bytes>)>,
    /// Rows of the process registry.
    pub(super) kept: Vec<KeptRow>,
    pub(super) done: Done,
}

impl Work {
    /// Nothing yet, to be committed in any epoch.
    pub(super) fn new(done: Done) -> Self {
        Self {
            epoch: None,
            rows: Vec::new(),
            meta: None,
            kept: Vec::new(),
            done,
        }
    }

    fn rows(&self) -> usize {
        self.rows.len().saturating_add(self.kept.len())
    }

    fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(weight).sum();
        rows.saturating_add(self.kept.iter().map(kept_weight).sum())
    }

    /// Lists that need not be made anew any more: they are, or cannot be.
    fn remade(&self) -> impl Iterator<Item = ListId> {
        self.rows.iter().filter_map(|row| match row {
            Row::View { list, .. }
            | Row::LeaveOut { list, .. }
            | Row::Quarantine { list, .. }
            | Row::Drop { list } => Some(*list),
            Row::Change { .. }
            | Row::Entry { .. }
            | Row::List { .. }
            | Row::Snapshot { .. }
            | Row::Made { .. }
            | Row::Release { .. }
            | Row::Salt(_) => None,
        })
    }

    fn outlives(&self) -> Outlives {
        let is_registrys = self.rows.is_empty() && self.meta.is_none();
        if is_registrys {
            Outlives::Process
        } else {
            Outlives::Host
        }
    }
}

/// Who is told on the thread.
pub(super) struct Observers {
    /// What happens to the store by itself.
    pub(super) notices: Box<dyn Fn(Notice) + Send>,
    /// How long each group took to be written.
    pub(super) synced: Box<dyn Fn(Duration) + Send>,
}

/// The thread's state.
pub(super) struct Committer {
    pub(super) home: Home,
    pub(super) shared: Arc<Shared>,
    queue: Receiver<Request>,
    observers: Observers,
    pub(super) epoch: Epoch,
    /// Lists that are still to be made anew before the directory is of this program's table.
    remake: BTreeMap<ListId, Remake>,
    /// Set after a failed commit, until the database is open again.
    outage: Option<Outage>,
    closing: bool,
}

impl Committer {
    pub(super) fn new(
        home: Home,
        shared: Arc<Shared>,
        queue: Receiver<Request>,
        observers: Observers,
        recovered: &Recovered,
    ) -> Self {
        Self {
            home,
            shared,
            queue,
            observers,
            epoch: recovered.epoch,
            remake: recovered.remake.iter().copied().collect(),
            outage: None,
            closing: false,
        }
    }

    /// Works until the store is closed or all its handles are gone.
    pub(super) fn run(mut self) {
        while !self.closing {
            match self.next() {
                Ok(Request::Commit(work)) => self.commit(work),
                Ok(Request::Call(call)) => call(),
                Ok(Request::Close) | Err(RecvTimeoutError::Disconnected) => self.closing = true,
                Err(RecvTimeoutError::Timeout) => self.reopen(),
            }
        }
        self.close();
    }

    fn next(&self) -> Result<Request, RecvTimeoutError> {
        let Some(outage) = &self.outage else {
            return self
                .queue
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected);
        };
        let patience = outage
            .next_attempt()
            .saturating_duration_since(Instant::now());
        // Asked first: commits that come without a pause must not put the attempt off.
        if patience.is_zero() {
            Err(RecvTimeoutError::Timeout)
        } else {
            self.queue.recv_timeout(patience)
        }
    }

    fn commit(&mut self, first: Work) {
        let group = self.gather(first);
        let (group, late): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|work| work.epoch.is_none_or(|epoch| epoch == self.epoch));
        self.answer(late, Err(WriteError::Failed));
        if let Some(outage) = &self.outage {
            return self.answer(group, Err(outage.error()));
        }
        let started = Instant::now();
        let result = self.write(&group);
        self.count(&group, result, started.elapsed());
        self.answer(group, result);
        if let Err(error) = result {
            self.outage = Some(Outage::new(error));
            (self.observers.notices)(Notice::Failed(error));
        }
    }

    /// Takes what has queued up meanwhile, as long as the group is small enough.
    fn gather(&mut self, first: Work) -> Vec<Work> {
        let mut group = vec![first];
        let (mut rows, mut bytes) = (0_usize, 0_usize);
        while let Some(last) = group.last() {
            rows = rows.saturating_add(last.rows());
            bytes = bytes.saturating_add(last.bytes());
            if rows >= GROUP_ROWS || bytes >= GROUP_BYTES {
                break;
            }
            match self.queue.try_recv() {
                Ok(Request::Commit(work)) => group.push(work),
                Ok(Request::Call(call)) => call(),
                Ok(Request::Close) => {
                    self.closing = true;
                    break;
                }
                Err(_) => break,
            }
        }
        group
    }

    fn answer(&self, group: Vec<Work>, result: Result<(), WriteError>) {
        for work in group {
            self.shared.counters.queued.fetch_sub(1, Ordering::Relaxed);
            (work.done)(result);
        }
    }

    /// Writes and syncs. A panic of the database is a failure like any other.
    fn write(&mut self, group: &[Work]) -> Result<(), WriteError> {
        let Some(db) = self.shared.slot.get() else {
            return Err(WriteError::Failed);
        };
        let remade: BTreeSet<ListId> = group.iter().flat_map(Work::remade).collect();
        let is_last =
            !self.remake.is_empty() && self.remake.keys().all(|list| remade.contains(list));
        let batch = Batch::new(&db, &self.remake);
        let written = catch_unwind(AssertUnwindSafe(|| write(&db, batch, group, is_last)));
        if matches!(written, Ok(Ok(()))) {
            for list in &remade {
                self.remake.remove(list);
            }
        }
        written.unwrap_or(Err(Failure::Panic)).map_err(|failure| {
            tracing::warn!(error = %failure, "a commit failed");
            if failure.is_full(self.home.dir()) {
                WriteError::Full
            } else {
                WriteError::Failed
            }
        })
    }

    fn count(&self, group: &[Work], result: Result<(), WriteError>, took: Duration) {
        let counters = &self.shared.counters;
        let add = |counter: &std::sync::atomic::AtomicU64, n: usize| {
            counter.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed)
        };
        (self.observers.synced)(took);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        counters.sync_ns.fetch_add(nanoseconds, Ordering::Relaxed);
        counters
            .sync_max_ns
            .fetch_max(nanoseconds, Ordering::Relaxed);
        counters.syncs.note(took);
        match result {
            Ok(()) => {
                add(&counters.groups, 1);
                add(&counters.commits, group.len());
                add(&counters.rows, group.iter().map(Work::rows).sum());
                add(&counters.bytes, group.iter().map(Work::bytes).sum());
            }
            Err(_) => {
                add(&counters.failures, 1);
            }
        }
    }

    fn reopen(&mut self) {
        let Some(mut outage) = self.outage.take() else {
            return;
        };
        match reopen::attempt(self, &outage) {
            Ok(recovered) => {
                tracing::debug!(lists = recovered.lists.len(), "the store is open again");
                self.shared.counters.reopens.fetch_add(1, Ordering::Relaxed);
                self.epoch = recovered.epoch;
                self.remake = recovered.remake.iter().copied().collect();
                (self.observers.notices)(Notice::Reopened(recovered));
            }
            Err(reason) => {
                tracing::warn!(error = %reason, "the store cannot be opened again yet");
                outage.postpone();
                self.outage = Some(outage);
            }
        }
    }

    fn close(self) {
        if let Some(db) = self.shared.slot.get().filter(|_| self.outage.is_none())
            && let Err(error) = db.flush()
        {
            tracing::warn!(%error, "rows stay in the journal: the next start takes longer");
        }
        if self.shared.slot.close(CLOSE_DEADLINE).is_err() {
            tracing::warn!("the store is closed while somebody reads it");
        }
        while let Ok(request) = self.queue.try_recv() {
            request.refuse(WriteError::Failed);
        }
    }
}

/// Writes a group. `is_remade`: with it all lists are of this program's table of fields.
fn write(
    db: &Arc<Db>,
    mut batch: Batch<'_>,
    group: &[Work],
    is_remade: bool,
) -> Result<(), Failure> {
    if is_remade {
        batch.set_meta(TABLE, Some(&Field::TABLE_NUMBER.to_be_bytes()));
    }
    for work in group {
        batch.add(&work.rows)?;
        if let Some((key, value)) = &work.meta {
            batch.set_meta(key, value.as_deref());
        }
        work.kept.iter().for_each(|row| batch.keep(row));
    }
    let is_all_registrys = group
        .iter()
        .all(|work| work.outlives() == Outlives::Process);
    batch.commit(if is_all_registrys {
        Outlives::Process
    } else {
        Outlives::Host
    })?;
    Ok(db.relieve()?)
}

/// Why a group was not committed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] fjall::Error),
    #[error(transparent)]
    Row(#[from] RecordError),
    #[error("the database panicked")]
    Panic,
}

impl Failure {
    pub(super) fn is_full(&self, dir: &Path) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Write(
                fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)),
            ) => {
                matches!(error.kind(), StorageFull | QuotaExceeded)
            }
            // fjall's worker failed before, and does not say why.
            Self::Write(fjall::Error::Poisoned) => reopen::is_short_of_space(dir),
            Self::Write(_) | Self::Read(_) | Self::Row(_) | Self::Panic => false,
        }
    }
}
