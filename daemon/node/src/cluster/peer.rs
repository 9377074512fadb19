//! What peers say, and what that brings about.

use super::connections::{Connection, Connections};
use super::edge::Timer;
use super::judging::Brought;
use super::message::{Hello, Message};
use super::roster::Replica;
use super::swim::{Member, State};
use super::{Cluster, Phase, bundle};
use crate::belief::{Absence, Evidence, absence};
use crate::codec::Malformed;
use crate::time::Instant;
use crate::wire::{CloseReason, ConnId, Protocol};
use bytes::Bytes;
use crdt::roster::{RosterEntry, Standing};
use names::{NodeId, Role};
use std::collections::BTreeSet;
use std::time::Duration;

/// Lines that are news wait so long for others to go with them, and go to so many peers.
const SPREAD_AFTER: Duration = Duration::from_millis(100);
const SPREAD_TO: usize = 3;

impl Cluster {
    pub(super) fn connected(&mut self, conn: ConnId, connection: Connection) {
        let (peer, protocol) = (connection.peer.clone(), connection.protocol);
        if let Some(dial) = connection.dial {
            self.seeds.answered(dial, connection.peer.id);
            self.joins
                .connected(&self.viewer, dial, conn, &connection.peer);
        }
        if self.roster.is_revoked(peer.id) {
            return self.edge.close(conn, CloseReason::Revoked);
        }
        let now = self.edge.instant();
        if let Some(reason) = self.connections.breaches.is_cut_off(now, peer.id) {
            return self.edge.close(conn, reason);
        }
        if peer.role == Role::Observer && protocol < Protocol::PROVED {
            // In protocol 1 nobody could tell it from a member.
            return self.edge.close(conn, CloseReason::Malformed);
        }
        if self.connections.add(&mut self.edge, conn, connection) && self.phase == Phase::Up {
            self.greet(conn);
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
        let (node, role) = (connection.peer.id, connection.peer.role);
        self.connections.note_contact(&self.edge, node);
        self.end_silence();
        let (connections, roster, accept_v1) = (&self.connections, &self.roster, self.accept_v1);
        let now = self.edge.instant();
        let evidence = |node| evidence(now, (connections, accept_v1), roster, node);
        if let Err(error) = self
            .swim
            .receive(&mut self.edge, (node, role), bytes, &evidence)
        {
            self.malformed(conn, &error);
        }
    }

    pub(super) fn message(&mut self, conn: ConnId, bytes: &Bytes) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let (node, accepted) = (connection.peer.id, connection.accepted);
        if matches!(self.phase, Phase::Going(_)) {
            return;
        }
        if accepted {
            self.connections.note_contact(&self.edge, node);
            self.end_silence();
        }
        match Message::read(bytes) {
            Ok(message) => self.handle_message((conn, node), accepted, message),
            Err(_) if self.is_for_later(conn, bytes) => {
                tracing::debug!(%node, conn = conn.0, "a message of a kind that is not known");
            }
            Err(error) => self.malformed(conn, &error),
        }
    }

    fn is_for_later(&self, conn: ConnId, bytes: &[u8]) -> bool {
        self.connections.protocol(conn) >= Protocol::PROVED && Message::is_unknown(bytes)
    }

    /// Greetings are heard from everybody, all else only from a peer whose hello was accepted.
    fn handle_message(&mut self, (conn, node): (ConnId, NodeId), accepted: bool, message: Message) {
        match message {
            Message::Hello(hello) => self.greeted(conn, hello, None),
            Message::Greeting {
                generation,
                nonce,
                line,
            } => self.greeted_with_proof(conn, (generation, nonce), line),
            Message::Above { .. }
            | Message::AboveLine(_)
            | Message::Taken { .. }
            | Message::NameTaken { .. }
                if !self.connections.answers_a_hello(conn) =>
            {
                tracing::debug!(%node, conn = conn.0, "a peer refuses what nobody has asked");
            }
            Message::AboveLine(line) => self.own_run_proved(line),
            Message::Above { run } if self.accept_v1 => self.own_run_reported(run),
            Message::Taken { address } => self.rival_reported(node, address),
            Message::NameTaken { bearer, address } => self.namesake_reported(node, bearer, address),
            Message::Challenge => self.edge.send(conn, Message::Present.bytes()),
            Message::Present => self.present(conn),
            Message::Members(members) if accepted => {
                self.hear_proofs(conn, [Brought::Members(members)]);
            }
            message @ (Message::Lines { .. }
            | Message::Bundle { .. }
            | Message::LinesHash(_)
            | Message::Revocations(_)
            | Message::Refused(_)
            | Message::Aways { .. }
            | Message::AwaysHash(_))
                if accepted =>
            {
                self.hear_of_lines(conn, message);
            }
            Message::Roster { lines, answer } if accepted && self.accept_v1 => {
                self.merge_roster((node, conn), lines, answer)
            }
            Message::RosterHash(hash)
                if accepted && self.accept_v1 && hash != self.roster.hash() =>
            {
                self.send_roster(conn, true)
            }
            Message::Ask if accepted => {
                // It may trust other authorities now.
                self.apart.closed(conn);
                self.send_state(conn);
            }
            Message::Goodbye { restart } if accepted => self.goodbye(conn, node, restart),
            Message::Above { .. }
            | Message::Lines { .. }
            | Message::LinesHash(_)
            | Message::Revocations(_)
            | Message::Refused(_)
            | Message::Bundle { .. }
            | Message::Aways { .. }
            | Message::AwaysHash(_)
            | Message::Members(_)
            | Message::Roster { .. }
            | Message::RosterHash(_)
            | Message::Ask
            | Message::Goodbye { .. } => {}
        }
    }

    /// What concerns lines with proofs.
    fn hear_of_lines(&mut self, conn: ConnId, message: Message) {
        match message {
            Message::Lines { lines, answer } => self.hear_lines(conn, lines, answer),
            Message::Bundle {
                issuers,
                lines,
                answer,
            } => match bundle::whole(issuers, lines) {
                Ok(lines) => self.hear_lines(conn, lines, answer),
                Err(error) => self.malformed(conn, &error),
            },
            Message::LinesHash(hash) => {
                if hash != self.apart.hash(conn, &self.roster) {
                    self.send_proved(conn, true);
                }
            }
            Message::Revocations(revocations) => {
                self.hear_proofs(conn, revocations.into_iter().map(Brought::Revocation));
            }
            Message::Refused(refused) => self.hear_refused(conn, refused),
            Message::Aways { aways, answer } => {
                self.hear_proofs(conn, aways.into_iter().map(Brought::Away));
                if answer {
                    self.send_aways(conn, false);
                }
            }
            Message::AwaysHash(hash) => self.compare_aways(conn, hash),
            Message::Hello(_)
            | Message::Above { .. }
            | Message::Taken { .. }
            | Message::NameTaken { .. }
            | Message::Challenge
            | Message::Present
            | Message::Members(_)
            | Message::Roster { .. }
            | Message::RosterHash(_)
            | Message::Ask
            | Message::Goodbye { .. }
            | Message::Greeting { .. }
            | Message::AboveLine(_) => {}
        }
    }

    fn hear_lines(&mut self, conn: ConnId, lines: Vec<Bytes>, answer: bool) {
        self.hear_proofs(conn, lines.into_iter().map(Brought::Line));
        if answer {
            self.send_proved(conn, false);
        }
    }

    pub(super) fn malformed(&mut self, conn: ConnId, error: &Malformed) {
        tracing::warn!(conn = conn.0, %error, "a peer breaks the protocol");
        self.edge.stats.malformed += 1;
        self.breach(conn, CloseReason::Malformed);
    }

    /// A peer has broken the protocol: it is cut off, for longer each time.
    pub(super) fn breach(&mut self, conn: ConnId, reason: CloseReason) {
        let Some(connection) = self.connections.get(conn) else {
            return self.edge.close(conn, reason);
        };
        let peer = connection.peer.clone();
        let now = self.edge.instant();
        let pause = self.connections.breaches.note(now, peer.id, reason);
        tracing::warn!(
            peer = %peer.name,
            reason = reason.as_str(),
            seconds = pause.as_secs(),
            "a peer that broke the protocol is cut off"
        );
        let conns: Vec<ConnId> = self.connections.of(peer.id).map(|(conn, _)| conn).collect();
        for conn in conns {
            self.close(conn, reason);
        }
    }

    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason) {
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
        self.waiting.closed(conn);
        self.apart.closed(conn);
        self.with_registry(|registry, links| registry.closed(links, conn));
        for newcomer in self.hellos.closed(conn) {
            self.judge_again(newcomer);
        }
    }

    /// What a new connection begins with. Of the roster, who has dialled says its hash only: where both have
    /// the same, as after most cuts, the lines with their certificates need not go over a thin link.
    pub(super) fn begin_state(&mut self, conn: ConnId) {
        let connection = self.connections.get(conn);
        let has_dialled = connection.is_some_and(|connection| connection.dial.is_some());
        let is_proved = self.connections.protocol(conn) >= Protocol::PROVED;
        if !is_proved {
            return self.send_state(conn);
        }
        if has_dialled {
            self.send_lines_hash(conn);
        }
        self.send_aways(conn, false);
        if self.accept_v1 {
            self.send_roster(conn, false);
        }
        self.send_members(conn);
    }

    fn send_members(&mut self, conn: ConnId) {
        for message in Message::members(&self.swim.state()) {
            self.edge.send(conn, message.bytes());
        }
    }

    /// All that this node has.
    pub(super) fn send_state(&mut self, conn: ConnId) {
        let is_proved = self.connections.protocol(conn) >= Protocol::PROVED;
        if is_proved {
            self.send_proved(conn, false);
            self.send_aways(conn, false);
        }
        if self.accept_v1 || !is_proved {
            self.send_roster(conn, false);
        }
        self.send_members(conn);
    }

    fn send_proved(&mut self, conn: ConnId, answer: bool) {
        let unsent = self.apart.unsent_revocations(conn);
        let revocations = self.roster.revocations_but(&unsent);
        for message in Message::revocations(revocations.collect()) {
            self.edge.send(conn, message.bytes());
        }
        let unsent = self.apart.unsent_lines(conn, &self.roster);
        let lines = self.roster.proved_lines_but(&unsent);
        for message in bundle::messages(lines, answer, self.roster.proofs()) {
            self.edge.send(conn, message.bytes());
        }
    }

    /// Says this node's line again if others have said that it is forgotten.
    pub(super) fn contradict(&mut self) {
        if std::mem::take(&mut self.is_contradicted) {
            self.roster.refute();
            self.roster_changed(&[self.me.id]);
            self.broadcast_line(self.me.id);
        }
    }

    /// Passes on to some peers what is news; they do the same.
    pub(super) fn spread(&mut self) {
        self.is_spreading = false;
        let fresh = self.roster.take_fresh();
        let aways = Message::aways(self.roster.take_fresh_aways(), false);
        let revocations = self.roster.revocations_of(&fresh);
        let messages = |unsent: &BTreeSet<NodeId>| -> Vec<Bytes> {
            let lines = self
                .roster
                .proved_lines_of(fresh.difference(unsent).copied());
            let lines = bundle::messages(lines, false, self.roster.proofs());
            let messages = Message::revocations(revocations.clone()).into_iter();
            messages
                .chain(lines)
                .chain(aways.iter().cloned())
                .map(|message| message.bytes())
                .collect()
        };
        let to_most = messages(&BTreeSet::new());
        for conn in self.connections.sample_proved(&mut self.rng, SPREAD_TO) {
            let unsent = self.apart.unsent_lines(conn, &self.roster);
            let to_it = if unsent.is_disjoint(&fresh) {
                to_most.clone()
            } else {
                messages(&unsent)
            };
            for message in to_it {
                self.edge.send(conn, message);
            }
        }
    }

    pub(super) fn send_roster(&mut self, conn: ConnId, answer: bool) {
        for message in Message::roster(&self.roster.lines(), answer) {
            self.edge.send(conn, message.bytes());
        }
    }

    /// Those who are down count only as far as the roster expects them back.
    pub(super) fn merge_members(&mut self, from: (NodeId, Role), mut members: Vec<Member>) {
        members.retain(|member| {
            member.state() != State::Down || self.roster.is_member(member.id().node)
        });
        let (connections, roster, accept_v1) = (&self.connections, &self.roster, self.accept_v1);
        let now = self.edge.instant();
        let members = self.swim.believed(&mut self.edge, members, from, &|node| {
            evidence(now, (connections, accept_v1), roster, node)
        });
        let me = self.swim.identity();
        let accused = members
            .iter()
            .any(|member| *member.id() == me && member.state() == State::Suspect);
        self.swim.absorb(&mut self.edge, members);
        if let Some(accuser) = self.swim.seen(from.0).filter(|_| accused) {
            // Any packet carries the incarnation that refutes it.
            self.swim.announce(&mut self.edge, accuser.identity);
        }
    }

    /// Others say that a member is down which may be there: it is asked, and has its time to answer.
    pub(super) fn hear_accusation(&mut self, node: NodeId) {
        let limit = self.ask_presence(node);
        if self.accused.insert(node) {
            self.edge.after(limit, Timer::Presence(node));
        }
    }

    /// Asks a connected node whether it is there; gives how long it has to answer.
    pub(super) fn ask_presence(&mut self, node: NodeId) -> Duration {
        let limit = self.answer_limit(node);
        self.connections.ask_presence(&mut self.edge, node, limit);
        limit
    }

    /// How long a message to a peer and its answer may take.
    pub(super) fn answer_limit(&self, node: NodeId) -> Duration {
        let known = self.connections.dials.round_trip(node);
        self.swim.answer_limit(node, known)
    }

    /// The time is over that a member had to answer.
    pub(super) fn judge_accusation(&mut self, node: NodeId) {
        let now = self.edge.instant();
        let is_accused = self.accused.remove(&node);
        if is_accused
            && !evidence(now, (&self.connections, self.accept_v1), &self.roster, node).is_present()
        {
            self.swim.declare_down(&mut self.edge, node);
        }
    }

    /// Tells members that have been suspect for a while what is said of them, so that they can
    /// refute it.
    pub(super) fn notify_suspects(&mut self) {
        for suspect in self.swim.lasting_suspects() {
            self.notify_suspect(suspect);
        }
    }

    pub(super) fn notify_suspect(&mut self, suspect: Member) {
        if let Some(conn) = self.connections.current(suspect.id().node) {
            self.edge
                .send(conn, Message::Members(vec![suspect]).bytes());
        }
    }

    fn merge_roster(
        &mut self,
        (from, conn): (NodeId, ConnId),
        mut lines: Vec<(NodeId, RosterEntry)>,
        answer: bool,
    ) {
        lines.retain(|(node, line)| self.believes_end(from, *node, line));
        self.merge_lines(lines);
        self.refute_own_line(conn);
        if answer {
            self.send_roster(conn, false);
        }
    }

    /// A higher run of this very node: whoever tells shall judge. Forgotten, or left in an earlier
    /// life: a new run makes it a member again.
    fn refute_own_line(&mut self, conn: ConnId) {
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
        if line.standing == Standing::Member {
            return true;
        }
        let is_news = node != self.me.id && line.run >= self.roster.run(node);
        let conn = self.connections.current(node).filter(|_| is_news);
        let now = self.edge.instant();
        let is_present =
            evidence(now, (&self.connections, self.accept_v1), &self.roster, node).is_present();
        match (absence(from, node, is_present), conn) {
            (Absence::AskSubject, Some(conn)) => {
                self.ask_presence(node);
                let lines = vec![(node, line.clone())];
                let answer = false;
                self.edge
                    .send(conn, Message::Roster { lines, answer }.bytes());
                false
            }
            (Absence::AskSubject | Absence::Believed, _) => true,
        }
    }

    pub(super) fn merge_lines(&mut self, lines: Vec<(NodeId, RosterEntry)>) {
        let changed = self.roster.merge(lines);
        if !changed.is_empty() {
            self.roster_changed(&changed);
        }
    }

    pub(super) fn roster_changed(&mut self, nodes: &[NodeId]) {
        self.changed = true;
        self.keeper.mark_dirty();
        for node in nodes {
            self.forget_in_swim(*node);
        }
        if self.roster.has_fresh() && !self.is_spreading {
            self.is_spreading = true;
            self.edge.after(SPREAD_AFTER, Timer::Spread);
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
    pub(super) fn broadcast_line(&mut self, node: NodeId) {
        let Some(line) = self.roster.roster().get(node).cloned() else {
            return;
        };
        let answer = false;
        let lines = self.roster.proved_lines_of([node]);
        let proved = Message::Lines { lines, answer }.bytes();
        let lines = vec![(node, line)];
        let unproved = Message::Roster { lines, answer }.bytes();
        for conn in self.connections.currents() {
            if self.connections.protocol(conn) >= Protocol::PROVED {
                self.edge.send(conn, proved.clone());
            } else {
                self.edge.send(conn, unproved.clone());
            }
        }
    }
}

/// What this node knows of a node, to judge what others say of it.
fn evidence(
    now: Instant,
    (connections, accept_v1): (&Connections, bool),
    roster: &Replica,
    node: NodeId,
) -> Evidence {
    Evidence {
        needs_proof: !accept_v1,
        is_connected: connections.current(node).is_some(),
        is_silent: connections.is_silent(now, node),
        rostered_run: roster.run(node),
    }
}
