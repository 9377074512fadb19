//! Registrations and the daemons under which they were made.

use crate::programs::{name, registration};
use crate::script::Script;
use crdt::registry::Reason;
use node::cluster::ask;
use node::registry::{self, EventKind, Lifetime, ProcessState, SessionId};
use sim::faults::Fault;

#[test]
fn a_daemon_that_starts_again_ends_nothing() {
    for pause_ms in [10, 200, 5_000] {
        let mut world = Script::cluster(1, 0.0, 3);
        let process = world.register(2, "web");
        world.run_ms(50);
        let claim = world.found(0, "web").unwrap().holder.entry.claim;
        world.kill(2);
        world.run_ms(pause_ms);
        world.start(2, &[0]);
        world.run_until(8_000, "it is back", |world| {
            world.is_whole(3)
                && (0..3).all(|host| {
                    world.run_of(host, 2) == 2
                        && world
                            .found(host, "web")
                            .is_some_and(|it| it.state == ProcessState::Up)
                })
        });
        world.run_ms(3_000);
        for host in 0..3 {
            let found = world.found(host, "web").unwrap();
            assert_eq!(
                (found.holder.process, found.holder.entry.claim),
                (process, claim)
            );
            assert_eq!(world.ends(host, "web"), [], "pause {pause_ms}");
        }
    }
}

#[test]
fn what_ended_while_the_daemon_was_gone_is_told_once_it_is_back() {
    let mut world = Script::cluster(1, 0.0, 3);
    let (process, _) = (world.register(2, "web"), world.register(2, "other"));
    world.run_ms(50);
    world.kill(2);
    world.end(2, process, Reason::Killed(9));
    world.run_ms(500);
    world.start(2, &[0]);
    world.run_until(8_000, "told", |world| {
        (0..3)
            .all(|host| world.found(host, "web").is_none() && world.found(host, "other").is_some())
    });
    assert!(
        (0..2).all(|host| world.ends(host, "web") == [Reason::Exited]
            && world.ends(host, "other").is_empty())
    );
}

#[test]
fn a_host_that_starts_anew_has_ended_all() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(2, "web");
    // A commit syncs the rows that were written before it: they survive the host's end.
    world.add(2, "bob", "milk");
    world.run_ms(50);
    world.reboot(2);
    world.run_ms(3_000);
    assert_eq!(
        world.found(0, "web").unwrap().state,
        ProcessState::Unreachable
    );
    world.start(2, &[0]);
    world.run_until(8_000, "told", |world| {
        (0..3).all(|host| world.found(host, "web").is_none())
    });
    assert!((0..2).all(|host| world.ends(host, "web") == [Reason::Exited]));
    world.run_ms(100);
    assert_eq!(world.kept_rows(2), 0);
}

#[test]
fn a_client_has_a_moment_to_connect_anew_to_a_daemon_that_started_again() {
    let mut world = Script::cluster(1, 0.0, 2);
    let mut bound = registration("kept", world.spawn(1));
    bound.lifetime = Lifetime::Connection(SessionId(1));
    let mut lost = registration("lost", world.spawn(1));
    lost.lifetime = Lifetime::Connection(SessionId(2));
    for wanted in [bound.clone(), lost] {
        world.asked(1, wanted).unwrap();
    }
    world.kill(1);
    world.start(1, &[0]);
    world.run_ms(5_000);
    bound.lifetime = Lifetime::Connection(SessionId(3));
    world.asked(1, bound).unwrap();
    assert!(world.found(0, "lost").is_some());
    world.run_ms(6_000);
    assert_eq!(
        (world.ends(0, "kept"), world.ends(0, "lost")),
        (vec![], vec![Reason::Unregistered])
    );
}

#[test]
fn names_of_a_node_that_left_or_was_forgotten_have_ended() {
    for forgotten in [false, true] {
        let mut world = Script::cluster(1, 0.0, 3);
        world.register(2, "web");
        world.run_ms(50);
        if forgotten {
            world.kill(2);
            world.run_ms(5_000);
            world.request(0, ask::Forget("node3".into()));
        } else {
            world.request(2, ask::Leave);
        }
        world.run_until(3_000, "all know", |world| {
            (0..2).all(|host| world.found(host, "web").is_none())
        });
        assert!((0..2).all(|host| world.ends(host, "web") == [Reason::Left]));
        // It comes back, and its process still lives.
        world.run_ms(5_000);
        world.start(2, &[0]);
        world.run_until(5_000, "back", |world| {
            (0..3).all(|host| world.found(host, "web").is_some())
        });
        world.run_ms(3_000);
        assert!((0..2).all(|host| world.ends(host, "web") == [Reason::Left]));
    }
}

#[test]
fn a_node_forgotten_while_cut_off_says_all_anew_in_its_next_run() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(2, "web");
    world.run_ms(50);
    world.cut(&[2], &[0, 1]);
    world.run_ms(8_000);
    world.request(0, ask::Forget("node3".into()));
    world.run_ms(2_000);
    assert_eq!(world.ends(0, "web"), [Reason::Left]);
    world.heal();
    world.run_until(15_000, "back", |world| {
        (0..3).all(|host| {
            world
                .found(host, "web")
                .is_some_and(|it| it.state == ProcessState::Up)
        })
    });
    assert_eq!(world.ends(2, "web"), []);
}

#[test]
fn a_disk_from_a_backup_takes_a_run_twice_and_all_say_what_its_node_says() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(2, "web");
    world.run_ms(50);
    world.strike(Fault::Backup { host: 2 });
    world.kill(2);
    world.run_ms(100);
    world.start(2, &[0]);
    world.run_until(8_000, "its second run", |world| {
        world.is_whole(3) && world.run_of(0, 2) == 2
    });
    let join = registry::ask::Group {
        name: name("web"),
        group: name("cache"),
        join: true,
        uid: 1000,
    };
    world.asked(2, join).unwrap();
    world.run_ms(50);
    world.kill(2);
    // Who starts anew has met no start of it, and has its log by hearsay.
    world.kill(1);
    world.start(1, &[0]);
    world.run_until(8_000, "it knows", |world| world.found(1, "web").is_some());
    world.cut(&[0], &[1, 2]);
    world.strike(Fault::Restore { host: 2 });
    world.start(2, &[1]);
    world.run_ms(20);
    world.register(2, "db");
    world.run_ms(8_000);
    world.heal();
    world.run_until(15_000, "all agree", |world| {
        world.is_whole(3)
            && (0..3).all(|host| {
                let web = world.found(host, "web").unwrap();
                world.found(host, "db").is_some() && web.holder.entry.groups.is_empty()
            })
    });
    assert!((0..3).all(|host| world.run_of(host, 2) == 3));
}

#[test]
fn a_newcomer_learns_of_those_who_are_out_of_sight() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(2, "web");
    world.run_ms(50);
    world.kill(2);
    world.run_ms(5_000);
    let newcomer = world.host("node4", 4);
    world.start(newcomer, &[0]);
    world.run_until(5_000, "it knows", |world| {
        world
            .found(newcomer, "web")
            .is_some_and(|it| it.state == ProcessState::Unreachable)
    });
    let kinds: Vec<EventKind> = world
        .heard(newcomer, "web")
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, [EventKind::Up, EventKind::Unreachable]);
}
