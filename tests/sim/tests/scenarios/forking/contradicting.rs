//! A member signs two changes with one number as its own.

use super::*;
use crdt::list::{LeftOut, Word};
use names::{ChangeHash, ChangeId, NodeId};
use node::codec;
use node::proof::testing::Cheap;
use node::proof::{Domain, Proofs};

/// What a host says of its first change in "bob".
fn word(world: &Script, host: usize, hash: ChangeHash) -> Bytes {
    let (peer, list) = (world.hosts[host].peer.clone(), ListId::of(&name("bob")));
    let image = &world.hosts[host].disk.image;
    let actors = image.changes.keys().map(|(_, actor, _)| *actor);
    let salts = image.salts.keys().filter(|(owner, _)| *owner == peer.id);
    let found = actors.flat_map(|actor| salts.clone().map(move |(_, salt)| (actor, *salt)));
    let is_own = |(actor, salt): &(Actor, [u8; 16])| actor.is_of(list, peer.id, *salt);
    let (actor, salt) = found.into_iter().find(is_own).unwrap();
    let (owner, cheap) = (peer.id, Cheap(peer));
    let about = (list, ChangeId { actor, seq: 1 }, hash);
    let sign = |said: &[u8]| cheap.sign(Domain::OwnChange, said);
    let word = Word::write((owner, &cheap.chain()), salt, about, sign).unwrap();
    LeftOut::of_word(word).unwrap().bytes().clone()
}

/// A host says what the list is without: the message's number, and the list.
fn tell(world: &mut Script, (from, to): (usize, usize), records: Vec<Bytes>) {
    let list = ListId::of(&name("bob"));
    let (first, last, tag) = (0_u8, 255_u8, 18_u8);
    let bytes = codec::encode(&(first, last, tag, list, records))
        .unwrap()
        .into();
    let owner = world.hosts[to].process.as_ref().unwrap().owner_of(list);
    let conn = world.conn(to, from);
    world.tell_lists(to, owner, Input::Message { conn, bytes });
    world.run_ms(200);
}

#[test]
fn who_signs_two_changes_with_one_number_is_named_and_not_cut_off() {
    let mut world = with_a_list();
    let own = world.add(2, "bob", "third");
    world.run_until_agreed(1_000);
    let own = world.edited(own).change.unwrap();
    let words = [own, ChangeHash([0xff; 32])].map(|hash| word(&world, 2, hash));
    tell(&mut world, (2, 0), vec![words[0].clone()]);
    assert_eq!(world.record().contradictions, [], "one word is none");
    tell(&mut world, (2, 0), vec![words[1].clone()]);
    tell(&mut world, (2, 0), words.to_vec());
    let told = |world: &Script, host: usize| -> Vec<NodeId> {
        let all = world.record().contradictions.iter();
        let here = all.filter(|(of, _)| *of == host);
        here.map(|(_, one)| one.node).collect()
    };
    assert_eq!(told(&world, 0), [world.hosts[2].peer.id], "once");
    world.run_ms(5_000);
    assert_eq!(world.record().closed, []);
    assert!(world.is_whole(3));
    // What it has made first has the smaller hash, and stays.
    for host in 0..3 {
        assert!(world.titles(host, "bob").contains(&"third".to_owned()));
    }
    converges(&mut world);
}
