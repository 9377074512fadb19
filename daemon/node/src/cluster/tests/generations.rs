//! Who says in which generation a node is, and that it lives.

use super::super::message::Message;
use super::super::swim::{Identity, Member, State};
use super::arbitrary::Act;
use super::{Bench, Output, address, lied_to_bench};
use crate::machine::Machine;
use crate::wire::{ConnId, Protocol};
use names::NodeId;

const NODE2: NodeId = NodeId([2; 16]);

/// The generation of node2 after so many renewals.
fn node2(renewals: u64) -> Identity {
    let first = Identity::of_run(NODE2, address(2), 1);
    Identity {
        generation: first.generation + renewals,
        ..first
    }
}

/// How much is sent to node2, whose connection is the first, in packets.
fn packets_to_node2(bench: &mut Bench) -> usize {
    let mut packets = 0;
    while let Some(output) = bench.machine.poll_output() {
        let is_packet = matches!(
            output,
            Output::Datagram {
                conn: ConnId(1),
                ..
            }
        );
        packets += usize::from(is_packet);
    }
    packets
}

#[test]
fn a_connected_node_has_the_generation_that_it_tells_itself() {
    for protocol in [Protocol::UNPROVED, Protocol::PROVED] {
        let mut bench = lied_to_bench(protocol);
        for state in [State::Alive, State::Suspect, State::Down] {
            let elsewhere = Identity {
                addr: address(9),
                ..node2(0)
            };
            for lie in [node2(1), node2(999), elsewhere] {
                bench.say(Message::Members(vec![Member::new(lie, 0, state)]));
                let seen = bench.machine.swim.seen(NODE2).unwrap();
                assert_eq!((seen.identity, seen.is_active()), (node2(0), true));
            }
        }
    }
}

#[test]
fn of_a_generation_to_come_a_node_says_nothing_itself() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    let down = Message::Members(vec![Member::new(node2(1), 0, State::Down)]);
    // The first connection is that of node2.
    bench.act(Act::Say(1, down));
    let seen = bench.machine.swim.seen(NODE2).unwrap();
    assert_eq!((seen.identity, seen.is_active()), (node2(0), true));
}

#[test]
fn a_connected_node_is_asked_at_most_once_a_second_whether_it_is_in_a_later_generation() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    packets_to_node2(&mut bench);
    let asked = |bench: &mut Bench| {
        let now = bench.now;
        let bytes = Message::Members(vec![Member::alive(node2(1))]).bytes();
        for _ in 0..50 {
            let (conn, bytes) = (ConnId(bench.conns), bytes.clone());
            bench
                .machine
                .handle(now, super::Input::Message { conn, bytes });
        }
        packets_to_node2(bench)
    };
    assert_eq!(asked(&mut bench), 1);
    bench.wait(1_000);
    packets_to_node2(&mut bench);
    assert_eq!(asked(&mut bench), 1);
}

#[test]
fn others_clear_a_node_that_says_nothing_of_a_few_suspicions_only() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    let mut cleared = Vec::new();
    for incarnation in 0..5 {
        let suspicion = Member::new(node2(0), 2 * incarnation, State::Suspect);
        let machine = &mut bench.machine;
        machine
            .swim
            .apply(&mut machine.edge, vec![suspicion], false);
        let refuted = Member::new(node2(0), 2 * incarnation + 1, State::Alive);
        bench.say(Message::Members(vec![refuted]));
        let seen = bench.machine.swim.seen(NODE2).unwrap();
        cleared.push(seen.state == State::Alive);
    }
    assert_eq!(cleared, [true, true, true, false, false]);
}

#[test]
fn a_dead_node_is_known_to_be_dead_although_another_one_goes_on_saying_that_it_lives() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    bench.act(Act::Close(1));
    bench.say(Message::Members(vec![Member::down(node2(0))]));
    assert!(!bench.machine.swim.is_active(NODE2));
    let mut alive = 0;
    for tenth in 0..9_000 {
        if tenth % 10 == 0 {
            let n = 1 + tenth / 10;
            let refuting = Member::new(node2(n), 7, State::Alive);
            bench.say(Message::Members(vec![Member::alive(node2(n)), refuting]));
        }
        // Node3 answers, so that the machine goes on probing.
        bench.say(Message::Present);
        bench.wait(100);
        alive += u32::from(bench.machine.swim.is_active(NODE2));
    }
    // Each time it takes this machine, which has never measured how far node2 is, some seconds.
    assert!((1..2_000).contains(&alive), "for {alive} tenths of 900 s");
}
