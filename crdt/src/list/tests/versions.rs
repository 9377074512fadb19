//! What versions of this program have to agree on: the bytes of changes, the tags of entries, and
//! what becomes of fields that one of them does not know.

use super::javascript::{foreign_edit, map_of, put_text};
use super::*;
use crate::entry::{Due, Priority};
use automerge::transaction::Transactable;
use automerge::{ReadDoc, ScalarValue};
use bytes::Bytes;

const ID: EntryId = EntryId(7);

/// An entry with all fields, then all of them changed, then deleted.
fn lived() -> Replica {
    let mut a = Replica::new(1);
    a.edit(&Edit::Add(vec![NewEntry {
        id: Some(ID),
        title: "milk".into(),
        due: Some(Due::Date("2026-02-03".parse().unwrap())),
        done: true,
        priority: Some(Priority::Low),
        tags: vec!["b".into(), "a".into()],
        notes: "two\nlitres".into(),
        assignee: Some("bob".into()),
        ..NewEntry::default()
    }]));
    let patch = EntryPatch {
        title: Some("bread".into()),
        due: Some(Some(Due::Instant(1_800_000_000_000))),
        done: Some(false),
        priority: Some(None),
        tags: Some(vec!["c".into()]),
        notes: Some(String::new()),
        assignee: Some(Some("ann".into())),
        ..EntryPatch::default()
    };
    a.patch(ID, patch);
    a.edit(&Edit::Delete(ID));
    a
}

/// The changes of [`lived`], and an addition with an estimate, as the first version that wrote them did: `golden/changes.txt` has a
/// name, the change's bytes and the entry's tag after it on each line, and is never changed.
fn golden() -> Vec<(Bytes, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/changes.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let golden = text.lines().map(|line| {
        let mut words = line.split(' ').skip(1);
        let digits = words.next().unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        (bytes.into(), words.next().unwrap().to_owned())
    });
    golden.collect()
}

#[test]
fn an_addition_is_written_as_it_was() {
    assert_eq!(lived().changes[0].bytes, golden()[0].0);
}

#[test]
fn changes_are_read_as_they_were_and_give_the_same_tags() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for (change, (bytes, tag)) in lived().changes.into_iter().zip(golden()) {
        a.document
            .apply(vec![judge(change.bytes).unwrap()])
            .unwrap();
        b.document.apply(vec![judge(bytes).unwrap()]).unwrap();
        let read = b.document.entry(ID);
        let shown = read.as_ref().map_or(0, |entry| entry.tag);
        assert_eq!(format!("{shown:016x}"), tag);
        let without_tag = |entry| Entry { tag: 0, ..entry };
        assert_eq!(a.document.entry(ID).map(without_tag), read.map(without_tag));
    }
}

#[test]
fn whatever_is_visible_is_in_the_tag() {
    let (mut a, mut b, id) = two_with("milk");
    let mut tags = vec![a.entry(id).tag];
    let mut is_new = |a: &Replica| {
        let tag = a.entry(id).tag;
        let is_new = !tags.contains(&tag);
        tags.push(tag);
        is_new
    };
    a.patch(id, title("bread"));
    assert!(is_new(&a), "a field that is set");
    a.patch(id, super::tags(&["home"]));
    assert!(is_new(&a), "a tag");
    b.patch(id, title("cake"));
    a.sync(&mut b);
    assert!(is_new(&a), "a value beside the winner");
    let text = |replica: &Replica, actor, text: &str| {
        foreign_edit(&replica.document, actor, |transaction, entries| {
            let map = map_of(transaction, entries, id);
            put_text(transaction, &map, "notes", text);
        })
    };
    let bytes = text(&a, 77, "old");
    a.document.apply(vec![judge(bytes).unwrap()]).unwrap();
    assert!(is_new(&a), "a text");
    let bytes = foreign_edit(&a.document, 78, |transaction, entries| {
        let map = map_of(transaction, entries, id);
        let text = transaction.get(&map, "notes").unwrap().unwrap().1;
        transaction.splice_text(&text, 0, 1, "c").unwrap();
    });
    a.document.apply(vec![judge(bytes).unwrap()]).unwrap();
    assert!(is_new(&a), "what a text says");
    let bytes = colour(&a, id);
    a.document.apply(vec![judge(bytes).unwrap()]).unwrap();
    assert!(is_new(&a), "a key that is not known");
}

#[test]
fn an_estimate_is_written_as_it_was() {
    let mut a = Replica::new(1);
    let entry = NewEntry {
        estimate: Some(90),
        ..with_id(ID, "milk")
    };
    let added = a.edit(&Edit::Add(vec![entry])).change.unwrap();
    let (bytes, tag) = golden().pop().unwrap();
    assert_eq!(added.bytes, bytes);
    assert_eq!(format!("{:016x}", a.entry(ID).tag), tag);
}

/// What a program writes that knows one field more.
fn colour(replica: &Replica, id: EntryId) -> Bytes {
    foreign_edit(&replica.document, 79, |transaction, entries| {
        let map = map_of(transaction, entries, id);
        transaction.put(&map, "colour", "red").unwrap();
        transaction.put(&map, "life", ScalarValue::Int(2)).unwrap();
    })
}

#[test]
fn a_field_that_is_not_known_is_kept_forwarded_and_noted() {
    let (mut a, mut b, id) = two_with("milk");
    assert!(!a.document.has_unknown_keys() && !a.entry(id).has_unknown_keys);
    let bytes = colour(&a, id);
    let applied = a
        .document
        .apply(vec![judge(bytes.clone()).unwrap()])
        .unwrap();
    assert_eq!(applied.changes[0].bytes, bytes, "forwarded as it came");
    a.changes.extend(applied.changes);
    a.patch(id, title("bread"));
    assert!(a.document.has_unknown_keys() && a.entry(id).has_unknown_keys);
    b.pull(&a);
    assert_same(&a.document, &b.document);
    let loaded = Document::load(
        a.document.name().clone(),
        Actor([9; 16]),
        Some(&a.document.save()),
        &[],
    )
    .unwrap();
    assert!(loaded.has_unknown_keys());
    assert_same(&a.document, &loaded);
    let map = b.document.doc.get(genesis::entries(), id.to_string());
    let value = b.document.doc.get(map.unwrap().unwrap().1, "colour");
    assert_eq!(value.unwrap().unwrap().0, "red".into());
}
