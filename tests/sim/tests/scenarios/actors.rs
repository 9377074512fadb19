//! Lists with more actors than a message about their vector names.

use crate::entries::{entry, name, push};
use crate::script::Script;
use bytes::Bytes;
use crdt::entry::{Author, Edit};
use crdt::list::Document;
use crdt::vector::PART_ROWS;
use names::{Actor, ListId};
use node::lists::{self, Reply, ask};
use node::wire::Channel;
use sim::network::Drops;
use std::time::Duration;

const COMPARE_MARKED: u8 = 13;
const CONFIRM_MARKED: u8 = 15;
const COMPARE_PART: u8 = 21;
const PULL_PART: u8 = 22;

/// Changes of a list, each by another actor and upon the one before it.
pub(crate) fn by_many(list: &str, actors: usize) -> Vec<Bytes> {
    let by = Author("user@node7".to_owned());
    let mut document = Document::new(name(list), Actor([9; 16]));
    let mut drawn = 0;
    let mut changes = Vec::new();
    for number in 0..actors {
        // Neighbours of the list's history are far apart in the order of actors.
        let scattered = u128::try_from(number)
            .unwrap()
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        document.set_actor(Actor((scattered << 60 | 9).to_be_bytes()));
        let add = Edit::Add(vec![entry("x")]);
        let mut draw = || {
            drawn += 1;
            drawn
        };
        let edited = document.edit(&add, &by, 1, &mut draw).unwrap();
        changes.push(edited.change.unwrap().bytes);
    }
    changes
}

/// How many messages of a kind each host has sent about lists.
fn sent(world: &Script, kind: u8) -> usize {
    let messages = world.record().messages.iter();
    messages
        .filter(|(_, bytes)| bytes.get(2) == Some(&kind))
        .count()
}

/// A node has the list, and the other one has heard of all of it.
fn world_of_two(actors: usize) -> Script {
    let mut world = Script::compared_unsigned(2);
    let conn = world.conn(0, 1);
    let owner = world.hosts[0]
        .process
        .as_ref()
        .unwrap()
        .owner_of(ListId::of(&name("bob")));
    for changes in by_many("bob", actors).chunks(1_000) {
        let bytes = push(name("bob"), changes.to_vec(), false);
        world.tell_lists(0, owner, lists::Input::Message { conn, bytes });
        world.run_ms(100);
    }
    world.run_until_agreed(30_000);
    assert_eq!(world.hosts[1].disk.image.changes.len(), actors);
    world
}

#[test]
fn a_list_of_very_many_actors_is_compared_repaired_and_confirmed_in_parts() {
    let mut world = world_of_two(PART_ROWS + 1);
    // Pushes are lost on both sides: the digests find them.
    world.network.drops = Some(Drops::silent(Channel::Lists, 1));
    world.add(0, "bob", "of 0");
    world.add(1, "bob", "of 1");
    world.run_ms(20);
    world.network.drops = None;
    world.run_until_agreed(20_000);
    assert!(sent(&world, COMPARE_PART) >= 2 && sent(&world, PULL_PART) >= 2);
    // Changes made apart are pulled when both see each other again.
    world.cut(&[0], &[1]);
    world.run_until(20_000, "nobody is connected", |world| {
        world.stats(0).connections == 0
    });
    world.add(0, "bob", "of 0 apart");
    world.add(1, "bob", "of 1 apart");
    world.heal();
    world.run_until_agreed(30_000);
    let largest = world
        .record()
        .messages
        .iter()
        .map(|(_, bytes)| bytes.len())
        .max();
    assert!(largest.unwrap() <= 512 << 10);
}

#[test]
fn a_node_that_leaves_hears_in_parts_that_all_is_elsewhere() {
    let mut world = world_of_two(PART_ROWS + 1);
    // What the other one has written meanwhile, this node lacks: so the list differs.
    world.network.drops = Some(Drops::silent(Channel::Lists, 1));
    world.add(1, "bob", "is lost");
    world.run_ms(20);
    world.network.drops = None;
    let timeout = Duration::from_secs(5);
    let request = world.ask_lists(0, ListId([0; 16]), ask::Depart { timeout });
    world.run_ms(5_000);
    assert_eq!(world.list_reply(request), Some(&Ok(Reply::Unconfirmed(0))));
    assert!(sent(&world, CONFIRM_MARKED) >= 2);
}

#[test]
fn who_says_too_much_of_a_vector_is_cut_off() {
    let mut world = Script::compared(2);
    let conn = world.conn(0, 1);
    let list = ListId::of(&name("bob"));
    let owner = world.hosts[0].process.as_ref().unwrap().owner_of(list);
    let rows: std::collections::BTreeMap<Actor, (u64, [u8; 16])> = (0..=PART_ROWS)
        .map(|number| {
            (
                Actor(u128::try_from(number).unwrap().to_be_bytes()),
                (1, [0; 16]),
            )
        })
        .collect();
    let bytes = node::codec::encode(&(0u8, 255u8, COMPARE_MARKED, list, rows, false));
    let bytes = bytes.unwrap().into();
    world.tell_lists(0, owner, lists::Input::Message { conn, bytes });
    world.run_ms(1);
    let abuse = node::wire::CloseReason::Abuse;
    assert_eq!(world.record().closed, [(0, conn, abuse)]);
    world.run_until(20_000, "they see each other", |world| world.is_whole(2));
}

#[test]
fn kinds_of_messages_that_are_not_known_are_passed_over() {
    let mut world = Script::compared(2);
    let (conn, bytes) = (world.conn(0, 1), Bytes::from_static(&[0, 255, 250, 1, 2]));
    let owner = world.hosts[0].process.as_ref().unwrap();
    let owner = owner.owner_of(ListId::of(&name("bob")));
    world.tell_lists(0, owner, lists::Input::Message { conn, bytes });
    world.run_ms(1);
    assert_eq!(world.record().closed, []);
    assert_eq!(world.lists_stats(0).malformed, 0);
}
