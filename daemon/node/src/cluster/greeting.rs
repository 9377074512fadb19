//! Greeting: what follows from a hello and from what is answered to it.
//!
//! `hello` judges whether a peer is who it says, [`belief`](crate::belief) whether this node believes
//! a refusal; the protocol is told in `join`.

use super::hello::Judgement;
use super::io::{MemberState, StopReason, Target};
use super::message::{Hello, Message};
use super::swim::Identity;
use super::{Cluster, Phase};
use crate::codec::Malformed;
use crate::wire::{CloseReason, ConnId, DialId, Peer};
use crdt::roster::{RosterEntry, Standing};
use names::NodeId;
use std::net::SocketAddr;

impl Cluster {
    /// Says this node's hello.
    pub(super) fn greet(&mut self, conn: ConnId) {
        let hello = self.own_hello().bytes();
        self.connections.greet(&mut self.edge, conn, hello);
    }

    pub(super) fn greeted(&mut self, conn: ConnId, hello: Hello) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        if !hello.is_sound() || hello.profile.name != connection.peer.name {
            return self.malformed(
                conn,
                &Malformed::rule(
                    "a hello that breaks the bounds or \
                another's name",
                ),
            );
        }
        if connection.peer.id == self.me.id {
            return self.met_oneself(conn, &hello);
        }
        let again = connection.hello.replace(hello).is_some();
        match self.phase {
            Phase::Up if again => self.judge_again(conn),
            Phase::Up => self.judge(conn),
            Phase::Starting | Phase::Going(_) | Phase::Stopped => {}
        }
    }

    /// Somebody with this node's certificate: itself, by its own address among the seeds, or a
    /// clone. Of two clones the one that dialled came later, and goes.
    fn met_oneself(&mut self, conn: ConnId, hello: &Hello) {
        let dialled = self
            .connections
            .get(conn)
            .is_some_and(|connection| connection.dial.is_some());
        if hello.nonce == self.nonce {
            self.close(conn, CloseReason::Oneself);
        } else if dialled {
            self.stop(cloned(hello.profile.address));
        }
    }

    /// Decides on the hello of a connection, if it has come.
    pub(super) fn judge(&mut self, conn: ConnId) {
        if let Some(taken) = self.name_taken(conn) {
            return self.edge.send(conn, taken.bytes());
        }
        let Some((node, run)) = self.connections.get(conn).and_then(|connection| {
            let hello = connection.hello.as_ref()?;
            Some((connection.peer.id, hello.run()))
        }) else {
            return;
        };
        match self.hellos.judge(
            &mut self.edge,
            &self.connections,
            conn,
            self.roster.run_beside(node, run),
        ) {
            Some(Judgement::Accept) => self.accept(conn),
            Some(Judgement::Above(run)) => {
                tracing::debug!(%node, conn = conn.0, run, "a peer has to go above a run");
                self.edge.send(conn, Message::Above { run }.bytes());
            }
            Some(Judgement::Wait) => {
                tracing::debug!(%node, conn = conn.0, "a peer waits until its older start was \
                    challenged")
            }
            None => {}
        }
    }

    /// As [`judge`](Self::judge), when the first hello was not accepted at once: what the peer sent
    /// since was not listened to.
    pub(super) fn judge_again(&mut self, conn: ConnId) {
        self.judge(conn);
        if self
            .connections
            .get(conn)
            .is_some_and(|connection| connection.accepted)
        {
            self.edge.send(conn, Message::Ask.bytes());
        }
    }

    /// The refusal of a newcomer whose name another node bears that can be reached.
    fn name_taken(&self, conn: ConnId) -> Option<Message> {
        let connection = self.connections.get(conn)?;
        let name = &connection.hello.as_ref()?.profile.name;
        let is_here = |node: NodeId| {
            node == self.me.id
                || self
                    .viewer
                    .state(node)
                    .is_some_and(MemberState::is_reachable)
        };
        let bearer = self
            .roster
            .bearers(name)
            .find(|node| *node != connection.peer.id && is_here(*node))?;
        let address = self.roster.roster().get(bearer)?.profile.address;
        Some(Message::NameTaken { bearer, address })
    }

    fn accept(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let (node, Some(hello)) = (connection.peer.id, connection.hello.clone()) else {
            return;
        };
        self.connections.accept(&mut self.edge, conn);
        self.close_older_starts(node, &hello);
        let identity = Identity {
            node,
            addr: hello.profile.address,
            generation: hello.generation,
        };
        let line = RosterEntry {
            run: hello.run(),
            standing: Standing::Member,
            profile: hello.profile,
        };
        if self.roster.prove(node, line) {
            self.roster_changed(&[node]);
        }
        self.send_state(conn);
        self.with_registry(|registry, links| registry.accepted(links, conn, node));
        self.swim.greet(&mut self.edge, identity);
        self.swim.announce(&mut self.edge, identity);
        self.end_silence();
        self.changed = true;
    }

    fn close_older_starts(&mut self, node: NodeId, newest: &Hello) {
        let is_older = |hello: &Hello| hello.nonce != newest.nonce && hello.run() <= newest.run();
        let older = self.connections.of(node).filter(|(_, connection)| {
            connection.accepted && connection.hello.as_ref().is_some_and(is_older)
        });
        for conn in older.map(|(conn, _)| conn).collect::<Vec<_>>() {
            self.close(conn, CloseReason::Replaced);
        }
    }

    /// A challenged process lives: those who say to be it are clones.
    pub(super) fn present(&mut self, conn: ConnId) {
        for (newcomer, address) in self.hellos.present(&self.connections, conn) {
            self.edge.send(newcomer, Message::Taken { address }.bytes());
        }
    }

    pub(super) fn challenge_expired(&mut self, newcomer: ConnId) {
        if let Some(older) = self.hellos.expired(newcomer) {
            self.close(older, CloseReason::Replaced);
            self.judge_again(newcomer);
        }
    }

    pub(super) fn greeting_expired(&mut self, conn: ConnId) {
        if self
            .connections
            .get(conn)
            .is_some_and(|connection| !connection.accepted)
        {
            self.close(conn, CloseReason::Refused);
        }
    }

    pub(super) fn own_run_reported(&mut self, run: u64) {
        if !self.keeper.go_above(run) {
            tracing::warn!(
                run,
                "a peer says that this node has had a run far above what its disk has kept"
            );
        }
    }

    /// A peer says that another daemon has this node's certificate and answers. That is looked into
    /// where it is said to be: it proves itself in a handshake, or nothing follows.
    pub(super) fn rival_reported(&mut self, peer: NodeId, address: SocketAddr) {
        tracing::warn!(%peer, %address, "a peer says that another daemon has this node's identity");
        if let Some(dial) = self.look_for_impostor(Target::Named(address.to_string())) {
            self.impostors.look_for_rival(dial, address);
        }
    }

    /// A dial has met this node's own certificate.
    pub(super) fn met_own_certificate(&mut self, dial: DialId) {
        let own = self.profile.address;
        if let Some(address) = self.impostors.met_own_certificate(dial, own) {
            self.stop(cloned(address));
        }
    }

    pub(super) fn namesake_reported(&mut self, peer: NodeId, bearer: NodeId, address: SocketAddr) {
        tracing::warn!(%peer, %bearer, %address, "a peer says that another node has this node's name");
        if !self.impostors.note_namesake(peer, bearer, address) {
            return;
        }
        let met = self.connections.of(bearer).next();
        match met.map(|(conn, connection)| (conn, connection.peer.clone())) {
            Some((conn, peer)) => self.met_namesake(&peer, conn),
            None => {
                self.look_for_impostor(Target::Node(bearer, address));
            }
        }
    }

    fn look_for_impostor(&mut self, target: Target) -> Option<DialId> {
        let may_look = self.impostors.may_look(self.edge.instant());
        may_look.then(|| self.connections.dial(&mut self.edge, target))
    }

    /// A peer has shown its certificate: if that bears this node's name, this node ends.
    pub(super) fn met_namesake(&mut self, peer: &Peer, conn: ConnId) {
        let now = self.edge.instant();
        let Some((bearer, address)) = self.impostors.met_namesake(peer, &self.me, now) else {
            return;
        };
        if self.phase != Phase::Up {
            return;
        }
        tracing::debug!(
            conn = conn.0,
            "the bearer of this node's name has proved itself"
        );
        let name = &self.me.name;
        let sentence = format!(
            "the name {name} belongs to another node of this cluster ({bearer} at {address}): \
                issue this node a certificate with another name, \
             or let that node leave first"
        );
        self.stop(StopReason::NameTaken(sentence));
    }
}

fn cloned(address: SocketAddr) -> StopReason {
    StopReason::Clone(format!(
        "another daemon with this node's identity runs at {address}: this data directory or \
            certificate was cloned; issue this node a certificate of its own and start it with an \
            empty data directory"
    ))
}
