//! What recurs, ticked on nodes that are apart.

use crate::entries::{edit, entry, name};
use crate::script::Script;
use crdt::entry::{Due, Edit, Entry, EntryPatch, NewEntry};
use names::{EntryId, ListId};

const BINS: EntryId = EntryId(7);

fn weekly() -> Edit {
    Edit::Add(vec![NewEntry {
        id: Some(BINS),
        due: Some(Due::Date("2090-01-02".parse().unwrap())),
        every: Some("FREQ=WEEKLY".to_owned()),
        ..entry("bins")
    }])
}

fn tick(done: bool) -> Edit {
    let patch = EntryPatch {
        done: Some(done),
        ..EntryPatch::default()
    };
    Edit::Patch(BINS, patch.into())
}

/// What is still to do, as a host's disk has it.
fn open(world: &Script, host: usize) -> Vec<Entry> {
    let image = &world.hosts[host].disk.image;
    let entries = image.entries_of(ListId::of(&name("home")));
    let open = entries.filter(|entry| entry.is_open());
    open.map(|entry| entry.as_ref().clone()).collect()
}

/// Three nodes that have what recurs, and are apart.
fn three_apart() -> Script {
    let mut world = Script::compared(3);
    let added = world.edit(0, edit("home", weekly()));
    world.run_until_agreed(5_000);
    world.edited(added);
    (0..3).for_each(|a| (0..a).for_each(|b| world.cut(&[a], &[b])));
    world.run_until(20_000, "nobody is connected", |world| {
        (0..3).all(|host| world.stats(host).connections == 0)
    });
    world
}

#[test]
fn three_nodes_apart_make_the_same_next_one() {
    let mut world = three_apart();
    world.add(1, "home", "something else");
    world.run_ms(1_000);
    let ticked: Vec<u64> = (0..3)
        .map(|host| world.edit(host, edit("home", tick(true))))
        .collect();
    world.run_ms(1_000);
    for (host, request) in ticked.into_iter().enumerate() {
        world.edited(request);
        let made = open(&world, host).into_iter();
        assert_eq!(made.filter(|entry| entry.title == "bins").count(), 1);
    }
    world.heal();
    world.run_until_agreed(30_000);
    let open: Vec<Entry> = open(&world, 2);
    let next: Vec<&Entry> = open.iter().filter(|entry| entry.title == "bins").collect();
    assert_eq!(next.len(), 1, "{next:?}");
    assert_eq!(next[0].due, Some(Due::Date("2090-01-09".parse().unwrap())));
    assert_eq!(next[0].conflicts, []);
}

#[test]
fn what_one_node_takes_back_another_one_keeps_if_it_was_touched() {
    let mut world = three_apart();
    let ticked = world.edit(0, edit("home", tick(true)));
    world.run_ms(1_000);
    world.edited(ticked);
    let next = open(&world, 0)[0].id;
    world.heal();
    world.run_until_agreed(30_000);
    (0..3).for_each(|a| (0..a).for_each(|b| world.cut(&[a], &[b])));
    world.run_ms(20_000);
    let title = EntryPatch {
        title: Some("bins, both".to_owned()),
        ..EntryPatch::default()
    };
    world.edit(2, edit("home", Edit::Patch(next, title.into())));
    world.edit(0, edit("home", tick(false)));
    world.run_ms(1_000);
    assert_eq!(open(&world, 0).len(), 1);
    world.heal();
    world.run_until_agreed(30_000);
    let titles: Vec<String> = open(&world, 1)
        .into_iter()
        .map(|entry| entry.title)
        .collect();
    assert!(titles.contains(&"bins, both".to_owned()), "{titles:?}");
}
