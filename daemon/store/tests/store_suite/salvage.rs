//! One bit of a journal goes bad: what is intact behind it is found again, and nobody starts as if nothing
//! were.

use crate::crash::image;
use crate::rows;
use bytes::Bytes;
use crdt::entry::{Author, Edit, NewEntry};
use crdt::list::{Document, RawChange, Salt, head_of};
use crdt::vector::Range;
use names::{Actor, ListId, ListName, NodeId};
use node::lists::{ListRow, Row, Source};
use std::collections::BTreeSet;
use store::Store;
use tempfile::{TempDir, tempdir};

const ACTOR: Actor = Actor([7; 16]);
const ADDITIONS: usize = 12;

fn name() -> ListName {
    ListName::new("groceries").unwrap()
}

/// What is written for each addition to a list: the change, and what is shown of it.
fn additions() -> Vec<(RawChange, Vec<Row>)> {
    let list = ListId::of(&name());
    let mut document = Document::new(name(), ACTOR);
    let (by, mut drawn) = (Author("anna@alpha".to_owned()), 0);
    let mut add = |number: usize| {
        let entry = NewEntry {
            title: format!("entry {number}"),
            // One change that the journal compresses.
            notes: if number == 5 {
                "long ".repeat(2_000)
            } else {
                String::new()
            },
            ..NewEntry::default()
        };
        let mut draw = || {
            drawn += 1;
            drawn << 64
        };
        let edited = document.edit(&Edit::Add(vec![entry]), &by, 1_790_000_000_000, &mut draw);
        let change = edited.unwrap().change.unwrap();
        let row = ListRow {
            name: name(),
            total: document.total(),
            open: document.open(),
            modified_at: 5,
            heads: document.heads(),
            sums: document.sums(),
            has_unknown_keys: false,
        };
        let rows = vec![
            Row::Change {
                list,
                id: change.id,
                hash: change.hash,
                bytes: change.bytes.clone(),
            },
            Row::List { list, row },
        ];
        (change, rows)
    };
    (0..ADDITIONS).map(&mut add).collect()
}

/// The numbers of the changes that the store has.
fn kept(store: &Store) -> BTreeSet<u64> {
    let range = Range {
        actor: ACTOR,
        from: 1,
        to: u64::MAX,
    };
    let changes = store.reader().changes(ListId::of(&name()), range).unwrap();
    changes.iter().map(seq).collect()
}

fn seq(bytes: &Bytes) -> u64 {
    head_of(bytes).unwrap().id.seq
}

/// A data directory as a process leaves it that is killed when all additions are on the disk, and the
/// journal in it.
fn killed() -> (TempDir, Vec<u8>) {
    let (dir, left) = (tempdir().unwrap(), tempdir().unwrap());
    let store = rows::open(dir.path()).0;
    for (_, rows) in additions() {
        rows::commit(&store, rows).unwrap();
    }
    image(dir.path(), left.path());
    store.close();
    let mut journal = std::fs::read(left.path().join("db/0.jnl")).unwrap();
    let used = journal.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    journal.truncate(used);
    (left, journal)
}

#[test]
fn what_is_intact_behind_a_bad_bit_is_found_again() {
    let (left, journal) = killed();
    let all: BTreeSet<u64> = (1..=ADDITIONS as u64).collect();
    let mut damaged = 0;
    for at in (7..journal.len()).step_by(61) {
        let dir = tempdir().unwrap();
        image(left.path(), dir.path());
        let mut bytes = journal.clone();
        bytes[at] ^= 0x10;
        std::fs::write(dir.path().join("db/0.jnl"), &bytes).unwrap();
        let store = rows::open(dir.path()).0;
        let (kept, damages) = (kept(&store), store.damages().unwrap());
        let [damage] = damages.as_slice() else {
            // The numbers of batches have no checksum.
            assert_eq!((damages.len(), &kept), (0, &all), "a bit at {at}");
            continue;
        };
        damaged += 1;
        assert!(
            std::fs::read(&damage.file).unwrap() == bytes,
            "as it was found"
        );
        let missing: BTreeSet<u64> = damage.missing.iter().map(|one| seq(&one.bytes)).collect();
        assert!(missing.is_disjoint(&kept));
        let both: BTreeSet<u64> = kept.union(&missing).copied().collect();
        let lost = all.difference(&both).count();
        assert!(lost <= 1, "a bit at {at}: lost {:?}", all.difference(&both));
        let named = damage.missing.iter().filter(|one| one.name == Some(name()));
        // The bit may be one of the list's id in the key.
        let is_of_first = !kept.contains(&1);
        let nameless = missing.len() - named.count();
        assert!(is_of_first || nameless + lost <= 1, "a bit at {at}");
        // It is told until somebody has seen it; what was found is the same after a restart.
        store.close();
        let store = rows::open(dir.path()).0;
        assert_eq!(store.damages().unwrap(), damages);
        assert_eq!(store.acknowledge_damage().unwrap(), 1);
        assert_eq!(store.damages().unwrap(), []);
        store.close();
        assert_eq!(
            std::fs::read_dir(dir.path().join("damaged"))
                .unwrap()
                .count(),
            1
        );
    }
    assert!(damaged > 50, "{damaged} of the bits did damage");
}

#[test]
fn what_the_store_has_got_since_is_not_missing_any_more() {
    let (left, journal) = killed();
    let mut bytes = journal.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(left.path().join("db/0.jnl"), &bytes).unwrap();
    let store = rows::open(left.path()).0;
    let missing = store.damages().unwrap().remove(0).missing;
    assert!(missing.len() > 2);
    let back = additions();
    let found = back
        .into_iter()
        .find(|(change, _)| change.bytes == missing[0].bytes);
    rows::commit(&store, found.unwrap().1).unwrap();
    assert_eq!(store.damages().unwrap()[0].missing, missing[1..]);
    // The next damage is told beside it.
    store.close();
    let journal = std::fs::read_dir(left.path().join("db")).unwrap();
    let newest = journal
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "jnl"));
    let newest = newest.max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used - 40] ^= 1;
    std::fs::write(newest, &bytes).unwrap();
    let store = rows::open(left.path()).0;
    assert_eq!(store.damages().unwrap().len(), 2);
    store.close();
}

#[test]
fn a_salt_behind_the_damage_is_there_again() {
    let (dir, left) = (tempdir().unwrap(), tempdir().unwrap());
    let store = rows::open(dir.path()).0;
    let sign = |_: &[u8]| Bytes::from_static(b"proof");
    for number in 1..=3 {
        let salt = Salt::write((NodeId([7; 16]), b"chain"), 1, [number; 16], sign).unwrap();
        rows::commit(&store, vec![Row::Salt(salt)]).unwrap();
    }
    image(dir.path(), left.path());
    store.close();
    let journal = left.path().join("db/0.jnl");
    let mut bytes = std::fs::read(&journal).unwrap();
    let second = bytes
        .windows(16)
        .position(|window| window == [2; 16])
        .unwrap();
    bytes[second] ^= 1;
    std::fs::write(&journal, &bytes).unwrap();
    for _ in 0..2 {
        let (store, recovered, _) = rows::open(left.path());
        let salts = recovered
            .salts
            .into_iter()
            .map(|bytes| Salt::read(bytes).unwrap().salt()[0]);
        assert_eq!(salts.collect::<Vec<_>>(), [1, 3]);
        store.close();
    }
}
