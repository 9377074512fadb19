//! What the API and the jobs read. All reads are of committed and synced rows, each call on one
//! consistent view.

use super::db::{Db, Scan, Slot, Space, View};
use super::{keys, rows, values};
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::vector::{Range, VersionVector};
use names::{ChangeId, EntryId, ListId, ListName};
use node::lists::{ListRow, Source, SourceError};
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
    /// A row does not hold what it should.
    #[error("malformed row: {0}")]
    Malformed(String),
}

impl From<fjall::Error> for ReadError {
    fn from(error: fjall::Error) -> Self {
        Self::Failed(error.to_string())
    }
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
}

impl Reader {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Self { slot }
    }

    pub(super) fn view(&self) -> Result<View, ReadError> {
        self.slot.get().map(View::of).ok_or(ReadError::Reopening)
    }

    /// The line of a list; also of one without entries.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self, id: ListId) -> Result<Option<ListRow>, ReadError> {
        self.view()?
            .get(Space::Lists, &id.0)?
            .map(|row| values::decode_list(&row))
            .transpose()
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
            |view, _, id| {
                view.get(Space::Lists, id)?
                    .map(|row| values::decode_list(&row))
                    .transpose()
            },
        )
    }

    /// An entry that is alive.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entry(&self, list: ListId, id: EntryId) -> Result<Option<Entry>, ReadError> {
        let view = self.view()?;
        let Some(stand) = view.get(Space::Ids, &keys::id(list, id))? else {
            return Ok(None);
        };
        let (_, place) =
            keys::split_due(&stand).ok_or_else(|| ReadError::Malformed("ids".to_owned()))?;
        entry_at(&view, list, place)
    }

    /// The live entries of a list by order and id, those after `after`.
    pub fn entries(
        &self,
        list: ListId,
        after: Option<(&str, EntryId)>,
    ) -> impl Iterator<Item = Result<Entry, ReadError>> + Send + use<> {
        let all = keys::within(&list.0);
        let from = after.map_or(all.0, |(order, id)| {
            Bound::Excluded(keys::entry(list, &keys::place(order, id)))
        });
        let bounds = (from, all.1);
        walk(
            self.view(),
            move |view| view.scan(Space::Entries, bounds),
            |_, _, row| values::decode_entry(row).map(Some),
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
                keys::place_of_dated(key).map_or(Ok(None), |place| entry_at(view, list, place))
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
            |view, key, list| {
                let list = ListId(values::id(list)?);
                let Some(place) = keys::place_of_agenda(key) else {
                    return Ok(None);
                };
                let (Some(row), Some(entry)) = (
                    view.get(Space::Lists, &list.0)?,
                    entry_at(view, list, place)?,
                ) else {
                    return Ok(None);
                };
                let name = values::decode_list_name(&row)?;
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

    /// Why a list is in quarantine; `None` if it is not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn quarantine(&self, list: ListId) -> Result<Option<String>, ReadError> {
        let reason = self.view()?.get(Space::Meta, &rows::quarantine_key(list))?;
        Ok(reason.map(|reason| String::from_utf8_lossy(&reason).into_owned()))
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

    /// The records kept with [`super::Store::keep_token`], by id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn tokens(&self) -> Result<Vec<([u8; 8], Bytes)>, ReadError> {
        let rows = self.view()?.scan_prefix(Space::Meta, rows::TOKEN);
        let record = |(key, value): (fjall::Slice, fjall::Slice)| {
            let id = key
                .get(rows::TOKEN.len()..)
                .and_then(|id| id.try_into().ok());
            let id = id.ok_or_else(|| ReadError::Malformed("tokens".to_owned()))?;
            Ok((id, Bytes::copy_from_slice(&value)))
        };
        rows.map(|row| row.and_then(record)).collect()
    }
}

impl Source for Reader {
    fn name(&self, list: ListId) -> Result<Option<ListName>, SourceError> {
        let row = self.view()?.get(Space::Lists, &list.0)?;
        Ok(row.map(|row| values::decode_list_name(&row)).transpose()?)
    }

    fn vector(&self, list: ListId) -> Result<VersionVector, SourceError> {
        let rows = self.view()?.scan_prefix(Space::Vectors, &list.0);
        let ids = rows.map(|row| {
            let (key, seq) = row?;
            let actor =
                keys::actor_of(&key).ok_or_else(|| ReadError::Malformed("vectors".to_owned()))?;
            Ok::<_, ReadError>(ChangeId {
                actor,
                seq: values::number(&seq)?,
            })
        });
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn snapshot(&self, list: ListId) -> Result<Option<(VersionVector, Bytes)>, SourceError> {
        let row = self.view()?.get(Space::Snapshots, &list.0)?;
        Ok(row.map(|row| values::decode_snapshot(&row)).transpose()?)
    }

    fn changes(&self, list: ListId, range: Range) -> Result<Vec<Bytes>, SourceError> {
        let key = |seq| {
            keys::change(
                list,
                ChangeId {
                    actor: range.actor,
                    seq,
                },
            )
        };
        if range.from > range.to {
            return Ok(Vec::new());
        }
        let rows = self.view()?.scan(
            Space::Changes,
            (
                Bound::Included(key(range.from)),
                Bound::Included(key(range.to)),
            ),
        );
        let bytes = rows.map(|row| row.map(|(_, bytes)| Bytes::copy_from_slice(&bytes)));
        Ok(bytes.collect::<Result<_, ReadError>>()?)
    }
}

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

/// The lists with the sums of their version vectors, and those in quarantine: what
/// [`super::Recovered`] needs.
pub(super) fn sums(db: &Arc<Db>) -> Result<Vec<(ListId, u64)>, ReadError> {
    let rows = View::of(Arc::clone(db)).scan_prefix(Space::Lists, &[]);
    rows.map(|row| {
        row.and_then(|(key, row)| Ok((ListId(values::id(&key)?), values::decode_list_sum(&row)?)))
    })
    .collect()
}

/// The lists in quarantine.
pub(super) fn quarantined(db: &Arc<Db>) -> Result<Vec<ListId>, ReadError> {
    let rows = View::of(Arc::clone(db)).scan_prefix(Space::Meta, rows::QUARANTINE);
    rows.map(|row| {
        Ok(ListId(values::id(
            row?.0.get(rows::QUARANTINE.len()..).unwrap_or_default(),
        )?))
    })
    .collect()
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

fn entry_at(view: &View, list: ListId, place: &[u8]) -> Result<Option<Entry>, ReadError> {
    view.get(Space::Entries, &keys::entry(list, place))?
        .map(|row| values::decode_entry(&row))
        .transpose()
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
