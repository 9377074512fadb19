//! What a backup has of a store, and what is left of a list that is taken from other members.

use crate::rows;
use archive::{About, Block, Kind, Writer};
use bytes::Bytes;
use crdt::entry::{Author, Edit, NewEntry};
use crdt::list::{Document, RawChange};
use names::{Actor, ChangeId};
use node::lists::{ListRow, Row, Source};
use store::{Backup, Reader, Store};

/// Changes of list 1 by two actors, the second of whom has seen those of the first.
fn changes() -> (Document, Vec<RawChange>) {
    let mut all = Vec::new();
    let mut document = Document::new(rows::name(1), Actor([9; 16]));
    for actor in [9, 3] {
        document.set_actor(Actor([actor; 16]));
        for _ in 0..20 {
            let entry = NewEntry {
                title: "milk".to_owned(),
                ..NewEntry::default()
            };
            let (edit, by) = (Edit::Add(vec![entry]), Author("ann@n1".to_owned()));
            let drawn = u128::try_from(all.len()).unwrap() + 1;
            let edited = document.edit(&edit, &by, 0, &mut || drawn).unwrap();
            all.push(edited.change.unwrap());
        }
    }
    (document, all)
}

fn row(change: &RawChange) -> Row {
    Row::Change {
        list: rows::id(1),
        id: change.id,
        hash: change.hash,
        bytes: change.bytes.clone(),
    }
}

fn fill(store: &Store) -> Vec<RawChange> {
    let (document, changes) = changes();
    let line = Row::List {
        list: rows::id(1),
        row: ListRow::of(&document),
    };
    let entries = document.entries().into_iter();
    let entries = entries.map(|entry| rows::entry_row(1, entry));
    let all = changes.iter().map(row).chain([line]).chain(entries);
    rows::commit(store, all.collect()).unwrap();
    changes
}

fn backup(reader: &Reader) -> (Vec<Block>, u64) {
    let about = About {
        node: "n1".to_owned(),
        cluster: String::new(),
        made_at_ms: 0,
        program: String::new(),
    };
    let mut writer = Writer::new(Vec::new(), &about).unwrap();
    let mut backup = Backup::begin(reader, &mut writer).unwrap();
    let rows = backup.list(&rows::name(1)).unwrap();
    assert!(!backup.is_lacking());
    let bytes = writer.finish().unwrap();
    let mut reader = archive::Reader::new(bytes.as_slice()).unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        blocks.push(block);
    }
    (blocks, rows)
}

fn of_kind(blocks: &[Block], kind: Kind) -> Vec<Bytes> {
    let found = blocks.iter().filter(|block| block.kind == kind);
    found
        .map(|block| Bytes::from(block.content.clone()))
        .collect()
}

#[test]
fn a_backup_has_each_change_once_behind_those_that_it_depends_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    let changes = fill(&store);
    let (blocks, count) = backup(&store.reader());
    let expected: Vec<Bytes> = changes.iter().map(|change| change.bytes.clone()).collect();
    assert_eq!(
        of_kind(&blocks, Kind::List),
        [rows::name(1).as_str().as_bytes()]
    );
    // By the keys the second actor would come first.
    assert_eq!(of_kind(&blocks, Kind::Change), expected);
    assert_eq!(count, 40);
}

#[test]
fn a_row_that_is_no_change_and_what_stands_behind_a_gap_are_in_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    let changes = fill(&store);
    let (bad, far) = (&changes[4], &changes[7]);
    let spoiled = Row::Change {
        list: rows::id(1),
        id: bad.id,
        hash: bad.hash,
        bytes: Bytes::from_static(b"rubbish"),
    };
    let behind_a_gap = Row::Change {
        list: rows::id(1),
        id: ChangeId {
            actor: Actor([5; 16]),
            seq: 900,
        },
        hash: far.hash,
        bytes: far.bytes.clone(),
    };
    rows::commit(&store, vec![spoiled, behind_a_gap]).unwrap();
    let (blocks, _) = backup(&store.reader());
    let odd = [&bad.id.actor.0[..], &bad.id.seq.to_be_bytes(), b"rubbish"].concat();
    assert_eq!(of_kind(&blocks, Kind::Odd), [odd]);
    let mut held = of_kind(&blocks, Kind::Change);
    held.sort();
    held.dedup();
    assert_eq!(held.len(), 39);
    assert!(held.contains(&far.bytes) && !held.contains(&bad.bytes));
}

#[test]
fn a_reader_of_one_instant_sees_nothing_that_came_later() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    fill(&store);
    let reader = store.reader().at_this_instant().unwrap();
    let drop = Row::Drop { list: rows::id(1) };
    rows::commit(&store, vec![drop, rows::list(2, 0, &rows::vector(2, 1))]).unwrap();
    assert_eq!(of_kind(&backup(&reader).0, Kind::Change).len(), 40);
    assert_eq!(reader.entries(rows::id(1), None).count(), 40);
    let names: Vec<_> = reader.names(None).map(Result::unwrap).collect();
    assert_eq!(names, [rows::name(1)]);
    let names: Vec<_> = store.reader().names(None).map(Result::unwrap).collect();
    assert_eq!(names, [rows::name(2)]);
}

#[test]
fn nothing_of_a_list_is_left_that_is_taken_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = rows::open(dir.path());
    let changes = fill(&store);
    let quarantine = Row::Quarantine {
        list: rows::id(1),
        since_ms: 1,
        reason: "it is odd".to_owned(),
    };
    let made = Row::Made {
        list: rows::id(1),
        id: changes[39].id,
    };
    let other = [rows::list(2, 1, &rows::vector(2, 1)), rows::change(2, 1)];
    rows::commit(
        &store,
        other.into_iter().chain([quarantine, made]).collect(),
    )
    .unwrap();
    rows::commit(&store, vec![Row::Drop { list: rows::id(1) }]).unwrap();
    store.close();
    let (store, recovered, _) = rows::open(dir.path());
    assert!(recovered.quarantined.is_empty());
    assert_eq!(recovered.lists.len(), 1);
    let reader = store.reader();
    assert!(reader.vector(rows::id(1)).unwrap().is_empty());
    assert!(reader.made(rows::id(1)).unwrap().is_empty());
    assert!(of_kind(&backup(&reader).0, Kind::Change).is_empty());
    assert_eq!(reader.list(rows::id(1)), Ok(None));
    assert_eq!(reader.entries(rows::id(1), None).count(), 0);
    assert_eq!(reader.agenda(None, None, None).count(), 0);
    let ids = changes.iter().map(|change| (change.id, change.hash));
    assert_eq!(reader.missing(rows::id(1), ids).unwrap().len(), 40);
    assert_eq!(reader.vector(rows::id(2)).unwrap(), rows::vector(2, 1));
    // And it may come again.
    fill(&store);
    assert_eq!(store.reader().entries(rows::id(1), None).count(), 40);
}
