//! Logs that come with their owners' proofs.

use super::*;
use crate::registry::message::Claimed;
use crdt::registry::{Progress, Statement};

/// The relay has the owner's log, which has a registration and the end of one; the owner is away.
fn away() -> World {
    let mut world = World::new();
    world.connect(OWNER, RELAY);
    world.register(OWNER, "db");
    world.register(OWNER, "web");
    world.write(OWNER, "web", State::Gone(Reason::Killed(9)));
    world.disconnect(OWNER, RELAY);
    world
}

/// What the relay would tell of the owner's log.
fn told_by_relay(world: &World) -> ProvedDelta {
    let logs = &world.nodes[RELAY].logs;
    let delta = logs.proved_delta(peer(OWNER).id, Progress::default(), usize::MAX);
    delta.unwrap()
}

#[test]
fn a_log_goes_from_node_to_node_and_only_its_owner_tells_a_reason() {
    let mut world = away();
    let known = world.state(RELAY, "web");
    assert_eq!(known, Some(State::Gone(Reason::Killed(9))));
    for (by, to) in [(RELAY, LAST), (LAST, 3)] {
        world.connect(by, to);
        assert_eq!((world.holders(to, "db"), world.holders(to, "web")), (1, 0));
        assert_eq!(world.state(to, "web"), Some(State::Gone(Reason::Unknown)));
        world.disconnect(by, to);
        assert_eq!(world.stats(to).unproved, 0);
    }
    assert!(world.breaches.is_empty());
}

fn rewrite(statement: &Bytes, state: State) -> Bytes {
    let statement = Statement::read(statement.clone()).unwrap();
    let mut record = statement.record().unwrap().unwrap();
    record.state = state;
    let run = statement.relayed().rank().run;
    let statement = Statement::write(peer(OWNER).id, run, &record).unwrap();
    statement.relayed().bytes().clone()
}

/// The head with another proof.
fn signed(delta: &ProvedDelta, by: usize, cluster: [u8; 16], domain: Domain) -> Option<Bytes> {
    let head = Head::read(delta.head.clone()?).unwrap();
    let signer = In {
        cluster,
        ..proofs(by, 1)
    };
    let sign = |said: &[u8]| signer.sign(domain, said);
    let (owner, position) = (head.owner(), head.position());
    let head = Head::write(owner, position, head.horizon(), head.hash(), sign);
    Some(head.unwrap().relayed().bytes().clone())
}

const LIES: &[(&str, Tamper)] = &[
    ("a record is left out", |delta| {
        delta.statements.remove(0);
    }),
    ("an entry is changed", |delta| {
        let state = State::Live(Arc::new(entry(1_000)));
        delta.statements[0] = rewrite(&delta.statements[0], state);
    }),
    ("a registration has ended", |delta| {
        let state = State::Gone(Reason::Killed(9));
        delta.statements[0] = rewrite(&delta.statements[0], state);
    }),
    ("an end is none", |delta| {
        let state = State::Live(Arc::new(entry(0)));
        delta.statements[1] = rewrite(&delta.statements[1], state);
    }),
    ("the log has come further", |delta| {
        (delta.upto, delta.latest) = (delta.upto + 1, delta.latest + 1);
    }),
    ("the horizon is an earlier one", |delta| delta.horizon -= 1),
    ("another node has signed", |delta| {
        delta.head = signed(delta, RELAY, CLUSTER, Domain::LogHead);
    }),
    ("it was signed in another cluster", |delta| {
        delta.head = signed(delta, OWNER, [8; 16], Domain::LogHead);
    }),
    ("it was signed as something else", |delta| {
        delta.head = signed(delta, OWNER, CLUSTER, Domain::Line);
    }),
];

#[test]
fn what_the_owner_has_not_proved_is_not_believed_and_hinders_nobody() {
    for (lie, tamper) in LIES {
        let mut world = away();
        world.tamper = Some(*tamper);
        world.connect(RELAY, LAST);
        assert_eq!(world.holders(LAST, "db"), 0, "{lie}");
        assert_eq!(world.state(LAST, "db"), None, "{lie}");
        // It was asked for once more, from its beginning, and then not for some seconds.
        assert_eq!(world.stats(LAST).unproved, 2, "{lie}");
        world.pass(5);
        assert_eq!(world.stats(LAST).pulls, 2, "{lie}");
        // When it tells the truth it is believed.
        world.tamper = None;
        world.pass(8);
        assert_eq!(world.holders(LAST, "db"), 1, "{lie}");
        assert!(world.breaches.is_empty(), "{lie}");
    }
}

/// Told again to a node that has heard a later one.
#[test]
fn an_older_head_takes_nothing_back() {
    let mut world = away();
    let older = Message::Proved {
        delta: told_by_relay(&world),
        pushed: false,
    };
    world.connect(OWNER, RELAY);
    world.write(OWNER, "db", State::Gone(Reason::Exited));
    world.disconnect(OWNER, RELAY);
    world.connect(RELAY, LAST);
    assert_eq!(world.state(LAST, "db"), Some(State::Gone(Reason::Unknown)));
    // Unasked for, and as the answer to what was asked.
    world.say(RELAY, LAST, &older);
    let ahead = world.nodes[RELAY].logs.heads().map(Claimed::from);
    let ahead = ahead.map(|claimed| Claimed {
        position: Position {
            run: claimed.position.run,
            version: claimed.position.version + 1,
        },
        ..claimed
    });
    let heads = Message::Heads {
        heads: ahead.collect(),
        answer: false,
    };
    world.say(RELAY, LAST, &heads);
    world.say(RELAY, LAST, &older);
    assert_eq!(world.holders(LAST, "db"), 0);
    assert!(world.breaches.is_empty());
}

#[test]
fn without_the_owners_certificates_nothing_is_proved() {
    let mut world = away();
    note_members(&mut world.nodes[LAST], None);
    world.connect(RELAY, LAST);
    assert_eq!(world.holders(LAST, "db"), 0);
    // A node does not relay what it cannot judge, so that nobody blames it.
    note_members(&mut world.nodes[LAST], Some(1));
    note_members(&mut world.nodes[RELAY], None);
    world.parts = 0;
    world.pass(15);
    assert_eq!((world.parts, world.holders(LAST, "db")), (0, 0));
    note_members(&mut world.nodes[RELAY], Some(1));
    world.pass(17);
    assert_eq!(world.holders(LAST, "db"), 1);
}

#[test]
fn a_node_that_has_another_key_signs_its_log_anew() {
    let mut world = World::new();
    world.connect(OWNER, RELAY);
    world.register(OWNER, "db");
    world.nodes[OWNER].trust = Trust::new(Arc::new(proofs(OWNER, 2)), false);
    for node in &mut world.nodes {
        note_members(node, Some(2));
    }
    world.pass(1);
    world.disconnect(OWNER, RELAY);
    world.connect(RELAY, LAST);
    assert_eq!(world.holders(LAST, "db"), 1);
}

#[test]
fn an_owner_that_falls_silent_in_the_middle_leaves_what_can_be_relayed() {
    let mut world = World::new();
    world.connect(OWNER, RELAY);
    world.register(OWNER, "db");
    world.disconnect(OWNER, RELAY);
    let large = |n: usize| format!("large{n}");
    for n in 0..100 {
        world.write(OWNER, &large(n), State::Live(Arc::new(entry(4_000))));
    }
    // The network fails once two parts of four have come.
    world.parts = 0;
    world.last_part = 2;
    world.connect(OWNER, RELAY);
    assert_eq!(world.parts, 2);
    world.disconnect(OWNER, RELAY);
    world.last_part = usize::MAX;
    assert_eq!(world.holders(RELAY, "large0"), 0);
    world.connect(RELAY, LAST);
    assert_eq!(world.holders(LAST, "db"), 1);
    // When the owner is back all of it comes, and goes on in as many parts.
    world.connect(OWNER, RELAY);
    world.disconnect(OWNER, RELAY);
    world.pass(1);
    for node in [RELAY, LAST] {
        assert!((0..100).all(|n| world.holders(node, &large(n)) == 1));
    }
    assert!(world.parts >= 10, "{}", world.parts);
    assert_eq!((world.stats(LAST).unproved, world.breaches.len()), (0, 0));
}

#[test]
fn an_owner_whose_log_is_not_what_it_has_proved_breaks_the_protocol() {
    let delta = told_by_relay(&away());
    let mut wrong = delta.clone();
    wrong.statements.remove(0);
    for (delta, breaches) in [(delta, 0), (wrong, 1)] {
        let mut other = World::new();
        let pushed = true;
        other.say(OWNER, LAST, &Message::Proved { delta, pushed });
        assert_eq!(other.breaches.len(), breaches);
        assert_eq!(other.holders(LAST, "db"), 1 - breaches);
    }
}

#[test]
fn only_its_owner_pushes_a_log_and_nobody_answers_unasked() {
    let delta = told_by_relay(&away());
    for (pushed, breaches) in [(true, 1), (false, 0)] {
        let mut other = World::new();
        let delta = delta.clone();
        other.say(RELAY, LAST, &Message::Proved { delta, pushed });
        let found = (other.breaches.len(), other.holders(LAST, "db"));
        assert_eq!(found, (breaches, 0));
    }
    // Of a run that its owner has never had nobody takes a log, not even from the owner.
    let mut other = World::new();
    let delta = ProvedDelta { run: 9, ..delta };
    let pushed = true;
    other.say(OWNER, LAST, &Message::Proved { delta, pushed });
    assert_eq!(other.holders(LAST, "db"), 0);
}

/// An owner that tells one thing to one side and another to the other.
#[test]
fn a_node_that_proves_two_logs_for_one_position_is_found_and_all_keep_the_same() {
    let mut world = World::new();
    let other_owner = registry(world.now, OWNER, false);
    world.connect(OWNER, RELAY);
    world.register(OWNER, "one");
    world.disconnect(OWNER, RELAY);
    world.nodes[OWNER] = other_owner;
    world.finish(OWNER);
    world.connect(OWNER, LAST);
    world.register(OWNER, "other");
    world.disconnect(OWNER, LAST);
    let position = |world: &World, node: usize| world.nodes[node].position(peer(OWNER).id);
    assert_eq!(position(&world, RELAY), position(&world, LAST));
    world.connect(RELAY, LAST);
    world.pass(2);
    let said = |node| (world.holders(node, "one"), world.holders(node, "other"));
    assert_eq!(said(RELAY), said(LAST));
    assert!([(1, 0), (0, 1)].contains(&said(LAST)));
    assert_eq!(world.stats(RELAY).forked + world.stats(LAST).forked, 1);
    let hash = |node: usize| world.nodes[node].logs.proved_hash();
    assert_eq!(hash(RELAY), hash(LAST));
}

#[test]
fn a_claim_from_far_ahead_leaves_room_for_others() {
    let mut world = World::new();
    let far = (1 << 48) - 1;
    let claimed = Entry {
        claim: far,
        ..entry(0)
    };
    world.connect(OWNER, LAST);
    world.write(OWNER, "db", State::Live(Arc::new(claimed)));
    assert_eq!(world.holders(LAST, "db"), 1);
    let clock = world.nodes[LAST].clock;
    assert_eq!(clock, 1_000 + 24 * 60 * 60 * 1_000);
    assert!(Entry::MAX_CLOCK < far);
}
