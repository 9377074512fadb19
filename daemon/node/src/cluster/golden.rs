//! What cluster machines say and keep, as it was first written.

use super::bundle::Cut;
use super::kept::{Kept, convert_kept};
use super::message::{Hello, Message};
use super::swim::{Identity, Member, State};
use crate::golden::{check, check_old, covers};
use crate::proof::testing::{AUTHORITY, Cheap, sign_as_authority};
use crate::proof::{Domain, Proofs};
use crate::wire::Peer;
use bytes::Bytes;
use crdt::roster::{
    Author, Away, Line, Notice, Profile, Revocation, Roster, RosterEntry, Standing, Told,
};
use names::{NodeId, NodeName};
use std::net::SocketAddr;

const NODE: NodeId = NodeId([7; 16]);

fn v4() -> SocketAddr {
    ([10, 0, 0, 7], 6878).into()
}

fn profile() -> Profile {
    let tags = vec!["hall=2".to_owned(), "rack=7".to_owned()];
    Profile {
        name: NodeName::new("alpha").unwrap(),
        address: v4(),
        version: "0.1.0".to_owned(),
        tags,
    }
}

fn line(standing: Standing) -> RosterEntry {
    RosterEntry {
        run: 3,
        standing,
        profile: profile(),
    }
}

/// A line as its node signs it.
fn signed() -> Bytes {
    let name = NodeName::new("alpha").unwrap();
    let node = Cheap(Peer {
        id: NODE,
        name,
        role: names::Role::Member,
    });
    let author = Author {
        owner: NODE,
        chain: &node.chain(),
        start: Some([9; 16]),
        pace: None,
    };
    let line = Line::write(author, NODE, 4, &line(Standing::Member)).unwrap();
    let line = line.signed(|said| node.sign(Domain::Line, said)).unwrap();
    line.relayed().bytes().clone()
}

/// A revocation as the authority of the tests signs it.
fn revoked() -> Bytes {
    let told = Told {
        name: "beta".to_owned(),
        reason: "stolen".to_owned(),
        at_ms: 1_790_000_000_000,
        by: "root@alpha".to_owned(),
    };
    let sign = |said: &[u8]| sign_as_authority(Domain::Revocation, said);
    let revocation = Revocation::write((NODE, AUTHORITY), NodeId([8; 16]), &told, sign);
    revocation.unwrap().relayed().bytes().clone()
}

/// That the node of the tests is away, as another one says it.
fn away() -> Away {
    let name = NodeName::new("beta").unwrap();
    let node = Cheap(Peer {
        id: NodeId([8; 16]),
        name,
        role: names::Role::Member,
    });
    let notice = Notice {
        until_ms: Some(1_790_000_000_000),
        why: "dry dock".to_owned(),
        by: "root@beta".to_owned(),
    };
    let sign = |said: &[u8]| node.sign(Domain::Away, said);
    let line = Line::read(signed()).unwrap();
    let chain = node.chain();
    Away::write((node.0.id, &chain), &line, 1_780_000_000_000, &notice, sign).unwrap()
}

fn identity() -> Identity {
    Identity {
        node: NODE,
        addr: "[fd00::7]:6878".parse().unwrap(),
        generation: (3 << 32) | 2,
    }
}

/// Those of protocol 2.
fn with_proofs() -> Vec<(&'static str, Message)> {
    vec![
        (
            "greeting",
            Message::Greeting {
                generation: 3 << 32,
                nonce: [9; 16],
                line: signed(),
            },
        ),
        (
            "lines",
            Message::Lines {
                lines: vec![signed()],
                answer: true,
            },
        ),
        ("lines-hash", Message::LinesHash(0x0123_4567_89ab_cdef)),
        ("above-line", Message::AboveLine(signed())),
        ("revocations", Message::Revocations(vec![revoked()])),
        (
            "refused",
            Message::Refused(vec![(NODE, 0x0123_4567_89ab_cdef)]),
        ),
        (
            "bundle",
            Message::Bundle {
                issuers: vec![Bytes::from_static(b"issuer")],
                lines: vec![Cut {
                    rest: signed(),
                    at: 300,
                    above: vec![[7; 16]],
                }],
                answer: true,
            },
        ),
        (
            "aways",
            Message::Aways {
                aways: vec![away().relayed().bytes().clone()],
                answer: true,
            },
        ),
        ("aways-hash", Message::AwaysHash(0x0123_4567_89ab_cdef)),
    ]
}

#[test]
fn messages_are_what_they_were() {
    let lines = [Standing::Member, Standing::Left, Standing::Forgotten]
        .map(|standing| (NODE, line(standing)))
        .to_vec();
    let members = [State::Alive, State::Suspect, State::Down]
        .map(|state| Member::new(identity(), 5, state))
        .to_vec();
    let mut samples = vec![
        (
            "hello",
            Message::Hello(Hello {
                generation: 3 << 32,
                nonce: [9; 16],
                profile: profile(),
            }),
        ),
        ("above", Message::Above { run: 4 }),
        ("taken", Message::Taken { address: v4() }),
        (
            "name-taken",
            Message::NameTaken {
                bearer: NODE,
                address: v4(),
            },
        ),
        ("challenge", Message::Challenge),
        ("present", Message::Present),
        ("members", Message::Members(members)),
        (
            "roster",
            Message::Roster {
                lines,
                answer: true,
            },
        ),
        ("roster-hash", Message::RosterHash(0x0123_4567_89ab_cdef)),
        ("ask", Message::Ask),
        ("goodbye", Message::Goodbye { restart: true }),
    ];
    samples.extend(with_proofs());
    covers::<Message>(
        "cluster",
        0,
        samples.iter().map(|(_, message)| message.bytes().to_vec()),
    );
    check(
        "cluster",
        samples,
        |message| message.bytes().to_vec(),
        |bytes| Message::read(bytes).ok(),
    );
}

#[test]
fn the_kept_state_is_what_it_was() {
    let mut roster = Roster::default();
    roster.merge_entry(NODE, line(Standing::Member));
    let samples = || vec![("kept", Kept::new(7, &roster))];
    check_old("kept", samples(), |bytes| {
        Kept::read(&convert_kept(bytes).ok()?).ok()
    });
    check(
        "kept-2",
        [
            samples(),
            vec![("away", Kept::new(7, &roster).with_away(away()))],
        ]
        .concat(),
        |kept| kept.bytes().to_vec(),
        |bytes| Kept::read(&Bytes::copy_from_slice(bytes)).ok(),
    );
}
