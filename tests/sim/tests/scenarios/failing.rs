//! Crashes, pauses, partitions, loss and lag.

use crate::script::Script;
use node::cluster::{EventKind, MemberChange, MemberState, Verdict};
use node::time::Instant;
use std::time::Duration;

#[test]
fn fifty_nodes_find_each_other_and_know_of_a_crash() {
    let mut world = Script::with_hosts(1, 0.02, 50);
    (0..50).for_each(|host| world.start(host, &[0, 1, 2]));
    world.run_until(5_000, "all see all", |world| world.is_whole(50));
    world.run_ms(10_000);
    assert_eq!(
        (0..50)
            .map(|host| world.stats(host).connections)
            .collect::<Vec<_>>(),
        [49; 50]
    );
    world.kill(33);
    let others: Vec<usize> = (0..50).filter(|host| *host != 33).collect();
    world.run_until(4_000, "all know", |world| {
        world.all_say(&others, 33, MemberState::Down)
    });
}

#[test]
fn a_crash_is_known_everywhere_within_three_seconds() {
    for seed in 0..20 {
        let mut world = Script::cluster(seed, 0.02, 5);
        world.kill(4);
        world.run_until(3_000, "all know", |world| {
            world.all_say(&[0, 1, 2, 3], 4, MemberState::Down)
        });
        assert_eq!(world.verdict(0), Verdict::Majority);
        let detail = world.told().rev().find_map(|told| match &told.kind {
            EventKind::Member {
                kind: MemberChange::Down,
                detail,
                ..
            } => Some(detail.clone()),
            EventKind::Member { .. } | EventKind::Partition { .. } => None,
        });
        assert!(
            detail.is_some_and(
                |detail| detail.starts_with("no answer for ") && detail.ends_with(" s")
            )
        );
    }
}

#[test]
fn a_crashed_node_that_starts_again_is_back_with_a_new_run() {
    for pause_ms in [100, 700, 3_000, 20_000] {
        let mut world = Script::cluster(3, 0.02, 5);
        world.kill(4);
        world.run_ms(pause_ms);
        world.start(4, &[0]);
        world.run_until(5_000, "it is back", |world| {
            world.is_whole(5) && (0..5).all(|host| world.run_of(host, 4) == 2)
        });
    }
}

#[test]
fn a_suspect_that_answers_is_alive_again() {
    let mut world = Script::cluster(5, 0.0, 3);
    world.pause_ms(2, 1_000);
    world.run_until(1_000, "it is suspected", |world| {
        world.state(0, 2) == Some(MemberState::Suspect)
    });
    world.run_until(2_000, "it is alive", |world| world.is_whole(3));
    assert!(world.count(MemberChange::Suspect, 2) > 0 && world.count(MemberChange::Alive, 2) > 0);
    assert_eq!(world.count(MemberChange::Down, 2), 0);
}

#[test]
fn a_pause_costs_only_the_paused_node() {
    for seed in 0..10 {
        let mut world = Script::cluster(seed, 0.02, 5);
        world.pause_ms(2, 20_000);
        world.run_until(3_000, "it is down", |world| {
            world.all_say(&[0, 1, 3, 4], 2, MemberState::Down)
        });
        world.run_ms(17_000);
        world.run_until(5_000, "it is back", |world| world.is_whole(5));
        for other in [0, 1, 3, 4] {
            assert_eq!(world.count(MemberChange::Down, other), 0, "seed {seed}");
        }
    }
}

#[test]
fn two_sides_know_their_share_and_heal() {
    for seed in 0..20 {
        let mut world = Script::cluster(seed, 0.02, 5);
        world.cut(&[0, 1], &[2, 3, 4]);
        let is_split = |world: &Script| {
            world.verdict(0) == Verdict::Minority && world.verdict(4) == Verdict::Majority
        };
        // The smaller side's own probes mostly fail, so it doubts itself first and accuses late.
        world.run_until(9_000, "both sides know", is_split);
        world.run_ms(if seed % 2 == 0 { 5_000 } else { 60_000 });
        world.heal();
        world.run_until(5_000, "healed", |world| world.is_whole(5));
        let partitions = world
            .told()
            .filter(|told| matches!(told.kind, EventKind::Partition { .. }));
        assert!(partitions.count() >= 10);
    }
}

#[test]
fn a_node_cut_off_from_all_knows_it_in_two_seconds() {
    for seed in 0..5 {
        let mut world = Script::cluster(seed, 0.0, 12);
        world.cut(&[7], &[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]);
        world.run_until(2_300, "it is alone", |world| {
            world.verdict(7) == Verdict::Alone
        });
        world.run_ms(30_000);
        world.heal();
        world.run_until(5_000, "healed", |world| world.is_whole(12));
    }
}

#[test]
fn nodes_that_all_lost_each_other_find_back() {
    let mut world = Script::cluster(4, 0.0, 3);
    world.cut(&[0], &[1, 2]);
    world.cut(&[1], &[2]);
    world.run_ms(120_000);
    (0..3).for_each(|host| assert_eq!(world.verdict(host), Verdict::Alone));
    world.heal();
    world.run_until(5_000, "healed", |world| world.is_whole(3));
}

#[test]
fn a_node_that_hears_everything_late_doubts_itself_first() {
    let mut world = Script::cluster(7, 0.01, 5);
    world.network.laggard = Some(0);
    world
        .watch
        .trouble(Instant::default() + Duration::from_secs(3_600));
    world.run_ms(5 * 60_000);
    let accused: usize = (1..5)
        .map(|host| world.count(MemberChange::Down, host))
        .sum();
    assert!(accused <= 2, "{accused}");
}
