//! Members that are away on purpose, as others say it, and what of that is taken.
//!
//! Such a statement stands beside the subject's own line, as the one that it is forgotten does: of
//! several about one line the later one stays, and all are over with the subject's next line.

use super::{Merged, Replica};
use crate::belief::is_heard;
use crate::cluster::away::AwayView;
use crate::proof::Domain;
use crate::time::{Now, Wall};
use bytes::Bytes;
use crdt::roster::{Away, Notice};
use names::NodeId;
use std::collections::BTreeSet;

/// So far ahead of this node's clock may be when something was said: without a bound one lie would be
/// the latest that can be said, for ever.
const MAX_AHEAD_MS: u64 = 24 * 60 * 60 * 1_000;

/// A time as statements have it.
pub(in crate::cluster) fn ms(wall: Wall) -> u64 {
    u64::try_from(wall.0).unwrap_or_default()
}

impl Replica {
    /// Says of a member that it is away, or no longer is. `None` if the member has signed no line that
    /// this could be about.
    pub(in crate::cluster) fn draft_away(
        &self,
        node: NodeId,
        now: Wall,
        notice: &Notice,
    ) -> Option<Away> {
        let slot = self.slots.get(&node)?;
        let line = slot.own.as_ref()?;
        let known = slot.away.as_ref().map_or(0, Away::at_ms);
        let (at_ms, chain) = (ms(now).max(known.saturating_add(1)), self.proofs.chain());
        let sign = |said: &[u8]| self.proofs.sign(Domain::Away, said);
        let away = Away::write((self.own.me, &chain), line, at_ms, notice, sign);
        let away = away.inspect_err(|error| tracing::error!(%error, "a line of ours is too large"));
        away.ok()
    }

    /// Takes that a member is away or no longer is, whoever brings it. `is_present` says whether a node
    /// is connected and answers.
    pub(in crate::cluster) fn merge_away(
        &mut self,
        now: Now,
        bytes: Bytes,
        is_present: impl FnOnce(NodeId) -> bool,
    ) -> Merged {
        let Ok(away) = Away::read(bytes) else {
            return Merged::Refused;
        };
        let (node, sayer) = (away.subject(), away.relayed().owner());
        let is_current = self.own_line(node).is_some_and(|line| away.is_about(line));
        let known = self.slots.get(&node).and_then(|slot| slot.away.as_ref());
        let is_known = known.is_some_and(|known| known.relayed() >= away.relayed());
        let is_ahead = away.at_ms() > ms(now.wall).saturating_add(MAX_AHEAD_MS);
        let is_shut = self.is_revoked(sayer) || self.is_withdrawn(away.chain());
        let sayer_slot = self.slots.get(&sayer);
        let has_room = sayer_slot.is_none_or(|slot| slot.said.has_room(now.instant));
        if !is_current || is_known || is_ahead || is_shut || !has_room {
            return Merged::Known;
        }
        let Some(is_away) = self.reads_away(&away) else {
            return Merged::Refused;
        };
        if !self.slots.contains_key(&sayer) {
            // It comes again when its author's line is here.
            return Merged::Known;
        }
        self.change(sayer, |slot| slot.said.take(now.instant));
        if is_away && node == self.own.me {
            Merged::Forgotten
        } else if is_away && is_present(node) {
            Merged::AskSubject(node)
        } else {
            self.put_away(away);
            Merged::News(node)
        }
    }

    /// Whether it says that its subject is away; `None` if it breaks the rules or proves nothing. What a
    /// later version says is handed on, and is not understood.
    fn reads_away(&self, away: &Away) -> Option<bool> {
        let notice = away.notice().ok()?;
        let (relayed, subject) = (away.relayed(), away.subject());
        let (owner, proof) = (relayed.owner(), relayed.proof().unwrap_or_default());
        let signer = self
            .proofs
            .signer(away.chain(), Domain::Away, relayed.said(), proof)?;
        let may_say = signer.id == owner && subject != owner;
        let is_heard = is_heard((owner, signer.role), subject, self.own.me);
        let is_away = notice.is_some_and(|notice| notice.until_ms.is_some());
        (may_say && is_heard).then_some(is_away)
    }

    /// Takes it if it is later than what was said before.
    pub(in crate::cluster) fn put_away(&mut self, away: Away) {
        let node = away.subject();
        let known = self.slots.get(&node).and_then(|slot| slot.away.as_ref());
        if known.is_none_or(|known| known.relayed() < away.relayed()) {
            self.change(node, |slot| slot.away = Some(away));
            self.fresh_aways.insert(node);
        }
    }

    /// What nodes have said that are shut out counts no longer.
    pub(super) fn drop_aways_of_shut(&mut self) {
        let said = self.slots.iter();
        let said = said.filter_map(|(node, slot)| Some((*node, slot.away.as_ref()?)));
        let is_shut = |away: &Away| {
            self.is_revoked(away.relayed().owner()) || self.is_withdrawn(away.chain())
        };
        let over: Vec<NodeId> = said
            .filter(|(_, away)| is_shut(away))
            .map(|(node, _)| node)
            .collect();
        for node in over {
            self.change(node, |slot| slot.away = None);
        }
    }

    /// What was said last of a member that was declared away, and is not over for another reason than
    /// its time.
    pub(in crate::cluster) fn away(&self, node: NodeId) -> Option<AwayView> {
        let away = self.slots.get(&node)?.away.as_ref()?;
        let notice = away.notice().ok().flatten()?;
        Some(AwayView {
            until: notice.until_ms.map(|until| Wall(until.cast_signed())),
            why: notice.why,
            by: notice.by,
            at: Wall(away.at_ms().cast_signed()),
            sayer: away.relayed().owner(),
        })
    }

    /// The same while the member is away by it, if it does not answer.
    pub(in crate::cluster) fn away_by(&self, node: NodeId, now: Wall) -> Option<AwayView> {
        let away = self.away(node)?;
        away.until.is_some_and(|until| now < until).then_some(away)
    }

    /// Equal where the same was said last of all members.
    pub(in crate::cluster) fn aways_hash(&self) -> u64 {
        self.aways_hash
    }

    /// All but some, which are named by their subjects and digests, as others are told them.
    pub(in crate::cluster) fn aways_but(&self, unsent: &BTreeSet<(NodeId, u64)>) -> Vec<Bytes> {
        let aways = self.slots.values().filter_map(|slot| slot.away.as_ref());
        let is_unsent = |away: &Away| {
            !unsent.is_empty() && unsent.contains(&(away.subject(), away.relayed().digest()))
        };
        aways
            .filter(|away| !is_unsent(away))
            .map(|away| away.relayed().bytes().clone())
            .collect()
    }

    /// Whether that was said last of a node which has that digest.
    pub(in crate::cluster) fn has_away(&self, node: NodeId, digest: u64) -> bool {
        let away = self.slots.get(&node).and_then(|slot| slot.away.as_ref());
        away.is_some_and(|away| away.relayed().digest() == digest)
    }

    /// What others may not have been told yet since this was asked last.
    pub(in crate::cluster) fn take_fresh_aways(&mut self) -> Vec<Bytes> {
        let fresh = std::mem::take(&mut self.fresh_aways);
        let slots = fresh.iter().filter_map(|node| self.slots.get(node));
        let aways = slots.filter_map(|slot| slot.away.as_ref());
        aways.map(|away| away.relayed().bytes().clone()).collect()
    }
}
