//! What a peer may say, in any order, to one machine.

mod apart;
mod arbitrary;
mod away;
mod breaching;
mod dialling;
mod generations;
mod greeting;
mod hearsay;
mod judging;
mod moving;
mod numbers;
mod observing;
mod proved;
mod searching;
mod withdrawn;

use super::message::{Hello, Message};
use super::swim::{Identity, Member, State};
use super::*;
use crate::proof::testing::Cheap;
use crate::proof::{Domain, Proofs};
use crate::registry;
use crate::time::Wall;
use crate::wire::{Channel, CloseReason, Protocol};
use arbitrary::{Act, acts, protocols};
use bytes::Bytes;
use crdt::registry::{Logs, Progress, ProvedDelta};
use crdt::roster::{Author, Line, Pace, Profile, RosterEntry};
use names::{NodeName, Role};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

fn address(n: u8) -> std::net::SocketAddr {
    ([10, 0, 0, n], 6878).into()
}

fn profile(name: &str, n: u8) -> Profile {
    Profile {
        name: NodeName::new(name).unwrap(),
        address: address(n),
        version: "test".into(),
        tags: vec![],
    }
}

/// The number of an observer.
const OBSERVER: u8 = 6;

fn peer(n: u8) -> Peer {
    let role = match n {
        OBSERVER => Role::Observer,
        _ => Role::Member,
    };
    Peer {
        id: NodeId([n; 16]),
        name: NodeName::new(&format!("node{n}")).unwrap(),
        role,
    }
}

/// The line that a node has signed about itself, in the start of that nonce.
fn signed_line(n: u8, (run, serial): (u64, u64), nonce: u8, standing: Standing) -> Bytes {
    signed_profile(
        n,
        (run, serial),
        nonce,
        (standing, profile(&format!("node{n}"), n)),
    )
}

fn signed_profile(
    n: u8,
    (run, serial): (u64, u64),
    nonce: u8,
    (standing, profile): (Standing, Profile),
) -> Bytes {
    let node = Cheap(peer(n));
    let author = Author {
        owner: node.0.id,
        chain: &node.chain(),
        start: Some([nonce; 16]),
        pace: None,
    };
    let entry = RosterEntry {
        run,
        standing,
        profile,
    };
    let line = Line::write(author, node.0.id, serial, &entry).unwrap();
    let line = line.signed(|said| node.sign(Domain::Line, said)).unwrap();
    line.relayed().bytes().clone()
}

/// The empty log of a node in that run, which has come to that change, as the node has signed it.
fn proved_log(n: u8, run: u64, version: u64) -> ProvedDelta {
    let (node, mut logs) = (Cheap(peer(n)), Logs::default());
    logs.begin(node.0.id, run, version);
    logs.prove(node.0.id, |said| node.sign(Domain::LogHead, said))
        .unwrap();
    let delta = logs.proved_delta(node.0.id, Progress::default(), usize::MAX);
    delta.unwrap()
}

fn settings(accept_v1: bool) -> Settings {
    let me = peer(1);
    Settings {
        profile: profile("node1", 1),
        proofs: Arc::new(Cheap(me.clone())),
        me,
        seeds: vec!["10.0.0.2:6878".into()],
        kept: super::Kept::default(),
        nonce: [1; 16],
        seed: [7; 32],
        accept_v1,
        pace: Pace::Normal,
        registry: registry::Settings::default(),
    }
}

struct Bench {
    /// Which protocol its peers speak.
    protocol: Protocol,
    machine: Cluster,
    now: Now,
    conns: u64,
    /// What it sent on the cluster's channel.
    sent: Vec<Bytes>,
    /// The connections that it has closed.
    closed: Vec<(ConnId, CloseReason)>,
    /// The nodes and addresses that it dialled.
    dialled: Vec<(DialId, Target)>,
    /// The dials that it gave up.
    given_up: Vec<DialId>,
    /// What it has shown last.
    view: Option<Arc<RosterView>>,
    /// Whom it says that it has not found, as of last.
    search: Option<Arc<Search>>,
}

impl Bench {
    /// A machine that accepts protocol 1 and whose peers speak it, or one that speaks protocol 2 alone.
    fn new(protocol: Protocol) -> Self {
        Self::with(protocol, settings(protocol == Protocol::UNPROVED))
    }

    fn with(protocol: Protocol, settings: Settings) -> Self {
        let now = Now {
            instant: Instant::from_nanos(0),
            wall: Wall(0),
        };
        Self {
            protocol,
            machine: Cluster::new(settings, now),
            now,
            conns: 0,
            sent: Vec::new(),
            closed: Vec::new(),
            dialled: Vec::new(),
            given_up: Vec::new(),
            view: None,
            search: None,
        }
    }

    /// Writes succeed at once; all else that the machine wants is only looked at.
    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Write { id, .. } => self
                    .machine
                    .handle(self.now, Input::Written { id, result: Ok(()) }),
                Output::Datagram { bytes, .. } => assert!(bytes.len() <= 1150),
                Output::Send { channel, bytes, .. } => {
                    assert!(!bytes.is_empty());
                    if channel == Channel::Cluster {
                        self.sent.push(bytes);
                    }
                }
                Output::View(view) => {
                    assert!(view.member(NodeId([1; 16])).is_some() && view.members.len() <= 6);
                    self.view = Some(view);
                }
                Output::Search(search) => self.search = Some(search),
                Output::Dial { dial, target, .. } => self.dialled.push((dial, target)),
                Output::Close { conn, reason } => self.closed.push((conn, reason)),
                Output::GiveUp { dial } => self.given_up.push(dial),
                Output::KeepAlive { .. }
                | Output::Revoked(_)
                | Output::Event(_)
                | Output::Reply { .. }
                | Output::Registry(_)
                | Output::Stop(_) => {}
            }
        }
    }

    fn act(&mut self, act: Act) {
        let input = match act {
            Act::Connect(n) => {
                self.conns += 1;
                Input::Connected {
                    peer: peer(n),
                    conn: ConnId(self.conns),
                    dial: None,
                    remote: address(n),
                    protocol: self.protocol,
                }
            }
            Act::Say(conn, message) => Input::Message {
                conn: ConnId(self.conns.saturating_sub(conn)),
                bytes: message.bytes(),
            },
            Act::Packet(conn, packet) => Input::Datagram {
                conn: ConnId(self.conns.saturating_sub(conn)),
                bytes: Bytes::from(packet),
            },
            Act::Rubbish(conn, bytes) => Input::Message {
                conn: ConnId(self.conns.saturating_sub(conn)),
                bytes: Bytes::from(bytes),
            },
            Act::Registry(conn, message) => {
                let conn = ConnId(self.conns.saturating_sub(conn));
                Input::Registry(registry::Input::Message {
                    conn,
                    bytes: message.bytes(),
                })
            }
            Act::RegistryRubbish(conn, bytes) => {
                let conn = ConnId(self.conns.saturating_sub(conn));
                Input::Registry(registry::Input::Message {
                    conn,
                    bytes: Bytes::from(bytes),
                })
            }
            Act::Close(conn) => Input::Closed {
                conn: ConnId(self.conns.saturating_sub(conn)),
            },
            Act::Wait(ms) => return self.wait(ms),
        };
        self.machine.handle(self.now, input);
        self.drain();
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now.instant + Duration::from_millis(ms);
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= until) {
            self.now.instant = at.max(self.now.instant);
            self.machine.wake(self.now);
            self.drain();
            assert!(
                self.machine
                    .poll_timeout()
                    .is_none_or(|next| next > self.now.instant),
                "all that is due was done"
            );
        }
        self.now.instant = until;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_peers_say_the_machine_goes_on(acts in proptest::collection::vec(acts(), 1..80), protocol in protocols()) {
        let mut bench = Bench::new(protocol);
        bench.drain();
        for act in acts {
            bench.act(act);
        }
        bench.wait(12_000);
        let stats = bench.machine.stats();
        prop_assert!(stats.connections <= 24 && stats.expected <= 6, "{stats:?}");
    }
}

impl Bench {
    /// A node says its hello on a new connection.
    fn greet(&mut self, n: u8, run: u64) {
        self.act(Act::Connect(n));
        self.say(self.hello(n, run));
    }

    fn hello(&self, n: u8, run: u64) -> Message {
        let (generation, nonce) = (run << 32, [n; 16]);
        if self.protocol == Protocol::UNPROVED {
            let profile = profile(&format!("node{n}"), n);
            Message::Hello(Hello {
                generation,
                nonce,
                profile,
            })
        } else {
            let line = signed_line(n, (run, 1), n, Standing::Member);
            Message::Greeting {
                generation,
                nonce,
                line,
            }
        }
    }

    /// On the latest connection.
    fn say(&mut self, message: Message) {
        self.act(Act::Say(0, message));
    }

    fn line(&self, n: u8) -> Option<(u64, Standing)> {
        let line = self.machine.roster.roster().get(NodeId([n; 16]));
        line.map(|line| (line.run, line.standing))
    }

    fn is_connected(&self, n: u8) -> bool {
        self.machine.connections.current(NodeId([n; 16])).is_some()
    }
}

fn greeted_bench(protocol: Protocol) -> Bench {
    let mut bench = Bench::new(protocol);
    bench.drain();
    bench.greet(2, 1);
    bench
}

/// A bench with accepted connections of node2 and of node3, which lies; node3 speaks last.
fn lied_to_bench(protocol: Protocol) -> Bench {
    let mut bench = greeted_bench(protocol);
    bench.greet(3, 1);
    bench
}

#[test]
fn a_node_that_was_forgotten_lists_itself_and_takes_a_new_run() {
    let mut bench = greeted_bench(Protocol::UNPROVED);
    let forgotten = RosterEntry {
        run: 1,
        standing: Standing::Forgotten,
        profile: profile("node1", 1),
    };
    // The bench looks at each view on the way.
    bench.act(Act::Say(
        0,
        Message::Roster {
            lines: vec![(NodeId([1; 16]), forgotten)],
            answer: false,
        },
    ));
    bench.wait(2_000);
    assert_eq!(bench.machine.swim.identity().generation >> 32, 2);
}

#[test]
fn a_member_that_stays_suspect_is_told_so() {
    let mut machine = greeted_bench(Protocol::UNPROVED).machine;
    let suspicion = Member::new(
        Identity::of_run(NodeId([2; 16]), address(2), 1),
        0,
        State::Suspect,
    );
    machine
        .swim
        .apply(&mut machine.edge, vec![suspicion.clone()], false);
    let mut reminders = || {
        machine.notify_suspects();
        let outputs = std::iter::from_fn(|| machine.poll_output());
        outputs
            .filter(|output| matches!(output, Output::Send { bytes, .. } if *bytes == Message::Members(vec![suspicion.clone()]).bytes()))
            .count()
    };
    assert_eq!((reminders(), reminders()), (0, 1));
}

#[test]
fn an_accusation_is_refuted_to_the_accuser_at_once() {
    let mut machine = greeted_bench(Protocol::UNPROVED).machine;
    let (now, me) = (Now::default(), machine.swim.identity());
    let bytes = Message::Members(vec![Member::new(me, 0, State::Suspect)]).bytes();
    machine.handle(
        now,
        Input::Message {
            conn: ConnId(1),
            bytes,
        },
    );
    let mut headers = std::iter::from_fn(|| machine.poll_output()).filter_map(|output| {
        let Output::Datagram { bytes, .. } = output else {
            return None;
        };
        crate::codec::decode_prefix::<foca::Header<Identity>, 256>(&bytes).ok()
    });
    assert!(headers.any(
        |(header, _)| header.message == foca::Message::Announce && header.src_incarnation == 1
    ));
}
