//! The frame of an Automerge change chunk, read without expanding anything.
//!
//! | bytes | are |
//! | --- | --- |
//! | 4 | magic `85 6f 4a 83` |
//! | 4 | the first bytes of the SHA-256 of all that follows them |
//! | 1 | type: 1, a change (2 would be a compressed one) |
//! | LEB128 | length of the rest: the dependencies' hashes, actor, sequence number, first operation, time, message, other actors, columns, extra bytes |
//!
//! Columns are run-length encoded: a hundred bytes can stand for a million operations. What they
//! would expand to is therefore added up from the run lengths before Automerge sees them.

use super::{MAX_CHANGE_BYTES, MAX_OPERATIONS};
use names::{Actor, ChangeHash, ChangeId};
use sha2::{Digest, Sha256};

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
pub(super) const TYPE_CHANGE: u8 = 1;
/// Column specifications: id << 4 | type, from Automerge's storage format.
const ACTION_COLUMN: u64 = 4 << 4 | 2;
const PREDECESSORS_COLUMN: u64 = 7 << 4;
/// Bit of a column specification that marks deflated data.
pub(super) const DEFLATED: u64 = 1 << 3;
pub(super) const MAX_COLUMNS: u64 = 64;
/// The most predecessors of all operations of a change together: concurrent values that it
/// overwrites.
const MAX_PREDECESSORS: u64 = 4 * MAX_OPERATIONS as u64;

/// What a change chunk expands to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Counter of the first operation.
    pub(super) start_op: u64,
    /// How many operations it stands for.
    pub(super) operations: u64,
}

/// Why a chunk was not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkError {
    /// Too many bytes.
    Bytes,
    /// It stands for too many operations or predecessors.
    Operations,
    /// The bytes are not what the checksum is of.
    Checksum,
    /// Not a change chunk; which part of it.
    Malformed(&'static str),
}

/// Checks the size and the checksum of a change chunk; gives its hash, which is the name of the change.
pub(super) fn check(bytes: &[u8]) -> Result<ChangeHash, ChunkError> {
    if bytes.len() > MAX_CHANGE_BYTES {
        return Err(ChunkError::Bytes);
    }
    let (checksum, _) = open(bytes)?;
    let hash = hash(bytes);
    if hash.0.get(..4) == Some(checksum) {
        Ok(hash)
    } else {
        Err(ChunkError::Checksum)
    }
}

/// Takes a change chunk apart and checks what it would expand to.
pub(super) fn parse(bytes: &[u8]) -> Result<Frame, ChunkError> {
    let (_, mut body) = open(bytes)?;
    let start_op = skip_to_start_op(&mut body)?;
    body.signed("time")?;
    body.block("message")?;
    for _ in 0..body.count("other actors")? {
        body.block("other actor")?;
    }
    let operations = check_columns(&mut body)?;
    Ok(Frame {
        start_op,
        operations,
    })
}

/// SHA-256 over type, length and body of a change chunk, without checking anything.
pub(super) fn hash(bytes: &[u8]) -> ChangeHash {
    ChangeHash(Sha256::digest(bytes.get(8..).unwrap_or_default()).into())
}

/// What a change chunk says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The changes that it depends on directly.
    pub deps: Vec<ChangeHash>,
    /// Its actor and number.
    pub id: ChangeId,
}

/// What a change chunk says of itself, without checking anything but the way to it.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let (_, mut body) = open(bytes).ok()?;
    let mut deps = Vec::new();
    for _ in 0..body.count("dependencies").ok()? {
        let hash = body.take(32, "dependency").ok()?;
        deps.push(ChangeHash(hash.try_into().ok()?));
    }
    let actor = Actor(body.block("actor").ok()?.try_into().ok()?);
    let seq = body.unsigned("sequence number").ok()?;
    let id = ChangeId { actor, seq };
    Some(Head { deps, id })
}

/// The counter of the first operation, without checking anything but the way to it.
pub(super) fn start_op(bytes: &[u8]) -> Option<u64> {
    let (_, mut body) = open(bytes).ok()?;
    skip_to_start_op(&mut body).ok()
}

/// The checksum of a chunk, and the body.
pub(super) fn open(bytes: &[u8]) -> Result<(&[u8], Reader<'_>), ChunkError> {
    let mut reader = Reader(bytes);
    if reader.take(4, "magic")? != MAGIC {
        return Err(ChunkError::Malformed("magic"));
    }
    let checksum = reader.take(4, "checksum")?;
    if reader.take(1, "type")? != [TYPE_CHANGE] {
        return Err(ChunkError::Malformed("type"));
    }
    let length = reader.unsigned("length")?;
    if u64::try_from(reader.0.len()) != Ok(length) {
        return Err(ChunkError::Malformed("length"));
    }
    Ok((checksum, reader))
}

fn skip_to_start_op(body: &mut Reader<'_>) -> Result<u64, ChunkError> {
    for _ in 0..body.count("dependencies")? {
        body.take(32, "dependency")?;
    }
    body.block("actor")?;
    body.unsigned("sequence number")?;
    body.unsigned("first operation")
}

/// Checks what the columns would expand to; tells how many operations that are.
fn check_columns(body: &mut Reader<'_>) -> Result<u64, ChunkError> {
    let mut operations = 0;
    let count = body.unsigned("columns")?;
    if count > MAX_COLUMNS {
        return Err(ChunkError::Malformed("columns"));
    }
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push((body.unsigned("column")?, body.unsigned("column length")?));
    }
    for (specification, length) in columns {
        let data = Reader(body.take(length, "column")?);
        match specification {
            _ if specification & DEFLATED != 0 => {
                return Err(ChunkError::Malformed("compressed column"));
            }
            ACTION_COLUMN => operations = data.bound(MAX_OPERATIONS as u64, |_| 1)?,
            PREDECESSORS_COLUMN => {
                data.bound(MAX_PREDECESSORS, |count| count)?;
            }
            _ => {}
        }
    }
    Ok(operations)
}

/// Reads from the front of a slice; names what it was reading when the slice ends too early.
#[derive(Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], ChunkError> {
        let length = usize::try_from(length).map_err(|_| ChunkError::Malformed(what))?;
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(ChunkError::Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn block(&mut self, what: &'static str) -> Result<&'a [u8], ChunkError> {
        let length = self.unsigned(what)?;
        self.take(length, what)
    }

    /// A number of things that take at least a byte each.
    pub(super) fn count(&mut self, what: &'static str) -> Result<u64, ChunkError> {
        let count = self.unsigned(what)?;
        if usize::try_from(count).is_ok_and(|count| count <= self.0.len()) {
            Ok(count)
        } else {
            Err(ChunkError::Malformed(what))
        }
    }

    pub(super) fn unsigned(&mut self, what: &'static str) -> Result<u64, ChunkError> {
        leb128(self, what).map(|(bits, _)| bits)
    }

    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, ChunkError> {
        let (bits, length) = leb128(self, what)?;
        let unused = 64u32.saturating_sub(7 * length);
        Ok((bits << unused).cast_signed() >> unused)
    }

    /// Adds up `weight(value)` over all values of a run-length encoded column of integers.
    pub(super) fn bound(mut self, most: u64, weight: fn(u64) -> u64) -> Result<u64, ChunkError> {
        let mut sum = Sum { sum: 0, most };
        while !self.0.is_empty() {
            match self.signed("run")? {
                0 => sum.add(self.unsigned("run of nulls")?, 1)?,
                literals if literals < 0 => {
                    for _ in 0..literals.unsigned_abs() {
                        sum.add(1, weight(self.unsigned("value")?))?;
                    }
                }
                times => sum.add(times.unsigned_abs(), weight(self.unsigned("value")?))?,
            }
        }
        Ok(sum.sum)
    }

    /// Checks how many rows a run-length encoded column of texts has, and adds up their bytes.
    pub(super) fn bound_texts(mut self, rows: u64, bytes: u64) -> Result<u64, ChunkError> {
        let mut rows = Sum { sum: 0, most: rows };
        let mut sum = Sum {
            sum: 0,
            most: bytes,
        };
        while !self.0.is_empty() {
            match self.signed("run")? {
                0 => rows.add(self.unsigned("run of nulls")?, 1)?,
                literals if literals < 0 => {
                    for _ in 0..literals.unsigned_abs() {
                        rows.add(1, 1)?;
                        sum.add(1, self.block("text")?.len() as u64)?;
                    }
                }
                times => {
                    rows.add(times.unsigned_abs(), 1)?;
                    sum.add(times.unsigned_abs(), self.block("text")?.len() as u64)?;
                }
            }
        }
        Ok(sum.sum)
    }

    /// Checks how many rows a column of flags has, which tells how many are alike, by turns.
    pub(super) fn bound_flags(mut self, most: u64) -> Result<(), ChunkError> {
        let mut rows = Sum { sum: 0, most };
        while !self.0.is_empty() {
            rows.add(self.unsigned("flags")?, 1)?;
        }
        Ok(())
    }
}

/// A sum that is never more than so much.
struct Sum {
    sum: u64,
    most: u64,
}

impl Sum {
    fn add(&mut self, times: u64, weight: u64) -> Result<(), ChunkError> {
        self.sum = self.sum.saturating_add(times.saturating_mul(weight));
        if self.sum > self.most {
            return Err(ChunkError::Operations);
        }
        Ok(())
    }
}

/// The bits of a LEB128 number of at most 64 bits, and how many bytes it took.
fn leb128(reader: &mut Reader<'_>, what: &'static str) -> Result<(u64, u32), ChunkError> {
    let mut bits = 0u64;
    for length in 0..10u32 {
        let [byte] = reader.take(1, what)? else {
            return Err(ChunkError::Malformed(what));
        };
        bits |= u64::from(byte & 0x7f) << (7 * length);
        if byte & 0x80 == 0 {
            return Ok((bits, length + 1));
        }
    }
    Err(ChunkError::Malformed(what))
}
