//! Rows of lists that are made anew from their changes.

use crate::entries::name;
use crate::script::Script;
use bytes::Bytes;
use names::{EntryId, ListId};
use node::lists::{Refusal, Remake, Reply, ask};
use std::sync::Arc;
use std::time::Duration;

fn rebuild(list: Option<&str>) -> ask::Rebuild {
    ask::Rebuild {
        list: list.map(name),
        timeout: Duration::from_secs(1),
    }
}

fn lists() -> [ListId; 2] {
    ["bob", "ann"].map(|list| ListId::of(&name(list)))
}

/// A node with two lists whose rows say what was never written.
fn spoiled() -> Script {
    let mut world = Script::compared(2);
    for title in ["milk", "bread"] {
        world.add(0, "bob", title);
        world.add(0, "ann", title);
        world.run_ms(1_000);
    }
    let image = &mut world.hosts[0].disk.image;
    let mut stray = image
        .entries_of(lists()[0])
        .next()
        .unwrap()
        .as_ref()
        .clone();
    stray.id = EntryId(7);
    for list in lists() {
        image
            .entries
            .insert((list, stray.id), Arc::new(stray.clone()));
        image.lists.get_mut(&list).unwrap().total = 9;
    }
    world
}

#[test]
fn rows_are_made_anew_when_somebody_asks() {
    let [bob, _] = lists();
    let mut world = spoiled();
    let request = world.ask_lists(0, bob, rebuild(Some("bob")));
    world.add(0, "bob", "tea");
    world.run_ms(1_000);
    assert_eq!(world.list_reply(request), Some(&Ok(Reply::Rebuilt(1))));
    assert_eq!(world.titles(0, "bob"), ["milk", "bread", "tea"]);
    assert_eq!(world.titles(0, "ann").len(), 3, "nobody asked for it");
    let request = world.ask_lists(0, bob, rebuild(None));
    world.run_ms(1_000);
    assert!(world.list_reply(request).unwrap().is_ok());
    let request = world.ask_lists(0, bob, rebuild(Some("bob")));
    world.run_ms(1_000);
    assert_eq!(world.list_reply(request), Some(&Ok(Reply::Rebuilt(1))));
}

#[test]
fn rows_are_made_anew_after_a_start_that_finds_them_wanting() {
    let [bob, ann] = lists();
    let mut world = spoiled();
    let image = &mut world.hosts[0].disk.image;
    image.remake = [(bob, Remake::Damaged), (ann, Remake::Converted)].into();
    world.restart(0);
    world.run_ms(5_000);
    let stats = world.lists_stats(0);
    assert_eq!((stats.remaking, stats.remaking_awaited), (0, 0));
    assert_eq!(world.titles(0, "bob"), ["milk", "bread"]);
    assert_eq!(world.titles(0, "ann"), ["milk", "bread"]);
    world.run_until_agreed(8_000);
}

#[test]
fn rows_stay_as_they_are_where_the_changes_make_no_list() {
    let [bob, _] = lists();
    let mut world = spoiled();
    for (key, bytes) in &mut world.hosts[0].disk.image.changes {
        if key.0 == bob {
            *bytes = Bytes::from_static(b"rubbish");
        }
    }
    let before = world.titles(0, "bob");
    let request = world.ask_lists(0, bob, rebuild(Some("bob")));
    world.run_ms(1_000);
    assert!(
        matches!(world.list_reply(request), Some(Err(Refusal::Damaged(_)))),
        "{:?}",
        world.list_reply(request)
    );
    assert_eq!(world.titles(0, "bob"), before);
}
