//! Lists on a few nodes: committed here, pushed there, found and repaired, confirmed.

use crate::entries::{edit, entry, name, patch, replicated, with_id};
use crate::script::Script;
use bytes::Bytes;
use crdt::entry::{Edit, NewEntry};
use names::{Actor, EntryId, ListId, ListName};
use node::codec;
use node::lists::{Input, Precondition, Refusal, Replicas, Reply, ask};
use node::wire::{Channel, CloseReason, ConnId, WriteError};
use sim::disk::Survival;
use sim::network::Drops;
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_client_hears_of_its_change_when_it_is_on_disk() {
    let mut world = Script::compared(1);
    world.slow_disk_ms(0, 20);
    let request = world.add(0, "bob", "buy milk");
    world.run_ms(15);
    assert!(world.list_reply(request).is_none());
    world.run_ms(10);
    assert!(world.list_reply(request).is_some());
    assert_eq!(world.titles(0, "bob"), ["buy milk"]);
    let (_, change) = &world.record().changes[0];
    assert_eq!(
        (change.total_before, change.row.total, change.entries[0].2),
        (0, 1, false)
    );
}

#[test]
fn a_refusal_that_tells_of_a_change_waits_for_that_change() {
    let mut world = Script::compared(1);
    let request = world.add(0, "bob", "buy milk");
    world.run_ms(1_000);
    let id = world.edited(request).entries[0].id;
    world.slow_disk_ms(0, 20);
    let first = world.edit(0, edit("bob", Edit::Delete(id)));
    let second = world.edit(0, edit("bob", Edit::Delete(id)));
    world.run_ms(15);
    assert!(world.list_reply(first).is_none() && world.list_reply(second).is_none());
    world.run_ms(10);
    assert!(world.list_reply(first).unwrap().is_ok());
    assert_eq!(
        world.list_reply(second),
        Some(&Err(Refusal::NoList("bob".into())))
    );
}

#[test]
fn a_push_makes_the_peers_view_equal() {
    let mut world = Script::compared(3);
    let request = world.add(0, "bob", "buy milk");
    world.add(1, "ann", "call bob");
    world.run_until_agreed(50);
    assert_eq!(world.titles(2, "bob"), ["buy milk"]);
    assert_eq!(world.lists_stats(2).repairs_begun, 0);
    let id = world.edited(request).entries[0].id;
    world.edit(2, edit("bob", Edit::Patch(id, patch("buy bread"))));
    world.run_until_agreed(50);
    world.run_ms(50);
    assert_eq!(world.titles(0, "bob"), ["buy bread"]);
}

#[test]
fn a_thousand_changes_made_apart_are_exchanged_after_the_heal() {
    let mut world = Script::apart(2);
    for i in 0..500 {
        world.add(0, &format!("list {}", i % 50), &format!("of 0: {i}"));
        world.add(1, &format!("list {}", i % 70), &format!("of 1: {i}"));
    }
    world.run_ms(1_000);
    world.heal();
    world.run_until_agreed(10_000);
    assert_eq!(world.hosts[0].disk.image.changes.len(), 1_000);
}

#[test]
fn ten_thousand_missed_changes_of_one_list_arrive_within_seconds() {
    let mut world = Script::apart(2);
    for i in 0..10_000 {
        world.add(0, "bob", &format!("entry {i}"));
    }
    world.run_ms(2_000);
    world.heal();
    world.expect_whole(2);
    world.run_until_agreed(8_000);
    assert_eq!(world.hosts[1].disk.image.changes.len(), 10_000);
}

#[test]
fn lost_pushes_are_found_and_repaired() {
    let mut world = Script::compared(2);
    world.add(0, "bob", "arrives");
    world.run_until_agreed(50);
    world.network.drops = Some(Drops::silent(Channel::Lists, 1));
    world.add(0, "bob", "is lost");
    world.add(0, "ann", "is lost with its list");
    world.run_ms(20);
    world.network.drops = None;
    world.run_until_agreed(6_000);
}

#[test]
fn what_a_full_queue_dropped_is_fetched_soon() {
    let mut world = Script::compared(2);
    world.network.drops = Some(Drops::told(Channel::Lists, 1));
    for i in 0..500 {
        world.add(0, &format!("list {i}"), "x");
    }
    world.run_ms(100);
    world.network.drops = None;
    world.run_until_agreed(3_000);
}

#[test]
fn lists_that_are_being_written_are_not_repaired() {
    let mut world = Script::compared(2);
    let begun = |world: &Script| -> u64 {
        (0..2)
            .map(|host| world.lists_stats(host).repairs_begun)
            .sum()
    };
    let before = begun(&world);
    for i in 0..2_000 {
        world.add(i % 2, "bob", &format!("entry {i}"));
        world.run_ms(5);
    }
    assert_eq!(begun(&world), before);
    world.run_until_agreed(1_000);
}

#[test]
fn a_change_waits_for_those_that_it_depends_on() {
    let mut world = Script::compared(3);
    // What the first node says reaches the third one only by way of the second.
    world.cut(&[0], &[2]);
    world.run_ms(12_000);
    let request = world.add(0, "bob", "from 0");
    world.run_ms(20);
    let id = world.edited(request).entries[0].id;
    world.edit(1, edit("bob", Edit::Patch(id, patch("by 1"))));
    world.run_ms(20);
    assert_eq!(world.lists_stats(2).orphans, 1);
    assert_eq!(world.titles(2, "bob"), [""; 0]);
    world.run_ms(1_000);
    assert_eq!(world.lists_stats(2).orphans, 0);
    assert_eq!(world.titles(2, "bob"), ["by 1"]);
}

#[test]
fn after_a_failed_commit_the_outcome_is_unknown_and_a_retry_harmless() {
    for survival in [Survival::Nothing, Survival::Everything] {
        let mut world = Script::compared(2);
        world.add(0, "bob", "before");
        world.run_ms(1_000);
        // Both edits get into one batch, behind another one.
        world.slow_disk_ms(0, 10);
        world.add(0, "ann", "x");
        world.run_ms(2);
        let first = world.edit(0, edit("bob", with_id(1, "a")));
        let second = world.edit(0, edit("bob", with_id(2, "b")));
        world.run_ms(10);
        world.hosts[0].disk.failing = Some((WriteError::Full, survival));
        world.run_ms(10);
        let unknown = Err(Refusal::Unknown(WriteError::Full));
        assert_eq!(world.list_reply(first), Some(&unknown));
        assert_eq!(world.list_reply(second), Some(&unknown));
        let third = world.add(0, "bob", "c");
        world.run_ms(1);
        let unavailable = Err(Refusal::Unavailable(WriteError::Full));
        assert_eq!(world.list_reply(third), Some(&unavailable));
        assert_eq!(world.titles(1, "bob"), ["before"], "nothing was pushed");
        // By then the store was reopened.
        world.run_ms(3_000);
        let retry = world.edit(0, edit("bob", with_id(1, "a")));
        world.run_ms(1_000);
        let survives = survival == Survival::Everything;
        assert_eq!(world.edited(retry).change.is_some(), !survives);
        world.run_until_agreed(5_000);
        let titles: &[&str] = if survives {
            &["before", "a", "b"]
        } else {
            &["before", "a"]
        };
        assert_eq!(world.titles(1, "bob"), titles);
        let bob = ListId::of(&name("bob"));
        let changes = world.hosts[0].disk.image.changes.keys();
        let actors: BTreeSet<Actor> = changes
            .filter(|(list, ..)| *list == bob)
            .map(|(_, actor, _)| *actor)
            .collect();
        assert_eq!(
            actors.len(),
            if survives { 1 } else { 2 },
            "an actor is not used on after a failure"
        );
    }
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

/// A push as the protocol has it, in its first version: the header's shards, the message's tag, and
/// for each list its name, its changes and whether the sender wants to be told.
fn push(list: ListName, changes: Vec<Bytes>) -> Bytes {
    let (first, last, tag) = (0u8, 255u8, 0u8);
    let bytes = codec::encode(&(first, last, tag, vec![(list, changes, true)]));
    bytes.unwrap().into()
}

/// How often a host has said that it has something.
fn haves(world: &Script, host: usize) -> usize {
    const TAG_OF_HAVE: u8 = 12;
    let messages = world.record().messages.iter();
    messages
        .filter(|(by, bytes)| *by == host && bytes.get(2) == Some(&TAG_OF_HAVE))
        .count()
}

/// A host's connection to another one.
fn conn(world: &Script, host: usize, other: usize) -> ConnId {
    let view = world.hosts[host].process.as_ref().unwrap().view.clone();
    let member = view.unwrap().member(world.hosts[other].peer.id).cloned();
    member.unwrap().conn.unwrap()
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
    let conn = conn(&world, 1, 0);
    let bytes = push(name("bob"), changes);
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
fn a_document_that_left_the_memory_comes_back_as_it_was() {
    let mut world = Script::with_hosts(1, 0.0, 1);
    world.scenario.resident_bytes = 0;
    world.start(0, &[]);
    world.run_ms(1_000);
    for i in 0..100 {
        world.add(0, "bob", &format!("entry {i}"));
    }
    world.run_ms(1_000);
    assert_eq!(world.lists_stats(0).resident, 0);
    assert_eq!(world.hosts[0].disk.image.snapshots.len(), 1);
    for i in 0..20 {
        world.add(0, "bob", &format!("more {i}"));
        world.run_ms(1_000);
    }
    assert_eq!(world.lists_stats(0).loads, 20);
    assert_eq!(world.titles(0, "bob").len(), 120);
    world.run_until_agreed(10);
}

#[test]
fn an_edit_wins_against_a_concurrent_deletion() {
    let mut world = Script::compared(2);
    let request = world.add(0, "bob", "milk");
    world.run_until_agreed(50);
    world.run_ms(50);
    let id = world.edited(request).entries[0].id;
    world.cut(&[0], &[1]);
    world.edit(0, edit("bob", Edit::Delete(id)));
    world.edit(1, edit("bob", Edit::Patch(id, patch("bread"))));
    world.run_ms(1_000);
    world.heal();
    world.run_until_agreed(8_000);
    assert_eq!(world.titles(0, "bob"), ["bread"]);
}

#[test]
fn malformed_bytes_close_the_connection_and_change_nothing() {
    for bytes in [
        &b""[..],
        b"\x05",
        b"\x05\x04",
        b"\x00\xff\xff\xff",
        b"\x00\xff\x04\x01\x02",
    ] {
        let mut world = Script::compared(2);
        let (conn, bytes) = (conn(&world, 0, 1), Bytes::copy_from_slice(bytes));
        world.tell_lists(0, 1, Input::Message { conn, bytes });
        world.run_ms(1);
        assert_eq!(world.record().closed, [(0, conn, CloseReason::Malformed)]);
        assert_eq!(world.lists_stats(0).malformed, 1);
    }
}

#[test]
fn preconditions_are_compared_with_what_is_there() {
    let mut world = Script::compared(1);
    let request = world.add(0, "bob", "milk");
    world.run_ms(1_000);
    let (id, bob) = (
        world.edited(request).entries[0].id,
        ListId::of(&name("bob")),
    );
    let image = &world.hosts[0].disk.image;
    let (tag, list_tag) = (image.entries[&(bob, id)].tag, image.lists[&bob].tag());
    let ask = |what, expect| ask::Edit {
        expect: Some(expect),
        ..edit("bob", what)
    };
    let entry_tag = Precondition::Entry(tag);
    let good = world.edit(0, ask(Edit::Patch(id, patch("bread")), entry_tag));
    let stale = world.edit(0, ask(Edit::Patch(id, patch("cake")), entry_tag));
    let stale_list = world.edit(
        0,
        ask(Edit::Add(vec![entry("x")]), Precondition::List(list_tag)),
    );
    world.run_ms(1_000);
    assert!(world.list_reply(good).unwrap().is_ok());
    assert_eq!(world.list_reply(stale), Some(&Err(Refusal::Changed)));
    assert_eq!(world.list_reply(stale_list), Some(&Err(Refusal::Changed)));
    assert_eq!(world.titles(0, "bob"), ["bread"]);
}

#[test]
fn what_is_not_there_is_refused() {
    let mut world = Script::compared(1);
    let no_list = Err(Refusal::NoList("bob".into()));
    let unknown = world.edit(0, edit("bob", Edit::DeleteAll));
    world.run_ms(10);
    assert_eq!(world.list_reply(unknown), Some(&no_list));
    world.add(0, "bob", "milk");
    world.run_ms(1_000);
    let missing = world.edit(0, edit("bob", Edit::Delete(EntryId(5))));
    let gone = world.edit(0, edit("bob", Edit::DeleteAll));
    world.run_ms(1_000);
    let again = world.edit(0, edit("bob", Edit::DeleteAll));
    world.run_ms(10);
    assert_eq!(
        world.list_reply(missing),
        Some(&Err(Refusal::NoEntry(EntryId(5))))
    );
    assert!(world.list_reply(gone).unwrap().is_ok());
    assert_eq!(world.list_reply(again), Some(&no_list));
}

#[test]
fn a_list_can_be_read_as_it_was() {
    let mut world = Script::compared(1);
    let first = world.add(0, "bob", "milk");
    world.run_ms(1_000);
    world.add(0, "bob", "bread");
    world.run_ms(1_000);
    let (list, timeout) = (name("bob"), SECOND);
    let change = world.edited(first).change.unwrap();
    let id = ListId::of(&list);
    let then = world.ask_lists(
        0,
        id,
        ask::EntriesAt {
            list,
            change,
            timeout,
        },
    );
    world.run_ms(1_000);
    let Some(Ok(Reply::Entries(entries))) = world.list_reply(then) else {
        panic!()
    };
    let titles: Vec<&str> = entries.iter().map(|entry| entry.title.as_str()).collect();
    assert_eq!(titles, ["milk"]);
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

#[test]
fn requests_wait_for_a_document_until_their_deadline() {
    let mut world = Script::compared(1);
    world.add(0, "bob", "milk");
    world.run_ms(1_000);
    world.restart(0);
    let ask = ask::Edit {
        timeout: Duration::ZERO,
        ..edit("bob", Edit::DeleteAll)
    };
    let request = world.edit(0, ask);
    world.run_ms(1_000);
    assert_eq!(world.list_reply(request), Some(&Err(Refusal::Timeout)));
    assert_eq!(world.titles(0, "bob"), ["milk"]);
}
