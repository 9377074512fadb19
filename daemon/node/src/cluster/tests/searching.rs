//! Whom a node says that it looks for and has not found.

use super::super::io::{Input, Target};
use super::super::kept::Kept;
use super::super::search::{Search, in_words};
use super::arbitrary::Act;
use super::{Bench, ConnId, address, peer, profile, settings};
use crate::machine::Machine;
use crate::wire::Protocol;
use crdt::roster::{Roster, RosterEntry, Standing};
use names::NodeId;

fn bench(seeds: &[&str]) -> Bench {
    let mut settings = settings(false);
    settings.seeds = seeds.iter().map(ToString::to_string).collect();
    started(Bench::with(Protocol::PROVED, settings))
}

/// A bench whose disk has kept node2 and node3.
fn kept_bench(seeds: &[&str]) -> Bench {
    let mut roster = Roster::default();
    for n in [2, 3] {
        let entry = RosterEntry {
            run: 1,
            standing: Standing::Member,
            profile: profile(&format!("node{n}"), n),
        };
        roster.merge_entry(NodeId([n; 16]), entry);
    }
    let mut settings = settings(false);
    settings.seeds = seeds.iter().map(ToString::to_string).collect();
    settings.kept = Kept::new(7, &roster);
    started(Bench::with(Protocol::PROVED, settings))
}

fn started(mut bench: Bench) -> Bench {
    bench.drain();
    bench
}

impl Bench {
    fn searched(&self) -> &Search {
        self.search.as_deref().unwrap()
    }

    /// Whether all seeds have been silent, and which ones are by name.
    fn silent_seeds(&self) -> Vec<&str> {
        let seeds = self.searched().seeds.iter();
        seeds.map(|seed| seed.name.as_str()).collect()
    }

    /// All attempts under way fail for that reason.
    fn all_fail(&mut self, refused: bool, reason: &str) {
        for (dial, _) in std::mem::take(&mut self.dialled) {
            let reason = reason.to_owned();
            let input = Input::DialFailed {
                dial,
                refused,
                reason,
            };
            self.machine.handle(self.now, input);
            self.drain();
        }
    }

    /// Node `n` answers the attempt at that seed.
    fn answer_at(&mut self, seed: &str, n: u8) {
        let is_it = |target: &Target| *target == Target::Named(seed.to_owned());
        let place = self.dialled.iter().position(|(_, target)| is_it(target));
        let (dial, _) = self.dialled.remove(place.unwrap());
        self.conns += 1;
        let input = Input::Connected {
            peer: peer(n),
            conn: ConnId(self.conns),
            dial: Some(dial),
            remote: address(n),
            protocol: self.protocol,
        };
        self.machine.handle(self.now, input);
        self.drain();
        self.say(self.hello(n, 1));
    }
}

#[test]
fn each_seed_is_named_with_what_came_of_the_last_attempt_until_it_answers() {
    let mut bench = bench(&["h2:6878", "h3:6878"]);
    assert!(bench.searched().is_first && !bench.searched().is_long);
    assert_eq!(bench.silent_seeds(), ["h2:6878", "h3:6878"]);
    bench.all_fail(true, "its certificate is of another cluster");
    bench.wait(6_000);
    let told = in_words(&bench.searched().seeds);
    assert!(
        told.starts_with("h2:6878 (refused: its certificate is of another cluster), h3:6878 ("),
        "{told}"
    );
    assert!(bench.searched().is_first && bench.searched().is_long);
    bench.answer_at("h2:6878", 2);
    // The node is in a cluster from now on; the other seed is still looked for.
    assert!(!bench.searched().is_first);
    bench.wait(2_000);
    assert_eq!(bench.silent_seeds(), ["h3:6878"]);
    assert_eq!(bench.machine.stats().seeds_unreached, 1);
    bench.answer_at("h3:6878", 3);
    bench.wait(2_000);
    assert_eq!(bench.searched().seeds, []);
    // A seed that goes away later is a member that is down, and no typing error.
    bench.act(Act::Close(0));
    bench.wait(60_000);
    assert_eq!(bench.searched().seeds, []);
}

#[test]
fn the_first_node_of_a_cluster_waits_for_nobody() {
    let alone = Search {
        is_alone: true,
        ..Search::default()
    };
    assert_eq!(*bench(&[]).searched(), alone);
    assert_eq!(*bench(&["10.0.0.1:6878"]).searched(), alone);
    // Its own address among the seeds, as all nodes may have the same ones.
    let mut bench = bench(&["h1:6878", "h2:6878"]);
    let (dial, _) = bench.dialled.remove(0);
    bench
        .machine
        .handle(bench.now, Input::DialledItself { dial });
    bench.wait(2_000);
    assert!(!bench.searched().is_first);
    assert_eq!(bench.silent_seeds(), ["h2:6878"]);
}

#[test]
fn known_members_are_named_while_all_of_them_are_silent() {
    let mut bench = kept_bench(&[]);
    bench.all_fail(false, "no answer within 6 s");
    bench.wait(6_000);
    let told = in_words(&bench.searched().members);
    assert_eq!(
        told,
        "node2 at 10.0.0.2:6878 (no answer within 6 s), node3 at 10.0.0.3:6878 (no answer within 6 s)"
    );
    assert!(bench.searched().is_long && !bench.searched().is_first);
    bench.greet(3, 2);
    assert_eq!(bench.searched().members, []);
    bench.act(Act::Close(0));
    bench.wait(60_000);
    assert_eq!(bench.searched().members, []);
}

#[test]
fn a_node_that_was_in_a_cluster_is_no_first_one_though_no_seed_answers() {
    let bench = kept_bench(&["h2:6878"]);
    assert!(!bench.searched().is_first);
    assert_eq!(bench.silent_seeds(), ["h2:6878"]);
}

#[test]
fn many_are_told_by_their_number() {
    let seeds: Vec<String> = (0..9).map(|n| format!("h{n}:6878")).collect();
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let told = in_words(&bench(&seeds).searched().seeds);
    assert!(
        told.ends_with(", h4:6878 (no answer yet) and 4 more"),
        "{told}"
    );
}
