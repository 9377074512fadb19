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

use super::chunk::{self, Reader};
use super::judge::{MAX_AUTHOR_BYTES, MAX_COUNTER};
use super::outline::{MAX_KEY_BYTES, OpName, Outline, Written, entry_id};
use super::plain::Plain;
use super::read::named;
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
    /// The length and the type of the value.
    meta: u64,
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
    /// Takes a change apart, of which the size and the checksum were checked; `None` if it is to be
    /// left to Automerge.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (checksum, body) = chunk::open(bytes).ok()?;
        let (addition, columns) = Self::take_apart(body.clone())?;
        let mut frame = Expected(bytes);
        frame.bytes(&chunk::MAGIC)?;
        frame.bytes(checksum)?;
        frame.unsigned(chunk::TYPE_CHANGE.into())?;
        frame.unsigned(u64::try_from(body.len()).ok()?)?;
        addition.check_frame(frame, &columns)?;
        addition.check_columns(columns)?;
        addition.is_within_bounds().then_some(addition)
    }

    fn take_apart(mut body: Reader<'a>) -> Option<(Self, Columns<'a>)> {
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
        let columns = columns(body)?;
        let addition = Self {
            deps,
            id: ChangeId { actor, seq },
            start_op,
            seconds,
            message,
            operations: operations(&columns)?,
        };
        Some((addition, columns))
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
                    key: named(operation.key),
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
        let mut keys: Vec<&str> = Vec::new();
        maps.all(|values| {
            keys.clear();
            keys.extend(values.iter().map(|operation| operation.key));
            let has_right_length = |key: &&str| (1..=MAX_KEY_BYTES).contains(&key.len());
            keys.iter().all(has_right_length) && is_unique(&mut keys)
        })
    }

    /// Whether what comes before the columns is what Automerge writes.
    fn check_frame(&self, mut frame: Expected<'_>, columns: &Columns<'_>) -> Option<()> {
        frame.unsigned(length(&self.deps))?;
        for dep in &self.deps {
            frame.bytes(&dep.0)?;
        }
        frame.block(&self.id.actor.0)?;
        frame.unsigned(self.id.seq)?;
        frame.unsigned(self.start_op)?;
        frame.signed(self.seconds)?;
        frame.block(self.message.as_bytes())?;
        frame.unsigned(1)?;
        frame.block(&genesis::ACTOR.0)?;
        frame.unsigned(length(&COLUMNS))?;
        for (specification, column) in COLUMNS.into_iter().zip(columns) {
            frame.unsigned(specification)?;
            frame.unsigned(length(column))?;
        }
        Some(())
    }

    /// The same of the columns.
    fn check_columns(&self, columns: Columns<'_>) -> Option<()> {
        let count = self.operations.len();
        let [
            mut actors,
            mut counters,
            mut keys,
            mut inserts,
            mut actions,
            mut metas,
            mut values,
            mut overwritten,
        ] = columns.map(Expected);
        let operations = self.operations.iter();
        let are_maps = operations
            .clone()
            .map(|operation| operation.value.is_none());
        actors.runs(are_maps.clone().map(u64::from))?;
        let mut map = 0;
        let objects = (self.start_op..).zip(are_maps.clone());
        counters.runs(objects.map(move |(counter, is_map)| {
            if is_map {
                map = counter;
                return genesis::ENTRIES.counter;
            }
            map
        }))?;
        keys.signed(-i64::try_from(count).ok()?)?;
        for operation in operations.clone() {
            keys.block(operation.key.as_bytes())?;
            if let Some(value) = operation.value {
                value.check(operation.meta, &mut values)?;
            }
        }
        inserts.unsigned(u64::try_from(count).ok()?)?;
        actions.runs(are_maps.map(|is_map| if is_map { MAKE_MAP } else { PUT }))?;
        metas.runs(operations.map(|operation| operation.meta))?;
        overwritten.runs(std::iter::repeat_n(0, count))?;
        let all = [
            actors,
            counters,
            keys,
            inserts,
            actions,
            metas,
            values,
            overwritten,
        ];
        all.iter().all(|column| column.0.is_empty()).then_some(())
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

    /// Whether it takes just as many bytes as its length says, as it is written.
    fn check(self, meta: u64, values: &mut Expected<'_>) -> Option<()> {
        let before = values.0.len();
        match self {
            Self::Text(text) => values.bytes(text.as_bytes())?,
            Self::Integer(number) | Self::Time(number) => values.signed(number)?,
        }
        (u64::try_from(before - values.0.len()) == Ok(meta >> 4)).then_some(())
    }

    fn plain(self) -> Plain {
        match self {
            Self::Text(text) => Plain::Text(text.to_owned()),
            Self::Integer(value) => Plain::of_i64(value),
            Self::Time(ms) => Plain::Time(ms),
        }
    }
}

type Columns<'a> = [&'a [u8]; COLUMNS.len()];

/// Takes the columns apart.
fn columns(mut body: Reader<'_>) -> Option<Columns<'_>> {
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
    let mut columns: Columns<'_> = Default::default();
    for (column, length) in columns.iter_mut().zip(lengths) {
        *column = body.take(length, "column").ok()?;
    }
    body.is_empty().then_some(columns)
}

/// Reads the columns, as far as they differ from one pure addition to another.
fn operations<'a>(columns: &Columns<'a>) -> Option<Vec<Operation<'a>>> {
    let [_, _, mut keys, _, actions, metas, mut values, _] = columns.map(Reader::of);
    let count = usize::try_from(keys.signed("run").ok()?.checked_neg()?).ok()?;
    if !(1..=MAX_OPERATIONS).contains(&count) {
        return None;
    }
    let (mut actions, mut metas) = (Runs::of(actions), Runs::of(metas));
    // Each key takes a byte at least.
    let mut operations = Vec::with_capacity(count.min(keys.len()));
    for _ in 0..count {
        let key = text(keys.block("key").ok()?)?;
        let meta = metas.next()?;
        let value = match (actions.next()?, meta) {
            (MAKE_MAP, 0) => None,
            (PUT, meta) => Some(Value::read(meta, &mut values)?),
            _ => return None,
        };
        operations.push(Operation { key, meta, value });
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

/// Bytes that are to be those that Automerge writes. What is written is compared, and taken off.
struct Expected<'a>(&'a [u8]);

impl Expected<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == byte).then_some(())
    }

    /// Some bytes, after their number.
    fn block(&mut self, bytes: &[u8]) -> Option<()> {
        self.unsigned(length(bytes))?;
        self.bytes(bytes)
    }

    /// A number in LEB128.
    fn unsigned(&mut self, mut value: u64) -> Option<()> {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.byte(low & 0x7f);
            }
            self.byte(low | 0x80)?;
        }
    }

    /// The same with a sign.
    fn signed(&mut self, mut value: i64) -> Option<()> {
        loop {
            let [low, ..] = value.to_le_bytes();
            let is_negative = low & 0x40 != 0;
            value >>= 7;
            if value == if is_negative { -1 } else { 0 } {
                return self.byte(low & 0x7f);
            }
            self.byte(low | 0x80)?;
        }
    }

    /// A run-length encoded column: what follows on itself is written once, after how often it does;
    /// what does not is spelled out, after how many values that are, negated.
    fn runs(&mut self, mut rest: impl Iterator<Item = u64> + Clone) -> Option<()> {
        while let Some(first) = rest.clone().next() {
            let equal = rest.clone().take_while(|value| *value == first).count();
            if equal > 1 {
                self.signed(i64::try_from(equal).ok()?)?;
                self.unsigned(first)?;
                rest.nth(equal - 1);
            } else {
                let spelled = spelled(rest.clone());
                self.signed(-i64::try_from(spelled).ok()?)?;
                for value in rest.by_ref().take(spelled) {
                    self.unsigned(value)?;
                }
            }
        }
        Some(())
    }
}

/// How many values come before the first that another one like it follows.
fn spelled(values: impl Iterator<Item = u64>) -> usize {
    let (mut count, mut last) = (0_usize, None);
    for value in values {
        if last == Some(value) {
            return count.saturating_sub(1);
        }
        (count, last) = (count + 1, Some(value));
    }
    count
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

fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}
