//! How much a peer can have a node judge at once.

use super::super::judging::{Brought, JUDGED, Waiting};
use super::super::message::Message;
use super::super::swim::{Identity, Member};
use super::{Bench, address, lied_to_bench, signed_line};
use crate::wire::{ConnId, Protocol};
use bytes::Bytes;
use crdt::roster::Standing;
use names::NodeId;

fn bench() -> Bench {
    lied_to_bench(Protocol::PROVED)
}

fn line(node: u8, serial: u64) -> Bytes {
    signed_line(node, (3, serial), node, Standing::Member)
}

/// The serial of a node's latest line.
fn serial(bench: &Bench, node: u8) -> Option<u64> {
    let line = bench.machine.roster.own_line(NodeId([node; 16]))?;
    Some(line.relayed().rank().serial)
}

#[test]
fn what_comes_at_once_is_judged_in_steps_and_in_order() {
    let mut bench = bench();
    let known = std::iter::repeat_n(line(4, 1), 2 * JUDGED);
    bench.say_lines(known.chain([line(5, 1)]));
    let member = Identity::of_run(NodeId([5; 16]), address(5), 3);
    bench.say(Message::Members(vec![Member::alive(member)]));
    assert_eq!((serial(&bench, 4), serial(&bench, 5)), (Some(1), None));
    bench.wait(1);
    assert_eq!(serial(&bench, 5), None);
    bench.wait(1);
    assert_eq!(serial(&bench, 5), Some(1));
    assert!(
        bench.machine.swim.is_active(member.node),
        "its line came first"
    );
}

#[test]
fn each_connection_has_its_turn() {
    let mut waiting = Waiting::default();
    let conns = u64::try_from(2 * JUDGED).unwrap();
    let all = (1..=conns).map(ConnId);
    let fill = |waiting: &mut Waiting| {
        all.clone()
            .for_each(|conn| waiting.put(conn, Brought::Line(Bytes::from_static(b"x"))));
    };
    fill(&mut waiting);
    let first = waiting.take();
    // The early ones bring more before the late ones had their turn.
    fill(&mut waiting);
    let second = waiting.take();
    assert_eq!((first.len(), second.len()), (JUDGED, JUDGED));
    let served = first.iter().chain(&second).map(|(conn, _)| *conn);
    assert!(served.eq(all));
}

#[test]
fn one_connection_has_no_more_than_its_share_of_the_memory() {
    let mut waiting = Waiting::default();
    let mebibyte = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..10 {
        waiting.put(ConnId(1), Brought::Line(mebibyte.clone()));
    }
    waiting.put(ConnId(2), Brought::Line(mebibyte));
    let taken = waiting.take();
    let of = |conn| taken.iter().filter(|(of, _)| *of == ConnId(conn)).count();
    assert_eq!((of(1), of(2)), (4, 1));
}

#[test]
fn a_node_that_changes_its_line_all_the_time_is_heard_at_a_bounded_pace() {
    let mut bench = bench();
    let at_once = 10;
    for serial in 1..=3 * at_once {
        bench.say_lines([line(4, serial)]);
    }
    assert_eq!(serial(&bench, 4), Some(at_once));
    // Somebody else's line is heard all the same.
    bench.say_lines([line(5, 7)]);
    assert_eq!(serial(&bench, 5), Some(7));
    // What was passed over comes again, as the hashes differ, and the latest is taken.
    bench.wait(1_000);
    bench.say_lines([line(4, 3 * at_once)]);
    assert_eq!(serial(&bench, 4), Some(3 * at_once));
    bench.say_lines([line(4, 3 * at_once + 1)]);
    assert_eq!(serial(&bench, 4), Some(3 * at_once));
    // After a pause it may do so again.
    for _ in 0..4 {
        bench.wait(5_000);
        bench.say_lines([line(5, 7)]);
    }
    for serial in 4 * at_once..6 * at_once {
        bench.say_lines([line(4, serial)]);
    }
    assert_eq!(serial(&bench, 4), Some(5 * at_once - 1));
}
