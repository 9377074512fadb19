//! What is known of one node, of all that was said.

use crdt::relayed::Relayed;
use crdt::roster::{Line, RosterEntry};
use names::Role;

/// All that is known of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// The latest line that the node itself has signed.
    pub(super) own: Option<Line>,
    /// What that line says, or the latest one that this program understands.
    pub(super) entry: Option<RosterEntry>,
    /// What the node is, by the certificate with which it has signed that line.
    pub(super) role: Role,
    /// What another node has signed about it: that it is forgotten.
    pub(super) end: Option<Line>,
    /// What was said of it without a proof: by members that speak protocol 1, or kept on the disk by a
    /// program that did.
    pub(super) told: Option<RosterEntry>,
}

impl Slot {
    /// What all of it comes to. `None` if nothing of it is understood.
    pub(super) fn outcome(&self) -> Option<RosterEntry> {
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
    pub(super) fn latest(&self) -> Option<(u64, u64)> {
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
    pub(super) fn drop_outdated_end(&mut self) {
        let latest = self.latest();
        self.end.take_if(|end| {
            let rank = end.relayed().rank();
            latest != Some((rank.run, rank.serial))
        });
    }

    pub(super) fn proved(&self) -> impl Iterator<Item = &Relayed> {
        self.own.iter().chain(&self.end).map(Line::relayed)
    }

    pub(super) fn digest(&self) -> u64 {
        let digests = self.proved().map(Relayed::digest);
        digests.fold(0, u64::wrapping_add)
    }
}
