//! One of two changes with one number would spoil the list.

use super::*;
use crate::hostile::{ADDITION, SPOILER, unhex};
use crdt::list::judge;

/// Tells a host changes of "groceries" as a push of another one.
fn push_groceries(world: &mut Script, (from, to): (usize, usize), changes: Vec<Bytes>) {
    let list = ListId::of(&name("groceries"));
    let owner = world.hosts[to].process.as_ref().unwrap().owner_of(list);
    let conn = world.conn(to, from);
    let bytes = push(name("groceries"), changes, false);
    world.tell_lists(to, owner, Input::Message { conn, bytes });
    world.run_ms(200);
}

/// An addition with the actor and the number of [`SPOILER`], and a greater hash.
fn displaced() -> Bytes {
    let spoiler = judge(unhex(SPOILER)).unwrap();
    let addition = Edit::Add(vec![entry("bread")]);
    let additions = (0..10_000).map(|second| {
        let (list, actor) = (name("groceries"), spoiler.id().actor);
        let mut document = Document::load(list, actor, None, &[unhex(ADDITION)]).unwrap();
        let by = Author("ann@node1".to_owned());
        let edited = document.edit(&addition, &by, second * 1_000, &mut || 7);
        edited.unwrap().change.unwrap()
    });
    let mut greater = additions.filter(|change| change.hash > spoiler.hash());
    let change = greater.next().unwrap();
    assert_eq!(change.id, spoiler.id());
    change.bytes
}

/// All nodes hand the spoiler on, as it shows that there are two: none of them has made it.
#[test]
fn who_shows_that_a_list_was_forked_by_a_change_that_spoils_it_is_not_cut_off() {
    let mut world = Script::compared_unsigned(3);
    let sound = vec![unhex(ADDITION), displaced()];
    push_groceries(&mut world, (1, 0), sound.clone());
    push_groceries(&mut world, (0, 1), sound.clone());
    push_groceries(&mut world, (0, 2), sound);
    assert_eq!(world.titles(2, "groceries").len(), 2);

    push_groceries(&mut world, (1, 0), vec![unhex(SPOILER)]);
    world.run_ms(5_000);
    assert_eq!(world.record().closed, []);
    assert!(world.is_whole(3));
    world.run_until_agreed(20_000);
    for host in 0..3 {
        assert_eq!(world.titles(host, "groceries"), ["milk"]);
        let stats = world.lists_stats(host);
        assert_eq!((stats.quarantined, stats.forked), (0, 0));
        let left_out = &world.hosts[host].disk.image.left_out;
        assert_eq!(left_out.len(), 1);
    }
    world.add(1, "groceries", "butter");
    world.run_until_agreed(5_000);
    assert_eq!(world.titles(2, "groceries").len(), 2);
}
