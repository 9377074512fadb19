//! What a peer may say, in any order, to one machine.

use super::message::{Hello, Message};
use super::swim::{Identity, Member, State};
use super::*;
use crate::belief::MAX_RUN;
use crate::registry;
use crate::time::Wall;
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::registry::{Delta, Entry, Position, Process, Progress, Reason, Record};
use names::{NodeName, ProcessName};
use proptest::prelude::*;
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

fn settings() -> Settings {
    let me = Peer {
        id: NodeId([1; 16]),
        name: NodeName::new("node1").unwrap(),
    };
    Settings {
        profile: profile("node1", 1),
        me,
        seeds: vec!["10.0.0.2:6878".into()],
        kept: super::Kept::default(),
        nonce: [1; 16],
        seed: [7; 32],
        registry: registry::Settings::default(),
    }
}

fn identities() -> impl Strategy<Value = Identity> {
    (
        0u8..6,
        prop_oneof![
            Just(1u64 << 32),
            (0u64..4).prop_map(|run| run << 32),
            any::<u64>()
        ],
    )
        .prop_map(|(n, generation)| Identity {
            node: NodeId([n; 16]),
            addr: address(n),
            generation,
        })
}

fn members() -> impl Strategy<Value = Member> {
    let state = prop_oneof![Just(State::Alive), Just(State::Suspect), Just(State::Down)];
    (identities(), any::<u16>(), state)
        .prop_map(|(id, incarnation, state)| Member::new(id, incarnation, state))
}

fn lines() -> impl Strategy<Value = (NodeId, RosterEntry)> {
    let standing = prop_oneof![
        Just(Standing::Member),
        Just(Standing::Left),
        Just(Standing::Forgotten)
    ];
    let run = prop_oneof![0u64..4, Just(MAX_RUN), Just(u64::MAX)];
    (0u8..6, run, standing).prop_map(|(n, run, standing)| {
        (
            NodeId([n; 16]),
            RosterEntry {
                run,
                standing,
                profile: profile(&format!("node{n}"), n),
            },
        )
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let hello = (
        prop_oneof![(0u64..4).prop_map(|run| run << 32), any::<u64>()],
        0u8..3,
        1u8..4,
    )
        .prop_map(|(generation, nonce, n)| {
            Message::Hello(Hello {
                generation,
                nonce: [nonce; 16],
                profile: profile(&format!("node{n}"), n),
            })
        });
    prop_oneof![
        4 => hello,
        1 => prop_oneof![0u64..4, any::<u64>()].prop_map(|run| Message::Above { run }),
        1 => (0u8..6).prop_map(|n| Message::Taken { address: address(n) }),
        1 => (0u8..6).prop_map(|n| Message::NameTaken { bearer: NodeId([n; 16]), address: address(n) }),
        1 => Just(Message::Challenge),
        1 => Just(Message::Present),
        2 => proptest::collection::vec(members(), 0..6).prop_map(Message::Members),
        2 => (proptest::collection::vec(lines(), 0..6), any::<bool>()).prop_map(|(lines, answer)| Message::Roster { lines, answer }),
        1 => any::<u64>().prop_map(Message::RosterHash),
        1 => Just(Message::Ask),
        1 => any::<bool>().prop_map(|restart| Message::Goodbye { restart }),
    ]
}

/// A packet of a peer that speaks for itself, with whatever follows the header.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![
        any::<u8>().prop_map(foca::Message::Ping),
        any::<u8>().prop_map(foca::Message::Ack),
        (identities(), any::<u8>()).prop_map(|(target, probe_number)| foca::Message::PingReq {
            target,
            probe_number
        }),
        (identities(), any::<u8>()).prop_map(|(origin, probe_number)| {
            foca::Message::IndirectPing {
                origin,
                probe_number,
            }
        }),
        (identities(), any::<u8>()).prop_map(|(target, probe_number)| foca::Message::IndirectAck {
            target,
            probe_number
        }),
        (identities(), any::<u8>()).prop_map(|(origin, probe_number)| {
            foca::Message::ForwardedAck {
                origin,
                probe_number,
            }
        }),
        Just(foca::Message::Announce),
        Just(foca::Message::Feed),
        Just(foca::Message::Gossip),
        Just(foca::Message::TurnUndead),
    ];
    let header =
        (identities(), any::<u16>(), message).prop_map(|(src, src_incarnation, message)| {
            let dst = Identity::of_run(NodeId([1; 16]), address(1), 1);
            crate::codec::encode(&foca::Header {
                src,
                src_incarnation,
                dst,
                message,
            })
            .unwrap()
        });
    let updates = proptest::collection::vec(members(), 0..4).prop_map(|members| {
        let count = u16::try_from(members.len()).unwrap().to_be_bytes();
        count
            .into_iter()
            .chain(
                members
                    .iter()
                    .flat_map(|member| crate::codec::encode(member).unwrap()),
            )
            .collect()
    });
    let rest = prop_oneof![
        Just(Vec::new()),
        updates,
        proptest::collection::vec(any::<u8>(), 0..40)
    ];
    (header, rest).prop_map(|(header, rest)| [header, rest].concat())
}

/// What a registry may say of anybody's log.
fn registry_messages() -> impl Strategy<Value = registry::message::Message> {
    use registry::message::Message as M;
    let number = || prop_oneof![0u64..5, any::<u64>()];
    let position = || (number(), number()).prop_map(|(run, version)| Position { run, version });
    let progress = move || {
        (position(), number()).prop_map(|(position, horizon)| Progress { position, horizon })
    };
    let node = || (0u8..6).prop_map(|n| NodeId([n; 16]));
    let record = (0u8..3, 0u32..3, number(), proptest::option::of(number())).prop_map(
        |(name, pid, version, claim)| {
            let entry = |claim| Entry {
                uid: 0,
                user: None,
                exe: None,
                groups: [].into(),
                metadata: [].into(),
                address: None,
                claim,
                since_ms: 0,
            };
            let state = claim.map_or(crdt::registry::State::Gone(Reason::Exited), |claim| {
                crdt::registry::State::Live(std::sync::Arc::new(entry(claim)))
            });
            Record {
                name: ProcessName::new(&format!("p{name}")).unwrap(),
                process: Process {
                    boot: [0; 16],
                    pid,
                    start: 0,
                },
                version,
                state,
            }
        },
    );
    let delta = (
        node(),
        proptest::collection::vec(number(), 5),
        proptest::collection::vec(record, 0..4),
        any::<bool>(),
    );
    let delta = delta.prop_map(|(owner, n, records, whole)| {
        let upto = if whole { 5 } else { n[2] };
        Delta {
            owner,
            run: n[0],
            after: n[1],
            upto,
            latest: if whole { 5 } else { n[3] },
            horizon: n[4],
            records,
        }
    });
    prop_oneof![
        4 => (delta, any::<bool>()).prop_map(|(delta, pushed)| M::Part { delta, pushed }),
        1 => progress().prop_map(M::Ack),
        1 => (node(), progress()).prop_map(|(owner, from)| M::Pull { owner, from }),
        1 => any::<u64>().prop_map(M::Hash),
        1 => (proptest::collection::vec((node(), position()), 0..6), any::<bool>()).prop_map(|(positions, answer)| M::Vector { positions, answer }),
        1 => any::<u64>().prop_map(M::Probe),
        1 => (number(), position()).prop_map(|(probe, position)| M::Probed { probe, position }),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Connect(u8),
    Say(u64, Message),
    Packet(u64, Vec<u8>),
    Rubbish(u64, Vec<u8>),
    Registry(u64, registry::message::Message),
    RegistryRubbish(u64, Vec<u8>),
    Close(u64),
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Act> {
    let rubbish = proptest::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        2 => (1u8..4).prop_map(Act::Connect),
        6 => (0u64..6, messages()).prop_map(|(conn, message)| Act::Say(conn, message)),
        4 => (0u64..6, packets()).prop_map(|(conn, packet)| Act::Packet(conn, packet)),
        1 => (0u64..6, rubbish.clone()).prop_map(|(conn, bytes)| Act::Rubbish(conn, bytes)),
        5 => (0u64..6, registry_messages()).prop_map(|(conn, message)| Act::Registry(conn, message)),
        1 => (0u64..6, rubbish).prop_map(|(conn, bytes)| Act::RegistryRubbish(conn, bytes)),
        1 => (0u64..6).prop_map(Act::Close),
        3 => (1u64..1_500).prop_map(Act::Wait),
    ]
}

struct Bench {
    machine: Cluster,
    now: Now,
    conns: u64,
}

impl Bench {
    fn new() -> Self {
        let now = Now {
            instant: Instant::from_nanos(0),
            wall: Wall(0),
        };
        Self {
            machine: Cluster::new(settings(), now),
            now,
            conns: 0,
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
                Output::Send { bytes, .. } => assert!(!bytes.is_empty()),
                Output::View(view) => {
                    assert!(view.member(NodeId([1; 16])).is_some() && view.members.len() <= 6)
                }
                Output::Dial { .. }
                | Output::KeepAlive { .. }
                | Output::Close { .. }
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
                let peer = Peer {
                    id: NodeId([n; 16]),
                    name: NodeName::new(&format!("node{n}")).unwrap(),
                };
                Input::Connected {
                    peer,
                    conn: ConnId(self.conns),
                    dial: None,
                    remote: address(n),
                    protocol: Protocol(1),
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
    fn whatever_peers_say_the_machine_goes_on(acts in proptest::collection::vec(acts(), 1..80)) {
        let mut bench = Bench::new();
        bench.drain();
        for act in acts {
            bench.act(act);
        }
        bench.wait(12_000);
        let stats = bench.machine.stats();
        prop_assert!(stats.connections <= 24 && stats.expected <= 6, "{stats:?}");
    }
}

fn greeted_bench() -> Bench {
    let mut bench = Bench::new();
    bench.drain();
    bench.act(Act::Connect(2));
    bench.act(Act::Say(
        0,
        Message::Hello(Hello {
            generation: 1 << 32,
            nonce: [2; 16],
            profile: profile("node2", 2),
        }),
    ));
    bench
}

#[test]
fn a_node_that_was_forgotten_lists_itself_and_takes_a_new_run() {
    let mut bench = greeted_bench();
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
    let mut machine = greeted_bench().machine;
    let suspicion = Member::new(
        Identity::of_run(NodeId([2; 16]), address(2), 1),
        0,
        State::Suspect,
    );
    machine
        .swim
        .apply(&mut machine.edge, vec![suspicion.clone()], false);
    let mut reminders = || {
        machine.remind_suspects();
        let outputs = std::iter::from_fn(|| machine.poll_output());
        outputs
            .filter(|output| matches!(output, Output::Send { bytes, .. } if *bytes == Message::Members(vec![suspicion.clone()]).bytes()))
            .count()
    };
    assert_eq!((reminders(), reminders()), (0, 1));
}

#[test]
fn an_accusation_is_refuted_to_the_accuser_at_once() {
    let mut machine = greeted_bench().machine;
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

/// A bench with accepted connections of node2 and of node3, which lies; node3 speaks last.
fn lied_to_bench() -> Bench {
    let mut bench = greeted_bench();
    bench.greet(3, 1);
    bench
}

impl Bench {
    fn greet(&mut self, n: u8, run: u64) {
        self.act(Act::Connect(n));
        self.say(Message::Hello(Hello {
            generation: run << 32,
            nonce: [n; 16],
            profile: profile(&format!("node{n}"), n),
        }));
    }

    fn say(&mut self, message: Message) {
        self.act(Act::Say(0, message));
    }

    fn say_line(&mut self, n: u8, run: u64, standing: Standing) {
        let profile = profile(&format!("node{n}"), n);
        let line = RosterEntry {
            run,
            standing,
            profile,
        };
        self.say(Message::Roster {
            lines: vec![(NodeId([n; 16]), line)],
            answer: false,
        });
    }

    fn line(&self, n: u8) -> Option<(u64, Standing)> {
        let line = self.machine.roster.roster().get(NodeId([n; 16]));
        line.map(|line| (line.run, line.standing))
    }

    fn is_connected(&self, n: u8) -> bool {
        self.machine.connections.current(NodeId([n; 16])).is_some()
    }
}

#[test]
fn nothing_that_a_peer_says_ends_the_machine_or_takes_its_runs() {
    let far = MAX_RUN - 1;
    let refusals = [
        Message::Above { run: far },
        Message::Taken {
            address: address(9),
        },
        Message::NameTaken {
            bearer: NodeId([3; 16]),
            address: address(3),
        },
    ];
    for refusal in refusals {
        let mut bench = lied_to_bench();
        bench.say(refusal.clone());
        bench.say(refusal);
        bench.say_line(1, far, Standing::Member);
        bench.wait(20_000);
        assert_eq!(bench.machine.phase, Phase::Up);
        assert_eq!(
            (bench.machine.keeper.wanted(), bench.line(1)),
            (1, Some((1, Standing::Member)))
        );
    }
}

#[test]
fn a_refusal_is_heard_once_for_each_hello() {
    let mut bench = lied_to_bench();
    bench.say(Message::Above { run: 1_000 });
    assert_eq!(
        bench.machine.keeper.wanted(),
        1_001,
        "as after a restored backup"
    );
    let mut bench = lied_to_bench();
    bench.say(Message::Above { run: far_from(1) });
    bench.say(Message::Above { run: 5 });
    assert_eq!(bench.machine.keeper.wanted(), 1);
}

fn far_from(run: u64) -> u64 {
    run + 1_001
}

#[test]
fn what_is_said_of_a_node_counts_as_far_as_it_may_have_come() {
    let mut bench = lied_to_bench();
    bench.say_line(2, far_from(1), Standing::Member);
    assert_eq!(bench.line(2), Some((1, Standing::Member)));
    bench.say_line(2, far_from(1) - 1, Standing::Member);
    bench.say_line(2, 2 * far_from(1) - 2, Standing::Member);
    assert_eq!(
        bench.line(2),
        Some((1_001, Standing::Member)),
        "it does not climb by steps"
    );
    // One that nobody has met yet.
    bench.say_line(4, 1 << 30, Standing::Member);
    bench.greet(4, 7);
    assert_eq!(
        (bench.line(4), bench.is_connected(4)),
        (Some((7, Standing::Member)), true)
    );
}

#[test]
fn a_generation_that_nobody_beats_is_not_believed() {
    let mut bench = lied_to_bench();
    let node2 = Identity::of_run(NodeId([2; 16]), address(2), 1);
    for generation in [u64::MAX, node2.generation + 1_001, 2 << 32] {
        for state in [State::Alive, State::Down] {
            let lie = Identity {
                generation,
                ..node2
            };
            bench.say(Message::Members(vec![Member::new(lie, 0, state)]));
            let seen = bench.machine.swim.seen(node2.node).unwrap();
            assert_eq!((seen.identity, seen.is_active()), (node2, true));
        }
    }
}

#[test]
fn what_a_node_says_of_itself_wins_over_what_was_said_of_it() {
    let mut bench = lied_to_bench();
    let truth = Identity::of_run(NodeId([4; 16]), address(4), 3);
    let lie = Identity {
        generation: 900 << 32,
        ..truth
    };
    bench.say(Message::Members(vec![Member::alive(lie)]));
    assert_eq!(bench.machine.swim.seen(truth.node).unwrap().identity, lie);
    bench.greet(4, 3);
    let seen = bench.machine.swim.seen(truth.node).unwrap();
    assert_eq!((seen.identity, seen.is_active()), (truth, true));
}

#[test]
fn that_a_connected_node_is_gone_is_believed_from_itself_alone() {
    for standing in [Standing::Left, Standing::Forgotten] {
        let mut bench = lied_to_bench();
        bench.say_line(2, 1, standing);
        assert_eq!(bench.line(2), Some((1, Standing::Member)));
        bench.say_line(3, 1, standing);
        assert_eq!(bench.line(3), Some((1, standing)));
    }
}

#[test]
fn an_address_is_dialled_once_a_second_whoever_is_said_to_be_there() {
    let mut bench = lied_to_bench();
    let before = bench.machine.stats().dials;
    let crowd = (0..200_u8).map(|n| Identity::of_run(NodeId([n.max(10); 16]), address(9), 1));
    bench.say(Message::Members(crowd.map(Member::alive).collect()));
    assert_eq!(bench.machine.stats().dials, before + 1);
}

#[test]
fn farewells_have_one_timer_a_node() {
    let mut bench = lied_to_bench();
    for _ in 0..100 {
        bench.say(Message::Goodbye { restart: true });
    }
    let timers = std::iter::from_fn(|| {
        bench.machine.edge.now.instant = bench.now.instant + Duration::from_secs(61);
        bench.machine.edge.next_due()
    });
    assert_eq!(
        timers
            .filter(|timer| matches!(timer, Timer::Grace(_)))
            .count(),
        1
    );
}
