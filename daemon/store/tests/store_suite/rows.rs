//! What the store's tests share: rows of small lists, and commits that are waited for.

use bytes::Bytes;
use crdt::entry::{Author, Due, Entry};
use crdt::list::hash_of;
use crdt::vector::{Tip, VersionVector};
use names::{Actor, ChangeId, EntryId, ListId, ListName};
use node::lists::{ListRow, Row};
use node::wire::WriteError;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use store::{Notice, Recovered, Store};

pub(crate) const ACTOR: Actor = Actor([7; 16]);

/// Opens a store; what it has to say comes out of the channel.
pub(crate) fn open(dir: &Path) -> (Store, Recovered, Receiver<Notice>) {
    let (tell, told) = channel();
    let (store, recovered) =
        Store::open(dir, move |notice| tell.send(notice).unwrap_or(()), |_| {}).unwrap();
    (store, recovered, told)
}

/// Commits and waits.
pub(crate) fn commit(store: &Store, rows: Vec<Row>) -> Result<(), WriteError> {
    let (tell, told) = channel();
    store.commit(rows, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap()
}

pub(crate) fn name(list: u64) -> ListName {
    ListName::new(&format!("list {list}")).unwrap()
}

pub(crate) fn id(list: u64) -> ListId {
    ListId::of(&name(list))
}

pub(crate) fn change(list: u64, seq: u64) -> Row {
    Row::Change {
        list: id(list),
        id: ChangeId { actor: ACTOR, seq },
        hash: hash_of(&change_bytes(list, seq)),
        bytes: change_bytes(list, seq),
    }
}

/// The vector of a list that has so many of these changes.
pub(crate) fn vector(list: u64, seq: u64) -> VersionVector {
    let id = ChangeId { actor: ACTOR, seq };
    [Tip::of(id, hash_of(&change_bytes(list, seq)))]
        .into_iter()
        .collect()
}

/// About as long as a real change.
pub(crate) fn change_bytes(list: u64, seq: u64) -> Bytes {
    Bytes::from(format!("{list} {seq} ").repeat(30))
}

pub(crate) fn list(list: u64, total: u64, vector: &VersionVector) -> Row {
    let row = ListRow {
        name: name(list),
        total,
        open: total,
        modified_at: 5,
        heads: Vec::new(),
        sums: vector.sums(id(list)),
        has_unknown_keys: false,
    };
    Row::List {
        list: id(list),
        row,
    }
}

pub(crate) fn entry(entry_id: u64, title: &str, order: &str, due: Option<Due>) -> Entry {
    Entry {
        title: title.to_owned(),
        due,
        tags: vec!["home".to_owned()],
        order: order.to_owned(),
        created_at: 1,
        created_by: Author("alice@n1".to_owned()),
        modified_at: 2,
        modified_by: Author("alice@n1".to_owned()),
        ..Entry::new(EntryId(entry_id.into()))
    }
}

pub(crate) fn entry_row(list: u64, entry: Entry) -> Row {
    Row::Entry {
        list: id(list),
        id: entry.id,
        entry: Some(Arc::new(entry)),
    }
}
