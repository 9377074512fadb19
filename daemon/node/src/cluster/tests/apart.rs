//! Two nodes of which one refuses what the other has, as in the middle of a change of the cluster's
//! authority.

use super::super::message::Message;
use super::{Cluster, Input, Output, address, peer, profile, settings};
use crate::machine::Machine;
use crate::proof::testing::{AUTHORITY, Cheap, below, sign_as_authority};
use crate::proof::{Domain, Marks, Proofs};
use crate::time::{Instant, Now, Wall};
use crate::wire::{Channel, ConnId, DialId, Peer, Protocol};
use bytes::Bytes;
use crdt::roster::{Author, Away, Line, Notice, Revocation, RosterEntry, Standing, Told};
use names::{NodeId, Role};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CONN: ConnId = ConnId(1);

/// A node whose certificate one authority has signed. It trusts the old one, and may trust the new one.
#[derive(Clone, Debug)]
struct Under {
    node: Cheap,
    authority: &'static str,
    trusts_new: Arc<AtomicBool>,
}

impl Under {
    fn trusts(&self, chain: &[u8]) -> bool {
        let trusts_new = self.trusts_new.load(Ordering::Relaxed);
        chain.ends_with(b"@old") || trusts_new && chain.ends_with(b"@new")
    }
}

impl Proofs for Under {
    fn chain(&self) -> Bytes {
        below(&self.node.chain(), self.authority)
    }

    fn sign(&self, domain: Domain, said: &[u8]) -> Bytes {
        self.node.sign(domain, said)
    }

    fn role(&self, chain: &[u8]) -> Role {
        self.node.role(chain)
    }

    fn signer(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> Option<Peer> {
        let signer = self.node.signer(chain, domain, said, proof);
        signer.filter(|_| self.trusts(chain))
    }

    fn is_of_authority(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        self.node.is_of_authority(chain, domain, said, proof) && self.trusts(chain)
    }

    fn is_of_root(&self, _: &[u8], _: Domain, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn issuers<'a>(&self, chain: &'a [u8]) -> Vec<&'a [u8]> {
        self.node.issuers(chain)
    }

    fn marks(&self, chain: &[u8]) -> Option<Marks> {
        self.node.marks(chain)
    }
}

/// The line of a node under an authority.
fn line(number: u8, authority: &'static str, serial: u64) -> Line {
    let node = Under {
        node: Cheap(peer(number)),
        authority,
        trusts_new: Arc::default(),
    };
    let author = Author {
        owner: node.node.0.id,
        chain: &node.chain(),
        start: Some([number; 16]),
        pace: None,
    };
    let entry = RosterEntry {
        run: 1,
        standing: Standing::Left,
        profile: profile(&format!("node{number}"), number),
    };
    let line = Line::write(author, node.node.0.id, serial, &entry).unwrap();
    line.signed(|said| node.sign(Domain::Line, said)).unwrap()
}

/// The revocation of a node by an authority.
fn revocation(number: u8, authority: &str) -> Bytes {
    let chain = below(AUTHORITY, authority);
    let told = Told {
        reason: "stolen".to_owned(),
        ..Told::default()
    };
    let authority = (NodeId([0xaa; 16]), &chain[..]);
    let revocation = Revocation::write(authority, NodeId([number; 16]), &told, |said| {
        sign_as_authority(Domain::Revocation, said)
    });
    revocation.unwrap().relayed().bytes().clone()
}

/// That the node of a line is away, as a node under an authority says it.
fn away(by: u8, authority: &'static str, line: &Line) -> Bytes {
    let node = Under {
        node: Cheap(peer(by)),
        authority,
        trusts_new: Arc::default(),
    };
    let notice = Notice {
        until_ms: Some(1_000),
        ..Notice::default()
    };
    let sign = |said: &[u8]| node.sign(Domain::Away, said);
    let away = Away::write((node.node.0.id, &node.chain()), line, 1, &notice, sign);
    away.unwrap().relayed().bytes().clone()
}

/// Two connected nodes, both under the old authority: the first one trusts that one only, the second
/// one the new one, too.
struct Pair {
    machines: [Cluster; 2],
    /// Whether the first one trusts the new authority.
    trusts_new: Arc<AtomicBool>,
    now: Now,
    /// What is on its way, to whom.
    wire: VecDeque<(usize, Input)>,
    /// What carried lines, revocations or who is away since it was looked at last.
    carried: Vec<(usize, Message)>,
}

impl Pair {
    /// The second one has the lines of so many nodes under each of both authorities.
    fn new(nodes: u8) -> Self {
        let trusts_new = [false, true].map(|trusts| Arc::new(AtomicBool::new(trusts)));
        let now = Now {
            instant: Instant::from_nanos(0),
            wall: Wall(0),
        };
        let machines = [0u8, 1].map(|index| {
            let me = peer(index + 1);
            let proofs = Under {
                node: Cheap(me.clone()),
                authority: "old",
                trusts_new: trusts_new[usize::from(index)].clone(),
            };
            let settings = super::Settings {
                profile: profile(me.name.as_str(), index + 1),
                proofs: Arc::new(proofs),
                me,
                seeds: Vec::new(),
                nonce: [index + 1; 16],
                ..settings(false)
            };
            Cluster::new(settings, now)
        });
        let mut pair = Self {
            machines,
            trusts_new: trusts_new[0].clone(),
            now,
            wire: VecDeque::new(),
            carried: Vec::new(),
        };
        for number in 0..nodes {
            pair.learn(&line(10 + number, "old", 1));
            pair.learn(&line(100 + number, "new", 1));
        }
        pair.settle();
        pair.connect();
        pair.wait(1);
        pair
    }

    /// The first one has dialled.
    fn connect(&mut self) {
        for (at, other) in [(0, 1u8), (1, 0)] {
            let input = Input::Connected {
                peer: peer(other + 1),
                conn: CONN,
                dial: (at == 0).then_some(DialId(1)),
                remote: address(other + 1),
                protocol: Protocol::PROVED,
            };
            self.wire.push_back((at, input));
        }
    }

    fn cut(&mut self) {
        for machine in &mut self.machines {
            machine.handle(self.now, Input::Closed { conn: CONN });
        }
        self.wire.clear();
        self.settle();
    }

    /// The second node learns of a line.
    fn learn(&mut self, line: &Line) {
        let node = line.subject();
        let machine = &mut self.machines[1];
        machine.roster.prove_line(line);
        machine.roster_changed(&[node]);
        machine.route_and_publish();
    }

    fn settle(&mut self) {
        loop {
            for at in 0..2 {
                while let Some(output) = self.machines[at].poll_output() {
                    self.carry(at, output);
                }
            }
            let Some((to, input)) = self.wire.pop_front() else {
                return;
            };
            self.machines[to].handle(self.now, input);
        }
    }

    fn carry(&mut self, from: usize, output: Output) {
        let (to, conn) = (1 - from, CONN);
        if let Output::Send { channel, bytes, .. } = output {
            if channel != Channel::Cluster {
                return;
            }
            let message = Message::read(&bytes).unwrap();
            if matches!(
                message,
                Message::Lines { .. }
                    | Message::Bundle { .. }
                    | Message::Revocations(_)
                    | Message::Aways { .. }
            ) {
                self.carried.push((from, message));
            }
            self.wire.push_back((to, Input::Message { conn, bytes }));
        } else if let Output::Datagram { bytes, .. } = output {
            self.wire.push_back((to, Input::Datagram { conn, bytes }));
        } else if let Output::Write { id, .. } = output {
            self.wire
                .push_back((from, Input::Written { id, result: Ok(()) }));
        }
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now.instant + Duration::from_secs(seconds);
        self.settle();
        loop {
            let due = |machine: &Cluster| machine.poll_timeout().unwrap_or(until);
            let at = due(&self.machines[0]).min(due(&self.machines[1]));
            if at >= until {
                break;
            }
            self.now.instant = at.max(self.now.instant);
            for machine in &mut self.machines {
                machine.wake(self.now);
            }
            self.settle();
        }
        self.now.instant = until;
    }

    /// How many messages carried lines, revocations or who is away in so many seconds.
    fn carried_in(&mut self, seconds: u64) -> usize {
        self.carried.clear();
        self.wait(seconds);
        self.carried.len()
    }

    fn lines(&self, at: usize) -> usize {
        self.machines[at].roster.roster().iter().count()
    }
}

#[test]
fn what_a_peer_refuses_is_not_sent_again() {
    let mut pair = Pair::new(20);
    pair.wait(10);
    assert_eq!((pair.lines(0), pair.lines(1)), (22, 42));
    assert!(pair.machines[0].stats().lines_refused >= 20);
    assert_eq!(pair.carried_in(60), 0);
}

#[test]
fn after_a_cut_lines_go_only_where_both_have_not_the_same() {
    let mut pair = Pair::new(20);
    pair.trusts_new.store(true, Ordering::Relaxed);
    pair.machines[0].handle(pair.now, Input::Recertified);
    pair.wait(10);
    assert_eq!(pair.lines(0), 42);
    pair.cut();
    pair.carried.clear();
    pair.connect();
    assert_eq!(pair.carried_in(10), 0);

    pair.cut();
    pair.learn(&line(90, "old", 1));
    pair.connect();
    pair.settle();
    assert_eq!(pair.lines(0), 43, "at once, not only in the next round");
}

#[test]
fn another_line_of_a_node_is_sent_though_the_one_before_was_refused() {
    let mut pair = Pair::new(20);
    pair.wait(10);
    let refused = pair.machines[0].stats().lines_refused;
    pair.learn(&line(100, "new", 2));
    pair.wait(5);
    assert!(pair.machines[0].stats().lines_refused > refused);
    assert_eq!(pair.carried_in(60), 0);
    // It has another certificate now.
    pair.learn(&line(100, "old", 3));
    pair.wait(5);
    assert_eq!(pair.lines(0), 23);
    assert_eq!(pair.carried_in(60), 0);
}

#[test]
fn what_was_refused_comes_when_the_authority_is_trusted() {
    let mut pair = Pair::new(20);
    pair.wait(10);
    pair.trusts_new.store(true, Ordering::Relaxed);
    pair.machines[0].handle(pair.now, Input::Recertified);
    pair.wait(5);
    assert_eq!((pair.lines(0), pair.lines(1)), (42, 42));
    let hash = |machine: &Cluster| machine.roster.proved_hash();
    assert_eq!(hash(&pair.machines[0]), hash(&pair.machines[1]));
    assert_eq!(pair.carried_in(60), 0);
}

#[test]
fn revocations_that_a_peer_cannot_judge_are_not_sent_again() {
    let mut pair = Pair::new(1);
    pair.wait(5);
    let revoked = |pair: &Pair, at: usize| pair.machines[at].roster.is_revoked(NodeId([200; 16]));
    let bytes = revocation(200, "new");
    pair.machines[1].roster.merge_revocation(bytes).unwrap();
    pair.wait(5);
    assert!(revoked(&pair, 1) && !revoked(&pair, 0));
    assert_eq!(pair.carried_in(60), 0);
    pair.trusts_new.store(true, Ordering::Relaxed);
    pair.machines[0].handle(pair.now, Input::Recertified);
    pair.wait(5);
    assert!(revoked(&pair, 0));
    assert_eq!(pair.carried_in(60), 0);
}

#[test]
fn who_is_away_by_the_word_of_one_that_a_peer_cannot_judge_is_not_sent_again() {
    let mut pair = Pair::new(1);
    pair.wait(5);
    let is_said = |pair: &Pair, at: usize| {
        let away = pair.machines[at].roster.away(NodeId([10; 16]));
        away.is_some()
    };
    let bytes = away(100, "new", &line(10, "old", 1));
    let roster = &mut pair.machines[1].roster;
    roster.merge_away(pair.now, bytes, |_| false);
    pair.wait(5);
    assert!(is_said(&pair, 1) && !is_said(&pair, 0));
    assert_eq!(pair.carried_in(60), 0);
    pair.trusts_new.store(true, Ordering::Relaxed);
    pair.machines[0].handle(pair.now, Input::Recertified);
    pair.wait(5);
    assert!(is_said(&pair, 0));
    assert_eq!(pair.carried_in(60), 0);
}
