//! The roster: who belongs to the cluster, whether reachable or not. This node's replica of it.
//!
//! A line for each node that was ever a member: the run in which it was last seen to join, its
//! standing in that run, and its profile (name, address, version, tags).
//!
//! | standing | means | who writes it |
//! | --- | --- | --- |
//! | `Member` | it belongs to the cluster | the node itself, with each new run |
//! | `Left` | it has left, and counts no more | the node itself |
//! | `Forgotten` | it is gone for good, and is not shown any more | any other node, when a client asks |
//!
//! # Proofs
//!
//! A line is the bytes that its author wrote and signed ([`crdt::roster::Line`]), with the chain of
//! certificates by which that is judged. Nodes keep these bytes and hand them on, so what is known of a
//! node that one does not reach is as good as its own word. Of two lines of a node the one with the
//! larger (run, serial, standing, bytes) stays: each change of what it says takes the next serial, each
//! start the next run. A change of the node's address is such a change (`moving`).
//!
//! That a node is forgotten is another node's line about it, which names the run and the serial that
//! its author knows. It stands beside the subject's own line, is taken only where the subject does not
//! answer, and is over with the subject's next line: a node that reads that it was forgotten says the
//! same again with the next serial, at most once a second. A node that reads a line of its own in a run
//! that it does not know of, from another start of its daemon, takes a run above.
//!
//! So replicas agree: a slot for each node, with two registers that only grow, of which the second
//! counts only with the very line that it names.
//!
//! That a member is away on purpose is another node's statement, too ([`Away`](crdt::roster::Away)). It
//! names the subject's line in the same way and is over with the next one; it counts only where the subject
//! does not answer, and until the time that it names. A later one, which may say that the member is away no
//! longer, takes its place. A member that reads that it is away says its line again, so that the statement
//! is over everywhere as soon as any node has seen the member.
//!
//! What a node is, a member or an observer, stands in its certificate, and so in the chain that its line
//! carries. An observer's line is as good as a member's; but nobody takes a line of another node from it,
//! nor its word that another one is forgotten.
//!
//! A revocation shuts a node's id out for ever: an authority has signed it ([`Revocation`]). It takes the
//! place of all lines of that node, which is on no roster any more; connections with it are closed, and
//! handshakes refused. It is kept on the disk without end.
//!
//! A withdrawal takes an authority's key out of the cluster: the cluster's own authority has signed it.
//! It names the certificates and revocations of that key that stay good. All others prove nothing any
//! more: lines of nodes with such certificates go, as if their nodes had been revoked in the run that they
//! had, and such revocations go too. What follows is a function of the statements that are here, and not of
//! the order in which they came.
//!
//! What comes without a proof counts in two cases: lines that a program which spoke protocol 1 has left
//! on this disk, until their node shows a line; and where protocol 1 is accepted, within the bounds
//! that [`belief`](crate::belief) tells.
//!
//! # Messages
//!
//! On channel 0, between nodes that have accepted each other's hello:
//!
//! ```text
//! a → b   Lines { lines }            when a client has changed a line
//! a → b   Lines { lines }            lines that are news to a, within 100 ms, to three peers
//! a → b   Revocations([…])           all, withdrawals first, where hashes differ; a new one at once
//! b → a   Refused([node, digest])    lines and revocations that prove nothing to b
//! a → b   LinesHash(h)               over both, on each connection that a has dialled, and each second to
//!                                    one peer, chosen at random
//! b → a   Lines { lines, answer }    b's hash differs: its lines, and
//! a → b   Lines { lines }            a's lines in return
//! a → b   AwaysHash(h)               over who is away, beside LinesHash, unless nobody was declared away
//! b → a   Aways { aways, answer }    b's hash differs: what was said last of each member, and
//! a → b   Aways { aways }            a's in return; a new one at once
//! a → b   Goodbye { restart }        a goes: for good, or to be back within 60 s, and not down till then
//! ```
//!
//! Several lines go as a `Bundle`: the certificates above their authors' own, which are the same for many,
//! stand in it once, and the lines name them by their hashes (`bundle`).
//!
//! While the cluster's authority is changed, some nodes refuse what others have signed, and their rosters
//! differ. What was refused is told, and both sides leave that node's line out of the hash and of what they
//! send on that connection, until either has another one, or the refusing node's authorities are replaced:
//! then it says `Ask`, and all is sent again (`apart`).
//!
//! In protocol 1 `Roster` and `RosterHash` are the same without proofs. A change that a client asked
//! for is on this node's disk before it is said to anybody and before it is answered.
//!
//! # What may be lost
//!
//! A line that was lost with its connection comes with the next differing hash: with n nodes after
//! about log₂ n seconds. A `Goodbye` that was lost makes a node `down` instead of `restarting`, and
//! SWIM finds that out by itself; `Left` is in the roster and comes from anybody.
//!
//! # Bounds
//!
//! 10,000 nodes, and as many revocations of at most 8 KiB; 64 withdrawals of at most 32 KiB; further ones are
//! not taken in. 64 KiB a line, about 256 KiB a message. 64 clients that
//! wait for a change. A run is below 2³¹, a serial below 2⁴⁸. A line without a good proof, or beyond
//! the bounds, is passed over and counted; of one peer 16 such are judged a second, and then nothing
//! that it brings. Of one node 10 changes of its line are taken at once, then one a second, and as many
//! statements that others are away, of at most 8 KiB, for at most 366 days. 128 lines are
//! judged in one step, the rest waits its turn.

mod away;
mod heard;
mod said;
mod shut;
mod slot;

pub(super) use away::ms;
pub(super) use shut::Shut;

use super::kept::{Asked, KeptLines, Lines};
use super::message::Nonce;
use super::swim::Identity;
use crate::belief::{Runs, run_beside_proof};
use crate::proof::Proofs;
use bytes::Bytes;
use crdt::roster::{Author, Line, Pace, Profile, Revocation, Roster, RosterEntry, Standing};
use names::{NodeId, NodeName, Role};
use shut::Revocations;
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// What this node says of itself in its line.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) me: NodeId,
    pub(super) role: Role,
    pub(super) start: Nonce,
    pub(super) profile: Profile,
    pub(super) pace: Pace,
}

/// What became of a line that carries a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// It was merged.
    News(NodeId),
    /// It tells nothing new, or is about a node that this one does not know.
    Known,
    /// It says that a node is forgotten which is here: that one is to be asked.
    AskSubject(NodeId),
    /// It is this node's own, of another start of its daemon in that run: this start must go above.
    AnotherStart(u64),
    /// It says that this node is forgotten.
    Forgotten,
    /// It proves nothing, or breaks the rules.
    Refused,
}

/// It proves nothing.
#[derive(Debug)]
pub(super) struct Unproved;

/// This node's replica of the roster.
#[derive(Debug)]
pub(super) struct Replica {
    own: Own,
    proofs: Arc<dyn Proofs>,
    accept_v1: bool,
    slots: BTreeMap<NodeId, Slot>,
    /// Lines of the disk that carry no proof and are not understood.
    foreign: Vec<Bytes>,
    roster: Roster,
    /// The hash in protocol 1.
    hash: u64,
    proved_hash: u64,
    aways_hash: u64,
    runs: Runs,
    revocations: Revocations,
    /// The nodes whose lines others may not have yet.
    fresh: BTreeSet<NodeId>,
    /// The nodes of which was said that they are away, or no longer are, and others may not know it yet.
    fresh_aways: BTreeSet<NodeId>,
}

impl Replica {
    /// With the lines that the disk has kept. They are not judged again: this node has judged them
    /// before.
    pub(super) fn new(own: Own, proofs: Arc<dyn Proofs>, accept_v1: bool, kept: KeptLines) -> Self {
        let KeptLines {
            lines: kept,
            revocations: revoked,
            aways,
        } = kept;
        let mut slots: BTreeMap<NodeId, Slot> = BTreeMap::new();
        let mut foreign = Vec::new();
        for line in kept {
            let entry = line.entry().ok().flatten();
            let is_proved = line.relayed().proof().is_some();
            if !is_proved && entry.is_none() {
                foreign.push(line.relayed().bytes().clone());
                continue;
            }
            let slot = slots.entry(line.subject()).or_default();
            if !is_proved {
                slot.told = entry;
            } else if line.subject() == line.relayed().owner() {
                slot.role = proofs.role(line.chain());
                (slot.own, slot.entry) = (Some(line), entry);
            } else {
                slot.end = Some(line);
            }
        }
        let mut replica = Self {
            own,
            proofs,
            accept_v1,
            foreign,
            roster: Roster::default(),
            hash: 0,
            proved_hash: slots.values().map(Slot::digest).fold(0, u64::wrapping_add),
            aways_hash: 0,
            runs: Runs::default(),
            revocations: Revocations::default(),
            fresh: BTreeSet::new(),
            fresh_aways: BTreeSet::new(),
            slots,
        };
        for (node, slot) in &replica.slots {
            if let Some(outcome) = slot.outcome() {
                replica.roster.replace(*node, outcome);
            }
        }
        let runs = replica.roster.iter().map(|(node, entry)| (node, entry.run));
        replica.runs = Runs::kept(runs);
        replica.hash = replica.roster.hash();
        for away in aways {
            if replica.slots.contains_key(&away.subject()) {
                replica.put_away(away);
            }
        }
        // What the disk was told before a withdrawal may stand beside it.
        let (withdrawals, revocations): (Vec<_>, Vec<_>) =
            revoked.into_iter().partition(Revocation::is_withdrawal);
        for revocation in revocations.into_iter().chain(withdrawals) {
            replica.put_revocation(revocation);
        }
        replica.fresh.clear();
        replica.fresh_aways.clear();
        replica
    }

    /// What this node says of itself.
    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    /// Others reach this node there from now on; its next line says so.
    pub(super) fn set_address(&mut self, address: SocketAddr) {
        self.own.profile.address = address;
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Equal for equal rosters, among nodes that speak protocol 1.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Equal for equal lines with proofs.
    pub(super) fn proved_hash(&self) -> u64 {
        self.proved_hash.wrapping_add(self.revocations.digest())
    }

    /// All lines as protocol 1 has them.
    pub(super) fn lines(&self) -> Vec<(NodeId, RosterEntry)> {
        self.roster
            .iter()
            .map(|(id, entry)| (id, entry.clone()))
            .collect()
    }

    /// All lines that carry proofs but those about some nodes; of each node its own before what others
    /// say of it.
    pub(super) fn proved_lines_but(&self, unsent: &BTreeSet<NodeId>) -> Vec<Bytes> {
        let slots = self.slots.iter();
        slots
            .filter(|(node, _)| !unsent.contains(node))
            .flat_map(|(_, slot)| slot.proved())
            .map(|line| line.bytes().clone())
            .collect()
    }

    /// What the lines about a node contribute to the hash.
    pub(super) fn lines_digest(&self, node: NodeId) -> u64 {
        self.slots.get(&node).map(Slot::digest).unwrap_or_default()
    }

    /// Whether a line about that node is here which has that digest.
    pub(super) fn has_line(&self, node: NodeId, digest: u64) -> bool {
        let slot = self.slots.get(&node);
        slot.is_some_and(|slot| slot.proved().any(|line| line.digest() == digest))
    }

    /// By what proofs are made and judged.
    pub(super) fn proofs(&self) -> &dyn Proofs {
        self.proofs.as_ref()
    }

    /// The lines of some nodes.
    pub(super) fn proved_lines_of(&self, nodes: impl IntoIterator<Item = NodeId>) -> Vec<Bytes> {
        let slots = nodes.into_iter().filter_map(|node| self.slots.get(&node));
        slots
            .flat_map(Slot::proved)
            .map(|line| line.bytes().clone())
            .collect()
    }

    /// The nodes whose lines have changed since this was asked last.
    pub(super) fn take_fresh(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.fresh)
    }

    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty() || !self.fresh_aways.is_empty()
    }

    /// What a node is, by the certificate with which it has signed its latest line.
    /// What a node's line says of its pace; `None` where its program knows none.
    pub(super) fn told_pace(&self, node: NodeId) -> Option<Pace> {
        self.slots.get(&node)?.own.as_ref()?.pace()
    }

    /// Whether the link to a node is metered: if either end is.
    pub(super) fn is_metered(&self, node: NodeId) -> bool {
        let theirs = self.told_pace(node).unwrap_or_default();
        theirs.max(self.own.pace) == Pace::Metered
    }

    pub(super) fn role(&self, node: NodeId) -> Role {
        if node == self.own.me {
            return self.own.role;
        }
        self.slots
            .get(&node)
            .map(|slot| slot.role)
            .unwrap_or_default()
    }

    pub(super) fn run(&self, node: NodeId) -> u64 {
        self.roster.get(node).map_or(0, |entry| entry.run)
    }

    /// The run of a node that is proved, or that others have told, as far as that can be believed of
    /// one that proves `run`.
    pub(super) fn run_beside(&self, node: NodeId, run: u64) -> u64 {
        let proved = self
            .own_line(node)
            .map_or(0, |line| line.relayed().rank().run);
        if self.accept_v1 {
            proved.max(run_beside_proof(self.run(node), run))
        } else {
            proved
        }
    }

    /// Where a node is to be dialled: where its own line says, if that is here, or else where others say.
    pub(super) fn address(&self, told: Identity) -> SocketAddr {
        let signed = self
            .own_line(told.node)
            .and_then(|_| self.roster.get(told.node));
        signed.map_or(told.addr, |entry| entry.profile.address)
    }

    /// The latest line that a node has signed itself.
    pub(super) fn own_line(&self, node: NodeId) -> Option<&Line> {
        self.slots.get(&node)?.own.as_ref()
    }

    /// The chain of the certificate with which a node has signed that.
    pub(super) fn chain(&self, node: NodeId) -> Option<Bytes> {
        let line = self.own_line(node)?;
        Some(line.relayed().bytes().slice_ref(line.chain()))
    }

    pub(super) fn is_member(&self, node: NodeId) -> bool {
        self.roster
            .get(node)
            .is_some_and(|entry| entry.standing == Standing::Member)
    }

    /// The members of that name: more than one only if a machine was replaced and the old one not
    /// forgotten.
    pub(super) fn bearers<'a>(&'a self, name: &'a NodeName) -> impl Iterator<Item = NodeId> + 'a {
        self.roster
            .members()
            .filter(move |(_, entry)| entry.profile.name == *name)
            .map(|(node, _)| node)
    }

    /// What the disk is to keep, with this node's line in that run and as if that had been done.
    pub(super) fn kept_lines(&self, run: u64, standing: Standing, asked: &Asked<'_>) -> Lines {
        let mut slots = self.slots.clone();
        if let Some(line) = self.draft(run, standing) {
            let slot = slots.entry(self.own.me).or_default();
            (slot.own, slot.end, slot.told) = (Some(line), None, None);
        }
        for node in &asked.forgotten {
            if let (Some(end), Some(slot)) = (self.draft_end(*node), slots.get_mut(node)) {
                slot.end = Some(end);
            }
        }
        for away in &asked.aways {
            if let Some(slot) = slots.get_mut(&away.subject()) {
                slot.away = Some((*away).clone());
            }
        }
        for one in &asked.revoked {
            slots.remove(&one.subject());
        }
        let mut lines = Vec::new();
        for (node, slot) in &slots {
            lines.extend(slot.proved().map(|line| line.bytes().clone()));
            let told = slot.told.as_ref();
            let told =
                told.and_then(|told| Line::write(Author::unproved(*node), *node, 0, told).ok());
            lines.extend(told.map(|line| line.relayed().bytes().clone()));
        }
        lines.extend(self.foreign.iter().cloned());
        let pending = asked.revoked.iter().copied();
        let revocations = self.revocations.all().chain(pending);
        let revocations = revocations.map(|one| one.relayed().bytes().clone());
        Lines {
            lines,
            revocations: revocations.collect(),
            aways: slots
                .values()
                .filter_map(|slot| slot.away.as_ref())
                .map(|away| away.relayed().bytes().clone())
                .collect(),
        }
    }
}
