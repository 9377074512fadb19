//! Going for a while, for good, and being forgotten.

use crate::script::Script;
use node::cluster::{MemberChange, MemberState, Refusal, Reply, StopReason, Verdict, ask};

#[test]
fn a_node_that_will_be_back_is_restarting_at_once_and_down_after_its_grace() {
    let mut world = Script::cluster(1, 0.0, 3);
    let request = world.request(2, ask::Shutdown);
    world.run_until(100, "they know", |world| {
        world.all_say(&[0, 1], 2, MemberState::Restarting)
    });
    world.run_ms(1_000);
    assert_eq!(world.reply(request), Some(&Ok(Reply::Done)));
    assert_eq!(world.hosts[2].stopped, Some(StopReason::Shutdown));
    assert_eq!(world.count(MemberChange::Down, 2), 0);
    world.run_ms(50_000);
    assert!(world.all_say(&[0, 1], 2, MemberState::Restarting));
    world.run_until(10_000, "its grace is over", |world| {
        world.all_say(&[0, 1], 2, MemberState::Down)
    });
    world.start(2, &[]);
    world.run_until(3_000, "it is back", |world| world.is_whole(3));
}

#[test]
fn a_quick_restart_is_never_called_down() {
    // Where its farewell is lost, those who did not get it can only think that it died.
    for seed in 0..10 {
        let mut world = Script::cluster(seed, 0.0, 5);
        for host in 0..5 {
            world.request(host, ask::Shutdown);
            world.run_ms(400);
            world.start(host, &[]);
            world.run_until(4_000, "it is back", |world| world.is_whole(5));
        }
        assert_eq!(
            (0..5)
                .map(|host| world.count(MemberChange::Down, host))
                .sum::<usize>(),
            0,
            "seed {seed}"
        );
    }
}

#[test]
fn a_node_that_left_is_not_missed_and_may_come_back() {
    let mut world = Script::cluster(1, 0.02, 3);
    let request = world.request(2, ask::Leave);
    world.run_until(500, "they know", |world| {
        world.all_say(&[0, 1], 2, MemberState::Left)
    });
    world.run_ms(2_000);
    assert_eq!(world.reply(request), Some(&Ok(Reply::Done)));
    assert_eq!(
        (&world.hosts[2].stopped, world.verdict(0)),
        (&Some(StopReason::Left), Verdict::Whole)
    );
    world.run_ms(60_000);
    assert_eq!(
        (
            world.count(MemberChange::Left, 2),
            world.count(MemberChange::Down, 2)
        ),
        (3, 0)
    );
    world.start(2, &[0]);
    world.run_until(3_000, "it is back", |world| world.is_whole(3));
    assert_eq!(world.verdict(0), Verdict::Whole);
}

#[test]
fn a_node_that_is_gone_for_good_is_forgotten_everywhere() {
    let mut world = Script::cluster(1, 0.02, 4);
    let early = world.request(0, ask::Forget("node4".into()));
    world.kill(3);
    world.run_ms(4_000);
    assert!(matches!(
        world.reply(early),
        Some(Err(Refusal::Reachable(_)))
    ));
    let unknown = world.request(0, ask::Forget("node9".into()));
    let request = world.request(0, ask::Forget("node4".into()));
    world.run_until(1_000, "all forgot", |world| {
        (0..3).all(|host| world.state(host, 3).is_none() && world.verdict(host) == Verdict::Whole)
    });
    assert_eq!(world.reply(request), Some(&Ok(Reply::Done)));
    assert!(matches!(
        world.reply(unknown),
        Some(Err(Refusal::Unknown(_)))
    ));
    let dials = world.stats(0).dials;
    world.run_ms(60_000);
    assert_eq!(
        (
            world.count(MemberChange::Forgotten, 3),
            world.stats(0).dials
        ),
        (3, dials),
        "nobody looks for it any more"
    );
    world.start(3, &[0]);
    world.run_until(4_000, "it comes back", |world| world.is_whole(4));
}

#[test]
fn a_forgotten_node_that_was_only_cut_off_comes_back_by_itself() {
    let mut world = Script::cluster(1, 0.0, 4);
    world.cut(&[3], &[0, 1, 2]);
    world.run_ms(20_000);
    world.request(0, ask::Forget(format!("{:02x}", 4).repeat(16)));
    world.run_ms(5_000);
    assert_eq!(world.state(1, 3), None);
    world.heal();
    world.run_until(8_000, "it comes back", |world| world.is_whole(4));
    world.run_ms(30_000);
    assert!(world.is_whole(4), "it stays");
}

#[test]
fn what_cannot_be_written_is_not_forgotten() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.kill(2);
    world.run_ms(4_000);
    world.break_disk(0);
    let request = world.request(0, ask::Forget("node3".into()));
    world.run_ms(1_000);
    assert!(matches!(world.reply(request), Some(Err(Refusal::Write(_)))));
    assert_eq!(world.state(0, 2), Some(MemberState::Down));
}
