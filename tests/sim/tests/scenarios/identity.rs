//! Who a node is: runs, clones, restored directories, names.

use crate::script::Script;
use node::cluster::{MemberState, Reply, StopReason, ask};
use node::time::Instant;
use sim::disk::Image;
use std::time::Duration;

#[test]
fn nothing_is_said_before_the_run_is_on_disk() {
    let mut world = Script::with_hosts(1, 0.0, 2);
    world.start(0, &[]);
    world.break_disk(1);
    world.start(1, &[0]);
    let request = world.request(
        1,
        ask::Join {
            addresses: vec!["10.0.0.1:6878".into()],
            within: Duration::from_secs(20),
        },
    );
    world.run_ms(10_000);
    assert_eq!((world.stats(1).dials, world.state(0, 1)), (0, None));
    world.mend_disk(1);
    world.run_until(3_000, "it joins", |world| world.is_whole(2));
    assert!(matches!(world.reply(request), Some(Ok(Reply::Joined(_)))));
}

/// A copy of a running node's data directory: `original` goes on, the copy is told.
fn assert_clone_is_refused(world: &mut Script, original: usize, copy: usize, others: &[usize]) {
    world.run_until(5_000, "the copy stops", |world| {
        world.hosts[copy].stopped.is_some()
    });
    let Some(StopReason::Clone(sentence)) = &world.hosts[copy].stopped else {
        panic!("{:?}", world.hosts[copy].stopped)
    };
    assert!(
        sentence.contains(&world.hosts[original].address.to_string()),
        "{sentence}"
    );
    world.run_ms(5_000);
    assert!(world.is_running(original));
    assert!(world.all_say(others, original, MemberState::Alive));
}

#[test]
fn a_copy_of_a_running_node_is_refused() {
    for seed in 0..10 {
        let mut world = Script::cluster(seed, 0.02, 3);
        let copy = world.host("node3", 3);
        world.copy_disk(2, copy);
        world.start(copy, &[0]);
        assert_clone_is_refused(&mut world, 2, copy, &[0, 1]);
    }
}

#[test]
fn of_two_copies_of_a_stopped_node_the_second_is_refused() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.kill(2);
    world.run_ms(20_000);
    let copy = world.host("node3", 3);
    world.copy_disk(2, copy);
    world.start(2, &[0]);
    world.run_ms(3_000);
    world.start(copy, &[1]);
    assert_clone_is_refused(&mut world, 2, copy, &[0, 1]);
}

#[test]
fn a_copy_that_meets_only_the_original_is_refused() {
    let mut world = Script::with_hosts(1, 0.0, 1);
    world.start(0, &[]);
    world.run_ms(1_000);
    let copy = world.host("node1", 1);
    world.copy_disk(0, copy);
    world.start(copy, &[0]);
    assert_clone_is_refused(&mut world, 0, copy, &[]);
}

#[test]
fn a_restored_data_directory_goes_above_its_last_run() {
    for wait_ms in [0, 20_000] {
        let mut world = Script::cluster(1, 0.02, 3);
        let backup = world.hosts[2].disk.image.clone();
        for _ in 0..4 {
            world.kill(2);
            world.run_ms(100);
            world.start(2, &[0]);
            world.run_ms(3_000);
        }
        assert_eq!(world.run_of(0, 2), 5);
        world.kill(2);
        world.hosts[2].disk.replace(backup);
        world.run_ms(wait_ms);
        world.start(2, &[0, 1]);
        world.run_until(6_000, "it is back", |world| {
            world.is_whole(3) && (0..3).all(|host| world.run_of(host, 2) == 6)
        });
    }
}

#[test]
fn a_lost_data_directory_goes_above_its_last_run() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.kill(2);
    world.start(2, &[0]);
    world.run_ms(3_000);
    world.kill(2);
    world.hosts[2].disk.replace(Image::default());
    world.run_ms(20_000);
    world.start(2, &[0]);
    world.run_until(6_000, "it is back", |world| {
        world.is_whole(3) && world.run_of(0, 2) == 3
    });
}

#[test]
fn a_node_whose_name_another_bears_is_refused() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.expects_clones = true;
    let newcomer = world.host("node2", 9);
    world.start(newcomer, &[0]);
    // Nobody answers the newcomer's pings: for it the others are down, sooner or later.
    world
        .watch
        .trouble(Instant::default() + Duration::from_secs(60));
    // Not at once: whoever starts it again shall not do so all the time.
    world.run_until(40_000, "it stops", |world| {
        world.hosts[newcomer].stopped.is_some()
    });
    let Some(StopReason::NameTaken(sentence)) = &world.hosts[newcomer].stopped else {
        panic!("{:?}", world.hosts[newcomer].stopped)
    };
    assert!(
        sentence.contains("node2") && sentence.contains("10.0.0.2:6878"),
        "{sentence}"
    );
    world.run_ms(3_000);
    assert!(world.is_whole(3) && world.state(0, newcomer).is_none());
}
