//! From format 1 to format 2.
//!
//! Rows of format 1 are structs in bincode, which cannot be told from other rows: so they are
//! converted into keyspaces of their own, and the old ones go when the file `format` says 2. Until
//! then the directory is one of format 1, to an older program too. What an earlier attempt left in
//! the new keyspaces is removed first.
//!
//! Changes and indexes are the same in both formats. Rows of the view that are damaged stay so:
//! they are made anew from the changes after the start, as all lists are that were converted.

mod entry;

use super::commit::Failure;
use super::db::{Db, Outlives, Space, View};
use super::{CLUSTER, TokenRow, keys, rows};
use crdt::entry::Entry;
use crdt::record::RecordError;
use crdt::vector::{Numbers, Sums, VersionVector};
use entry::EntryRow;
use fjall::Slice;
use names::{ChangeHash, ListName};
use node::cluster::convert_kept;
use node::lists::ListRow;
use node::registry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The keyspaces of format 1 whose rows have another form now, and where these go.
const MOVED: [(&str, Space, Convert); 6] = [
    ("vectors", Space::Vectors, vector),
    ("lists", Space::Lists, list),
    ("entries", Space::Entries, entry),
    ("snapshots", Space::Snapshots, snapshot),
    ("processes", Space::Processes, process),
    ("meta", Space::Meta, meta),
];
/// About how many bytes are committed at once.
const BATCH_BYTES: usize = 1 << 20;
/// More than any row has.
const MAX_ROW_BYTES: usize = 64 << 20;

/// Makes a row's value from its key and its old value; `None` drops the row.
type Convert = fn(&[u8], &[u8]) -> Result<Option<Vec<u8>>, Refused>;

/// Why a row was not converted, in words.
struct Refused(String);

/// Why a directory was not converted. It is of format 1 as before.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConvertError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Failure),
    /// A row that must not be lost is not what format 1 has.
    #[error("{row} cannot be read: {reason}")]
    Row { row: &'static str, reason: String },
}

impl From<fjall::Error> for ConvertError {
    fn from(error: fjall::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<RecordError> for Refused {
    fn from(error: RecordError) -> Self {
        Self(error.to_string())
    }
}

/// Makes all rows of format 2. What is there of format 1 stays.
pub(super) fn from_format_1(db: &Arc<Db>) -> Result<(), ConvertError> {
    for (name, space, convert) in MOVED {
        remove_all(db, space)?;
        let Some(old) = db.old(name)? else {
            continue;
        };
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        for row in old.iter() {
            let (key, value) = row.into_inner()?;
            let converted = convert(&key, &value).map_err(|Refused(reason)| ConvertError::Row {
                row: title(&key, space),
                reason,
            })?;
            let Some(value) = converted else {
                continue;
            };
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            batch.push(((space, key.to_vec()), Some(Slice::from(value))));
            if bytes >= BATCH_BYTES {
                commit(db, &mut batch)?;
                bytes = 0;
            }
        }
        commit(db, &mut batch)?;
    }
    // The last commit syncs the journal, and with it all commits before.
    db.commit([], Outlives::Host)?;
    Ok(db.flush()?)
}

/// Removes what is left of format 1.
pub(super) fn drop_format_1(db: &Db) -> Result<(), fjall::Error> {
    MOVED.iter().try_for_each(|(name, ..)| db.drop_old(name))
}

type Write = ((Space, Vec<u8>), Option<Slice>);

fn commit(db: &Db, batch: &mut Vec<Write>) -> Result<(), fjall::Error> {
    db.commit(std::mem::take(batch), Outlives::Host)?;
    db.relieve()
}

/// Removes what an earlier attempt has left.
fn remove_all(db: &Arc<Db>, space: Space) -> Result<(), ConvertError> {
    let mut batch = Vec::new();
    for row in View::of(Arc::clone(db)).scan_prefix(space, &[]) {
        let (key, _) = row.map_err(Failure::from)?;
        batch.push(((space, key.to_vec()), None));
        if batch.len() >= BATCH_BYTES / 256 {
            commit(db, &mut batch)?;
        }
    }
    Ok(commit(db, &mut batch)?)
}

/// What a sentence calls a row.
fn title(key: &[u8], space: Space) -> &'static str {
    if space == Space::Processes {
        "a row of the process registry"
    } else if key == CLUSTER {
        "the state of the cluster"
    } else if key.starts_with(keys::TOKEN) {
        "the row of a token"
    } else {
        "a row"
    }
}

/// Decodes a value from the beginning of `bytes`, as format 1 does.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let config = bincode::config::standard().with_limit::<MAX_ROW_BYTES>();
    let decoded = bincode::serde::decode_from_slice(bytes, config);
    decoded.ok().map(|(value, _)| value)
}

/// Eight bytes, big endian.
fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn vector(_: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    match number(value) {
        Some(seq) => Ok(Some(rows::encode_vector(seq, None)?)),
        None => Ok(Some(value.to_vec())),
    }
}

/// A list's row as format 1 has it, behind the sum in eight bytes.
#[derive(Deserialize)]
struct ListRow1 {
    name: ListName,
    total: u64,
    open: u64,
    modified_at: i64,
    heads: Vec<ChangeHash>,
    sum: u64,
}

fn list(_: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let Some(row) = value.get(8..).and_then(decode::<ListRow1>) else {
        return Ok(Some(value.to_vec()));
    };
    let row = ListRow {
        name: row.name,
        total: row.total,
        open: row.open,
        modified_at: row.modified_at,
        heads: row.heads,
        sums: Sums {
            numbers: row.sum,
            content: 0,
        },
        has_unknown_keys: true,
    };
    Ok(Some(rows::encode_converted_list(&row)?))
}

fn entry(_: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    match decode::<EntryRow>(value) {
        Some(row) => Ok(Some(rows::encode_entry(&Entry::from(row))?)),
        None => Ok(Some(value.to_vec())),
    }
}

/// A snapshot is a cache: one that cannot be read is dropped.
fn snapshot(_: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let read = || {
        let (length, rest) = value.split_at_checked(8)?;
        let length = usize::try_from(number(length)?).ok()?;
        let (vector, document) = rest.split_at_checked(length)?;
        Some((VersionVector::from(decode::<Numbers>(vector)?), document))
    };
    match read() {
        Some((covers, document)) => Ok(Some(rows::encode_snapshot(&covers, document)?)),
        None => Ok(None),
    }
}

fn process(key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let row = registry::convert_row(key, value).map_err(|error| Refused(error.to_string()))?;
    Ok(row.map(Vec::from))
}

/// A token's record as format 1 has it.
#[derive(Deserialize)]
struct Token1 {
    uid: u32,
    scope: Scope1,
    hash: [u8; 32],
    expires_ms: i64,
}

#[derive(Deserialize)]
enum Scope1 {
    Page,
    Read,
    Sd,
}

fn meta(key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    if key == CLUSTER {
        let kept = convert_kept(value).map_err(|error| Refused(error.to_string()))?;
        return Ok(Some(kept.to_vec()));
    }
    if !key.starts_with(keys::TOKEN) {
        return Ok(Some(value.to_vec()));
    }
    let token: Token1 = decode(value).ok_or_else(|| Refused("it is damaged".to_owned()))?;
    let scope = match token.scope {
        Scope1::Page => "page",
        Scope1::Read => "read",
        Scope1::Sd => "sd",
    };
    let row = TokenRow {
        uid: token.uid,
        scope: scope.to_owned(),
        hash: token.hash,
        expires_ms: token.expires_ms,
    };
    Ok(Some(row.encode()?))
}
