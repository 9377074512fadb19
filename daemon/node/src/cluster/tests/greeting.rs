//! Hellos of a node that has started anew.

use super::arbitrary::Act;
use super::{Bench, ConnId, greeted_bench, signed_line};
use crate::cluster::message::Message;
use crate::wire::Protocol;
use crdt::roster::Standing;

/// Node2 connects from its second start, and says so.
fn greet_anew(bench: &mut Bench) {
    bench.act(Act::Connect(2));
    bench.say(Message::Greeting {
        generation: 2 << 32,
        nonce: [9; 16],
        line: signed_line(2, (2, 1), 9, Standing::Member),
    });
}

fn is_anew(bench: &Bench, conn: u64) -> bool {
    let connection = bench.machine.connections.get(ConnId(conn));
    connection.is_some_and(|connection| connection.accepted)
}

/// A newcomer may be replaced before the dead start's time is over, as by a dial of its own.
#[test]
fn newcomers_that_replace_each_other_wait_no_longer_than_one() {
    let mut bench = greeted_bench(Protocol::PROVED);
    bench.wait(100);
    for _ in 0..6 {
        greet_anew(&mut bench);
        bench.wait(900);
        if is_anew(&bench, bench.conns) {
            break;
        }
        bench.act(Act::Close(0));
        bench.wait(100);
    }
    assert!(is_anew(&bench, bench.conns));
    assert!(bench.machine.connections.get(ConnId(1)).is_none());
}

/// The challenge that one newcomer has brought about is answered for all that came meanwhile.
#[test]
fn a_start_that_lives_answers_for_all_newcomers() {
    let mut bench = greeted_bench(Protocol::PROVED);
    bench.wait(100);
    greet_anew(&mut bench);
    greet_anew(&mut bench);
    bench.sent.clear();
    bench.act(Act::Say(bench.conns - 1, Message::Present));
    let is_taken =
        |bytes: &&bytes::Bytes| matches!(Message::read(bytes), Ok(Message::Taken { .. }));
    assert_eq!(bench.sent.iter().filter(is_taken).count(), 2);
    bench.wait(6_000);
    assert!(is_anew(&bench, 1));
}

/// A node on a far link that was silent before its new start came is waited for half as long.
#[test]
fn the_silence_before_a_challenge_counts() {
    let mut bench = greeted_bench(Protocol::PROVED);
    let far = std::time::Duration::from_secs(5);
    let node = names::NodeId([2; 16]);
    let dials = &mut bench.machine.connections.dials;
    dials.note_round_trip(node, far);
    bench.wait(100);
    let limit = bench.machine.answer_limit(node);
    assert!(limit > far * 2, "{limit:?}");
    bench.wait(20_000);
    greet_anew(&mut bench);
    let limit_ms = u64::try_from(limit.as_millis()).unwrap();
    bench.wait(limit_ms / 2 - 1_000);
    assert!(!is_anew(&bench, bench.conns));
    bench.wait(2_000);
    assert!(is_anew(&bench, bench.conns));
}
