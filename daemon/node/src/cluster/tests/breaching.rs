//! Peers that break the protocol are cut off, for longer each time.

use super::*;

impl Bench {
    /// The connections that were closed since this was asked last, and why.
    fn take_closed(&mut self) -> Vec<(ConnId, CloseReason)> {
        std::mem::take(&mut self.closed)
    }

    fn breach_of(&self, n: u8) -> Option<CloseReason> {
        let view = self.view.as_ref().unwrap();
        view.member(NodeId([n; 16])).unwrap().breach
    }

    /// How often node 3 was dialled since this was asked last.
    fn take_dialled(&mut self) -> usize {
        let is_node_3 = |(_, target): &(DialId, Target)| matches!(target, Target::Node(node, _) if *node == NodeId([3; 16]));
        let dialled = std::mem::take(&mut self.dialled);
        dialled.iter().filter(|dial| is_node_3(dial)).count()
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_is_cut_off_for_longer_each_time() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    for seconds in [1, 2, 4] {
        let rubbish = ConnId(bench.conns);
        bench.act(Act::Rubbish(0, vec![1, 2, 3]));
        assert_eq!(bench.take_closed(), [(rubbish, CloseReason::Malformed)]);
        assert_eq!(bench.breach_of(3), Some(CloseReason::Malformed));
        bench.take_dialled();

        bench.wait(seconds * 1_000 - 1);
        bench.sent.clear();
        bench.act(Act::Connect(3));
        let refused = ConnId(bench.conns);
        assert_eq!(bench.take_closed(), [(refused, CloseReason::Malformed)]);
        assert!(bench.sent.is_empty(), "nothing was said to it");
        assert_eq!(bench.take_dialled(), 0);

        bench.wait(1);
        bench.greet(3, 1);
        assert!(bench.is_connected(3) && bench.take_closed().is_empty());
    }
    assert!(bench.is_connected(2));
    assert_eq!(bench.breach_of(2), None);
}

#[test]
fn who_keeps_the_protocol_for_a_while_begins_anew() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    bench.act(Act::Rubbish(0, vec![1, 2, 3]));
    bench.wait(599_000);
    assert!(bench.take_dialled() > 0);
    assert_eq!(bench.breach_of(3), Some(CloseReason::Malformed));
    bench.wait(2_000);
    assert_eq!(bench.breach_of(3), None);
}

#[test]
fn what_another_machine_finds_ends_all_connections_of_the_peer() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    bench.greet(3, 1);
    let (older, newer) = (ConnId(bench.conns - 1), ConnId(bench.conns));
    bench.take_closed();
    let reason = CloseReason::Abuse;
    bench.machine.handle(
        bench.now,
        Input::Breach {
            conn: older,
            reason,
        },
    );
    bench.drain();
    let closed: BTreeSet<ConnId> = bench.take_closed().iter().map(|(conn, _)| *conn).collect();
    assert!(
        closed.contains(&newer) && !closed.contains(&ConnId(1)),
        "{closed:?}"
    );
    assert!(!bench.is_connected(3));
    assert_eq!(bench.breach_of(3), Some(reason));
}

#[test]
fn other_authorities_may_make_right_what_was_refused() {
    let mut bench = lied_to_bench(Protocol::PROVED);
    bench.act(Act::Rubbish(0, vec![1, 2, 3]));
    bench.machine.handle(bench.now, Input::Recertified);
    bench.drain();
    bench.take_closed();
    bench.greet(3, 1);
    assert!(bench.is_connected(3) && bench.take_closed().is_empty());
}
