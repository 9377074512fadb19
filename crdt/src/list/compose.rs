//! Additions, made as a change is read from elsewhere: written down whole, and then applied.
//!
//! New entries overwrite nothing, so that what they become is known without asking the document, and
//! mostly Automerge's document gets them later (`deferred`). Where it gets them at once, one of two ways
//! costs less: a transaction of Automerge moves every operation into the document's columns by
//! itself; applying a change moves all of its operations at once, but looks at every entry that there
//! is. The bytes are those that a transaction would make.

use super::deferred::Late;
use super::document::{Document, RawChange, Touched};
use super::edit::{EditRefusal, Planned, Stamp};
use super::outline::Outline;
use super::write::{Room, Stop, fields};
use super::{MAX_CHANGE_BYTES, genesis, judge};
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType};
use bytes::Bytes;
use names::{ChangeHash, ChangeId};
use std::num::NonZeroU64;

/// So many entries are looked at in the time that a transaction takes more for one new entry,
/// measured.
const ENTRIES_PER_ADDITION: usize = 1_000;

impl Document {
    /// Whether composing so many additions costs less than a transaction.
    pub(super) fn composes(&self, additions: usize) -> bool {
        self.index.len() <= additions.saturating_mul(ENTRIES_PER_ADDITION)
    }

    /// Adds entries that are unknown here, all in one change; none if there are none.
    pub(super) fn add_composed(
        &mut self,
        planned: &[Planned<'_>],
        stamp: Stamp<'_>,
    ) -> Result<(Option<RawChange>, Vec<Touched>), EditRefusal> {
        if planned.is_empty() {
            return Ok((None, Vec::new()));
        }
        let expanded = self.compose(planned, stamp)?;
        let broken = || {
            EditRefusal::Broken(
                "the change that was made is not one that peers \
            accept"
                    .to_owned(),
            )
        };
        let outline = Outline::of(&expanded, self.actor).map_err(|_| broken())?;
        let (seq, change) = (expanded.seq, Change::from(expanded));
        let made = RawChange {
            id: ChangeId {
                actor: self.actor,
                seq,
            },
            hash: ChangeHash(change.hash().0),
            bytes: Bytes::copy_from_slice(change.raw_bytes()),
        };
        if made.bytes.len() > MAX_CHANGE_BYTES {
            return Err(broken());
        }
        debug_assert!(judge(made.bytes.clone()).is_ok());
        let (start_op, max_op) = (change.start_op().get(), change.max_op());
        if self.may_defer(1, made.bytes.len()) {
            let entries = outline.maps.iter().map(|(_, id)| *id);
            let deps = change.deps().iter().map(|dep| ChangeHash(dep.0));
            let late = Late {
                hash: made.hash,
                deps: deps.collect(),
                start_op,
                max_op,
                bytes: made.bytes.clone(),
            };
            self.defer(late, entries);
        } else {
            self.catch_up()?;
            self.doc.apply_changes([change])?;
        }
        outline
            .maps
            .iter()
            .for_each(|(map, id)| self.index.add_map(*map, *id));
        let made_id = (made.id, made.hash);
        let size = made.bytes.len();
        self.record(
            made_id,
            start_op,
            max_op,
            stamp.seconds(),
            &stamp.message(),
            size,
        );
        let touched = outline
            .additions()
            .map(|(id, union)| self.take_in(id, &union))
            .collect();
        Ok((Some(made), touched))
    }

    fn compose(
        &self,
        planned: &[Planned<'_>],
        stamp: Stamp<'_>,
    ) -> Result<ExpandedChange, EditRefusal> {
        let start_op = NonZeroU64::MIN.saturating_add(self.max_op);
        let actor_id = ActorId::from(self.actor.0);
        let heads = self.heads().into_iter();
        let deps = heads.map(|hash| automerge::ChangeHash(hash.0));
        let mut composer = Composer {
            actor: &actor_id,
            next_op: start_op.get(),
            operations: Vec::new(),
            room: self.room(stamp)?,
        };
        planned
            .iter()
            .try_for_each(|plan| composer.add(plan, stamp))?;
        Ok(ExpandedChange {
            operations: composer.operations,
            hash: None,
            seq: self.vector.seq(self.actor) + 1,
            start_op,
            time: stamp.seconds(),
            message: Some(stamp.message()),
            deps: deps.collect(),
            extra_bytes: Vec::new(),
            author: None,
            actor_id,
        })
    }
}

/// Writes operations down.
struct Composer<'a> {
    actor: &'a ActorId,
    next_op: u64,
    operations: Vec<Op>,
    room: Room,
}

impl Composer<'_> {
    fn add(&mut self, plan: &Planned<'_>, stamp: Stamp<'_>) -> Result<(), Stop> {
        let key = plan.id.to_string();
        self.room.take_object(&key)?;
        let entries = OpId::new(
            genesis::ENTRIES.counter,
            &ActorId::from(genesis::ENTRIES.actor.0),
        );
        let map = self.push(entries, &key, OpType::Make(ObjType::Map));
        for (key, value) in fields(plan.new, &plan.order, stamp.at_ms) {
            self.room.take_value(&key, &value)?;
            self.push(map.clone(), &key, OpType::Put(value));
        }
        Ok(())
    }

    fn push(&mut self, object: OpId, key: &str, action: OpType) -> OpId {
        let name = OpId::new(self.next_op, self.actor);
        self.next_op += 1;
        let (obj, key) = (ObjectId::Id(object), Key::Map(key.into()));
        self.operations.push(Op {
            action,
            obj,
            key,
            pred: SortedVec::new(),
            insert: false,
        });
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Author, Due, NewEntry, Priority};
    use crate::list::Act;
    use names::{Actor, EntryId, ListName};
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<NewEntry>> {
        let due = prop_oneof![
            any::<i64>().prop_map(Due::Instant),
            Just(Due::Date("2026-02-03".parse().unwrap()))
        ];
        let priority = prop_oneof![Just(Priority::High), Just(Priority::Low)];
        let texts = (
            any::<String>(),
            any::<String>(),
            proptest::option::of(any::<String>()),
        );
        let rest = (
            proptest::option::of(due),
            any::<bool>(),
            proptest::option::of(priority),
            prop::collection::vec("[a-c]", 0..4),
            proptest::option::of(1..=525_600_i64),
            proptest::option::of(any::<i32>().prop_map(|ms| Due::Instant(ms.into()))),
            proptest::option::of("[A-Z=;]{0,9}"),
        );
        let entry = (texts, rest).prop_map(
            |((title, notes, assignee), (due, done, priority, tags, estimate, wait, every))| {
                NewEntry {
                    id: None,
                    place: None,
                    title,
                    due,
                    done,
                    done_at: estimate,
                    created_at: estimate,
                    priority,
                    tags,
                    notes,
                    assignee,
                    estimate,
                    wait,
                    every,
                    series: None,
                    planned: wait,
                }
            },
        );
        prop::collection::vec(entry, 1..5)
    }

    proptest! {
        #[test]
        fn a_transaction_would_have_made_the_same_change(edits in prop::collection::vec((entries(), any::<i32>()), 1..6)) {
            let new = || Document::new(ListName::new("groceries").unwrap(), Actor([7; 16]));
            let (mut composed, mut drafted) = (new(), new());
            let by = Author("kim@node1".to_owned());
            for (number, (entries, at_ms)) in edits.iter().enumerate() {
                let stamp = Stamp { by: &by, at_ms: i64::from(*at_ms), act: Act::Edit };
                let id = |n: usize| EntryId((100 - number as u128) << 8 | n as u128);
                let planned: Vec<_> = entries.iter().enumerate().map(|(n, new)| Planned { id: id(n), order: format!("a{n}"), new }).collect();
                let (change, touched) = composed.add_composed(&planned, stamp).unwrap();
                prop_assert_eq!(drafted.add_drafted(&planned, stamp).unwrap(), (change, touched));
            }
            prop_assert_eq!(composed.save(), drafted.save());
            prop_assert_eq!(&composed.index, &drafted.index);
            prop_assert_eq!(composed.sums(), drafted.sums());
        }
    }
}
