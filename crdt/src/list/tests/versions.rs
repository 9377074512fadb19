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

#[test]
fn changes_are_written_as_they_were() {
    let names = ["added", "patched", "deleted"];
    let golden = include_str!("../../../golden/changes.txt");
    let written: Vec<String> = names
        .into_iter()
        .zip(lived().changes)
        .map(|(name, change)| {
            let digits = change.bytes.iter().map(|byte| format!("{byte:02x}"));
            format!("{name} {}", digits.collect::<String>())
        })
        .collect();
    assert_eq!(written, golden.lines().collect::<Vec<_>>());
}

#[test]
fn an_entry_has_the_same_tag_in_all_versions() {
    let mut b = Replica::new(2);
    let tags: Vec<u64> = lived()
        .changes
        .into_iter()
        .take(2)
        .map(|change| {
            b.document
                .apply(vec![judge(change.bytes).unwrap()])
                .unwrap();
            b.entry(ID).tag
        })
        .collect();
    assert_eq!(tags, [0, 0]);
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
