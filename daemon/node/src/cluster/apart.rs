//! Lines and revocations on which two nodes cannot agree: one of them refuses what the other has.
//!
//! In the middle of a change of the cluster's authority some nodes trust the new one and some do not.
//! They refuse each other's relayed lines, so their rosters differ, and each second one would send all of
//! it again. So who refuses something tells who has brought it, and both leave that node's line out of
//! what they compare and send on this connection; the same with who is away. That ends when either has another line of that node,
//! when this node's certificate and authorities are replaced, and with the connection.

use super::Cluster;
use super::message::Message;
use super::roster::Replica;
use crate::wire::{ConnId, Protocol};
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// So much of each kind is remembered of a connection; the rest is sent and refused again.
const MAX_APART: usize = 10_000;
/// How much one message tells at most: what is judged in one step.
pub(super) const MAX_TOLD: usize = super::judging::JUDGED;

/// What is refused: the node that it is about, and its digest.
pub(super) type Refused = (NodeId, u64);

/// On what the two nodes of a connection cannot agree.
#[derive(Debug, Default)]
struct Apart {
    /// By the node that they are about: the digest of this node's own lines when that was so.
    lines: BTreeMap<NodeId, u64>,
    /// This node's revocations that the peer refuses.
    revocations: BTreeSet<Refused>,
    /// What this node tells of members that are away and the peer refuses.
    aways: BTreeSet<Refused>,
    /// What this node has refused, and not told yet.
    untold: Vec<Refused>,
    /// Whether this node has refused anything.
    refuses: bool,
}

impl Apart {
    fn put_lines(&mut self, node: NodeId, ours: u64) {
        if self.lines.len() < MAX_APART || self.lines.contains_key(&node) {
            self.lines.insert(node, ours);
        }
    }

    fn tell(&mut self, refused: Refused) {
        self.refuses = true;
        if self.untold.len() < MAX_TOLD {
            self.untold.push(refused);
        }
    }

    /// The nodes whose lines are left out, as long as this node has no others of them.
    fn lines<'a>(&'a self, roster: &'a Replica) -> impl Iterator<Item = (NodeId, u64)> + 'a {
        let lines = self.lines.iter().map(|(node, ours)| (*node, *ours));
        lines.filter(|(node, ours)| roster.lines_digest(*node) == *ours)
    }
}

/// The same of all connections.
#[derive(Debug, Default)]
pub(super) struct AllApart(BTreeMap<ConnId, Apart>);

impl AllApart {
    /// This node refuses something that came there.
    pub(super) fn refuse(&mut self, conn: ConnId, refused: Refused, roster: &Replica) {
        let apart = self.0.entry(conn).or_default();
        apart.put_lines(refused.0, roster.lines_digest(refused.0));
        apart.tell(refused);
    }

    /// The same of what came about a member that is away: the lines are not touched by that.
    pub(super) fn refuse_away(&mut self, conn: ConnId, refused: Refused) {
        self.0.entry(conn).or_default().tell(refused);
    }

    /// The peer refuses something.
    fn refused(&mut self, conn: ConnId, (node, digest): Refused, roster: &Replica) {
        let apart = self.0.entry(conn).or_default();
        if roster.has_line(node, digest) {
            apart.put_lines(node, roster.lines_digest(node));
        } else if roster.has_revocation(node, digest) && apart.revocations.len() < MAX_APART {
            apart.revocations.insert((node, digest));
        } else if roster.has_away(node, digest) && apart.aways.len() < MAX_APART {
            apart.aways.insert((node, digest));
        }
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.0.remove(&conn);
    }

    /// What this node has of the roster, without that on which it cannot agree with that peer. Equal
    /// where both have the same beside.
    pub(super) fn hash(&self, conn: ConnId, roster: &Replica) -> u64 {
        let Some(apart) = self.0.get(&conn) else {
            return roster.proved_hash();
        };
        let lines = apart.lines(roster).map(|(_, digest)| digest);
        let revocations = apart.revocations.iter();
        let revocations =
            revocations.filter(|(node, digest)| roster.has_revocation(*node, *digest));
        let left_out = lines.chain(revocations.map(|(_, digest)| *digest));
        roster
            .proved_hash()
            .wrapping_sub(left_out.fold(0, u64::wrapping_add))
    }

    /// The same of members that are away.
    pub(super) fn aways_hash(&self, conn: ConnId, roster: &Replica) -> u64 {
        let unsent = self.0.get(&conn).into_iter().flat_map(|apart| &apart.aways);
        let unsent = unsent.filter(|(node, digest)| roster.has_away(*node, *digest));
        let left_out = unsent.map(|(_, digest)| *digest);
        let hash = roster.aways_hash();
        hash.wrapping_sub(left_out.fold(0, u64::wrapping_add))
    }

    /// The nodes whose lines are not sent there.
    pub(super) fn unsent_lines(&self, conn: ConnId, roster: &Replica) -> BTreeSet<NodeId> {
        let apart = self.0.get(&conn).into_iter();
        apart
            .flat_map(|apart| apart.lines(roster))
            .map(|(node, _)| node)
            .collect()
    }

    /// What is not sent there of members that are away.
    pub(super) fn unsent_aways(&self, conn: ConnId) -> BTreeSet<Refused> {
        let apart = self.0.get(&conn);
        apart.map(|apart| apart.aways.clone()).unwrap_or_default()
    }

    /// The revocations that are not sent there.
    pub(super) fn unsent_revocations(&self, conn: ConnId) -> BTreeSet<Refused> {
        let apart = self.0.get(&conn);
        apart
            .map(|apart| apart.revocations.clone())
            .unwrap_or_default()
    }
}

impl Cluster {
    /// A peer refuses what this node has sent.
    pub(super) fn hear_refused(&mut self, conn: ConnId, all: Vec<Refused>) {
        for refused in all.into_iter().take(MAX_TOLD) {
            self.apart.refused(conn, refused, &self.roster);
        }
    }

    /// Tells the peers what of theirs was refused.
    pub(super) fn tell_refused(&mut self) {
        for (conn, apart) in &mut self.apart.0 {
            let is_spoken = self.connections.protocol(*conn) >= Protocol::PROVED;
            let untold = std::mem::take(&mut apart.untold);
            if is_spoken && !untold.is_empty() {
                self.edge.send(*conn, Message::Refused(untold).bytes());
            }
        }
    }

    /// This node may trust other authorities now: what it has refused is judged again.
    pub(super) fn judge_refused_again(&mut self) {
        let refusing = self.apart.0.iter().filter(|(_, apart)| apart.refuses);
        let conns: Vec<ConnId> = refusing.map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.apart.closed(conn);
            self.edge.send(conn, Message::Ask.bytes());
        }
    }
}
