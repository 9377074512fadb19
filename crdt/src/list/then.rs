//! Entries as a change found them, and as it left them for its writer.
//!
//! What the writer did not know of is in neither: a change is told by what it did, and not by what
//! others did meanwhile.

use super::document::Document;
use super::genesis;
use super::outline::{OpName, Outline};
use super::plain::Plain;
use super::read::{LIFE, Seen, Union};
use automerge::{Automerge, AutomergeError, Change, ChangeHash, ObjId, ObjType, ReadDoc, Value};
use names::{Actor, EntryId};
use std::collections::BTreeSet;

/// A change of a document, and what it wrote to.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) hash: ChangeHash,
    deps: Vec<ChangeHash>,
    actor: Actor,
    /// The numbers of its operations.
    start_op: u64,
    max_op: u64,
    /// The entries that it wrote to.
    pub(super) entries: BTreeSet<EntryId>,
}

/// An entry before a change and after it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) before: Option<Union>,
    pub(super) after: Option<Union>,
}

impl Document {
    /// A change as it is told; `None` if it is not here, or is none of a list.
    pub(super) fn past(&self, hash: ChangeHash) -> Option<Past> {
        self.past_of(&self.whole().get_change_by_hash(&hash)?)
    }

    /// The same of a change at hand.
    pub(super) fn past_of(&self, change: &Change) -> Option<Past> {
        let actor = Actor(change.actor_id().to_bytes().try_into().ok()?);
        let outline = Outline::of(&change.decode(), actor).ok()?;
        let texts = outline.texts.iter().copied();
        let written = outline.writes.iter().map(|(object, _)| *object);
        // A text that was edited in place is in the map of an entry.
        let maps = written.chain(texts.map(|(_, map)| map));
        let owned =
            maps.filter_map(|object| self.index.owner(object).or_else(|| self.holder(object)));
        let made = outline.maps.iter().map(|(_, id)| *id);
        Some(Past {
            hash: change.hash(),
            deps: change.deps().to_vec(),
            actor,
            start_op: change.start_op().get(),
            max_op: change.max_op(),
            entries: owned.chain(made).collect(),
        })
    }

    /// The entry in which a text is.
    fn holder(&self, text: OpName) -> Option<EntryId> {
        let object = ObjId::Id(text.counter, automerge::ActorId::from(text.actor.0), 0);
        let parent = self.whole().parents(&object).ok()?.next()?;
        self.index.owner(OpName::of(&parent.obj)?)
    }

    /// Whether an entry was in the list before that change and not after it: as much as it takes to
    /// know that many were deleted.
    pub(super) fn deleted(&self, past: &Past, id: EntryId) -> Result<bool, AutomergeError> {
        let is_life = |key: &str| key == LIFE;
        let alive = |heads: &[ChangeHash]| {
            let union = Union::read_at(&self.whole(), id, heads, is_life)?;
            Ok::<_, AutomergeError>(union.is_some_and(|union| union.is_alive()))
        };
        Ok(alive(&past.deps)? && !alive(&[past.hash])?)
    }

    /// How an entry was before that change and after it.
    pub(super) fn step(&self, past: &Past, id: EntryId) -> Result<Step, AutomergeError> {
        Ok(Step {
            before: Union::read_at(&self.whole(), id, &past.deps, |_| true)?,
            after: Union::read_at(&self.whole(), id, &[past.hash], |_| true)?,
        })
    }
}

impl Past {
    /// Whether an operation is one of this change.
    pub(super) fn wrote(&self, op: OpName) -> bool {
        op.actor == self.actor && (self.start_op..=self.max_op).contains(&op.counter)
    }
}

impl Union {
    /// Reads the wanted keys of an entry as it was when these were the heads; `None` if there was none.
    fn read_at(
        doc: &Automerge,
        id: EntryId,
        heads: &[ChangeHash],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, AutomergeError> {
        let all = doc.get_all_at(genesis::entries(), id.to_string(), heads)?;
        let maps = all
            .into_iter()
            .filter(|(value, _)| *value == Value::Object(ObjType::Map))
            .map(|(_, map)| map)
            .collect();
        let mut union = Self::of_maps(maps);
        for (number, map) in union.maps.clone().iter().enumerate() {
            let keys = doc.keys_at(map, heads).filter(|key| wanted(key));
            let keys: Vec<String> = keys.collect();
            for key in keys {
                let values = doc.get_all_at(map, key.as_str(), heads)?;
                let seen = values.iter().filter_map(|(value, op)| {
                    let plain = match value {
                        Value::Object(ObjType::Text) => {
                            doc.text_at(op, heads).map_or(Plain::Other, Plain::Text)
                        }
                        Value::Object(_) | Value::Scalar(_) => Plain::of(doc, value, op),
                    };
                    Seen::new(number, op, plain)
                });
                let seen: Vec<Seen> = seen.collect();
                union.extend(key, seen);
            }
        }
        Ok(Some(union).filter(|union| !union.maps.is_empty()))
    }
}
