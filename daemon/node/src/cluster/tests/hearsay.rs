//! What a member that speaks protocol 1 may say of others without ending them, speaking for them or starving them.

use super::super::message::Message;
use super::super::swim::{Identity, Member, State};
use super::super::{Phase, Timer};
use super::arbitrary::Act;
use super::{Bench, address, lied_to_bench, profile};
use crate::belief::MAX_RUN;
use crate::machine::Machine;
use crate::wire::Protocol;
use crdt::roster::{RosterEntry, Standing};
use names::NodeId;
use std::time::Duration;

impl Bench {
    pub(super) fn say_line(&mut self, n: u8, run: u64, standing: Standing) {
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
        let mut bench = lied_to_bench(Protocol::UNPROVED);
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
    let mut bench = lied_to_bench(Protocol::UNPROVED);
    bench.say(Message::Above { run: 1_000 });
    assert_eq!(
        bench.machine.keeper.wanted(),
        1_001,
        "as after a restored backup"
    );
    let mut bench = lied_to_bench(Protocol::UNPROVED);
    bench.say(Message::Above { run: far_from(1) });
    bench.say(Message::Above { run: 5 });
    assert_eq!(bench.machine.keeper.wanted(), 1);
}

fn far_from(run: u64) -> u64 {
    run + 1_001
}

#[test]
fn what_is_said_of_a_node_counts_as_far_as_it_may_have_come() {
    let mut bench = lied_to_bench(Protocol::UNPROVED);
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
    let mut bench = lied_to_bench(Protocol::UNPROVED);
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
    let mut bench = lied_to_bench(Protocol::UNPROVED);
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
        let mut bench = lied_to_bench(Protocol::UNPROVED);
        bench.say_line(2, 1, standing);
        assert_eq!(bench.line(2), Some((1, Standing::Member)));
        bench.say_line(3, 1, standing);
        assert_eq!(bench.line(3), Some((1, standing)));
    }
}

/// Node3 says that node2 is down and has left; node2 answers or does not, when it is asked. Whether
/// it is active, and its standing, when its time to answer is over.
fn accused(order: [fn(&mut Bench); 2], answers: bool) -> (bool, Option<(u64, Standing)>) {
    let mut bench = lied_to_bench(Protocol::UNPROVED);
    for lie in order {
        lie(&mut bench);
    }
    bench.wait(100);
    if answers {
        bench.act(Act::Say(1, Message::Present));
    }
    bench.wait(5_000);
    for lie in order {
        lie(&mut bench);
    }
    (bench.machine.swim.is_active(NodeId([2; 16])), bench.line(2))
}

fn say_down(bench: &mut Bench) {
    let node2 = Identity::of_run(NodeId([2; 16]), address(2), 1);
    bench.say(Message::Members(vec![Member::down(node2)]));
}

fn say_left(bench: &mut Bench) {
    bench.say_line(2, 1, Standing::Left);
}

#[test]
fn a_connected_node_that_is_said_to_be_gone_is_there_if_it_answers() {
    let orders: [[fn(&mut Bench); 2]; 2] = [[say_down, say_left], [say_left, say_down]];
    for order in orders {
        assert_eq!(accused(order, true), (true, Some((1, Standing::Member))));
        assert_eq!(accused(order, false), (false, Some((1, Standing::Left))));
    }
}

#[test]
fn who_is_said_to_be_down_is_asked_unless_that_is_old_news() {
    let mut bench = lied_to_bench(Protocol::UNPROVED);
    bench.greet(2, 2);
    bench.greet(3, 1);
    let mut accused = |run| {
        let node2 = Identity::of_run(NodeId([2; 16]), address(2), run);
        bench.say(Message::Members(vec![Member::down(node2)]));
        !bench.machine.accused.is_empty()
    };
    assert!(!accused(1) && accused(2));
}

#[test]
fn an_address_is_dialled_once_a_second_whoever_is_said_to_be_there() {
    let mut bench = lied_to_bench(Protocol::UNPROVED);
    let before = bench.machine.stats().dials;
    let crowd = (0..200_u8).map(|n| Identity::of_run(NodeId([n.max(10); 16]), address(9), 1));
    bench.say(Message::Members(crowd.map(Member::alive).collect()));
    assert_eq!(bench.machine.stats().dials, before + 1);
}

#[test]
fn farewells_have_one_timer_a_node() {
    let mut bench = lied_to_bench(Protocol::UNPROVED);
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
