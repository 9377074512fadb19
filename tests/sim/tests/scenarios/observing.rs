//! An observer sees what members see, and counts nowhere.

use crate::entries::{entry, name, push, replicated};
use crate::script::Script;
use crdt::entry::Edit;
use node::cluster::{MemberState, Verdict};
use node::lists::{Input, Replicas};

/// Which of the hosts is the observer.
const OBSERVER: usize = 3;

/// Three members and an observer, in which all lists were compared.
fn observed() -> Script {
    let mut world = Script::with_hosts(1, 0.0, 3);
    world.observer("watch", 9);
    (0..4).for_each(|host| world.start(host, &[0]));
    world.run_ms(5_000);
    world.expect_whole(4);
    world.run_ms(3_000);
    world
}

#[test]
fn it_counts_in_no_verdict() {
    let mut world = observed();
    for host in 0..4 {
        // An observer's own number has itself beside the members.
        let expected = if host == OBSERVER { 4 } else { 3 };
        let stats = world.stats(host);
        let seen = (stats.expected, stats.reachable, stats.observers);
        assert_eq!(seen, (expected, expected - 1, 1), "host {host}");
    }
    world.cut(&[OBSERVER], &[0, 1, 2]);
    world.run_until(20_000, "it is down for all", |world| {
        world.all_say(&[0, 1, 2], OBSERVER, MemberState::Down)
    });
    world.run_ms(2_000);
    for host in 0..3 {
        assert_eq!(world.verdict(host), Verdict::Whole, "host {host}");
    }
    assert_eq!(world.verdict(OBSERVER), Verdict::Alone);
    world.heal();
    world.expect_whole(4);
}

#[test]
fn it_reads_what_is_written_and_confirms_nothing() {
    let mut world = observed();
    let all = replicated("bob", Edit::Add(vec![entry("a")]), Replicas::All, 5);
    let request = world.edit(0, all);
    world.run_ms(500);
    let confirmed = world.edited(request).replicas.clone().unwrap();
    let names: Vec<&str> = confirmed.confirmed.iter().map(|it| it.as_str()).collect();
    assert_eq!(names, ["node1", "node2", "node3"]);
    assert!(confirmed.reached && confirmed.asked == 3);
    assert_eq!(world.titles(OBSERVER, "bob"), ["a"]);
    // With only the observer in reach nothing is on a second node.
    world.cut(&[0], &[1, 2]);
    let two = replicated("bob", Edit::Add(vec![entry("b")]), Replicas::Count(2), 2);
    let request = world.edit(0, two);
    world.run_ms(2_500);
    let outcome = world.edited(request).replicas.clone().unwrap();
    assert!(!outcome.reached && outcome.confirmed.len() == 1);
    assert_eq!(world.titles(OBSERVER, "bob"), ["a", "b"]);
    world.heal();
    world.run_until_agreed(20_000);
}

#[test]
fn it_is_no_bridge_between_the_sides_of_a_partition() {
    let mut world = observed();
    world.cut(&[0], &[1, 2]);
    // It still reaches everybody, and nobody takes from it that the others are there.
    world.run_until(20_000, "each side has lost the other", |world| {
        let lost = |host, other| world.state(host, other) == Some(MemberState::Down);
        lost(0, 1) && lost(0, 2) && lost(1, 0) && lost(2, 0)
    });
    world.run_ms(2_000);
    assert_eq!(world.verdict(0), Verdict::Alone);
    assert_eq!(world.verdict(1), Verdict::Majority);
    assert_eq!(world.verdict(OBSERVER), Verdict::Whole);
    world.add(1, "bob", "there");
    world.run_ms(5_000);
    assert_eq!(world.titles(OBSERVER, "bob"), ["there"]);
    assert!(world.titles(0, "bob").is_empty());
    world.heal();
    world.expect_whole(4);
    world.run_until_agreed(20_000);
}

#[test]
fn one_that_pushes_changes_is_cut_off() {
    let mut world = observed();
    world.cut(&[0], &[1, 2]);
    world.add(1, "bob", "there");
    world.run_ms(1_000);
    let changes: Vec<_> = world.hosts[OBSERVER]
        .disk
        .image
        .changes
        .values()
        .cloned()
        .collect();
    assert_eq!(changes.len(), 1);
    let malformed = world.lists_stats(0).malformed;
    let conn = world.conn(0, OBSERVER);
    let bytes = push(name("bob"), changes, false);
    world.tell_lists(0, 1, Input::Message { conn, bytes });
    world.run_ms(1_000);
    assert_eq!(world.lists_stats(0).malformed, malformed + 1);
    assert!(world.titles(0, "bob").is_empty());
}
