//! What counts in protocol 2: a node's own word, and what carries its author's proof.

use super::super::message::{Hello, Message};
use super::super::swim::{Identity, Member};
use super::arbitrary::Act;
use super::{Bench, address, greeted_bench, peer, profile, settings, signed_line, signed_profile};
use super::{Cluster, Input, Kept, Output, lied_to_bench};
use crate::belief::MAX_RUN;
use crate::machine::Machine;
use crate::proof::testing::{AUTHORITY, Cheap, sign_as_authority};
use crate::proof::{Domain, Proofs};
use crate::time::Now;
use crate::wire::{CloseReason, Peer, Protocol};
use bytes::Bytes;
use crdt::roster::{Author, Line, Revocation, Roster, RosterEntry, Standing, Told};
use names::NodeId;
use std::collections::BTreeSet;

const MEMBER: Standing = Standing::Member;

fn bench() -> Bench {
    lied_to_bench(Protocol::PROVED)
}

/// That a node says of another one, whose latest line has that run and serial, that it is forgotten.
pub(super) fn forgotten(by: u8, subject: u8, (run, serial): (u64, u64)) -> Bytes {
    let node = Cheap(peer(by));
    let author = Author {
        owner: node.0.id,
        chain: &node.chain(),
        start: None,
        pace: None,
    };
    let entry = RosterEntry {
        run,
        standing: Standing::Forgotten,
        profile: profile(&format!("node{subject}"), subject),
    };
    let line = Line::write(author, NodeId([subject; 16]), serial, &entry).unwrap();
    let line = line.signed(|said| node.sign(Domain::Line, said)).unwrap();
    line.relayed().bytes().clone()
}

impl Bench {
    pub(super) fn say_lines(&mut self, lines: impl IntoIterator<Item = Bytes>) {
        let lines = lines.into_iter().collect();
        let answer = false;
        self.say(Message::Lines { lines, answer });
    }

    fn refused(&self) -> u64 {
        self.machine.stats().lines_refused
    }

    /// The serial of the latest line that this node has said.
    fn own_serial(&self) -> u64 {
        let line = self.machine.roster.own_line(NodeId([1; 16])).unwrap();
        line.relayed().rank().serial
    }
}

#[test]
fn a_hello_proves_itself() {
    let mut bench = greeted_bench(Protocol::PROVED);
    assert!(bench.is_connected(2));
    let honest = || signed_line(3, (4, 1), 3, MEMBER);
    let mut altered = honest().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let node = Cheap(peer(3));
    let author = Author {
        owner: node.0.id,
        chain: &node.chain(),
        start: Some([3; 16]),
        pace: None,
    };
    let entry = RosterEntry {
        run: 4,
        standing: MEMBER,
        profile: profile("node3", 3),
    };
    let of_another = Line::write(author, NodeId([4; 16]), 1, &entry).unwrap();
    let of_another = of_another.signed(|said| node.sign(Domain::Line, said));
    let hellos = [
        (
            4 << 32,
            [3; 16],
            of_another.unwrap().relayed().bytes().clone(),
        ),
        (5 << 32, [3; 16], honest()),
        (4 << 32, [4; 16], honest()),
        (4 << 32, [3; 16], signed_line(2, (4, 1), 3, MEMBER)),
        (4 << 32, [3; 16], signed_line(3, (4, 1), 3, Standing::Left)),
        (4 << 32, [3; 16], altered.into()),
        (4 << 32, [3; 16], Bytes::new()),
    ];
    for (generation, nonce, line) in hellos {
        let malformed = bench.machine.stats().malformed;
        bench.act(Act::Connect(3));
        bench.say(Message::Greeting {
            generation,
            nonce,
            line,
        });
        assert!(!bench.is_connected(3));
        assert_eq!(bench.machine.stats().malformed, malformed + 1);
        bench.wait(60_000);
    }
    let malformed = bench.machine.stats().malformed;
    bench.act(Act::Connect(3));
    bench.say(Message::Hello(Hello {
        generation: 4 << 32,
        nonce: [3; 16],
        profile: profile("node3", 3),
    }));
    assert!(!bench.is_connected(3), "as in protocol 1");
    assert_eq!(bench.machine.stats().malformed, malformed + 1);
    bench.wait(60_000);
    bench.greet(3, 4);
    assert!(bench.is_connected(3));
}

#[test]
fn what_carries_no_proof_changes_nothing() {
    let mut bench = bench();
    let before = bench.machine.roster.roster().clone();
    for n in [1, 2, 4] {
        for (run, standing) in [(2, MEMBER), (1, Standing::Left), (1, Standing::Forgotten)] {
            bench.say_line(n, run, standing);
        }
    }
    bench.say(Message::Above { run: 5 });
    bench.wait(3_000);
    assert_eq!(bench.machine.roster.roster(), &before);
    assert_eq!(bench.machine.keeper.wanted(), 1);
}

#[test]
fn a_line_of_a_third_node_counts_by_its_own_proof() {
    let mut bench = bench();
    bench.say_lines([signed_line(4, (MAX_RUN - 1, 1), 4, MEMBER)]);
    assert_eq!(bench.line(4), Some((MAX_RUN - 1, MEMBER)));
    let honest = Line::read(signed_line(2, (1, 2), 2, Standing::Left)).unwrap();
    let entry = honest.entry().unwrap().unwrap();
    let forged = |liar: Cheap| {
        let author = Author {
            owner: NodeId([2; 16]),
            chain: &liar.chain(),
            start: Some([2; 16]),
            pace: None,
        };
        let line = Line::write(author, NodeId([2; 16]), 2, &entry).unwrap();
        let line = line.signed(|said| liar.sign(Domain::Line, said));
        line.unwrap().relayed().bytes().clone()
    };
    let liar = Cheap(peer(3));
    let namesake = Cheap(Peer {
        id: NodeId([3; 16]),
        ..peer(2)
    });
    let mut wordy = profile("node2", 2);
    wordy.version = "x".repeat(1_000);
    let as_a_head = liar.sign(Domain::LogHead, honest.relayed().said());
    let as_a_head = honest.relayed().with_proof(&as_a_head).unwrap();
    let lies = [
        forged(liar),
        forged(namesake),
        signed_profile(2, (1, 2), 2, (MEMBER, wordy)),
        honest.relayed().with_proof(b"").unwrap().bytes().clone(),
        as_a_head.bytes().clone(),
        Bytes::copy_from_slice(honest.relayed().said()),
        signed_line(2, (MAX_RUN, 1), 2, MEMBER),
        signed_line(2, (1, 1 << 48), 2, MEMBER),
        signed_profile(2, (1, 2), 2, (MEMBER, profile("node9", 2))),
    ];
    for (n, lie) in (1..).zip(lies) {
        bench.say_lines([lie]);
        assert_eq!((bench.line(2), bench.refused()), (Some((1, MEMBER)), n));
    }
    // Also that a node left which is connected, since it says so itself.
    bench.say_lines([honest.relayed().bytes().clone()]);
    assert_eq!(bench.line(2), Some((1, Standing::Left)));
}

#[test]
fn who_brings_much_that_proves_nothing_has_to_wait() {
    let mut bench = bench();
    let lie = |serial| {
        let line = Line::read(signed_line(4, (3, serial), 4, MEMBER)).unwrap();
        line.relayed().with_proof(b"none").unwrap().bytes().clone()
    };
    let good = signed_line(4, (3, 1), 4, MEMBER);
    bench.say_lines((1..100).map(lie).chain([good.clone()]));
    assert_eq!((bench.refused(), bench.line(4)), (16, None));
    bench.wait(1_000);
    bench.say_lines([good]);
    assert_eq!(bench.line(4), Some((3, MEMBER)));
}

#[test]
fn of_two_lines_of_one_run_the_later_one_counts() {
    let mut bench = bench();
    let at = |serial, host: u8| {
        let mut profile = profile("node4", 4);
        profile.address = address(host);
        signed_profile(4, (3, serial), 4, (MEMBER, profile))
    };
    bench.say_lines([at(1, 200), at(2, 7), at(1, 201)]);
    let line = bench.machine.roster.roster().get(NodeId([4; 16])).unwrap();
    assert_eq!(line.profile.address, address(7));
}

#[test]
fn that_a_node_is_forgotten_counts_until_its_next_line() {
    let mut bench = bench();
    bench.say_lines([
        signed_line(4, (3, 1), 4, MEMBER),
        forgotten(3, 4, (3, 2)),
        forgotten(3, 4, (2, 1)),
    ]);
    assert_eq!(bench.line(4), Some((3, MEMBER)));
    bench.say_lines([forgotten(3, 4, (3, 1))]);
    assert_eq!(bench.line(4), Some((3, Standing::Forgotten)));
    bench.say_lines([signed_line(4, (3, 1), 4, MEMBER)]);
    assert_eq!(bench.line(4), Some((3, Standing::Forgotten)));
    bench.say_lines([signed_line(4, (3, 2), 4, MEMBER), forgotten(3, 4, (3, 1))]);
    assert_eq!(bench.line(4), Some((3, MEMBER)));
}

#[test]
fn of_two_that_say_a_node_is_forgotten_the_same_one_stays_everywhere() {
    let said = [forgotten(3, 4, (3, 1)), forgotten(2, 4, (3, 1))];
    let [first, second] = said;
    let hash = |order: [Bytes; 2]| {
        let mut bench = bench();
        bench.say_lines([signed_line(4, (3, 1), 4, MEMBER)]);
        bench.say_lines(order);
        bench.machine.roster.proved_hash()
    };
    let orders = [
        [first.clone(), second.clone()],
        [second.clone(), first.clone()],
    ];
    let [a, b] = orders.map(hash);
    assert_eq!(a, b);
}

#[test]
fn who_is_connected_is_asked_whether_it_is_forgotten() {
    let mut bench = bench();
    bench.sent.clear();
    bench.say_lines([forgotten(3, 2, (1, 1))]);
    assert_eq!(bench.line(2), Some((1, MEMBER)));
    let told = Message::Lines {
        lines: vec![forgotten(3, 2, (1, 1))],
        answer: false,
    };
    assert!(bench.sent.contains(&told.bytes()), "it is told");
    bench.wait(5_000);
    bench.say_lines([forgotten(3, 2, (1, 1))]);
    assert_eq!(
        bench.line(2),
        Some((1, Standing::Forgotten)),
        "it has not answered"
    );
}

#[test]
fn who_reads_that_it_is_forgotten_says_its_line_again_at_most_once_a_second() {
    let mut bench = bench();
    for _ in 0..5 {
        bench.say_lines([forgotten(3, 1, (1, bench.own_serial()))]);
        bench.wait(200);
    }
    assert_eq!(bench.line(1), Some((1, MEMBER)));
    let serial = bench.own_serial();
    assert!((2..=3).contains(&serial), "{serial}");
    assert_eq!(bench.machine.keeper.wanted(), 1, "it takes no other run");
}

#[test]
fn a_node_goes_above_a_run_that_it_has_signed_in_another_start() {
    for as_answer in [false, true] {
        let mut bench = bench();
        let far = MAX_RUN - 7;
        let say = |bench: &mut Bench, line: Bytes| {
            if as_answer {
                bench.say(Message::AboveLine(line));
            } else {
                bench.say_lines([line]);
            }
            bench.machine.keeper.wanted()
        };
        // It is its own, of this start.
        let own = bench.machine.roster.own_bytes();
        assert_eq!(say(&mut bench, own), 1);
        // Refusals count once for each hello.
        bench.greet(3, 1);
        let unproved = Line::read(signed_line(1, (far, 1), 9, MEMBER)).unwrap();
        let unproved = unproved.relayed().with_proof(b"none").unwrap();
        assert_eq!(say(&mut bench, unproved.bytes().clone()), 1);
        bench.greet(3, 1);
        let of_this_start = signed_line(1, (far, 1), 1, MEMBER);
        assert_eq!(say(&mut bench, of_this_start), 1);
        bench.greet(3, 1);
        assert_eq!(say(&mut bench, signed_line(4, (far, 1), 9, MEMBER)), 1);
        bench.greet(3, 1);
        assert_eq!(
            say(&mut bench, signed_line(1, (far, 1), 9, MEMBER)),
            far + 1
        );
    }
}

#[test]
fn members_without_a_line_are_not_probed() {
    let mut bench = bench();
    let stranger = Identity::of_run(NodeId([4; 16]), address(4), 3);
    let dials = bench.machine.stats().dials;
    bench.say(Message::Members(vec![Member::down(stranger)]));
    assert!(bench.machine.swim.seen(stranger.node).is_none());
    bench.say(Message::Members(vec![Member::alive(stranger)]));
    assert!(bench.machine.swim.seen(stranger.node).is_none());
    assert_eq!(bench.machine.stats().dials, dials);
    bench.say_lines([signed_line(4, (3, 1), 4, MEMBER)]);
    bench.say(Message::Members(vec![Member::alive(stranger)]));
    assert!(bench.machine.swim.is_active(stranger.node));
    let later = Identity::of_run(stranger.node, address(4), 4);
    bench.say(Message::Members(vec![Member::down(later)]));
    assert!(bench.machine.swim.is_active(stranger.node));
}

#[test]
fn what_is_news_goes_on_to_others() {
    let mut bench = bench();
    let line = signed_line(4, (3, 1), 4, MEMBER);
    bench.say_lines([line.clone()]);
    bench.sent.clear();
    bench.wait(150);
    let passed_on = bench.sent.iter().filter_map(|bytes| {
        let message = Message::read(bytes).ok()?;
        matches!(message, Message::Lines { lines, .. } if lines.contains(&line)).then_some(())
    });
    assert_eq!(passed_on.count(), 2);
}

/// That an authority has shut a node out, or somebody who is none.
fn revoked(subject: u8, reason: &str, is_signed: bool) -> Bytes {
    let told = Told {
        reason: reason.to_owned(),
        ..Told::default()
    };
    let authority = (NodeId([3; 16]), AUTHORITY);
    let revocation = Revocation::write(authority, NodeId([subject; 16]), &told, |said| {
        if is_signed {
            sign_as_authority(Domain::Revocation, said)
        } else {
            Cheap(peer(3)).sign(Domain::Revocation, said)
        }
    });
    revocation.unwrap().relayed().bytes().clone()
}

#[test]
fn who_is_revoked_is_shut_out_for_good() {
    let mut bench = bench();
    let say = |bench: &mut Bench, revocation| {
        bench.say(Message::Revocations(vec![revocation]));
    };
    say(&mut bench, revoked(2, "stolen", false));
    assert!(bench.is_connected(2) && bench.refused() == 1);
    // Who has not said its hello is not heard.
    bench.act(Act::Connect(4));
    say(&mut bench, revoked(2, "stolen", true));
    assert!(bench.is_connected(2));
    bench.greet(3, 1);
    say(&mut bench, revoked(2, "stolen", true));
    assert!(!bench.is_connected(2) && bench.line(2).is_none());
    assert!(bench.machine.swim.seen(NodeId([2; 16])).is_none());
    // It comes back, others speak of it, and itself with a later line.
    bench.closed.clear();
    bench.act(Act::Connect(2));
    let closed: Vec<CloseReason> = bench.closed.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(closed, [CloseReason::Revoked], "before it says anything");
    bench.greet(2, 9);
    assert!(!bench.is_connected(2) && bench.line(2).is_none());
    bench.greet(3, 1);
    bench.say_lines([signed_line(2, (9, 1), 2, MEMBER)]);
    let member = Identity::of_run(NodeId([2; 16]), address(2), 9);
    bench.say(Message::Members(vec![Member::alive(member)]));
    assert!(bench.line(2).is_none() && bench.machine.swim.seen(member.node).is_none());
    // Of two about one node the same one stays everywhere.
    let mut other = lied_to_bench(Protocol::PROVED);
    for revocation in [revoked(2, "a", true), revoked(2, "stolen", true)] {
        say(&mut bench, revocation.clone());
        other.say(Message::Revocations(vec![revocation]));
    }
    say(&mut other, revoked(2, "a", true));
    let hashes = [&bench, &other].map(|bench| bench.machine.roster.proved_hash());
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn a_node_reads_that_it_is_revoked_and_ends_nothing() {
    let mut bench = bench();
    let log = |bench: &Bench| bench.machine.registry.position(NodeId([1; 16]));
    let before = log(&bench);
    bench.say(Message::Revocations(vec![revoked(1, "", true)]));
    bench.wait(3_000);
    assert!(bench.is_connected(2) && bench.is_connected(3));
    assert_eq!(log(&bench), before, "its registrations stay");
}

/// What the machine has written last.
pub(super) fn written(machine: &mut Cluster) -> Option<Bytes> {
    let outputs = std::iter::from_fn(|| machine.poll_output());
    let writes = outputs.filter_map(|output| {
        let Output::Write { id, bytes } = output else {
            return None;
        };
        Some((id, bytes))
    });
    let (id, bytes) = writes.last()?;
    machine.handle(Now::default(), Input::Written { id, result: Ok(()) });
    Some(bytes)
}

#[test]
fn the_disk_keeps_lines_with_their_proofs_and_those_of_programs_before() {
    let mut old = Roster::default();
    for n in [2, 4] {
        let entry = RosterEntry {
            run: 9,
            standing: MEMBER,
            profile: profile(&format!("node{n}"), n),
        };
        old.merge_entry(NodeId([n; 16]), entry);
    }
    let settings = |kept| super::Settings {
        kept,
        ..settings(false)
    };
    let mut machine = Cluster::new(settings(Kept::new(7, &old)), Now::default());
    assert_eq!(machine.keeper.wanted(), 8);
    assert_eq!(machine.roster.roster().members().count(), 3);
    assert_eq!(
        machine.roster.proved_lines_but(&BTreeSet::new()).len(),
        1,
        "its own"
    );
    written(&mut machine).unwrap();
    let line = Line::read(signed_line(2, (3, 1), 2, MEMBER)).unwrap();
    machine.roster.prove_line(&line);
    machine.roster_changed(&[NodeId([2; 16])]);
    machine.roster.forget(NodeId([4; 16]));
    let revocation = revoked(5, "stolen", true);
    machine.roster.merge_revocation(revocation.clone()).unwrap();
    machine.route_and_publish();
    let kept = Kept::read(&written(&mut machine).unwrap()).unwrap();
    let mut again = Cluster::new(settings(kept), Now::default());
    let line = |machine: &Cluster, n| {
        let line = machine.roster.roster().get(NodeId([n; 16])).unwrap();
        (line.run, line.standing)
    };
    // What the node proves counts for more than what a program without proofs has kept of it.
    assert_eq!(line(&again, 2), (3, MEMBER));
    assert_eq!(line(&again, 4), (9, Standing::Forgotten));
    assert_eq!(again.keeper.wanted(), 9);
    let told = std::iter::from_fn(|| again.poll_output()).find_map(|output| {
        let Output::Revoked(revocations) = output else {
            return None;
        };
        Some(revocations)
    });
    let told: Vec<Bytes> = told
        .iter()
        .flat_map(|all| all.iter())
        .map(|one| one.relayed().bytes().clone())
        .collect();
    assert_eq!(told, [revocation]);
    again.keeper.mark_dirty();
    again.route_and_publish();
    assert!(written(&mut again).is_some());
}
