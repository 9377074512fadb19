//! Lists in quarantine.

use super::{ReadError, Reader, name_of};
use crate::db::Space;
use crate::{keys, rows};
use names::{ListId, ListName};

/// A list in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which list.
    pub list: ListId,
    /// Its name; `None` if no row says it.
    pub name: Option<ListName>,
    /// Since when, in milliseconds since the epoch; `None` if an earlier program put it there.
    pub since_ms: Option<i64>,
    /// Why, for people.
    pub reason: String,
}

impl Reader {
    /// All lists in quarantine.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn quarantines(&self) -> Result<Vec<Quarantined>, ReadError> {
        let view = self.view()?;
        let mut found = Vec::new();
        for row in view.scan_prefix(Space::Meta, keys::QUARANTINE) {
            let (key, row) = row?;
            let id = rows::id(key.get(keys::QUARANTINE.len()..).unwrap_or_default());
            let id = id.map_err(|reason| ReadError::row("the row of a quarantine", reason))?;
            let (since_ms, reason) = rows::decode_quarantine(&row);
            found.push(Quarantined {
                list: ListId(id),
                name: name_of(&view, ListId(id))?,
                since_ms,
                reason,
            });
        }
        Ok(found)
    }

    /// Why a list is in quarantine; `None` if it is not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn quarantine(&self, list: ListId) -> Result<Option<Quarantined>, ReadError> {
        let view = self.view()?;
        let Some(row) = view.get(Space::Meta, &keys::quarantine(list))? else {
            return Ok(None);
        };
        let (since_ms, reason) = rows::decode_quarantine(&row);
        Ok(Some(Quarantined {
            list,
            name: name_of(&view, list)?,
            since_ms,
            reason,
        }))
    }
}
