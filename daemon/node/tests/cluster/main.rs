//! Cluster machines among themselves, in virtual time.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's world is to stop at what is not so")]

mod world;

use node::cluster::{Command, EventKind, Input, JoinResult, MemberState, Refusal, Reply, StopReason, Verdict};
use world::World;

#[test]
fn fifty_nodes_find_each_other_and_know_of_a_crash() {
    let mut world = World::with_hosts(1, 0.02, 50);
    (0..50).for_each(|host| world.start(host, &[0, 1, 2]));
    world.run_until(5_000, "all see all", |world| world.is_whole(50));
    world.run_ms(10_000);
    assert_eq!((0..50).map(|host| world.stats(host).connections).collect::<Vec<_>>(), [49; 50]);
    world.kill(33);
    let others: Vec<usize> = (0..50).filter(|host| *host != 33).collect();
    world.run_until(4_000, "all know", |world| world.all_say(&others, 33, MemberState::Down));
}

/// One thing goes wrong, or right again.
fn disturb(world: &mut World, count: usize) {
    let host = world.draw(count);
    match world.draw(8) {
        0 | 1 if world.is_running(host) => world.kill(host),
        2 if world.is_running(host) => world.pause(host),
        3 if world.is_running(host) => drop(world.request(host, Command::Shutdown)),
        4 => {
            let side: Vec<usize> = (0..count).filter(|other| (host + other).is_multiple_of(3)).collect();
            let rest: Vec<usize> = (0..count).filter(|other| !side.contains(other)).collect();
            world.cut(&side, &rest);
        }
        5 => world.heal(),
        6 => (0..count).for_each(|host| world.resume(host)),
        _ if !world.is_running(host) => world.start(host, &[0]),
        _ => {}
    }
}

#[test]
fn whatever_happened_a_healed_world_is_whole() {
    for seed in 0..40 {
        let mut world = World::cluster(seed, 0.02, 5);
        for _ in 0..40 {
            disturb(&mut world, 5);
            let pause = 100 + world.draw(3_000) as u64;
            world.run_ms(pause);
        }
        world.heal();
        (0..5).for_each(|host| world.resume(host));
        world.run_ms(300);
        for host in (0..5).filter(|host| !world.is_running(*host)).collect::<Vec<_>>() {
            world.start(host, &[]);
        }
        world.run_until(12_000, &format!("all see all, seed {seed}"), |world| world.is_whole(5));
        world.run_ms(30_000);
        assert!(world.is_whole(5), "and it stays so");
        assert!(world.hosts.iter().all(|host| !matches!(host.stopped, Some(StopReason::Clone(_) | StopReason::NameTaken(_)))));
    }
}

#[test]
fn three_nodes_find_each_other_from_one_seed() {
    for seed in 0..20 {
        let mut world = World::with_hosts(seed, 0.05, 3);
        (0..3).for_each(|host| world.start(host, &[0]));
        world.run_until(3_000, "all see all", |world| world.is_whole(3));
    }
}

#[test]
fn a_seed_that_starts_last_is_found() {
    let mut world = World::with_hosts(1, 0.0, 5);
    (1..5).for_each(|host| world.start(host, &[0]));
    world.run_ms(10_000);
    world.start(0, &[]);
    world.run_until(4_000, "all see all", |world| world.is_whole(5));
}

#[test]
fn seeds_in_a_row_make_no_islands() {
    for seed in 0..10 {
        let mut world = World::with_hosts(seed, 0.05, 6);
        for host in 0..6 {
            world.start(host, &[host, (host + 1) % 6]);
        }
        world.run_until(5_000, "all see all", |world| world.is_whole(6));
    }
}

#[test]
fn its_own_address_among_the_seeds_is_dropped() {
    let mut world = World::with_hosts(1, 0.0, 1);
    world.start(0, &[0]);
    world.run_ms(30_000);
    assert_eq!((world.verdict(0), world.stats(0).dials, world.stats(0).connections), (Verdict::Whole, 1, 0));
}

#[test]
fn a_crash_is_known_everywhere_within_three_seconds() {
    for seed in 0..20 {
        let mut world = World::cluster(seed, 0.02, 5);
        world.kill(4);
        world.run_until(3_000, "all know", |world| world.all_say(&[0, 1, 2, 3], 4, MemberState::Down));
        assert_eq!(world.verdict(0), Verdict::Majority);
        let detail = world.told.iter().rev().find_map(|told| match &told.kind {
            EventKind::Member { kind: "down", detail, .. } => Some(detail.clone()),
            EventKind::Member { .. } | EventKind::Partition { .. } => None,
        });
        assert!(detail.is_some_and(|detail| detail.starts_with("no answer for ") && detail.ends_with(" s")));
    }
}

#[test]
fn a_crashed_node_that_starts_again_is_back_with_a_new_run() {
    for pause_ms in [100, 700, 3_000, 20_000] {
        let mut world = World::cluster(3, 0.02, 5);
        world.kill(4);
        world.run_ms(pause_ms);
        world.start(4, &[0]);
        world.run_until(5_000, "it is back", |world| world.is_whole(5) && (0..5).all(|host| world.run_of(host, 4) == 2));
    }
}

#[test]
fn a_suspect_that_answers_is_alive_again() {
    let mut world = World::cluster(5, 0.0, 3);
    world.pause(2);
    world.run_until(2_000, "it is suspected", |world| world.state(0, 2) == Some(MemberState::Suspect));
    world.resume(2);
    world.run_until(2_000, "it is alive", |world| world.is_whole(3));
    assert!(world.count("suspect", 2) > 0 && world.count("alive", 2) > 0);
    assert_eq!(world.count("down", 2), 0);
}

#[test]
fn a_pause_costs_only_the_paused_node() {
    for seed in 0..10 {
        let mut world = World::cluster(seed, 0.02, 5);
        world.pause(2);
        world.run_until(3_000, "it is down", |world| world.all_say(&[0, 1, 3, 4], 2, MemberState::Down));
        world.run_ms(17_000);
        world.resume(2);
        world.run_until(5_000, "it is back", |world| world.is_whole(5));
        for other in [0, 1, 3, 4] {
            assert_eq!(world.count("down", other), 0, "seed {seed}");
        }
    }
}

#[test]
fn two_sides_know_their_share_and_heal() {
    for seed in 0..20 {
        let mut world = World::cluster(seed, 0.02, 5);
        world.cut(&[0, 1], &[2, 3, 4]);
        let is_split = |world: &World| world.verdict(0) == Verdict::Minority && world.verdict(4) == Verdict::Majority;
        // The smaller side's own probes mostly fail, so it doubts itself first and accuses late.
        world.run_until(9_000, "both sides know", is_split);
        world.run_ms(if seed % 2 == 0 { 5_000 } else { 60_000 });
        world.heal();
        world.run_until(5_000, "healed", |world| world.is_whole(5));
        let partitions = world.told.iter().filter(|told| matches!(told.kind, EventKind::Partition { .. }));
        assert!(partitions.count() >= 10);
    }
}

#[test]
fn a_node_cut_off_from_all_knows_it_in_two_seconds() {
    for seed in 0..5 {
        let mut world = World::cluster(seed, 0.0, 12);
        world.cut(&[7], &[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]);
        world.run_until(2_300, "it is alone", |world| world.verdict(7) == Verdict::Alone);
        world.run_ms(30_000);
        world.heal();
        world.run_until(5_000, "healed", |world| world.is_whole(12));
    }
}

#[test]
fn nodes_that_all_lost_each_other_find_back() {
    let mut world = World::cluster(4, 0.0, 3);
    world.cut(&[0], &[1, 2]);
    world.cut(&[1], &[2]);
    world.run_ms(120_000);
    (0..3).for_each(|host| assert_eq!(world.verdict(host), Verdict::Alone));
    world.heal();
    world.run_until(5_000, "healed", |world| world.is_whole(3));
}

#[test]
fn a_cluster_that_was_down_as_a_whole_comes_back_without_seeds() {
    for seed in 0..5 {
        let mut world = World::cluster(seed, 0.02, 5);
        (0..5).for_each(|host| world.kill(host));
        world.run_ms(60_000);
        for host in 0..5 {
            world.start(host, &[]);
            world.run_ms(200);
        }
        world.run_until(5_000, "all see all", |world| world.is_whole(5));
        assert_eq!((0..5).map(|host| world.run_of(0, host)).collect::<Vec<_>>(), [2; 5]);
        let joined = (0..5).map(|host| world.count("joined", host)).sum::<usize>();
        assert_eq!(joined, 20, "those that were known before come back rather than join");
    }
}

#[test]
fn nothing_is_said_before_the_run_is_on_disk() {
    let mut world = World::with_hosts(1, 0.0, 2);
    world.start(0, &[]);
    world.hosts[1].disk_works = false;
    world.start(1, &[0]);
    world.run_ms(10_000);
    assert_eq!((world.stats(1).dials, world.state(0, 1)), (0, None));
    world.hosts[1].disk_works = true;
    world.run_until(3_000, "it joins", |world| world.is_whole(2));
}

/// A copy of a running node's data directory: `original` goes on, the copy is told.
fn assert_clone_is_refused(world: &mut World, original: usize, copy: usize, others: &[usize]) {
    world.run_until(5_000, "the copy stops", |world| world.hosts[copy].stopped.is_some());
    let Some(StopReason::Clone(sentence)) = &world.hosts[copy].stopped else { panic!("{:?}", world.hosts[copy].stopped) };
    assert!(sentence.contains(&world.hosts[original].address.to_string()), "{sentence}");
    world.run_ms(5_000);
    assert!(world.is_running(original));
    assert!(world.all_say(others, original, MemberState::Alive));
}

#[test]
fn a_copy_of_a_running_node_is_refused() {
    for seed in 0..10 {
        let mut world = World::cluster(seed, 0.02, 3);
        let copy = world.host("node3", 3);
        world.hosts[copy].disk = world.hosts[2].disk.clone();
        world.start(copy, &[0]);
        assert_clone_is_refused(&mut world, 2, copy, &[0, 1]);
    }
}

#[test]
fn of_two_copies_of_a_stopped_node_the_second_is_refused() {
    let mut world = World::cluster(1, 0.0, 3);
    world.kill(2);
    world.run_ms(20_000);
    let copy = world.host("node3", 3);
    world.hosts[copy].disk = world.hosts[2].disk.clone();
    world.start(2, &[0]);
    world.run_ms(3_000);
    world.start(copy, &[1]);
    assert_clone_is_refused(&mut world, 2, copy, &[0, 1]);
}

#[test]
fn a_copy_that_meets_only_the_original_is_refused() {
    let mut world = World::with_hosts(1, 0.0, 1);
    world.start(0, &[]);
    world.run_ms(1_000);
    let copy = world.host("node1", 1);
    world.hosts[copy].disk = world.hosts[0].disk.clone();
    world.start(copy, &[0]);
    assert_clone_is_refused(&mut world, 0, copy, &[]);
}

#[test]
fn a_restored_data_directory_goes_above_its_last_run() {
    for wait_ms in [0, 20_000] {
        let mut world = World::cluster(1, 0.02, 3);
        let backup = world.hosts[2].disk.clone();
        for _ in 0..4 {
            world.kill(2);
            world.run_ms(100);
            world.start(2, &[0]);
            world.run_ms(3_000);
        }
        assert_eq!(world.run_of(0, 2), 5);
        world.kill(2);
        world.hosts[2].disk = backup;
        world.run_ms(wait_ms);
        world.start(2, &[0, 1]);
        world.run_until(6_000, "it is back", |world| world.is_whole(3) && (0..3).all(|host| world.run_of(host, 2) == 6));
    }
}

#[test]
fn a_lost_data_directory_goes_above_its_last_run() {
    let mut world = World::cluster(1, 0.0, 3);
    world.kill(2);
    world.start(2, &[0]);
    world.run_ms(3_000);
    world.kill(2);
    world.hosts[2].disk = None;
    world.run_ms(20_000);
    world.start(2, &[0]);
    world.run_until(6_000, "it is back", |world| world.is_whole(3) && world.run_of(0, 2) == 3);
}

#[test]
fn a_node_whose_name_another_bears_is_refused() {
    let mut world = World::cluster(1, 0.0, 3);
    let newcomer = world.host("node2", 9);
    world.start(newcomer, &[0]);
    world.run_until(3_000, "it stops", |world| world.hosts[newcomer].stopped.is_some());
    let Some(StopReason::NameTaken(sentence)) = &world.hosts[newcomer].stopped else { panic!("{:?}", world.hosts[newcomer].stopped) };
    assert!(sentence.contains("node2") && sentence.contains("10.0.0.2:6878"), "{sentence}");
    world.run_ms(3_000);
    assert!(world.is_whole(3) && world.state(0, newcomer).is_none());
}

#[test]
fn a_node_that_will_be_back_is_restarting_at_once_and_down_after_its_grace() {
    let mut world = World::cluster(1, 0.0, 3);
    let request = world.request(2, Command::Shutdown);
    world.run_until(100, "they know", |world| world.all_say(&[0, 1], 2, MemberState::Restarting));
    world.run_ms(1_000);
    assert_eq!(world.replies.get(&request), Some(&Ok(Reply::Done)));
    assert_eq!(world.hosts[2].stopped, Some(StopReason::Shutdown));
    assert_eq!(world.count("down", 2), 0);
    world.run_ms(50_000);
    assert!(world.all_say(&[0, 1], 2, MemberState::Restarting));
    world.run_until(10_000, "its grace is over", |world| world.all_say(&[0, 1], 2, MemberState::Down));
    world.start(2, &[]);
    world.run_until(3_000, "it is back", |world| world.is_whole(3));
}

#[test]
fn a_quick_restart_is_never_called_down() {
    let mut world = World::cluster(1, 0.02, 5);
    for host in 0..5 {
        world.request(host, Command::Shutdown);
        world.run_ms(400);
        world.start(host, &[]);
        world.run_until(4_000, "it is back", |world| world.is_whole(5));
    }
    assert_eq!((0..5).map(|host| world.count("down", host)).sum::<usize>(), 0);
}

#[test]
fn a_node_that_left_is_not_missed_and_may_come_back() {
    let mut world = World::cluster(1, 0.02, 3);
    let request = world.request(2, Command::Leave);
    world.run_until(500, "they know", |world| world.all_say(&[0, 1], 2, MemberState::Left));
    world.run_ms(2_000);
    assert_eq!(world.replies.get(&request), Some(&Ok(Reply::Done)));
    assert_eq!((&world.hosts[2].stopped, world.verdict(0)), (&Some(StopReason::Left), Verdict::Whole));
    world.run_ms(60_000);
    assert_eq!((world.count("left", 2), world.count("down", 2)), (3, 0));
    world.start(2, &[0]);
    world.run_until(3_000, "it is back", |world| world.is_whole(3));
    assert_eq!(world.verdict(0), Verdict::Whole);
}

#[test]
fn a_node_that_is_gone_for_good_is_forgotten_everywhere() {
    let mut world = World::cluster(1, 0.02, 4);
    let early = world.request(0, Command::Forget("node4".into()));
    world.kill(3);
    world.run_ms(4_000);
    assert!(matches!(world.replies.get(&early), Some(Err(Refusal::Reachable(_)))));
    let unknown = world.request(0, Command::Forget("node9".into()));
    let request = world.request(0, Command::Forget("node4".into()));
    world
        .run_until(1_000, "all forgot", |world| (0..3).all(|host| world.state(host, 3).is_none() && world.verdict(host) == Verdict::Whole));
    assert_eq!(world.replies.get(&request), Some(&Ok(Reply::Done)));
    assert!(matches!(world.replies.get(&unknown), Some(Err(Refusal::Unknown(_)))));
    let dials = world.stats(0).dials;
    world.run_ms(60_000);
    assert_eq!((world.count("forgotten", 3), world.stats(0).dials), (3, dials), "nobody looks for it any more");
    world.start(3, &[0]);
    world.run_until(4_000, "it comes back", |world| world.is_whole(4));
}

#[test]
fn a_forgotten_node_that_was_only_cut_off_comes_back_with_a_new_run() {
    let mut world = World::cluster(1, 0.0, 4);
    world.cut(&[3], &[0, 1, 2]);
    world.run_ms(20_000);
    world.request(0, Command::Forget(format!("{:02x}", 4).repeat(16)));
    world.run_ms(5_000);
    assert_eq!(world.state(1, 3), None);
    world.heal();
    world.run_until(8_000, "it comes back", |world| world.is_whole(4));
    assert_eq!(world.run_of(0, 3), 2);
}

#[test]
fn what_cannot_be_written_is_not_forgotten() {
    let mut world = World::cluster(1, 0.0, 3);
    world.kill(2);
    world.run_ms(4_000);
    world.hosts[0].disk_works = false;
    let request = world.request(0, Command::Forget("node3".into()));
    world.run_ms(1_000);
    assert!(matches!(world.replies.get(&request), Some(Err(Refusal::Write(_)))));
    assert_eq!(world.state(0, 2), Some(MemberState::Down));
}

#[test]
fn a_join_answers_for_each_address() {
    let mut world = World::cluster(1, 0.0, 2);
    let apart = world.host("node3", 3);
    world.start(apart, &[]);
    world.run_ms(1_000);
    let addresses = [0, 1, apart].map(|host| world.hosts[host].address.to_string());
    let nobody = "10.0.0.99:6878".to_owned();
    let request = world.request(0, Command::Join(addresses.into_iter().chain([nobody]).collect()));
    world.run_ms(3_000);
    let Some(Ok(Reply::Joined(outcomes))) = world.replies.get(&request) else { panic!("{:?}", world.replies) };
    let results: Vec<JoinResult> = outcomes.iter().map(|outcome| outcome.result).collect();
    assert_eq!(results, [JoinResult::Already, JoinResult::Already, JoinResult::Joined, JoinResult::Unreachable]);
    world.run_until(3_000, "all see all", |world| world.is_whole(3));
}

#[test]
fn no_healthy_node_is_called_down_at_five_percent_loss() {
    let mut world = World::cluster(7, 0.05, 5);
    world.run_ms(30 * 60_000);
    let stats: Vec<_> = (0..5).map(|host| world.stats(host)).collect();
    assert_eq!((0..5).map(|host| world.count("down", host)).sum::<usize>(), 0, "{stats:?}");
    assert!(stats.iter().all(|stats| stats.renewals == 0 && stats.probes_answered > 5_000), "{stats:?}");
}

#[test]
fn a_node_that_hears_everything_late_doubts_itself_first() {
    let mut world = World::cluster(7, 0.01, 10);
    world.laggard = Some(0);
    world.run_ms(20 * 60_000);
    let accused: usize = (1..10).map(|host| world.count("down", host)).sum();
    assert!(accused <= 2, "{accused}");
}

#[test]
fn rubbish_closes_the_connection_and_is_counted() {
    let mut world = World::cluster(1, 0.0, 2);
    let rubbish = bytes::Bytes::from_static(&[0xff; 40]);
    world.intrude(0, 7, "node7", |conn| {
        vec![Input::Message { conn, bytes: rubbish.clone() }, Input::Message { conn, bytes: rubbish.clone() }]
    });
    assert_eq!(world.stats(0).malformed, 1, "nothing more is heard on a closed connection");
    world.run_ms(10_000);
    assert!(world.is_whole(2) && world.stats(0).connections == 1);
}

#[test]
fn a_connection_without_a_hello_is_not_kept() {
    let mut world = World::cluster(1, 0.0, 2);
    world.intrude(0, 7, "node7", |conn| vec![Input::Datagram { conn, bytes: bytes::Bytes::from_static(&[1, 2, 3]) }]);
    assert_eq!((world.stats(0).connections, world.stats(0).malformed), (2, 0));
    world.run_ms(6_000);
    assert_eq!(world.stats(0).connections, 1);
}

#[test]
fn two_nodes_end_with_one_connection_in_use() {
    let mut world = World::cluster(2, 0.0, 5);
    world.run_ms(5_000);
    assert_eq!((0..5).map(|host| world.stats(host).connections).collect::<Vec<_>>(), [4; 5]);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut world = World::cluster(seed, 0.1, 5);
        world.cut(&[0], &[1, 2, 3, 4]);
        world.run_ms(10_000);
        world.heal();
        world.kill(3);
        world.run_ms(10_000);
        (world.trace, world.told.len())
    };
    assert_eq!(trace(11), trace(11));
    assert_ne!(trace(11).0, trace(12).0);
}
