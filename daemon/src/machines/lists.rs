//! Carries the inputs and outputs of the lists machines, each on a thread of its own.

use super::mailbox::{Letter, Mailbox, Waiting};
use crate::event::EventLog;
use crate::heal::Heals;
use crate::host::Clock;
use names::{ListName, NodeId, Shard};
use node::cluster::RosterView;
use node::lists::{self, Change, Input, Lists, Output, Settings, Stats};
use node::machine::Machine;
use node::preference::Preference;
use node::time::Instant;
use node::wire::{ConnId, Protocol};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use store::{Epoch, Recovered, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use transport::{Endpoint, Event, Events};

/// Bytes of peers' messages that may wait for one machine; beyond that the peers' streams are not
/// read.
const WAITING_BYTES: u32 = 8 << 20;
/// About what a message takes besides its bytes, which may be two.
const LETTER_BYTES: usize = 256;

/// How many inputs are handled before outputs are carried out: what clients ask together is
/// committed together.
const BURST: usize = 128;
/// How long peers are heard before it is the clients' turn again, at least: a message may name
/// thousands of changes.
const HEARING: Duration = Duration::from_millis(2);

/// What comes along with an input.
pub(crate) enum Attachment {
    None,
    /// Its share of [`WAITING_BYTES`], free again once the input was handled.
    Room(OwnedSemaphorePermit),
    /// The store was reopened: from here on, what the machine writes builds on this epoch.
    Epoch(Epoch),
}

/// The receiving end of a [`ListsInbox`].
pub(crate) struct Inputs(Receiver<Letter<Lists>>);

/// The way into one machine for other threads. Clones share it.
#[derive(Clone)]
pub(crate) struct ListsInbox {
    shards: (Shard, Shard),
    mailbox: Mailbox<Lists>,
    room: Arc<Semaphore>,
}

impl ListsInbox {
    pub(crate) fn new(shards: (Shard, Shard)) -> (Self, Inputs) {
        let (letters, inputs) = channel();
        let inbox = Self {
            shards,
            // The thread ends only with the process.
            mailbox: Mailbox::new(move |letter| drop(letters.send(letter))),
            room: Arc::new(Semaphore::new(WAITING_BYTES as usize)),
        };
        (inbox, Inputs(inputs))
    }

    /// The first and the last shard of this machine.
    pub(crate) fn shards(&self) -> (Shard, Shard) {
        self.shards
    }

    /// Whether that shard is this machine's.
    pub(crate) fn owns(&self, shard: Shard) -> bool {
        self.touches((shard, shard))
    }

    fn touches(&self, (first, last): (Shard, Shard)) -> bool {
        self.shards.0 <= last && first <= self.shards.1
    }

    /// The way in for clients.
    pub(crate) fn mailbox(&self) -> &Mailbox<Lists> {
        &self.mailbox
    }

    /// The machine's numbers.
    pub(crate) fn stats(&self) -> Stats {
        self.mailbox.stats()
    }

    pub(crate) fn cluster(&self, view: Arc<RosterView>) {
        self.input(Input::Cluster(view));
    }

    pub(crate) fn reopened(&self, salt: [u8; 16], recovered: &Recovered) {
        let known = recovered
            .lists
            .iter()
            .filter(|(list, _)| self.owns(list.shard()))
            .copied()
            .collect();
        self.mailbox.input(
            Input::Reopened { salt, known },
            Attachment::Epoch(recovered.epoch),
        );
    }

    /// Changes of a list that were found behind damage of the disk.
    pub(crate) fn salvaged(&self, name: ListName, changes: Vec<bytes::Bytes>) {
        self.input(Input::Salvaged { name, changes });
    }

    fn input(&self, input: Input) {
        self.mailbox.input(input, Attachment::None);
    }

    async fn message(&self, conn: ConnId, bytes: bytes::Bytes) {
        let size = u32::try_from(bytes.len().saturating_add(LETTER_BYTES))
            .unwrap_or(WAITING_BYTES)
            .clamp(1, WAITING_BYTES);
        if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(size).await {
            self.mailbox
                .input(Input::Message { conn, bytes }, Attachment::Room(room));
        }
    }
}

/// Brings what peers send on the bulk channel to the machines that own its shards.
pub(crate) async fn deliver(mut bulk: Events, workers: Vec<ListsInbox>) {
    let mut preference = Preference::default();
    let mut protocols = BTreeMap::new();
    let tell_all =
        |input: &dyn Fn() -> Input| workers.iter().for_each(|worker| worker.input(input()));
    while let Some(event) = bulk.next().await {
        match event {
            Event::Connected {
                conn,
                peer,
                alpn,
                preferred,
                ..
            } => {
                let Some(protocol) = Protocol::of_alpn(&alpn) else {
                    continue;
                };
                let (peer, role) = (NodeId(peer.id), peer.role);
                protocols.insert(ConnId(conn), protocol);
                for conn in preference.connected(peer, ConnId(conn), preferred) {
                    let protocol = protocols.get(&conn).copied().unwrap_or(protocol);
                    tell_all(&|| Input::Connected {
                        peer,
                        role,
                        conn,
                        protocol,
                    });
                }
            }
            Event::Closed { conn, .. } => {
                let conn = ConnId(conn);
                preference.closed(conn);
                protocols.remove(&conn);
                tell_all(&|| Input::Closed { conn });
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
pub(crate) struct Wires {
    pub(crate) inbox: ListsInbox,
    pub(crate) cluster: super::cluster::Inbox,
    pub(crate) store: Store,
    pub(crate) epoch: Epoch,
    pub(crate) endpoint: Endpoint,
    pub(crate) events: EventLog,
    pub(crate) heals: Heals,
    pub(crate) changes: broadcast::Sender<Arc<Change>>,
    pub(crate) blocking: tokio::runtime::Handle,
    pub(crate) clock: Clock,
}

/// Starts the thread of one machine. It ends with the process: what it was told before is on disk.
pub(crate) fn start(settings: Settings, inputs: Inputs, wires: Wires) -> anyhow::Result<()> {
    let name = format!("lists-{}", settings.shards.0.0);
    std::thread::Builder::new().name(name).spawn(move || {
        let own = Loop {
            machine: Lists::new(settings),
            wires,
            waiting: Waiting::default(),
            said: VecDeque::new(),
        };
        own.run(&inputs.0);
    })?;
    Ok(())
}

struct Loop {
    machine: Lists,
    wires: Wires,
    waiting: Waiting<Lists>,
    /// What peers have said and nobody has heard yet, in order. Clients, the store and the jobs do
    /// not stand behind it.
    said: VecDeque<Letter<Lists>>,
}

/// Whether an input is about what a peer says; these keep their order among themselves.
fn is_said(letter: &Letter<Lists>) -> bool {
    let Letter::Input(input, _) = letter else {
        return false;
    };
    match input {
        Input::Connected { .. }
        | Input::Message { .. }
        | Input::Overflowed { .. }
        | Input::Closed { .. } => true,
        Input::Cluster(_)
        | Input::Request { .. }
        | Input::Written { .. }
        | Input::Reopened { .. }
        | Input::Salvaged { .. }
        | Input::Worked { .. } => false,
    }
}

impl Loop {
    fn run(mut self, inputs: &Receiver<Letter<Lists>>) {
        loop {
            self.drain();
            self.wires.inbox.mailbox.publish(self.machine.stats());
            match inputs.recv_timeout(self.patience()) {
                Ok(letter) => self.round(std::iter::once(letter).chain(inputs.try_iter())),
                Err(RecvTimeoutError::Timeout) => self.round(std::iter::empty()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long nothing has to be done unless something comes.
    fn patience(&self) -> Duration {
        if !self.said.is_empty() {
            return Duration::ZERO;
        }
        let now = self.instant();
        let deadline = self.machine.poll_timeout();
        deadline.map_or(Duration::from_secs(60), |at| at.since(now))
    }

    /// Handles what has come: clients first, then peers for as long as that took.
    fn round(&mut self, letters: impl Iterator<Item = Letter<Lists>>) {
        let (begun, mut handled) = (self.instant(), 0);
        for letter in letters {
            if is_said(&letter) {
                self.said.push_back(letter);
                continue;
            }
            self.letter(letter);
            handled += 1;
            if handled == BURST {
                break;
            }
        }
        let turn = self.instant();
        let most = turn.since(begun).max(HEARING);
        for _ in 0..BURST {
            let Some(letter) = self.said.pop_front() else {
                break;
            };
            self.letter(letter);
            if self.instant().since(turn) >= most {
                break;
            }
        }
        self.machine.wake(self.wires.clock.now());
    }

    fn instant(&self) -> Instant {
        self.wires.clock.now().instant
    }

    fn letter(&mut self, letter: Letter<Lists>) {
        let (input, attachment) = match letter {
            Letter::Input(input, attachment) => (input, attachment),
            Letter::Question(question, reply) => {
                (self.waiting.add(question, reply), Attachment::None)
            }
            Letter::Call(call) => return call(),
        };
        if let Attachment::Epoch(epoch) = &attachment {
            // What the machine wanted before it knew is refused by the store.
            self.drain();
            self.wires.epoch = *epoch;
        }
        self.machine.handle(self.wires.clock.now(), input);
        if let Attachment::Room(room) = attachment {
            drop(room);
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
                Output::Breach { conn, reason } => self.wires.cluster.breach(conn, reason),
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
                Output::Reply { id, result } => self.waiting.reply(id, result),
                Output::Forked(fork) => {
                    let row = self.wires.store.reader().list(fork.list).ok().flatten();
                    let name = row.as_ref().map(|row| &row.name);
                    let at = self.wires.clock.now().wall;
                    self.wires.events.append_fork(at, name, &fork);
                }
                Output::Contradicted(one) => {
                    let row = self.wires.store.reader().list(one.list).ok().flatten();
                    let list = row.as_ref().map(|row| &row.name);
                    let at = self.wires.clock.now().wall;
                    self.wires.events.append_contradiction(at, list, &one);
                }
                Output::LeftOut(left) => self.wires.events.append_left(&left),
                Output::Compared(compared) => self.wires.heals.compared(compared),
                Output::Changed(change) => {
                    self.wires.heals.changed(&change);
                    self.wires.events.append_list(&change);
                    // Nobody watching is no error.
                    let _ = self.wires.changes.send(Arc::new(change));
                }
            }
        }
    }
}
