//! Links of 1,500 ms that lose one packet in twenty: what is asked over them is answered, and nobody
//! gives up before an answer can have come.

use crate::programs::name;
use crate::script::Script;
use crdt::registry::Reason;
use node::cluster::{JoinResult, MemberChange, MemberState, Reply, StopReason, ask};
use node::registry::{LinkTarget, Signal, ask::Link as LinkTo};
use sim::network::Link;
use std::time::Duration;

const ROUND_TRIP_MS: u64 = 1_500;
/// How long a node may take to join.
const JOINED_MS: u64 = 3_000 + 10 * ROUND_TRIP_MS;
const SEEDS: u64 = 20;

impl Script {
    /// The links of these hosts to all others are slow and lose packets.
    fn slow_links_of(&mut self, far: &[usize]) {
        let link = Link {
            loss: 0.05,
            jitter: Duration::from_millis(ROUND_TRIP_MS / 50),
            ..Link::of_round_trip(Duration::from_millis(ROUND_TRIP_MS))
        };
        for host in far {
            for other in (0..self.hosts.len()).filter(|other| other != host) {
                self.network.links.set(*host, other, link);
            }
        }
    }
}

/// Hosts that see each other and have been quiet for a while; the last one is far.
fn cluster(seed: u64, hosts: usize) -> Script {
    let mut world = Script::with_hosts(seed, 0.0, hosts);
    world.slow_links_of(&[hosts - 1]);
    (0..hosts).for_each(|host| world.start(host, &[0]));
    world.run_until(JOINED_MS, "all see all", |world| world.is_whole(hosts));
    world.run_ms(30_000);
    world
}

#[test]
fn a_join_that_was_asked_for_is_answered() {
    for seed in 0..SEEDS {
        let mut world = Script::with_hosts(seed, 0.0, 2);
        world.slow_links_of(&[1]);
        (0..2).for_each(|host| world.start(host, &[]));
        world.run_ms(1_000);
        let addresses = vec![world.hosts[1].address.to_string()];
        let within = Duration::from_secs(60);
        let request = world.request(0, ask::Join { addresses, within });
        world.run_until(JOINED_MS, "an answer", |world| {
            world.reply(request).is_some()
        });
        let Some(Ok(Reply::Joined(outcomes))) = world.reply(request) else {
            panic!("{:?}", world.reply(request))
        };
        assert_eq!(
            outcomes[0].result,
            JoinResult::Joined,
            "seed {seed}: {outcomes:?}"
        );
    }
}

#[test]
fn a_copy_of_a_far_node_does_not_take_its_place() {
    for seed in 0..SEEDS {
        let mut world = cluster(seed, 3);
        let copy = world.host("node3", 3);
        world.copy_disk(2, copy);
        world.start(copy, &[0]);
        world.run_until(30_000, "the copy stops", |world| {
            world.hosts[copy].stopped.is_some()
        });
        let stopped = &world.hosts[copy].stopped;
        assert!(matches!(stopped, Some(StopReason::Clone(_))), "{stopped:?}");
        assert!(world.is_running(2) && world.all_say(&[0, 1], 2, MemberState::Alive));
    }
}

#[test]
fn who_leaves_is_not_taken_for_dead() {
    for seed in 0..SEEDS {
        let mut world = cluster(seed, 3);
        world.request(2, ask::Leave);
        world.run_until(10_000, "they know", |world| {
            world.all_say(&[0, 1], 2, MemberState::Left)
        });
        assert_eq!(world.count(MemberChange::Down, 2), 0, "seed {seed}");
    }
}

#[test]
fn who_will_be_back_is_not_taken_for_dead() {
    for seed in 0..SEEDS {
        let mut world = cluster(seed, 3);
        world.request(2, ask::Shutdown);
        world.run_until(10_000, "they know", |world| {
            world.all_say(&[0, 1], 2, MemberState::Restarting)
        });
        assert_eq!(world.count(MemberChange::Down, 2), 0, "seed {seed}");
    }
}

fn to_boss() -> LinkTo {
    LinkTo {
        name: name("worker"),
        other: LinkTarget::Name(name("boss")),
        unreachable: true,
        uid: 1000,
    }
}

#[test]
fn a_link_to_a_far_process_fires_when_that_ends() {
    for seed in 0..SEEDS {
        let mut world = cluster(seed, 3);
        let (worker, boss) = (world.register(0, "worker"), world.register(2, "boss"));
        world.run_until(10_000, "the name is known", |world| {
            world.holder(0, "boss").is_some()
        });
        assert_eq!(world.asked(0, to_boss()), Ok(()));
        world.run_ms(60_000);
        assert_eq!(world.signals(), [], "seed {seed}");
        world.end(2, boss, Reason::Exited);
        world.run_until(10_000, "the link fires", |world| {
            !world.signals().is_empty()
        });
        assert_eq!(world.signals(), [(worker, Signal::Term)]);
    }
}

/// Nobody else is there who could say that the other lives.
#[test]
fn a_link_does_not_fire_while_its_node_looks_for_the_far_one_again() {
    for seed in 0..SEEDS {
        let mut world = cluster(seed, 2);
        world.register(0, "worker");
        world.register(1, "boss");
        world.run_until(10_000, "the name is known", |world| {
            world.holder(0, "boss").is_some()
        });
        assert_eq!(world.asked(0, to_boss()), Ok(()));
        world.run_ms(5_000);
        world.kill(0);
        world.run_ms(60_000);
        world.start(0, &[]);
        world.run_until(JOINED_MS, "all see all", |world| world.is_whole(2));
        world.run_ms(30_000);
        assert_eq!(world.signals(), [], "seed {seed}");
    }
}
