//! Changes that leave a list are moved aside, in one write with all rows of its view.

use crate::rows;
use bytes::Bytes;
use crdt::entry::{Author, Edit, NewEntry};
use crdt::list::{Document, LeftOut, RawChange};
use names::{Actor, NodeId, Role, SaltHint};
use node::lists::{Done, Job, ListRow, Own, Row, Source, Without};
use node::proof::{Domain, Marks, Proofs};
use node::wire::Peer;
use std::sync::Arc;

/// The changes of one actor in list 1.
fn branch(drawn: u128, count: usize) -> (Document, Vec<RawChange>) {
    let mut document = Document::new(rows::name(1), rows::ACTOR);
    let mut drawn = drawn;
    let mut draw = || {
        drawn += 1;
        drawn
    };
    let entry = NewEntry {
        title: "milk".to_owned(),
        ..NewEntry::default()
    };
    let by = Author("ann@n1".to_owned());
    let changes = (0..count)
        .map(|_| {
            let edited = document.edit(&Edit::Add(vec![entry.clone()]), &by, 0, &mut draw);
            edited.unwrap().change.unwrap()
        })
        .collect();
    (document, changes)
}

/// Signs all alike.
#[derive(Debug)]
struct Signs;

impl Proofs for Signs {
    fn chain(&self) -> Bytes {
        Bytes::from_static(b"chain")
    }

    fn sign(&self, _: Domain, _: &[u8]) -> Bytes {
        Bytes::from_static(b"proof")
    }

    fn role(&self, _: &[u8]) -> Role {
        Role::Member
    }

    fn signer(&self, _: &[u8], _: Domain, _: &[u8], _: &[u8]) -> Option<Peer> {
        None
    }

    fn is_of_authority(&self, _: &[u8], _: Domain, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn is_of_root(&self, _: &[u8], _: Domain, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn issuers<'a>(&self, _: &'a [u8]) -> Vec<&'a [u8]> {
        Vec::new()
    }

    fn marks(&self, _: &[u8]) -> Option<Marks> {
        None
    }
}

/// Node 1, whose salt is 2.
fn own() -> Own {
    let me = NodeId([1; 16]);
    let salts = [(SaltHint::of(me, [2; 16]), [2; 16])];
    Own {
        me,
        salts: Arc::new(salts.into()),
        known: Arc::default(),
        drawn: Arc::default(),
        proofs: Arc::new(Signs),
    }
}

fn row(without: Without) -> Row {
    let written = without.anew.into_iter().flat_map(|anew| anew.changes);
    Row::LeaveOut {
        list: rows::id(1),
        row: without.row,
        entries: without.entries,
        vector: without.document.vector().clone(),
        settled: without.settled,
        moved: without.moved,
        unseen: without.unseen,
        added: without.returned.into_iter().chain(written).collect(),
    }
}

fn written(document: &Document, changes: &[RawChange]) -> Vec<Row> {
    let list = rows::id(1);
    let changes = changes.iter().map(|change| Row::Change {
        list,
        id: change.id,
        hash: change.hash,
        bytes: change.bytes.clone(),
    });
    let entries = document.entries().into_iter().map(|entry| Row::Entry {
        list,
        id: entry.id,
        entry: Some(Arc::new(entry)),
    });
    let row = Row::List {
        list,
        row: ListRow::of(document),
    };
    changes.chain(entries).chain([row]).collect()
}

fn judged(done: Done) -> Option<Box<Without>> {
    if let Done::LeftOut(result) = done {
        result.expect("the list loads").without
    } else {
        unreachable!("the job is another one")
    }
}

#[test]
fn which_changes_the_node_has_made_outlives_a_restart() {
    let (dir, list) = (tempfile::tempdir().unwrap(), rows::id(1));
    let (document, changes) = branch(1, 3);
    let made = |seq: usize| Row::Made {
        list,
        id: changes[seq].id,
    };
    let (store, ..) = rows::open(dir.path());
    let all = written(&document, &changes).into_iter();
    rows::commit(&store, all.chain([made(0), made(1)]).collect()).unwrap();
    store.close();
    let (store, ..) = rows::open(dir.path());
    let expected = [(changes[1].id.actor, 2)].into();
    assert_eq!(store.reader().made(list).unwrap(), expected);
    assert!(store.reader().made(rows::id(2)).unwrap().is_empty());
    store.close();
}

#[test]
fn a_branch_leaves_its_list_and_is_kept() {
    let (dir, list) = (tempfile::tempdir().unwrap(), rows::id(1));
    let (one, other) = (branch(1, 3), branch(100, 3));
    // The one with the larger hash is here.
    let (ours, theirs) = if one.1[0].hash > other.1[0].hash {
        (one, other)
    } else {
        (other, one)
    };
    let (store, ..) = rows::open(dir.path());
    rows::commit(&store, written(&ours.0, &ours.1)).unwrap();
    let snapshot = Row::Snapshot {
        list,
        covers: ours.0.vector().clone(),
        bytes: ours.0.save().into(),
    };
    rows::commit(&store, vec![snapshot]).unwrap();

    let job = || Job::LeaveOut {
        actors: (Actor([9; 16]), Actor([8; 16])),
        own: own(),
        challengers: vec![theirs.1[0].clone()],
        told: Vec::new(),
    };
    let without = judged(job().run(list, &store.reader())).expect("something is left out");
    assert_eq!(without.moved, ours.1);
    assert_eq!((without.document.total(), without.before.len()), (0, 3));
    let left = LeftOut::of_two(&ours.1[0], &theirs.1[0]).unwrap();
    assert_eq!(without.settled, std::slice::from_ref(&left));
    rows::commit(&store, vec![row(*without)]).unwrap();
    rows::commit(&store, written(&theirs.0, &theirs.1[..1])).unwrap();
    store.close();

    let (store, recovered, _) = rows::open(dir.path());
    let reader = store.reader();
    assert_eq!(reader.left_out(list).unwrap(), [left.bytes().clone()]);
    let aside: Vec<_> = ours.1.iter().map(|change| change.hash).collect();
    assert_eq!(reader.aside(list).unwrap(), aside);
    assert_eq!(
        reader.snapshot(list).unwrap(),
        None,
        "it holds what has left"
    );
    let tip = reader.vector(list).unwrap().tip(rows::ACTOR).unwrap();
    assert_eq!(tip, crdt::vector::Tip::of(theirs.1[0].id, theirs.1[0].hash));
    assert_eq!(recovered.lists.len(), 1);
    let Done::Loaded(Ok(loaded)) = (Job::Load {
        name: rows::name(1),
        actor: Actor([9; 16]),
    })
    .run(list, &reader) else {
        panic!("the list does not load");
    };
    assert!(loaded.document.left_out().contains(&left.ruling()));
    assert!(judged(job().run(list, &reader)).is_none(), "it is left out");
    assert!(reader.left_out(rows::id(2)).unwrap().is_empty());
    store.close();
}
