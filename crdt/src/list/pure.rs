//! Pure additions: changes that add entries and do nothing else, read without Automerge.
//!
//! Most changes are of this kind, and there is one way only to write such a change down. So it is
//! taken apart here, and written down again from what was found: where that gives the very bytes
//! that came, they are what Automerge writes for these operations and understands as these, and
//! nothing else has to be proved. A change that does anything else, or is written otherwise, is left
//! to Automerge.
//!
//! The operations make maps among the entries; those after each map put values into it.
//!
//! | column | is | holds for a map | for a value |
//! | --- | --- | --- | --- |
//! | `01` | the object's actor | 1: the zero actor | 0: the change's own |
//! | `02` | the object's counter | 1 | the map's |
//! | `15` | the key | the entry's id | the field |
//! | `34` | whether it inserts | no | no |
//! | `42` | the action | 0: make a map | 1: put |
//! | `56` | length and type of the value | 0: none | length << 4, type |
//! | `57` | the value | | its bytes |
//! | `70` | how many values it overwrites | 0 | 0 |

use super::chunk::{self, Reader, block, length, signed, unsigned};
use super::judge::{MAX_AUTHOR_BYTES, MAX_COUNTER};
use super::outline::{MAX_KEY_BYTES, OpName, Outline, Written, entry_id};
use super::plain::Plain;
use super::{MAX_OPERATIONS, genesis};
use names::{Actor, ChangeHash, ChangeId, EntryId};

/// The columns of a pure addition, in their order.
const COLUMNS: [u64; 8] = [0x01, 0x02, 0x15, 0x34, 0x42, 0x56, 0x57, 0x70];
const MAKE_MAP: u64 = 0;
const PUT: u64 = 1;
/// Types of values.
const INTEGER: u64 = 4;
const TEXT: u64 = 6;
const TIME: u64 = 9;

/// A value that is put into a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Time(i64),
}

/// Makes a map among the entries at the key, or puts a value into the map that was made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operation<'a> {
    key: &'a str,
    value: Option<Value<'a>>,
}

/// A change that adds entries and does nothing else.
#[derive(Debug)]
pub(super) struct Addition<'a> {
    pub(super) deps: Vec<ChangeHash>,
    pub(super) id: ChangeId,
    pub(super) start_op: u64,
    pub(super) seconds: i64,
    pub(super) message: &'a str,
    operations: Vec<Operation<'a>>,
}

impl<'a> Addition<'a> {
    /// Takes a change apart, of which the checksum and the number of operations were checked; `None`
    /// if it is to be left to Automerge.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (checksum, body) = chunk::open(bytes).ok()?;
        let addition = Self::take_apart(body)?;
        let is_sound = addition.is_within_bounds() && addition.write(checksum) == bytes;
        is_sound.then_some(addition)
    }

    fn take_apart(mut body: Reader<'a>) -> Option<Self> {
        let mut deps = Vec::new();
        for _ in 0..body.count("dependencies").ok()? {
            let hash = body.take(32, "dependency").ok()?;
            deps.push(ChangeHash(hash.try_into().ok()?));
        }
        let actor = Actor(body.block("actor").ok()?.try_into().ok()?);
        let seq = body.unsigned("sequence number").ok()?;
        let start_op = body.unsigned("first operation").ok()?;
        let seconds = body.signed("time").ok()?;
        let message = text(body.block("message").ok()?)?;
        if body.unsigned("other actors").ok()? != 1
            || body.block("other actor").ok()? != genesis::ACTOR.0
        {
            return None;
        }
        Some(Self {
            deps,
            id: ChangeId { actor, seq },
            start_op,
            seconds,
            message,
            operations: operations(body)?,
        })
    }

    /// Whether the judge lets numbers, message and dependencies pass.
    fn is_within_bounds(&self) -> bool {
        let length = u64::try_from(self.operations.len()).unwrap_or(u64::MAX);
        !self.deps.is_empty()
            && self.deps.is_sorted_by(|one, next| one < next)
            && self.id.actor != genesis::ACTOR
            && (1..=MAX_COUNTER).contains(&self.id.seq)
            && self.start_op > 0
            && self.start_op.saturating_add(length) <= MAX_COUNTER
            && self.message.len() <= MAX_AUTHOR_BYTES
    }

    /// How many operations it has.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// What it makes and touches; `None` if no list has such entries.
    pub(super) fn outline(&self) -> Option<Outline> {
        let (mut maps, mut values): (Vec<(OpName, EntryId)>, Vec<Written>) = Default::default();
        for (counter, operation) in (self.start_op..).zip(&self.operations) {
            let op = OpName {
                counter,
                actor: self.id.actor,
            };
            match operation.value {
                None => maps.push((op, entry_id(operation.key)?)),
                Some(value) => values.push(Written {
                    map: maps.last()?.0,
                    op,
                    key: operation.key.to_owned(),
                    value: value.plain(),
                }),
            }
        }
        let mut ids: Vec<EntryId> = maps.iter().map(|(_, id)| *id).collect();
        (self.has_sound_keys() && is_unique(&mut ids)).then(|| Outline::of_additions(maps, values))
    }

    /// Whether each map has each key once, and none that is too long.
    fn has_sound_keys(&self) -> bool {
        let mut maps = self.operations.split(|operation| operation.value.is_none());
        maps.all(|values| {
            let mut keys: Vec<&str> = values.iter().map(|operation| operation.key).collect();
            let has_right_length = |key: &&str| (1..=MAX_KEY_BYTES).contains(&key.len());
            keys.iter().all(has_right_length) && is_unique(&mut keys)
        })
    }

    /// The whole change, as Automerge writes it.
    fn write(&self, checksum: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        unsigned(&mut body, length(&self.deps));
        for dep in &self.deps {
            body.extend_from_slice(&dep.0);
        }
        block(&mut body, &self.id.actor.0);
        unsigned(&mut body, self.id.seq);
        unsigned(&mut body, self.start_op);
        signed(&mut body, self.seconds);
        block(&mut body, self.message.as_bytes());
        unsigned(&mut body, 1);
        block(&mut body, &genesis::ACTOR.0);
        let columns = self.columns();
        unsigned(&mut body, length(&columns));
        for (specification, data) in COLUMNS.into_iter().zip(&columns) {
            unsigned(&mut body, specification);
            unsigned(&mut body, length(data));
        }
        columns.iter().for_each(|data| body.extend_from_slice(data));
        chunk::close(checksum, &body)
    }

    fn columns(&self) -> [Vec<u8>; COLUMNS.len()] {
        let count = self.operations.len();
        let column = || Vec::with_capacity(count);
        let (mut actors, mut counters) = (column(), column());
        let (mut actions, mut metas) = (column(), column());
        let (mut keys, mut values, mut inserts) = (Vec::new(), Vec::new(), Vec::new());
        let mut map = 0;
        signed(&mut keys, -i64::try_from(count).unwrap_or(i64::MAX));
        for (counter, operation) in (self.start_op..).zip(&self.operations) {
            block(&mut keys, operation.key.as_bytes());
            let is_map = operation.value.is_none();
            if is_map {
                map = counter;
            }
            actors.push(u64::from(is_map));
            counters.push(if is_map {
                genesis::ENTRIES.counter
            } else {
                map
            });
            actions.push(if is_map { MAKE_MAP } else { PUT });
            metas.push(operation.value.map_or(0, |value| value.write(&mut values)));
        }
        unsigned(&mut inserts, u64::try_from(count).unwrap_or(u64::MAX));
        [
            runs(&actors),
            runs(&counters),
            keys,
            inserts,
            runs(&actions),
            runs(&metas),
            values,
            runs(&vec![0; count]),
        ]
    }
}

impl<'a> Value<'a> {
    fn read(meta: u64, values: &mut Reader<'a>) -> Option<Self> {
        let bytes = values.take(meta >> 4, "value").ok()?;
        Some(match meta & 0xf {
            TEXT => Self::Text(text(bytes)?),
            INTEGER => Self::Integer(number(bytes)?),
            TIME => Self::Time(number(bytes)?),
            _ => return None,
        })
    }

    /// Writes its bytes; gives their length and its type.
    fn write(self, values: &mut Vec<u8>) -> u64 {
        let before = values.len();
        let kind = match self {
            Self::Text(text) => {
                values.extend_from_slice(text.as_bytes());
                TEXT
            }
            Self::Integer(value) => {
                signed(values, value);
                INTEGER
            }
            Self::Time(ms) => {
                signed(values, ms);
                TIME
            }
        };
        u64::try_from(values.len() - before).unwrap_or(u64::MAX) << 4 | kind
    }

    fn plain(self) -> Plain {
        match self {
            Self::Text(text) => Plain::Text(text.to_owned()),
            Self::Integer(value) => Plain::of_i64(value),
            Self::Time(ms) => Plain::Time(ms),
        }
    }
}

/// Reads the columns, as far as they differ from one pure addition to another.
fn operations(mut body: Reader<'_>) -> Option<Vec<Operation<'_>>> {
    if body.unsigned("columns").ok()? != length(&COLUMNS) {
        return None;
    }
    let mut lengths = [0; COLUMNS.len()];
    for (specification, length) in COLUMNS.into_iter().zip(&mut lengths) {
        if body.unsigned("column").ok()? != specification {
            return None;
        }
        *length = body.unsigned("column length").ok()?;
    }
    let mut columns = [const { Reader::EMPTY }; COLUMNS.len()];
    for (column, length) in columns.iter_mut().zip(lengths) {
        *column = Reader::of(body.take(length, "column").ok()?);
    }
    let [_, _, mut keys, _, actions, metas, mut values, _] = columns;
    let count = usize::try_from(keys.signed("run").ok()?.checked_neg()?).ok()?;
    if !body.is_empty() || !(1..=MAX_OPERATIONS).contains(&count) {
        return None;
    }
    let (mut actions, mut metas) = (Runs::of(actions), Runs::of(metas));
    // Each key takes a byte at least.
    let mut operations = Vec::with_capacity(count.min(keys.len()));
    for _ in 0..count {
        let key = text(keys.block("key").ok()?)?;
        let value = match (actions.next()?, metas.next()?) {
            (MAKE_MAP, 0) => None,
            (PUT, meta) => Some(Value::read(meta, &mut values)?),
            _ => return None,
        };
        operations.push(Operation { key, value });
    }
    Some(operations)
}

/// The values of a run-length encoded column of numbers.
struct Runs<'a> {
    column: Reader<'a>,
    left: u64,
    /// What the run repeats; `None` if it spells its values out.
    repeats: Option<u64>,
}

impl<'a> Runs<'a> {
    fn of(column: Reader<'a>) -> Self {
        Self {
            column,
            left: 0,
            repeats: None,
        }
    }

    fn next(&mut self) -> Option<u64> {
        if self.left == 0 {
            let run = self.column.signed("run").ok()?;
            self.left = run.unsigned_abs();
            self.repeats = None;
            if run > 0 {
                self.repeats = Some(self.column.unsigned("value").ok()?);
            }
        }
        self.left = self.left.checked_sub(1)?;
        self.repeats.or_else(|| self.column.unsigned("value").ok())
    }
}

/// A run-length encoded column: what follows on itself is written once, after how often it does; what does
/// not is spelled out, after how many values that are, negated.
fn runs(values: &[u64]) -> Vec<u8> {
    let mut column = Vec::new();
    let mut rest = values;
    while let Some(first) = rest.first() {
        let equal = rest.iter().take_while(|value| *value == first).count();
        let pairs = rest.windows(2);
        let unequal = pairs.take_while(|pair| pair.first() != pair.last()).count();
        let (run, others) = if equal > 1 {
            signed(&mut column, i64::try_from(equal).unwrap_or(i64::MAX));
            unsigned(&mut column, *first);
            rest.split_at(equal)
        } else {
            // The last of all follows on none that is equal, either.
            let spelled = unequal + usize::from(unequal + 1 == rest.len());
            signed(&mut column, -i64::try_from(spelled).unwrap_or(i64::MAX));
            let (spelled, others) = rest.split_at(spelled);
            spelled
                .iter()
                .for_each(|value| unsigned(&mut column, *value));
            (spelled, others)
        };
        debug_assert!(!run.is_empty());
        rest = others;
    }
    column
}

fn is_unique<T: Ord>(items: &mut [T]) -> bool {
    items.sort_unstable();
    items.is_sorted_by(|one, next| one < next)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A number that takes all of the bytes.
fn number(bytes: &[u8]) -> Option<i64> {
    let mut reader = Reader::of(bytes);
    let number = reader.signed("value").ok()?;
    reader.is_empty().then_some(number)
}
