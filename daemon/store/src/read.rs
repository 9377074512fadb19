//! What the API and the jobs read. All reads are of committed and synced rows, each call on one
//! consistent view.

mod opening;
mod presence;
mod quarantine;
mod source;
mod tables;

pub use quarantine::Quarantined;

pub(super) use opening::{Known, known, quarantined};

use super::db::{Scan, Slot, Space, View};
use super::{TokenRow, keys, rows};
use bytes::Bytes;
use crdt::entry::{Due, Entry};
use crdt::list::Ruling;
use crdt::record::RecordError;
use crdt::vector::{Sums, Tip, VersionVector};
use names::{ChangeId, EntryId, ListId, ListName};
use node::lists::ListRow;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store is being reopened after a failed commit: try again in a moment.
    #[error("the store is being reopened")]
    Reopening,
    /// The disk, or the database on it, failed.
    #[error("{0}")]
    Failed(String),
    /// A table of the database does not hold what was written: a block of the disk went bad. Trying again does
    /// not help.
    #[error("a table of the database is damaged: {0}")]
    Damaged(String),
    /// A row of the list's view does not hold what it should. The view can be made anew from the
    /// list's changes.
    #[error("a row of the list {list} is damaged: {reason}")]
    View {
        /// Which list.
        list: ListId,
        /// What is wrong with the row.
        reason: String,
    },
    /// A row of the list's view was converted from an earlier format, and has not all that is asked
    /// for until it is made anew from the list's changes.
    #[error("the rows of the list {list} are of an earlier format, and are still to be made anew")]
    Converted {
        /// Which list.
        list: ListId,
    },
    /// A row that nothing can be made anew from does not hold what it should, or a newer program
    /// wrote it.
    #[error("{row} cannot be read: {reason}")]
    Row {
        /// Which row.
        row: String,
        /// What is wrong with it.
        reason: RecordError,
    },
}

impl ReadError {
    /// A row of a list's view is damaged.
    pub(super) fn view(list: ListId, reason: impl fmt::Display) -> Self {
        Self::View {
            list,
            reason: reason.to_string(),
        }
    }

    /// Another row is.
    pub(super) fn row(row: impl Into<String>, reason: RecordError) -> Self {
        Self::Row {
            row: row.into(),
            reason,
        }
    }
}

impl From<fjall::Error> for ReadError {
    fn from(error: fjall::Error) -> Self {
        if is_damage(&error) {
            Self::Damaged(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}

/// Whether a block was read that is not what was written.
fn is_damage(error: &fjall::Error) -> bool {
    use fjall::LsmError as E;
    matches!(
        error,
        fjall::Error::Storage(
            E::ChecksumMismatch { .. }
                | E::Decompress(_)
                | E::InvalidTag(_)
                | E::InvalidTrailer
                | E::InvalidHeader(_)
                | E::Utf8(_)
        ) | fjall::Error::Decompress(_)
            | fjall::Error::InvalidTag(_)
            | fjall::Error::InvalidTrailer
    )
}

/// Where an entry stands in the order of all entries of all lists: by due time (none last), list,
/// order and id.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AgendaKey {
    /// Its due time, as [`crdt::entry::Due::sort_ms`].
    pub due_ms: Option<i64>,
    /// Its list.
    pub list: ListName,
    /// Its sort key in the list.
    pub order: String,
    /// Its id.
    pub id: EntryId,
}

impl AgendaKey {
    fn of(list: &ListName, entry: &Entry) -> Self {
        Self {
            due_ms: entry.due.map(|due| due.sort_ms()),
            list: list.clone(),
            order: entry.order.clone(),
            id: entry.id,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        keys::agenda(
            &keys::due(self.due_ms),
            &self.list,
            &keys::place(&self.order, self.id),
        )
    }
}

/// Reads the store. Cheap to clone, and usable from any thread; calls block for the disk only when
/// rows are not cached.
///
/// Iterators keep the view that they were made with: drop them soon, a failed store cannot be
/// reopened before. After an error they end.
#[derive(Clone)]
pub struct Reader {
    slot: Arc<Slot>,
    /// What all is read from, if that is one instant.
    instant: Option<View>,
}

impl Reader {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Self {
            slot,
            instant: None,
        }
    }

    pub(super) fn view(&self) -> Result<View, ReadError> {
        let db = self.slot.get().ok_or(ReadError::Reopening)?;
        match &self.instant {
            None => Ok(View::of(db)),
            Some(view) if view.is_of(&db) => Ok(view.clone()),
            // It must not keep a store from being reopened.
            Some(_) => Err(ReadError::Reopening),
        }
    }

    /// A reader to which the store stays as it is now. Rows that are replaced stay on the disk as long as it
    /// is there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn at_this_instant(&self) -> Result<Self, ReadError> {
        Ok(Self {
            slot: Arc::clone(&self.slot),
            instant: Some(self.view()?),
        })
    }

    /// The line of a list; also of one without entries.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self, id: ListId) -> Result<Option<ListRow>, ReadError> {
        list_at(&self.view()?, id)
    }

    /// All lists by name, those after `after`; also those without entries.
    pub fn lists(
        &self,
        after: Option<&ListName>,
    ) -> impl Iterator<Item = Result<ListRow, ReadError>> + Send + use<> {
        let from = after.map_or(Bound::Unbounded, |name| {
            Bound::Excluded(name.as_str().as_bytes().to_vec())
        });
        walk(
            self.view(),
            move |view| view.scan(Space::Names, (from, Bound::Unbounded)),
            |view, name, _| {
                // The id in the row follows from the name, which is what the row is found by.
                keys::list_name(name).map_or(Ok(None), |name| list_at(view, ListId::of(&name)))
            },
        )
    }

    /// An entry that is alive, with its tag.
    ///
    /// # Errors
    /// The store cannot be read, or the entry's row has no tag yet.
    pub fn entry(&self, list: ListId, id: EntryId) -> Result<Option<Entry>, ReadError> {
        let view = self.view()?;
        let Some(stand) = view.get(Space::Ids, &keys::id(list, id))? else {
            return Ok(None);
        };
        let (_, place) = keys::split_due(&stand)
            .ok_or_else(|| ReadError::view(list, "the place of an entry is too short"))?;
        let entry = entry_at(&view, list, place)?;
        // A hash may be 0, too.
        if entry.tag == 0 && is_converted(&view, list)? {
            return Err(ReadError::Converted { list });
        }
        Ok(Some(entry))
    }

    /// The live entries of a list by order and id, those after `after`. Here and in what follows,
    /// entries of a list that was converted have no tags before it is made anew.
    pub fn entries(
        &self,
        list: ListId,
        after: Option<(&str, EntryId)>,
    ) -> impl Iterator<Item = Result<Entry, ReadError>> + Send + use<> {
        let bounds = entries_bounds(list, after);
        walk(
            self.view(),
            move |view| view.scan(Space::Entries, bounds),
            move |_, _, row| entry_of(list, row).map(Some),
        )
    }

    /// The same, with `None` in the places of those whose due time is not wanted: their rows are not
    /// decoded.
    pub fn entries_due<F: Fn(Option<Due>) -> bool + Send>(
        &self,
        list: ListId,
        after: Option<(&str, EntryId)>,
        is_wanted: F,
    ) -> impl Iterator<Item = Result<Option<Entry>, ReadError>> + Send + use<F> {
        let bounds = entries_bounds(list, after);
        walk(
            self.view(),
            move |view| view.scan(Space::Entries, bounds),
            move |_, _, row| {
                let due = Entry::due_in_row(row).map_err(|error| ReadError::view(list, error))?;
                let entry = is_wanted(due).then(|| entry_of(list, row)).transpose()?;
                Ok(Some(entry))
            },
        )
    }

    /// The live entries of a list that are due between two times (milliseconds since the epoch,
    /// both included), by due time, order and id.
    pub fn due_in(
        &self,
        list: ListId,
        from_ms: i64,
        to_ms: i64,
    ) -> impl Iterator<Item = Result<Entry, ReadError>> + Send + use<> {
        let key = |ms| keys::dated(list, &keys::due(Some(ms)), &[]);
        let bounds = (Bound::Included(key(from_ms)), keys::after(&key(to_ms)));
        walk(
            self.view(),
            move |view| view.scan(Space::Dues, bounds),
            move |view, key, _| {
                let (Some(due), Some(place)) = (keys::due_of_dated(key), keys::place_of_dated(key))
                else {
                    return Err(ReadError::view(list, "a due time is too short"));
                };
                entry_due(view, list, due, place).map(Some)
            },
        )
    }

    /// The live entries of all lists after `after`, by due time (none last), list name, order and
    /// id. With a bound (in milliseconds since the epoch, included) only entries that have a due
    /// time.
    pub fn agenda(
        &self,
        after: Option<&AgendaKey>,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> impl Iterator<Item = Result<(AgendaKey, ListName, Entry), ReadError>> + Send + use<> {
        let bounds = agenda_bounds(after, from_ms, to_ms);
        walk(
            self.view(),
            move |view| view.scan(Space::Agenda, bounds),
            |view, key, _| {
                // Keys that are none are not of any list that could be made anew.
                let Some((due, name, place)) = keys::split_agenda(key) else {
                    return Ok(None);
                };
                let entry = entry_due(view, ListId::of(&name), due, place)?;
                Ok(Some((AgendaKey::of(&name, &entry), name, entry)))
            },
        )
    }

    /// How many live entries of the list stand before that place. Counts them: proportional to the
    /// answer.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn position(&self, list: ListId, order: &str, id: EntryId) -> Result<u64, ReadError> {
        let before = Bound::Excluded(keys::entry(list, &keys::place(order, id)));
        self.view()?
            .scan(Space::Entries, (Bound::Included(list.0.to_vec()), before))
            .count_keys()
    }

    /// What was kept last with [`super::Store::keep_cluster`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cluster(&self) -> Result<Option<Bytes>, ReadError> {
        Ok(self
            .view()?
            .get(Space::Meta, super::CLUSTER)?
            .map(|bytes| Bytes::copy_from_slice(&bytes)))
    }

    /// The rows kept with [`super::Store::keep_token`], by the tokens' ids.
    ///
    /// # Errors
    /// The store cannot be read, or a row of it: this node must not start without the token.
    pub fn tokens(&self) -> Result<Vec<([u8; 8], TokenRow)>, ReadError> {
        let rows = self.view()?.scan_prefix(Space::Meta, keys::TOKEN);
        let token = |(key, value): (fjall::Slice, fjall::Slice)| {
            let id = key.get(keys::TOKEN.len()..).unwrap_or_default();
            let title = || {
                let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("the row of the token {digits}")
            };
            let row = TokenRow::decode(&value).map_err(|error| ReadError::row(title(), error))?;
            let damaged = RecordError::Damaged("its key is none");
            let id = id
                .try_into()
                .map_err(|_| ReadError::row(title(), damaged))?;
            Ok((id, row))
        };
        rows.map(|row| row.and_then(token)).collect()
    }
}

/// The sums of a list: over its vector, and what it is without.
pub(super) fn sums_of(
    view: &View,
    list: ListId,
    vector: &VersionVector,
) -> Result<Sums, ReadError> {
    let mut sums = vector.sums(list);
    for row in view.scan_prefix(Space::LeftOut, &list.0) {
        if let Some(ruling) = Ruling::of_checked(&row?.1) {
            sums.leave_out(list, ruling);
        }
    }
    Ok(sums)
}

/// The name of a list; where its row is damaged, that of the names which has this id.
pub(super) fn name_of(view: &View, list: ListId) -> Result<Option<ListName>, ReadError> {
    let row = view.get(Space::Lists, &list.0)?;
    match row.map(|row| rows::decode_list_name(&row)) {
        Some(Ok(name)) => Ok(Some(name)),
        Some(Err(_)) => {
            for row in view.scan_prefix(Space::Names, &[]) {
                let name = keys::list_name(&row?.0);
                if let Some(name) = name.filter(|name| ListId::of(name) == list) {
                    return Ok(Some(name));
                }
            }
            Ok(None)
        }
        None => Ok(None),
    }
}

/// The version vector of a list. What a row should say that is damaged, or that knows the number
/// only, follows from the changes.
pub(super) fn vector_of(view: &View, list: ListId) -> Result<VersionVector, ReadError> {
    let mut vector = VersionVector::default();
    for row in view.scan_prefix(Space::Vectors, &list.0) {
        let (key, row) = row?;
        let Some(actor) = keys::actor_of(&key) else {
            continue;
        };
        let tip = match rows::decode_vector(&row) {
            Ok((seq, mark @ Some(_))) => Some(Tip {
                id: ChangeId { actor, seq },
                mark,
            }),
            Ok((_, None)) | Err(_) => view.last_change(list, actor)?,
        };
        tip.into_iter().for_each(|tip| vector.insert(tip));
    }
    Ok(vector)
}

fn agenda_bounds(
    after: Option<&AgendaKey>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
) -> keys::Bounds {
    let from = from_ms.map_or_else(Vec::new, |ms| keys::due(Some(ms)).to_vec());
    let dated = from_ms.or(to_ms).is_some();
    let last = if dated {
        keys::due(Some(to_ms.unwrap_or(i64::MAX))).to_vec()
    } else {
        Vec::new()
    };
    let start = match after.map(AgendaKey::bytes) {
        Some(after) if after >= from => Bound::Excluded(after),
        Some(_) | None => Bound::Included(from),
    };
    (start, keys::after(&last))
}

fn list_at(view: &View, list: ListId) -> Result<Option<ListRow>, ReadError> {
    let row = view.get(Space::Lists, &list.0)?;
    row.map(|row| rows::decode_list(&row).map_err(|error| ReadError::view(list, error)))
        .transpose()
}

/// Whether rows of the list may be as they were converted.
fn is_converted(view: &View, list: ListId) -> Result<bool, ReadError> {
    let row = view.get(Space::Lists, &list.0)?;
    let row = row.ok_or_else(|| ReadError::view(list, "the list's row is missing"))?;
    let (_, has_unknown_keys) =
        rows::decode_list_sums(&row).map_err(|error| ReadError::view(list, error))?;
    Ok(has_unknown_keys.is_none())
}

/// All entries of a list, or those that follow one.
fn entries_bounds(list: ListId, after: Option<(&str, EntryId)>) -> keys::Bounds {
    let all = keys::within(&list.0);
    let from = after.map_or(all.0, |(order, id)| {
        Bound::Excluded(keys::entry(list, &keys::place(order, id)))
    });
    (from, all.1)
}

fn entry_of(list: ListId, row: &[u8]) -> Result<Entry, ReadError> {
    rows::decode_entry(row).map_err(|error| ReadError::view(list, error))
}

/// The entry at a place that another row names.
fn entry_at(view: &View, list: ListId, place: &[u8]) -> Result<Entry, ReadError> {
    let row = view.get(Space::Entries, &keys::entry(list, place))?;
    let row = row.ok_or_else(|| ReadError::view(list, "an entry is missing"))?;
    entry_of(list, &row)
}

/// The entry at a place that an index by due time names.
fn entry_due(view: &View, list: ListId, due: &[u8], place: &[u8]) -> Result<Entry, ReadError> {
    let entry = entry_at(view, list, place)?;
    if keys::due(entry.due.map(|due| due.sort_ms())) == due {
        Ok(entry)
    } else {
        Err(ReadError::view(list, "an entry stands at another due time"))
    }
}

/// Makes one item of each row of a scan that has one. Ends after the first error.
fn walk<T>(
    view: Result<View, ReadError>,
    scan: impl FnOnce(&View) -> Scan,
    item: impl Fn(&View, &[u8], &[u8]) -> Result<Option<T>, ReadError> + Send,
) -> impl Iterator<Item = Result<T, ReadError>> + Send {
    let mut rows = view.map(|view| (scan(&view), view)).map_err(Some);
    std::iter::from_fn(move || {
        let (scan, view) = match &mut rows {
            Ok(open) => open,
            Err(error) => return error.take().map(Err),
        };
        let found = scan.find_map(|row| {
            row.and_then(|(key, value)| item(view, &key, &value))
                .transpose()
        })?;
        if found.is_err() {
            rows = Err(None);
        }
        Some(found)
    })
}
