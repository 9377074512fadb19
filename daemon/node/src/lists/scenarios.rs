//! What the machine promises, between a few of them.

use super::ask;
use super::harness::{DISK, JOB, NET, World, entry, name, replicated};
use super::io::{Command, Confirmations, Edited, Input, Precondition, Refusal, Replicas, Reply};
use super::wire::{self, Message, Pushed};
use crate::wire::{CloseReason, RequestId, WriteError};
use bytes::Bytes;
use crdt::entry::{Edit, EntryPatch, NewEntry};
use names::{Actor, EntryId, ListId, Shard};
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn patch(title: &str) -> EntryPatch {
    EntryPatch {
        title: Some(title.to_owned()),
        ..EntryPatch::default()
    }
}

fn with_id(id: u128, title: &str) -> Edit {
    Edit::Add(vec![NewEntry {
        id: Some(EntryId(id)),
        ..entry(title)
    }])
}

fn added(world: &World, request: RequestId) -> EntryId {
    match world.reply(request) {
        Some(Ok(Reply::Edited(Edited { entries, .. }))) => entries[0].id,
        other => panic!("{other:?}"),
    }
}

fn confirmations(world: &World, request: RequestId) -> Confirmations {
    match world.reply(request) {
        Some(Ok(Reply::Edited(Edited {
            replicas: Some(confirmations),
            ..
        }))) => confirmations.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_hears_of_its_change_when_it_is_on_disk() {
    let mut world = World::new(1);
    let request = world.add(0, "bob", "buy milk");
    assert!(world.reply(request).is_none());
    world.run(DISK);
    assert!(world.reply(request).is_some());
    assert_eq!(world.nodes[0].disk.titles("bob"), ["buy milk"]);
    let change = &world.nodes[0].changed[0];
    assert_eq!(
        (change.total_before, change.row.total, change.entries[0].2),
        (0, 1, false)
    );
}

#[test]
fn a_refusal_that_tells_of_a_change_waits_for_that_change() {
    let mut world = World::new(1);
    let request = world.add(0, "bob", "buy milk");
    world.run(SECOND);
    let id = added(&world, request);
    let first = world.edit(0, "bob", Edit::Delete(id));
    let second = world.edit(0, "bob", Edit::Delete(id));
    assert!(world.reply(first).is_none() && world.reply(second).is_none());
    world.run(DISK);
    assert!(world.reply(first).unwrap().is_ok());
    assert_eq!(
        world.reply(second).unwrap(),
        &Err(Refusal::NoList("bob".into()))
    );
}

#[test]
fn a_push_makes_the_peers_view_equal() {
    let mut world = World::new(3);
    world.run(SECOND);
    let request = world.add(0, "bob", "buy milk");
    world.add(1, "ann", "call bob");
    world.run(DISK + NET + DISK);
    world.assert_agreed();
    assert_eq!(world.nodes[2].disk.titles("bob"), ["buy milk"]);
    assert_eq!(world.stats(2).repairs_begun, 0);
    let id = added(&world, request);
    world.edit(2, "bob", Edit::Patch(id, patch("buy bread")));
    world.run(DISK + NET + DISK);
    world.assert_agreed();
    assert_eq!(world.nodes[0].disk.titles("bob"), ["buy bread"]);
}

#[test]
fn a_thousand_changes_made_apart_are_exchanged_after_the_heal() {
    let mut world = World::apart(2);
    for i in 0..500 {
        world.add(0, &format!("list {}", i % 50), &format!("of 0: {i}"));
        world.add(1, &format!("list {}", i % 70), &format!("of 1: {i}"));
    }
    world.run(SECOND);
    world.connect(0, 1);
    world.run(2 * SECOND);
    world.assert_agreed();
    assert_eq!(world.nodes[0].disk.changes.len(), 1_000);
    assert_eq!(world.stats(0).differing, 0);
}

#[test]
fn ten_thousand_missed_changes_of_one_list_arrive_within_three_seconds() {
    let mut world = World::apart(2);
    for i in 0..10_000 {
        world.add(0, "bob", &format!("entry {i}"));
    }
    world.run(SECOND);
    world.connect(0, 1);
    world.run(3 * SECOND);
    world.assert_agreed();
    assert_eq!(world.nodes[1].disk.changes.len(), 10_000);
}

#[test]
fn lost_pushes_are_found_and_repaired() {
    let mut world = World::new(2);
    world.run(SECOND);
    world.add(0, "bob", "arrives");
    world.run(SECOND);
    world.lose = 2;
    world.add(0, "bob", "is lost");
    world.add(0, "ann", "is lost with its list");
    world.run(5 * SECOND);
    world.assert_agreed();
}

#[test]
fn what_a_full_queue_dropped_is_fetched_soon() {
    let mut world = World::new(2);
    world.run(SECOND);
    world.lose = u64::MAX;
    for i in 0..500 {
        world.add(0, &format!("list {i}"), "x");
    }
    world.run(Duration::from_millis(100));
    world.lose = 0;
    let conn = world.conn(0, 1);
    world.handle(0, Input::Overflowed { conn });
    world.run(2 * SECOND);
    world.assert_agreed();
}

#[test]
fn machines_that_share_out_the_shards_otherwise_agree_on_those_they_share() {
    let mut world = World::apart(2);
    world.restart(1, |settings| settings.shards = (Shard(40), Shard(99)));
    world.connect(0, 1);
    let names: Vec<String> = (0..40).map(|i| format!("list {i}")).collect();
    for list in &names {
        world.add(0, list, "pushed");
    }
    world.run(SECOND);
    world.lose = u64::MAX;
    for list in &names {
        world.add(0, list, "lost");
    }
    world.run(Duration::from_millis(100));
    world.lose = 0;
    world.run(5 * SECOND);
    for list in names {
        let shared = (Shard(40)..=Shard(99)).contains(&ListId::of(&name(&list)).shard());
        assert_eq!(
            world.nodes[1].disk.titles(&list).len(),
            if shared { 2 } else { 0 }
        );
    }
}

#[test]
fn lists_that_are_being_written_are_not_repaired() {
    let mut world = World::new(2);
    world.run(2 * SECOND);
    let begun = world.stats(0).repairs_begun + world.stats(1).repairs_begun;
    for i in 0..2_000 {
        world.add(i % 2, "bob", &format!("entry {i}"));
        world.run(Duration::from_millis(5));
    }
    assert_eq!(
        world.stats(0).repairs_begun + world.stats(1).repairs_begun,
        begun
    );
    world.run(SECOND);
    world.assert_agreed();
}

#[test]
fn a_change_waits_for_those_that_it_depends_on() {
    let mut world = World::apart(3);
    world.connect(0, 1);
    let request = world.add(0, "bob", "from 0");
    world.run(SECOND);
    world.connect(1, 2);
    world.lose = 100;
    world.run(100 * NET);
    world.lose = 0;
    world.edit(1, "bob", Edit::Patch(added(&world, request), patch("by 1")));
    world.run(DISK + NET + DISK);
    assert_eq!(world.stats(2).orphans, 1);
    assert!(world.nodes[2].disk.titles("bob").is_empty());
    world.run(SECOND);
    assert_eq!(
        (world.stats(2).orphans, world.nodes[2].disk.titles("bob")),
        (0, vec!["by 1".to_owned()])
    );
}

#[test]
fn after_a_failed_commit_the_outcome_is_unknown_and_a_retry_harmless() {
    for survives in [false, true] {
        let mut world = World::new(2);
        world.add(0, "bob", "before");
        world.run(SECOND);
        world.nodes[0].failing = Some(survives);
        let (first, second) = (
            world.edit(0, "bob", with_id(1, "a")),
            world.edit(0, "bob", with_id(2, "b")),
        );
        world.run(DISK);
        assert_eq!(
            world.reply(first).unwrap(),
            &Err(Refusal::Unknown(WriteError::Full))
        );
        assert_eq!(
            world.reply(second).unwrap(),
            &Err(Refusal::Unknown(WriteError::Full))
        );
        let third = world.add(0, "bob", "c");
        assert_eq!(
            world.reply(third).unwrap(),
            &Err(Refusal::Unavailable(WriteError::Full))
        );
        assert_eq!(
            world.nodes[1].disk.titles("bob"),
            ["before"],
            "nothing was pushed"
        );
        world.reopen(0, 99);
        let retry = world.edit(0, "bob", with_id(1, "a"));
        world.run(SECOND);
        let is_new = matches!(
            world.reply(retry),
            Some(Ok(Reply::Edited(Edited {
                change: Some(_),
                ..
            })))
        );
        assert_eq!(is_new, !survives, "{:?}", world.reply(retry));
        world.run(3 * SECOND);
        world.assert_agreed();
        let titles = if survives {
            vec!["before", "a", "b"]
        } else {
            vec!["before", "a"]
        };
        assert_eq!(world.nodes[1].disk.titles("bob"), titles);
        let actors: BTreeSet<Actor> = world.nodes[0]
            .disk
            .changes
            .keys()
            .map(|(_, actor, _)| *actor)
            .collect();
        assert_eq!(
            actors.len(),
            if survives { 1 } else { 2 },
            "an actor is not used on after a \
            failure"
        );
    }
}

#[test]
fn replicas_are_confirmed_when_they_are_on_disk_there() {
    let mut world = World::new(3);
    world.run(SECOND);
    let all = world.request(
        0,
        replicated("bob", Edit::Add(vec![entry("a")]), Replicas::All, SECOND),
    );
    let majority = world.request(
        0,
        replicated(
            "bob",
            Edit::Add(vec![entry("b")]),
            Replicas::Majority,
            SECOND,
        ),
    );
    let one = world.request(
        0,
        replicated(
            "bob",
            Edit::Add(vec![entry("c")]),
            Replicas::Count(1),
            SECOND,
        ),
    );
    world.run(DISK);
    assert!(world.reply(all).is_none() && world.reply(majority).is_none());
    assert_eq!(confirmations(&world, one).confirmed.len(), 1);
    world.run(NET + DISK + NET + 2 * DISK);
    let all = confirmations(&world, all);
    assert_eq!(
        all.confirmed
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["node0", "node1", "node2"]
    );
    assert!(all.reached && all.asked == 3);
    assert!(confirmations(&world, majority).reached);
}

#[test]
fn a_batch_of_which_some_is_known_is_confirmed_when_the_rest_is_on_disk() {
    let mut world = World::new(2);
    world.add(0, "bob", "known");
    world.run(SECOND);
    world.restart(1, |_| ());
    world.run(SECOND);
    let known = world.nodes[0].disk.changes.values().next().unwrap().clone();
    world.lose = u64::MAX;
    world.add(0, "bob", "new");
    world.run(DISK);
    world.lose = 0;
    let changes: Vec<Bytes> = world.nodes[0].disk.changes.values().cloned().collect();
    assert!(changes.len() == 2 && changes.contains(&known));
    let push = Message::Push(vec![Pushed {
        name: name("bob"),
        changes,
        confirm: true,
    }]);
    let (conn, bytes) = (
        world.conn(0, 1),
        wire::encode((Shard(0), Shard(255)), &push).unwrap(),
    );
    world.handle(1, Input::Message { conn, bytes });
    world.run(JOB);
    assert_eq!(
        (
            world.stats(1).loads,
            world.stats(1).writes_pending,
            world.haves.get(&1)
        ),
        (1, 1, None)
    );
    world.run(DISK);
    assert_eq!(world.haves.get(&1), Some(&1));
}

#[test]
fn replicas_that_are_not_reached_are_told_at_the_deadline_and_a_retry_waits_on() {
    let mut world = World::new(2);
    world.run(SECOND);
    world.cut(0, 1);
    let request = world.request(
        0,
        replicated("bob", with_id(1, "a"), Replicas::Count(2), SECOND),
    );
    world.run(SECOND);
    let missed = confirmations(&world, request);
    assert!(!missed.reached && missed.confirmed.len() == 1);
    let retry = world.request(
        0,
        replicated("bob", with_id(1, "a"), Replicas::Count(2), 5 * SECOND),
    );
    world.connect(0, 1);
    world.run(3 * SECOND);
    assert!(confirmations(&world, retry).reached);
    let many = world.request(
        0,
        replicated("bob", with_id(2, "b"), Replicas::Count(3), SECOND),
    );
    assert_eq!(
        world.reply(many).unwrap(),
        &Err(Refusal::TooManyReplicas { asked: 3, have: 2 })
    );
    assert_eq!(world.nodes[0].disk.titles("bob"), ["a"]);
}

#[test]
fn a_large_change_travels_in_parts_and_is_confirmed() {
    let mut world = World::new(2);
    world.run(SECOND);
    let many = (0..40)
        .map(|i| NewEntry {
            notes: "x".repeat(60_000),
            ..entry(&format!("{i}"))
        })
        .collect();
    let request = world.request(
        0,
        replicated("bob", Edit::Add(many), Replicas::All, 5 * SECOND),
    );
    world.run(2 * SECOND);
    assert!(world.nodes[0].disk.changes.values().next().unwrap().len() > 1 << 20);
    assert!(confirmations(&world, request).reached);
    world.assert_agreed();
    world.cut(0, 1);
    let many = (0..40)
        .map(|i| NewEntry {
            notes: "y".repeat(60_000),
            ..entry(&format!("{i}"))
        })
        .collect();
    world.edit(0, "bob", Edit::Add(many));
    world.run(SECOND);
    world.connect(0, 1);
    world.run(2 * SECOND);
    world.assert_agreed();
}

#[test]
fn a_document_that_left_the_memory_comes_back_as_it_was() {
    let mut world = World::new(1);
    world.restart(0, |settings| settings.resident_bytes = 0);
    for i in 0..100 {
        world.add(0, "bob", &format!("entry {i}"));
    }
    world.run(SECOND);
    assert_eq!(world.stats(0).resident, 0);
    assert_eq!(world.nodes[0].disk.snapshots.len(), 1);
    for i in 0..20 {
        world.add(0, "bob", &format!("more {i}"));
        world.run(SECOND);
    }
    assert_eq!(world.stats(0).loads, 20);
    assert_eq!(world.nodes[0].disk.titles("bob").len(), 120);
    world.assert_agreed();
}

#[test]
fn an_edit_wins_against_a_concurrent_deletion() {
    let mut world = World::new(2);
    world.run(SECOND);
    let request = world.add(0, "bob", "milk");
    world.run(SECOND);
    let id = added(&world, request);
    world.cut(0, 1);
    world.edit(0, "bob", Edit::Delete(id));
    world.edit(1, "bob", Edit::Patch(id, patch("bread")));
    world.run(SECOND);
    world.connect(0, 1);
    world.run(SECOND);
    world.assert_agreed();
    assert_eq!(world.nodes[0].disk.titles("bob"), ["bread"]);
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
        let mut world = World::new(2);
        world.run(SECOND);
        let conn = world.conn(0, 1);
        world.handle(
            0,
            Input::Message {
                conn,
                bytes: Bytes::copy_from_slice(bytes),
            },
        );
        assert_eq!(world.nodes[0].closed, [(conn, CloseReason::Malformed)]);
        assert_eq!(world.stats(0).malformed, 1);
    }
}

#[test]
fn preconditions_are_compared_with_what_is_there() {
    let mut world = World::new(1);
    let request = world.add(0, "bob", "milk");
    world.run(SECOND);
    let id = added(&world, request);
    let tag = world.nodes[0].disk.entries[&(ListId::of(&name("bob")), id)].tag();
    let list_tag = world.nodes[0].disk.lists[&ListId::of(&name("bob"))].tag();
    let ask = |edit, expect| {
        Command::Edit(ask::Edit {
            list: name("bob"),
            edit,
            expect: Some(expect),
            replicas: None,
            timeout: SECOND,
        })
    };
    let good = world.request(
        0,
        ask(Edit::Patch(id, patch("bread")), Precondition::Entry(tag)),
    );
    let stale = world.request(
        0,
        ask(Edit::Patch(id, patch("cake")), Precondition::Entry(tag)),
    );
    let stale_list = world.request(
        0,
        ask(Edit::Add(vec![entry("x")]), Precondition::List(list_tag)),
    );
    world.run(SECOND);
    assert!(world.reply(good).unwrap().is_ok());
    assert_eq!(world.reply(stale).unwrap(), &Err(Refusal::Changed));
    assert_eq!(world.reply(stale_list).unwrap(), &Err(Refusal::Changed));
    assert_eq!(world.nodes[0].disk.titles("bob"), ["bread"]);
}

#[test]
fn what_is_not_there_is_refused() {
    let mut world = World::new(1);
    let unknown = world.edit(0, "bob", Edit::DeleteAll);
    assert_eq!(
        world.reply(unknown).unwrap(),
        &Err(Refusal::NoList("bob".into()))
    );
    world.add(0, "bob", "milk");
    world.run(SECOND);
    let missing = world.edit(0, "bob", Edit::Delete(EntryId(5)));
    let gone = world.edit(0, "bob", Edit::DeleteAll);
    world.run(SECOND);
    let again = world.edit(0, "bob", Edit::DeleteAll);
    assert_eq!(
        world.reply(missing).unwrap(),
        &Err(Refusal::NoEntry(EntryId(5)))
    );
    assert!(world.reply(gone).unwrap().is_ok());
    assert_eq!(
        world.reply(again).unwrap(),
        &Err(Refusal::NoList("bob".into()))
    );
}

#[test]
fn a_list_can_be_read_as_it_was() {
    let mut world = World::new(1);
    let first = world.add(0, "bob", "milk");
    world.run(SECOND);
    world.add(0, "bob", "bread");
    world.run(SECOND);
    let Some(Ok(Reply::Edited(Edited {
        change: Some(change),
        ..
    }))) = world.reply(first).cloned()
    else {
        panic!()
    };
    let then = world.request(
        0,
        ask::EntriesAt {
            list: name("bob"),
            change,
            timeout: SECOND,
        },
    );
    world.run(SECOND);
    let Some(Ok(Reply::Entries(entries))) = world.reply(then) else {
        panic!()
    };
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.title.as_str())
            .collect::<Vec<_>>(),
        ["milk"]
    );
}

#[test]
fn leaving_waits_until_another_node_has_everything() {
    let mut world = World::new(2);
    world.cut(0, 1);
    let nothing = world.request(0, ask::Depart { timeout: SECOND });
    assert_eq!(world.reply(nothing).unwrap(), &Ok(Reply::Unconfirmed(0)));
    for i in 0..10 {
        world.add(0, &format!("list {i}"), "x");
    }
    world.add(1, "list 3", "y");
    world.run(SECOND);
    let alone = world.request(0, ask::Depart { timeout: SECOND });
    world.run(SECOND);
    assert_eq!(world.reply(alone).unwrap(), &Ok(Reply::Unconfirmed(10)));
    let request = world.request(
        0,
        ask::Depart {
            timeout: 5 * SECOND,
        },
    );
    world.connect(0, 1);
    world.run(3 * SECOND);
    assert_eq!(world.reply(request).unwrap(), &Ok(Reply::Unconfirmed(0)));
    let quick = world.request(
        0,
        ask::Depart {
            timeout: 5 * SECOND,
        },
    );
    world.run(3 * NET);
    assert_eq!(world.reply(quick).unwrap(), &Ok(Reply::Unconfirmed(0)));
}

#[test]
fn requests_wait_for_a_document_until_their_deadline() {
    let mut world = World::new(1);
    world.add(0, "bob", "milk");
    world.run(SECOND);
    world.restart(0, |_| ());
    let timeout = Duration::ZERO;
    let request = Command::Edit(ask::Edit {
        list: name("bob"),
        edit: Edit::DeleteAll,
        expect: None,
        replicas: None,
        timeout,
    });
    let request = world.request(0, request);
    world.run(SECOND);
    assert_eq!(world.reply(request).unwrap(), &Err(Refusal::Timeout));
    assert_eq!(world.nodes[0].disk.titles("bob"), ["milk"]);
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut world = World::new(3);
        for i in 0..60 {
            world.add(i % 3, &format!("list {}", i % 4), &format!("entry {i}"));
            world.run(Duration::from_millis(37));
        }
        world.run(3 * SECOND);
        (
            world.messages,
            world.bytes,
            world.nodes[2].disk.changes.clone(),
        )
    };
    assert!(run() == run());
}
