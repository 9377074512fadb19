//! Writing one change: an Automerge transaction that knows how large it has become.

use super::read::{CREATED, LIFE, TAG, Union};
use super::{MAX_CHANGE_BYTES, MAX_OPERATIONS, genesis};
use crate::entry::kind::{Kind, Position, Tick};
use crate::entry::{Field, NewEntry, Visit};
use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, ScalarValue};
use names::EntryId;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// More than an operation's columns take besides its key and value, in bytes: object, lengths,
/// action and predecessors, each a few bytes of LEB128.
const OPERATION_BYTES: usize = 32;

/// Why writing stopped. The transaction is to be rolled back.
#[derive(Debug)]
pub(super) enum Stop {
    /// The change would break a limit; which one.
    TooLarge(String),
    /// Automerge refused an operation.
    Automerge(AutomergeError),
}

impl From<AutomergeError> for Stop {
    fn from(error: AutomergeError) -> Self {
        Self::Automerge(error)
    }
}

/// What a change takes of what peers accept.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    operations: usize,
}

impl Room {
    /// For a change whose frame (dependencies, author) takes so many bytes.
    pub(super) fn new(frame_bytes: usize) -> Self {
        Self {
            bytes: frame_bytes,
            operations: 0,
        }
    }

    /// Takes room for an operation whose key and text have so many bytes.
    fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        self.bytes = self
            .bytes
            .saturating_add(OPERATION_BYTES)
            .saturating_add(bytes);
        if self.bytes > MAX_CHANGE_BYTES {
            return Err(Stop::TooLarge(format!(
                "it would have more than {MAX_CHANGE_BYTES} bytes"
            )));
        }
        if self.operations >= MAX_OPERATIONS {
            return Err(Stop::TooLarge(format!(
                "it would have more than {MAX_OPERATIONS} \
                operations"
            )));
        }
        self.operations += 1;
        Ok(())
    }

    /// The same for an operation that makes an object.
    pub(super) fn take_object(&mut self, key: &str) -> Result<(), Stop> {
        self.take(key.len())
    }

    /// The same for one that writes a value.
    pub(super) fn take_value(&mut self, key: &str, value: &ScalarValue) -> Result<(), Stop> {
        let bytes = if let ScalarValue::Str(text) = value {
            text.len()
        } else {
            0
        };
        self.take(key.len().saturating_add(bytes))
    }
}

/// A change in the making. It ends before it exceeds what peers accept.
pub(super) struct Draft<'a> {
    pub(super) transaction: Transaction<'a>,
    /// The maps made so far.
    pub(super) made: Vec<(ObjId, EntryId)>,
    room: Room,
}

impl<'a> Draft<'a> {
    /// An empty draft.
    pub(super) fn new(transaction: Transaction<'a>, room: Room) -> Self {
        Self {
            transaction,
            made: Vec::new(),
            room,
        }
    }

    fn put(&mut self, map: &ObjId, key: &str, value: ScalarValue) -> Result<(), Stop> {
        self.room.take_value(key, &value)?;
        Ok(self.transaction.put(map, key, value)?)
    }

    /// Makes an entry.
    pub(super) fn add(
        &mut self,
        id: EntryId,
        new: &NewEntry,
        order: &str,
        at_ms: i64,
    ) -> Result<(), Stop> {
        let key = id.to_string();
        self.room.take_object(&key)?;
        let map = self
            .transaction
            .put_object(genesis::entries(), key, ObjType::Map)?;
        self.made.push((map.clone(), id));
        fields(new, order, at_ms)
            .into_iter()
            .try_for_each(|(key, value)| self.put(&map, &key, value))
    }

    /// Writes a field where it takes effect: to the map that Automerge shows, and to all others
    /// that have a value of it, so that none is left beside the new one.
    pub(super) fn set(
        &mut self,
        union: &Union,
        key: &str,
        value: &ScalarValue,
    ) -> Result<(), Stop> {
        let last = union.maps.len().saturating_sub(1);
        for (number, map) in union.maps.iter().enumerate() {
            if number == last || union.has(number, key) {
                self.put(map, key, value.clone())?;
            }
        }
        Ok(())
    }

    /// Says that the entry shall be in the list: part of every edit, so that it wins over a
    /// concurrent deletion.
    pub(super) fn keep(&mut self, union: &Union) -> Result<(), Stop> {
        self.set_life(union, union.parities(LIFE).next_even())
    }

    /// Deletes the entry.
    pub(super) fn kill(&mut self, union: &Union) -> Result<(), Stop> {
        self.set_life(union, union.parities(LIFE).next_odd())
    }

    fn set_life(&mut self, union: &Union, life: i64) -> Result<(), Stop> {
        union
            .maps
            .iter()
            .try_for_each(|map| self.put(map, LIFE, ScalarValue::Int(life)))
    }

    /// Gives an entry these tags and no others, writing only the difference.
    pub(super) fn set_tags(&mut self, union: &Union, tags: &[String]) -> Result<(), Stop> {
        let wanted: BTreeSet<&str> = tags.iter().map(String::as_str).collect();
        for (tag, parities) in union.tags() {
            let next = match (wanted.contains(tag), parities.even, parities.odd) {
                (false, true, _) => parities.next_odd(),
                (true, false, _) | (true, true, true) => parities.next_even(),
                (true, true, false) | (false, false, _) => continue,
            };
            self.set(union, &format!("{TAG}{tag}"), &ScalarValue::Int(next))?;
        }
        let known: BTreeSet<&str> = union.tags().map(|(tag, _)| tag).collect();
        wanted
            .difference(&known)
            .try_for_each(|tag| self.set(union, &format!("{TAG}{tag}"), &ScalarValue::Int(0)))
    }
}

/// The values of fields, as they are to be written.
#[derive(Default)]
pub(super) struct Registers(Vec<(Field, ScalarValue)>);

impl Registers {
    /// In the order of the fields.
    pub(super) fn in_order(mut self) -> impl Iterator<Item = (Field, ScalarValue)> {
        self.0.sort_unstable_by_key(|(field, _)| *field);
        self.0.into_iter()
    }
}

impl Visit for Registers {
    fn field<K: Kind>(&mut self, field: Field, kind: &K, value: &K::Value) {
        self.0.push((field, kind.write(value)));
    }
}

/// The keys and values of a new entry, in the order in which they are written.
pub(super) fn fields(
    new: &NewEntry,
    order: &str,
    at_ms: i64,
) -> Vec<(Cow<'static, str>, ScalarValue)> {
    let mut registers = Registers::default();
    new.each(&mut registers);
    registers.field(Field::Order, &Position, &order.to_owned());
    let done_at = new.done.then(|| new.done_at.unwrap_or(at_ms));
    registers.field(Field::Done, &Tick, &done_at);
    let mut written = Vec::new();
    for (field, value) in registers.in_order() {
        if value != ScalarValue::Null {
            written.push((Cow::Borrowed(field.key()), value));
        }
        if field == Field::Order {
            let created = new.created_at.unwrap_or(at_ms);
            written.push((Cow::Borrowed(CREATED), ScalarValue::Timestamp(created)));
            written.push((Cow::Borrowed(LIFE), ScalarValue::Int(0)));
        }
    }
    let tags: BTreeSet<&String> = new.tags.iter().collect();
    let tags = tags.into_iter().map(|tag| format!("{TAG}{tag}"));
    written.extend(tags.map(|tag| (Cow::Owned(tag), ScalarValue::Int(0))));
    written
}
