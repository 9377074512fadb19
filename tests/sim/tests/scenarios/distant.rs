//! Links that are slow and lose packets: members on them are as well as others.

use crate::script::Script;
use node::cluster::{MemberChange, MemberState};
use sim::network::Link;
use std::time::Duration;

/// What the links of a world are like.
#[derive(Clone, Copy)]
enum Shape {
    /// Each host is far from each other one.
    AllFar,
    /// The last host alone is far from the others.
    OneFar,
}

const HOSTS: usize = 5;
const FAR: usize = HOSTS - 1;
/// All round trips that are tried, in milliseconds.
const ROUND_TRIPS: [u64; 4] = [60, 300, 640, 1_500];

fn all() -> Vec<usize> {
    (0..HOSTS).collect()
}

/// Hosts that are not running, on such links.
fn hosts(seed: u64, shape: Shape, round_trip_ms: u64, loss: f64) -> Script {
    let mut world = Script::with_hosts(seed, 0.0, HOSTS);
    let link = Link {
        loss,
        jitter: Duration::from_millis(round_trip_ms / 50),
        ..Link::of_round_trip(Duration::from_millis(round_trip_ms))
    };
    for a in 0..HOSTS {
        for b in 0..a {
            if matches!(shape, Shape::AllFar) || a == FAR {
                world.network.links.set(a, b, link);
            }
        }
    }
    world
}

/// The same hosts, which have found each other and have been quiet for a while.
fn cluster(seed: u64, shape: Shape, round_trip_ms: u64, loss: f64) -> Script {
    let mut world = hosts(seed, shape, round_trip_ms, loss);
    (0..HOSTS).for_each(|host| world.start(host, &[0]));
    let limit_ms = 3_000 + 10 * round_trip_ms;
    world.run_until(limit_ms, "all see all", |world| world.is_whole(HOSTS));
    world.run_ms(20_000);
    world
}

fn suspicions(world: &Script) -> usize {
    let of = |host: usize| {
        world.count(MemberChange::Suspect, host) + world.count(MemberChange::Down, host)
    };
    (0..HOSTS).map(of).sum()
}

#[test]
fn nobody_is_suspected_while_nothing_is_lost() {
    for shape in [Shape::AllFar, Shape::OneFar] {
        for round_trip_ms in ROUND_TRIPS {
            let mut world = cluster(1, shape, round_trip_ms, 0.0);
            world.run_ms(300_000);
            assert_eq!(suspicions(&world), 0, "{round_trip_ms} ms");
        }
    }
}

#[test]
fn links_that_lose_packets_stay_quiet() {
    for shape in [Shape::AllFar, Shape::OneFar] {
        for round_trip_ms in ROUND_TRIPS {
            for seed in 0..3 {
                let mut world = cluster(seed, shape, round_trip_ms, 0.05);
                let before = suspicions(&world);
                world.run_ms(300_000);
                assert_eq!(
                    suspicions(&world),
                    before,
                    "{round_trip_ms} ms, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn a_crash_is_known_as_soon_as_the_links_allow() {
    for shape in [Shape::AllFar, Shape::OneFar] {
        for round_trip_ms in ROUND_TRIPS {
            for (seed, victim) in (0..10).flat_map(|seed| [(seed, 1), (seed, FAR)]) {
                let mut world = cluster(seed, shape, round_trip_ms, 0.05);
                world.kill(victim);
                let near = matches!(shape, Shape::OneFar) && victim != FAR;
                if near {
                    let near = [0, 2, 3];
                    world.run_until(3_000, "those near it know", |world| {
                        world.all_say(&near, victim, MemberState::Down)
                    });
                }
                world.run_until(3_000 + 6 * round_trip_ms, "all know", |world| {
                    world.all_say(&all(), victim, MemberState::Down)
                });
            }
        }
    }
}
