//! Carries the inputs and outputs of the cluster machine, beside QUIC's driver on one thread.

use super::ListsInbox;
use super::mailbox::{Letter, Mailbox, Waiting};
use super::proofs::{Certified, Identities, withdrawn};
use crate::event::EventLog;
use crate::heal::Heals;
use crate::host::{Clock, wall_ms};
use crate::process::{Host, Replica, Sign, Watcher};
use anyhow::Context;
use crdt::roster::Revocation;
use names::{NodeId, NodeName};
use node::cluster::{
    Cluster, Input, Output, RosterView, Search, Settings, StopReason, Target, Verdict,
};
use node::machine::Machine;
use node::preference::Preference;
use node::registry;
use node::wire::{Channel, CloseReason, ConnId, DialId, Peer, Protocol};
use pki::Identity;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use transport::{DialErrorKind, Endpoint, Event, Events, Patience, PeerName};

/// How many inputs are handled before the timers get their turn.
const BURST: usize = 256;

/// The way into the cluster machine.
pub(crate) type Inbox = Mailbox<Cluster>;

impl Inbox {
    /// Tells the machine that this node signs with another certificate from now on.
    pub(crate) fn recertified(&self) {
        self.input(Input::Recertified, ());
    }

    /// Tells the machine that others reach this node at that address from now on.
    pub(crate) fn moved(&self, address: SocketAddr) {
        self.input(Input::Moved { address }, ());
    }

    /// Tells the machine that a peer broke the protocol on a connection, which is to be closed.
    pub(crate) fn breach(&self, conn: ConnId, reason: CloseReason) {
        self.input(Input::Breach { conn, reason }, ());
    }

    /// Tells the machine something that concerns the process registry.
    pub(crate) fn registry(&self, input: registry::Input) {
        self.input(Input::Registry(input), ());
    }
}

/// Where the machine's outputs go.
pub(crate) struct Wires {
    pub(crate) store: Store,
    pub(crate) workers: Vec<ListsInbox>,
    pub(crate) events: EventLog,
    pub(crate) heals: Heals,
    pub(crate) replica: Replica,
    pub(crate) host: Host,
    pub(crate) shows: Shows,
    pub(crate) stopped: oneshot::Sender<StopReason>,
    /// Peers whose packets are dropped from the first one on: a development cluster's split.
    pub(crate) blocked: Vec<SocketAddr>,
    pub(crate) clock: Clock,
}

/// Where the machine shows what replaces all before it.
pub(crate) struct Shows {
    view: watch::Sender<Arc<RosterView>>,
    revoked: watch::Sender<Arc<[Revocation]>>,
    search: watch::Sender<Arc<Search>>,
}

/// What the machine has shown last, for those who follow it.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) views: watch::Receiver<Arc<RosterView>>,
    pub(crate) revoked: watch::Receiver<Arc<[Revocation]>>,
    pub(crate) search: watch::Receiver<Arc<Search>>,
}

/// Both ends, for the machine of that node.
pub(crate) fn shown(me: &Peer) -> (Shows, Shown) {
    let (view, views) = watch::channel(empty_view(me));
    let (revoked, revocations) = watch::channel(Arc::from([]));
    let (search, searches) = watch::channel(Arc::default());
    let shows = Shows {
        view,
        revoked,
        search,
    };
    let shown = Shown {
        views,
        revoked: revocations,
        search: searches,
    };
    (shows, shown)
}

/// What is shown before the machine has spoken: this node alone, with no claim about anything.
fn empty_view(me: &Peer) -> Arc<RosterView> {
    let since = node::time::Wall(wall_ms());
    Arc::new(RosterView {
        me: me.id,
        members: Vec::new(),
        verdict: Verdict::Alone,
        since,
    })
}

/// The thread runs.
pub(crate) struct Started {
    pub(crate) inbox: Inbox,
    pub(crate) endpoint: Endpoint,
    pub(crate) watcher: Watcher,
    pub(crate) identities: Identities,
}

/// Binds QUIC and starts the thread. `settings` is made once the local address is known.
pub(crate) fn start(
    (socket, transport): (UdpSocket, transport::Settings),
    identity: Identity,
    settings: impl FnOnce(SocketAddr, Certified) -> Settings + Send + 'static,
    wires: Wires,
) -> anyhow::Result<Started> {
    let (letters, post) = mpsc::unbounded_channel();
    // The thread ends only with the process, or after it has said that it stops.
    let inbox = Inbox::new(move |letter| drop(letters.send(letter)));
    let ends = inbox.clone();
    let tell = move |process, sign| {
        ends.registry(match sign {
            Sign::Ended { reason, was_there } => registry::Input::Ended {
                process,
                reason,
                was_there,
            },
            Sign::Estranged { uid } => registry::Input::Estranged { process, uid },
        });
    };
    let watcher = Watcher::start(wires.host, tell).context("processes cannot be watched")?;
    let proofs = Arc::new(pki::Proofs::new(identity.clone()));
    let certified = Certified(proofs.clone());
    let (bound, binding) = std::sync::mpsc::channel();
    let (mine, watch, listen) = (inbox.clone(), watcher.clone(), transport.listen);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new().name("cluster".to_owned());
    thread.spawn(move || {
        runtime.block_on(async move {
            let (endpoint, urgent, bulk) = match Endpoint::adopt(socket, transport, identity) {
                Ok(parts) => parts,
                Err(error) => return drop(bound.send(Err(error))),
            };
            endpoint.fault().block(&wires.blocked);
            let _ = bound.send(Ok(endpoint.clone()));
            tokio::spawn(super::lists::deliver(bulk, wires.workers.clone()));
            let machine = Cluster::new(
                settings(endpoint.local_addr(), certified),
                wires.clock.now(),
            );
            let (preference, waiting) = (Preference::default(), Waiting::default());
            let own = Loop {
                machine,
                endpoint,
                inbox: mine,
                watcher: watch,
                wires,
                preference,
                waiting,
            };
            own.run(urgent, post).await;
        });
    })?;
    let endpoint = binding.recv().context("the cluster thread did not start")?;
    let endpoint = endpoint.with_context(|| {
        format!(
            "[quic] listen = \"{listen}\" cannot be \
        used"
        )
    })?;
    let identities = Identities {
        endpoint: endpoint.clone(),
        proofs,
        cluster: inbox.clone(),
    };
    Ok(Started {
        inbox,
        endpoint,
        watcher,
        identities,
    })
}

struct Loop {
    machine: Cluster,
    endpoint: Endpoint,
    inbox: Inbox,
    watcher: Watcher,
    wires: Wires,
    preference: Preference,
    waiting: Waiting<Cluster>,
}

impl Loop {
    /// Datagrams and messages come before timers: a node that was slow must first hear what it
    /// missed.
    async fn run(mut self, mut urgent: Events, mut post: mpsc::UnboundedReceiver<Letter<Cluster>>) {
        let mut stop = self.drain();
        while stop.is_none() {
            let sleep = async {
                match self.machine.poll_timeout() {
                    Some(at) => tokio::time::sleep_until(self.wires.clock.at(at).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = urgent.next() => self.event(event),
                Some(letter) = post.recv() => self.letter(letter),
                () = sleep => {}
            }
            for _ in 0..BURST {
                if let Some(event) = urgent.try_next() {
                    self.event(event);
                } else if let Ok(letter) = post.try_recv() {
                    self.letter(letter);
                } else {
                    break;
                }
            }
            self.machine.wake(self.wires.clock.now());
            stop = self.drain();
            self.inbox.publish(self.machine.stats());
        }
        if let Some(reason) = stop {
            let _ = self.wires.stopped.send(reason);
            // QUIC's driver lives on this thread: it goes on until the endpoint was shut down.
            while urgent.next().await.is_some() {}
        }
    }

    fn event(&mut self, event: Event) {
        let input = match event {
            Event::Connected {
                conn,
                peer,
                dial,
                alpn,
                remote,
                preferred,
            } => {
                let Some(protocol) = Protocol::of_alpn(&alpn) else {
                    return;
                };
                return self.connected((ConnId(conn), preferred), &peer, dial, remote, protocol);
            }
            Event::DialFailed {
                dial,
                kind: DialErrorKind::Itself,
                ..
            } => Input::DialledItself { dial: DialId(dial) },
            Event::DialFailed { dial, kind, reason } => Input::DialFailed {
                dial: DialId(dial),
                refused: kind == DialErrorKind::Refused,
                reason,
            },
            Event::Message {
                conn,
                channel,
                bytes,
            } if channel == Channel::Registry as u8 => Input::Registry(registry::Input::Message {
                conn: ConnId(conn),
                bytes,
            }),
            Event::Message { conn, bytes, .. } => Input::Message {
                conn: ConnId(conn),
                bytes,
            },
            Event::Datagram { conn, bytes } => Input::Datagram {
                conn: ConnId(conn),
                bytes,
            },
            Event::Closed {
                conn, is_violated, ..
            } => {
                let conn = ConnId(conn);
                self.preference.closed(conn);
                if is_violated {
                    let reason = CloseReason::Malformed;
                    let breach = Input::Breach { conn, reason };
                    self.machine.handle(self.wires.clock.now(), breach);
                }
                Input::Closed { conn }
            }
            Event::Overflowed { conn, channel } if channel == Channel::Registry as u8 => {
                Input::Registry(registry::Input::Overflowed { conn: ConnId(conn) })
            }
            Event::Overflowed { .. } => return,
        };
        self.machine.handle(self.wires.clock.now(), input);
    }

    fn connected(
        &mut self,
        (conn, preferred): (ConnId, bool),
        peer: &PeerName,
        dial: Option<u64>,
        remote: SocketAddr,
        protocol: Protocol,
    ) {
        let name = match NodeName::new(&peer.name) {
            Ok(name) => name,
            Err(error) => {
                tracing::warn!(%error, %remote, "a peer's certificate bears no valid name");
                return self.endpoint.close(conn.0, CloseReason::Refused.as_str());
            }
        };
        let peer = Peer {
            id: NodeId(peer.id),
            name,
            role: peer.role,
        };
        for told in self.preference.connected(peer.id, conn, preferred) {
            let dial = dial.filter(|_| told == conn).map(DialId);
            self.machine.handle(
                self.wires.clock.now(),
                Input::Connected {
                    peer: peer.clone(),
                    conn: told,
                    dial,
                    remote,
                    protocol,
                },
            );
        }
    }

    fn letter(&mut self, letter: Letter<Cluster>) {
        let input = match letter {
            Letter::Input(input, ()) => input,
            Letter::Question(command, reply) => self.waiting.add(command, reply),
            Letter::Call(call) => return call(),
        };
        self.machine.handle(self.wires.clock.now(), input);
    }

    /// Carries out what the machine wants; gives the reason when that is to stop.
    fn drain(&mut self) -> Option<StopReason> {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Dial {
                    dial,
                    target,
                    limit,
                    round_trip,
                } => {
                    let (address, expect) = match target {
                        Target::Named(address) => (address, None),
                        Target::Node(id, address) => (address.to_string(), Some(id.0)),
                    };
                    let patience = Patience { limit, round_trip };
                    self.endpoint.dial(dial.0, address, expect, patience);
                }
                Output::GiveUp { dial } => self.endpoint.give_up(dial.0),
                Output::Datagram { conn, bytes } => self.endpoint.datagram(conn.0, bytes),
                Output::Send {
                    conn,
                    channel,
                    bytes,
                } => self.endpoint.send(conn.0, channel as u8, bytes),
                Output::KeepAlive { conn, on } => self.endpoint.keep_alive(conn.0, on),
                Output::Close { conn, reason } => self.endpoint.close(conn.0, reason.as_str()),
                Output::Write { id, bytes } => {
                    let inbox = self.inbox.clone();
                    let done = move |result| inbox.input(Input::Written { id, result }, ());
                    self.wires.store.keep_cluster(bytes, Box::new(done));
                }
                Output::View(view) => {
                    self.wires
                        .workers
                        .iter()
                        .for_each(|worker| worker.cluster(Arc::clone(&view)));
                    self.wires.heals.view(&view);
                    self.wires.shows.view.send_replace(view);
                }
                Output::Revoked(revocations) => {
                    let nodes = revocations.iter().filter(|one| !one.is_withdrawal());
                    let ids = nodes.map(|revoked| revoked.subject().0);
                    self.endpoint.revoke(ids, withdrawn(&revocations));
                    self.wires.shows.revoked.send_replace(revocations);
                }
                Output::Search(search) => {
                    self.wires.shows.search.send_replace(search);
                }
                Output::Event(event) => {
                    self.wires.heals.member(&event);
                    let heal = self.wires.heals.current();
                    self.wires.events.append_cluster(event, heal);
                }
                Output::Reply { id, result } => self.waiting.reply(id, result),
                Output::Registry(output) => self.registry(output),
                Output::Stop(reason) => return Some(reason),
            }
        }
        None
    }

    fn registry(&self, output: registry::Output) {
        match output {
            registry::Output::Keep { id, rows } => {
                let inbox = self.inbox.clone();
                let done = move |result| inbox.registry(registry::Input::Kept { id, result });
                self.wires.store.keep_processes(rows, Box::new(done));
            }
            registry::Output::Watch(process) => self.watcher.watch(process),
            registry::Output::Unwatch(process) => self.watcher.unwatch(process),
            registry::Output::Signal {
                process,
                uid,
                signal,
            } => self.watcher.signal(process, uid, signal),
            registry::Output::News(news) => {
                self.wires.heals.processes(&news.events);
                self.wires.replica.apply(news, &self.wires.events);
            }
        }
    }
}
