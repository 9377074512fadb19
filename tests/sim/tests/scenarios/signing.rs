//! Changes of lists are taken by actors for which a node has signed, and by no others.

use crate::actors::by_many;
use crate::entries::{name, push};
use crate::script::Script;
use names::ListId;
use node::lists;

/// Has a host hear changes of "bob" by many actors from another one.
fn push_many(world: &mut Script, (from, to): (usize, usize), actors: usize) {
    let owner = world.hosts[to].process.as_ref().unwrap();
    let owner = owner.owner_of(ListId::of(&name("bob")));
    let conn = world.conn(to, from);
    for changes in by_many("bob", actors).chunks(1_000) {
        let bytes = push(name("bob"), changes.to_vec(), false);
        world.tell_lists(to, owner, lists::Input::Message { conn, bytes });
    }
}

#[test]
fn who_invents_authors_brings_nothing_into_a_list() {
    let mut world = Script::compared(2);
    world.add(0, "bob", "honest");
    push_many(&mut world, (1, 0), 5_000);
    world.run_ms(1_000);
    assert!(world.lists_stats(0).orphans > 0, "they wait for a while");
    world.add(1, "bob", "honest, too");
    world.run_ms(10_000);
    for host in 0..2 {
        assert_eq!(world.titles(host, "bob").len(), 2);
        assert_eq!(world.hosts[host].disk.image.changes.len(), 2);
        assert_eq!(world.lists_stats(host).orphans, 0);
    }
    // The first of each: the others depend on it.
    assert!(world.lists_stats(0).changes_unsigned > 0);
    assert_eq!(world.record().closed, []);
}

#[test]
fn where_older_programs_have_written_they_are_taken() {
    let mut world = Script::compared_unsigned(2);
    push_many(&mut world, (1, 0), 100);
    world.run_until_agreed(20_000);
    assert_eq!(world.titles(1, "bob").len(), 100);
    assert_eq!(world.lists_stats(0).changes_unsigned, 0);
}

#[test]
fn whoever_has_a_change_shows_whose_it_is() {
    let mut world = Script::compared(2);
    world.add(1, "bob", "of one that is gone");
    world.run_until_agreed(5_000);
    world.kill(1);
    let late = world.host("late", 9);
    world.start(late, &[0]);
    world.run_until(20_000, "the newcomer has the entry", |world| {
        world.titles(late, "bob") == ["of one that is gone"]
    });
    assert_eq!(world.lists_stats(late).changes_unsigned, 0);
}

#[test]
fn a_newcomer_has_the_lists_of_older_programs_when_it_is_told_to_take_them() {
    let mut world = Script::compared_unsigned(2);
    push_many(&mut world, (1, 0), 100);
    world.run_until_agreed(20_000);
    let late = world.host("late", 9);
    world.start(late, &[0]);
    world.run_ms(20_000);
    assert_eq!(world.hosts[late].disk.image.changes.len(), 0);
    assert!(world.lists_stats(late).changes_unsigned > 0);
    world.kill(late);
    world.hosts[late].takes_unsigned = true;
    world.start(late, &[0]);
    world.run_until(20_000, "it has the list", |world| {
        world.titles(late, "bob").len() == 100
    });
}
