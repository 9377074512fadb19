//! Changes of lists that are pushed to other nodes, and those that are missed and found.

use crate::entries::{edit, patch};
use crate::script::Script;
use crdt::entry::Edit;
use node::wire::Channel;
use sim::network::Drops;

#[test]
fn a_push_makes_the_peers_view_equal() {
    let mut world = Script::compared(3);
    let request = world.add(0, "bob", "buy milk");
    world.add(1, "ann", "call bob");
    world.run_until_agreed(50);
    assert_eq!(world.titles(2, "bob"), ["buy milk"]);
    assert_eq!(world.lists_stats(2).repairs_begun, 0);
    let id = world.edited(request).entries[0].id;
    world.edit(2, edit("bob", Edit::Patch(id, patch("buy bread").into())));
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
        // Clients wait for answers: no more than a thousand are open at once.
        if i % 1_000 == 999 {
            world.run_ms(500);
        }
    }
    world.run_ms(2_000);
    assert_eq!(world.hosts[0].disk.image.changes.len(), 10_000);
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
    world.edit(1, edit("bob", Edit::Patch(id, patch("by 1").into())));
    world.run_ms(20);
    assert_eq!(world.lists_stats(2).orphans, 1);
    assert_eq!(world.titles(2, "bob"), [""; 0]);
    world.run_ms(1_000);
    assert_eq!(world.lists_stats(2).orphans, 0);
    assert_eq!(world.titles(2, "bob"), ["by 1"]);
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
    world.edit(1, edit("bob", Edit::Patch(id, patch("bread").into())));
    world.run_ms(1_000);
    world.heal();
    world.run_until_agreed(8_000);
    assert_eq!(world.titles(0, "bob"), ["bread"]);
}
