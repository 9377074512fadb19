//! How soon nodes know of a death, of being cut off, and of each other after a cut.

use crate::script::Script;
use node::cluster::{MemberState, Verdict};
use sim::check::convergence;
use sim::network::Link;
use std::time::Duration;

fn link(round_trip_ms: u64) -> Link {
    Link {
        loss: if round_trip_ms > 0 { 0.05 } else { 0.0 },
        jitter: Duration::from_millis(round_trip_ms / 50),
        ..Link::of_round_trip(Duration::from_millis(round_trip_ms))
    }
}

/// Hosts that see each other and have been quiet for a while.
fn quiet(seed: u64, hosts: usize, is_far: impl Fn(usize) -> bool, round_trip_ms: u64) -> Script {
    let mut world = Script::with_hosts(seed, 0.0, hosts);
    for a in 0..hosts {
        for b in (0..a).filter(|b| is_far(a) || is_far(*b)) {
            world.network.links.set(a, b, link(round_trip_ms));
        }
    }
    (0..hosts).for_each(|host| world.start(host, &[0]));
    let limit = 3_000 + 10 * round_trip_ms;
    world.run_until(limit, "all see all", |world| world.is_whole(hosts));
    world.run_ms(20_000 + seed * 37);
    world
}

/// In a pass through so many members most of them are silent towards each other for longer than it takes
/// until a silent peer is asked whether it is there.
#[test]
fn near_nodes_know_of_a_death_among_many_however_far_another_one_is() {
    for (seed, hosts, round_trip_ms) in [(0, 50, 0), (1, 50, 0), (0, 51, 300), (0, 51, 1_500)] {
        let is_far = |host| host == 50;
        let mut world = quiet(seed, hosts, is_far, round_trip_ms);
        world.kill(1);
        let near: Vec<usize> = (0..50).collect();
        world.run_until(3_000, "those near it know", |world| {
            world.all_say(&near, 1, MemberState::Down)
        });
    }
}

#[test]
fn a_node_that_is_cut_off_knows_it_within_two_seconds_and_two_round_trips() {
    for round_trip_ms in [0, 300, 640, 1_500] {
        for seed in 0..10 {
            let mut world = quiet(seed, 5, |_| true, round_trip_ms);
            world.cut(&[0], &[1, 2, 3, 4]);
            world.run_until(2_050 + 2 * round_trip_ms, "it knows", |world| {
                world.verdict(0) == Verdict::Alone
            });
        }
    }
}

#[test]
fn after_a_cut_members_and_then_lists_are_soon_one_again() {
    const HOSTS: usize = 6;
    for round_trip_ms in [0, 300, 1_500] {
        let mut world = quiet(1, HOSTS, |_| true, round_trip_ms);
        world.cut(&[0, 1, 2], &[3, 4, 5]);
        world.run_ms(60_000);
        for change in 0..1_000 {
            let list = format!("list {}", change % 10);
            world.add(0, &list, "from here");
            world.add(HOSTS - 1, &list, "from there");
            world.run_ms(10);
        }
        world.heal();
        let limit = 10_000 + 10 * round_trip_ms;
        let took = world.run_until(limit, "all see all", |world| world.is_whole(HOSTS));
        let mut left = limit - took + 10_000;
        while let Err(differences) = convergence::check(&world) {
            left = left
                .checked_sub(250)
                .unwrap_or_else(|| panic!("{differences:?}"));
            world.run_ms(250);
        }
    }
}
