//! The form of what is kept for years: a version, then numbered fields, of which a reader keeps
//! those that it does not know.
//!
//! | part | bytes |
//! | --- | --- |
//! | version | 1 |
//! | each field | number (varint) ‖ length of the value (varint) ‖ value |
//!
//! Fields stand in the order of their numbers, each at most once. A varint is LEB128, as short as
//! it can be: equal contents have equal bytes. A value is what bincode 2 (standard configuration)
//! makes of it, or raw bytes where the kind of row says so.
//!
//! A new field takes a new number and leaves the version as it is: an older program passes over it,
//! and [`Writer::over`] keeps it when that program writes the row anew. Numbers are never used
//! again. A new version says that a known field means something else: an older program must not
//! touch such a row, and [`Record::read`] refuses it.
//!
//! ```
//! # use crdt::record::{Record, Writer};
//! let mut writer = Writer::new(1);
//! writer.put(1, &"milk").put(4, &7_u64);
//! let bytes = writer.finish().unwrap();
//! let record = Record::read(1, &bytes).unwrap();
//! assert_eq!(record.get(1), Ok(Some("milk".to_owned())));
//! assert_eq!(record.get::<u64>(2), Ok(None));
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most fields that a record may have, known and unknown.
pub const MAX_FIELDS: usize = 256;
/// The most bytes that a record may have; also the most that decoding one field may allocate.
pub const MAX_BYTES: usize = 64 << 20;

/// The number of a field.
pub type Number = u16;

/// Why bytes are not a record that this program can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record has another version: a newer program wrote it.
    #[error("it has version {found}, but this program knows only version {known}")]
    Version {
        /// The record's version.
        found: u8,
        /// The version that the reader knows.
        known: u8,
    },
    /// The bytes are not a version and a sequence of fields.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The value of a field is not what the field's number stands for.
    #[error("its field {number} is damaged: {reason}")]
    Value {
        /// Which field.
        number: Number,
        /// What the decoder said.
        reason: String,
    },
    /// A field is missing that every record of this kind has.
    #[error("its field {0} is missing")]
    Missing(Number),
    /// The record is larger than [`MAX_BYTES`], or has more than [`MAX_FIELDS`] fields.
    #[error("it is too large")]
    TooLarge,
}

impl RecordError {
    /// Whether a newer program wrote the record, so that nothing is wrong with it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Version { .. })
    }
}

/// A record whose structure has been checked; its values are decoded when they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    version: u8,
    fields: Fields<'a>,
}

impl<'a> Record<'a> {
    /// Reads a record of the version that the caller knows.
    ///
    /// # Errors
    /// The record has another version, or it is damaged.
    pub fn read(known: u8, bytes: &'a [u8]) -> Result<Self, RecordError> {
        let record = Self::read_any(bytes)?;
        if record.version == known {
            Ok(record)
        } else {
            Err(RecordError::Version {
                found: record.version,
                known,
            })
        }
    }

    /// Reads a record of any version.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn read_any(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (version, rest) = bytes
            .split_first()
            .ok_or(RecordError::Damaged("it is empty"))?;
        Ok(Self {
            version: *version,
            fields: Fields::read(rest)?,
        })
    }

    /// The record's version.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// All fields, by number.
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }

    /// The value of a field; `None` if the record does not have it.
    ///
    /// # Errors
    /// The field does not hold such a value.
    pub fn get<T: DeserializeOwned>(&self, number: Number) -> Result<Option<T>, RecordError> {
        self.fields.get(number)
    }

    /// The value of a field that each record of this kind has.
    ///
    /// # Errors
    /// The field is missing, or does not hold such a value.
    pub fn need<T: DeserializeOwned>(&self, number: Number) -> Result<T, RecordError> {
        self.fields.need(number)
    }
}

/// Fields in the order of their numbers. Iterating gives each number with its value's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Checks that `bytes` are nothing but fields in order.
    ///
    /// # Errors
    /// They are not.
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let (mut rest, mut last, mut count) = (bytes, None, 0_usize);
        while !rest.is_empty() {
            let (number, _) = take_field(&mut rest)?;
            if last.is_some_and(|last| last >= number) {
                return Err(RecordError::Damaged("its fields are not in order"));
            }
            last = Some(number);
            count = count.saturating_add(1);
            if count > MAX_FIELDS {
                return Err(RecordError::TooLarge);
            }
        }
        Ok(Self { rest: bytes })
    }

    /// The bytes of a field's value; `None` if there is no such field.
    pub fn bytes(self, number: Number) -> Option<&'a [u8]> {
        self.take_while(|(found, _)| *found <= number)
            .find_map(|(found, value)| (found == number).then_some(value))
    }

    /// The value of a field; `None` if there is no such field.
    ///
    /// # Errors
    /// The field does not hold such a value.
    pub fn get<T: DeserializeOwned>(self, number: Number) -> Result<Option<T>, RecordError> {
        self.bytes(number)
            .map(|value| decode(number, value))
            .transpose()
    }

    /// The value of a field that must be there.
    ///
    /// # Errors
    /// The field is missing, or does not hold such a value.
    pub fn need<T: DeserializeOwned>(self, number: Number) -> Result<T, RecordError> {
        self.get(number)?.ok_or(RecordError::Missing(number))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Number, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The structure was checked when these fields were read, so an error is the end.
        take_field(&mut self.rest).ok()
    }
}

/// A record that is checked while it is read, for a reader that asks for its fields in the order of
/// their numbers.
///
/// It stands beside [`Record`] for entries, of which one request may read thousands: a [`Record`] is
/// passed over once to be checked and again for each field, but this is passed over once in all, no
/// further than to the last field that is asked for, and no map of the fields is built. It does not
/// count the fields up to [`MAX_FIELDS`], since it keeps none of them.
#[derive(Clone, Debug)]
pub(crate) struct InOrder<'a> {
    rest: &'a [u8],
    last: Number,
    next: Option<(Number, &'a [u8])>,
}

impl<'a> InOrder<'a> {
    /// Begins to read a record of that version.
    ///
    /// # Errors
    /// The record has another version, or its first field is damaged.
    pub(crate) fn read(known: u8, bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (found, rest) = bytes
            .split_first()
            .ok_or(RecordError::Damaged("it is empty"))?;
        if *found != known {
            let found = *found;
            return Err(RecordError::Version { found, known });
        }
        if rest.len() > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let mut record = Self {
            rest,
            last: 0,
            next: None,
        };
        record.advance()?;
        Ok(record)
    }

    /// The bytes of a field's value; `None` if there is no such field, or one after it was asked for
    /// already.
    ///
    /// # Errors
    /// The record is damaged up to there.
    pub(crate) fn bytes(&mut self, number: Number) -> Result<Option<&'a [u8]>, RecordError> {
        while let Some((found, value)) = self.next
            && found <= number
        {
            self.advance()?;
            if found == number {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Checks what was not asked for.
    ///
    /// # Errors
    /// It is damaged.
    pub(crate) fn finish(mut self) -> Result<(), RecordError> {
        while self.next.is_some() {
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), RecordError> {
        if self.rest.is_empty() {
            self.next = None;
            return Ok(());
        }
        let (number, value) = take_field(&mut self.rest)?;
        if number <= self.last {
            return Err(RecordError::Damaged("its fields are not in order"));
        }
        self.last = number;
        self.next = Some((number, value));
        Ok(())
    }
}

/// Writes a record, field by field in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Writer<'old> {
    bytes: Vec<u8>,
    /// The last number that was written; 0 before the first, as no field has that number.
    last: Number,
    count: usize,
    /// Fields of the record that this one replaces, those first that were not passed yet.
    old: std::iter::Peekable<Fields<'old>>,
    error: Option<RecordError>,
}

impl<'old> Writer<'old> {
    /// Begins a record.
    pub fn new(version: u8) -> Self {
        Self::after(vec![version])
    }

    /// Begins fields that follow a head of the caller's own.
    pub fn after(head: Vec<u8>) -> Self {
        Self {
            bytes: head,
            last: 0,
            count: 0,
            old: Fields::default().peekable(),
            error: None,
        }
    }

    /// Begins a record that replaces another one: fields of the old record whose numbers are above
    /// `known`, which this program does not know, are kept. Fields up to `known` are the
    /// program's own: what it does not write is gone.
    pub fn over(version: u8, old: Record<'old>, known: Number) -> Self {
        let mut fields = old.fields();
        let mut kept = fields;
        while fields.next().is_some_and(|(number, _)| number <= known) {
            kept = fields;
        }
        Self {
            bytes: vec![version],
            last: 0,
            count: 0,
            old: kept.peekable(),
            error: None,
        }
    }

    /// Writes a field. Numbers begin at 1 and ascend; a wrong one, or a value that cannot be
    /// encoded, is an error of [`Writer::finish`].
    pub fn put<T: Serialize + ?Sized>(&mut self, number: Number, value: &T) -> &mut Self {
        self.begin(number);
        let at = self.bytes.len();
        // Most values are short: their length takes this one byte.
        self.bytes.push(0);
        let written = bincode::serde::encode_into_std_write(
            value,
            &mut self.bytes,
            bincode::config::standard(),
        );
        match written {
            Ok(_) => self.insert_length(at),
            Err(error) => self.fail(RecordError::Value {
                number,
                reason: error.to_string(),
            }),
        }
        self
    }

    /// Writes a field if there is a value.
    pub fn put_some<T: Serialize>(&mut self, number: Number, value: Option<&T>) -> &mut Self {
        match value {
            Some(value) => self.put(number, value),
            None => self,
        }
    }

    /// Writes a field whose value is raw bytes.
    pub fn put_bytes(&mut self, number: Number, value: &[u8]) -> &mut Self {
        self.begin(number);
        put_varint(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(value);
        self
    }

    /// The record.
    ///
    /// # Errors
    /// A field was out of order or could not be encoded, or the record is too large.
    pub fn finish(mut self) -> Result<Vec<u8>, RecordError> {
        self.keep_below(None);
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.bytes.len() > MAX_BYTES || self.count > MAX_FIELDS {
            return Err(RecordError::TooLarge);
        }
        Ok(self.bytes)
    }

    fn begin(&mut self, number: Number) {
        self.keep_below(Some(number));
        if number <= self.last {
            self.fail(RecordError::Damaged("its fields are not in order"));
        }
        self.write_number(number);
    }

    /// Writes the old record's fields below a number, or all that are left.
    fn keep_below(&mut self, number: Option<Number>) {
        while let Some((kept, value)) = self
            .old
            .next_if(|(kept, _)| number.is_none_or(|number| *kept < number))
        {
            if kept > self.last {
                self.write_number(kept);
                put_varint(&mut self.bytes, value.len());
                self.bytes.extend_from_slice(value);
            }
        }
    }

    fn write_number(&mut self, number: Number) {
        put_varint(&mut self.bytes, usize::from(number));
        self.last = number;
        self.count = self.count.saturating_add(1);
    }

    /// Puts the length of what follows the byte at `at` in its place.
    fn insert_length(&mut self, at: usize) {
        let length = self.bytes.len().saturating_sub(at + 1);
        if length < 0x80 {
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte = low_bits(length);
            }
            return;
        }
        let mut prefix = Vec::with_capacity(4);
        put_varint(&mut prefix, length);
        self.bytes.splice(at..=at, prefix);
    }

    fn fail(&mut self, error: RecordError) {
        self.error.get_or_insert(error);
    }
}

/// Decodes the value of a field, which fills its bytes exactly.
///
/// # Errors
/// The bytes are not such a value.
pub fn decode<T: DeserializeOwned>(number: Number, value: &[u8]) -> Result<T, RecordError> {
    let config = bincode::config::standard().with_limit::<MAX_BYTES>();
    let wrong = |reason| RecordError::Value { number, reason };
    let (decoded, read) = bincode::serde::decode_from_slice(value, config)
        .map_err(|error| wrong(error.to_string()))?;
    if read == value.len() {
        Ok(decoded)
    } else {
        Err(wrong(format!("{} bytes follow it", value.len() - read)))
    }
}

/// Takes a field from the front of `bytes`.
#[inline]
fn take_field<'a>(bytes: &mut &'a [u8]) -> Result<(Number, &'a [u8]), RecordError> {
    let number = Number::try_from(take_varint(bytes)?)
        .ok()
        .filter(|number| *number > 0)
        .ok_or(RecordError::Damaged("a field has an impossible number"))?;
    let length = take_varint(bytes)?;
    let (value, rest) = bytes
        .split_at_checked(length)
        .ok_or(RecordError::Damaged("it ends within a field"))?;
    *bytes = rest;
    Ok((number, value))
}

fn put_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low_bits(value));
}

/// The lowest seven bits.
fn low_bits(value: usize) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or_default()
}

#[inline]
fn take_varint(bytes: &mut &[u8]) -> Result<usize, RecordError> {
    let mut value = 0_usize;
    // Four groups of seven bits hold any length up to the bound of a record.
    for shift in [0_u32, 7, 14, 21] {
        let (byte, rest) = bytes
            .split_first()
            .ok_or(RecordError::Damaged("it ends within a field"))?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let is_short = *byte != 0 || shift == 0;
            return is_short.then_some(value).ok_or(RecordError::Damaged(
                "a number takes more bytes than it needs",
            ));
        }
    }
    Err(RecordError::Damaged("a number is too large"))
}

#[cfg(test)]
mod tests;
