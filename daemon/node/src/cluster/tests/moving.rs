//! What a node says when its own address has changed.

use super::super::io::Input;
use super::super::message::Message;
use super::{Bench, address, greeted_bench};
use crate::machine::Machine;
use crate::wire::Protocol;
use crdt::roster::Line;
use names::NodeId;
use std::net::SocketAddr;

impl Bench {
    fn moves_to(&mut self, address: SocketAddr) {
        self.machine.handle(self.now, Input::Moved { address });
        self.drain();
    }

    /// The addresses and serials of this node's own lines that were sent since.
    fn lines_sent(&mut self) -> Vec<(SocketAddr, u64)> {
        let sent = std::mem::take(&mut self.sent);
        let lines = sent.iter().filter_map(|bytes| {
            let Ok(Message::Lines { lines, .. }) = Message::read(bytes) else {
                return None;
            };
            Some(lines)
        });
        let lines = lines.flatten().map(|bytes| Line::read(bytes).unwrap());
        let own = lines.filter(|line| line.subject() == NodeId([1; 16]));
        own.map(|line| {
            let entry = line.entry().unwrap().unwrap();
            (entry.profile.address, line.relayed().rank().serial)
        })
        .collect()
    }

    fn generation(&self) -> u64 {
        self.machine.swim.identity().generation
    }

    fn shown_address(&self) -> SocketAddr {
        let view = self.view.as_deref().unwrap();
        view.member(NodeId([1; 16])).unwrap().profile.address
    }
}

#[test]
fn a_new_address_is_said_at_once_with_the_next_serial_and_generation() {
    let mut bench = greeted_bench(Protocol::PROVED);
    bench.wait(1_000);
    let before = bench.generation();
    bench.sent.clear();
    bench.moves_to(address(9));
    assert_eq!(bench.lines_sent(), [(address(9), 2)]);
    assert_eq!(bench.generation(), before + 1);
    assert_eq!(bench.machine.swim.identity().addr, address(9));
    assert_eq!(bench.shown_address(), address(9));
    // The same again is no news.
    bench.wait(60_000);
    bench.sent.clear();
    bench.moves_to(address(9));
    assert_eq!(
        (bench.lines_sent(), bench.generation()),
        (vec![], before + 1)
    );
}

#[test]
fn of_addresses_that_flap_one_in_ten_seconds_is_said_and_the_latest_in_the_end() {
    let mut bench = greeted_bench(Protocol::PROVED);
    bench.wait(1_000);
    let before = bench.generation();
    for n in 0..35 {
        bench.moves_to(address(10 + n));
        bench.wait(1_000);
    }
    bench.wait(10_000);
    assert!((4..=5).contains(&(bench.generation() - before)));
    assert_eq!(bench.shown_address(), address(44));
}

#[test]
fn an_address_that_came_back_while_it_had_to_wait_is_not_said() {
    let mut bench = greeted_bench(Protocol::PROVED);
    bench.moves_to(address(9));
    let generation = bench.generation();
    bench.moves_to(address(8));
    bench.moves_to(address(9));
    bench.wait(30_000);
    assert_eq!(bench.generation(), generation);
    assert_eq!(bench.shown_address(), address(9));
}

#[test]
fn an_address_that_changes_before_the_run_is_on_the_disk_is_said_after_it() {
    let mut bench = Bench::new(Protocol::PROVED);
    let input = Input::Moved {
        address: address(9),
    };
    bench.machine.handle(bench.now, input);
    bench.drain();
    assert_eq!(bench.shown_address(), address(9));
}
