//! Logs in the form of protocol 1.

use super::*;
use crate::registry::exchange::Exchange;
use crdt::registry::Progress;

/// The owner and the relay speak protocol 1, and the owner is away.
fn away(accept_v1: bool) -> World {
    let mut world = World::speaking(Protocol::UNPROVED, accept_v1);
    world.connect(OWNER, RELAY);
    world.register(OWNER, "db");
    world.disconnect(OWNER, RELAY);
    assert_eq!(world.holders(RELAY, "db"), 1, "from itself");
    world
}

fn told_by_relay(world: &World) -> Delta {
    let logs = &world.nodes[RELAY].logs;
    let delta = logs.delta(peer(OWNER).id, Progress::default(), usize::MAX);
    delta.unwrap()
}

#[test]
fn it_is_taken_from_others_only_where_protocol_1_is_accepted() {
    for accept_v1 in [true, false] {
        let mut world = away(accept_v1);
        world.connect(RELAY, LAST);
        world.pass(2);
        assert_eq!(world.holders(LAST, "db"), usize::from(accept_v1));
        assert_eq!(world.breaches.len(), 0);
    }
    // Not as the answer to what was asked, either.
    for accept_v1 in [true, false] {
        let mut world = away(accept_v1);
        let delta = told_by_relay(&world);
        world.connected.insert((LAST, RELAY));
        let links = world.links(LAST);
        let told = [(peer(OWNER).id, delta.end()).into()];
        let from = (peer(RELAY).id, ConnId(RELAY as u64));
        let last = &mut world.nodes[LAST];
        last.exchange = Exchange::new(peer(LAST).id, true);
        last.exchange
            .compare(&mut last.edge, &links, &last.logs, from, &told);
        assert!(last.exchange.is_open(peer(OWNER).id, from.1));
        let pushed = false;
        world.say(RELAY, LAST, &Message::Part { delta, pushed });
        assert_eq!(world.holders(LAST, "db"), usize::from(accept_v1));
    }
}

#[test]
fn it_is_not_told_or_taken_on_connections_of_protocol_2() {
    let mut world = away(true);
    world.protocol = Protocol::PROVED;
    world.connect(RELAY, LAST);
    world.pass(2);
    assert_eq!(world.holders(LAST, "db"), 0);
    let delta = told_by_relay(&world);
    for (from, pushed) in [(RELAY, true), (RELAY, false), (OWNER, true)] {
        let delta = delta.clone();
        world.say(from, LAST, &Message::Part { delta, pushed });
        assert_eq!(world.holders(LAST, "db"), 0);
    }
    // Once its owner proves it, it goes on.
    world.connect(OWNER, RELAY);
    world.disconnect(OWNER, RELAY);
    world.pass(2);
    assert_eq!(world.holders(LAST, "db"), 1);
    assert_eq!((world.stats(LAST).unproved, world.breaches.len()), (0, 0));
}

#[test]
fn it_does_not_replace_what_is_proved() {
    let mut world = World::speaking(Protocol::PROVED, true);
    world.connect(OWNER, LAST);
    world.register(OWNER, "db");
    world.disconnect(OWNER, LAST);
    // Meanwhile the owner ends it, and tells only who speaks protocol 1.
    world.protocol = Protocol::UNPROVED;
    world.connect(OWNER, RELAY);
    world.write(OWNER, "db", State::Gone(Reason::Exited));
    world.disconnect(OWNER, RELAY);
    assert_eq!(world.holders(RELAY, "db"), 0);
    world.connect(RELAY, LAST);
    world.pass(2);
    assert_eq!(world.holders(LAST, "db"), 1);
}

#[test]
fn a_log_that_is_proved_is_told_in_that_form_too() {
    let mut world = World::speaking(Protocol::PROVED, true);
    world.connect(OWNER, RELAY);
    world.register(OWNER, "db");
    world.disconnect(OWNER, RELAY);
    world.protocol = Protocol::UNPROVED;
    world.connect(RELAY, LAST);
    assert_eq!(world.holders(LAST, "db"), 1);
}
