//! A node whose disk was restored from a copy that was made while it ran is no liar: it says of nothing
//! that it is its own but of what its disk says that it has made.

use super::*;
use names::Role;
use node::wire::{ConnId, Protocol};
use sim::disk::Image;

/// A host that is cut off hears these changes as from another one, on a connection that nobody knows.
fn hear(world: &mut Script, (from, to): (usize, usize), changes: &[Bytes]) {
    let list = ListId::of(&name("bob"));
    let owner = world.hosts[to].process.as_ref().unwrap().owner_of(list);
    let conn = ConnId(u64::MAX - 7);
    let connected = Input::Connected {
        peer: world.hosts[from].peer.id,
        role: Role::Member,
        conn,
        protocol: Protocol::PROVED,
    };
    let bytes = push(name("bob"), changes.to_vec(), false);
    world.tell_lists(to, owner, connected);
    world.tell_lists(to, owner, Input::Message { conn, bytes });
    world.run_ms(100);
    world.tell_lists(to, owner, Input::Closed { conn });
    world.run_ms(10);
}

/// The first host starts again with an older disk, and is cut off.
fn restore(world: &mut Script, image: Image) {
    world.kill(0);
    world.cut(&[0], &[1, 2]);
    world.hosts[0].disk.replace(image);
    world.hosts[0].restored = true;
    world.start(0, &[0]);
    world.run_ms(1_000);
}

/// What the first host has written last.
fn last_of_first(world: &Script, actor: Actor) -> Bytes {
    let changes = world.hosts[0].disk.image.changes.iter();
    let mut own = changes.filter(|((_, of, _), _)| *of == actor);
    own.next_back().unwrap().1.clone()
}

/// All agree, nobody was shut out or named, and what the first host has acknowledged is there once.
fn nobody_is_a_liar(mut world: Script) {
    world.heal();
    world.run_until(60_000, "all agree", |world| {
        let is_at_rest = |host| {
            let stats = world.lists_stats(host);
            stats.orphans == 0 && stats.forked == 0
        };
        sim::check::convergence::check(world).is_ok()
            && (0..3).all(is_at_rest)
            && world.titles(1, "bob").contains(&"honest".to_owned())
    });
    assert_eq!(world.record().contradictions, []);
    assert_eq!(world.record().closed, []);
    for host in 0..3 {
        let titles = world.titles(host, "bob");
        let count = |title| titles.iter().filter(|one| *one == title).count();
        assert_eq!((count("first"), count("honest")), (1, 1), "{titles:?}");
    }
    converges(&mut world);
    assert_eq!(world.record().contradictions, []);
}

#[test]
fn a_restored_node_does_not_contradict_what_it_signed_before() {
    for seed in SEEDS {
        let mut world = with_a_list();
        let backup = world.hosts[0].disk.image.clone();
        let actor = actor(&world, 0);
        let forged = forge(&world, actor, seed, 1);
        deliver(&mut world, (2, 1), &forged);
        world.run_ms(150);
        write(&mut world, 1);
        let honest = last_of_first(&world, actor);
        world.run_until(20_000, "it has signed which one is its own", |world| {
            let settled = |host: usize| world.hosts[host].disk.image.left_out.values();
            (0..3).all(|host| settled(host).any(|one| one.word().is_some()))
        });
        restore(&mut world, backup);
        // Nobody reminds it of its word.
        hear(&mut world, (2, 0), &forged);
        hear(&mut world, (2, 0), &[honest]);
        assert!(!world.hosts[0].disk.image.left_out.is_empty());
        // As long as nobody does, either may be its own: it keeps what both say.
        nobody_is_a_liar(world);
    }
}

#[test]
fn what_a_restored_node_has_lost_and_another_change_displaces_is_written_anew() {
    let mut displaced = BTreeSet::new();
    for seed in SEEDS {
        let mut world = with_a_list();
        let backup = world.hosts[0].disk.image.clone();
        let actor = actor(&world, 0);
        let forged = forge(&world, actor, seed, 1);
        write(&mut world, 1);
        let honest = sim::disk::hash_of(&last_of_first(&world, actor));
        restore(&mut world, backup);
        hear(&mut world, (2, 0), &forged);
        assert_eq!(world.titles(0, "bob"), ["first", "forged"]);
        displaced.insert(sim::disk::hash_of(&forged[0]) < honest);
        nobody_is_a_liar(world);
    }
    assert_eq!(displaced.len(), 2, "either was displaced in some run");
}

#[test]
fn what_others_write_by_an_actor_of_this_run_is_not_written_anew_as_its_own() {
    for seed in SEEDS {
        let mut world = with_a_list();
        let actor = actor(&world, 0);
        let one = forge(&world, actor, seed, 1);
        let other = forge(&world, actor, seed + 100, 1);
        deliver(&mut world, (1, 0), &one);
        world.run_ms(300);
        world.add(0, "bob", "honest");
        deliver(&mut world, (1, 0), &other);
        world.run_ms(2_000);
        let made = world.hosts[0].disk.image.made.iter();
        let made: Vec<u64> = made.map(|(_, seq)| *seq).collect();
        // By the next actor, and once more by another one if what it wrote on top of has left.
        assert!(
            made.len() >= 2 && made.iter().all(|seq| *seq == 1),
            "{made:?}"
        );
        let gone = |world: &Script| -> Vec<Gone> {
            let left = world.record().left.iter().filter(|(host, _)| *host == 0);
            left.flat_map(|(_, left)| left.changes.clone()).collect()
        };
        let forged = sim::disk::hash_of(&one[0]);
        let of_forged = |gone: &Gone| gone.hash == forged;
        assert!(
            !gone(&world)
                .iter()
                .any(|gone| of_forged(gone) && gone.is_own)
        );
        let titles = world.titles(0, "bob");
        let count = |title| titles.iter().filter(|one| *one == title).count();
        assert_eq!((count("honest"), count("forged")), (1, 1), "{titles:?}");
        converges(&mut world);
    }
}
