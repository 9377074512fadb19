//! What counts of an authority that is withdrawn.

use super::super::message::Message;
use super::proved::written;
use super::{Bench, Cluster, Kept, Line, address, lied_to_bench, peer, profile, settings};
use crate::machine::Machine;
use crate::proof::testing::{AUTHORITY, Cheap, below, key, sign_as_authority};
use crate::proof::{Domain, Proofs};
use crate::time::Now;
use crate::wire::{CloseReason, Protocol};
use bytes::Bytes;
use crdt::record::RecordError;
use crdt::roster::{Author, Mark, Revocation, RosterEntry, Standing, Told, mark};
use names::NodeId;
use std::collections::BTreeSet;

const STOLEN: &str = "alpha";

fn bench() -> Bench {
    lied_to_bench(Protocol::PROVED)
}

/// The chain of a node's certificate that an authority of that name has signed.
fn chain(n: u8, authority: &str) -> Bytes {
    below(&Cheap(peer(n)).chain(), authority)
}

/// What a node says of itself with that certificate.
fn line(n: u8, authority: &str) -> Bytes {
    of_run(n, authority, 1)
}

/// The same in a run, each of which is another start.
fn of_run(n: u8, authority: &str, run: u8) -> Bytes {
    let start = Some([n + run - 1; 16]);
    said(n, authority, (start, n), (run.into(), Standing::Member))
}

/// That a node says with that certificate that another one is forgotten.
fn forgotten(by: u8, authority: &str, subject: u8) -> Bytes {
    said(by, authority, (None, subject), (1, Standing::Forgotten))
}

fn said(
    by: u8,
    authority: &str,
    (start, subject): (Option<[u8; 16]>, u8),
    (run, standing): (u64, Standing),
) -> Bytes {
    let author = Author {
        owner: NodeId([by; 16]),
        chain: &chain(by, authority),
        start,
        pace: None,
    };
    let entry = RosterEntry {
        run,
        standing,
        profile: profile(&format!("node{subject}"), subject),
    };
    let line = Line::write(author, NodeId([subject; 16]), 1, &entry).unwrap();
    let sign = |said: &[u8]| Cheap(peer(by)).sign(Domain::Line, said);
    line.signed(sign).unwrap().relayed().bytes().clone()
}

fn revocation(subject: u8, authority: &str, reason: &str) -> Revocation {
    let told = Told {
        reason: reason.to_owned(),
        ..Told::default()
    };
    let by = (NodeId([3; 16]), &*below(AUTHORITY, authority));
    let sign = |said: &[u8]| sign_as_authority(Domain::Revocation, said);
    Revocation::write(by, NodeId([subject; 16]), &told, sign).unwrap()
}

fn withdrawal(by: &[u8], at_ms: i64, good: &[Mark]) -> Bytes {
    let told = Told {
        at_ms,
        ..Told::default()
    };
    let draft = Revocation::draft((NodeId([3; 16]), b""), key(STOLEN), &told, good).unwrap();
    let sign =
        |said: &[u8]| Ok::<_, RecordError>(sign_as_authority(Domain::Revocation, said).to_vec());
    bytes(&draft.signed(by, sign).unwrap())
}

fn bytes(revocation: &Revocation) -> Bytes {
    revocation.relayed().bytes().clone()
}

fn say(bench: &mut Bench, revocation: Bytes) {
    bench.say(Message::Revocations(vec![revocation]));
}

impl Bench {
    fn greet_with(&mut self, n: u8, line: Bytes) {
        self.greet_in(n, 1, line);
    }

    fn greet_in(&mut self, n: u8, run: u8, line: Bytes) {
        self.act(super::arbitrary::Act::Connect(n));
        self.say(Message::Greeting {
            generation: u64::from(run) << 32,
            nonce: [n + run - 1; 16],
            line,
        });
    }

    fn is_revoked(&self, n: u8) -> bool {
        self.machine.roster.is_revoked(NodeId([n; 16]))
    }
}

fn orders(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..of).map(move |at| {
            let mut order = order.clone();
            order.insert(at, of - 1);
            order
        })
    };
    orders(of - 1).into_iter().flat_map(insert).collect()
}

#[test]
fn what_counts_does_not_depend_on_the_order_of_arrival() {
    let kept = revocation(5, STOLEN, "true");
    let good = [mark(&chain(4, STOLEN)), kept.mark()];
    let revocations = [
        withdrawal(AUTHORITY, 7, &good),
        withdrawal(AUTHORITY, 6, &[]),
        bytes(&kept),
        bytes(&revocation(6, STOLEN, "a lie")),
        // The one that goes has the larger bytes.
        bytes(&revocation(7, STOLEN, "z: a lie about who is revoked")),
        bytes(&revocation(7, "gamma", "a")),
    ];
    let mut hashes = Vec::new();
    for order in orders(revocations.len()) {
        let mut bench = bench();
        // What an earlier withdrawal has taken along is said again by whoever still has it.
        for at in order.iter().chain(&order) {
            say(&mut bench, revocations[*at].clone());
            bench.say_lines([line(4, STOLEN), line(8, STOLEN)]);
        }
        let revoked = [5, 6, 7].map(|n| bench.is_revoked(n));
        assert_eq!(revoked, [true, false, true], "{order:?}");
        assert!(
            bench.line(4).is_some() && bench.line(8).is_none(),
            "{order:?}"
        );
        let refused = bench.machine.stats().lines_refused;
        assert_eq!(refused, 0, "nobody lies who has not heard of it: {order:?}");
        hashes.push(bench.machine.roster.proved_hash());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
}

#[test]
fn who_has_a_certificate_of_it_is_shut_out_till_it_has_another_one() {
    let mut bench = bench();
    bench.greet_with(4, line(4, STOLEN));
    bench.greet_with(5, line(5, STOLEN));
    assert!(bench.is_connected(4) && bench.is_connected(5));
    say(
        &mut bench,
        withdrawal(AUTHORITY, 7, &[mark(&chain(4, STOLEN))]),
    );
    assert!(bench.is_connected(4) && bench.line(4).is_some());
    assert!(!bench.is_connected(5) && bench.line(5).is_none());
    assert!(bench.machine.swim.seen(NodeId([5; 16])).is_none());
    let malformed = bench.machine.stats().malformed;
    bench.greet_with(5, line(5, STOLEN));
    assert!(!bench.is_connected(5) && bench.line(5).is_none());
    assert_eq!(bench.machine.stats().malformed, malformed, "it is told why");
    bench.greet_with(5, line(5, "gamma"));
    assert!(bench.is_connected(5) && bench.line(5).is_some());
    assert_eq!(
        address(5),
        bench
            .machine
            .roster
            .roster()
            .get(NodeId([5; 16]))
            .unwrap()
            .profile
            .address
    );
}

#[test]
fn that_another_node_is_forgotten_counts_no_longer_from_it() {
    let mut bench = bench();
    bench.say_lines([line(4, "gamma"), forgotten(5, STOLEN, 4)]);
    assert_eq!(bench.line(4), Some((1, Standing::Forgotten)));
    say(&mut bench, withdrawal(AUTHORITY, 7, &[]));
    assert_eq!(bench.line(4), Some((1, Standing::Member)));
    bench.say_lines([forgotten(5, STOLEN, 4)]);
    assert_eq!(bench.line(4), Some((1, Standing::Member)));
    assert_eq!(bench.machine.stats().lines_refused, 0, "nobody lies");
}

#[test]
fn who_waits_with_a_certificate_of_it_is_not_let_in() {
    let mut bench = bench();
    bench.greet_with(4, line(4, "gamma"));
    // It waits until the start before it has had its time to answer.
    bench.greet_in(4, 2, of_run(4, STOLEN, 2));
    bench.greet(3, 1);
    say(&mut bench, withdrawal(AUTHORITY, 7, &[]));
    bench.closed.clear();
    bench.wait(10_000);
    let closed: Vec<CloseReason> = bench.closed.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(closed, [CloseReason::Replaced, CloseReason::Revoked]);
    assert!(!bench.is_connected(4));
    assert_eq!(bench.line(4), Some((1, Standing::Member)));
}

#[test]
fn a_line_of_ones_own_with_a_certificate_of_it_takes_no_run() {
    let mut bench = bench();
    say(&mut bench, withdrawal(AUTHORITY, 7, &[]));
    bench.greet(3, 1);
    bench.say(Message::AboveLine(of_run(1, STOLEN, 9)));
    assert_eq!(bench.machine.keeper.wanted(), 1);
    bench.greet(3, 1);
    bench.say(Message::AboveLine(of_run(1, "gamma", 9)));
    assert_eq!(bench.machine.keeper.wanted(), 10);
}

#[test]
fn only_the_clusters_own_authority_withdraws_one() {
    let mut bench = bench();
    bench.say_lines([line(4, STOLEN)]);
    let forged = [
        withdrawal(&below(AUTHORITY, "gamma"), 7, &[]),
        withdrawal(&below(AUTHORITY, STOLEN), 7, &[]),
    ];
    for (refused, forged) in (1..).zip(forged) {
        say(&mut bench, forged);
        assert_eq!(bench.machine.stats().lines_refused, refused);
        assert!(bench.line(4).is_some());
    }
}

#[test]
fn revocations_leave_room_for_withdrawals_and_the_disk_keeps_them() {
    let mut machine = Cluster::new(settings(false), Now::default());
    let merge =
        |machine: &mut Cluster, revocation| machine.roster.merge_revocation(revocation).unwrap();
    let subject = |n: u16| {
        let mut revocation = revocation(9, STOLEN, "flood");
        let told = Told {
            reason: n.to_string(),
            ..revocation.told()
        };
        let by = (NodeId([3; 16]), &*below(AUTHORITY, STOLEN));
        let sign = |said: &[u8]| sign_as_authority(Domain::Revocation, said);
        revocation = Revocation::write(by, NodeId([9; 16]), &told, sign).unwrap();
        bytes(&revocation)
    };
    for n in 0..10_000 {
        assert!(merge(&mut machine, subject(n)).is_some());
    }
    assert!(merge(&mut machine, subject(10_000)).is_none());
    let shut = merge(&mut machine, withdrawal(AUTHORITY, 7, &[])).unwrap();
    assert!(shut.back.contains(&NodeId([9; 16])));
    assert_eq!(machine.roster.revocations_but(&BTreeSet::new()).count(), 1);
    machine.shut_out(&shut);
    machine.keeper.mark_dirty();
    written(&mut machine);
    machine.route_and_publish();
    let kept = Kept::read(&written(&mut machine).unwrap()).unwrap();
    let settings = super::Settings {
        kept,
        ..settings(false)
    };
    let again = Cluster::new(settings, Now::default());
    assert!(again.roster.withdrawal(NodeId(key(STOLEN))).is_some());
    assert!(again.roster.is_withdrawn(&chain(4, STOLEN)));
    assert_eq!(again.roster.revocations_but(&BTreeSet::new()).count(), 1);
}
