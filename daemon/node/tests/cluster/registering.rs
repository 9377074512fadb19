//! Names of processes: registered here, found there, gone when they end.

use crate::world::World;
use crate::world::processes::name;
use crdt::registry::Reason;
use node::cluster::registry::{Command, EventKind, ProcessState};

#[test]
fn a_name_registered_on_one_node_is_found_on_the_others() {
    let mut world = World::cluster(1, 0.0, 3);
    let process = world.register(0, "web");
    let took = world.run_until(100, "all know", |world| (0..3).all(|host| world.found(host, "web").is_some()));
    assert!(took <= 10, "{took} ms");
    for host in 0..3 {
        let found = world.found(host, "web").unwrap();
        assert_eq!((found.state, found.holder.process), (ProcessState::Up, process));
        assert_eq!(world.heard(host, "web").len(), 1);
        assert_eq!(world.heard(host, "web")[0].0, EventKind::Up);
    }
}

#[test]
fn a_process_that_ends_is_gone_everywhere_with_its_reason() {
    let mut world = World::cluster(1, 0.0, 3);
    let process = world.register(0, "web");
    world.run_ms(50);
    world.end(0, process, Reason::Killed(9));
    let took = world.run_until(100, "all know", |world| (0..3).all(|host| world.found(host, "web").is_none()));
    assert!(took <= 10, "{took} ms");
    for host in 0..3 {
        assert_eq!(world.ends(host, "web"), [Reason::Killed(9)]);
    }
    world.run_ms(10);
    assert_eq!(world.hosts[0].processes.rows(), 0);
}

#[test]
fn a_registration_that_was_taken_back_is_gone_everywhere() {
    let mut world = World::cluster(1, 0.0, 3);
    world.register(0, "web");
    world.run_ms(50);
    assert!(world.asked(0, Command::Unregister { name: name("web"), uid: 1000 }).is_ok());
    world.run_until(100, "all know", |world| (0..3).all(|host| world.found(host, "web").is_none()));
    for host in 0..3 {
        assert_eq!(world.ends(host, "web"), [Reason::Unregistered]);
    }
}
