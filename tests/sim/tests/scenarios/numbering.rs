//! Nodes of which some speak protocol 1, in which lists are compared by numbers only.

use crate::entries::{entry, replicated};
use crate::script::Script;
use crdt::entry::Edit;
use node::lists::Replicas;

#[test]
fn nodes_of_both_protocols_replicate_repair_and_confirm() {
    let mut world = Script::apart(3);
    world.numbering.insert(1);
    for host in 0..3 {
        world.add(host, "bob", &format!("of {host}"));
        world.add(host, &format!("list {host}"), "x");
    }
    world.heal();
    world.run_until_agreed(20_000);
    assert_eq!(world.titles(1, "bob").len(), 3);
    let ask = |title| replicated("bob", Edit::Add(vec![entry(title)]), Replicas::All, 2);
    for host in 0..3 {
        let request = world.edit(host, ask("more"));
        world.run_ms(1_500);
        let replicas = world.edited(request).replicas.clone().unwrap();
        assert!(replicas.reached, "host {host}: {replicas:?}");
    }
    world.run_until_agreed(10_000);
    // A node is upgraded, and what it compares from now on is what it holds.
    world.numbering.clear();
    world.restart(1);
    world.add(0, "bob", "after");
    world.run_until_agreed(10_000);
    assert!((0..3).all(|host| world.lists_stats(host).malformed == 0));
}
