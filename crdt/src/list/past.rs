//! The past of a change: what it depends on. It may refer to what was there for its writer, and to
//! what it makes itself.
//!
//! One that refers to other operations would be whole on a replica that has them, and would not be on
//! one that they reach later. So the state that the change depends on is asked, not the present one.

use super::deferred::Known;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId};
use automerge::{Automerge, Change, Cursor, ExpandedChange, ObjId, ReadDoc};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Whether all that a change refers to was there in what it depends on. The document has both.
pub(super) fn founds(doc: &Automerge, change: &Change) -> bool {
    let change = change.decode();
    let mut past = Past {
        doc,
        change: &change,
        objects: BTreeSet::new(),
    };
    change.operations.iter().all(|op| past.founds(op))
}

/// Whether what a change depends on has that one among it. Each actor's changes follow each other: one
/// that does not depend on its actor's change before it applies, and never loads again. `known` says
/// what is known of changes, of which so many are looked at.
pub(super) fn leads_to(
    deps: &[names::ChangeHash],
    past: names::ChangeHash,
    most: usize,
    known: impl Fn(&names::ChangeHash) -> Option<Known>,
) -> bool {
    let Some(lowest) = known(&past).map(|found| found.start_op) else {
        return false;
    };
    let (mut next, mut seen) = (deps.to_vec(), BTreeSet::new());
    while let Some(hash) = next.pop() {
        if hash == past {
            return true;
        }
        if seen.len() >= most {
            return false;
        }
        // Whatever depends on a change is numbered above it.
        if seen.insert(hash)
            && let Some(found) = known(&hash)
            && found.start_op >= lowest
        {
            next.extend(found.deps);
        }
    }
    false
}

/// A change and all that it depends on, in order, without the first change of every list; `None` if
/// the document does not have it.
pub(super) fn history(doc: &Automerge, change: names::ChangeHash) -> Option<Vec<Bytes>> {
    let changes = doc.get_changes(&[]);
    let mut wanted = BTreeSet::from([change.0]);
    let mut found = Vec::new();
    for change in changes
        .iter()
        .rev()
        .filter(|change| !change.deps().is_empty())
    {
        if wanted.remove(&change.hash().0) {
            wanted.extend(change.deps().iter().map(|hash| hash.0));
            found.push(Bytes::copy_from_slice(change.raw_bytes()));
        }
    }
    found.reverse();
    (!found.is_empty()).then_some(found)
}

struct Past<'a> {
    doc: &'a Automerge,
    change: &'a ExpandedChange,
    /// The objects that were there.
    objects: BTreeSet<&'a OpId>,
}

impl<'a> Past<'a> {
    fn founds(&mut self, op: &'a Op) -> bool {
        let ObjectId::Id(object) = &op.obj else {
            return false;
        };
        if self.is_own(object) {
            return op.pred.iter().all(|pred| self.is_own(pred));
        }
        let id = ObjId::Id(object.counter(), object.actor().clone(), 0);
        let is_founded = match &op.key {
            Key::Map(key) => self.had_values(&id, key, op),
            Key::Seq(element) => self.had_elements(&id, element, op),
        };
        is_founded && self.had(object, &id)
    }

    fn is_own(&self, op: &OpId) -> bool {
        *op.actor() == self.change.actor_id && op.counter() >= self.change.start_op.get()
    }

    /// Whether an object was visible. Entries are for ever; a text may have been overwritten, and
    /// who knew that does not write into it.
    fn had(&mut self, object: &'a OpId, id: &ObjId) -> bool {
        if self.objects.contains(object) {
            return true;
        }
        let Ok(Some(parent)) = self.doc.parents(id).map(|mut parents| parents.next()) else {
            return false;
        };
        // The map of all entries is in the root, and in the first change of every list.
        let was_there = parent.obj == ObjId::Root
            || self
                .doc
                .get_all_at(&parent.obj, parent.prop, &self.change.deps)
                .is_ok_and(|values| values.iter().any(|(_, value)| is_named(value, object)));
        if was_there {
            self.objects.insert(object);
        }
        was_there
    }

    /// Whether the values that an operation overwrites were visible.
    fn had_values(&self, map: &ObjId, key: &str, op: &Op) -> bool {
        op.pred.is_empty()
            || self
                .doc
                .get_all_at(map, key, &self.change.deps)
                .is_ok_and(|values| {
                    op.pred
                        .iter()
                        .all(|pred| values.iter().any(|(_, value)| is_named(value, pred)))
                })
    }

    /// Whether the elements of a text that an operation names were there, visible or not.
    fn had_elements(&self, text: &ObjId, element: &ElementId, op: &Op) -> bool {
        let mut others = element
            .as_opid()
            .into_iter()
            .chain(op.pred.iter())
            .filter(|element| !self.is_own(element));
        others.all(|element| {
            Cursor::try_from(format!("{}@{}", element.counter(), element.actor())).is_ok_and(
                |cursor| {
                    self.doc
                        .get_cursor_position(text, &cursor, Some(&self.change.deps))
                        .is_ok()
                },
            )
        })
    }
}

fn is_named(value: &ObjId, op: &OpId) -> bool {
    matches!(value, ObjId::Id(counter, actor, _) if *counter == op.counter() && actor == op.actor())
}
