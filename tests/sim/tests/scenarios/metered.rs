//! Nodes whose links are paid by the byte: little is said at rest, and a crash is found out all the same.

use crate::script::Script;
use crdt::roster::Pace;
use node::cluster::MemberChange;
use node::cluster::MemberState;
use std::ops::Range;

const HOSTS: usize = 12;
const MINUTES: u64 = 10;

/// Twelve nodes that have found each other and have been quiet for a while; these are metered.
fn cluster(seed: u64, metered: Range<usize>) -> Script {
    let mut world = Script::with_hosts(seed, 0.0, HOSTS);
    for host in metered {
        world.hosts[host].pace = Pace::Metered;
    }
    (0..HOSTS).for_each(|host| world.start(host, &[0]));
    world.run_until(10_000, "all see all", |world| world.is_whole(HOSTS));
    world.run_ms(120_000);
    world
}

fn accusations(world: &Script) -> usize {
    let of = |host: usize| {
        world.count(MemberChange::Suspect, host) + world.count(MemberChange::Down, host)
    };
    (0..HOSTS).map(of).sum()
}

/// What each host sends at rest, in bytes a second.
fn at_rest(world: &mut Script) -> Vec<u64> {
    let before = world.network.sent.clone();
    world.run_ms(MINUTES * 60_000);
    let sent = |host: usize| world.network.sent[&host] - before[&host];
    (0..HOSTS).map(|host| sent(host) / (MINUTES * 60)).collect()
}

#[test]
fn metered_nodes_say_little_at_rest_and_accuse_nobody() {
    let mut world = cluster(1, 0..HOSTS);
    let before = accusations(&world);
    let sent = at_rest(&mut world);
    assert!(sent.iter().all(|bytes| *bytes <= 150), "{sent:?}");
    assert_eq!(accusations(&world), before);
    assert!(world.is_whole(HOSTS));
}

#[test]
fn nodes_that_are_not_metered_say_less_than_a_thousand_bytes_a_second() {
    let mut world = cluster(1, 0..0);
    let sent = at_rest(&mut world);
    assert!(sent.iter().all(|bytes| *bytes <= 1_000), "{sent:?}");
}

#[test]
fn a_link_has_the_pace_of_its_slower_end() {
    let mut world = cluster(1, 0..1);
    let before = accusations(&world);
    let sent = at_rest(&mut world);
    assert!(sent[0] <= 150, "{sent:?}");
    assert!(sent[1..].iter().all(|bytes| *bytes > 150), "{sent:?}");
    assert_eq!(accusations(&world), before);
    // Those between whom links are not metered still find out at once.
    world.kill(3);
    let near: Vec<usize> = (1..HOSTS).filter(|host| *host != 3).collect();
    world.run_until(3_000, "those know", |world| {
        world.all_say(&near, 3, MemberState::Down)
    });
}

#[test]
fn a_crash_among_metered_nodes_is_known_to_some_within_half_a_minute() {
    for seed in 0..20 {
        let mut world = cluster(seed, 0..HOSTS);
        let victim = usize::try_from(seed).unwrap() % HOSTS;
        world.kill(victim);
        world.run_until(30_000, "somebody knows", |world| {
            (0..HOSTS)
                .any(|host| host != victim && world.all_say(&[host], victim, MemberState::Down))
        });
        world.run_until(10_000, "all know", |world| {
            let others: Vec<usize> = (0..HOSTS).filter(|host| *host != victim).collect();
            world.all_say(&others, victim, MemberState::Down)
        });
    }
}

#[test]
fn changes_are_pushed_at_once_also_over_metered_links() {
    let mut world = cluster(1, 0..HOSTS);
    world.add(0, "bob", "buy milk");
    world.run_until_agreed(500);
}
