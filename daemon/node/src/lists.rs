//! The to-do lists of some shards: documents, commits, replication.
//!
//! [`Lists`] is a router between two machines that share its edge and know nothing of each other's
//! state:
//!
//! | machine | keeps |
//! | --- | --- |
//! | `documents` | documents, writes and jobs on their way, and the digest of what is on the disk |
//! | `replication` | connections, what is said on them, and who waits for other nodes |
//!
//! Replication stands on the documents: it is lent them, and they do not know it. What happens in
//! the documents goes to replication as an `event`, which the router hands on after each of their
//! steps. The router also names the next step: when changes of peers came, a write returned, or a
//! job was done, and all events of that were handed on, what waits for that list goes on.
//!
//! One rule goes through both: a document in memory may be ahead of the disk, but nobody, no
//! client, peer or digest, is shown anything whose commit has not returned.
//!
//! # Replication
//!
//! Every member has every list. A change is pushed to all connected peers as soon as it is on this
//! node's disk; what a push did not bring, the digests find: anti-entropy by a tree of sums, the
//! idea of Dynamo (DeCandia et al. 2007, section 4.7), three levels deep and 256 wide, and then
//! version vectors. The messages are in `wire`, on channel 2; each names the shards that it
//! concerns.
//!
//! ## Who speaks first
//!
//! Either side, at any time: there is no session, and the side that answers keeps nothing. A node
//! pushes when it has committed a change of its clients. It compares all lists with a peer when a
//! connection is made, after something for that peer was dropped, and each second with one peer
//! chosen at random.
//!
//! ## Messages
//!
//! A change made at `a`:
//!
//! ```text
//! a → b   Push [{ name, changes, confirm }]    or Chunk…, if the change is larger than 256 KiB
//! b → a   Have { list, vector }                only if `confirm`: once it is on b's disk
//! ```
//!
//! A round of comparing, where one list of many differs:
//!
//! ```text
//! a → b   Root { sum }                         over all lists of the shards in the header
//! b → a   Shards [sum; n]                      its sum is another one; else Equal, and no more
//! a → b   Buckets { shard, [sum; 256] }        for each shard that differs, 8 at a time
//! b → a   Leaves { shard, buckets, leaves }    the lists of buckets that differ, with their sums
//! ```
//!
//! What differs is repaired at once after a new connection, or if the list is not here at all. Else
//! it may be a change that is still on its way, and both look again a second later:
//!
//! ```text
//! a → b   Compare { list, vector }             what a had when the sums differed
//! b → a   Compare { list, vector, answer }     where b has something else; who lacks some of it pulls
//! a → b   Pull { list, vector, most_bytes }    what is missing in this?
//! b → a   Changes { name, changes, tail }      dependencies first; Nothing if there is none
//! a → b   Pull …                               while there is more, and something new came
//! ```
//!
//! Before a node leaves, and for a client that waits for replicas, it asks whether others have it
//! all:
//!
//! ```text
//! a → b   Confirm { list, vector }
//! b → a   Have { list, vector }                when all of that is on b's disk
//! ```
//!
//! A vector says of each actor the number of its last change and the first 16 bytes of that change's
//! hash, its mark: so replicas agree on what they hold, and not on how much. On connections that
//! speak protocol 1 vectors have numbers only (`Compare`, `Pull`, `Confirm`, `Have`), and the sums of
//! rounds are over numbers; in protocol 2 vectors have marks (`CompareMarked` …), and so have the
//! sums. Either is said only where it is spoken: a vector without marks would be believed for its
//! numbers.
//!
//! ## Vectors in parts
//!
//! A list has an actor for each run of each node that has written to it, so its vector grows for years. No
//! message says more than 4,096 rows of one, about 160 KiB. What a larger vector has to say goes part by
//! part in the order of actors, each part with the first and the last actor that it is about:
//!
//! ```text
//! a → b   ComparePart { list, span, vector }   all that a has of the actors of this span
//! b → a   CompareMarked { …, answer }          where b has something else of these; then the next part
//! a → b   PullPart { list, span, vector, … }   what is missing in this, of these actors?
//! b → a   Changes { name, changes, tail }      then more of this part, or the next one
//! ```
//!
//! `Confirm` needs no span: each is about its own rows, and the next one follows its `Have`. A part is
//! judged by itself: neither side keeps one until another comes, and the side that answers still keeps
//! nothing. So what is lost, comes twice or comes out of order is not compared this time, and nothing else;
//! and a list holds up no other one. A way through the parts that breaks off, with its connection or for an
//! answer that stays away, is taken up there by the next one (`replication/reached.rs`), so that all parts
//! have their turn also where no connection lasts for all of them. Who says more rows at once, or rows
//! outside of the span, is cut off and named; so is who answers a pull without end.
//!
//! Changes of one part may depend on some of another, and wait for those. The first change that is lacking
//! depends on none that is, so each way through all parts brings something.
//!
//! ## Observers
//!
//! An observer replicates the lists to read them. Changes are pushed to it, and what it lacks it finds by
//! rounds of its own with members; nobody opens a round with an observer, asks it for changes, counts
//! what it has, or takes from it that a list is forked or without something. Where it sends changes its connection is
//! closed.
//!
//! ## Forks
//!
//! Nobody honest writes two changes with one number, so no replica takes both: the second one that
//! comes is refused (`Fault::Forked`, counted, its sender named). Whoever hears a vector compares it
//! with what is here: at equal numbers by the marks, and where it is ahead itself by the change that
//! it has at the other's number. What is unlike it tells:
//!
//! ```text
//! a → b   CompareMarked, PullMarked, ConfirmMarked, or a change whose number is taken
//! b → a   Unlike { list, vector }              what b has at those numbers
//! ```
//!
//! So both ends raise the alarm, whichever is ahead: an event, an attention, a metric and a line in
//! the log name the list, the actor and the peer. As long as that stands neither says `Have` of that
//! list to the other, and neither counts what the other has. It is over when a round with the peer
//! finds the list equal.
//!
//! Until then each pulls what the other has of that actor, from its first change on. Where two changes
//! with one number meet, and what the one depends on is in the document of the other, the one stays
//! that its actor's owner has signed to be its own, and as long as there is no such word the one with
//! the smaller hash. The other one is *left out* (`crdt/src/list/left_out.rs`): it, and all that
//! depends on it, is moved aside in one write, the view is made anew from what stays, and none of it
//! is taken again, unless the owner's word comes, which brings its own change back. What a node has
//! written on top of a change that goes it writes anew in the same write. What is known of a list's
//! forks is a set that counts in its sum, and is told with the vector of a list that differed:
//!
//! ```text
//! a → b   CompareMarked { list, vector }       what a had when the sums differed
//! a → b   LeftOut { list, left_out }…          what it is without there, each with its evidence
//! ```
//!
//! The evidence is the two changes themselves, or the owner's word. Whoever has read it leaves the same
//! one out, though he may have seen neither: so all end with the same set, and with the same document.
//! The owner speaks when it hears of a fork of its actor, from whomever, and tells all peers at once. It
//! speaks only of changes of which its disk says that it has made them itself, and writes by another actor
//! from then on. That a node has signed two unlike words is told to those who look after the cluster, and
//! nobody is cut off for it (`replication/contradictions.rs` says why).
//!
//! ## Whose an actor is
//!
//! ```text
//! a → b   Salts [salt]                         on connecting, and when a has drawn another one
//! b → c   WhoseActors { list, actors }         c has sent changes of actors whose salts b does not know
//! c → b   Salts [salt; n]                      those that c knows, as their nodes have signed them
//! ```
//!
//! ## What may be lost
//!
//! Anything: a full queue drops messages, a connection ends with what is in flight. A lost push is
//! found by the next round; a lost question or answer of a round ends it after 2 s, and another one
//! begins; a pull without progress for 5 s is given up, and found again, and for a minute who did not
//! answer is asked for that list only if nobody else has it; on a link that is slow
//! both get as long as their bytes take there (`replication/flow.rs`); `Confirm` is said each
//! second as long as somebody waits. A change that comes before those that it depends on is held
//! back, and after 250 ms, or a round trip, its sender is asked for them. A change is taken in once, however often it
//! comes.
//!
//! ## Bounds
//!
//! 1,024 forks of a list settled by hashes for the actors of each owner, and for all those of unknown
//! owner, and as many by the words of each owner; 256 changes looked at
//! together, for 64 lists at once. 4,096 salts of a node; of what proves nothing 16 a second are judged
//! of each peer. 4,096 earlier changes looked up for what a peer says of a list, the rest is not confirmed; 1,024
//! forks noted at once.
//!
//! 4,096 rows of a vector at once; what peers ask and say about vectors while the disk is read, or wait to
//! have confirmed, may have 65,536 rows of each peer and 1,048,576 of all. 1,024 ways through parts that
//! broke off are remembered.
//!
//! 1 MiB a message, 4 MiB a change; 64 lists repaired at once, 16,384 waiting for each peer, 1 MiB
//! under way from each, and on a thin link what comes within 4 s; 64 lists under a second look; 16 MiB or 10,000 changes held back for a
//! list; of one peer 32 MiB, of all 128 MiB, with what they take besides their bytes; 4,096 clients
//! that wait for replicas. What finds no room is dropped, counted, and found by a later round.
//!
//! Lists whose documents are not in memory, and which no client waits for, stand in line while the
//! documents take more than their bound (`documents/line.rs`): a peer that sends changes of very
//! many lists makes them wait, and nobody else.

pub mod ask;
mod documents;
mod edge;
mod event;
#[cfg(test)]
mod golden;
mod io;
mod job;
mod own;
mod replication;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod wire;

pub use io::{
    Change, Command, Compared, Comparison, Confirmations, Disputed, Edited, Finding, Gone, Holder,
    Input, Lagging, Left, ListRow, Output, Precondition, Recorded, Refusal, Remake, Remote,
    Replicas, Reply, Row, Settings, Stats,
};
pub use job::{
    Answer, Done, Examined, Job, JobError, Judged, Loaded, Look, Progress, Rebuilt, Seen, Source,
    SourceError, Without, each_change, examine,
};
pub use own::Own;
pub use replication::{Contradiction, Fork};
pub use wire::shards_of;

use crate::machine::Machine;
use crate::time::{Instant, Now};
use crate::wire::RequestId;
use crdt::entry::Author;
use documents::Documents;
use edge::{Edge, Timer};
use names::{ListId, Shard};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use replication::Replication;
use std::collections::BTreeSet;

/// How many lists that stand in line are taken up by one call of [`Lists::wake`]: few, since what
/// clients ask meanwhile waits for its end.
const TAKEN_UP_AT_ONCE: usize = 16;

/// Whether a list is in a machine's shards.
fn owns(shards: (Shard, Shard), list: ListId) -> bool {
    (shards.0..=shards.1).contains(&list.shard())
}

/// The machine that holds the lists of some shards. See [`Input`] and [`Output`] for all that
/// happens at its edge.
#[derive(Debug)]
pub struct Lists {
    edge: Edge,
    documents: Documents,
    replication: Replication,
}

impl Lists {
    /// A machine that has nothing in memory yet.
    pub fn new(settings: Settings) -> Self {
        let mut rng = ChaCha8Rng::from_seed(settings.seed);
        let for_entries = ChaCha8Rng::from_rng(&mut rng);
        let mut edge = Edge::new(Now::default());
        edge.at(Instant::default(), Timer::Tick);
        Self {
            edge,
            replication: Replication::new(settings.shards, rng),
            documents: Documents::new(settings, for_entries),
        }
    }
}

impl Machine for Lists {
    type Input = Input;
    type Output = Output;
    type Stats = Stats;

    fn handle(&mut self, now: Now, input: Input) {
        self.edge.now = now;
        self.route(input);
        self.finish();
    }

    fn wake(&mut self, now: Now) {
        self.edge.now = now;
        while let Some(timer) = self.edge.next_due() {
            self.fire(timer);
        }
        self.finish();
        self.move_line();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.edge.next_output().or_else(|| {
            self.replication.flush(&mut self.edge);
            self.edge.next_output()
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.documents.line_moves() {
            return Some(self.edge.now.instant);
        }
        self.edge.next_deadline()
    }

    fn stats(&self) -> Stats {
        let mut stats = self.edge.stats;
        self.documents.count(&mut stats);
        self.replication.count(&mut stats);
        stats
    }
}

impl Lists {
    fn route(&mut self, input: Input) {
        let (edge, documents) = (&mut self.edge, &mut self.documents);
        match input {
            Input::Connected {
                peer,
                role,
                conn,
                protocol,
            } => {
                self.replication
                    .connected(edge, documents, (peer, role, conn), protocol);
            }
            Input::Message { conn, bytes } => {
                for list in self.replication.receive(edge, documents, conn, &bytes) {
                    self.run_waiting(list);
                }
            }
            Input::Overflowed { conn } => self.replication.overflowed(conn),
            Input::Closed { conn } => self.replication.closed(edge, documents, conn),
            Input::Cluster(view) => self.replication.set_view(view),
            Input::Request { id, by, command } => self.request(id, by, command),
            Input::Written { id, result } => {
                let ready = documents.written(edge, id, result);
                self.run_ready(ready);
            }
            Input::Reopened { salt, known } => {
                documents.reopened(edge, salt, known);
                self.hand_on_events();
                self.replication.reopened(&mut self.edge, &self.documents);
            }
            Input::Salvaged { name, changes } => {
                if let Some(list) = documents.salvaged(edge, &name, changes) {
                    self.run_waiting(list);
                }
            }
            Input::Worked { list, done } => {
                let ready = documents.worked(edge, list, done);
                self.run_ready(ready);
            }
        }
    }

    fn request(&mut self, id: RequestId, by: Author, command: Command) {
        let (edge, documents) = (&mut self.edge, &mut self.documents);
        let accepted = match command {
            Command::Edit(edit) => self
                .replication
                .asked(edit.replicas)
                .and_then(|asked| documents.edit(edge, id, by, edit, asked)),
            Command::EntriesAt(ask) => {
                let look = Look::EntriesAt(ask.change);
                documents.look(edge, id, (ask.list, look), ask.timeout)
            }
            Command::Disputes(ask) => {
                documents.look(edge, id, (ask.list, Look::Disputes), ask.timeout)
            }
            Command::History(ask) => {
                let look = Look::History {
                    entry: ask.entry,
                    before: ask.before,
                    most: ask.most,
                };
                documents.look(edge, id, (ask.list, look), ask.timeout)
            }
            Command::Saved(ask) => documents.look(edge, id, (ask.list, Look::Saved), ask.timeout),
            Command::Differences(ask) => {
                let look = Look::Differences(ask.saved);
                documents.look(edge, id, (ask.list, look), ask.timeout)
            }
            Command::Standings(ask) => {
                let look = Look::Standings(ask.ids);
                documents.look(edge, id, (ask.list, look), ask.timeout)
            }
            Command::LastOf(ask) => {
                let look = Look::LastOf { by, way: ask.way };
                documents.look(edge, id, (ask.list, look), ask.timeout)
            }
            Command::Rebuild(rebuild) => documents.rebuild(edge, id, rebuild),
            Command::Quarantine(ask) => documents.set_aside(edge, id, ask),
            Command::Release(ask) => documents.release(edge, id, ask),
            Command::Replace(ask) => documents.replace(edge, id, ask),
            Command::Learn(ask) => {
                let ready = documents.learn_salts(edge, ask);
                return self.taken(id, ready);
            }
            Command::Restore(ask) => {
                let ready = documents.restore(edge, ask);
                return self.taken(id, ready.map(|list| [list].into()));
            }
            Command::Holders(ask) => self.replication.survey(edge, id, ask),
            Command::Depart(ask::Depart { timeout }) => {
                self.replication.depart(edge, documents, id, timeout);
                Ok(())
            }
            Command::Lagging(ask::Lagging) => {
                edge.tell(id, Reply::Lagging(self.replication.lagging()))
            }
            Command::Comparisons(ask::Comparisons) => {
                let all = self.replication.comparisons(edge);
                edge.tell(id, Reply::Comparisons(all))
            }
            Command::Contradictions(ask::Contradictions) => {
                edge.tell(id, Reply::Contradictions(self.replication.contradictions()))
            }
            Command::Forks(ask::Forks) => {
                edge.tell(id, Reply::Forks(self.replication.forks(documents)))
            }
        };
        if let Err(refusal) = accepted {
            self.edge.reply(id, Err(refusal));
        }
        self.hand_on_events();
    }

    /// Something of a backup was taken in: what waits for these lists may go on.
    fn taken(&mut self, id: RequestId, ready: Result<BTreeSet<ListId>, Refusal>) {
        self.hand_on_events();
        let lists = match ready {
            Ok(lists) => lists,
            Err(refusal) => return self.edge.reply(id, Err(refusal)),
        };
        self.edge.reply(id, Ok(Reply::Done));
        for list in lists {
            self.run_waiting(list);
        }
    }

    fn fire(&mut self, timer: Timer) {
        let (edge, documents) = (&mut self.edge, &mut self.documents);
        match timer {
            Timer::Deadline(request) => {
                if !documents.expire(edge, request) {
                    self.replication.expire(edge, documents, request);
                }
            }
            Timer::Orphans(list) => {
                for peer in documents.senders_of_orphans(list) {
                    self.replication.repair(edge, documents, peer, list);
                }
            }
            Timer::Abandon(list) => self.replication.abandon(edge, documents, list),
            Timer::Reload(list) => self.run_waiting(list),
            Timer::Recheck(list) => self.replication.recheck(edge, documents, list),
            Timer::Tick => self.replication.tick(edge, documents),
        }
    }

    /// A step of the documents is over: its events come first, then what waits for that list.
    fn run_ready(&mut self, ready: Option<ListId>) {
        self.hand_on_events();
        if let Some(list) = ready {
            self.run_waiting(list);
        }
    }

    fn run_waiting(&mut self, list: ListId) {
        self.documents.run_waiting(&mut self.edge, list);
        self.hand_on_events();
    }

    fn hand_on_events(&mut self) {
        while let Some(event) = self.documents.next_event() {
            self.replication
                .handle(&mut self.edge, &mut self.documents, event);
        }
    }

    /// Takes up some of the lists that stand in line. Whoever drives the machine hands in what came
    /// meanwhile before it wakes the machine for the next ones.
    fn move_line(&mut self) {
        for _ in 0..TAKEN_UP_AT_ONCE {
            let Some(list) = self.documents.take_up() else {
                return;
            };
            self.run_waiting(list);
            self.documents.evict(&mut self.edge);
        }
    }

    /// What follows each input and each deadline: further lists are made anew, and memory is freed.
    fn finish(&mut self) {
        self.documents.rebuild_next(&mut self.edge);
        self.hand_on_events();
        self.documents.evict(&mut self.edge);
    }
}
