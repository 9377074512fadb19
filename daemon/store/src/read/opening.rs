//! What opening a store reads of its lists.

use super::{ReadError, sums_of, vector_of};
use crate::db::{Db, Space, View};
use crate::{keys, rows};
use crdt::vector::Sums;
use names::ListId;
use node::lists::Remake;
use std::sync::Arc;

/// A list as its row says at opening.
pub(crate) struct Known {
    pub(crate) list: ListId,
    /// The sums of its version vector.
    pub(crate) sums: Sums,
    /// A program wrote its rows that knew numbers only.
    pub(crate) lacks_marks: bool,
    /// Whether it has keys that the row's maker does not know; `None` if its maker did not look.
    pub(crate) has_unknown_keys: Option<bool>,
    /// The row is damaged: the sums are those of the vector.
    pub(crate) is_damaged: bool,
}

impl Known {
    /// Whether the list is to be made anew, and how soon. `is_older`: the directory is of a smaller
    /// table of fields than this program's.
    pub(crate) fn remake(&self, is_older: bool) -> Option<Remake> {
        match self.has_unknown_keys {
            _ if self.is_damaged => Some(Remake::Damaged),
            Some(true) if is_older => Some(Remake::UnknownKeys),
            None => Some(Remake::Converted),
            Some(_) => None,
        }
    }
}

/// All lists.
pub(crate) fn known(db: &Arc<Db>) -> Result<Vec<Known>, ReadError> {
    let view = View::of(Arc::clone(db));
    let known = |(key, row): (fjall::Slice, fjall::Slice)| {
        let list = ListId(rows::id(&key).map_err(|reason| ReadError::row("a list's row", reason))?);
        Ok(match rows::decode_list_sums(&row) {
            Ok((sums, has_unknown_keys)) => Known {
                list,
                sums,
                lacks_marks: !rows::has_content_sum(&row),
                has_unknown_keys,
                is_damaged: false,
            },
            Err(error) => {
                tracing::warn!(%list, %error, "a list's row is damaged: the list is made anew");
                Known {
                    list,
                    sums: sums_of(&view, list, &vector_of(&view, list)?)?,
                    lacks_marks: false,
                    has_unknown_keys: None,
                    is_damaged: true,
                }
            }
        })
    };
    view.scan_prefix(Space::Lists, &[])
        .map(|row| row.and_then(known))
        .collect()
}

/// The lists in quarantine.
pub(crate) fn quarantined(db: &Arc<Db>) -> Result<Vec<ListId>, ReadError> {
    let rows = View::of(Arc::clone(db)).scan_prefix(Space::Meta, keys::QUARANTINE);
    rows.map(|row| {
        let (key, _) = row?;
        let id = rows::id(key.get(keys::QUARANTINE.len()..).unwrap_or_default());
        Ok(ListId(id.map_err(|reason| {
            ReadError::row("the row of a quarantine", reason)
        })?))
    })
    .collect()
}
