//! What others say on the roster, and what of it is taken.

use super::slot::Slot;
use super::{Merged, Replica};
use crate::belief::{self, MAX_RUN};
use crate::cluster::message::is_sound;
use crate::cluster::swim::MAX_MEMBERS;
use crate::proof::Domain;
use crate::time::Instant;
use bytes::Bytes;
use crdt::roster::{Line, RosterEntry};
use names::{NodeId, NodeName};

/// Serials stay below: nobody can bring them to their end.
const MAX_SERIAL: u64 = 1 << 48;

impl Replica {
    /// Takes the line that came with its node's own hello; true if that changed anything.
    pub(in crate::cluster) fn prove_line(&mut self, line: &Line) -> bool {
        let node = line.subject();
        let is_news = self.own_line(node).is_none_or(|known| known < line);
        if is_news {
            self.put_own(node, line.clone());
        }
        is_news
    }

    /// Takes what a node that speaks protocol 1 says of itself; true if that changed anything.
    pub(in crate::cluster) fn prove(&mut self, node: NodeId, entry: RosterEntry) -> bool {
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
    pub(in crate::cluster) fn merge(&mut self, lines: Vec<(NodeId, RosterEntry)>) -> Vec<NodeId> {
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
    pub(in crate::cluster) fn merge_line(
        &mut self,
        now: Instant,
        bytes: Bytes,
        is_present: impl FnOnce(NodeId) -> bool,
    ) -> Merged {
        let Ok(line) = Line::read(bytes) else {
            return Merged::Refused;
        };
        let subject = line.subject();
        if subject == line.relayed().owner() {
            self.merge_own(now, subject, line)
        } else {
            self.merge_end(subject, line, is_present)
        }
    }

    fn merge_own(&mut self, now: Instant, node: NodeId, line: Line) -> Merged {
        let known = self.own_line(node);
        let has_room = match self.slots.get(&node) {
            Some(slot) => slot.pace.has_room(now),
            None => self.slots.len() < MAX_MEMBERS,
        };
        let is_known = known.is_some_and(|known| *known >= line);
        let is_shut = self.is_revoked(node) || self.is_withdrawn(line.chain());
        if is_known || !has_room || is_shut {
            return Merged::Known;
        }
        if !self.is_good(&line) {
            return Merged::Refused;
        }
        if node != self.own.me {
            self.put_own(node, line);
            self.change(node, |slot| slot.pace.take(now));
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
        let is_other = slot.latest() != Some((rank.run, rank.serial));
        if is_known || is_other || self.is_withdrawn(line.chain()) {
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

    /// Whether a line keeps to the rules and carries its author's proof.
    pub(in crate::cluster) fn is_good(&self, line: &Line) -> bool {
        let relayed = line.relayed();
        let (rank, owner) = (relayed.rank(), relayed.owner());
        let Ok(entry) = line.entry() else {
            return false;
        };
        let is_sound = entry.as_ref().is_none_or(|entry| is_sound(&entry.profile));
        let is_counted = (1..MAX_RUN).contains(&rank.run) && rank.serial < MAX_SERIAL;
        if !is_sound || !is_counted || self.is_withdrawn(line.chain()) {
            return false;
        }
        let (said, proof) = (relayed.said(), relayed.proof().unwrap_or_default());
        let signer = self.proofs.signer(line.chain(), Domain::Line, said, proof);
        let is_named = |name: &NodeName| {
            let own = entry.as_ref().filter(|_| line.subject() == owner);
            own.is_none_or(|entry| entry.profile.name == *name)
        };
        signer.is_some_and(|signer| {
            let is_heard = belief::is_heard((owner, signer.role), line.subject(), self.own.me);
            signer.id == owner && is_named(&signer.name) && is_heard
        })
    }

    /// Changes what is known of a node, and with it the hash.
    pub(super) fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Slot)) {
        let slot = self.slots.entry(node).or_default();
        let (before, away_before) = (slot.digest(), slot.away_digest());
        change(slot);
        slot.drop_outdated();
        let change = slot.digest().wrapping_sub(before);
        self.proved_hash = self.proved_hash.wrapping_add(change);
        let change = slot.away_digest().wrapping_sub(away_before);
        self.aways_hash = self.aways_hash.wrapping_add(change);
    }

    fn put_told(&mut self, node: NodeId, told: RosterEntry) {
        self.change(node, |slot| slot.told = Some(told));
    }

    pub(super) fn put_own(&mut self, node: NodeId, line: Line) {
        let before = self.roster.get(node).cloned();
        let run = line.relayed().rank().run;
        let told = self.run(node);
        let is_refuted = self.runs.prove(node, run, told);
        let role = self.proofs.role(line.chain());
        let accept_v1 = self.accept_v1;
        self.change(node, |slot| {
            // What was said without a proof is over when there is one, but where protocol 1 is
            // accepted: there a node may have been started with an older program since.
            slot.told
                .take_if(|told| !accept_v1 || is_refuted || told.run <= run);
            if let Ok(Some(entry)) = line.entry() {
                slot.entry = Some(entry);
            }
            (slot.own, slot.role) = (Some(line), role);
        });
        self.revocations.readmit(node);
        self.fresh.insert(node);
        self.refresh(node, before);
    }

    pub(super) fn put_end(&mut self, node: NodeId, end: Line) {
        let before = self.roster.get(node).cloned();
        self.change(node, |slot| slot.end = Some(end));
        self.fresh.insert(node);
        self.refresh(node, before);
    }

    /// What another node has said of a node counts no longer; true if that makes it another line.
    pub(super) fn drop_end(&mut self, node: NodeId) -> bool {
        let before = self.roster.get(node).cloned();
        self.change(node, |slot| slot.end = None);
        self.refresh(node, before)
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
