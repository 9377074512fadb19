//! Whatever a peer may send, right or wrong.

use super::super::bundle::Cut;
use super::super::message::{Hello, Message};
use super::super::swim::{Identity, Member, State};
use super::away::away;
use super::{address, profile, proved_log, signed_line};
use crate::belief::MAX_RUN;
use crate::registry;
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::registry::{Delta, Entry, Position, Process, Progress, ProvedDelta, Reason, Record};
use crdt::roster::{RosterEntry, Standing, mark};
use names::{NodeId, ProcessName};
use proptest::prelude::*;

/// What happens to the machine next. Connections are counted back from the latest one.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Connect(u8),
    Say(u64, Message),
    Packet(u64, Vec<u8>),
    Rubbish(u64, Vec<u8>),
    Registry(u64, registry::message::Message),
    RegistryRubbish(u64, Vec<u8>),
    Close(u64),
    Wait(u64),
}

pub(super) fn protocols() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::UNPROVED), Just(Protocol::PROVED)]
}

/// A line with a proof, in whatever run, good or not. Node 5 has signed none.
fn proved_lines() -> impl Strategy<Value = Bytes> {
    let standing = prop_oneof![
        Just(Standing::Member),
        Just(Standing::Left),
        Just(Standing::Forgotten)
    ];
    let number = || prop_oneof![0u64..4, Just(1_000), Just(MAX_RUN - 1), any::<u64>()];
    let good = (2u8..5, (number(), number()), 0u8..6, standing);
    let good = good.prop_map(|(n, rank, nonce, standing)| signed_line(n, rank, nonce, standing));
    let bad =
        (0u8..6, (number(), number()), 0u8..6, 0usize..200).prop_map(|(n, rank, nonce, at)| {
            let mut line = signed_line(n, rank, nonce, Standing::Member).to_vec();
            let at = at % line.len();
            line[at] ^= 1;
            Bytes::from(line)
        });
    prop_oneof![good, bad]
}

/// What is said of members that are away, good or not.
fn aways() -> impl Strategy<Value = Bytes> {
    let good = (2u8..5, 1u8..5, prop_oneof![0u64..3, any::<u64>()]);
    let good = good.prop_map(|(by, subject, at_ms)| away(by, subject, at_ms));
    prop_oneof![4 => good, 1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Bytes::from)]
}

/// Lines of which something was cut out, or which never had it.
fn cuts() -> impl Strategy<Value = Cut> {
    let above = prop_oneof![
        4 => Just(Vec::new()),
        1 => Just(vec![mark(b"issuer")]),
        1 => Just(vec![[7; 16]]),
    ];
    (proved_lines(), 0u32..300, above).prop_map(|(rest, at, above)| Cut { rest, at, above })
}

pub(super) fn acts() -> impl Strategy<Value = Act> {
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
    let run = prop_oneof![
        0u64..4,
        0..MAX_RUN,
        Just(MAX_RUN - 1),
        Just(MAX_RUN),
        Just(u64::MAX)
    ];
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
        2 => (1u64..4, 1u8..4, 0u8..3).prop_map(|(run, n, nonce)| Message::Greeting {
            generation: run << 32, nonce: [nonce; 16], line: signed_line(n, (run, 1), nonce, Standing::Member),
        }),
        3 => (proptest::collection::vec(proved_lines(), 0..6), any::<bool>())
            .prop_map(|(lines, answer)| Message::Lines { lines, answer }),
        1 => proptest::collection::vec((0u8..6, any::<u64>()), 0..4).prop_map(|refused| {
            let refused = refused.into_iter().map(|(n, digest)| (NodeId([n; 16]), digest));
            Message::Refused(refused.collect())
        }),
        1 => (proptest::collection::vec(cuts(), 0..4), any::<bool>()).prop_map(|(lines, answer)| {
            Message::Bundle { issuers: vec![Bytes::from_static(b"issuer")], lines, answer }
        }),
        1 => any::<u64>().prop_map(Message::LinesHash),
        1 => proved_lines().prop_map(Message::AboveLine),
        1 => proptest::collection::vec(any::<u8>(), 0..80)
            .prop_map(|bytes| Message::Revocations(vec![bytes.into()])),
        2 => (proptest::collection::vec(aways(), 0..6), any::<bool>())
            .prop_map(|(aways, answer)| Message::Aways { aways, answer }),
        1 => any::<u64>().prop_map(Message::AwaysHash),
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

/// A log that its node has signed, or that says something else in its name. Node 5 has signed none.
fn proved_logs() -> impl Strategy<Value = ProvedDelta> {
    let number = || prop_oneof![0u64..5, any::<u64>()];
    let proved = (2u8..5, number(), 1u64..1 << 46, number(), any::<bool>());
    proved.prop_map(|(n, run, version, altered, is_whole)| {
        let mut delta = proved_log(n, run % MAX_RUN, version);
        if !is_whole {
            (delta.run, delta.horizon) = (altered, altered);
        }
        delta
    })
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
    let claimed = (node(), position(), any::<u64>());
    let claimed = claimed.prop_map(|(owner, position, tag)| registry::message::Claimed {
        owner,
        position,
        tag,
    });
    prop_oneof![
        3 => (proved_logs(), any::<bool>()).prop_map(|(delta, pushed)| M::Proved { delta, pushed }),
        1 => (proptest::collection::vec(claimed, 0..6), any::<bool>())
            .prop_map(|(heads, answer)| M::Heads { heads, answer }),
        4 => (delta, any::<bool>()).prop_map(|(delta, pushed)| M::Part { delta, pushed }),
        1 => progress().prop_map(M::Ack),
        1 => (node(), progress()).prop_map(|(owner, from)| M::Pull { owner, from }),
        1 => any::<u64>().prop_map(M::Hash),
        1 => (proptest::collection::vec((node(), position()), 0..6), any::<bool>()).prop_map(|(positions, answer)| M::Vector { positions, answer }),
        1 => any::<u64>().prop_map(M::Probe),
        1 => (number(), position()).prop_map(|(probe, position)| M::Probed { probe, position }),
    ]
}
