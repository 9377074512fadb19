//! Whom the machine dials, and how often.

use super::super::io::{Input, Target};
use super::super::message::Message;
use super::super::swim::{Identity, Member};
use super::arbitrary::Act;
use super::{Bench, address, lied_to_bench, peer, profile, signed_profile};
use crate::machine::Machine;
use crate::wire::{ConnId, DialId, Protocol};
use crdt::roster::Standing;
use names::NodeId;
use std::net::SocketAddr;

impl Bench {
    /// Nobody answers the attempts that were begun; gives how many there were.
    fn fail_dials(&mut self) -> usize {
        let dialled = std::mem::take(&mut self.dialled);
        for (dial, _) in &dialled {
            self.fail(*dial);
        }
        dialled.len()
    }

    /// Nobody answers an attempt.
    fn fail(&mut self, dial: DialId) {
        let input = Input::DialFailed {
            dial,
            refused: false,
            reason: String::new(),
        };
        self.machine.handle(self.now, input);
        self.drain();
    }

    /// Node 4 answers an attempt in a run of its daemon, and is accepted.
    fn answered(&mut self, (dial, run): (DialId, u64), remote: SocketAddr) {
        self.conns += 1;
        let input = Input::Connected {
            peer: peer(4),
            conn: ConnId(self.conns),
            dial: Some(dial),
            remote,
            protocol: Protocol::PROVED,
        };
        self.machine.handle(self.now, input);
        self.say(self.hello(4, run));
        assert!(self.is_connected(4));
    }

    /// How many attempts at nodes were begun within ten minutes in which node3 says something each
    /// 100 ms, if each attempt fails within a second.
    fn dials_while(&mut self, say: impl Fn(&mut Self, u16)) -> usize {
        self.fail_dials();
        let mut dials = 0;
        for n in 0..6_000 {
            say(self, n);
            self.wait(100);
            if n % 10 == 9 {
                dials += self.fail_dials();
            }
        }
        dials
    }
}

fn victim(n: u16) -> SocketAddr {
    ([192, 0, 2, 1], n).into()
}

#[test]
fn who_names_thousands_of_addresses_in_packets_has_few_of_them_dialled() {
    for protocol in [Protocol::UNPROVED, Protocol::PROVED] {
        let mut bench = lied_to_bench(protocol);
        let dials = bench.dials_while(|bench, n| {
            let named = (10..110).map(|node: u8| {
                let addr = victim(n.wrapping_mul(100).wrapping_add(u16::from(node)));
                Member::alive(Identity::of_run(NodeId([node; 16]), addr, 1 + u64::from(n)))
            });
            bench.say(Message::Members(named.collect()));
        });
        // Eight a second at most, the seed, and now and then a member that has fallen silent.
        assert!(dials <= 10 * 600, "{protocol:?}: {dials}");
    }
}

#[test]
fn who_names_thousands_of_addresses_in_its_lines_has_few_of_them_dialled() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    // It speaks by another member, which passes its lines on, and is not connected itself.
    bench.act(Act::Close(0));
    bench.conns -= 1;
    let dials = bench.dials_while(|bench, n| {
        let mut profile = profile("node3", 3);
        profile.address = victim(n);
        let line = signed_profile(3, (1, 2 + u64::from(n)), 3, (Standing::Member, profile));
        let (lines, answer) = (vec![line], false);
        bench.say(Message::Lines { lines, answer });
    });
    // One a second, since its line has one address at a time; the few others are of the seed.
    assert!((1..=700).contains(&dials), "{dials}");
}

#[test]
fn a_member_that_was_met_and_is_down_is_dialled_within_three_seconds_beside_older_attempts() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    // It has proved its address by a dial of this node's.
    let remote = address(4);
    let line = super::signed_line(4, (1, 1), 4, Standing::Member);
    bench.say(Message::Lines {
        lines: vec![line],
        answer: false,
    });
    bench.wait(1_000);
    let is_node4 = |(_, target): &(_, Target)| *target == Target::Node(NodeId([4; 16]), remote);
    let (dial, _) = bench.dialled.iter().find(|one| is_node4(one)).unwrap();
    bench.answered((*dial, 1), remote);
    bench.act(Act::Close(0));
    bench.dialled.clear();
    for _ in 0..20 {
        bench.wait(3_000);
        let begun = std::mem::take(&mut bench.dialled);
        assert!(begun.iter().any(is_node4), "at {:?}", bench.now.instant);
        // The attempt before the latest one is given up only now.
        if let Some((dial, _)) = begun.iter().find(|one| is_node4(one)) {
            bench.fail(*dial);
        }
    }
    // With the first connection all others are given up.
    bench.wait(6_000);
    let dial = bench.dialled.iter().rfind(|one| is_node4(one)).unwrap().0;
    bench.answered((dial, 2), remote);
    assert!(bench.given_up.len() > 1 && !bench.given_up.contains(&dial));
}
