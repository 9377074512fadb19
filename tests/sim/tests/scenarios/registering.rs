//! Names of processes: registered here, found there, gone when they end.

use crate::programs::{name, registration};
use crate::script::Script;
use crdt::registry::Reason;
use node::registry::{
    Bound, EventKind, Input, Lifetime, ProcessState, Refusal, Registration, SessionId, ask,
};
use node::wire::{Channel, WriteError};
use sim::network::Drops;

#[test]
fn a_name_registered_on_one_node_is_found_on_the_others() {
    let mut world = Script::cluster(1, 0.0, 3);
    let process = world.register(0, "web");
    let took = world.run_until(100, "all know", |world| {
        (0..3).all(|host| world.found(host, "web").is_some())
    });
    assert!(took <= 10, "{took} ms");
    for host in 0..3 {
        let found = world.found(host, "web").unwrap();
        assert_eq!(
            (found.state, found.holder.process),
            (ProcessState::Up, process)
        );
        assert_eq!(world.heard(host, "web").len(), 1);
        assert_eq!(world.heard(host, "web")[0].0, EventKind::Up);
    }
}

#[test]
fn a_process_that_ends_is_gone_everywhere_with_its_reason() {
    let mut world = Script::cluster(1, 0.0, 3);
    let process = world.register(0, "web");
    world.run_ms(50);
    world.end(0, process, Reason::Killed(9));
    let took = world.run_until(100, "all know", |world| {
        (0..3).all(|host| world.found(host, "web").is_none())
    });
    assert!(took <= 10, "{took} ms");
    for host in 0..3 {
        assert_eq!(world.ends(host, "web"), [Reason::Killed(9)]);
    }
    world.run_ms(10);
    assert_eq!(world.kept_rows(0), 0);
}

#[test]
fn a_registration_that_was_taken_back_is_gone_everywhere() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(0, "web");
    world.run_ms(50);
    assert!(
        world
            .asked(
                0,
                ask::Unregister {
                    name: name("web"),
                    uid: 1000
                }
            )
            .is_ok()
    );
    world.run_until(100, "all know", |world| {
        (0..3).all(|host| world.found(host, "web").is_none())
    });
    for host in 0..3 {
        assert_eq!(world.ends(host, "web"), [Reason::Unregistered]);
    }
}

#[test]
fn a_name_held_by_a_reachable_process_is_refused_with_its_holder() {
    let mut world = Script::cluster(1, 0.0, 3);
    let process = world.register(0, "web");
    world.run_ms(50);
    for host in 0..3 {
        let other = world.spawn(host);
        let answer = world.asked(host, registration("web", other));
        let Err(Refusal::Held { holder, .. }) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(
            (holder.node.as_str(), holder.pid, holder.start),
            ("node1", process.pid, process.start)
        );
    }
    let answer = world.asked(0, registration("web", process));
    assert_eq!(answer, Ok(false));
}

#[test]
fn of_two_that_ask_at_once_on_one_node_one_is_refused() {
    let mut world = Script::cluster(1, 0.0, 1);
    let (a, b) = (world.spawn(0), world.spawn(0));
    let first = world.request(0, registration("web", a));
    let second = world.request(0, registration("web", b));
    world.run_ms(50);
    assert_eq!(world.answer::<Box<Registration>>(first), Some(Ok(true)));
    assert!(matches!(
        world.answer::<Box<Registration>>(second),
        Some(Err(Refusal::Held { .. }))
    ));
}

#[test]
fn a_registration_made_again_says_what_was_said_last_and_keeps_its_claim() {
    let mut world = Script::cluster(1, 0.0, 2);
    let process = world.register(0, "web");
    world.run_ms(50);
    let claim = world.found(1, "web").unwrap().holder.entry.claim;
    let mut again = registration("web", process);
    again.metadata.insert("port".into(), "80".into());
    world.asked(0, again).unwrap();
    world
        .asked(
            0,
            ask::Group {
                name: name("web"),
                group: name("g"),
                join: true,
                uid: 1000,
            },
        )
        .unwrap();
    world.run_ms(50);
    let entry = world.found(1, "web").unwrap().holder.entry;
    assert_eq!(
        (entry.claim, entry.metadata.len(), entry.groups.len()),
        (claim, 1, 1)
    );
    assert_eq!(world.heard(1, "web").len(), 1, "nothing ended");
    assert_eq!(world.directory(1).group(&name("g"), None).count(), 1);
}

#[test]
fn only_its_user_and_root_may_change_a_registration_and_only_on_its_node() {
    let mut world = Script::cluster(1, 0.0, 2);
    world.register(0, "web");
    world.run_ms(50);
    let take_back = |uid| ask::Unregister {
        name: name("web"),
        uid,
    };
    assert_eq!(
        world.asked(0, take_back(7)),
        Err(Refusal::NotYours {
            name: name("web"),
            owner: 1000
        })
    );
    assert!(
        matches!(world.asked(1, take_back(1000)), Err(Refusal::Elsewhere { node, .. }) if node.as_str() == "node1")
    );
    let unknown = ask::Unregister {
        name: name("other"),
        uid: 0,
    };
    assert_eq!(
        world.asked(0, unknown),
        Err(Refusal::Unknown(name("other")))
    );
    assert_eq!(world.asked(0, take_back(0)), Ok(()));
}

#[test]
fn a_registration_bound_to_a_connection_ends_with_it() {
    let mut world = Script::cluster(1, 0.0, 2);
    let mut bound = registration("web", world.spawn(0));
    bound.lifetime = Lifetime::Connection(SessionId(7));
    world.asked(0, bound.clone()).unwrap();
    world.run_ms(50);
    world.tell_registry(
        0,
        Input::SessionEnded {
            session: SessionId(7),
        },
    );
    world.run_ms(50);
    assert_eq!(world.ends(1, "web"), [Reason::Unregistered]);
    // One that closes while it is still being kept leaves nothing behind.
    bound.lifetime = Lifetime::Connection(SessionId(8));
    world.request(0, bound);
    world.tell_registry(
        0,
        Input::SessionEnded {
            session: SessionId(8),
        },
    );
    world.run_ms(50);
    assert!(world.found(0, "web").is_none() && world.kept_rows(0) == 0);
}

/// The answer comes after the connection's end: what it says must be true.
#[test]
fn a_registration_made_anew_outlives_the_connection_of_the_one_before() {
    let mut world = Script::cluster(1, 0.0, 2);
    let mut bound = registration("web", world.spawn(0));
    bound.lifetime = Lifetime::Connection(SessionId(7));
    world.asked(0, bound.clone()).unwrap();
    world.run_ms(50);
    bound.lifetime = Lifetime::Process;
    world.request(0, bound);
    world.tell_registry(
        0,
        Input::SessionEnded {
            session: SessionId(7),
        },
    );
    world.run_ms(50);
    assert!(world.found(0, "web").is_some() && world.found(1, "web").is_some());
    assert_eq!(world.kept_rows(0), 1);
    world.kill(0);
    world.run_ms(100);
    world.start(0, &[1]);
    world.run_ms(20_000);
    assert!(world.found(1, "web").is_some(), "it is kept as it is");
}

#[test]
fn a_change_brings_no_registration_back_that_ended_while_it_was_written() {
    let mut world = Script::cluster(1, 0.0, 2);
    let mut bound = registration("web", world.spawn(0));
    bound.lifetime = Lifetime::Connection(SessionId(7));
    world.asked(0, bound).unwrap();
    world.run_ms(50);
    let joined = world.request(
        0,
        ask::Group {
            name: name("web"),
            group: name("cache"),
            join: true,
            uid: 1000,
        },
    );
    world.tell_registry(
        0,
        Input::SessionEnded {
            session: SessionId(7),
        },
    );
    world.run_ms(50);
    assert_eq!(
        world.answer::<ask::Group>(joined),
        Some(Err(Refusal::Unknown(name("web"))))
    );
    assert!(world.found(0, "web").is_none() && world.found(1, "web").is_none());
    assert_eq!(world.kept_rows(0), 0);
}

#[test]
fn a_reported_exit_is_the_reason_of_the_end() {
    let mut world = Script::cluster(1, 0.0, 2);
    let report = |code| ask::Report {
        name: name("web"),
        reason: Reason::ExitedWith(code),
        uid: 1000,
    };
    for early in [true, false] {
        let mut reporting = registration("web", world.spawn(0));
        let process = reporting.process;
        reporting.reports_exit = true;
        world.asked(0, reporting).unwrap();
        world.run_ms(50);
        if early {
            world.asked(0, report(3)).unwrap();
            assert_eq!(
                world.asked(0, report(4)),
                Err(Refusal::Reported(name("web")))
            );
            world.end(0, process, Reason::Exited);
        } else {
            world.end(0, process, Reason::Exited);
            world.run_ms(100);
            world.asked(0, report(3)).unwrap();
        }
        world.run_ms(50);
    }
    assert_eq!(world.ends(1, "web"), [Reason::ExitedWith(3); 2]);
}

#[test]
fn an_exit_that_nobody_reports_is_told_after_a_moment_and_holds_up_no_successor() {
    let mut world = Script::cluster(1, 0.0, 2);
    for successor in [false, true] {
        let mut reporting = registration("web", world.spawn(0));
        let process = reporting.process;
        reporting.reports_exit = true;
        world.asked(0, reporting).unwrap();
        world.end(0, process, Reason::Exited);
        world.run_ms(200);
        assert!(world.found(0, "web").is_some());
        if successor {
            world.register(0, "web");
        } else {
            world.run_ms(100);
        }
    }
    world.run_ms(300);
    assert_eq!(world.ends(1, "web"), [Reason::Exited; 2]);
    assert!(world.found(1, "web").is_some());
}

#[test]
fn what_cannot_be_kept_is_not_registered_and_all_is_written_anew_later() {
    let mut world = Script::cluster(1, 0.0, 2);
    let process = world.register(0, "old");
    world.break_disk(0);
    let fresh = world.spawn(0);
    let (name, group) = (name("old"), name("g"));
    let join = ask::Group {
        name: name.clone(),
        group,
        join: true,
        uid: 0,
    };
    let answers = [
        world.asked(0, registration("new", fresh)).map(|_| ()),
        world.asked(0, join),
        world.asked(0, ask::Unregister { name, uid: 0 }),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(Refusal::Write(_))), "{answer:?}");
    }
    world.run_ms(50);
    assert!((0..2).all(|host| {
        world.found(host, "new").is_none()
            && world
                .found(host, "old")
                .unwrap()
                .holder
                .entry
                .groups
                .is_empty()
    }));
    world.hosts[0].disk.image.kept.clear();
    world.mend_disk(0);
    world.run_ms(2_500);
    assert_eq!(world.kept_rows(0), 1);
    // An end is an end, whatever the disk does.
    world.break_disk(0);
    world.end(0, process, Reason::Exited);
    world.run_ms(50);
    assert!((0..2).all(|host| world.found(host, "old").is_none()));
    world.mend_disk(0);
    world.run_ms(2_500);
    assert_eq!(world.kept_rows(0), 0);
}

#[test]
fn more_than_the_node_can_watch_is_refused() {
    let mut world = Script::with_hosts(1, 0.0, 1);
    world.hosts[0].capacity = 2;
    world.start(0, &[]);
    world.run_ms(100);
    world.register(0, "a");
    world.register(0, "b");
    let third = world.spawn(0);
    let answer = world.asked(0, registration("c", third));
    let (bound, have, limit) = (Bound::Processes, 2, 2);
    assert_eq!(answer, Err(Refusal::TooMany { bound, have, limit }));
}

#[test]
fn processes_are_counted_by_what_they_cost_and_users_by_their_names() {
    let mut world = Script::with_hosts(1, 0.0, 1);
    (world.hosts[0].capacity, world.hosts[0].names_per_uid) = (1, 3);
    world.start(0, &[]);
    world.run_ms(100);
    let process = world.register(0, "a");
    // In one write with each other.
    let asked = ["b", "c", "d"].map(|text| world.request(0, registration(text, process)));
    world.run_ms(100);
    let answers = asked.map(|request| world.answer::<Box<Registration>>(request).unwrap());
    let (bound, have, limit) = (Bound::OfUser { uid: 1000 }, 3, 3);
    let refused = Err(Refusal::TooMany { bound, have, limit });
    assert_eq!(answers, [Ok(true), Ok(true), refused]);
    let back = ask::Unregister {
        name: name("a"),
        uid: 1000,
    };
    assert_eq!(world.asked(0, back), Ok(()));
    assert_eq!(world.asked(0, registration("d", process)), Ok(true));
}

#[test]
fn a_lost_push_is_repaired() {
    let mut world = Script::cluster(1, 0.0, 5);
    world.network.drops = Some(Drops::told(Channel::Registry, 3));
    for n in 0..20 {
        world.register(n % 5, &format!("p{n}"));
        world.run_ms(20);
    }
    world.network.drops = None;
    world.run_until(8_000, "all know all", |world| {
        (0..5).all(|host| world.directory(host).len() == 20)
    });
}

#[test]
fn what_is_refused_waits_for_no_disk_and_what_waits_for_it_refuses_nobody() {
    let mut world = Script::cluster(1, 0.0, 2);
    let holder = world.register(1, "web");
    world.run_ms(50);
    world.break_disk(0);
    let asked = ["first", "db", "db", "web"].map(|text| {
        let process = world.spawn(0);
        world.request(0, registration(text, process))
    });
    world.run_ms(50);
    // The first is written alone; meanwhile the others come together.
    let [first, db, rival, web] = asked.map(|id| world.answer::<Box<Registration>>(id));
    for answer in [first, db, rival] {
        assert_eq!(answer, Some(Err(Refusal::Write(WriteError::Full))));
    }
    assert!(
        matches!(&web, Some(Err(Refusal::Held { holder: it, .. })) if it.pid == holder.pid),
        "{web:?}"
    );
}

#[test]
fn what_waits_for_another_of_its_name_is_not_overtaken() {
    let mut world = Script::cluster(1, 0.0, 1);
    let (before, first, after) = (world.register(0, "web"), world.spawn(0), world.spawn(0));
    let take_back = || ask::Unregister {
        name: name("web"),
        uid: 1000,
    };
    // The first is written alone; meanwhile the others come together.
    world.request(0, registration("first", first));
    let (once, twice) = (world.request(0, take_back()), world.request(0, take_back()));
    let anew = world.request(0, registration("web", after));
    world.run_ms(50);
    assert_ne!(before, after);
    assert_eq!(world.answer::<ask::Unregister>(once), Some(Ok(())));
    assert_eq!(
        world.answer::<ask::Unregister>(twice),
        Some(Err(Refusal::Unknown(name("web"))))
    );
    assert_eq!(world.answer::<Box<Registration>>(anew), Some(Ok(true)));
    assert_eq!(world.found(0, "web").unwrap().holder.process, after);
}
