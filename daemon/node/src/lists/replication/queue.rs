//! The lists that wait for their repair with one peer. Over a thin link repairs take long: what people
//! work on comes first.

use crate::lists::event::Newness;
use names::ListId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Lists in the order in which they are repaired.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: BTreeSet<(Reverse<Newness>, ListId)>,
    of: BTreeMap<ListId, Newness>,
}

impl Queue {
    /// Puts a list in line, or to another place in it.
    pub(super) fn insert(&mut self, list: ListId, newness: Newness) {
        self.remove(list);
        self.order.insert((Reverse(newness), list));
        self.of.insert(list, newness);
    }

    pub(super) fn remove(&mut self, list: ListId) {
        if let Some(newness) = self.of.remove(&list) {
            self.order.remove(&(Reverse(newness), list));
        }
    }

    pub(super) fn contains(&self, list: ListId) -> bool {
        self.of.contains_key(&list)
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = ListId> + '_ {
        self.order.iter().map(|(_, list)| *list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_first_and_a_list_stands_in_line_once() {
        let list = |number: u8| ListId([number; 16]);
        let mut queue = Queue::default();
        queue.insert(list(1), Newness::OLD);
        queue.insert(list(2), Newness(7));
        queue.insert(list(3), Newness::UNKNOWN);
        queue.insert(list(1), Newness(8));
        let order: Vec<ListId> = queue.iter().collect();
        assert_eq!(order, [list(3), list(1), list(2)]);
        queue.remove(list(3));
        assert_eq!((queue.len(), queue.contains(list(3))), (2, false));
    }
}
