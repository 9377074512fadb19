//! Removing all rows of a list that is to be taken from other members.

use super::Batch;
use crate::commit::Failure;
use crate::db::{Space, View};
use crate::keys;
use crate::read::{ReadError, name_of, vector_of};
use names::{ChangeId, ListId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Batch<'_> {
    /// Removes everything of a list. Rows that the disk does not give are removed where their keys are known;
    /// of the view, which is made anew when the list comes again, some may stay.
    pub(super) fn drop_list(&mut self, list: ListId) -> Result<(), Failure> {
        let view = View::of(Arc::clone(self.db));
        let name = name_of(&view, list)?;
        let places = match &name {
            Some(name) => or_none(self.places(list, name, false))?,
            None => BTreeSet::new(),
        };
        for (space, key) in places {
            self.remove(space, key);
        }
        for key in self.keys_of_changes(&view, list)? {
            self.remove(Space::Changes, key);
        }
        for space in [Space::Vectors, Space::LeftOut, Space::Aside, Space::Made] {
            for key in or_none(self.keys(space, &list.0).map_err(Failure::from))? {
                self.remove(space, key);
            }
        }
        for space in [Space::Lists, Space::Snapshots] {
            self.remove(space, list.0.to_vec());
        }
        if let Some(name) = name {
            self.remove(Space::Names, name.as_str().as_bytes().to_vec());
        }
        self.set_meta(&keys::quarantine(list), None);
        Ok(())
    }

    /// The keys of a list's changes: those that are there, and where the disk does not give them those that
    /// its vector names.
    fn keys_of_changes(&self, view: &View, list: ListId) -> Result<BTreeSet<Vec<u8>>, Failure> {
        match self.keys(Space::Changes, &list.0) {
            Err(ReadError::Damaged(_)) => {}
            read => return Ok(read?),
        }
        let vector = vector_of(view, list)?;
        let numbers = vector.iter().flat_map(|tip| {
            let actor = tip.id.actor;
            (1..=tip.id.seq).map(move |seq| keys::change(list, ChangeId { actor, seq }))
        });
        Ok(numbers.collect())
    }
}

/// What was read, or nothing where the disk does not give it.
fn or_none<T: Default>(read: Result<T, Failure>) -> Result<T, Failure> {
    match read {
        Err(Failure::Read(ReadError::Damaged(_))) => Ok(T::default()),
        read => read,
    }
}
