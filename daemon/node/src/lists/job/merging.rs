//! Reading the changes of several actors in an order in which each follows those that it depends on.

use super::{Source, SourceError};
use bytes::Bytes;
use crdt::list;
use crdt::vector::{Range, VersionVector};
use names::ListId;
use std::collections::{BTreeSet, VecDeque};

/// How many changes of an actor are read at once while several actors' changes are merged: a change
/// may have 4 MiB.
const READ_AHEAD: u64 = 16;
/// The same of all actors together, where there are not more of these.
const READ_AHEAD_OF_ALL: u64 = 4_096;

/// Gives all changes of a list that a source has, one by one, each behind those that it depends on; but one that
/// writes nothing may come behind one that depends on it. Those that are none come last. Ends early when `each` says false.
///
/// # Errors
/// The store cannot be read.
pub fn each_change(
    list: ListId,
    source: &dyn Source,
    each: &mut dyn FnMut(Bytes) -> bool,
) -> Result<(), SourceError> {
    let all = source.vector(list)?;
    let ranges = all.missing_in(&VersionVector::default());
    let mut merge = Merge::begin(list, &ranges, source)?;
    while let Some(change) = merge.next(source)? {
        if !each(change) {
            return Ok(());
        }
    }
    Ok(())
}

/// The changes in those ranges, about `most_bytes` of them and at least one, each behind those of them that it
/// depends on. The flag: whether these are all.
pub(super) fn merged(
    list: ListId,
    ranges: &[Range],
    most_bytes: usize,
    source: &dyn Source,
) -> Result<(Vec<Bytes>, bool), SourceError> {
    let mut merge = Merge::begin(list, ranges, source)?;
    let (mut changes, mut bytes) = (Vec::new(), 0usize);
    while let Some(change) = merge.next(source)? {
        if !changes.is_empty() && bytes.saturating_add(change.len()) > most_bytes {
            return Ok((in_order(changes), false));
        }
        bytes = bytes.saturating_add(change.len());
        changes.push(change);
    }
    Ok((in_order(changes), true))
}

fn in_order(changes: Vec<Bytes>) -> Vec<Bytes> {
    list::in_order(changes, |bytes| bytes)
}

/// The changes of several actors, merged by their first operation's number. A change's number is above those of
/// all changes that it depends on, but for one that writes nothing: that one may come behind a change with
/// the same number that depends on it, and who takes them keeps that one until then.
struct Merge {
    list: ListId,
    cursors: Vec<Cursor>,
    /// The first operation of the next change of each actor, and which actor's it is.
    order: BTreeSet<(u64, usize)>,
}

impl Merge {
    fn begin(list: ListId, ranges: &[Range], source: &dyn Source) -> Result<Self, SourceError> {
        let actors = u64::try_from(ranges.len().max(1)).unwrap_or(u64::MAX);
        let ahead = (READ_AHEAD_OF_ALL / actors).clamp(1, READ_AHEAD);
        let mut cursors: Vec<Cursor> = ranges
            .iter()
            .map(|range| Cursor {
                left: *range,
                ahead,
                read: VecDeque::new(),
            })
            .collect();
        let mut order = BTreeSet::new();
        for (index, cursor) in cursors.iter_mut().enumerate() {
            order.extend(cursor.peek(list, source)?.map(|start| (start, index)));
        }
        Ok(Self {
            list,
            cursors,
            order,
        })
    }

    fn next(&mut self, source: &dyn Source) -> Result<Option<Bytes>, SourceError> {
        let Some((_, index)) = self.order.pop_first() else {
            return Ok(None);
        };
        let Some(cursor) = self.cursors.get_mut(index) else {
            return Ok(None);
        };
        let change = cursor.read.pop_front();
        let next = cursor.peek(self.list, source)?;
        self.order.extend(next.map(|start| (start, index)));
        Ok(change)
    }
}

/// One actor's changes, read a few at a time.
struct Cursor {
    left: Range,
    /// How many are read at once.
    ahead: u64,
    read: VecDeque<Bytes>,
}

impl Cursor {
    /// The next change's first operation; one that cannot be parsed sorts last and is left to its
    /// receiver to refuse.
    fn peek(&mut self, list: ListId, source: &dyn Source) -> Result<Option<u64>, SourceError> {
        if self.read.is_empty() && self.left.from <= self.left.to {
            let to = self
                .left
                .to
                .min(self.left.from.saturating_add(self.ahead - 1));
            self.read = source.changes(list, Range { to, ..self.left })?.into();
            self.left.from = to.saturating_add(1);
        }
        Ok(self
            .read
            .front()
            .map(|bytes| list::start_op(bytes).unwrap_or(u64::MAX)))
    }
}
