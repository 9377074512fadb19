//! The set of all that was told of a list, and what follows from it.

use super::{Basis, LeftOut, Ruling};
use names::{ChangeHash, ChangeId, NodeId};
use std::collections::BTreeMap;

/// The most numbers of one list that are settled by hashes; and as many by the words of each owner.
/// Those of the smallest actors and numbers stay, so that the set does not depend on what came first.
pub const MAX_LEFT_OUT: usize = 1_024;

/// What came of joining a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It was there, or something that goes before it.
    Known,
    /// The set is another one now.
    New,
    /// This node has said of two changes that they are its own, which no honest one does.
    Contradicts(NodeId),
}

/// All that was told of a list, of which what it is without is a function: the order in which that came
/// does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    by_owners: BTreeMap<ChangeId, LeftOut>,
    by_hashes: BTreeMap<ChangeId, LeftOut>,
}

impl Settled {
    /// Takes in what was told or found.
    pub fn join(&mut self, one: LeftOut) -> Joined {
        let ruling = one.ruling;
        let all = match ruling.basis {
            Basis::Owner(_) => &mut self.by_owners,
            Basis::Hashes => &mut self.by_hashes,
        };
        let before = all.get(&ruling.id).map(LeftOut::ruling);
        let mut joined = Joined::Known;
        if before.is_none_or(|before| ruling < before) {
            all.insert(ruling.id, one);
            joined = Joined::New;
        }
        match (before, ruling.basis) {
            (Some(before), Basis::Owner(owner)) if before.stays != ruling.stays => {
                Joined::Contradicts(owner)
            }
            (None, _) if is_overfull(all, ruling.basis) => drop_last(all, ruling),
            (Some(_) | None, Basis::Owner(_) | Basis::Hashes) => joined,
        }
    }

    /// What is settled of a number, if it is.
    pub fn get(&self, id: ChangeId) -> Option<Ruling> {
        let settled = self.by_owners.get(&id).or_else(|| self.by_hashes.get(&id));
        settled.map(LeftOut::ruling)
    }

    /// Whether that change is left out.
    pub fn is_against(&self, id: ChangeId, hash: ChangeHash) -> bool {
        let ruling = self.get(id);
        ruling.is_some_and(|ruling| ruling.is_against(id, hash))
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = &LeftOut> {
        self.by_owners.values().chain(self.by_hashes.values())
    }
}

impl FromIterator<LeftOut> for Settled {
    fn from_iter<I: IntoIterator<Item = LeftOut>>(all: I) -> Self {
        let mut settled = Self::default();
        for one in all {
            settled.join(one);
        }
        settled
    }
}

/// Whether there are more on that basis than there may be.
fn is_overfull(all: &BTreeMap<ChangeId, LeftOut>, basis: Basis) -> bool {
    let of_basis = all.values().filter(|one| one.ruling.basis == basis);
    all.len() > MAX_LEFT_OUT && of_basis.count() > MAX_LEFT_OUT
}

/// Drops the last one on the same basis.
fn drop_last(all: &mut BTreeMap<ChangeId, LeftOut>, added: Ruling) -> Joined {
    let mut rulings = all.values().rev().map(LeftOut::ruling);
    let last = rulings.find(|ruling| ruling.basis == added.basis);
    last.inspect(|last| drop(all.remove(&last.id)));
    if last.is_some_and(|last| last.id == added.id) {
        Joined::Known
    } else {
        Joined::New
    }
}
