//! Changes that their writer wants to have on the disks of other nodes.

use crate::entries::{edit, entry, name, push, replicated, with_id};
use crate::script::Script;
use bytes::Bytes;
use crdt::entry::{Edit, NewEntry};
use names::ListId;
use node::lists::{Input, Refusal, Replicas, Reply, ask};
use node::wire::Channel;
use sim::network::Drops;
use std::time::Duration;

/// How many times a host has told others that it has changes on its disk.
fn haves(world: &Script, host: usize) -> usize {
    const TAG_OF_HAVE: u8 = 16;
    let messages = world.record().messages.iter();
    messages
        .filter(|(by, bytes)| *by == host && bytes.get(2) == Some(&TAG_OF_HAVE))
        .count()
}

#[test]
fn replicas_are_confirmed_when_they_are_on_disk_there() {
    let mut world = Script::compared(3);
    world.slow_disk_ms(1, 30);
    world.slow_disk_ms(2, 30);
    let ask = |title: &str, replicas| replicated("bob", Edit::Add(vec![entry(title)]), replicas, 1);
    let all = world.edit(0, ask("a", Replicas::All));
    let majority = world.edit(0, ask("b", Replicas::Majority));
    let one = world.edit(0, ask("c", Replicas::Count(1)));
    world.run_ms(20);
    assert!(world.list_reply(all).is_none() && world.list_reply(majority).is_none());
    let confirmed = |world: &Script, request| world.edited(request).replicas.clone().unwrap();
    assert_eq!(confirmed(&world, one).confirmed.len(), 1);
    world.run_ms(150);
    let all = confirmed(&world, all);
    let names: Vec<&str> = all.confirmed.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["node1", "node2", "node3"]);
    assert!(all.reached && all.asked == 3);
    assert!(confirmed(&world, majority).reached);
}

#[test]
fn a_batch_of_which_some_is_known_is_confirmed_when_the_rest_is_on_disk() {
    let mut world = Script::compared(2);
    world.add(0, "bob", "known");
    world.run_until_agreed(50);
    world.restart(1);
    world.slow_disk_ms(1, 50);
    world.network.drops = Some(Drops::silent(Channel::Lists, 1));
    world.add(0, "bob", "new");
    world.run_ms(20);
    world.network.drops = None;
    let changes: Vec<Bytes> = world.hosts[0]
        .disk
        .image
        .changes
        .values()
        .cloned()
        .collect();
    assert_eq!(changes.len(), 2);
    let conn = world.conn(1, 0);
    let bytes = push(name("bob"), changes, true);
    world.tell_lists(1, 1, Input::Message { conn, bytes });
    world.run_ms(20);
    let stats = world.lists_stats(1);
    assert_eq!((stats.loads, stats.writes_pending), (1, 1));
    assert_eq!(haves(&world, 1), 0);
    world.run_ms(50);
    assert_eq!(haves(&world, 1), 1);
}

#[test]
fn replicas_that_are_not_reached_are_told_at_the_deadline_and_a_retry_waits_on() {
    let mut world = Script::compared(2);
    world.cut(&[0], &[1]);
    let ask =
        |replicas, seconds| replicated("bob", with_id(1, "a"), Replicas::Count(replicas), seconds);
    let request = world.edit(0, ask(2, 1));
    world.run_ms(1_100);
    let missed = world.edited(request).replicas.clone().unwrap();
    assert!(!missed.reached && missed.confirmed.len() == 1);
    let retry = world.edit(0, ask(2, 5));
    world.heal();
    world.run_ms(5_100);
    assert!(world.edited(retry).replicas.as_ref().unwrap().reached);
    let many = world.edit(0, ask(3, 1));
    world.run_ms(10);
    assert_eq!(
        world.list_reply(many),
        Some(&Err(Refusal::TooManyReplicas { asked: 3, have: 2 }))
    );
    assert_eq!(world.titles(0, "bob"), ["a"]);
}

#[test]
fn a_large_change_travels_in_parts_and_is_confirmed() {
    let mut world = Script::compared(2);
    let many = |letter: &str| {
        let large = |i| NewEntry {
            notes: letter.repeat(60_000),
            ..entry(&format!("{i}"))
        };
        Edit::Add((0..40).map(large).collect())
    };
    let request = world.edit(0, replicated("bob", many("x"), Replicas::All, 5));
    world.run_ms(3_000);
    let longest = world.hosts[0]
        .disk
        .image
        .changes
        .values()
        .map(Bytes::len)
        .max();
    assert!(longest > Some(1 << 20));
    assert!(world.edited(request).replicas.as_ref().unwrap().reached);
    world.run_until_agreed(10);
    world.cut(&[0], &[1]);
    world.edit(0, edit("bob", many("y")));
    world.run_ms(1_000);
    world.heal();
    world.run_until_agreed(8_000);
}

#[test]
fn leaving_waits_until_another_node_has_everything() {
    let mut world = Script::apart(2);
    let depart = |world: &mut Script, seconds| {
        let timeout = Duration::from_secs(seconds);
        world.ask_lists(0, ListId::of(&name("any")), ask::Depart { timeout })
    };
    let nothing = depart(&mut world, 1);
    world.run_ms(10);
    assert_eq!(world.list_reply(nothing), Some(&Ok(Reply::Unconfirmed(0))));
    for i in 0..10 {
        world.add(0, &format!("list {i}"), "x");
    }
    world.add(1, "list 3", "y");
    world.run_ms(1_000);
    let alone = depart(&mut world, 1);
    world.run_ms(1_100);
    assert_eq!(world.list_reply(alone), Some(&Ok(Reply::Unconfirmed(10))));
    let request = depart(&mut world, 8);
    world.heal();
    world.run_ms(8_100);
    assert_eq!(world.list_reply(request), Some(&Ok(Reply::Unconfirmed(0))));
    let quick = depart(&mut world, 5);
    world.run_ms(50);
    assert_eq!(world.list_reply(quick), Some(&Ok(Reply::Unconfirmed(0))));
}
