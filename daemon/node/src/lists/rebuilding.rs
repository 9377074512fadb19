//! Rows of lists that are made anew from their changes.

use super::ask;
use super::harness::{World, name};
use super::io::{Command, Refusal, Remake, Reply};
use bytes::Bytes;
use names::{EntryId, ListId};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn rebuild(list: Option<&str>) -> Command {
    Command::Rebuild(ask::Rebuild {
        list: list.map(name),
        timeout: SECOND,
    })
}

/// A node with two lists whose rows are wrong in all ways that a disk's model allows.
fn spoiled() -> World {
    let mut world = World::new(1);
    for title in ["milk", "bread"] {
        world.add(0, "bob", title);
        world.add(0, "ann", title);
    }
    world.run(SECOND);
    let disk = &mut world.nodes[0].disk;
    let (bob, ann) = (ListId::of(&name("bob")), ListId::of(&name("ann")));
    let (key, entry) = disk.entries.pop_first().unwrap();
    let mut stray = crdt::entry::Entry::clone(&entry);
    stray.id = EntryId(7);
    for list in [bob, ann] {
        disk.entries
            .insert((list, stray.id), Arc::new(stray.clone()));
        disk.lists.get_mut(&list).unwrap().total = 9;
    }
    assert!(key.0 == bob || key.0 == ann);
    world
}

#[test]
fn rows_are_made_anew_when_somebody_asks() {
    let mut world = spoiled();
    let request = world.request(0, rebuild(Some("bob")));
    world.add(0, "bob", "tea");
    world.run(SECOND);
    assert_eq!(world.reply(request), Some(&Ok(Reply::Rebuilt(1))));
    assert_eq!(world.nodes[0].disk.titles("bob"), ["milk", "bread", "tea"]);
    assert_ne!(world.nodes[0].disk.titles("ann"), ["milk", "bread"]);
    let request = world.request(0, rebuild(None));
    world.run(SECOND);
    assert_eq!(world.reply(request), Some(&Ok(Reply::Rebuilt(2))));
    world.nodes[0].disk.check();
    let request = world.request(0, rebuild(Some("nobody")));
    assert_eq!(
        world.reply(request),
        Some(&Err(Refusal::NoList("nobody".to_owned())))
    );
}

#[test]
fn rows_are_made_anew_after_a_start_that_finds_them_wanting() {
    let mut world = spoiled();
    let both = [
        (ListId::of(&name("bob")), Remake::Damaged),
        (ListId::of(&name("ann")), Remake::Converted),
    ];
    world.restart(0, |settings| settings.remake.extend(both));
    let stats = world.stats(0);
    assert_eq!((stats.remaking, stats.remaking_awaited), (2, 1));
    world.add(0, "ann", "tea");
    world.run(SECOND);
    let stats = world.stats(0);
    assert_eq!((stats.remaking, stats.remaking_awaited), (0, 0));
    world.nodes[0].disk.check();
    assert_eq!(world.nodes[0].disk.titles("ann"), ["milk", "bread", "tea"]);
}

#[test]
fn rows_stay_as_they_are_where_the_changes_make_no_list() {
    let mut world = spoiled();
    let bob = ListId::of(&name("bob"));
    for (key, bytes) in &mut world.nodes[0].disk.changes {
        if key.0 == bob {
            *bytes = Bytes::from_static(b"rubbish");
        }
    }
    let before = world.nodes[0].disk.titles("bob");
    let request = world.request(0, rebuild(None));
    world.run(SECOND);
    assert!(
        matches!(world.reply(request), Some(Err(Refusal::Damaged(_)))),
        "{:?}",
        world.reply(request)
    );
    assert_eq!(world.nodes[0].disk.titles("bob"), before);
    assert_eq!(world.nodes[0].disk.titles("ann"), ["milk", "bread"]);
}

#[test]
fn a_rebuild_outlives_a_failed_commit() {
    let mut world = spoiled();
    let all = [(ListId::of(&name("bob")), Remake::Converted)];
    world.restart(0, |settings| settings.remake.extend(all));
    world.nodes[0].failing = Some(false);
    world.run(SECOND);
    assert_eq!(world.stats(0).remaking, 1);
    world.nodes[0].failing = None;
    world.reopen(0, 9);
    world.run(SECOND);
    assert_eq!(world.stats(0).remaking, 0);
    assert_eq!(world.nodes[0].disk.titles("bob"), ["milk", "bread"]);
}
