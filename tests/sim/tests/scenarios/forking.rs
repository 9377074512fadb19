//! Somebody writes changes by an actor of another node: two changes with one number.

use crate::entries::{entry, name, push, replicated};
use crate::script::Script;
use bytes::Bytes;
use crdt::entry::{Author, Edit};
use crdt::list::Document;
use names::{Actor, ListId};
use node::lists::{Confirmations, Input, Replicas};
use std::collections::BTreeSet;

/// Three nodes that have a list of the first one.
fn with_a_list() -> Script {
    let mut world = Script::compared(3);
    world.add(0, "bob", "first");
    world.run_until_agreed(1_000);
    world
}

/// The actor by which a host wrote to its lists.
fn actor(world: &Script, host: usize) -> Actor {
    let image = &world.hosts[host].disk.image;
    image
        .changes
        .keys()
        .map(|(_, actor, _)| *actor)
        .next()
        .unwrap()
}

/// The next changes of that actor in "bob" that are none of its node's.
fn forge(world: &Script, actor: Actor, count: usize) -> Vec<Bytes> {
    let list = ListId::of(&name("bob"));
    let there: Vec<Bytes> = world.hosts[0]
        .disk
        .image
        .changes_of(list)
        .cloned()
        .collect();
    let mut document = Document::load(name("bob"), actor, None, &there).unwrap();
    let mut drawn = 77;
    let next = |_| {
        let mut draw = || {
            drawn += 1;
            drawn
        };
        let addition = Edit::Add(vec![entry("forged")]);
        let edited = document.edit(&addition, &Author("ann@node1".to_owned()), 0, &mut draw);
        edited.unwrap().change.unwrap().bytes
    };
    (0..count).map(next).collect()
}

/// A push arrives at a host as from another one.
fn deliver(world: &mut Script, (from, to): (usize, usize), changes: &[Bytes]) {
    let list = ListId::of(&name("bob"));
    let owner = world.hosts[to].process.as_ref().unwrap().owner_of(list);
    let conn = world.conn(to, from);
    let bytes = push(name("bob"), changes.to_vec(), false);
    world.tell_lists(to, owner, Input::Message { conn, bytes });
}

/// The first host writes that many times, and waits for all with the last.
fn write(world: &mut Script, count: usize) -> Confirmations {
    let ask = |replicas| replicated("bob", Edit::Add(vec![entry("honest")]), replicas, 2);
    for _ in 1..count {
        world.edit(0, ask(Replicas::Count(1)));
    }
    let last = world.edit(0, ask(Replicas::All));
    world.run_ms(2_100);
    world.edited(last).replicas.clone().unwrap()
}

/// Who has said of whom that it has another branch of the list.
fn alarms(world: &Script) -> BTreeSet<(usize, usize)> {
    let hosts = &world.hosts;
    let of = |peer| hosts.iter().position(|host| host.peer.id == peer).unwrap();
    let forks = world.record().forks.iter();
    forks.map(|(host, fork)| (*host, of(fork.peer))).collect()
}

/// Both ends of each pair.
fn both(pairs: &[(usize, usize)]) -> BTreeSet<(usize, usize)> {
    pairs
        .iter()
        .flat_map(|(a, b)| [(*a, *b), (*b, *a)])
        .collect()
}

/// The owner writes `ours` changes where two others have `theirs` changes of its actor already.
fn forked(ours: usize, theirs: usize) -> Script {
    let mut world = with_a_list();
    let actor = actor(&world, 0);
    let forged = forge(&world, actor, theirs);
    deliver(&mut world, (2, 1), &forged);
    deliver(&mut world, (1, 2), &forged);
    world.run_ms(150);
    assert_eq!(world.titles(1, "bob").len(), 1 + theirs);
    let replicas = write(&mut world, ours);
    let confirmed: Vec<&str> = replicas
        .confirmed
        .iter()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(
        confirmed,
        ["node1"],
        "what is on one node only is confirmed by others"
    );
    assert!(!replicas.reached);
    world.run_ms(5_000);
    assert_eq!(alarms(&world), both(&[(0, 1), (0, 2)]));
    let fork = &world.record().forks[0].1;
    assert_eq!((fork.actor, fork.list), (actor, ListId::of(&name("bob"))));
    assert!((0..3).all(|host| world.lists_stats(host).forked == 1));
    world
}

#[test]
fn another_change_with_its_number_confirms_nothing_and_raises_the_alarm() {
    let world = forked(1, 1);
    let is_own = |(host, fork): &(usize, node::lists::Fork)| fork.is_own == (*host == 0);
    assert!(world.record().forks.iter().all(is_own));
    let refused = |host| world.lists_stats(host).changes_forked;
    assert!(refused(1) > 0 && refused(2) > 0);
}

#[test]
fn a_branch_that_is_ahead_is_seen_at_the_number_where_it_begins() {
    let world = forked(1, 3);
    let at = |(_, fork): &(usize, node::lists::Fork)| fork.seq == 2;
    assert!(world.record().forks.iter().all(at));
}

#[test]
fn a_branch_that_is_behind_is_seen_too() {
    forked(3, 1);
}

#[test]
fn who_lies_to_one_node_is_seen_by_both_ends() {
    let mut world = with_a_list();
    let actor = actor(&world, 0);
    let forged = forge(&world, actor, 1);
    deliver(&mut world, (2, 1), &forged);
    world.run_ms(150);
    let replicas = write(&mut world, 1);
    let confirmed: Vec<&str> = replicas
        .confirmed
        .iter()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(confirmed, ["node1", "node3"]);
    world.run_ms(5_000);
    // The forgery was pushed to nobody, but the two whole ones compare with the forked one.
    assert_eq!(alarms(&world), both(&[(0, 1), (1, 2)]));
}

#[test]
fn nodes_find_a_fork_that_happened_while_they_were_apart() {
    let mut world = with_a_list();
    let actor = actor(&world, 0);
    world.cut(&[0], &[1, 2]);
    world.run_until(20_000, "they are apart", |world| {
        world.stats(0).connections == 0
    });
    let forged = forge(&world, actor, 2);
    deliver(&mut world, (2, 1), &forged);
    world.add(0, "bob", "honest");
    world.run_ms(2_000);
    world.heal();
    world.run_until(20_000, "all say so", |world| {
        (0..3).all(|host| world.lists_stats(host).forked == 1)
    });
    let others = world.add(0, "other", "x");
    world.run_ms(1_000);
    assert!(
        world.list_reply(others).unwrap().is_ok(),
        "other lists go on"
    );
}
