//! Who is told and asked what, and when.

use super::*;
use crate::registry::Effect;
use crate::time::{Now, Wall};
use bytes::Bytes;
use crdt::registry::Position;
use crdt::registry::{Process, Reason, State};
use names::{ProcessName, Role};

const ME: NodeId = NodeId([1; 16]);
const PEER: NodeId = NodeId([2; 16]);

/// The one connection in use.
struct Only(ConnId);

impl Routes for Only {
    fn current(&self, _: NodeId) -> Option<ConnId> {
        Some(self.0)
    }

    fn role(&self, _: ConnId) -> Role {
        Role::Member
    }

    fn protocol(&self, _: ConnId) -> Protocol {
        Protocol::PROVED
    }
}

/// Where parts of this node's log went.
fn pushed(edge: &mut Edge) -> Vec<ConnId> {
    let mut pushed = Vec::new();
    while let Some(effect) = edge.next_output() {
        if let Effect::Send { conn, bytes } = effect
            && let Some(Message::Proved { pushed: true, .. }) =
                Message::read(&bytes, Protocol::PROVED).unwrap()
        {
            pushed.push(conn);
        }
    }
    pushed
}

/// A node with one registration that has ended.
fn begun() -> (Edge, Exchange, Logs) {
    let (instant, wall) = (Instant::default(), Wall(0));
    let mut logs = Logs::default();
    logs.begin(ME, 1, 0);
    let process = Process {
        boot: [0; 16],
        pid: 1,
        start: 1,
    };
    let name = ProcessName::new("web").unwrap();
    logs.put(ME, name, process, State::Gone(Reason::Exited));
    logs.prove(ME, |_| Bytes::new()).unwrap();
    let edge = Edge::new(Now { instant, wall });
    (edge, Exchange::new(ME, false), logs)
}

/// Of two connections the newer one is in use, and the peer may have yet to accept it.
#[test]
fn nothing_is_pushed_where_the_peer_has_yet_to_listen() {
    let (mut edge, mut exchange, logs) = begun();
    for conn in [ConnId(1), ConnId(2)] {
        exchange.accepted(&mut edge, &Only(conn), &logs, conn, PEER);
    }
    let newer = Only(ConnId(2));
    for (conn, went) in [(ConnId(1), vec![]), (ConnId(2), vec![ConnId(2)])] {
        exchange.note_message(conn);
        exchange.compare(&mut edge, &newer, &logs, (PEER, conn), &[]);
        assert_eq!(pushed(&mut edge), went);
    }
}

/// That a queue is full is told once, and until it has drained it drops without a word.
#[test]
fn nothing_is_pushed_into_a_full_queue_before_the_next_round() {
    let (mut edge, mut exchange, logs) = begun();
    let conn = ConnId(1);
    exchange.accepted(&mut edge, &Only(conn), &logs, conn, PEER);
    exchange.note_message(conn);
    exchange.overflowed(conn, PEER);
    exchange.compare(&mut edge, &Only(conn), &logs, (PEER, conn), &[]);
    assert_eq!(pushed(&mut edge), []);
    exchange.round(&mut edge, &Only(conn), &logs, None);
    exchange.compare(&mut edge, &Only(conn), &logs, (PEER, conn), &[]);
    assert_eq!(pushed(&mut edge), [conn]);
}

/// A peer that invents nodes can make this one keep their logs up to the bound, and no further.
#[test]
fn others_are_asked_for_logs_of_absent_nodes_up_to_a_bound() {
    struct Nobody;
    impl Routes for Nobody {
        fn current(&self, _: NodeId) -> Option<ConnId> {
            None
        }

        fn role(&self, _: ConnId) -> Role {
            Role::Member
        }

        fn protocol(&self, _: ConnId) -> Protocol {
            Protocol::PROVED
        }
    }
    let (mut edge, mut exchange, mut logs) = begun();
    let (conn, absent) = (ConnId(1), NodeId([3; 16]));
    let far = Position { run: 9, version: 9 };
    let mut asks = |exchange: &mut Exchange, links: &dyn Routes, logs: &Logs| {
        exchange.pulls.clear();
        let far = Told::from(Claimed {
            owner: absent,
            position: far,
            tag: 0,
        });
        exchange.compare(&mut edge, links, logs, (PEER, conn), &[far]);
        exchange.is_open(absent, conn)
    };
    // This node's own log does not count.
    exchange.max_absent_bytes = 0;
    assert!(asks(&mut exchange, &Nobody, &logs));
    logs.begin(absent, 1, 0);
    let process = Process {
        boot: [0; 16],
        pid: 1,
        start: 1,
    };
    let name = ProcessName::new("web").unwrap();
    logs.put(absent, name, process, State::Gone(Reason::Exited));
    assert!(!asks(&mut exchange, &Nobody, &logs));
    exchange.note_message(conn);
    assert!(asks(&mut exchange, &Only(conn), &logs), "it is there");
}
