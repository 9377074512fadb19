//! Registrations of one node, for tests of what is made of them.

use super::Replica;
use crate::event::EventLog;
use crdt::registry::{Entry, Process, Reason};
use crdt::roster::Profile;
use names::{Handle, NodeId, NodeName, ProcessName, Role};
use node::cluster::{MemberState, MemberView, RosterView, Verdict};
use node::registry::{Change, Event, EventKind, News};
use node::time::Wall;
use std::sync::Arc;

const OWNER: NodeId = NodeId([1; 16]);

fn node() -> NodeName {
    NodeName::new("n1").unwrap()
}

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn happened(text: &str, kind: EventKind) -> Event {
    Event {
        at: Wall(0),
        handle: Handle {
            name: name(text),
            node: node(),
            pid: 7,
            start: 8,
        },
        kind,
    }
}

fn holder(text: &str, is_there: bool) -> Change {
    let entry = Entry {
        uid: 0,
        user: None,
        exe: None,
        groups: Default::default(),
        metadata: Default::default(),
        address: Some("a:1".to_owned()),
        claim: 1,
        since_ms: 0,
    };
    let process = Process {
        boot: [0; 16],
        pid: 7,
        start: 8,
    };
    Change::Holder {
        name: name(text),
        owner: OWNER,
        process,
        entry: is_there.then(|| Arc::new(entry)),
    }
}

/// A process of the node registers itself.
pub(crate) fn registers(replica: &Replica, log: &EventLog, text: &str) {
    let is_there = Change::Node {
        owner: OWNER,
        name: node(),
        reachable: true,
    };
    replica.apply(
        News {
            changes: vec![is_there, holder(text, true)],
            events: vec![happened(text, EventKind::Up)],
        },
        log,
    );
}

/// It ends.
pub(crate) fn ends(replica: &Replica, log: &EventLog, text: &str, reason: Reason) {
    replica.apply(
        News {
            changes: vec![holder(text, false)],
            events: vec![happened(text, EventKind::Down(reason))],
        },
        log,
    );
}

/// The cluster as another node sees it, with that one in this state.
pub(crate) fn view(state: MemberState) -> RosterView {
    let profile = Profile {
        name: node(),
        address: ([10, 0, 0, 7], 6878).into(),
        version: "1".to_owned(),
        tags: Vec::new(),
    };
    let member = MemberView {
        id: OWNER,
        role: Role::Member,
        profile,
        state,
        run: 1,
        since: Wall(0),
        last_round_trip: None,
        is_metered: false,
        conn: None,
        protocol: None,
        indirect: None,
        breach: None,
        away: None,
    };
    RosterView {
        me: NodeId([9; 16]),
        members: vec![member],
        verdict: Verdict::Whole,
        since: Wall(0),
    }
}
