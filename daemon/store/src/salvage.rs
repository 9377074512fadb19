//! What is intact in damaged journals behind the damage: changes of lists, which have checksums of their
//! own, and salts, which are signed.
//!
//! They do not go into the database as they stand, since what they build on may be lost: the lists
//! machine judges them as it judges those of a peer. All other rows behind the damage follow from them, or
//! are lost: registrations, tokens and what the cluster machine keeps.

use super::commit::Failure;
use super::db::{Db, Outlives, Space, View};
use super::journal::{self, Item};
use super::read::name_of;
use super::{ReadError, keys};
use bytes::Bytes;
use crdt::list::{self, Salt};
use names::{ChangeId, EntryId, ListId, ListName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal that was damaged, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it is kept.
    pub file: PathBuf,
    /// How many changes of lists are intact behind the damage.
    pub intact: usize,
    /// How many of them added entries only, and are not in their lists, but all of their entries are:
    /// somebody has written them anew.
    pub anew: usize,
    /// All others that the store has not got since.
    pub missing: Vec<Salvaged>,
}

/// A change that was found behind the damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Its list.
    pub list: ListId,
    /// The list's name; `None` if that is known no more.
    pub name: Option<ListName>,
    /// Which change of which actor it is.
    pub id: ChangeId,
    /// The entries that it adds, if it does nothing else.
    pub adds: Vec<EntryId>,
    /// The raw change.
    pub bytes: Bytes,
}

/// What is found in one journal.
#[derive(Default)]
struct Found {
    changes: BTreeMap<(ListId, ChangeId), Bytes>,
    names: BTreeMap<ListId, ListName>,
    salts: BTreeSet<Salt>,
}

impl Found {
    fn in_journal(file: &Path) -> std::io::Result<Self> {
        let bytes = journal::read(file)?;
        let mut found = Self::default();
        for item in journal::items_behind(&bytes) {
            found.take(&item);
        }
        Ok(found)
    }

    /// Takes a row if it proves itself: a change by its checksum and its key, a name by its list's id, a
    /// salt by its key.
    fn take(&mut self, item: &Item<'_>) {
        let key = item.key;
        if let Some(name) = keys::list_name(key) {
            let list = ListId::of(&name);
            if item.value().is_some_and(|value| value == list.0) {
                self.names.insert(list, name);
            }
        }
        if key.starts_with(keys::SALT) {
            let salt = item.value().and_then(|value| Salt::read(value.into()).ok());
            self.salts
                .extend(salt.filter(|salt| keys::salt(salt) == key));
        }
        if let Some(list) = keys::list_of_change(key)
            && let Some(bytes) = item.value().map(Bytes::from)
            && let Ok(change) = list::judge(bytes)
            && keys::change(list, change.id()) == key
        {
            let bytes = change.bytes().clone();
            self.changes.insert((list, change.id()), bytes);
        }
    }
}

/// The damage that is kept in `dir` and that nobody has acknowledged, with what the store lacks of what is
/// intact behind it.
pub(super) fn damages(dir: &Path, view: &View) -> Result<Vec<Damage>, ReadError> {
    let unreadable = |error: std::io::Error| ReadError::Failed(error.to_string());
    let mut damages = Vec::new();
    for file in journal::kept(dir).map_err(unreadable)? {
        let Found { changes, names, .. } = Found::in_journal(&file).map_err(unreadable)?;
        let mut damage = Damage {
            file,
            intact: changes.len(),
            anew: 0,
            missing: Vec::new(),
        };
        for ((list, id), bytes) in changes {
            let name = match names.get(&list) {
                Some(name) => Some(name.clone()),
                None => name_of(view, list)?,
            };
            damage.missing.push(Salvaged {
                list,
                name,
                id,
                adds: ids_of(&bytes),
                bytes,
            });
        }
        compare(&mut damage, view)?;
        damages.push(damage);
    }
    Ok(damages)
}

/// Takes from what is missing what the store has got since.
pub(super) fn compare(damage: &mut Damage, view: &View) -> Result<(), ReadError> {
    let mut left = Vec::new();
    for change in std::mem::take(&mut damage.missing) {
        if is_here(view, &change)? {
            continue;
        }
        if is_anew(view, &change)? {
            damage.anew += 1;
        } else {
            left.push(change);
        }
    }
    damage.missing = left;
    Ok(())
}

/// The entries that a change adds; empty if it does anything else.
fn ids_of(bytes: &Bytes) -> Vec<EntryId> {
    let additions = list::additions(bytes.clone());
    let entries = additions.into_iter().flat_map(|adds| adds.entries);
    entries.filter_map(|entry| entry.id).collect()
}

fn is_here(view: &View, change: &Salvaged) -> Result<bool, ReadError> {
    let Salvaged { list, id, .. } = *change;
    let aside = keys::aside(list, id, list::hash_of(&change.bytes));
    let applied = view.get(Space::Changes, &keys::change(list, id))?;
    Ok(applied.is_some() || view.get(Space::Aside, &aside)?.is_some())
}

/// Whether a change adds entries only, and all of them are in the list.
fn is_anew(view: &View, change: &Salvaged) -> Result<bool, ReadError> {
    for id in &change.adds {
        if view.get(Space::Ids, &keys::id(change.list, *id))?.is_none() {
            return Ok(false);
        }
    }
    Ok(!change.adds.is_empty())
}

/// Has the salts that are behind the damage in the database again: without them nobody could say any
/// more whose the changes are.
pub(super) fn restore_salts(dir: &Path, db: &Arc<Db>) -> Result<(), Failure> {
    let view = View::of(Arc::clone(db));
    let mut rows = Vec::new();
    for file in journal::kept(dir).map_err(fjall::Error::Io)? {
        let found = Found::in_journal(&file).map_err(fjall::Error::Io)?;
        for salt in found.salts {
            let key = keys::salt(&salt);
            if view.get(Space::Meta, &key)?.is_none() {
                let value = fjall::Slice::from(salt.relayed().bytes().as_ref());
                rows.push(((Space::Meta, key), Some(value)));
            }
        }
    }
    if !rows.is_empty() {
        db.commit(rows, Outlives::Host)?;
    }
    Ok(())
}
