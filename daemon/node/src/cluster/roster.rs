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
//! start the next run.
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
//! A revocation shuts a node's id out for ever: an authority has signed it ([`Revocation`]). It takes the
//! place of all lines of that node, which is on no roster any more; connections with it are closed, and
//! handshakes refused. It is kept on the disk without end.
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
//! a → b   Lines { lines }            on each new connection, and when a client has changed a line
//! a → b   Lines { lines }            lines that are news to a, within 100 ms, to three peers
//! a → b   Revocations([…])           all on each new connection and where hashes differ, a new one at once
//! a → b   LinesHash(h)               over both, each second to one peer, chosen at random
//! b → a   Lines { lines, answer }    b's hash differs: its lines, and
//! a → b   Lines { lines }            a's lines in return
//! a → b   Goodbye { restart }        a goes: for good, or to be back within 60 s, and not down till then
//! ```
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
//! 10,000 nodes, and as many revocations of at most 8 KiB; further ones are not taken in. 64 KiB a line, about 256 KiB a message. 64 clients that
//! wait for a change. A run is below 2³¹, a serial below 2⁴⁸. A line without a good proof, or beyond
//! the bounds, is passed over and counted.

use super::kept::Lines;
use super::message::{Nonce, is_sound};
use super::swim::MAX_MEMBERS;
use crate::belief::{MAX_RUN, Runs, run_beside_proof};
use crate::proof::{Domain, Proofs};
use bytes::Bytes;
use crdt::relayed::Relayed;
use crdt::roster::{Author, Line, Profile, Revocation, Roster, RosterEntry, Standing};
use names::{NodeId, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most revocations that are kept.
pub(super) const MAX_REVOCATIONS: usize = 10_000;
/// Serials stay below: nobody can bring them to their end.
const MAX_SERIAL: u64 = 1 << 48;

/// What this node says of itself in its line.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) me: NodeId,
    pub(super) start: Nonce,
    pub(super) profile: Profile,
}

/// All that is known of one node.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The latest line that the node itself has signed.
    own: Option<Line>,
    /// What that line says, or the latest one that this program understands.
    entry: Option<RosterEntry>,
    /// What another node has signed about it: that it is forgotten.
    end: Option<Line>,
    /// What was said of it without a proof: by members that speak protocol 1, or kept on the disk by a
    /// program that did.
    told: Option<RosterEntry>,
}

impl Slot {
    /// What all of it comes to. `None` if nothing of it is understood.
    fn outcome(&self) -> Option<RosterEntry> {
        let mut outcome = self.entry.clone();
        if let Some(told) = &self.told {
            let known = outcome.as_ref().map(|entry| (entry.run, entry.standing));
            match &mut outcome {
                Some(entry) if entry.run == told.run => {
                    entry.standing = entry.standing.max(told.standing);
                }
                Some(_) if known >= Some((told.run, told.standing)) => {}
                Some(_) | None => outcome = Some(told.clone()),
            }
        }
        if let (Some(entry), Some(end)) = (&mut outcome, &self.end)
            && let Ok(Some(said)) = end.entry()
        {
            entry.standing = entry.standing.max(said.standing);
        }
        outcome
    }

    /// The run and serial that somebody must know who says that the node is forgotten.
    fn latest(&self) -> Option<(u64, u64)> {
        match (&self.own, &self.told) {
            (Some(own), Some(told)) if told.run > own.relayed().rank().run => Some((told.run, 0)),
            (Some(own), _) => {
                let rank = own.relayed().rank();
                Some((rank.run, rank.serial))
            }
            (None, told) => told.as_ref().map(|told| (told.run, 0)),
        }
    }

    /// What was said of an earlier line of the node is over.
    fn drop_outdated_end(&mut self) {
        let latest = self.latest();
        self.end.take_if(|end| {
            let rank = end.relayed().rank();
            latest != Some((rank.run, rank.serial))
        });
    }

    fn proved(&self) -> impl Iterator<Item = &Relayed> {
        self.own.iter().chain(&self.end).map(Line::relayed)
    }

    fn digest(&self) -> u64 {
        let digests = self.proved().map(Relayed::digest);
        digests.fold(0, u64::wrapping_add)
    }
}

/// Revocations, by the node that each is about.
#[derive(Debug, Default)]
struct Revocations {
    of: BTreeMap<NodeId, Revocation>,
    /// The sum of their digests.
    digest: u64,
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
    runs: Runs,
    revocations: Revocations,
    /// The nodes whose lines others may not have yet.
    fresh: BTreeSet<NodeId>,
}

impl Replica {
    /// With the lines that the disk has kept. They are not judged again: this node has judged them
    /// before.
    pub(super) fn new(
        own: Own,
        proofs: Arc<dyn Proofs>,
        accept_v1: bool,
        kept: (Vec<Line>, Vec<Revocation>),
    ) -> Self {
        let (kept, revoked) = kept;
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
            runs: Runs::default(),
            revocations: Revocations::default(),
            fresh: BTreeSet::new(),
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
        for revocation in revoked {
            replica.put_revocation(revocation);
        }
        replica.fresh.clear();
        replica
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
        self.proved_hash.wrapping_add(self.revocations.digest)
    }

    /// All lines as protocol 1 has them.
    pub(super) fn lines(&self) -> Vec<(NodeId, RosterEntry)> {
        self.roster
            .iter()
            .map(|(id, entry)| (id, entry.clone()))
            .collect()
    }

    /// All lines that carry proofs, of each node its own before what others say of it.
    pub(super) fn proved_lines(&self) -> Vec<Bytes> {
        let slots = self.slots.values();
        slots
            .flat_map(Slot::proved)
            .map(|line| line.bytes().clone())
            .collect()
    }

    /// The revocations of some nodes.
    pub(super) fn revocations_of(&self, nodes: &BTreeSet<NodeId>) -> Vec<Bytes> {
        let revoked = nodes
            .iter()
            .filter_map(|node| self.revocations.of.get(node));
        revoked
            .map(|revocation| revocation.relayed().bytes().clone())
            .collect()
    }

    /// The lines of some nodes.
    pub(super) fn proved_lines_of(&self, nodes: impl IntoIterator<Item = NodeId>) -> Vec<Bytes> {
        let slots = nodes.into_iter().filter_map(|node| self.slots.get(&node));
        slots
            .flat_map(Slot::proved)
            .map(|line| line.bytes().clone())
            .collect()
    }

    /// All revocations that are known.
    pub(super) fn revocations(&self) -> impl Iterator<Item = &Revocation> {
        self.revocations.of.values()
    }

    /// By what a node is shut out.
    pub(super) fn revocation(&self, node: NodeId) -> Option<&Revocation> {
        self.revocations.of.get(&node)
    }

    /// Whether a node is shut out.
    pub(super) fn is_revoked(&self, node: NodeId) -> bool {
        self.revocations.of.contains_key(&node)
    }

    /// The nodes whose lines have changed since this was asked last.
    pub(super) fn take_fresh(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.fresh)
    }

    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
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

    /// What the disk is to keep, with this node's line in that run and as if those had been forgotten.
    pub(super) fn kept_lines(
        &self,
        run: u64,
        standing: Standing,
        (forgotten, revoked): (impl Iterator<Item = NodeId>, &[&Revocation]),
    ) -> Lines {
        let mut slots = self.slots.clone();
        if let Some(line) = self.draft(run, standing) {
            let slot = slots.entry(self.own.me).or_default();
            (slot.own, slot.end, slot.told) = (Some(line), None, None);
        }
        for node in forgotten {
            if let (Some(end), Some(slot)) = (self.draft_end(node), slots.get_mut(&node)) {
                slot.end = Some(end);
            }
        }
        for one in revoked {
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
        let mut revocations = self.revocations.of.clone();
        for one in revoked {
            revocations.insert(one.subject(), (*one).clone());
        }
        let revocations = revocations
            .values()
            .map(|one| one.relayed().bytes().clone());
        Lines {
            lines,
            revocations: revocations.collect(),
        }
    }
}

/// What this node says.
impl Replica {
    /// Writes this node's line anew if it is to say something else than the latest one.
    pub(super) fn speak(&mut self, run: u64, standing: Standing) {
        let known = self.own_line(self.own.me).map(Line::relayed);
        if let Some(line) = self.draft(run, standing)
            && known != Some(line.relayed())
        {
            self.put_own(self.own.me, line);
        }
    }

    /// Says the same again as something later, so that what others have said of it is over.
    pub(super) fn refute(&mut self) {
        let me = self.own.me;
        let Some((rank, entry)) = self
            .slots
            .get(&me)
            .and_then(|slot| Some((slot.own.as_ref()?.relayed().rank(), slot.entry.clone()?)))
        else {
            return;
        };
        if let Some(line) = self.write_own(rank.serial + 1, &entry) {
            self.put_own(me, line);
        }
    }

    /// Says that a node is forgotten.
    pub(super) fn forget(&mut self, node: NodeId) -> bool {
        let Some(end) = self.draft_end(node) else {
            return false;
        };
        self.put_end(node, end);
        true
    }

    /// This node's line as it is to be said in its hello.
    pub(super) fn own_bytes(&self) -> Bytes {
        let line = self.own_line(self.own.me).map(Line::relayed);
        line.map(|line| line.bytes().clone()).unwrap_or_default()
    }

    /// The line with which this node says that: the latest one, if that says it; else with the next
    /// serial. `None` if this node's key cannot sign.
    fn draft(&self, run: u64, standing: Standing) -> Option<Line> {
        let entry = RosterEntry {
            run,
            standing,
            profile: self.own.profile.clone(),
        };
        let known = self.own_line(self.own.me);
        let known = known.filter(|line| line.relayed().rank().run == run);
        let serial = known.map_or(1, |line| line.relayed().rank().serial);
        let line = self.write_own(serial, &entry)?;
        if known.is_none_or(|known| *known == line) {
            return Some(line);
        }
        self.write_own(serial + 1, &entry)
    }

    fn write_own(&self, serial: u64, entry: &RosterEntry) -> Option<Line> {
        let chain = self.proofs.chain();
        let author = Author {
            owner: self.own.me,
            chain: &chain,
            start: Some(self.own.start),
        };
        self.write(author, self.own.me, serial, entry)
    }

    fn draft_end(&self, node: NodeId) -> Option<Line> {
        let (_, serial) = self.slots.get(&node)?.latest()?;
        let mut entry = self.roster.get(node)?.clone();
        entry.standing = Standing::Forgotten;
        let chain = self.proofs.chain();
        let author = Author {
            owner: self.own.me,
            chain: &chain,
            start: None,
        };
        self.write(author, node, serial, &entry)
    }

    fn write(
        &self,
        author: Author<'_>,
        subject: NodeId,
        serial: u64,
        entry: &RosterEntry,
    ) -> Option<Line> {
        let line = Line::write(author, subject, serial, entry);
        let line = line.and_then(|line| line.signed(|said| self.proofs.sign(Domain::Line, said)));
        let line = line.inspect_err(|error| tracing::error!(%error, "a line of ours is too large"));
        line.ok()
    }
}

/// What others say.
impl Replica {
    /// Takes the line that came with its node's own hello; true if that changed anything.
    pub(super) fn prove_line(&mut self, line: &Line) -> bool {
        let node = line.subject();
        let is_news = self.own_line(node).is_none_or(|known| known < line);
        if is_news {
            self.put_own(node, line.clone());
        }
        is_news
    }

    /// Takes what a node that speaks protocol 1 says of itself; true if that changed anything.
    pub(super) fn prove(&mut self, node: NodeId, entry: RosterEntry) -> bool {
        let told = self.run(node);
        let before = self.roster.get(node).cloned();
        let is_refuted = self.runs.prove(node, entry.run, told);
        if is_refuted {
            tracing::warn!(%node, run = entry.run, told,
                "others have told a run of a node that it never had");
        }
        let is_later = |told: &RosterEntry| is_refuted || *told < entry;
        let told = self.slots.get(&node).and_then(|slot| slot.told.as_ref());
        if told.is_none_or(is_later) {
            self.put_told(node, entry);
        }
        self.refresh(node, before)
    }

    /// Takes lines without proofs; gives the nodes of which that changed anything. Lines beyond the
    /// bounds are passed over.
    pub(super) fn merge(&mut self, lines: Vec<(NodeId, RosterEntry)>) -> Vec<NodeId> {
        let mut changed = Vec::new();
        for (node, entry) in lines {
            let has_room = self.slots.contains_key(&node) || self.slots.len() < MAX_MEMBERS;
            let has_room = has_room && !self.is_revoked(node);
            if has_room && is_sound(&entry.profile) && self.runs.is_credible(node, entry.run) {
                let before = self.roster.get(node).cloned();
                let told = self.slots.get(&node).and_then(|slot| slot.told.as_ref());
                if told.is_none_or(|told| *told < entry) {
                    self.put_told(node, entry);
                }
                changed.extend(self.refresh(node, before).then_some(node));
            }
        }
        changed
    }

    /// Takes a line that carries a proof, whoever brings it. `is_present` says whether a node is
    /// connected and answers.
    pub(super) fn merge_line(
        &mut self,
        bytes: Bytes,
        is_present: impl FnOnce(NodeId) -> bool,
    ) -> Merged {
        let Ok(line) = Line::read(bytes) else {
            return Merged::Refused;
        };
        let subject = line.subject();
        if subject == line.relayed().owner() {
            self.merge_own(subject, line)
        } else {
            self.merge_end(subject, line, is_present)
        }
    }

    fn merge_own(&mut self, node: NodeId, line: Line) -> Merged {
        let known = self.own_line(node);
        let has_room = self.slots.contains_key(&node) || self.slots.len() < MAX_MEMBERS;
        let is_known = known.is_some_and(|known| *known >= line);
        if is_known || !has_room || self.is_revoked(node) {
            return Merged::Known;
        }
        if !self.is_good(&line) {
            return Merged::Refused;
        }
        if node != self.own.me {
            self.put_own(node, line);
            return Merged::News(node);
        }
        if line.start() == Some(self.own.start) {
            return Merged::Known;
        }
        Merged::AnotherStart(line.relayed().rank().run)
    }

    fn merge_end(
        &mut self,
        node: NodeId,
        line: Line,
        is_present: impl FnOnce(NodeId) -> bool,
    ) -> Merged {
        let rank = line.relayed().rank();
        let Some(slot) = self.slots.get(&node) else {
            return Merged::Known;
        };
        let is_known = slot.end.as_ref().is_some_and(|known| *known >= line);
        if is_known || slot.latest() != Some((rank.run, rank.serial)) {
            return Merged::Known;
        }
        if !self.is_good(&line) {
            Merged::Refused
        } else if node == self.own.me {
            Merged::Forgotten
        } else if is_present(node) {
            Merged::AskSubject(node)
        } else {
            self.put_end(node, line);
            Merged::News(node)
        }
    }

    /// Takes a revocation, whoever brings it; gives the node that is shut out if that is news.
    pub(super) fn merge_revocation(&mut self, bytes: Bytes) -> Result<Option<NodeId>, Unproved> {
        let revocation = Revocation::read(bytes).map_err(|_| Unproved)?;
        let node = revocation.subject();
        let known = self.revocations.of.get(&node);
        let has_room = known.is_some() || self.revocations.of.len() < MAX_REVOCATIONS;
        if known.is_some_and(|known| *known >= revocation) || !has_room {
            return Ok(None);
        }
        if !self.is_of_authority(&revocation) {
            return Err(Unproved);
        }
        self.put_revocation(revocation);
        Ok(Some(node))
    }

    /// Whether an authority has signed a revocation.
    pub(super) fn is_of_authority(&self, revocation: &Revocation) -> bool {
        let relayed = revocation.relayed();
        let (said, proof) = (relayed.said(), relayed.proof().unwrap_or_default());
        let domain = Domain::Revocation;
        self.proofs
            .is_of_authority(revocation.chain(), domain, said, proof)
    }

    /// The node's lines are gone for good: the revocation stands in their place. Only this node itself
    /// stays on its own roster, where nobody else answers it any more.
    fn put_revocation(&mut self, revocation: Revocation) {
        let node = revocation.subject();
        if node != self.own.me {
            let slot = self.slots.remove(&node).unwrap_or_default();
            self.proved_hash = self.proved_hash.wrapping_sub(slot.digest());
            self.roster.remove(node);
        }
        if self.accept_v1 {
            self.hash = self.roster.hash();
        }
        let digest = revocation.relayed().digest();
        let before = self.revocations.of.insert(node, revocation);
        let before = before.map_or(0, |before| before.relayed().digest());
        let change = digest.wrapping_sub(before);
        self.revocations.digest = self.revocations.digest.wrapping_add(change);
        self.fresh.insert(node);
    }

    /// Whether a line keeps to the rules and carries its author's proof.
    pub(super) fn is_good(&self, line: &Line) -> bool {
        let relayed = line.relayed();
        let (rank, owner) = (relayed.rank(), relayed.owner());
        let Ok(entry) = line.entry() else {
            return false;
        };
        let is_sound = entry.as_ref().is_none_or(|entry| is_sound(&entry.profile));
        let is_counted = (1..MAX_RUN).contains(&rank.run) && rank.serial < MAX_SERIAL;
        if !is_sound || !is_counted {
            return false;
        }
        let (said, proof) = (relayed.said(), relayed.proof().unwrap_or_default());
        let signer = self.proofs.signer(line.chain(), Domain::Line, said, proof);
        let is_named = |name: &NodeName| {
            let own = entry.as_ref().filter(|_| line.subject() == owner);
            own.is_none_or(|entry| entry.profile.name == *name)
        };
        signer.is_some_and(|signer| signer.id == owner && is_named(&signer.name))
    }

    fn put_told(&mut self, node: NodeId, told: RosterEntry) {
        let slot = self.slots.entry(node).or_default();
        let digest = slot.digest();
        slot.told = Some(told);
        slot.drop_outdated_end();
        let change = slot.digest().wrapping_sub(digest);
        self.proved_hash = self.proved_hash.wrapping_add(change);
    }

    fn put_own(&mut self, node: NodeId, line: Line) {
        let before = self.roster.get(node).cloned();
        let rank = line.relayed().rank();
        let accept_v1 = self.accept_v1;
        let told = self.run(node);
        let is_refuted = self.runs.prove(node, rank.run, told);
        let slot = self.slots.entry(node).or_default();
        let digest = slot.digest();
        // What was said without a proof is over when there is one, but where protocol 1 is accepted:
        // there a node may have been started with an older program since.
        slot.told
            .take_if(|told| !accept_v1 || is_refuted || told.run <= rank.run);
        if let Ok(Some(entry)) = line.entry() {
            slot.entry = Some(entry);
        }
        slot.own = Some(line);
        slot.drop_outdated_end();
        let change = slot.digest().wrapping_sub(digest);
        self.proved_hash = self.proved_hash.wrapping_add(change);
        self.fresh.insert(node);
        self.refresh(node, before);
    }

    fn put_end(&mut self, node: NodeId, end: Line) {
        let before = self.roster.get(node).cloned();
        let slot = self.slots.entry(node).or_default();
        let digest = slot.digest();
        slot.end = Some(end);
        let change = slot.digest().wrapping_sub(digest);
        self.proved_hash = self.proved_hash.wrapping_add(change);
        self.fresh.insert(node);
        self.refresh(node, before);
    }

    /// Brings the roster up to date with what is known of a node; true if it was another line before.
    fn refresh(&mut self, node: NodeId, before: Option<RosterEntry>) -> bool {
        let Some(outcome) = self.slots.get(&node).and_then(Slot::outcome) else {
            return false;
        };
        if before.as_ref() == Some(&outcome) {
            return false;
        }
        self.roster.replace(node, outcome);
        self.hash = if self.accept_v1 {
            self.roster.hash()
        } else {
            0
        };
        true
    }
}
