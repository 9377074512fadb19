//! Reading an entry: the union of all maps at its key, and the winning value of each field.
//!
//! The winner among concurrent values is the one with the highest operation number, over all maps,
//! which is the same on all replicas. Values of a wrong type count as absent.

use super::authorship::{Authorship, Origin};
use super::genesis;
use super::index::Slot;
use super::outline::{OpName, Written};
use super::plain::Plain;
use crate::entry::kind::{Kind, Position, Tick};
use crate::entry::{Author, Entry, Field, Supply};
use automerge::iter::MapRangeItem;
use automerge::{ActorId, Automerge, AutomergeError, ObjId, ObjType, ReadDoc, Value};
use names::EntryId;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::RangeBounds;
use xxhash_rust::xxh3::xxh3_64;

/// What tags' keys begin with.
pub(super) const TAG: &str = Field::Tags.key();
/// The key that says whether an entry is in the list.
pub(super) const LIFE: &str = Field::Deleted.key();
/// The key that says when an entry was made.
pub(super) const CREATED: &str = "created";

/// Whether this program knows what a key of an entry's map stands for.
pub(super) fn is_known(key: &str) -> bool {
    key == CREATED || Field::of_key(key).is_some()
}

/// A key, at no cost if this program knows it.
pub(super) fn named(key: &str) -> Cow<'static, str> {
    match Field::of_key(key) {
        Some(field) if field.key() == key => Cow::Borrowed(field.key()),
        None if key == CREATED => Cow::Borrowed(CREATED),
        Some(_) | None => Cow::Owned(key.to_owned()),
    }
}

/// One visible value of a key.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Which of the maps it is in.
    map: usize,
    /// The operation that wrote it.
    pub(super) op: OpName,
    pub(super) value: Plain,
}

/// All maps of one entry and all visible values in them, each key's in the order of their
/// operations.
#[derive(Clone, Debug)]
pub(super) struct Union {
    /// In the order of the operations that made them: the last one is the one that Automerge shows.
    pub(super) maps: Vec<ObjId>,
    fields: BTreeMap<Cow<'static, str>, Vec<Seen>>,
}

/// The visible values of a register that counts up: `life` or a tag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parities {
    highest: Option<i64>,
    pub(super) even: bool,
    pub(super) odd: bool,
}

impl Parities {
    /// The smallest even number above all values: alive, present.
    pub(super) fn next_even(self) -> i64 {
        self.highest
            .map_or(0, |highest| highest + 1 + (highest + 1).rem_euclid(2))
    }

    /// The smallest odd number above all values: dead, absent.
    pub(super) fn next_odd(self) -> i64 {
        self.highest
            .map_or(1, |highest| highest + 1 + highest.rem_euclid(2))
    }

    fn add(&mut self, value: i64) {
        self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
        let even = value.rem_euclid(2) == 0;
        self.even |= even;
        self.odd |= !even;
    }
}

impl Union {
    /// Reads all of an entry; `None` if there is no such entry.
    pub(super) fn read(doc: &Automerge, id: EntryId) -> Result<Option<Self>, AutomergeError> {
        Self::read_keys(doc, id, ..)
    }

    /// Reads as much of an entry as it takes to delete it.
    pub(super) fn read_life(doc: &Automerge, id: EntryId) -> Result<Option<Self>, AutomergeError> {
        Self::read_keys(doc, id, LIFE.to_owned()..=LIFE.to_owned())
    }

    fn read_keys(
        doc: &Automerge,
        id: EntryId,
        keys: impl RangeBounds<String> + Clone,
    ) -> Result<Option<Self>, AutomergeError> {
        let all = doc.get_all(genesis::entries(), id.to_string())?;
        let maps = all
            .into_iter()
            .filter(|(value, _)| *value == Value::Object(ObjType::Map))
            .map(|(_, map)| map)
            .collect();
        let mut union = Self::of_maps(maps);
        for (number, map) in union.maps.iter().enumerate() {
            for item in doc.map_range(map, keys.clone()) {
                let seen = union.fields.entry(named(&item.key)).or_default();
                if item.conflict {
                    let values = doc.get_all(map, item.key.as_ref())?;
                    seen.extend(values.iter().filter_map(|(value, op)| {
                        Seen::new(number, op, Plain::of(doc, value, op))
                    }));
                } else {
                    let op = item.id();
                    seen.extend(Seen::new(number, &op, Plain::of_ref(doc, &item.value, &op)));
                }
            }
        }
        if union.maps.len() > 1 {
            union
                .fields
                .values_mut()
                .for_each(|seen| seen.sort_by_key(|seen| seen.op));
        }
        Ok(Some(union).filter(|union| !union.maps.is_empty()))
    }

    /// Begins with maps of which nothing is read yet.
    pub(super) fn of_maps(maps: Vec<ObjId>) -> Self {
        Self {
            maps,
            fields: BTreeMap::new(),
        }
    }

    /// Adds values of a key.
    pub(super) fn extend(&mut self, key: String, values: Vec<Seen>) {
        let seen = self.fields.entry(key.into()).or_default();
        seen.extend(values);
        seen.sort_by_key(|seen| seen.op);
    }

    /// A map that a change has made, with all that was ever written into it.
    pub(super) fn of_addition(map: OpName, values: &[Written]) -> Self {
        let map = ObjId::Id(map.counter, ActorId::from(map.actor.0), 0);
        let mut union = Self::of_maps(vec![map]);
        for Written { op, key, value, .. } in values {
            union.fields.entry(key.clone()).or_default().push(Seen {
                map: 0,
                op: *op,
                value: value.clone(),
            });
        }
        union
    }

    /// Adds the only value of a key of a single map.
    pub(super) fn add(&mut self, doc: &Automerge, item: &MapRangeItem<'_>) {
        let op = item.id();
        self.fields
            .entry(named(&item.key))
            .or_default()
            .extend(Seen::new(0, &op, Plain::of_ref(doc, &item.value, &op)));
    }

    /// All visible values of a key, the winner last.
    pub(super) fn seen(&self, key: &str) -> &[Seen] {
        self.fields.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The keys that have visible values.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(AsRef::as_ref)
    }

    /// The operations that wrote what is visible.
    pub(super) fn ops(&self) -> impl Iterator<Item = OpName> + '_ {
        self.fields.values().flatten().map(|seen| seen.op)
    }

    /// The values of `life` that say that an entry which is in the list was deleted: what is edited
    /// leaves them beside its own value, so that only a decision ends the conflict.
    pub(super) fn marks(&self) -> impl Iterator<Item = OpName> + '_ {
        let is_alive = self.is_alive();
        let odd = self.seen(LIFE).iter().filter(move |seen| {
            let value = seen.value.integer();
            is_alive && value.is_some_and(|value| value.rem_euclid(2) == 1)
        });
        odd.map(|seen| seen.op)
    }

    /// Whether a map has a visible value at a key.
    pub(super) fn has(&self, map: usize, key: &str) -> bool {
        self.seen(key).iter().any(|seen| seen.map == map)
    }

    /// The values of a register that counts up.
    pub(super) fn parities(&self, key: &str) -> Parities {
        let mut parities = Parities::default();
        self.seen(key)
            .iter()
            .filter_map(|seen| seen.value.integer())
            .for_each(|value| parities.add(value));
        parities
    }

    /// Whether the entry is in the list.
    pub(super) fn is_alive(&self) -> bool {
        self.parities(LIFE).even
    }

    /// The operations that wrote what is visible of `life`, but for those that made the entry: each edit
    /// counts it up.
    pub(super) fn edits(&self) -> impl Iterator<Item = OpName> + '_ {
        let values = self.seen(LIFE).iter();
        let edits = values.filter(|seen| seen.value.integer() != Some(0));
        edits.map(|seen| seen.op)
    }

    /// The operation that wrote last whether it is in the list.
    pub(super) fn last_life(&self) -> Option<OpName> {
        self.seen(LIFE).last().map(|seen| seen.op)
    }

    /// The tags that anyone ever gave it, without the prefix, and how they stand.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&str, Parities)> {
        let keys = self
            .fields
            .range(Cow::Borrowed(TAG)..)
            .map_while(|(key, _)| Some((key, key.strip_prefix(TAG)?)));
        keys.map(|(key, tag)| (tag, self.parities(key)))
    }

    /// The winning value of a field, of those that its kind understands, and whether others beside
    /// it disagree.
    pub(super) fn register<K: Kind>(&self, field: Field, kind: &K) -> (Option<K::Value>, bool) {
        let values = self.seen(field.key()).iter().rev();
        let mut values = values.filter_map(|seen| kind.read(&seen.value));
        let winner = values.next();
        let conflict = winner
            .as_ref()
            .is_some_and(|winner| values.any(|value| !kind.agree(&value, winner)));
        (winner, conflict)
    }

    /// When it was ticked, and whether others differ on that it was.
    pub(super) fn done_at(&self) -> (Option<i64>, bool) {
        let (winner, conflict) = self.register(Field::Done, &Tick);
        (winner.flatten(), conflict)
    }

    /// What the index keeps of it.
    pub(super) fn slot(&self) -> Slot {
        if !self.is_alive() {
            return Slot::Dead;
        }
        Slot::Alive {
            order: self
                .register(Field::Order, &Position)
                .0
                .unwrap_or_default()
                .into(),
            open: self.done_at().0.is_none(),
        }
    }

    /// The entry; `None` if it is not alive.
    pub(super) fn entry(&self, id: EntryId, authorship: &Authorship) -> Option<Entry> {
        if !self.is_alive() {
            return None;
        }
        let mut entry = Entry::new(id);
        let mut winners = Winners {
            union: self,
            conflicts: Vec::new(),
        };
        if self.parities(LIFE).odd {
            winners.conflicts.push(Field::Deleted);
        }
        let Ok(()) = entry.fill(&mut winners);
        let present = || self.tags().filter(|(_, parities)| parities.even);
        if present().any(|(_, parities)| parities.odd) {
            winners.conflicts.push(Field::Tags);
        }
        entry.conflicts = winners.conflicts;
        entry.tags = present().map(|(tag, _)| tag.to_owned()).collect();
        let (made, modified) = (self.made(authorship), self.modified(authorship));
        (entry.created_by, entry.created_at) = (made.0.author(), made.1);
        entry.modified_by = modified.author();
        entry.modified_at = modified.ms().max(entry.created_at);
        entry.tag = self.tag();
        entry.has_unknown_keys = self.has_unknown_keys();
        Some(entry)
    }

    /// Whether there is something at a key that this program does not know.
    pub(super) fn has_unknown_keys(&self) -> bool {
        self.fields.keys().any(|key| !is_known(key))
    }

    /// A hash of all that is visible: each value by its map, key and operation, which no two values
    /// share, and of texts, which are edited in place, what they say. The same in all versions of
    /// this program.
    fn tag(&self) -> u64 {
        let mut bytes = Vec::with_capacity(1024);
        let maps: Vec<Option<OpName>> = self.maps.iter().map(OpName::of).collect();
        for (key, values) in &self.fields {
            for seen in values {
                let map = maps.get(seen.map).copied().flatten();
                for op in map.into_iter().chain([seen.op]) {
                    bytes.extend_from_slice(&op.counter.to_be_bytes());
                    bytes.extend_from_slice(&op.actor.0);
                }
                for text in [key, seen.value.as_text().unwrap_or_default()] {
                    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        xxh3_64(&bytes)
    }

    /// The change that made the first of its maps, and when that was by the clock of its node.
    fn made(&self, authorship: &Authorship) -> (Origin, i64) {
        let origin = self
            .maps
            .first()
            .and_then(OpName::of)
            .and_then(|op| authorship.of(op))
            .unwrap_or_default();
        let created = self
            .seen(CREATED)
            .iter()
            .rev()
            .filter(|seen| seen.map == 0)
            .find_map(|seen| match seen.value {
                Plain::Time(ms) => Some(ms),
                Plain::Null | Plain::Text(_) | Plain::Integer(_) | Plain::Other => None,
            });
        let ms = created.unwrap_or_else(|| origin.ms());
        (origin, ms)
    }

    /// The last change that touched it: each writes `life`.
    fn modified(&self, authorship: &Authorship) -> Origin {
        self.last_life()
            .and_then(|op| authorship.of(op))
            .unwrap_or_default()
    }
}

/// The winning values of an entry's fields, and the fields that are in conflict.
struct Winners<'a> {
    union: &'a Union,
    conflicts: Vec<Field>,
}

impl Supply for Winners<'_> {
    type Error = Infallible;

    fn field<K: Kind>(&mut self, field: Field, kind: &K) -> Result<K::Value, Infallible> {
        let (winner, conflict) = self.union.register(field, kind);
        if conflict {
            self.conflicts.push(field);
        }
        Ok(winner.unwrap_or_default())
    }
}

impl Origin {
    pub(super) fn ms(&self) -> i64 {
        self.seconds.saturating_mul(1000)
    }

    pub(super) fn author(&self) -> Author {
        Author(self.author.as_ref().to_owned())
    }
}

impl Seen {
    pub(super) fn new(map: usize, op: &ObjId, value: Plain) -> Option<Self> {
        OpName::of(op).map(|op| Self { map, op, value })
    }
}
