//! What the JavaScript library does to a list: strings as texts, numbers as it likes them, deleted
//! keys.

use super::*;
use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge, ObjId, ObjType, ReadDoc, ScalarValue};
use bytes::Bytes;

/// A change by another program, made on a copy of the document.
pub(super) fn foreign_edit(
    document: &Document,
    actor: u8,
    write: impl FnOnce(&mut Transaction<'_>, &ObjId),
) -> Bytes {
    let mut copy = Automerge::load(&document.save())
        .unwrap()
        .with_actor(ActorId::from([actor; 16]));
    let mut transaction = copy.transaction();
    write(&mut transaction, &genesis::entries());
    transaction.commit_with(CommitOptions::default().with_time(1_800_000_000));
    Bytes::copy_from_slice(copy.get_last_local_change().unwrap().raw_bytes())
}

pub(super) fn map_of(transaction: &Transaction<'_>, entries: &ObjId, id: EntryId) -> ObjId {
    transaction.get(entries, id.to_string()).unwrap().unwrap().1
}

pub(super) fn put_text(transaction: &mut Transaction<'_>, map: &ObjId, key: &str, text: &str) {
    let object = transaction.put_object(map, key, ObjType::Text).unwrap();
    transaction.splice_text(&object, 0, 0, text).unwrap();
}

/// A new title and notes, and a second thought about the title, as texts.
pub(super) fn text_edit(document: &Document, id: EntryId, text: &str) -> Bytes {
    foreign_edit(document, 77, |transaction, entries| {
        let map = map_of(transaction, entries, id);
        put_text(transaction, &map, "title", text);
        put_text(transaction, &map, "notes", "n");
        let title = transaction.get(&map, "title").unwrap().unwrap().1;
        transaction.splice_text(&title, 0, 1, "A").unwrap();
    })
}

fn apply(replica: &mut Replica, bytes: Bytes) -> Applied {
    replica.document.apply(vec![judge(bytes).unwrap()]).unwrap()
}

#[test]
fn texts_read_as_strings() {
    let (mut a, _, id) = two_with("milk");
    let bytes = text_edit(&a.document, id, "a text");
    let applied = apply(&mut a, bytes);
    assert_eq!(applied.touched.len(), 1);
    let entry = a.entry(id);
    assert_eq!(
        (entry.title.as_str(), entry.notes.as_str(), entry.conflicts),
        ("A text", "n", vec![])
    );
}

#[test]
fn an_edit_inside_a_text_touches_its_entry_even_when_the_text_was_replaced() {
    let (mut a, _, id) = two_with("milk");
    let first = text_edit(&a.document, id, "a text");
    apply(&mut a, first);
    let within = foreign_edit(&a.document, 78, |transaction, entries| {
        let map = map_of(transaction, entries, id);
        let text = transaction.get(&map, "title").unwrap().unwrap().1;
        transaction.splice_text(&text, 0, 0, "still ").unwrap();
    });
    let mut b = Replica::new(3);
    b.document = Document::load(
        a.document.name().clone(),
        Actor([3; 16]),
        Some(&a.document.save()),
        &[],
    )
    .unwrap();
    assert_eq!(
        apply(&mut b, within.clone()).touched[0]
            .entry
            .as_ref()
            .unwrap()
            .title,
        "still A text"
    );
    a.patch(id, title("milk"));
    let mut reloaded = Document::load(
        a.document.name().clone(),
        Actor([4; 16]),
        Some(&a.document.save()),
        &[],
    )
    .unwrap();
    let applied = reloaded
        .apply(vec![judge(within.clone()).unwrap()])
        .unwrap();
    assert_eq!(applied.touched[0].entry.as_ref().unwrap().title, "milk");
    apply(&mut a, within);
    assert_same(&a.document, &reloaded);
}

#[test]
fn numbers_count_however_they_are_written_and_other_types_are_absent() {
    let (mut a, _, id) = two_with("milk");
    let bytes = foreign_edit(&a.document, 77, |transaction, entries| {
        let map = map_of(transaction, entries, id);
        transaction
            .put(&map, "life", ScalarValue::F64(1.0))
            .unwrap();
        transaction
            .put(&map, "tag:b", ScalarValue::Uint(2))
            .unwrap();
        transaction
            .put(&map, "tag:c", ScalarValue::F64(0.5))
            .unwrap();
        transaction
            .put(&map, "due", ScalarValue::Boolean(true))
            .unwrap();
        transaction.put(&map, "priority", "urgent").unwrap();
        transaction.put(&map, "pos", "no/such").unwrap();
    });
    apply(&mut a, bytes);
    assert_eq!(a.document.standing(id), Standing::Dead);
    let bytes = foreign_edit(&a.document, 78, |transaction, entries| {
        let map = map_of(transaction, entries, id);
        transaction
            .put(&map, "life", ScalarValue::Uint(1 << 40))
            .unwrap();
    });
    apply(&mut a, bytes);
    let entry = a.entry(id);
    assert_eq!(
        (entry.tags, entry.due, entry.priority, entry.order.as_str()),
        (vec!["b".to_owned()], None, None, "")
    );
}

#[test]
fn an_entry_made_in_javascript_is_an_entry() {
    let mut a = Replica::new(1);
    a.add("milk");
    let id = EntryId(42);
    let bytes = foreign_edit(&a.document, 77, |transaction, entries| {
        let map = transaction
            .put_object(entries, id.to_string(), ObjType::Map)
            .unwrap();
        put_text(transaction, &map, "title", "from elsewhere");
        put_text(transaction, &map, "pos", "zz");
        transaction.put(&map, "life", 0).unwrap();
    });
    apply(&mut a, bytes);
    a.add("bread");
    assert_eq!(a.titles(), ["milk", "from elsewhere", "bread"]);
    let entry = a.entry(id);
    assert_eq!(
        (
            entry.created_by.0.as_str(),
            entry.created_at,
            entry.modified_at
        ),
        ("", 1_800_000_000_000, 1_800_000_000_000)
    );
}

#[test]
fn an_entry_without_fields_is_not_in_the_list() {
    let (mut a, _, _) = two_with("milk");
    let id = EntryId(42);
    let bytes = foreign_edit(&a.document, 77, |transaction, entries| {
        drop(
            transaction
                .put_object(entries, id.to_string(), ObjType::Map)
                .unwrap(),
        )
    });
    apply(&mut a, bytes);
    assert_eq!(
        (a.document.standing(id), a.document.total()),
        (Standing::Dead, 1)
    );
    let again = Document::load(
        a.document.name().clone(),
        Actor([3; 16]),
        Some(&a.document.save()),
        &[],
    )
    .unwrap();
    assert_eq!(again.index, a.document.index);
}

#[test]
fn changes_of_another_shape_are_refused() {
    let (a, _, id) = two_with("milk");
    let judged = |write: &dyn Fn(&mut Transaction<'_>, &ObjId)| match judge(foreign_edit(
        &a.document,
        77,
        |transaction, entries| write(transaction, entries),
    )) {
        Err(Fault::Shape(why)) => why,
        other => panic!("{other:?}"),
    };
    let root = judged(&|transaction, _| transaction.put(automerge::ROOT, "name", "x").unwrap());
    let deleted =
        judged(&|transaction, entries| transaction.delete(entries, id.to_string()).unwrap());
    let replaced = judged(&|transaction, entries| {
        drop(
            transaction
                .put_object(entries, id.to_string(), ObjType::Map)
                .unwrap(),
        )
    });
    let no_id = judged(&|transaction, entries| {
        drop(
            transaction
                .put_object(entries, "milk", ObjType::Map)
                .unwrap(),
        )
    });
    let nested = judged(&|transaction, entries| {
        let map = map_of(transaction, entries, id);
        transaction.put_object(&map, "tags", ObjType::Map).unwrap();
    });
    let counter = judged(&|transaction, entries| {
        let map = map_of(transaction, entries, id);
        transaction
            .put(&map, "life", ScalarValue::counter(1))
            .unwrap();
    });
    assert_eq!(root, "writes to the document's root");
    assert_eq!(deleted, "puts something else than maps among the entries");
    assert_eq!(replaced, "puts an entry in another's place");
    assert_eq!(no_id, "has an entry whose key is not a ULID");
    assert_eq!(
        (nested, counter),
        (
            "has an operation that a list does not \
        have",
            "has an operation that a list does not have"
        )
    );
}
