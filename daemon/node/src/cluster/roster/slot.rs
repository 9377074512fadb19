//! What is known of one node, of all that was said.

use crate::time::Instant;
use crdt::relayed::Relayed;
use crdt::roster::{Away, Line, RosterEntry};
use names::Role;
use std::time::Duration;

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
    /// What another node has signed about it last: that it is away, or no longer is.
    pub(super) away: Option<Away>,
    /// What was said of it without a proof: by members that speak protocol 1, or kept on the disk by a
    /// program that did.
    pub(super) told: Option<RosterEntry>,
    /// How often the node has changed its line.
    pub(super) pace: Pace,
    /// How often it has said that others are away, or no longer are.
    pub(super) said: Pace,
}

/// How many of a node's lines, and as many of what it says of members that are away, are taken at once, each of which costs all nodes a signature to check, a
/// write and a few messages; after that one a [`LINE_EVERY`]. What is passed over comes again while the
/// hashes of two rosters differ, and by then is the latest one.
const LINES_AT_ONCE: u32 = 10;
const LINE_EVERY: Duration = Duration::from_secs(1);

/// How many more lines of a node may be taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// How many were taken of those that may be taken at once.
    taken: u32,
    /// Since when that is so.
    since: Option<Instant>,
}

impl Pace {
    /// How it is by now.
    fn by(mut self, now: Instant) -> Self {
        let since = self.since.unwrap_or(now);
        let gone = now.since(since);
        let regained = gone.as_nanos() / LINE_EVERY.as_nanos();
        let regained = u32::try_from(regained).unwrap_or(u32::MAX).min(self.taken);
        self.taken -= regained;
        self.since = match self.taken {
            0 => None,
            _ => Some(since + LINE_EVERY * regained),
        };
        self
    }

    pub(super) fn has_room(self, now: Instant) -> bool {
        self.by(now).taken < LINES_AT_ONCE
    }

    pub(super) fn take(&mut self, now: Instant) {
        *self = self.by(now);
        self.taken += 1;
        self.since.get_or_insert(now);
    }
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
    pub(super) fn drop_outdated(&mut self) {
        let own = self.own.as_ref();
        self.away
            .take_if(|away| !own.is_some_and(|own| away.is_about(own)));
        let latest = self.latest();
        self.end.take_if(|end| {
            let rank = end.relayed().rank();
            latest != Some((rank.run, rank.serial))
        });
    }

    pub(super) fn proved(&self) -> impl Iterator<Item = &Relayed> {
        self.own.iter().chain(&self.end).map(Line::relayed)
    }

    pub(super) fn away_digest(&self) -> u64 {
        let away = self.away.as_ref();
        away.map_or(0, |away| away.relayed().digest())
    }

    pub(super) fn digest(&self) -> u64 {
        let digests = self.proved().map(Relayed::digest);
        digests.fold(0, u64::wrapping_add)
    }
}
