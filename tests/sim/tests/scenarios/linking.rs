//! Links fire once, and only when the other is known to be down.

use crate::programs::{name, registration};
use crate::script::Script;
use crdt::registry::{Process, Reason};
use names::Handle;
use node::cluster::ask::Leave;
use node::registry::{LinkTarget, Refusal, Signal, ask};

fn link(other: LinkTarget, unreachable: bool) -> ask::Link {
    ask::Link {
        name: name("worker"),
        other,
        unreachable,
        uid: 1000,
    }
}

fn to_boss() -> LinkTarget {
    LinkTarget::Name(name("boss"))
}

/// `worker` on node1, linked to `boss` on node3.
fn linked(unreachable: bool) -> (Script, Process, Process) {
    let mut world = Script::cluster(1, 0.0, 3);
    let (worker, boss) = (world.register(0, "worker"), world.register(2, "boss"));
    world.run_ms(50);
    assert_eq!(world.asked(0, link(to_boss(), unreachable)), Ok(()));
    (world, worker, boss)
}

#[test]
fn a_linked_process_is_signalled_once_when_the_other_ends() {
    let (mut world, worker, boss) = linked(false);
    let name = name("worker");
    let links = world.asked(0, ask::Links { name }).unwrap();
    assert_eq!(
        links
            .iter()
            .map(|link| link.other.node.to_string())
            .collect::<Vec<_>>(),
        ["node3"]
    );
    world.end(2, boss, Reason::Exited);
    world.run_ms(10_000);
    assert_eq!(world.signals(), [(worker, Signal::Term)]);
    assert_eq!(world.ends(2, "worker"), [Reason::Killed(15)]);
    assert_eq!((world.kept_rows(0), world.stats(0).registry.links), (0, 0));
}

#[test]
fn a_process_that_does_not_heed_the_signal_is_killed() {
    let (mut world, worker, boss) = linked(false);
    world.hosts[0].os.make_stubborn(worker);
    world.end(2, boss, Reason::Exited);
    world.run_ms(1_500);
    assert_eq!(world.signals(), [(worker, Signal::Term)]);
    world.run_ms(1_000);
    assert_eq!(
        world.signals(),
        [(worker, Signal::Term), (worker, Signal::Kill)]
    );
}

#[test]
fn a_process_that_has_become_another_users_is_registered_no_longer() {
    let (mut world, worker, boss) = linked(false);
    world.hosts[0].os.change_user(worker, 0);
    world.end(2, boss, Reason::Exited);
    world.run_ms(10_000);
    assert_eq!(world.signals(), []);
    assert_eq!(world.ends(2, "worker"), [Reason::Unregistered]);
    assert!(world.hosts[0].os.runs(&worker) && !world.hosts[0].os.watches(&worker));
    assert_eq!((world.kept_rows(0), world.stats(0).registry.links), (0, 0));
}

#[test]
fn a_node_out_of_sight_fires_only_links_that_ask_for_it() {
    for unreachable in [false, true] {
        let (mut world, worker, _) = linked(unreachable);
        world.cut(&[2], &[0, 1]);
        world.run_ms(15_000);
        let expected = if unreachable {
            vec![(worker, Signal::Term)]
        } else {
            vec![]
        };
        assert_eq!(world.signals(), expected);
    }
}

/// What was taken back may have been registered again, where nobody here can hear of it.
#[test]
fn a_link_does_not_fire_on_an_end_from_before_it_was_made() {
    for again in [true, false] {
        let mut world = Script::cluster(1, 0.0, 3);
        let (worker, boss) = (world.register(0, "worker"), world.register(2, "boss"));
        world.run_ms(50);
        let handle = world.holder(0, "boss").unwrap();
        let take_back = ask::Unregister {
            name: name("boss"),
            uid: 1000,
        };
        assert_eq!(world.asked(2, take_back), Ok(()));
        world.run_ms(50);
        world.cut(&[2], &[0, 1]);
        if again {
            world.asked(2, registration("boss", boss)).unwrap();
        }
        assert_eq!(
            world.asked(0, link(LinkTarget::Handle(handle), false)),
            Ok(())
        );
        world.run_ms(30_000);
        assert_eq!(world.signals(), [], "its node cannot be asked");
        world.heal();
        world.run_ms(10_000);
        let expected = if again {
            vec![]
        } else {
            vec![(worker, Signal::Term)]
        };
        assert_eq!(world.signals(), expected);
    }
}

#[test]
fn a_node_that_left_is_down_for_good() {
    let (mut world, worker, _) = linked(false);
    world.request(2, Leave);
    world.run_ms(3_000);
    assert_eq!(world.signals(), [(worker, Signal::Term)]);
}

#[test]
fn links_survive_a_restart_of_either_daemon() {
    for host in [0, 2] {
        for unreachable in [false, true] {
            let (mut world, worker, boss) = linked(unreachable && host == 0);
            world.kill(host);
            world.run_ms(100);
            world.start(host, &[1]);
            world.run_ms(20_000);
            assert_eq!(world.signals(), []);
            world.end(2, boss, Reason::Exited);
            world.run_ms(1_000);
            assert_eq!(world.signals(), [(worker, Signal::Term)]);
        }
    }
}

/// Whoever else is there tells what that node had registered, but not that it is in sight.
#[test]
fn a_node_that_went_out_of_sight_during_a_restart_fires_once_all_had_time_to_come() {
    for unreachable in [false, true] {
        let (mut world, worker, _) = linked(unreachable);
        world.kill(0);
        world.kill(2);
        world.run_ms(5_000);
        world.start(0, &[1]);
        world.run_ms(10_000);
        assert!(world.holder(0, "boss").is_some(), "it was told of");
        assert_eq!(world.signals(), [], "it may come");
        world.run_ms(10_000);
        let expected = if unreachable {
            vec![(worker, Signal::Term)]
        } else {
            vec![]
        };
        assert_eq!(world.signals(), expected);
    }
}

#[test]
fn an_end_that_was_missed_fires_after_the_restart() {
    let (mut world, worker, boss) = linked(false);
    world.kill(0);
    world.end(2, boss, Reason::Exited);
    world.run_ms(100);
    world.start(0, &[1]);
    world.run_until(10_000, "it fires", |world| {
        world.signals() == [(worker, Signal::Term)]
    });
}

#[test]
fn a_link_to_one_that_has_ended_fires_at_once() {
    let mut world = Script::cluster(1, 0.0, 3);
    let (worker, boss) = (world.register(0, "worker"), world.register(2, "boss"));
    world.run_ms(50);
    let handle = world.holder(0, "boss").unwrap();
    world.end(2, boss, Reason::Exited);
    world.run_ms(50);
    assert_eq!(
        world.asked(0, link(to_boss(), false)),
        Err(Refusal::Unknown(name("boss")))
    );
    assert_eq!(
        world.asked(0, link(LinkTarget::Handle(handle), false)),
        Ok(())
    );
    world.run_ms(50);
    assert_eq!(world.signals(), [(worker, Signal::Term)]);
}

#[test]
fn a_link_to_one_that_nobody_remembers_fires_once_its_node_was_asked() {
    let mut world = Script::cluster(1, 0.0, 3);
    let worker = world.register(0, "worker");
    let never =
        |node: &str| LinkTarget::Handle(format!("boss@{node}#77.1").parse::<Handle>().unwrap());
    world.cut(&[2], &[0, 1]);
    world.run_ms(15_000);
    assert_eq!(world.asked(0, link(never("node3"), false)), Ok(()));
    world.run_ms(5_000);
    assert_eq!(world.signals(), [], "its node may know it");
    world.heal();
    world.run_until(10_000, "it fires", |world| {
        world.signals() == [(worker, Signal::Term)]
    });
    // Its end has yet to come to the others.
    world.run_ms(1_000);
    world.register(1, "worker");
    assert!(matches!(
        world.asked(1, link(never("node9"), false)),
        Err(Refusal::UnknownNode(_))
    ));
    world.asked(1, link(never("node1"), false)).unwrap();
    world.run_ms(50);
    assert_eq!(world.signals().len(), 2);
}

#[test]
fn a_link_taken_back_does_not_fire() {
    let (mut world, _, boss) = linked(false);
    let unlink = ask::Unlink {
        name: name("worker"),
        other: to_boss(),
        uid: 1000,
    };
    assert_eq!(world.asked(0, unlink), Ok(()));
    world.end(2, boss, Reason::Exited);
    world.run_ms(10_000);
    assert_eq!(world.signals(), []);
}
