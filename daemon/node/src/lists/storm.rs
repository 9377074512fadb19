//! Everything at once: crashes, cuts, losses, failed commits and tight memory, drawn from a seed.
//! In the end all nodes agree, each view is what its changes make, and nothing that was
//! acknowledged is missing.

use super::ask;
use super::harness::{World, command, entry, replicated};
use super::io::{Command, Input, Replicas, Reply};
use bytes::Bytes;
use crdt::entry::{Edit, EntryPatch, NewEntry};
use names::{ChangeHash, EntryId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::time::Duration;

const NODES: usize = 3;

fn edit(rng: &mut ChaCha8Rng) -> Edit {
    let id = EntryId(rng.random_range(1..30));
    match rng.random_range(0..10) {
        0 => Edit::DeleteAll,
        1 | 2 => Edit::Delete(id),
        3..6 => Edit::Patch(
            id,
            EntryPatch {
                title: Some(format!("title {}", rng.random::<u16>())),
                ..EntryPatch::default()
            },
        ),
        6 => Edit::Add(vec![NewEntry {
            notes: "n".repeat(60_000),
            id: Some(id),
            ..entry("long")
        }]),
        7 => Edit::Add((0..50).map(|_| entry("many")).collect()),
        _ => Edit::Add(vec![NewEntry {
            id: Some(id),
            ..entry("one")
        }]),
    }
}

fn request(rng: &mut ChaCha8Rng) -> Command {
    let list = format!("list {}", rng.random_range(0..6));
    match rng.random_range(0..10) {
        0 => replicated(&list, edit(rng), Replicas::Majority, Duration::from_secs(2)),
        1 => Command::from(ask::Depart {
            timeout: Duration::from_secs(1),
        }),
        _ => command(&list, edit(rng)),
    }
}

fn disturb(world: &mut World, rng: &mut ChaCha8Rng) {
    let (a, b) = (rng.random_range(0..NODES), rng.random_range(0..NODES));
    match rng.random_range(0..8) {
        0 if a != b => world.cut(a, b),
        1 | 2 if a != b => {
            world.cut(a, b);
            world.connect(a, b);
        }
        3 if a != b => world.connect(a, b),
        4 => world.lose = rng.random_range(1..20),
        5 => world.restart(a, |settings| settings.resident_bytes = 40_000),
        6 if world.nodes[a].failing.is_none() => world.nodes[a].failing = Some(rng.random()),
        _ if world.nodes[a].failing.is_some() => world.reopen(a, rng.random()),
        _ => {
            let conns = world.conns(a);
            conns
                .into_iter()
                .for_each(|conn| world.handle(a, Input::Overflowed { conn }));
        }
    }
}

fn acknowledged(world: &World) -> BTreeSet<ChangeHash> {
    let replies = world
        .replies
        .values()
        .filter_map(|(_, reply)| reply.as_ref().ok());
    replies
        .filter_map(|reply| {
            if let Reply::Edited(edited) = reply {
                edited.change
            } else {
                None
            }
        })
        .collect()
}

fn storm(seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::new(NODES);
    let mut requests = Vec::new();
    for _ in 0..300 {
        let node = rng.random_range(0..NODES);
        requests.push(world.request(node, request(&mut rng)));
        if rng.random_ratio(1, 6) {
            disturb(&mut world, &mut rng);
        }
        world.run(Duration::from_millis(rng.random_range(0..40)));
    }
    world.lose = 0;
    for a in 0..NODES {
        if world.nodes[a].failing.is_some() {
            world.reopen(a, 200 + a as u8);
        }
        (0..a).for_each(|b| world.cut(a, b));
        (0..a).for_each(|b| world.connect(a, b));
    }
    world.run(Duration::from_secs(6));
    world.assert_agreed();
    let there: BTreeSet<ChangeHash> = world.nodes[0].disk.changes.values().map(hash).collect();
    let missing: Vec<_> = acknowledged(&world).difference(&there).copied().collect();
    assert!(missing.is_empty(), "acknowledged and missing: {missing:?}");
    assert!(acknowledged(&world).len() > 50 && requests.len() == 300);
}

fn hash(bytes: &Bytes) -> ChangeHash {
    crdt::list::judge(bytes.clone())
        .expect("a change that was committed")
        .hash()
}

#[test]
fn whatever_happens_the_nodes_agree_in_the_end() {
    for seed in 0..6 {
        println!("seed {seed}");
        storm(seed);
    }
}
