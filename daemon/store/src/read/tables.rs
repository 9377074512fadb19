//! Reading whole tables, to find blocks that are not what was written.

use super::{ReadError, Reader};
use crate::db::Space;
use crate::keys;
use names::{ListId, ListName};
use std::ops::Bound;

/// What is read of each list besides its changes, of which [`node::lists::examine`] reads all.
const OF_LISTS: [Space; 7] = [
    Space::Vectors,
    Space::Entries,
    Space::Ids,
    Space::Dues,
    Space::LeftOut,
    Space::Aside,
    Space::Made,
];
/// What is of no list, or of all.
const OF_ALL: [Space; 5] = [
    Space::Lists,
    Space::Names,
    Space::Agenda,
    Space::Processes,
    Space::Meta,
];

impl Reader {
    /// The names of all lists after one, in their order; also of lists whose rows are damaged.
    pub fn names(
        &self,
        after: Option<&ListName>,
    ) -> impl Iterator<Item = Result<ListName, ReadError>> + Send + use<> {
        let from = after.map_or(Bound::Unbounded, |name| {
            Bound::Excluded(name.as_str().as_bytes().to_vec())
        });
        super::walk(
            self.view(),
            move |view| view.scan(Space::Names, (from, Bound::Unbounded)),
            // A key that is none is not of any list.
            |_, name, _| Ok(keys::list_name(name)),
        )
    }

    /// Reads all rows of a list besides its changes, or all that are of no single list. Gives what of the tables
    /// is damaged, in words.
    ///
    /// # Errors
    /// The store cannot be read for another reason.
    pub fn damaged_tables(&self, list: Option<ListId>) -> Result<Vec<String>, ReadError> {
        let view = self.view()?;
        let (spaces, prefix): (&[Space], &[u8]) = match &list {
            Some(list) => (&OF_LISTS, &list.0),
            None => (&OF_ALL, &[]),
        };
        let mut damaged = Vec::new();
        for space in spaces {
            let mut rows = view.scan_prefix(*space, prefix);
            match rows.find_map(Result::err) {
                None => {}
                Some(ReadError::Damaged(reason)) => {
                    damaged.push(format!("the table {}: {reason}", space.name()));
                }
                Some(error) => return Err(error),
            }
        }
        Ok(damaged)
    }
}
