//! Logs of processes that come by way of other nodes: their owners' proofs come with them.

use crate::programs::name;
use crate::script::Script;
use crdt::registry::Reason;
use node::registry::ask;

/// Nodes in a row: each reaches the one before it and the one behind it.
fn row(count: usize) -> Script {
    let mut world = Script::cluster(1, 0.0, count);
    for node in 0..count {
        let far: Vec<usize> = (node + 2..count).collect();
        world.cut(&[node], &far);
    }
    world
}

/// Nobody has told another node's log otherwise than that one has proved it.
fn nothing_was_forged(world: &Script, count: usize) {
    for host in 0..count {
        let stats = world.stats(host).registry;
        assert_eq!((stats.unproved, stats.forked), (0, 0), "{host}");
    }
}

#[test]
fn a_registration_goes_from_node_to_node_and_its_end_without_a_reason() {
    let mut world = row(4);
    let process = world.register(0, "web");
    world.run_until(20_000, "the last one knows", |world| {
        world.found(3, "web").is_some()
    });
    assert_eq!(world.found(3, "web").unwrap().holder.process, process);
    world.end(0, process, Reason::Killed(9));
    world.run_until(20_000, "the last one knows", |world| {
        world.found(3, "web").is_none()
    });
    assert_eq!(world.ends(1, "web"), [Reason::Killed(9)], "from its owner");
    for host in [2, 3] {
        assert_eq!(world.ends(host, "web"), [Reason::Unknown]);
    }
    nothing_was_forged(&world, 4);
}

#[test]
fn a_daemon_that_starts_again_ends_nothing_where_others_tell_of_it() {
    let mut world = row(3);
    world.register(0, "web");
    world.run_until(20_000, "it is known", |world| {
        world.found(2, "web").is_some()
    });
    world.kill(0);
    world.run_ms(1_000);
    world.start(0, &[1]);
    world.register(0, "db");
    world.run_until(20_000, "its new run is known", |world| {
        world.found(2, "db").is_some()
    });
    assert!(world.found(2, "web").is_some());
    assert_eq!(world.ends(2, "web"), []);
    nothing_was_forged(&world, 3);
}

#[test]
fn many_registrations_go_in_parts_and_follow_each_other() {
    let mut world = row(3);
    let names: Vec<String> = (0..300).map(|n| format!("p{n}")).collect();
    for text in &names {
        world.register(0, text);
    }
    let take_back = |world: &mut Script, text: &str| {
        let (name, uid) = (name(text), 1000);
        world.asked(0, ask::Unregister { name, uid }).unwrap();
    };
    take_back(&mut world, "p7");
    world.run_until(20_000, "all have come", |world| {
        world.found(2, "p299").is_some() && world.found(2, "p7").is_none()
    });
    take_back(&mut world, "p8");
    world.run_until(20_000, "it has gone", |world| {
        world.found(2, "p8").is_none()
    });
    let found = |world: &Script| {
        names
            .iter()
            .filter(|text| world.found(2, text).is_some())
            .count()
    };
    assert_eq!(found(&world), 298);
    world.heal();
    world.run_ms(5_000);
    assert_eq!(found(&world), 298);
    nothing_was_forged(&world, 3);
}
