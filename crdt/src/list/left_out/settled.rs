//! The set of all that was told of a list, and what follows from it.

use super::{Basis, LeftOut, Ruling};
use names::{Actor, ChangeHash, ChangeId, NodeId};
use std::collections::BTreeMap;

/// The most numbers of one list that are settled by the words of each owner; as many of the actors of each
/// owner that are settled by hashes; and as many by hashes of all actors whose owner is not known.
/// Anybody can make two changes of any actor. So who makes very many fills the room of the node whose
/// actors he uses, and if he invents them only the last one: the others' forks are settled all the same.
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

/// Whether it is settled by hashes, and whose the actor is.
type Room = (bool, Option<NodeId>);

/// All that was told of a list, of which what it is without is a function: the order in which that came
/// does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    by_owners: BTreeMap<ChangeId, LeftOut>,
    by_hashes: BTreeMap<ChangeId, LeftOut>,
    /// Whose the actors are of which something is settled by hashes, as far as that is known.
    owners: BTreeMap<Actor, NodeId>,
}

impl Settled {
    /// All that was told, by somebody who may know whose an actor is.
    pub fn of(
        all: impl IntoIterator<Item = LeftOut>,
        owner: impl Fn(Actor) -> Option<NodeId>,
    ) -> Self {
        let mut settled = Self::default();
        for one in all {
            let owner = owner(one.ruling.id.actor);
            settled.join(one, owner);
        }
        settled
    }

    /// Takes in what was told or found, about an actor of that node, if it is known whose it is.
    pub fn join(&mut self, one: LeftOut, owner: Option<NodeId>) -> Joined {
        let ruling = one.ruling;
        if let (Some(owner), Basis::Hashes) = (owner, ruling.basis) {
            self.owners.insert(ruling.id.actor, owner);
        }
        let room = self.room(ruling);
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
            (None, _) => self.keep_room(room, ruling).unwrap_or(joined),
            (Some(_), Basis::Owner(_) | Basis::Hashes) => joined,
        }
    }

    /// In whose room something is: of the basis, and of the owner of its actor.
    fn room(&self, ruling: Ruling) -> Room {
        let owner = match ruling.basis {
            Basis::Owner(owner) => Some(owner),
            Basis::Hashes => self.owners.get(&ruling.id.actor).copied(),
        };
        (ruling.basis == Basis::Hashes, owner)
    }

    /// Drops the last one of a room that has more than it may; what came of the one that was added then.
    fn keep_room(&mut self, room: Room, added: Ruling) -> Option<Joined> {
        let all = self.of_basis(added.basis);
        if all.len() <= MAX_LEFT_OUT {
            return None;
        }
        let rulings = all.values().map(LeftOut::ruling);
        let of_room = rulings.filter(|ruling| self.room(*ruling) == room);
        let of_room: Vec<ChangeId> = of_room.map(|ruling| ruling.id).collect();
        let last = of_room.last().filter(|_| of_room.len() > MAX_LEFT_OUT)?;
        match added.basis {
            Basis::Owner(_) => self.by_owners.remove(last),
            Basis::Hashes => self.by_hashes.remove(last),
        };
        let is_added = *last == added.id;
        Some(if is_added { Joined::Known } else { Joined::New })
    }

    fn of_basis(&self, basis: Basis) -> &BTreeMap<ChangeId, LeftOut> {
        match basis {
            Basis::Owner(_) => &self.by_owners,
            Basis::Hashes => &self.by_hashes,
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
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &LeftOut> {
        self.by_owners.values().chain(self.by_hashes.values())
    }
}
