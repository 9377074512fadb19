//! Judging what carries proofs: lines of the roster, revocations, and who is away.
//!
//! A signature takes about 0.1 ms to check, and a new node is told of thousands at once. So that its
//! probes and its clients never wait for that, only so many are judged in one step; the rest waits,
//! by connection and in order, and each connection has its turn.

use super::apart::Refused;
use super::connections::Connection;
use super::edge::Timer;
use super::message::Message;
use super::roster::{Merged, Shut, Unproved};
use super::swim::Member;
use super::{Cluster, Edge};
use crate::belief::is_heard;
use crate::wire::ConnId;
use bytes::Bytes;
use crdt::roster::{Away, Line, Revocation};
use names::{NodeId, Role};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many are judged in one step: about 15 ms.
pub(super) const JUDGED: usize = 128;
/// How long the next step waits, so that whatever came meanwhile goes first.
const PAUSE: Duration = Duration::from_millis(1);
/// How many bytes of one connection wait at most; what is beyond comes again with the next hash that
/// differs.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// How many lines and revocations without a good proof are judged for one peer in a round.
const MAX_REFUSED: u32 = 16;

/// What a peer has brought.
#[derive(Clone, Debug)]
pub(super) enum Brought {
    /// A line of the roster.
    Line(Bytes),
    /// A revocation.
    Revocation(Bytes),
    /// That a member is away, or no longer is.
    Away(Bytes),
    /// What it believes of members, which is about nodes whose lines came before.
    Members(Vec<Member>),
}

impl Brought {
    fn weight(&self) -> usize {
        match self {
            Self::Line(bytes) | Self::Revocation(bytes) | Self::Away(bytes) => bytes.len(),
            Self::Members(members) => members.len() * size_of::<Member>(),
        }
    }
}

/// What waits to be judged, by the connection that it came on.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    of: BTreeMap<ConnId, (VecDeque<Brought>, usize)>,
    /// Whose turn it is next: that connection's or the one after.
    next: Option<ConnId>,
    is_due: bool,
}

impl Waiting {
    pub(super) fn put(&mut self, conn: ConnId, brought: Brought) {
        let weight = brought.weight();
        let (queue, bytes) = self.of.entry(conn).or_default();
        if queue.is_empty() || *bytes + weight <= MAX_WAITING_BYTES {
            *bytes += weight;
            queue.push_back(brought);
        }
    }

    /// The connection has ended.
    pub(super) fn closed(&mut self, conn: ConnId) {
        self.of.remove(&conn);
    }

    /// Takes what is judged in this step; some of each connection.
    pub(super) fn take(&mut self) -> Vec<(ConnId, Brought)> {
        let share = (JUDGED / self.of.len().max(1)).max(1);
        let first = self.next.unwrap_or(ConnId(0));
        let turns = self.of.range(first..).chain(self.of.range(..first));
        let turns: Vec<ConnId> = turns.map(|(conn, _)| *conn).collect();
        let mut taken = Vec::new();
        for conn in turns {
            let room = JUDGED.saturating_sub(taken.len()).min(share);
            let Some((queue, bytes)) = self.of.get_mut(&conn).filter(|_| room > 0) else {
                self.next = Some(conn);
                break;
            };
            for brought in queue.drain(..room.min(queue.len())) {
                *bytes -= brought.weight();
                taken.push((conn, brought));
            }
        }
        self.of.retain(|_, (queue, _)| !queue.is_empty());
        taken
    }

    /// Has the next step come, if anything waits.
    fn go_on(&mut self, edge: &mut Edge) {
        if !self.of.is_empty() && !self.is_due {
            self.is_due = true;
            edge.after(PAUSE, Timer::Judge);
        }
    }
}

impl Cluster {
    /// Judges what a peer has brought, or has it wait.
    pub(super) fn hear_proofs(&mut self, conn: ConnId, all: impl IntoIterator<Item = Brought>) {
        for brought in all {
            self.waiting.put(conn, brought);
        }
        if !self.waiting.is_due {
            self.judge_waiting();
        }
    }

    /// The next step.
    pub(super) fn judge_more(&mut self) {
        self.waiting.is_due = false;
        self.judge_waiting();
    }

    fn judge_waiting(&mut self) {
        let (mut changed, mut shut) = (Vec::new(), Shut::default());
        for (conn, brought) in self.waiting.take() {
            let Some(connection) = self.connections.get(conn) else {
                continue;
            };
            let peer = (connection.peer.id, connection.peer.role);
            match brought {
                Brought::Line(bytes) => changed.extend(self.judge_line((conn, peer), bytes)),
                Brought::Revocation(bytes) => {
                    if let Some(news) = self.judge_revocation(conn, bytes) {
                        shut.add(news);
                    }
                }
                Brought::Away(bytes) => self.judge_away((conn, peer), bytes),
                Brought::Members(members) => {
                    self.lines_changed(&mut changed);
                    self.merge_members(peer, members);
                }
            }
        }
        self.lines_changed(&mut changed);
        self.tell_refused();
        if !shut.subjects.is_empty() {
            self.shut_out(&shut);
        }
        self.waiting.go_on(&mut self.edge);
    }

    fn lines_changed(&mut self, changed: &mut Vec<NodeId>) {
        if !changed.is_empty() {
            self.roster_changed(&std::mem::take(changed));
        }
    }

    /// Takes a line; gives its node if that is news.
    fn judge_line(
        &mut self,
        (conn, peer): (ConnId, (NodeId, Role)),
        bytes: Bytes,
    ) -> Option<NodeId> {
        let me = self.me.id;
        let line = Line::read(bytes.clone()).ok();
        let subject = line.as_ref().map(Line::subject);
        let may_say = peer.1 == Role::Member
            || subject.is_some_and(|node| node != me && is_heard(peer, node, me));
        if !may_say || !self.may_prove(conn) {
            return None;
        }
        let now = self.edge.instant();
        let (connections, roster) = (&self.connections, &mut self.roster);
        let is_present =
            |node| connections.current(node).is_some() && !connections.is_silent(now, node);
        match roster.merge_line(now, bytes.clone(), is_present) {
            Merged::News(node) => return Some(node),
            Merged::Known => {}
            Merged::AskSubject(node) => self.ask_about(node, bytes),
            Merged::AnotherStart(run) => self.keeper.go_above_proved(run),
            Merged::Forgotten if self.accept_v1 => self.keeper.begin_anew(),
            Merged::Forgotten => self.is_contradicted = true,
            Merged::Refused => {
                let refused = line.map(|line| (line.subject(), line.relayed().digest()));
                self.note_refused(conn, refused);
            }
        }
        None
    }

    /// Takes that a member is away, or no longer is.
    fn judge_away(&mut self, (conn, peer): (ConnId, (NodeId, Role)), bytes: Bytes) {
        let (me, away) = (self.me.id, Away::read(bytes.clone()).ok());
        let subject = away.as_ref().map(Away::subject);
        let may_say =
            peer.1 == Role::Member || subject.is_some_and(|node| is_heard(peer, node, me));
        if !may_say || !self.may_prove(conn) {
            return;
        }
        let instant = self.edge.instant();
        let (connections, roster) = (&self.connections, &mut self.roster);
        let is_present =
            |node| connections.current(node).is_some() && !connections.is_silent(instant, node);
        match roster.merge_away(self.edge.now, bytes.clone(), is_present) {
            Merged::News(_) => self.roster_changed(&[]),
            Merged::AskSubject(node) => self.tell_away(node, bytes),
            Merged::Forgotten => self.is_contradicted = true,
            Merged::Refused => {
                if let Some(away) = away {
                    let refused = (away.subject(), away.relayed().digest());
                    self.apart.refuse_away(conn, refused);
                }
                self.count_refused(conn);
            }
            Merged::Known | Merged::AnotherStart(_) => {}
        }
    }

    /// Takes a revocation; gives who is shut out if that is news.
    fn judge_revocation(&mut self, conn: ConnId, bytes: Bytes) -> Option<Shut> {
        if !self.may_prove(conn) {
            return None;
        }
        let merged = self.roster.merge_revocation(bytes.clone());
        merged.unwrap_or_else(|Unproved| {
            let revocation = Revocation::read(bytes).ok();
            let refused = revocation.map(|one| (one.subject(), one.relayed().digest()));
            self.note_refused(conn, refused);
            None
        })
    }

    /// Whether what a peer brings is judged: judging costs time, so whoever has brought much that proves
    /// nothing has to wait for the next round.
    fn may_prove(&self, conn: ConnId) -> bool {
        let peer = self.connections.get(conn).map(peer_of);
        let refused = peer.and_then(|peer| self.refused.get(&peer));
        refused.is_none_or(|refused| *refused < MAX_REFUSED)
    }

    /// A peer has brought something that no proof goes with, or none that counts here.
    fn note_refused(&mut self, conn: ConnId, refused: Option<Refused>) {
        if let Some(refused) = refused {
            self.apart.refuse(conn, refused, &self.roster);
        }
        self.count_refused(conn);
    }

    fn count_refused(&mut self, conn: ConnId) {
        tracing::debug!(conn = conn.0, "a line or revocation that proves nothing");
        self.edge.stats.lines_refused += 1;
        if let Some(peer) = self.connections.get(conn).map(peer_of) {
            *self.refused.entry(peer).or_default() += 1;
        }
    }

    /// Somebody says that a node is forgotten which is here: it is told, and has its time to answer.
    fn ask_about(&mut self, node: NodeId, line: Bytes) {
        if let Some(conn) = self.connections.current(node) {
            self.ask_presence(node);
            let lines = vec![line];
            let answer = false;
            self.edge
                .send(conn, Message::Lines { lines, answer }.bytes());
        }
    }
}

fn peer_of(connection: &Connection) -> NodeId {
    connection.peer.id
}
