//! One name, claimed on both sides of a partition.

use crate::programs::{name, registration};
use crate::script::Script;
use crdt::registry::{Process, Reason};
use node::registry::{EventKind, OnConflict, ProcessState, Signal};
use sim::faults::Fault;

/// Two sides that do not see each other, and a name registered on each: first on node1, then on
/// node4.
fn both_sides(world: &mut Script, on_conflict: OnConflict) -> (Process, Process) {
    world.cut(&[0, 1], &[2, 3, 4]);
    world.run_ms(15_000);
    let register = |world: &mut Script, host| {
        let mut wanted = registration("web", world.spawn(host));
        wanted.on_conflict = on_conflict;
        let process = wanted.process;
        assert_eq!(world.asked(host, wanted), Ok(true));
        process
    };
    // The earlier claim is earlier by the time, however many were made before it on its side.
    (0..5).for_each(|n| {
        world.register(0, &format!("before{n}"));
    });
    let first = register(world, 0);
    world.run_ms(50);
    (first, register(world, 3))
}

fn heal(world: &mut Script) {
    world.heal();
    world.run_until(8_000, "healed", |world| {
        world.is_whole(5)
            && (0..5).all(|host| {
                world
                    .found(host, "web")
                    .is_some_and(|found| found.others.len() == 1)
            })
    });
}

#[test]
fn after_a_partition_all_pick_the_same_winner_and_the_loser_is_told() {
    for seed in 0..5 {
        let mut world = Script::cluster(seed, 0.02, 5);
        both_sides(&mut world, OnConflict::Notify);
        heal(&mut world);
        for host in 0..5 {
            let found = world.found(host, "web").unwrap();
            assert_eq!(found.state, ProcessState::Contested);
            assert_eq!(
                (found.holder.node.as_str(), found.others[0].node.as_str()),
                ("node1", "node4")
            );
            let (winner, loser) = (
                found.holder.handle(&name("web")),
                found.others[0].handle(&name("web")),
            );
            let heard = world.heard(host, "web");
            assert!(
                heard.contains(&(EventKind::Lost { to: winner.clone() }, loser.clone())),
                "{heard:?}"
            );
            assert!(
                heard.contains(&(EventKind::Contested { other: loser }, winner)),
                "{heard:?}"
            );
            assert_eq!(world.ends(host, "web"), []);
            assert_eq!(world.stats(host).registry.contested, 1);
        }
        assert_eq!(world.signals(), []);
    }
}

#[test]
fn a_loser_that_registers_anew_with_an_earlier_claim_is_not_back_but_another() {
    let mut world = Script::cluster(1, 0.0, 5);
    world.strike(Fault::Backup { host: 3 });
    let (_, loser) = both_sides(&mut world, OnConflict::Notify);
    heal(&mut world);
    let loser_handle = world.found(0, "web").unwrap().others[0].handle(&name("web"));
    // Its daemon starts again from an old disk, and hears of nobody until the process has
    // registered: by a clock that has forgotten all claims, on a host whose own was set back.
    world.strike(Fault::Restore { host: 3 });
    world.strike(Fault::Jump {
        host: 3,
        ms: -3_600_000,
    });
    world.cut(&[3], &[0, 1, 2, 4]);
    world.start(3, &[0]);
    world.run_ms(100);
    assert_eq!(world.asked(3, registration("web", loser)), Ok(true));
    world.heal();
    world.run_until(15_000, "it has the name", |world| {
        world.is_whole(5)
            && (0..5).all(|host| {
                let found = world.found(host, "web").unwrap();
                found.holder.node.as_str() == "node4" && found.others.len() == 1
            })
    });
    for host in [0, 1, 2, 4] {
        let heard = world.heard(host, "web");
        let its = heard.iter().filter(|(_, handle)| *handle == loser_handle);
        let its: Vec<&EventKind> = its.map(|(kind, _)| kind).collect();
        let is_end = |kind: &&EventKind| matches!(kind, EventKind::Down(_));
        let anew = &its[its.iter().position(is_end).unwrap()..];
        assert_eq!(
            anew[..2],
            [&EventKind::Down(Reason::Unregistered), &EventKind::Up]
        );
        // It may be back from out of sight, but it never had the name to lose.
        let hidden = anew
            .iter()
            .position(|kind| **kind == EventKind::Unreachable);
        let back = anew.iter().position(|kind| **kind == EventKind::Back);
        assert!(
            back.is_none() || hidden.is_some() && hidden < back,
            "{its:?}"
        );
    }
}

#[test]
fn the_loser_takes_the_name_back_when_the_winner_goes() {
    let mut world = Script::cluster(1, 0.0, 5);
    let (winner, _) = both_sides(&mut world, OnConflict::Notify);
    heal(&mut world);
    let loser = world.found(0, "web").unwrap().others[0].handle(&name("web"));
    world.end(0, winner, Reason::Exited);
    world.run_until(2_000, "the loser has it again", |world| {
        (0..5).all(|host| world.found(host, "web").unwrap().state == ProcessState::Up)
    });
    for host in 0..5 {
        assert_eq!(world.holder(host, "web").as_ref(), Some(&loser));
        assert_eq!(world.ends(host, "web"), [Reason::Exited]);
        assert_eq!(
            world.heard(host, "web").last(),
            Some(&(EventKind::Back, loser.clone()))
        );
        assert_eq!(world.stats(host).registry.contested, 0);
    }
}

#[test]
fn a_loser_that_asked_for_it_is_terminated() {
    let mut world = Script::cluster(1, 0.0, 5);
    let (_, loser) = both_sides(&mut world, OnConflict::Terminate);
    world.hosts[3].os.make_stubborn(loser);
    world.heal();
    world.run_ms(15_000);
    assert_eq!(
        world.signals(),
        [(loser, Signal::Term), (loser, Signal::Kill)]
    );
    assert!((0..5).all(|host| world.ends(host, "web") == [Reason::Killed(9)]));
    assert!((0..5).all(|host| world.found(host, "web").unwrap().state == ProcessState::Up));
}

#[test]
fn names_of_a_node_out_of_sight_are_unreachable_and_come_back() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(2, "web");
    world.run_ms(50);
    world.cut(&[2], &[0, 1]);
    world.run_until(5_000, "hidden", |world| {
        world.found(0, "web").unwrap().state == ProcessState::Unreachable
    });
    world.heal();
    world.run_until(8_000, "back", |world| {
        world.found(0, "web").unwrap().state == ProcessState::Up
    });
    let kinds: Vec<EventKind> = world
        .heard(0, "web")
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(
        kinds,
        [EventKind::Up, EventKind::Unreachable, EventKind::Back]
    );
}

#[test]
fn a_name_whose_holder_is_out_of_sight_can_be_taken_and_is_lost_again() {
    let mut world = Script::cluster(1, 0.0, 3);
    world.register(2, "web");
    world.run_ms(50);
    world.cut(&[2], &[0, 1]);
    world.run_until(5_000, "hidden", |world| {
        world.found(0, "web").unwrap().state == ProcessState::Unreachable
    });
    world.register(0, "web");
    assert_eq!(
        world
            .holder(1, "web")
            .map(|handle| handle.node.to_string())
            .as_deref(),
        Some("node1")
    );
    world.heal();
    world.run_until(8_000, "contested", |world| {
        (0..3).all(|host| world.found(host, "web").unwrap().state == ProcessState::Contested)
    });
    assert!((0..3).all(|host| world.holder(host, "web").unwrap().node.as_str() == "node3"));
}

#[test]
fn a_partition_with_ten_thousand_names_on_each_side_heals() {
    let mut world = Script::cluster(1, 0.0, 4);
    world.cut(&[0, 1], &[2, 3]);
    world.run_ms(15_000);
    for host in [0, 3] {
        for n in 0..10_000 {
            let process = world.spawn(host);
            world.request(host, registration(&format!("p{host}-{n}"), process));
            if n % 1_000 == 0 {
                world.run_ms(10);
            }
        }
    }
    world.run_ms(1_000);
    assert_eq!(world.directory(1).len(), 10_000);
    world.heal();
    world.run_until(8_000, "healed", |world| {
        (0..4).all(|host| world.directory(host).len() == 20_000)
    });
}
