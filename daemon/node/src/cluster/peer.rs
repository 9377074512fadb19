//! What peers say, and what that brings about.

use super::connections::{Connection, Connections};
use super::hello::Judgement;
use super::io::{MemberState, StopReason, Target};
use super::message::{Hello, Message};
use super::roster::Replica;
use super::swim::{Identity, Member, State};
use super::{Cluster, Phase};
use crate::belief::{Ending, Evidence, ending};
use crate::codec::Malformed;
use crate::wire::{CloseReason, ConnId, DialId, Peer};
use bytes::Bytes;
use crdt::roster::{RosterEntry, Standing};
use names::NodeId;
use std::net::SocketAddr;

impl Cluster {
    /// Says this node's hello.
    pub(super) fn greet(&mut self, conn: ConnId) {
        let hello = self.own_hello().bytes();
        self.connections.greet(&mut self.edge, conn, hello);
    }

    pub(super) fn connected(&mut self, conn: ConnId, connection: Connection) {
        let peer = connection.peer.clone();
        if let Some(dial) = connection.dial {
            self.seeds.answered(dial, Some(connection.peer.id));
            self.joins
                .connected(&self.viewer, dial, conn, &connection.peer);
        }
        #[cfg(feature = "next-protocol")]
        let speaks_next = connection.protocol >= crate::wire::Protocol(2);
        if self.connections.add(&mut self.edge, conn, connection) && self.phase == Phase::Up {
            self.greet(conn);
            #[cfg(feature = "next-protocol")]
            if speaks_next {
                self.edge.send(conn, Message::Next(self.me.id).bytes());
            }
        }
        self.changed = true;
        self.met_namesake(&peer, conn);
    }

    pub(super) fn datagram(&mut self, conn: ConnId, bytes: &Bytes) {
        let Some(connection) = self
            .connections
            .get(conn)
            .filter(|connection| connection.accepted)
        else {
            return;
        };
        let node = connection.peer.id;
        self.connections.hear(&self.edge, node);
        self.heard();
        let (connections, roster) = (&self.connections, &self.roster);
        let evidence = |node| evidence(connections, roster, node);
        if let Err(error) = self.swim.receive(&mut self.edge, node, bytes, &evidence) {
            self.malformed(conn, &error);
        }
    }

    pub(super) fn message(&mut self, conn: ConnId, bytes: &Bytes) {
        let Some((node, accepted)) = self
            .connections
            .get(conn)
            .map(|connection| (connection.peer.id, connection.accepted))
        else {
            return;
        };
        if matches!(self.phase, Phase::Going(_)) {
            return;
        }
        if accepted {
            self.connections.hear(&self.edge, node);
            self.heard();
        }
        match Message::read(bytes) {
            Ok(message) => self.said(conn, node, accepted, message),
            Err(error) => self.malformed(conn, &error),
        }
    }

    /// Greetings are heard from everybody, all else only from a peer whose hello was accepted.
    fn said(&mut self, conn: ConnId, node: NodeId, accepted: bool, message: Message) {
        match message {
            Message::Hello(hello) => self.greeted(conn, hello),
            Message::Above { .. } | Message::Taken { .. } | Message::NameTaken { .. }
                if !self.connections.is_answer(conn) =>
            {
                tracing::debug!(%node, conn = conn.0, "a peer refuses what nobody has asked");
            }
            Message::Above { run } => self.told_above(run),
            Message::Taken { address } => self.told_taken(node, address),
            Message::NameTaken { bearer, address } => self.told_name_taken(node, bearer, address),
            Message::Challenge => self.edge.send(conn, Message::Present.bytes()),
            Message::Present => self.present(conn),
            Message::Members(members) if accepted => self.learn_members(node, members),
            Message::Roster { lines, answer } if accepted => {
                self.learn_roster((node, conn), lines, answer)
            }
            Message::RosterHash(hash) if accepted && hash != self.roster.hash() => {
                self.send_roster(conn, true)
            }
            Message::Ask if accepted => self.send_state(conn),
            Message::Goodbye { restart } if accepted => self.goodbye(conn, node, restart),
            #[cfg(feature = "next-protocol")]
            Message::Next(_) => {}
            Message::Members(_)
            | Message::Roster { .. }
            | Message::RosterHash(_)
            | Message::Ask
            | Message::Goodbye { .. } => {}
        }
    }

    pub(super) fn malformed(&mut self, conn: ConnId, error: &Malformed) {
        tracing::warn!(conn = conn.0, %error, "a peer breaks the protocol");
        self.edge.stats.malformed += 1;
        self.close(conn, CloseReason::Malformed);
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        if self
            .connections
            .close(&mut self.edge, conn, reason)
            .is_some()
        {
            self.connection_ended(conn);
        }
    }

    /// What follows from a connection's end, whoever ended it.
    pub(super) fn connection_ended(&mut self, conn: ConnId) {
        self.changed = true;
        self.joins.closed(conn);
        self.with_registry(|registry, links| registry.closed(links, conn));
        for newcomer in self.hellos.closed(conn) {
            self.judge_again(newcomer);
        }
    }

    fn greeted(&mut self, conn: ConnId, hello: Hello) {
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
    fn judge_again(&mut self, conn: ConnId) {
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
        self.with_registry(|registry, _| registry.accepted(conn, node));
        self.swim.greet(&mut self.edge, identity);
        self.swim.announce(&mut self.edge, identity);
        self.heard();
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
    fn present(&mut self, conn: ConnId) {
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

    pub(super) fn told_above(&mut self, run: u64) {
        if !self.keeper.go_above(run) {
            tracing::warn!(
                run,
                "a peer says that this node has had a run far above what its disk has kept"
            );
        }
    }

    /// A peer says that another daemon has this node's certificate and answers. That is looked into
    /// where it is said to be: it proves itself in a handshake, or nothing follows.
    fn told_taken(&mut self, peer: NodeId, address: SocketAddr) {
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

    fn told_name_taken(&mut self, peer: NodeId, bearer: NodeId, address: SocketAddr) {
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
    fn met_namesake(&mut self, peer: &Peer, conn: ConnId) {
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

    pub(super) fn send_state(&mut self, conn: ConnId) {
        self.send_roster(conn, false);
        for message in Message::members(&self.swim.state()) {
            self.edge.send(conn, message.bytes());
        }
    }

    pub(super) fn send_roster(&mut self, conn: ConnId, answer: bool) {
        for message in Message::roster(&self.roster.lines(), answer) {
            self.edge.send(conn, message.bytes());
        }
    }

    /// Those who are down count only as far as the roster expects them back.
    fn learn_members(&mut self, from: NodeId, mut members: Vec<Member>) {
        members.retain(|member| {
            member.state() != State::Down || self.roster.is_member(member.id().node)
        });
        let (connections, roster) = (&self.connections, &self.roster);
        self.swim.drop_incredible(&mut members, from, &|node| {
            evidence(connections, roster, node)
        });
        let me = self.swim.identity();
        let accused = members
            .iter()
            .any(|member| *member.id() == me && member.state() == State::Suspect);
        self.swim.absorb(&mut self.edge, members);
        if let Some(accuser) = self.swim.seen(from).filter(|_| accused) {
            // Any packet carries the incarnation that refutes it.
            self.swim.announce(&mut self.edge, accuser.identity);
        }
    }

    /// Tells members that have been suspect for a while what is said of them, so that they can
    /// refute it.
    pub(super) fn remind_suspects(&mut self) {
        for suspect in self.swim.lasting_suspects() {
            if let Some(conn) = self.connections.current(suspect.id().node) {
                self.edge
                    .send(conn, Message::Members(vec![suspect]).bytes());
            }
        }
    }

    fn learn_roster(
        &mut self,
        (from, conn): (NodeId, ConnId),
        mut lines: Vec<(NodeId, RosterEntry)>,
        answer: bool,
    ) {
        lines.retain(|(node, line)| self.believes_end(from, *node, line));
        self.merge_lines(lines);
        self.look_at_own_line(conn);
        if answer {
            self.send_roster(conn, false);
        }
    }

    /// A higher run of this very node: whoever tells shall judge. Forgotten, or left in an earlier
    /// life: a new run makes it a member again.
    fn look_at_own_line(&mut self, conn: ConnId) {
        let wanted = self.keeper.wanted();
        match self.roster.roster().get(self.me.id) {
            Some(line) if line.run > wanted => self.greet(conn),
            Some(line) if line.run == wanted && line.standing != Standing::Member => {
                self.keeper.begin_anew()
            }
            Some(_) | None => {}
        }
    }

    /// Whether a line may be merged, as far as it says that its node is gone. A node that is asked
    /// instead is told what is said of it: it is still there, and takes a higher run.
    fn believes_end(&mut self, from: NodeId, node: NodeId, line: &RosterEntry) -> bool {
        let is_news = node != self.me.id && line.run >= self.roster.run(node);
        let conn = self.connections.current(node).filter(|_| is_news);
        let is_reached = conn.is_some() && self.swim.is_active(node);
        match (ending(from, node, line.standing, is_reached), conn) {
            (Ending::AskSubject, Some(conn)) => {
                let lines = vec![(node, line.clone())];
                let answer = false;
                self.edge
                    .send(conn, Message::Roster { lines, answer }.bytes());
                false
            }
            (Ending::AskSubject | Ending::Believed, _) => true,
        }
    }

    pub(super) fn merge_lines(&mut self, lines: Vec<(NodeId, RosterEntry)>) {
        let changed = self.roster.merge(lines);
        if !changed.is_empty() {
            self.roster_changed(&changed);
        }
    }

    fn roster_changed(&mut self, nodes: &[NodeId]) {
        self.changed = true;
        self.keeper.mark_dirty();
        for node in nodes {
            self.forget_in_swim(*node);
        }
    }

    fn goodbye(&mut self, conn: ConnId, node: NodeId, restart: bool) {
        tracing::debug!(%node, conn = conn.0, restart, "a peer says goodbye");
        let run = self
            .connections
            .get(conn)
            .and_then(|connection| connection.hello.as_ref())
            .map(Hello::run);
        if let Some(run) = run.filter(|_| restart) {
            self.absences.note(&mut self.edge, node, run);
        }
        self.swim.dismiss(&mut self.edge, node);
        self.changed = true;
    }

    /// Sends one line of the roster to everybody at once; the hashes would take a few seconds.
    pub(super) fn send_line(&mut self, node: NodeId) {
        let Some(line) = self.roster.roster().get(node).cloned() else {
            return;
        };
        let message = Message::Roster {
            lines: vec![(node, line)],
            answer: false,
        }
        .bytes();
        for conn in self.connections.currents() {
            self.edge.send(conn, message.clone());
        }
    }
}

/// What this node knows of a node, to judge what others say of it.
fn evidence(connections: &Connections, roster: &Replica, node: NodeId) -> Evidence {
    Evidence {
        is_connected: connections.current(node).is_some(),
        rostered_run: roster.run(node),
    }
}

fn cloned(address: SocketAddr) -> StopReason {
    StopReason::Clone(format!(
        "another daemon with this node's identity runs at {address}: this data directory or \
            certificate was cloned; issue this node a certificate of its own and start it with an \
            empty data directory"
    ))
}
