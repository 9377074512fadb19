//! What a node answers to those who write to a list and read it.

use crate::entries::{edit, entry, name, patch, with_id};
use crate::script::Script;
use crdt::entry::Edit;
use names::{Actor, EntryId, ListId};
use node::lists::{Precondition, Refusal, Reply, ask};
use node::wire::WriteError;
use sim::disk::Survival;
use std::collections::BTreeSet;
use std::time::Duration;

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
    let good = world.edit(0, ask(Edit::Patch(id, patch("bread").into()), entry_tag));
    let stale = world.edit(0, ask(Edit::Patch(id, patch("cake").into()), entry_tag));
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
    let (list, timeout) = (name("bob"), Duration::from_secs(1));
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
