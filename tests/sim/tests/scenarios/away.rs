//! Members that are away on purpose.

use crate::script::Script;
use node::cluster::{MemberChange, MemberState, Refusal, Reply, Verdict, ask};

const MONTH_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

fn away(member: &str, span_ms: u64, force: bool) -> ask::Away {
    ask::Away {
        member: member.to_owned(),
        span_ms,
        why: "dry dock".to_owned(),
        by: "root@node1".to_owned(),
        force,
    }
}

fn back(member: &str) -> ask::Back {
    ask::Back {
        member: member.to_owned(),
        by: "root@node2".to_owned(),
    }
}

fn is_declared(world: &Script, request: u64) -> bool {
    matches!(world.reply(request), Some(Ok(Reply::Away(_))))
}

#[test]
fn a_member_that_is_down_is_away_everywhere_until_somebody_says_that_it_is_back() {
    let mut world = Script::cluster(1, 0.02, 4);
    let early = world.request(0, away("node4", MONTH_MS, true));
    world.kill(3);
    world.run_ms(4_000);
    assert!(matches!(world.reply(early), Some(Err(Refusal::IsHere(_)))));
    assert_eq!(world.verdict(0), Verdict::Majority);
    let not_away = world.request(0, back("node4"));
    let request = world.request(0, away("node4", MONTH_MS, false));
    world.run_until(1_000, "all know", |world| {
        world.all_say(&[0, 1, 2], 3, MemberState::Away)
    });
    assert!(is_declared(&world, request));
    assert!(matches!(
        world.reply(not_away),
        Some(Err(Refusal::NotAway(_)))
    ));
    assert!((0..3).all(|host| world.verdict(host) == Verdict::Whole));
    assert_eq!(world.stats(0).away, 1);
    world.run_ms(60_000);
    assert_eq!(world.count(MemberChange::Away, 3), 3);
    let request = world.request(1, back("node4"));
    world.run_until(1_000, "all know", |world| {
        world.all_say(&[0, 1, 2], 3, MemberState::Down)
    });
    assert!(is_declared(&world, request));
    assert_eq!(world.count(MemberChange::Back, 3), 3);
}

#[test]
fn it_is_kept_on_the_disk_and_ends_when_the_member_is_seen() {
    let mut world = Script::cluster(2, 0.0, 3);
    world.kill(2);
    world.run_ms(4_000);
    world.request(0, away("node3", MONTH_MS, false));
    world.run_ms(1_000);
    for host in [0, 1] {
        world.kill(host);
    }
    // Host 1 alone has it from its own disk.
    world.start(1, &[]);
    world.run_ms(3_000);
    assert_eq!(world.state(1, 2), Some(MemberState::Away));
    world.start(0, &[]);
    world.run_until(5_000, "both are back", |world| {
        world.state(0, 1) == Some(MemberState::Alive)
            && world.all_say(&[0, 1], 2, MemberState::Away)
    });
    world.start(2, &[]);
    world.run_until(10_000, "it is seen", |world| world.is_whole(3));
    world.kill(2);
    world.run_until(10_000, "it is down as any other", |world| {
        world.all_say(&[0, 1], 2, MemberState::Down)
    });
    assert_eq!(world.count(MemberChange::Back, 2), 2);
}

#[test]
fn it_ends_at_its_time() {
    let mut world = Script::cluster(3, 0.0, 3);
    world.kill(2);
    world.run_ms(4_000);
    world.request(0, away("node3", 120_000, false));
    world.run_ms(100_000);
    assert!(world.all_say(&[0, 1], 2, MemberState::Away));
    world.run_until(30_000, "its time is over", |world| {
        world.all_say(&[0, 1], 2, MemberState::Down)
    });
}

#[test]
fn what_is_declared_on_one_side_of_a_split_ends_when_it_heals() {
    let mut world = Script::cluster(4, 0.0, 5);
    world.cut(&[3, 4], &[0, 1, 2]);
    world.run_ms(8_000);
    let refused = world.request(3, away("node1", MONTH_MS, false));
    world.request(0, away("node4", MONTH_MS, false));
    world.request(0, away("node5", MONTH_MS, false));
    // On the smaller side only by force.
    world.request(3, away("node2", MONTH_MS, true));
    world.run_until(2_000, "each side knows", |world| {
        world.all_say(&[0, 1, 2], 3, MemberState::Away)
            && world.all_say(&[0, 1, 2], 4, MemberState::Away)
            && world.all_say(&[3, 4], 1, MemberState::Away)
    });
    let no_majority = Refusal::NoMajority {
        reachable: 2,
        expected: 5,
    };
    assert_eq!(world.reply(refused), Some(&Err(no_majority)));
    assert_eq!(world.verdict(0), Verdict::Whole);
    world.heal();
    world.run_until(20_000, "all see all", |world| world.is_whole(5));
    world.run_ms(5_000);
    world.cut(&[3, 4], &[0, 1, 2]);
    world.run_until(20_000, "nothing of it counts any more", |world| {
        world.all_say(&[0, 1, 2], 3, MemberState::Down)
            && world.all_say(&[3, 4], 1, MemberState::Down)
    });
}

#[test]
fn who_was_cut_off_meanwhile_learns_of_it() {
    let mut world = Script::cluster(5, 0.05, 5);
    world.kill(4);
    world.run_ms(4_000);
    world.cut(&[3], &[0, 1, 2]);
    // Until its connections are gone: what is sent on them would arrive late.
    world.run_ms(120_000);
    world.request(0, away("node5", MONTH_MS, false));
    world.run_ms(2_000);
    assert_eq!(world.state(3, 4), Some(MemberState::Down));
    world.heal();
    world.run_until(20_000, "it learns of it", |world| {
        world.all_say(&[0, 1, 2, 3], 4, MemberState::Away)
    });
}
