//! What a change does to the shape of the document: which objects it makes and which it touches.
//!
//! A list's document has one shape; a change that would give it another is refused. Objects are
//! only made in `entries` (maps, at a ULID) and in those maps (texts, which the JavaScript library
//! writes for strings). Maps take scalars, texts take strings.
//!
//! A change writes a key of a map at most once, and inserts in texts only. Automerge's own libraries
//! write nothing else, and many values of one key, one of them inserted, make a document that
//! applies and saves, and never loads again.

use super::genesis;
use super::plain::Plain;
use super::read::{Union, named};
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{ExpandedChange, ObjId, ObjType, ScalarValue};
use names::{Actor, EntryId};
use std::borrow::Cow;

/// The longest key of an entry's map, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 1024;

/// Names an operation, and the object that it made. Ordered as Automerge orders concurrent values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpName {
    /// Automerge's Lamport clock.
    pub(super) counter: u64,
    /// Who made it.
    pub(super) actor: Actor,
}

impl OpName {
    /// The name of an object's operation; `None` for the root and for actors that cannot be
    /// Muster's.
    pub(super) fn of(object: &ObjId) -> Option<Self> {
        match object {
            ObjId::Root => None,
            ObjId::Id(counter, actor, _) => Some(Self {
                counter: *counter,
                actor: Actor(actor.to_bytes().try_into().ok()?),
            }),
        }
    }

    /// The name of an operation that a change refers to.
    pub(super) fn of_legacy(op: &OpId) -> Option<Self> {
        Some(Self {
            counter: op.counter(),
            actor: Actor(op.actor().to_bytes().try_into().ok()?),
        })
    }
}

/// What kind of object an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An entry's map.
    Map,
    /// A text in such a map.
    Text,
}

/// A value that a change writes into a map of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) map: OpName,
    pub(super) op: OpName,
    pub(super) key: Cow<'static, str>,
    pub(super) value: Plain,
}

/// What a change makes and touches, in the order of its operations.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outline {
    /// Maps made in `entries`.
    pub(super) maps: Vec<(OpName, EntryId)>,
    /// Texts made, and the map that each is in.
    pub(super) texts: Vec<(OpName, OpName)>,
    /// The objects written to, each as the kind that it has to be.
    pub(super) writes: Vec<(OpName, Kind)>,
    /// The other actors that it names.
    pub(super) actors: Vec<Actor>,
    /// The values of the maps that it makes, each map's after it was made, if it makes and fills
    /// these and does nothing else. Such a change overwrites nothing and refers to nothing that
    /// could be missing.
    additions: Option<Vec<Written>>,
}

impl Outline {
    /// Takes a change's operations one by one; says what is wrong with the first that does not fit.
    pub(super) fn of(change: &ExpandedChange, actor: Actor) -> Result<Self, &'static str> {
        let is_plain = change.extra_bytes.is_empty() && change.author.is_none();
        let mut outline = Self {
            maps: Vec::new(),
            texts: Vec::new(),
            writes: Vec::new(),
            actors: Vec::new(),
            additions: is_plain.then(Vec::new),
        };
        let mut keys = Vec::new();
        for (counter, op) in (change.start_op.get()..).zip(&change.operations) {
            outline.add(OpName { counter, actor }, op)?;
            match (&op.obj, &op.key) {
                (_, Key::Map(_)) if op.insert => return Err("inserts where it has to put"),
                (ObjectId::Id(object), Key::Map(key)) => keys.push((object, key.as_str())),
                (_, Key::Seq(_)) | (ObjectId::Root, Key::Map(_)) => {}
            }
        }
        if has_twice(&mut keys) {
            return Err("writes a key twice");
        }
        Ok(outline)
    }

    /// That of a change that makes these maps, puts these values into them, and does nothing else. All
    /// in the order of its operations.
    pub(super) fn of_additions(maps: Vec<(OpName, EntryId)>, values: Vec<Written>) -> Self {
        let mut writes: Vec<_> = values.iter().map(|value| (value.map, Kind::Map)).collect();
        writes.dedup();
        Self {
            maps,
            texts: Vec::new(),
            writes,
            actors: vec![genesis::ACTOR],
            additions: Some(values),
        }
    }

    fn add(&mut self, name: OpName, op: &Op) -> Result<(), &'static str> {
        let ObjectId::Id(object) = &op.obj else {
            return Err("writes to the document's root");
        };
        let object = OpName::of_legacy(object).ok_or("names an actor that is not of 16 bytes")?;
        if object == genesis::ENTRIES {
            self.maps.push((name, new_entry(op)?));
            return Ok(());
        }
        self.note_addition(name, object, op);
        let kind = match &op.key {
            Key::Map(key) if key.len() > MAX_KEY_BYTES => return Err("has a key that is too long"),
            Key::Map(_) => Kind::Map,
            Key::Seq(_) => Kind::Text,
        };
        match (kind, &op.action) {
            (Kind::Map, OpType::Make(ObjType::Text)) => self.texts.push((name, object)),
            (Kind::Map, OpType::Put(value)) if is_plain(value) => {}
            (Kind::Text, OpType::Put(ScalarValue::Str(_))) if op.insert => {}
            (_, OpType::Delete) if !op.insert => {}
            _ => return Err("has an operation that a list does not have"),
        }
        if self.writes.last() != Some(&(object, kind)) {
            self.writes.push((object, kind));
        }
        Ok(())
    }

    fn note_addition(&mut self, name: OpName, object: OpName, op: &Op) {
        let Some(written) = &mut self.additions else {
            return;
        };
        match (&op.key, &op.action, self.maps.last()) {
            (Key::Map(key), OpType::Put(value), Some((map, _)))
                if *map == object && op.pred.is_empty() && !op.insert =>
            {
                written.push(Written {
                    map: object,
                    op: name,
                    key: named(key),
                    value: Plain::of_scalar(value),
                });
            }
            _ => self.additions = None,
        }
    }

    /// Whether it adds entries and does nothing else.
    pub(super) fn only_adds(&self) -> bool {
        self.additions.is_some()
    }

    /// What it adds, each map with its values; nothing if it does anything else.
    pub(super) fn additions(&self) -> impl Iterator<Item = (EntryId, Union)> + '_ {
        let mut rest = self.additions.as_deref().unwrap_or_default();
        let maps = self.maps.iter().filter(|_| self.only_adds());
        maps.map(move |(map, id)| {
            let (values, others) =
                rest.split_at(rest.partition_point(|written| written.map == *map));
            rest = others;
            (*id, Union::of_addition(*map, values))
        })
    }
}

/// Whether a key of an object is there more than once. Whoever adds entries writes one object after
/// the other, so that the objects need no sorting.
fn has_twice(keys: &mut [(&OpId, &str)]) -> bool {
    if keys.is_sorted_by_key(|(object, _)| *object) {
        keys.chunk_by_mut(|(a, _), (b, _)| a == b)
            .for_each(<[_]>::sort_unstable);
    } else {
        keys.sort_unstable();
    }
    keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}

fn new_entry(op: &Op) -> Result<EntryId, &'static str> {
    let (Key::Map(key), OpType::Make(ObjType::Map)) = (&op.key, &op.action) else {
        return Err("puts something else than maps among the entries");
    };
    if !op.pred.is_empty() {
        // What others write into the map that was there would be hidden for good.
        return Err("puts an entry in another's place");
    }
    entry_id(key).ok_or("has an entry whose key is not a ULID")
}

/// The id that a key of `entries` stands for; there is one way only to write it.
pub(super) fn entry_id(key: &str) -> Option<EntryId> {
    key.parse()
        .ok()
        .filter(|id: &EntryId| id.to_string() == key)
}

fn is_plain(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Counter(_) | ScalarValue::Unknown { .. } => false,
        ScalarValue::Bytes(_)
        | ScalarValue::Str(_)
        | ScalarValue::Int(_)
        | ScalarValue::Uint(_)
        | ScalarValue::F64(_)
        | ScalarValue::Timestamp(_)
        | ScalarValue::Boolean(_)
        | ScalarValue::Null => true,
    }
}
