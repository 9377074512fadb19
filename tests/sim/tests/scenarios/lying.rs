//! A member that lies, and what it has done in the sweeps of liars' seeds.

use crate::entries::{name, push};
use crate::hostile::{SPOILER, unhex};
use crate::script::Script;
use bytes::Bytes;
use crdt::roster::{Profile, RosterEntry, Standing};
use names::ListId;
use node::cluster::{Input, MemberChange};
use node::codec;
use node::lists;
use node::wire::ConnId;
use sim::liar::{Habits, Liars, Lie};
use sim::scenario::Scenario;
use sim::world::World;
use sim::{Options, Report, run_world};
use std::time::Duration;

/// A run without faults of a liar that has but one habit.
fn lied_to(seed: u64, habit: impl FnOnce(&mut Habits)) -> Report {
    let mut habits = Liars::All.draw(seed).unwrap();
    habits.among_faults = false;
    habits.begin = Duration::from_secs(6);
    (habits.alters, habits.withholds) = (0.0, 0.0);
    habit(&mut habits);
    let mut scenario = Scenario {
        writes: 60,
        deeds: 100,
        safety: Duration::from_secs(30),
        ..Scenario::calm(seed)
    };
    habits.shape(&mut scenario);
    scenario.liar = Some(habits);
    run_world(scenario, &Options::default(), World::live_through)
}

/// The weights of a liar that tells lies of these kinds alone.
fn only(lies: &[Lie]) -> [u32; Lie::ALL.len()] {
    Lie::ALL.map(|lie| u32::from(lies.contains(&lie)))
}

#[test]
fn nobody_writes_the_registrations_of_another_node() {
    let report = lied_to(1, |habits| {
        habits.lies = only(&[Lie::Log]);
        (habits.pause, habits.burst) = (Duration::from_millis(20), 4);
    });
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(report.lies.unwrap()["log"] > 1_000);
}

#[test]
fn a_member_that_says_nothing_but_rubbish_on_many_connections_is_borne() {
    let report = lied_to(2, |habits| {
        habits.lies = only(&[Lie::Rubbish]);
        (habits.lurks, habits.goes_on) = (true, true);
        (habits.pause, habits.burst) = (Duration::from_millis(50), 1);
    });
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn who_alters_all_that_it_says_speaks_for_nobody_else() {
    let report = lied_to(3, |habits| {
        habits.lies = only(&[Lie::Bent]);
        habits.alters = 1.0;
    });
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

impl Script {
    /// A connection of two hosts' daemons that stands, as the first one has it.
    fn conn_to(&self, host: usize, other: usize) -> ConnId {
        let peer = self.hosts[other].peer.id;
        let process = self.hosts[host].process.as_ref().unwrap();
        let member = process.view.as_ref().unwrap().member(peer).unwrap();
        member.conn.unwrap()
    }
}

/// What a member says of another one's line, in the first version of the protocol: the message's tag,
/// the lines, and whether an answer is wanted.
fn line(world: &Script, of: usize, run: u64, standing: Standing) -> Bytes {
    let peer = &world.hosts[of].peer;
    let profile = Profile {
        name: peer.name.clone(),
        address: world.hosts[of].address,
        version: "0.1.0".into(),
        tags: Vec::new(),
    };
    let line = RosterEntry {
        run,
        standing,
        profile,
    };
    let message = (7_u32, vec![(peer.id, line)], false);
    codec::encode(&message).unwrap().into()
}

#[test]
fn that_a_node_has_left_is_not_its_word_because_it_was_told_so() {
    let mut world = Script::cluster(1, 0.0, 3);
    let (conn, left) = (world.conn_to(0, 2), world.run_of(0, 0) + 5);
    let bytes = line(&world, 0, left, Standing::Left);
    world.tell(0, Input::Message { conn, bytes });
    world.run_ms(10_000);
    assert_eq!(world.count(MemberChange::Left, 0), 0);
    world.expect_whole(3);
}

#[test]
fn a_change_of_no_use_does_not_keep_a_list_away() {
    let mut world = Script::compared(2);
    let (conn, list) = (world.conn_to(0, 1), ListId::of(&name("groceries")));
    let owner = world.hosts[0].process.as_ref().unwrap().owner_of(list);
    let bytes = push(name("groceries"), vec![unhex(SPOILER)], false);
    world.tell_lists(0, owner, lists::Input::Message { conn, bytes });
    world.run_ms(60_000);
    world.cut(&[0], &[1]);
    world.add(1, "groceries", "bread");
    world.run_ms(15_000);
    world.heal();
    world.run_until_agreed(30_000);
}
