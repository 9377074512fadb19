//! Greeting: what follows from a hello and from what is answered to it.
//!
//! `hello` judges whether a peer is who it says, [`belief`](crate::belief) whether this node believes
//! a refusal; the protocol is told in `join`.

use super::dials;
use super::hello::Judgement;
use super::io::{MemberState, Output, StopReason, Target};
use super::message::{Hello, Message, Nonce};
use super::swim::Identity;
use super::{Cluster, Phase};
use crate::belief::run_of;
use crate::codec::Malformed;
use crate::wire::{CloseReason, ConnId, DialId, Peer, Protocol};
use bytes::Bytes;
use crdt::roster::{Line, RosterEntry, Standing};
use names::NodeId;
use std::net::SocketAddr;
use std::time::Duration;

impl Cluster {
    /// Says this node's hello.
    pub(super) fn greet(&mut self, conn: ConnId) {
        let (generation, nonce) = (self.swim.identity().generation, self.roster.own().start);
        let hello = if self.connections.protocol(conn) >= Protocol::PROVED {
            let line = self.roster.own_bytes();
            Message::Greeting {
                generation,
                nonce,
                line,
            }
        } else {
            let profile = self.roster.own().profile.clone();
            Message::Hello(Hello {
                generation,
                nonce,
                profile,
            })
        };
        self.connections.greet(&mut self.edge, conn, hello.bytes());
    }

    /// A peer says hello, in protocol 2.
    pub(super) fn greeted_with_proof(
        &mut self,
        conn: ConnId,
        (generation, nonce): (u64, Nonce),
        line: Bytes,
    ) {
        let Some(peer) = self
            .connections
            .get(conn)
            .map(|connection| connection.peer.id)
        else {
            return;
        };
        let read = Line::read(line).ok().and_then(|line| {
            let entry = line.entry().ok().flatten()?;
            Some((line, entry))
        });
        let is_peers = |(line, entry): &(Line, RosterEntry)| {
            let relayed = line.relayed();
            let is_own = relayed.owner() == peer && line.subject() == peer;
            let is_of_start = entry.run == run_of(generation) && line.start() == Some(nonce);
            is_own && is_of_start && entry.standing == Standing::Member
        };
        match read.filter(is_peers) {
            Some((line, _)) if self.roster.is_withdrawn(line.chain()) => {
                self.close(conn, CloseReason::Revoked);
            }
            Some((line, entry)) if self.roster.is_good(&line) => {
                let profile = entry.profile;
                let hello = Hello {
                    generation,
                    nonce,
                    profile,
                };
                self.greeted(conn, hello, Some(line));
            }
            Some(_) | None => {
                self.malformed(conn, &Malformed::rule("a hello that does not prove itself"));
            }
        }
    }

    pub(super) fn greeted(&mut self, conn: ConnId, hello: Hello, line: Option<Line>) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        if line.is_none() && connection.protocol >= Protocol::PROVED {
            return self.malformed(conn, &Malformed::rule("a hello without a proof"));
        }
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
        connection.line = line;
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
        if hello.nonce == self.roster.own().start {
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
        let about = (
            self.roster.run_beside(node, run),
            self.challenge_limit(node),
        );
        match self
            .hellos
            .judge(&mut self.edge, &self.connections, conn, about)
        {
            Some(Judgement::Accept) => self.accept(conn),
            Some(Judgement::Above(run)) => {
                tracing::debug!(%node, conn = conn.0, run, "a peer has to go above a run");
                self.send_above(conn, node, run);
            }
            Some(Judgement::Wait) => {
                tracing::debug!(%node, conn = conn.0, "a peer waits until its older start was \
                    challenged")
            }
            None => {}
        }
    }

    /// How long an older start of a peer has to answer that it lives. That it has been silent counts, up to
    /// half of the time, where silence is not what its link is like at rest.
    fn challenge_limit(&self, node: NodeId) -> Duration {
        let limit = self.answer_limit(node);
        let silence = self.connections.silence(&self.edge, node);
        match silence.filter(|_| !self.roster.is_metered(node)) {
            Some(silence) => limit.saturating_sub(silence).max(limit / 2),
            None => limit,
        }
    }

    /// Tells a peer that it has to go above that run; in protocol 2 by its own line of that run, from
    /// another start.
    fn send_above(&mut self, conn: ConnId, node: NodeId, run: u64) {
        let hello = self.connections.get(conn).and_then(|it| it.hello.as_ref());
        let start = hello.map(|hello| hello.nonce);
        let lines = [self.hellos.line(node), self.roster.own_line(node)];
        let shows = |line: &&Line| line.relayed().rank().run >= run && line.start() != start;
        let line = lines.into_iter().flatten().find(shows);
        let is_proved = self.connections.protocol(conn) >= Protocol::PROVED;
        match line.filter(|_| is_proved) {
            Some(line) => {
                let line = line.relayed().bytes().clone();
                self.edge.send(conn, Message::AboveLine(line).bytes());
            }
            None => self.edge.send(conn, Message::Above { run }.bytes()),
        }
    }

    /// A peer answers a hello with a line by which this node has had a higher run.
    pub(super) fn own_run_proved(&mut self, line: Bytes) {
        let Ok(line) = Line::read(line) else {
            return;
        };
        let (me, rank) = (self.me.id, line.relayed().rank());
        let is_own = line.subject() == me && line.relayed().owner() == me;
        if is_own && line.start() != Some(self.roster.own().start) && self.roster.is_good(&line) {
            self.keeper.go_above_proved(rank.run);
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

    fn give_up_dials(&mut self, node: NodeId) {
        let members = self.connections.dials.under_way(node);
        for dial in members.chain(self.seeds.under_way(node)) {
            self.edge.put(Output::GiveUp { dial });
        }
    }

    fn accept(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let line = connection.line.as_ref();
        let is_withdrawn = line.is_some_and(|line| self.roster.is_withdrawn(line.chain()));
        if is_withdrawn || self.roster.is_revoked(connection.peer.id) {
            return self.close(conn, CloseReason::Revoked);
        }
        let (node, Some(hello)) = (connection.peer.id, connection.hello.clone()) else {
            return;
        };
        let line = connection.line.clone();
        self.connections.accept(&mut self.edge, conn);
        self.give_up_dials(node);
        self.close_older_starts(node, &hello);
        let identity = Identity {
            node,
            addr: hello.profile.address,
            generation: hello.generation,
        };
        let is_news = match line {
            Some(line) => self.roster.prove_line(&line),
            None => {
                let (run, standing) = (hello.run(), Standing::Member);
                let profile = hello.profile;
                let entry = RosterEntry {
                    run,
                    standing,
                    profile,
                };
                self.roster.prove(node, entry)
            }
        };
        if is_news {
            self.roster_changed(&[node]);
        }
        self.begin_state(conn);
        self.with_registry(|registry, links| registry.accepted(links, conn, node));
        self.swim.greet(&mut self.edge, identity);
        self.swim.announce(&mut self.edge, identity);
        self.swim.measure(&mut self.edge, node);
        self.searcher.meet();
        self.look_around();
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

    pub(super) fn challenge_expired(&mut self, older: ConnId) {
        let Some(newcomers) = self.hellos.expired(self.edge.instant(), older) else {
            return;
        };
        self.close(older, CloseReason::Replaced);
        for newcomer in newcomers {
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
        let own = self.roster.own().profile.address;
        if let Some(address) = self.impostors.met_own_certificate(dial, own) {
            self.stop(cloned(address));
        }
    }

    pub(super) fn namesake_reported(&mut self, peer: NodeId, bearer: NodeId, address: SocketAddr) {
        tracing::warn!(%peer, %bearer, %address, "a peer says that another node has this node's name");
        let speaker = (peer, self.me.id);
        if !self.impostors.note_namesake(speaker, bearer, address) {
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
        may_look.then(|| {
            self.connections
                .dial(&mut self.edge, target, dials::LONGEST)
        })
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
