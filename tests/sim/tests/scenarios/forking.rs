//! Somebody writes changes by an actor of another node: two changes with one number.

mod anew;
mod contradicting;
mod restored;
mod spoiling;

use crate::entries::{entry, name, push, replicated};
use crate::script::Script;
use bytes::Bytes;
use crdt::entry::{Author, Edit};
use crdt::list::Document;
use names::{Actor, ListId};
use node::lists::{Confirmations, Gone, Input, Replicas};
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
fn forge(world: &Script, actor: Actor, seed: u128, count: usize) -> Vec<Bytes> {
    let list = ListId::of(&name("bob"));
    let there: Vec<Bytes> = world.hosts[0]
        .disk
        .image
        .changes_of(list)
        .cloned()
        .collect();
    let mut document = Document::load(name("bob"), actor, None, &there).unwrap();
    let mut drawn = 77 * (seed + 1);
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

/// The owner writes `ours` changes where two others have `theirs` changes of its actor already: all
/// sound the alarm, nobody else confirms, and then all agree.
fn forked(seed: u128, ours: usize, theirs: usize) -> Script {
    let mut world = with_a_list();
    let actor = actor(&world, 0);
    let forged = forge(&world, actor, seed, theirs);
    deliver(&mut world, (2, 1), &forged);
    deliver(&mut world, (1, 2), &forged);
    world.run_ms(150);
    assert_eq!(world.titles(1, "bob").len(), 1 + theirs);
    // What a node is said to have is on its disk: the simulator demands that of each answer.
    write(&mut world, ours);
    // Both ends of a pair, or neither: where one of two has heard by then which branch stays, they agree
    // without an alarm. The two that had the other branch are a pair like that, too, once one of them
    // has heard it and the other one has not.
    let alarms = alarms(&world);
    let with_owner = both(&[(0, 1), (0, 2)]);
    assert!(!alarms.is_disjoint(&with_owner), "{alarms:?}");
    assert!(
        alarms.iter().all(|(a, b)| alarms.contains(&(*b, *a))),
        "{alarms:?}"
    );
    let fork = &world.record().forks[0].1;
    assert_eq!((fork.actor, fork.list), (actor, ListId::of(&name("bob"))));
    converges(&mut world);
    world
}

/// All have one branch, say which changes have left the list, and take writes.
fn converges(world: &mut Script) {
    // What nobody has any more is waited for some seconds.
    world.run_until(60_000, "nothing is waited for", |world| {
        let is_at_rest = |host| world.lists_stats(host).orphans == 0;
        sim::check::convergence::check(world).is_ok() && (0..3).all(is_at_rest)
    });
    world.run_until_agreed(1_000);
    world.run_until(20_000, "nobody sounds an alarm", |world| {
        (0..3).all(|host| world.lists_stats(host).forked == 0)
    });
    let images: Vec<_> = world.hosts.iter().map(|host| &host.disk.image).collect();
    assert!(images.iter().all(|image| !image.left_out.is_empty()));
    assert!(
        images
            .iter()
            .all(|image| image.known() == images[0].known())
    );
    for (host, left) in &world.record().left {
        let image = &world.hosts[*host].disk.image;
        // What is not aside is back, as its author has said that it is its own.
        let has_come_back = |gone: &Gone| {
            let mut words = image.left_out.values().filter_map(|one| one.word());
            image.has(&gone.hash) && words.next().is_some()
        };
        let is_aside = |gone: &Gone| image.aside.contains_key(&(left.list, gone.hash));
        for gone in &left.changes {
            assert!(is_aside(gone) != has_come_back(gone), "{gone:?}");
        }
    }
    for host in 0..3 {
        let addition = Edit::Add(vec![entry("after")]);
        let request = world.edit(host, replicated("bob", addition, Replicas::All, 5));
        world.run_ms(1_000);
        assert!(world.edited(request).replicas.as_ref().unwrap().reached);
    }
    world.run_until_agreed(5_000);
    // What a daemon finds when it starts is the same again.
    (0..3).for_each(|host| world.restart(host));
    world.add(0, "bob", "last");
    world.run_until_agreed(20_000);
    assert!((0..3).all(|host| world.lists_stats(host).quarantined == 0));
}

const SEEDS: std::ops::Range<u128> = 0..6;

#[test]
fn another_change_with_its_number_confirms_nothing_and_one_of_both_stays() {
    for seed in SEEDS {
        let world = forked(seed, 1, 1);
        let is_own = |(host, fork): &(usize, node::lists::Fork)| fork.is_own == (*host == 0);
        assert!(world.record().forks.iter().all(is_own));
        // What its owner has acknowledged stays, though the forged one may have the smaller hash.
        let moved =
            |(host, left): &(usize, node::lists::Left)| *host == 0 || left.changes.is_empty();
        assert!(!world.record().left.iter().any(moved));
        for host in 0..3 {
            let titles = world.titles(host, "bob");
            assert!(titles.contains(&"honest".to_owned()), "{host}: {titles:?}");
            assert!(!titles.contains(&"forged".to_owned()), "{host}: {titles:?}");
        }
    }
}

#[test]
fn a_branch_that_is_ahead_is_seen_at_the_number_where_it_begins() {
    for seed in SEEDS {
        let world = forked(seed, 1, 3);
        let at = |(_, fork): &(usize, node::lists::Fork)| fork.seq == 2;
        assert!(world.record().forks.iter().all(at));
    }
}

#[test]
fn a_branch_that_is_behind_is_seen_too() {
    for seed in SEEDS {
        forked(seed, 3, 1);
    }
}

#[test]
fn branches_of_many_lengths_and_three_of_them_end_in_one() {
    for seed in SEEDS {
        let mut world = with_a_list();
        let actor = actor(&world, 0);
        let lengths = [(1, 2), (3, 1), (2, 2)][usize::try_from(seed % 3).unwrap()];
        let one = forge(&world, actor, seed, lengths.0);
        let other = forge(&world, actor, seed + 100, lengths.1);
        deliver(&mut world, (2, 1), &one);
        deliver(&mut world, (1, 2), &other);
        world.add(0, "bob", "honest");
        world.run_ms(300);
        // What others write on top of a branch goes with it.
        for host in 0..3 {
            world.add(host, "bob", "on top");
        }
        world.run_ms(2_000);
        converges(&mut world);
    }
}

#[test]
fn a_lie_that_one_node_was_told_does_not_last() {
    for seed in SEEDS {
        let mut world = with_a_list();
        let actor = actor(&world, 0);
        let forged = forge(&world, actor, seed, 1);
        deliver(&mut world, (2, 1), &forged);
        world.run_ms(150);
        write(&mut world, 1);
        let refused = |host| world.lists_stats(host).changes_forked;
        assert!((0..3).map(refused).sum::<u64>() > 0);
        let alarms = alarms(&world);
        assert!(both(&[(0, 1)]).is_subset(&alarms), "{alarms:?}");
        converges(&mut world);
    }
}

#[test]
fn nodes_find_a_fork_that_happened_while_they_were_apart() {
    for seed in SEEDS {
        let mut world = with_a_list();
        let actor = actor(&world, 0);
        world.cut(&[0], &[1, 2]);
        world.run_until(20_000, "they are apart", |world| {
            world.stats(0).connections == 0
        });
        let forged = forge(&world, actor, seed, 2);
        deliver(&mut world, (2, 1), &forged);
        world.add(0, "bob", "honest");
        world.run_ms(2_000);
        world.heal();
        world.run_until(20_000, "somebody says so", |world| {
            !world.record().forks.is_empty()
        });
        converges(&mut world);
    }
}
