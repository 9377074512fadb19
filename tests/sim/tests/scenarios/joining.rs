//! Finding each other.

use crate::script::Script;
use node::cluster::{JoinResult, MemberChange, Reply, Verdict, ask};
use std::time::Duration;

#[test]
fn three_nodes_find_each_other_from_one_seed() {
    for seed in 0..20 {
        let mut world = Script::with_hosts(seed, 0.05, 3);
        (0..3).for_each(|host| world.start(host, &[0]));
        world.run_until(3_000, "all see all", |world| world.is_whole(3));
    }
}

#[test]
fn a_seed_that_starts_last_is_found() {
    let mut world = Script::with_hosts(1, 0.0, 5);
    (1..5).for_each(|host| world.start(host, &[0]));
    world.run_ms(10_000);
    world.start(0, &[]);
    world.run_until(4_000, "all see all", |world| world.is_whole(5));
}

#[test]
fn seeds_in_a_row_make_no_islands() {
    for seed in 0..10 {
        let mut world = Script::with_hosts(seed, 0.05, 6);
        for host in 0..6 {
            world.start(host, &[host, (host + 1) % 6]);
        }
        world.run_until(5_000, "all see all", |world| world.is_whole(6));
    }
}

#[test]
fn its_own_address_among_the_seeds_is_dropped() {
    let mut world = Script::with_hosts(1, 0.0, 1);
    world.start(0, &[0]);
    world.run_ms(30_000);
    assert_eq!(
        (
            world.verdict(0),
            world.stats(0).dials,
            world.stats(0).connections
        ),
        (Verdict::Whole, 1, 0)
    );
}

#[test]
fn a_cluster_that_was_down_as_a_whole_comes_back_without_seeds() {
    for seed in 0..5 {
        let mut world = Script::cluster(seed, 0.02, 5);
        (0..5).for_each(|host| world.kill(host));
        world.run_ms(60_000);
        for host in 0..5 {
            world.start(host, &[]);
            world.run_ms(200);
        }
        world.run_until(5_000, "all see all", |world| world.is_whole(5));
        assert_eq!(
            (0..5).map(|host| world.run_of(0, host)).collect::<Vec<_>>(),
            [2; 5]
        );
        let joined = (0..5)
            .map(|host| world.count(MemberChange::Joined, host))
            .sum::<usize>();
        assert_eq!(
            joined, 20,
            "those that were known before come back rather than join"
        );
    }
}

#[test]
fn a_join_answers_for_each_address() {
    let mut world = Script::cluster(1, 0.0, 2);
    let apart = world.host("node3", 3);
    world.start(apart, &[]);
    world.run_ms(1_000);
    let addresses = [0, 1, apart].map(|host| world.hosts[host].address.to_string());
    let nobody = "10.0.0.99:6878".to_owned();
    let request = world.request(
        0,
        ask::Join {
            addresses: addresses.into_iter().chain([nobody]).collect(),
            within: Duration::from_secs(2),
        },
    );
    world.run_ms(3_000);
    let Some(Ok(Reply::Joined(outcomes))) = world.reply(request) else {
        panic!("{:?}", world.record().replies)
    };
    let results: Vec<JoinResult> = outcomes.iter().map(|outcome| outcome.result).collect();
    assert_eq!(
        results,
        [
            JoinResult::Already,
            JoinResult::Already,
            JoinResult::Joined,
            JoinResult::Unreachable
        ]
    );
    world.run_until(3_000, "all see all", |world| world.is_whole(3));
}

#[test]
fn two_nodes_end_with_one_connection_in_use() {
    let mut world = Script::cluster(2, 0.0, 5);
    world.run_ms(5_000);
    assert_eq!(
        (0..5)
            .map(|host| world.stats(host).connections)
            .collect::<Vec<_>>(),
        [4; 5]
    );
}
