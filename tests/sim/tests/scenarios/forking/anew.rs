//! What honest nodes have written on top of a change that leaves the list they write anew.

use super::*;
use names::ChangeHash;
use sim::disk::Survival;
use sim::faults::Fault;

const TITLES: [&str; 2] = ["on top by node2", "on top by node3"];

/// Two nodes have taken a change that is not its author's, and have acknowledged what they wrote on top
/// of it. Then the author writes with the same number. Gives what they acknowledged.
fn on_top(seed: u128) -> (Script, Vec<ChangeHash>) {
    let mut world = with_a_list();
    let actor = actor(&world, 0);
    let forged = forge(&world, actor, seed, 1);
    // Nobody tells the author of it before it writes.
    world.cut(&[0], &[1, 2]);
    world.run_until(20_000, "they are apart", |world| {
        world.stats(0).connections == 0
    });
    deliver(&mut world, (2, 1), &forged);
    deliver(&mut world, (1, 2), &forged);
    world.run_ms(150);
    let requests = [(1, TITLES[0]), (2, TITLES[1])];
    let requests = requests.map(|(host, title)| {
        let request = world.add(host, "bob", title);
        world.run_ms(300);
        request
    });
    let acknowledged = requests.map(|request| world.edited(request).change.unwrap());
    world.add(0, "bob", "honest");
    world.run_ms(300);
    (world, acknowledged.to_vec())
}

/// All have what was acknowledged, once, by changes of those who had acknowledged it.
fn is_written_anew(world: &mut Script, acknowledged: &[ChangeHash]) {
    world.run_until(60_000, "nothing is waited for", |world| {
        let is_at_rest = |host| {
            let stats = world.lists_stats(host);
            stats.orphans == 0 && stats.forked == 0
        };
        sim::check::convergence::check(world).is_ok() && (0..3).all(is_at_rest)
    });
    world.run_until_agreed(1_000);
    let list = ListId::of(&name("bob"));
    for host in 0..3 {
        let mut titles = world.titles(host, "bob");
        titles.sort();
        assert_eq!(titles, ["first", "honest", TITLES[0], TITLES[1]], "{host}");
        let image = &world.hosts[host].disk.image;
        assert!(acknowledged.iter().all(|hash| !image.has(hash)));
        assert_eq!(image.changes_of(list).count(), 4, "each of them once");
    }
    // Who has acknowledged it says where it is now.
    for (host, hash) in (1..3).zip(acknowledged) {
        let left = world.record().left.iter().filter(|(of, _)| *of == host);
        let gone = left.flat_map(|(_, left)| &left.changes);
        let gone: Vec<&Gone> = gone.filter(|gone| gone.hash == *hash).collect();
        let [gone] = gone.as_slice() else {
            panic!("{gone:?}");
        };
        assert!(gone.is_own && gone.anew.len() == 1, "{gone:?}");
        assert!(world.hosts[0].disk.image.has(&gone.anew[0]));
    }
}

#[test]
fn what_nodes_wrote_on_top_of_a_change_that_leaves_comes_back_once() {
    for seed in SEEDS {
        let (mut world, acknowledged) = on_top(seed);
        world.heal();
        is_written_anew(&mut world, &acknowledged);
        // Also after all have lost their memory.
        (0..3).for_each(|host| world.restart(host));
        world.run_until_agreed(20_000);
        let list = ListId::of(&name("bob"));
        let changes = world.hosts[1].disk.image.changes_of(list);
        assert_eq!(changes.count(), 4);
        converges(&mut world);
    }
}

/// A node dies while the write is on its way by which the other branch leaves its list.
fn crashed(seed: u128, survival: Survival) -> Script {
    let (mut world, acknowledged) = on_top(seed);
    world.slow_disk_ms(1, 200);
    world.heal();
    world.run_until(20_000, "it settles what stays", |world| {
        world.hosts[1]
            .disk
            .settling_writes(ListId::of(&name("bob")))
            > 0
    });
    world.strike(Fault::Kill { host: 1, survival });
    let is_there = !world.hosts[1].disk.image.left_out.is_empty();
    assert_eq!(is_there, survival == Survival::Everything);
    world.slow_disk_ms(1, 1);
    world.start(1, &[0]);
    world.expect_whole(3);
    // Nobody was there to say it, where the write had come to the disk.
    if survival == Survival::Nothing {
        is_written_anew(&mut world, &acknowledged);
    }
    world
}

#[test]
fn what_a_crash_has_interrupted_is_written_anew_after_it() {
    for seed in SEEDS {
        crashed(seed, Survival::Nothing);
    }
}

#[test]
fn what_came_to_the_disk_before_a_crash_is_not_written_anew_again() {
    for seed in SEEDS {
        let mut world = crashed(seed, Survival::Everything);
        world.run_until_agreed(20_000);
        let list = ListId::of(&name("bob"));
        for host in 0..3 {
            let mut titles = world.titles(host, "bob");
            titles.sort();
            assert_eq!(titles, ["first", "honest", TITLES[0], TITLES[1]]);
            assert_eq!(world.hosts[host].disk.image.changes_of(list).count(), 4);
        }
    }
}
