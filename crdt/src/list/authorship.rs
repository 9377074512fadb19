//! Who made an operation and when: an index of the changes by their operations' numbers.
//!
//! Automerge finds the change of an operation too, but each question makes it collect the change's
//! metadata; 16 bytes a change are cheaper than that for every entry read.

use super::outline::OpName;
use names::Actor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// When and by whom a change was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Seconds since the epoch.
    pub(super) seconds: i64,
    /// Who has written it, as it says.
    pub(super) author: Arc<str>,
    /// Whether it undoes another change: what it writes was there before.
    pub(super) takes_back: bool,
}

/// Each actor's changes in order, with their authors kept once.
#[derive(Clone, Debug, Default)]
pub(super) struct Authorship {
    authors: Vec<Arc<str>>,
    numbers: BTreeMap<Arc<str>, u32>,
    changes: BTreeMap<Actor, Vec<Stamp>>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stamp {
    start_op: u32,
    /// The author's number, and above it [`TAKES_BACK`].
    author: u32,
    seconds: i64,
}

/// Marks a change that undoes another one.
const TAKES_BACK: u32 = 1 << 31;

impl Authorship {
    /// Takes in the next change of an actor.
    pub(super) fn insert(
        &mut self,
        actor: Actor,
        start_op: u64,
        seconds: i64,
        (author, takes_back): (&str, bool),
    ) {
        let stamp = Stamp {
            start_op: u32::try_from(start_op).unwrap_or(u32::MAX),
            author: self.number(author) | if takes_back { TAKES_BACK } else { 0 },
            seconds,
        };
        self.changes.entry(actor).or_default().push(stamp);
        self.count += 1;
    }

    fn number(&mut self, author: &str) -> u32 {
        if let Some(number) = self.numbers.get(author) {
            return *number;
        }
        let number = u32::try_from(self.authors.len()).unwrap_or(u32::MAX);
        let author: Arc<str> = author.into();
        self.authors.push(author.clone());
        self.numbers.insert(author, number);
        number
    }

    /// The origin of the change that an operation belongs to.
    pub(super) fn of(&self, op: OpName) -> Option<Origin> {
        let stamps = self.changes.get(&op.actor)?;
        let after = stamps.partition_point(|stamp| u64::from(stamp.start_op) <= op.counter);
        let stamp = stamps.get(after.checked_sub(1)?)?;
        let author = self
            .authors
            .get(usize::try_from(stamp.author & !TAKES_BACK).ok()?)?
            .clone();
        Some(Origin {
            seconds: stamp.seconds,
            author,
            takes_back: stamp.author & TAKES_BACK != 0,
        })
    }

    /// Whether one change has made both operations.
    pub(super) fn are_together(&self, one: OpName, other: OpName) -> bool {
        let change = |op: OpName| {
            let stamps = self.changes.get(&op.actor)?;
            Some(stamps.partition_point(|stamp| u64::from(stamp.start_op) <= op.counter))
        };
        one.actor == other.actor && change(one).is_some() && change(one) == change(other)
    }

    /// How many changes it knows.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_belongs_to_the_last_change_that_starts_at_or_before_it() {
        let mut authorship = Authorship::default();
        let actor = Actor([1; 16]);
        authorship.insert(actor, 2, 10, ("ann", false));
        authorship.insert(actor, 5, 20, ("bob", true));
        let of = |counter| {
            authorship
                .of(OpName { counter, actor })
                .map(|origin| (origin.seconds, origin.author.to_string(), origin.takes_back))
        };
        assert_eq!(of(1), None);
        let together = |one, other| {
            let op = |counter| OpName { counter, actor };
            authorship.are_together(op(one), op(other))
        };
        assert!(together(2, 4) && together(5, 9) && !together(4, 5));
        assert_eq!(of(4), Some((10, "ann".to_owned(), false)));
        assert_eq!(of(5), Some((20, "bob".to_owned(), true)));
        assert_eq!(
            authorship.of(OpName {
                counter: 3,
                actor: Actor([2; 16])
            }),
            None
        );
    }
}
