//! Carries the inputs and outputs of the lists machines, each on a thread of its own.

use super::connections::Connections;
use crate::event::EventLog;
use crate::host::Clock;
use crdt::entry::Author;
use names::{NodeId, Shard};
use node::cluster::RosterView;
use node::lists::{self, Change, Command, Input, Lists, Output, Refusal, Reply, Settings, Stats};
use node::wire::{ConnId, RequestId};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Epoch, Recovered, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};
use transport::{Endpoint, Event, Events};

/// Bytes of peers' messages that may wait for one machine; beyond that the peers' streams are not
/// read.
const WAITING_BYTES: u32 = 8 << 20;

/// How many inputs are handled before outputs are carried out: what clients ask together is
/// committed together.
const BURST: usize = 128;

type Answer = Result<Reply, Refusal>;

/// What other threads send to a machine.
enum Letter {
    Input(Input),
    /// The store was reopened: from here on, what the machine writes builds on this epoch.
    Reopened(Input, Epoch),
    /// A peer's message, with its share of [`WAITING_BYTES`].
    Message(Input, OwnedSemaphorePermit),
    Request(Author, Command, oneshot::Sender<Answer>),
    /// To be called on the machine's thread.
    Call(Box<dyn FnOnce() + Send>),
}

/// The receiving end of a [`ListsInbox`].
pub(super) struct Inputs(Receiver<Letter>);

/// The way into one machine for other threads. Clones share it.
#[derive(Clone)]
pub(crate) struct ListsInbox {
    shards: (Shard, Shard),
    letters: Sender<Letter>,
    room: Arc<Semaphore>,
    stats: Arc<Mutex<Stats>>,
}

impl ListsInbox {
    pub(super) fn new(shards: (Shard, Shard)) -> (Self, Inputs) {
        let (letters, inputs) = channel();
        let room = Arc::new(Semaphore::new(WAITING_BYTES as usize));
        (
            Self {
                shards,
                letters,
                room,
                stats: Arc::default(),
            },
            Inputs(inputs),
        )
    }

    /// The first and the last shard of this machine.
    pub(super) fn shards(&self) -> (Shard, Shard) {
        self.shards
    }

    /// Whether that shard is this machine's.
    pub(crate) fn owns(&self, shard: Shard) -> bool {
        self.touches((shard, shard))
    }

    fn touches(&self, (first, last): (Shard, Shard)) -> bool {
        self.shards.0 <= last && first <= self.shards.1
    }

    /// Asks the machine. When its thread has ended, `reply` is dropped.
    pub(crate) fn request(&self, by: Author, command: Command, reply: oneshot::Sender<Answer>) {
        let _ = self.letters.send(Letter::Request(by, command, reply));
    }

    /// Calls that on the machine's thread, when it comes to it.
    pub(crate) fn call(&self, call: Box<dyn FnOnce() + Send>) {
        let _ = self.letters.send(Letter::Call(call));
    }

    /// The machine's numbers, as of its last turn.
    pub(crate) fn stats(&self) -> Stats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cluster(&self, view: Arc<RosterView>) {
        self.input(Input::Cluster(view));
    }

    pub(super) fn reopened(&self, salt: [u8; 16], recovered: &Recovered) {
        let known = recovered
            .lists
            .iter()
            .filter(|(list, _)| self.owns(list.shard()))
            .copied()
            .collect();
        let _ = self.letters.send(Letter::Reopened(
            Input::Reopened { salt, known },
            recovered.epoch,
        ));
    }

    fn input(&self, input: Input) {
        // The thread ends only with the process.
        let _ = self.letters.send(Letter::Input(input));
    }

    async fn message(&self, conn: ConnId, bytes: bytes::Bytes) {
        let size = u32::try_from(bytes.len())
            .unwrap_or(WAITING_BYTES)
            .clamp(1, WAITING_BYTES);
        if let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(size).await {
            let _ = self
                .letters
                .send(Letter::Message(Input::Message { conn, bytes }, permit));
        }
    }
}

/// Brings what peers send on the bulk channel to the machines that own its shards.
pub(super) async fn deliver(mut bulk: Events, workers: Vec<ListsInbox>) {
    let mut connections = Connections::default();
    let tell_all =
        |input: &dyn Fn() -> Input| workers.iter().for_each(|worker| worker.input(input()));
    while let Some(event) = bulk.next().await {
        match event {
            Event::Connected {
                conn,
                peer,
                preferred,
                ..
            } => {
                for conn in connections.connected(peer.id, conn, preferred) {
                    tell_all(&|| Input::Connected {
                        peer: NodeId(peer.id),
                        conn,
                    });
                }
            }
            Event::Closed { conn, .. } => {
                connections.closed(conn);
                tell_all(&|| Input::Closed { conn: ConnId(conn) });
            }
            Event::Overflowed { conn, .. } => {
                tell_all(&|| Input::Overflowed { conn: ConnId(conn) })
            }
            Event::Message { conn, bytes, .. } => {
                // Bytes that name no shards are rubbish: the first machine closes their connection.
                let shards = lists::shards_of(&bytes).unwrap_or((Shard(0), Shard(0)));
                for worker in workers.iter().filter(|worker| worker.touches(shards)) {
                    worker.message(ConnId(conn), bytes.clone()).await;
                }
            }
            Event::Datagram { .. } | Event::DialFailed { .. } => {}
        }
    }
}

/// Where a machine's outputs go.
pub(super) struct Wires {
    pub(super) inbox: ListsInbox,
    pub(super) store: Store,
    pub(super) epoch: Epoch,
    pub(super) endpoint: Endpoint,
    pub(super) events: EventLog,
    pub(super) changes: broadcast::Sender<Arc<Change>>,
    pub(super) blocking: tokio::runtime::Handle,
    pub(super) clock: Clock,
}

/// Starts the thread of one machine. It ends with the process: what it was told before is on disk.
pub(super) fn start(settings: Settings, inputs: Inputs, wires: Wires) -> anyhow::Result<()> {
    let name = format!("lists-{}", settings.shards.0.0);
    std::thread::Builder::new().name(name).spawn(move || {
        let machine = Lists::new(settings);
        Loop {
            machine,
            wires,
            waiting: BTreeMap::new(),
            requests: 0,
        }
        .run(&inputs.0);
    })?;
    Ok(())
}

struct Loop {
    machine: Lists,
    wires: Wires,
    waiting: BTreeMap<RequestId, oneshot::Sender<Answer>>,
    requests: u64,
}

impl Loop {
    fn run(mut self, inputs: &Receiver<Letter>) {
        loop {
            self.drain();
            *self
                .wires
                .inbox
                .stats
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = self.machine.stats();
            let now = self.wires.clock.now().instant;
            let patience = self
                .machine
                .poll_timeout()
                .map_or(Duration::from_secs(60), |at| at.since(now));
            match inputs.recv_timeout(patience) {
                Ok(letter) => self.letter(letter),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            inputs
                .try_iter()
                .take(BURST)
                .for_each(|letter| self.letter(letter));
            self.machine.handle(self.wires.clock.now(), Input::Timeout);
        }
    }

    fn letter(&mut self, letter: Letter) {
        let now = self.wires.clock.now();
        match letter {
            Letter::Input(input) => self.machine.handle(now, input),
            Letter::Call(call) => call(),
            Letter::Reopened(input, epoch) => {
                // What it wanted before it knew is refused by the store.
                self.drain();
                self.wires.epoch = epoch;
                self.machine.handle(now, input);
            }
            Letter::Message(input, permit) => {
                self.machine.handle(now, input);
                drop(permit);
            }
            Letter::Request(by, command, reply) => {
                self.requests += 1;
                let id = RequestId(self.requests);
                self.waiting.insert(id, reply);
                self.machine.handle(now, Input::Request { id, by, command });
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send {
                    conn,
                    channel,
                    bytes,
                } => self.wires.endpoint.send(conn.0, channel as u8, bytes),
                Output::Close { conn, reason } => {
                    self.wires.endpoint.close(conn.0, reason.as_str())
                }
                Output::Write { id, rows } => {
                    let inbox = self.wires.inbox.clone();
                    let done = move |result| inbox.input(Input::Written { id, result });
                    self.wires
                        .store
                        .commit_in(self.wires.epoch, rows, Box::new(done));
                }
                Output::Work { list, job } => {
                    let (inbox, reader) = (self.wires.inbox.clone(), self.wires.store.reader());
                    let work = move || {
                        inbox.input(Input::Worked {
                            list,
                            done: job.run(list, &reader),
                        })
                    };
                    self.wires.blocking.spawn_blocking(work);
                }
                Output::Reply { id, result } => {
                    if let Some(reply) = self.waiting.remove(&id) {
                        // The client may have gone away.
                        let _ = reply.send(result);
                    }
                }
                Output::Changed(change) => {
                    self.wires.events.append_list(&change);
                    // Nobody watching is no error.
                    let _ = self.wires.changes.send(Arc::new(change));
                }
            }
        }
    }
}
