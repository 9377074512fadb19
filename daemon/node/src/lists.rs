//! The to-do lists of some shards: documents, commits, replication.
//!
//! [`Lists`] routes inputs to its parts; each part keeps its own state, and none reaches into
//! another:
//!
//! | part | keeps |
//! | --- | --- |
//! | `resident`, `jobs`, `vectors` | documents in memory, work on blocking threads, what the disk has |
//! | `edits`, `incoming` | requests and peers' changes that wait for their document |
//! | `commits` | writes on their way, and who is told what when they return |
//! | `peers`, `outbox`, `chunks` | connections, and new changes for them |
//! | `rounds`, `suspects`, `pulls` | finding out what differs, and repairing it |
//! | `replicas`, `watchers`, `evacuation` | who waits for whose confirmation |
//!
//! One rule goes through all of them: a document in memory may be ahead of the disk, but nobody, no
//! client, peer or digest, is shown anything whose commit has not returned.

mod chunks;
mod commits;
mod edge;
mod edits;
mod evacuation;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod harness;
mod incoming;
mod io;
mod job;
mod jobs;
mod messages;
mod outbox;
mod peers;
mod pulls;
#[cfg(test)]
mod quarantine;
mod repair;
mod replicas;
mod resident;
mod rounds;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod storm;
mod suspects;
mod turn;
mod vectors;
mod watchers;
mod wire;

pub use io::{
    Change, Command, Confirmations, Input, Lagging, ListRow, Output, Precondition, Refusal,
    Replicas, Reply, Row, Settings, Stats,
};
pub use job::{Answer, Done, Job, JobError, Loaded, Source, SourceError};
pub use wire::shards_of;

use crate::cluster::RosterView;
use crate::time::{Instant, Now};
use crate::wire::{ConnId, RequestId, WriteError, WriteId};
use chunks::Assemblies;
use commits::{Commits, Origin, Pending, Verdict};
use crdt::digest::Digest;
use crdt::entry::{Author, Edit};
use edge::{Edge, Timer};
use edits::{Edits, Request};
use evacuation::Evacuation;
use incoming::Incoming;
use jobs::Jobs;
use names::{ChangeHash, ListId, ListName, NodeId, Shard};
use outbox::Outbox;
use peers::Peers;
use pulls::Pulls;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use replicas::Waits;
use resident::{Place, Resident};
use rounds::Rounds;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use suspects::Suspects;
use vectors::Vectors;
use watchers::Watchers;

/// Writes on their way; more are refused as [`Refusal::Busy`].
const MAX_WRITES: usize = 16_384;
/// Requests for lists as they were that can wait: each loads a document.
const MAX_LOOKING_BACK: usize = 64;

/// The machine. `handle` takes an input, `poll_output` yields what follows from it, `poll_timeout`
/// says when it wants [`Input::Timeout`] next; the same inputs with the same seed give the same
/// outputs.
#[derive(Debug)]
pub struct Lists {
    me: NodeId,
    shards: (Shard, Shard),
    salt: [u8; 16],
    view: Option<Arc<RosterView>>,
    edge: Edge,
    /// What is committed, of every list that is not quarantined.
    digest: Digest,
    resident: Resident,
    jobs: Jobs,
    vectors: Vectors,
    edits: Edits,
    /// Requests for lists as they were, that jobs answer.
    looking_back: BTreeMap<RequestId, ChangeHash>,
    incoming: Incoming,
    /// Batches that jobs apply.
    applying: BTreeMap<ListId, turn::Applying>,
    commits: Commits,
    peers: Peers,
    outbox: Outbox,
    assemblies: Assemblies,
    rounds: Rounds,
    suspects: Suspects,
    pulls: Pulls,
    /// Peers with which all lists are to be compared, and differences repaired at once.
    fresh: BTreeSet<NodeId>,
    /// Those of them that are to do the same, because something for them was dropped.
    wake: BTreeSet<NodeId>,
    /// Answers to peers' pulls that are being read.
    serving: BTreeSet<(ListId, NodeId)>,
    watchers: Watchers,
    waits: Waits,
    evacuation: Evacuation,
    rng: ChaCha8Rng,
}

impl Lists {
    /// A machine that has nothing in memory yet.
    pub fn new(settings: Settings) -> Self {
        let Settings {
            me,
            shards,
            salt,
            seed,
            resident_bytes,
            known,
            quarantined,
        } = settings;
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut edge = Edge::default();
        edge.set_timer(Instant::default(), Timer::Tick);
        let mut lists = Self {
            me,
            shards,
            salt,
            view: None,
            edge,
            digest: Digest::default(),
            resident: Resident::new(resident_bytes, quarantined),
            jobs: Jobs::default(),
            vectors: Vectors::default(),
            edits: Edits::new(ChaCha8Rng::from_rng(&mut rng)),
            looking_back: BTreeMap::new(),
            incoming: Incoming::default(),
            applying: BTreeMap::new(),
            commits: Commits::default(),
            peers: Peers::default(),
            outbox: Outbox::default(),
            assemblies: Assemblies::default(),
            rounds: Rounds::default(),
            suspects: Suspects::default(),
            pulls: Pulls::default(),
            fresh: BTreeSet::new(),
            wake: BTreeSet::new(),
            serving: BTreeSet::new(),
            watchers: Watchers::default(),
            waits: Waits::default(),
            evacuation: Evacuation::default(),
            rng,
        };
        lists.know(known);
        lists
    }

    /// Takes an input. Outputs follow from [`Lists::poll_output`].
    pub fn handle(&mut self, now: Now, input: Input) {
        self.edge.now = now;
        match input {
            Input::Timeout => self.timeout(),
            Input::Connected { peer, conn } => self.connected(peer, conn),
            Input::Message { conn, bytes } => self.receive(conn, &bytes),
            Input::Overflowed { conn } => self.overflowed(conn),
            Input::Closed { conn } => self.closed(conn),
            Input::Cluster(view) => self.view = Some(view),
            Input::Request { id, by, command } => self.request(id, by, command),
            Input::Written { id, result } => self.written(id, result),
            Input::Reopened { salt, known } => self.reopened(salt, known),
            Input::Worked { list, done } => self.worked(list, done),
        }
        self.evict();
    }

    /// The next thing to be done, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.edge.pop_output().or_else(|| {
            self.outbox.flush(&mut self.edge, &self.peers);
            self.edge.pop_output()
        })
    }

    /// When [`Input::Timeout`] is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.edge.next_timer()
    }

    /// The numbers as of now.
    pub fn stats(&self) -> Stats {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let ((resident, bytes), (repairs, repairs_begun)) =
            (self.resident.size(), self.pulls.counts());
        Stats {
            lists: count(self.digest.len()),
            resident: count(resident),
            resident_bytes: count(bytes),
            orphans: count(self.incoming.orphans()),
            repairs: count(repairs),
            repairs_begun,
            differing: self.rounds.differing(),
            lag: self.rounds.lag(),
            quarantined: count(self.resident.quarantined().len()),
            writes_pending: count(self.commits.len()),
            requests_waiting: count(
                self.edits.len()
                    + self.looking_back.len()
                    + self.commits.verdicts()
                    + self.waits.len()
                    + self.evacuation.len(),
            ),
            ..self.edge.stats
        }
    }

    fn timeout(&mut self) {
        while let Some(timer) = self.edge.pop_timer() {
            match timer {
                Timer::Deadline(request) => self.expire(request),
                Timer::Orphans(list) => self.adopt(list),
                Timer::Abandon(list) => self.abandon(list),
                Timer::Reload(list) => self.turn(list),
                Timer::Recheck(list) => self.with_vector(list, vectors::Purpose::Recheck),
                Timer::Tick => self.tick(),
            }
        }
    }

    fn expire(&mut self, request: RequestId) {
        if self.edits.expire(request) || self.looking_back.remove(&request).is_some() {
            self.edge.reply(request, Err(Refusal::Timeout));
        } else if self.evacuation.expects(request) {
            let left = self
                .evacuation
                .unconfirmed(&self.digest, self.resident.quarantined());
            self.evacuation.expire(request);
            self.edge.reply(request, Ok(Reply::Unconfirmed(left)));
        } else if let Some(view) = &self.view {
            self.waits.expire(&mut self.edge, view, request);
        }
    }

    fn request(&mut self, id: RequestId, by: Author, command: Command) {
        let accepted = match command {
            Command::Evacuate { timeout } => {
                self.evacuate(id, timeout);
                Ok(())
            }
            Command::Edit {
                list,
                edit,
                expect,
                replicas,
                timeout,
            } => self.asked(replicas).and_then(|asked| {
                let request = Request {
                    id,
                    by,
                    edit,
                    expect,
                    asked,
                    deadline: self.edge.now.instant + timeout,
                };
                self.edit(list, request)
            }),
            Command::EntriesAt {
                list,
                change,
                timeout,
            } => self.look_back(list, change, id, timeout),
            Command::Lagging => {
                let lagging = self.rounds.lagging().collect();
                self.edge.reply(id, Ok(Reply::Lagging(lagging)));
                Ok(())
            }
        };
        if let Err(refusal) = accepted {
            self.edge.reply(id, Err(refusal));
        }
    }

    fn asked(&self, replicas: Option<Replicas>) -> Result<Option<usize>, Refusal> {
        let Some(replicas) = replicas else {
            return Ok(None);
        };
        // Without a roster nobody can say how many nodes there are: it comes within the first
        // moments.
        let view = self
            .view
            .as_ref()
            .filter(|_| !self.waits.is_full())
            .ok_or(Refusal::Busy)?;
        replicas::asked(view, replicas).map(Some)
    }

    fn edit(&mut self, name: ListName, request: Request) -> Result<(), Refusal> {
        let (id, deadline) = (request.id, request.deadline);
        let list = self.open(&name, matches!(request.edit, Edit::Add(_)))?;
        if self.commits.len() >= MAX_WRITES {
            return Err(Refusal::Busy);
        }
        self.edits
            .wait(list, name, request)
            .map_err(|_| Refusal::Busy)?;
        self.turn(list);
        if self.edits.holds(id) {
            self.edge.set_timer(deadline, Timer::Deadline(id));
        }
        Ok(())
    }

    /// Reads what is committed, in a document of its own: the one in memory may be ahead, and stays
    /// free for others.
    fn look_back(
        &mut self,
        name: ListName,
        change: ChangeHash,
        id: RequestId,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let list = self.open(&name, false)?;
        if self.looking_back.len() >= MAX_LOOKING_BACK {
            return Err(Refusal::Busy);
        }
        self.looking_back.insert(id, change);
        self.edge.set_timer_in(timeout, Timer::Deadline(id));
        self.jobs.push(
            &mut self.edge,
            list,
            Job::EntriesAt {
                name,
                change,
                request: id,
            },
        );
        Ok(())
    }

    /// The id of a list that a client may use now.
    fn open(&self, name: &ListName, create: bool) -> Result<ListId, Refusal> {
        if let Some(error) = self.commits.failed() {
            return Err(Refusal::Unavailable(error));
        }
        let list = ListId::of(name);
        match self.resident.place(list) {
            Place::Quarantined => Err(Refusal::Quarantined),
            Place::Absent if !create && !self.is_known(list) => {
                Err(Refusal::NoList(name.to_string()))
            }
            Place::Here | Place::Away | Place::Absent => Ok(list),
        }
    }

    fn written(&mut self, id: WriteId, result: Result<(), WriteError>) {
        let Some(pending) = self.commits.returned(id) else {
            return;
        };
        match result {
            Ok(()) => self.committed(pending),
            Err(error) => {
                let unknown = |verdict: Verdict| (verdict.request, Err(Refusal::Unknown(error)));
                pending
                    .verdicts
                    .into_iter()
                    .map(unknown)
                    .for_each(|(request, refusal)| self.edge.reply(request, refusal));
                self.fail(error);
            }
        }
    }

    fn committed(
        &mut self,
        Pending {
            list,
            advance,
            verdicts,
        }: Pending,
    ) {
        let confirm = verdicts
            .iter()
            .any(|verdict| verdict.wish.as_ref().is_some_and(|wish| wish.asked > 1));
        verdicts
            .into_iter()
            .for_each(|verdict| self.deliver(list, verdict));
        if let Some(advance) = advance {
            self.show(list, advance, confirm);
        }
        self.turn(list);
    }

    /// What is on disk is now shown to everybody.
    fn show(&mut self, list: ListId, advance: commits::Advance, confirm: bool) {
        let commits::Advance {
            origin,
            name,
            changes,
            total_before,
            row,
            entries,
        } = advance;
        if self.resident.place(list) != Place::Quarantined {
            self.digest.set(list, row.sum);
        }
        self.rounds.changed(list);
        let answerable = self
            .watchers
            .committed(list, changes.iter().map(|change| change.id));
        self.answer_watchers(list, answerable);
        let count = u64::try_from(changes.len()).unwrap_or(0);
        match origin {
            Origin::Local => {
                self.edge.stats.changes_local += count;
                changes.iter().for_each(|change| {
                    self.outbox
                        .push(&mut self.edge, &self.peers, &name, &change.bytes, confirm)
                });
            }
            Origin::Remote => {
                self.edge.stats.changes_remote += count;
                self.pulls.advanced(self.edge.now.instant, list);
            }
        }
        self.edge.output(Output::Changed(Change {
            list,
            name,
            at: self.edge.now.wall,
            total_before,
            row,
            entries,
        }));
    }

    fn deliver(&mut self, list: ListId, verdict: Verdict) {
        let Verdict {
            request,
            result,
            wish,
        } = verdict;
        match (result, wish, &self.view) {
            (Ok(reply), Some(wish), Some(view)) => self.waits.begin(
                &mut self.edge,
                view,
                &self.peers,
                request,
                (list, wish, reply),
            ),
            (result, _, _) => self.edge.reply(request, result),
        }
    }

    /// A commit failed: what is in memory may never have been, and nothing can be written until the
    /// store is back.
    fn fail(&mut self, error: WriteError) {
        for verdict in self
            .commits
            .fail(error)
            .flat_map(|pending| pending.verdicts)
        {
            self.edge
                .reply(verdict.request, Err(Refusal::Unknown(error)));
        }
        for request in self
            .edits
            .drain()
            .chain(std::mem::take(&mut self.looking_back).into_keys())
        {
            self.edge.reply(request, Err(Refusal::Unavailable(error)));
        }
        self.resident.clear();
        self.incoming.clear();
        self.applying.clear();
        self.jobs.forget();
        self.vectors.clear();
        self.rounds.clear();
        self.suspects.clear();
        self.pulls.clear();
        self.serving.clear();
    }

    /// Begins anew with what the store has. The other machines of this daemon share that store: one
    /// that saw no failure itself begins anew, too. Peers are to compare as well: a write whose
    /// commit failed may be there after all, and was pushed to nobody.
    fn reopened(&mut self, salt: [u8; 16], known: Vec<(ListId, u64)>) {
        self.fail(WriteError::Failed);
        self.commits.reopened();
        self.salt = salt;
        self.know(known);
        self.fresh.extend(self.peers.iter().map(|(peer, _)| peer));
        self.wake.extend(self.peers.iter().map(|(peer, _)| peer));
        self.begin_rounds();
    }

    fn know(&mut self, known: Vec<(ListId, u64)>) {
        self.digest = Digest::default();
        for (list, sum) in known {
            if self.owns(list) && self.resident.place(list) != Place::Quarantined {
                self.digest.set(list, sum);
            }
        }
    }

    /// Whether there is anything of that list, on disk or on its way there.
    fn is_known(&self, list: ListId) -> bool {
        self.digest.get(list).is_some()
            || self.commits.any(list)
            || self.resident.place(list) != Place::Absent
    }

    fn owns(&self, list: ListId) -> bool {
        (self.shards.0..=self.shards.1).contains(&list.shard())
    }

    fn connected(&mut self, peer: NodeId, conn: ConnId) {
        self.peers.connected(peer, conn);
        self.fresh.insert(peer);
        self.rounds.cancel(peer);
        self.begin_rounds();
    }

    fn closed(&mut self, conn: ConnId) {
        self.assemblies.closed(conn);
        let user = self
            .peers
            .peer_of(conn)
            .filter(|peer| self.peers.conn_of(*peer) == Some(conn));
        if let Some(peer) = self.peers.closed(conn) {
            self.fresh.remove(&peer);
            self.wake.remove(&peer);
            self.rounds.gone(peer);
            self.pulls.gone(peer);
            self.pull_next();
        } else if let Some(peer) = user {
            // What was under way may be lost; another connection is there to find out.
            self.fresh.insert(peer);
            self.rounds.cancel(peer);
            self.begin_rounds();
        }
    }

    /// Something for a peer was dropped: with the next tick both compare all lists, when the queue
    /// has had time to drain.
    fn overflowed(&mut self, conn: ConnId) {
        if let Some(peer) = self.peers.peer_of(conn) {
            self.fresh.insert(peer);
            self.wake.insert(peer);
            self.rounds.cancel(peer);
        }
    }
}
