//! What an observer's word counts for: it is there, and says nothing of others.

use super::super::message::Message;
use super::super::swim::{Identity, Member};
use super::arbitrary::Act;
use super::proved::{forgotten, written};
use super::{Bench, OBSERVER, address, greeted_bench, peer, settings, signed_line};
use super::{Cluster, Kept, Settings};
use crate::cluster::io::{RosterView, Verdict};
use crate::machine::Machine;
use crate::proof::testing::Cheap;
use crate::time::Now;
use crate::wire::Protocol;
use crdt::roster::{Line, Standing};
use names::{NodeId, Role};
use std::sync::Arc;

/// A member that has met another one and an observer, which speaks last.
fn bench() -> Bench {
    let mut bench = greeted_bench(Protocol::PROVED);
    bench.greet(OBSERVER, 1);
    assert!(bench.is_connected(OBSERVER));
    bench
}

fn view(bench: &Bench) -> &RosterView {
    bench.view.as_deref().unwrap()
}

#[test]
fn it_is_seen_and_counts_in_no_verdict() {
    let mut bench = bench();
    let seen = view(&bench);
    let member = |n: u8| seen.member(NodeId([n; 16])).unwrap();
    assert_eq!(member(OBSERVER).role, Role::Observer);
    assert_eq!(
        (member(1).role, member(2).role),
        (Role::Member, Role::Member)
    );
    assert_eq!((seen.expected().count(), seen.verdict), (2, Verdict::Whole));
    let stats = bench.machine.stats();
    assert_eq!(
        (stats.expected, stats.reachable, stats.observers),
        (2, 1, 1)
    );
    // A member that is away is missed, an observer is not.
    bench.act(Act::Close(0));
    bench.wait(20_000);
    let seen = view(&bench);
    assert!(
        !seen
            .member(NodeId([OBSERVER; 16]))
            .unwrap()
            .state
            .is_reachable()
    );
    assert_eq!(bench.machine.stats().expected, 2);
}

#[test]
fn it_says_nothing_of_other_nodes() {
    let mut bench = bench();
    // Lines of others, with their own proofs.
    bench.say_lines([signed_line(4, (3, 1), 4, Standing::Member)]);
    assert_eq!(bench.line(4), None);
    bench.say_lines([signed_line(2, (1, 2), 2, Standing::Left)]);
    assert_eq!(bench.line(2), Some((1, Standing::Member)));
    // That a member is down that cannot answer, and that a stranger is there.
    let node2 = Identity::of_run(NodeId([2; 16]), address(2), 1);
    bench.act(Act::Close(1));
    bench.say(Message::Members(vec![Member::down(node2)]));
    bench.wait(600);
    assert!(bench.machine.swim.seen(node2.node).unwrap().is_active());
    // Its own line it may write anew.
    bench.say_lines([signed_line(OBSERVER, (1, 2), OBSERVER, Standing::Left)]);
    assert_eq!(bench.line(OBSERVER), Some((1, Standing::Left)));
}

#[test]
fn its_word_that_a_node_is_forgotten_counts_from_nobody() {
    let mut bench = bench();
    bench.act(Act::Close(1));
    let refused = bench.machine.stats().lines_refused;
    bench.say_lines([forgotten(OBSERVER, 2, (1, 1))]);
    bench.greet(3, 1);
    bench.say_lines([forgotten(OBSERVER, 2, (1, 1))]);
    assert_eq!(bench.line(2), Some((1, Standing::Member)));
    assert_eq!(bench.machine.stats().lines_refused, refused + 1);
    // A member's word counts.
    bench.say_lines([forgotten(3, 2, (1, 1))]);
    assert_eq!(bench.line(2), Some((1, Standing::Forgotten)));
}

#[test]
fn it_is_not_heard_in_protocol_1() {
    let mut bench = greeted_bench(Protocol::UNPROVED);
    bench.greet(OBSERVER, 1);
    assert!(!bench.is_connected(OBSERVER));
    assert_eq!(bench.line(OBSERVER), None);
}

#[test]
fn what_a_node_is_is_known_after_a_restart() {
    let mut machine = Cluster::new(settings(false), Now::default());
    written(&mut machine).unwrap();
    for n in [2, OBSERVER] {
        let line = Line::read(signed_line(n, (3, 1), n, Standing::Member)).unwrap();
        machine.roster.prove_line(&line);
        machine.roster_changed(&[NodeId([n; 16])]);
    }
    machine.route_and_publish();
    let kept = Kept::read(&written(&mut machine).unwrap()).unwrap();
    let again = Cluster::new(
        Settings {
            kept,
            ..settings(false)
        },
        Now::default(),
    );
    assert_eq!(again.roster.role(NodeId([OBSERVER; 16])), Role::Observer);
    assert_eq!(again.roster.role(NodeId([2; 16])), Role::Member);
}

#[test]
fn one_does_not_count_itself() {
    let mut settings = settings(false);
    settings.me = peer(OBSERVER);
    settings.proofs = Arc::new(Cheap(settings.me.clone()));
    settings.profile = super::profile("node6", OBSERVER);
    let mut machine = Cluster::new(settings, Now::default());
    written(&mut machine).unwrap();
    let stats = machine.stats();
    assert_eq!(
        (stats.expected, stats.reachable, stats.observers),
        (1, 0, 1)
    );
}
