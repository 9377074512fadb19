//! What others say of members that are away on purpose.

use super::super::message::Message;
use super::super::{MemberState, Verdict};
use super::{Bench, OBSERVER, lied_to_bench, peer, signed_line};
use crate::machine::Machine;
use crate::proof::testing::{AUTHORITY, Cheap, sign_as_authority};
use crate::proof::{Domain, Proofs};
use crate::time::Wall;
use crate::wire::Protocol;
use bytes::Bytes;
use crdt::roster::{Away, Line, MAX_AWAY_MS, Notice, Revocation, Standing, Told};
use names::NodeId;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Until then nodes are away in these tests.
const UNTIL_MS: u64 = 5_000;

/// A bench that knows node 4, which does not answer; node 3 speaks last.
fn bench() -> Bench {
    let mut bench = lied_to_bench(Protocol::PROVED);
    bench.say_lines([signed_line(4, (1, 1), 4, Standing::Member)]);
    bench
}

fn notice(until_ms: Option<u64>) -> Notice {
    Notice {
        until_ms,
        why: "dry dock".to_owned(),
        by: "root@node3".to_owned(),
    }
}

/// What a node says, at a time, of another one whose latest line has that rank.
fn said(by: u8, (subject, rank): (u8, (u64, u64)), at_ms: u64, notice: &Notice) -> Bytes {
    let node = Cheap(peer(by));
    let line = Line::read(signed_line(subject, rank, subject, Standing::Member)).unwrap();
    let sign = |said: &[u8]| node.sign(Domain::Away, said);
    let away = Away::write((node.0.id, &node.chain()), &line, at_ms, notice, sign);
    away.unwrap().relayed().bytes().clone()
}

pub(super) fn away(by: u8, subject: u8, at_ms: u64) -> Bytes {
    said(by, (subject, (1, 1)), at_ms, &notice(Some(UNTIL_MS)))
}

fn back(by: u8, subject: u8, at_ms: u64) -> Bytes {
    said(by, (subject, (1, 1)), at_ms, &notice(None))
}

impl Bench {
    fn say_aways(&mut self, aways: impl IntoIterator<Item = Bytes>) {
        let (aways, answer) = (aways.into_iter().collect(), false);
        self.say(Message::Aways { aways, answer });
    }

    fn state(&self, n: u8) -> MemberState {
        let view = self.view.as_ref().unwrap();
        view.member(NodeId([n; 16])).unwrap().state
    }

    fn is_said(&self, n: u8) -> bool {
        self.machine.roster.away(NodeId([n; 16])).is_some()
    }
}

#[test]
fn a_member_that_does_not_answer_is_away_until_it_says_something() {
    let mut bench = bench();
    assert_eq!(bench.state(4), MemberState::Down);
    bench.say_aways([said(3, (4, (1, 2)), 1, &notice(Some(UNTIL_MS)))]);
    assert_eq!(bench.state(4), MemberState::Down, "of no line that is here");
    bench.say_aways([away(3, 4, 1)]);
    assert_eq!(bench.state(4), MemberState::Away);
    let view = bench.view.as_ref().unwrap();
    assert_eq!((view.verdict, view.expected().count()), (Verdict::Whole, 3));
    assert_eq!((view.all().count(), bench.machine.stats().away), (4, 1));
    bench.say_lines([signed_line(4, (1, 2), 4, Standing::Member)]);
    assert_eq!(bench.state(4), MemberState::Down);
    bench.say_aways([away(3, 4, 1)]);
    assert!(!bench.is_said(4), "it is over");
}

#[test]
fn it_ends_at_its_time_and_by_a_later_word_of_anybody() {
    let mut bench = bench();
    bench.say_aways([away(3, 4, 1)]);
    assert_eq!(bench.state(4), MemberState::Away);
    bench.say_aways([back(2, 4, 2), away(3, 4, 1)]);
    assert_eq!(bench.state(4), MemberState::Down);
    bench.say_aways([away(3, 4, 3)]);
    bench.now.wall = Wall(4_999);
    bench.wait(1_000);
    assert_eq!(bench.state(4), MemberState::Away);
    bench.now.wall = Wall(5_000);
    bench.wait(1_000);
    assert_eq!(bench.state(4), MemberState::Down);
}

#[test]
fn whatever_comes_first_nodes_come_to_the_same() {
    let all = [away(3, 4, 1), back(2, 4, 2), away(3, 4, 2), away(2, 4, 2)];
    let hash = |order: [usize; 4]| {
        let mut bench = bench();
        bench.say_aways(order.map(|at| all[at].clone()));
        bench.machine.roster.aways_hash()
    };
    let first = hash([0, 1, 2, 3]);
    assert_ne!(first, 0);
    for order in [[3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        assert_eq!(hash(order), first);
    }
}

#[test]
fn who_is_connected_is_told_and_not_away() {
    let mut bench = bench();
    bench.sent.clear();
    bench.say_aways([away(3, 2, 1)]);
    assert!(!bench.is_said(2));
    assert_eq!(bench.state(2), MemberState::Alive);
    let told = Message::Aways {
        aways: vec![away(3, 2, 1)],
        answer: false,
    };
    assert!(bench.sent.contains(&told.bytes()));
}

#[test]
fn who_reads_that_it_is_away_says_its_line_again_at_most_once_a_second() {
    let mut bench = bench();
    let serial = |bench: &Bench| {
        let line = bench.machine.roster.own_line(NodeId([1; 16])).unwrap();
        line.relayed().rank().serial
    };
    for at_ms in 1..=5 {
        // The line of this node has another nonce, but the same rank.
        let about = (1, (1, serial(&bench)));
        bench.say_aways([said(3, about, at_ms, &notice(Some(UNTIL_MS)))]);
        bench.wait(200);
    }
    assert!((2..=3).contains(&serial(&bench)), "{}", serial(&bench));
    assert!(!bench.is_said(1));
}

#[test]
fn what_proves_nothing_or_breaks_the_bounds_is_refused() {
    let mut altered = away(3, 4, 1).to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let long = Notice {
        why: "x".repeat(201),
        ..notice(Some(UNTIL_MS))
    };
    for refused in [
        altered.into(),
        said(3, (4, (1, 1)), 1, &notice(Some(2 + MAX_AWAY_MS))),
        said(3, (4, (1, 1)), 1, &long),
        away(4, 4, 1),
        Bytes::from_static(b"none"),
    ] {
        let mut bench = bench();
        bench.say_aways([refused]);
        assert!(!bench.is_said(4));
        assert_eq!(bench.machine.stats().lines_refused, 1);
    }
}

#[test]
fn nobody_is_heard_who_only_observes() {
    let mut bench = bench();
    bench.greet(OBSERVER, 1);
    bench.greet(3, 1);
    bench.say_aways([away(OBSERVER, 4, 1)]);
    assert!(!bench.is_said(4));
    bench.say_aways([away(2, 4, 1)]);
    assert!(bench.is_said(4));
}

#[test]
fn no_one_can_say_the_last_word_for_ever() {
    let mut bench = bench();
    bench.say_aways([away(3, 4, DAY_MS + 1)]);
    assert!(!bench.is_said(4), "more than a day ahead");
    bench.say_aways([said(3, (4, (1, 1)), DAY_MS, &notice(Some(DAY_MS)))]);
    assert_eq!(bench.state(4), MemberState::Away);
    let replaced = bench
        .machine
        .roster
        .draft_away(NodeId([4; 16]), Wall(0), &notice(None))
        .unwrap();
    bench.machine.roster.put_away(replaced);
    bench.wait(1_000);
    assert_eq!(bench.state(4), MemberState::Down);
}

#[test]
fn a_flood_of_one_member_is_bounded_and_keeps_no_room_of_others() {
    let mut bench = bench();
    bench.say_aways((1..=50).map(|at_ms| away(3, 4, at_ms)));
    let at = |bench: &Bench| bench.machine.roster.away(NodeId([4; 16])).unwrap().at;
    assert_eq!(at(&bench), Wall(10));
    bench.say_aways([back(2, 4, 100)]);
    assert_eq!(at(&bench), Wall(100));
    bench.wait(1_500);
    bench.say_aways([away(3, 4, 101), away(3, 4, 102)]);
    assert_eq!(at(&bench), Wall(101), "one more a second");
}

#[test]
fn what_a_node_has_said_that_is_shut_out_counts_no_longer() {
    let mut bench = bench();
    bench.say_aways([away(3, 4, 1)]);
    assert!(bench.is_said(4));
    let by = (NodeId([9; 16]), AUTHORITY);
    let sign = |said: &[u8]| sign_as_authority(Domain::Revocation, said);
    let revoked = Revocation::write(by, NodeId([3; 16]), &Told::default(), sign).unwrap();
    bench.greet(2, 1);
    bench.say(Message::Revocations(vec![
        revoked.relayed().bytes().clone(),
    ]));
    assert_eq!(bench.state(4), MemberState::Down);
    bench.say_aways([away(3, 4, 1)]);
    assert!(!bench.is_said(4));
    assert_eq!(bench.machine.roster.aways_hash(), 0);
}

#[test]
fn who_has_something_else_is_told_and_asked() {
    let mut bench = bench();
    let hash = |bench: &Bench| bench.machine.roster.aways_hash();
    let quiet = |bench: &Bench| {
        let sent = bench
            .sent
            .iter()
            .filter_map(|bytes| Message::read(bytes).ok());
        !sent
            .into_iter()
            .any(|message| matches!(message, Message::AwaysHash(_)))
    };
    bench.wait(3_000);
    assert!(quiet(&bench), "nobody was declared away");
    bench.say_aways([away(3, 4, 1)]);
    bench.wait(3_000);
    assert!(!quiet(&bench));
    bench.sent.clear();
    bench.say(Message::AwaysHash(hash(&bench)));
    assert!(bench.sent.is_empty());
    bench.say(Message::AwaysHash(1));
    let (aways, answer) = (vec![away(3, 4, 1)], true);
    assert_eq!(bench.sent, [Message::Aways { aways, answer }.bytes()]);
}
