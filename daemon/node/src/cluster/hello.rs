//! Whether the peer of a new connection is who it says, or another daemon with the same identity.
//!
//! Each start of a daemon draws a nonce, and counts a run that its disk keeps. Two daemons with one
//! identity differ in the nonce, whatever their runs. When a hello comes while a connection of
//! another nonce is open, the older one is challenged: a copy of a running node's data directory is
//! found out by the answer of the original. No answer means that the older process is dead and its
//! connection not yet closed, as after a crash: then the runs decide. One that is not above all
//! that was seen is a restored directory, and is told to go above it. The time to answer runs from
//! the first newcomer on: others that come meanwhile, and may take its place, wait for the rest of it.

use super::connections::{Connection, Connections};
use super::edge::{Edge, Timer};
use super::message::{Hello, Message, Nonce};
use crate::time::Instant;
use crate::wire::ConnId;
use crdt::roster::Line;
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a challenged process has at least to answer; one that is dead is often reported sooner.
const CHALLENGE: Duration = Duration::from_secs(1);

/// The newest start of a node that was accepted here.
#[derive(Clone, Debug)]
struct Start {
    run: u64,
    nonce: Nonce,
    /// The line that it has shown, in protocol 2.
    line: Option<Line>,
}

/// What becomes of a hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is who it says.
    Accept,
    /// It must go above this run.
    Above(u64),
    /// An older process must first show whether it lives.
    Wait,
}

#[derive(Debug, Default)]
pub(super) struct Hellos {
    starts: BTreeMap<NodeId, Start>,
    /// By the older connection that was challenged.
    challenges: BTreeMap<ConnId, Challenge>,
}

/// A challenge that has not been answered.
#[derive(Debug)]
struct Challenge {
    until: Instant,
    newcomers: BTreeSet<ConnId>,
}

impl Hellos {
    /// Judges the hello that `conn` has brought; `rostered` is the run that the roster has of that
    /// node, and `answer` how long a message there and back may take.
    pub(super) fn judge(
        &mut self,
        edge: &mut Edge,
        connections: &Connections,
        conn: ConnId,
        (rostered, answer): (u64, Duration),
    ) -> Option<Judgement> {
        let connection = connections.get(conn)?;
        let hello = connection.hello.as_ref()?;
        if let Some(older) = rival(connections, conn, connection.peer.id, hello.nonce) {
            let challenge = self.challenges.entry(older).or_insert_with(|| {
                let limit = CHALLENGE.max(answer);
                edge.send(older, Message::Challenge.bytes());
                edge.after(limit, Timer::Challenge(older));
                Challenge {
                    until: edge.instant() + limit,
                    newcomers: BTreeSet::new(),
                }
            });
            challenge.newcomers.insert(conn);
            return Some(Judgement::Wait);
        }
        Some(self.compare(connection, hello, rostered))
    }

    /// The line of the newest start of a node.
    pub(super) fn line(&self, node: NodeId) -> Option<&Line> {
        self.starts.get(&node)?.line.as_ref()
    }

    fn compare(&mut self, connection: &Connection, hello: &Hello, rostered: u64) -> Judgement {
        let node = connection.peer.id;
        let known = self.starts.get(&node);
        let seen = known.map_or(0, |start| start.run).max(rostered);
        let itself = known.is_some_and(|start| start.nonce == hello.nonce && start.run >= rostered);
        // The roster tells no nonce: an equal run is the same start, unless another start of that
        // run was seen.
        let fits = hello.run() > seen
            || (hello.run() == seen && known.is_none_or(|start| start.run < seen));
        if !itself && !fits {
            return Judgement::Above(seen);
        }
        if known.is_none_or(|start| start.run <= hello.run()) {
            self.starts.insert(
                node,
                Start {
                    run: hello.run(),
                    nonce: hello.nonce,
                    line: connection.line.clone(),
                },
            );
        }
        Judgement::Accept
    }

    /// The challenged process lives: the newcomers that it was challenged for, and its address.
    pub(super) fn present(
        &mut self,
        connections: &Connections,
        older: ConnId,
    ) -> Vec<(ConnId, SocketAddr)> {
        let Some(connection) = connections.get(older) else {
            return Vec::new();
        };
        let address = connection
            .hello
            .as_ref()
            .map_or(connection.remote, |hello| hello.profile.address);
        let newcomers = self.answered(older).into_iter();
        newcomers.map(|newcomer| (newcomer, address)).collect()
    }

    /// A connection is closed: the newcomers that need not wait for it any more.
    pub(super) fn closed(&mut self, conn: ConnId) -> BTreeSet<ConnId> {
        for challenge in self.challenges.values_mut() {
            challenge.newcomers.remove(&conn);
        }
        self.answered(conn)
    }

    /// The challenged process may have had its time: then it is dead. Gives those that waited for it.
    pub(super) fn expired(&mut self, now: Instant, older: ConnId) -> Option<BTreeSet<ConnId>> {
        let challenge = self.challenges.get(&older);
        let is_over = challenge.is_some_and(|challenge| challenge.until <= now);
        is_over.then(|| self.answered(older))
    }

    fn answered(&mut self, older: ConnId) -> BTreeSet<ConnId> {
        let challenge = self.challenges.remove(&older);
        challenge.map_or_else(BTreeSet::new, |challenge| challenge.newcomers)
    }
}

/// An accepted connection of the same node and another start.
fn rival(connections: &Connections, conn: ConnId, node: NodeId, nonce: Nonce) -> Option<ConnId> {
    let other = |connection: &Connection| {
        connection.accepted
            && connection
                .hello
                .as_ref()
                .is_some_and(|hello| hello.nonce != nonce)
    };
    connections
        .of(node)
        .find(|(id, connection)| *id != conn && other(connection))
        .map(|(id, _)| id)
}
