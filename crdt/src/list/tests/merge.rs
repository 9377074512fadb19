//! Documents that other programs have edited: what comes of them, and what does not.

use super::javascript::{foreign_edit, map_of, put_text};
use super::*;
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change, ObjType};

/// The list with an edit by another program, as that saves it.
fn edited(
    document: &Document,
    actor: u8,
    write: impl FnOnce(&mut automerge::transaction::Transaction<'_>, &automerge::ObjId),
) -> Vec<u8> {
    let change = foreign_edit(document, actor, write);
    with(&document.save(), &[change])
}

fn with(saved: &[u8], changes: &[bytes::Bytes]) -> Vec<u8> {
    let mut copy = Automerge::load(saved).unwrap();
    let changes = changes
        .iter()
        .map(|bytes| Change::from_bytes(bytes.to_vec()).unwrap());
    copy.apply_changes(changes.collect::<Vec<_>>()).unwrap();
    copy.save()
}

fn merge(replica: &mut Replica, saved: &[u8]) -> Option<RawChange> {
    let differences = replica.document.differences(saved).unwrap();
    replica.edit(&Edit::Merge(Box::new(differences))).change
}

fn refused(replica: &Replica, saved: &[u8]) -> MergeError {
    replica.document.differences(saved).unwrap_err()
}

const NEW: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[test]
fn what_it_edits_comes_as_one_change_of_this_node() {
    let (mut a, mut b, milk) = two_with("milk");
    let bread = a.add("bread");
    let tea = a.add("tea");
    let saved = edited(&a.document, 77, |transaction, entries| {
        let map = map_of(transaction, entries, milk);
        put_text(transaction, &map, "title", "oat milk");
        transaction.put(&map, "tag:food", 0).unwrap();
        let bread = map_of(transaction, entries, bread);
        transaction.put(&bread, "life", 1).unwrap();
        let new = transaction.put_object(entries, NEW, ObjType::Map).unwrap();
        put_text(transaction, &new, "title", "salt");
        put_text(transaction, &new, "pos", "zz");
        transaction.put(&new, "life", 0).unwrap();
    });
    let actors = a.document.vector().len();
    let change = merge(&mut a, &saved).unwrap();
    assert_eq!(change.id.actor, a.document.actor);
    assert_eq!(a.document.vector().len(), actors, "no foreign actor");
    let titles = a.titles();
    assert!(
        titles.contains(&"oat milk".to_owned()) && titles.contains(&"salt".to_owned()),
        "{titles:?}"
    );
    assert_eq!(a.entry(milk).tags, ["food"]);
    assert_eq!(a.document.standing(tea), Standing::Alive);
    // Members take it like any other change.
    a.sync(&mut b);
}

#[test]
fn a_document_that_comes_again_brings_only_what_is_new_in_it() {
    let (mut a, _, milk) = two_with("milk");
    let retitle = |title: &'static str| {
        move |transaction: &mut automerge::transaction::Transaction<'_>,
              entries: &automerge::ObjId| {
            let map = map_of(transaction, entries, milk);
            put_text(transaction, &map, "title", title);
        }
    };
    let first = edited(&a.document, 77, retitle("oat milk"));
    assert!(merge(&mut a, &first).is_some());
    a.patch(milk, title("no milk"));
    assert_eq!(merge(&mut a, &first), None);
    assert_eq!(
        a.entry(milk).title,
        "no milk",
        "what was edited here since stays"
    );
    let other = Document::load(
        a.document.name().clone(),
        Actor([77; 16]),
        Some(&first),
        &[],
    )
    .unwrap();
    let second = edited(&other, 77, |transaction, entries| {
        let map = map_of(transaction, entries, milk);
        put_text(transaction, &map, "notes", "two litres");
    });
    assert!(merge(&mut a, &second).is_some());
    let entry = a.entry(milk);
    assert_eq!(
        (entry.title.as_str(), entry.notes.as_str()),
        ("no milk", "two litres")
    );
}

#[test]
fn an_edit_here_wins_over_a_deletion_that_did_not_know_of_it() {
    let (mut a, _, milk) = two_with("milk");
    let saved = edited(&a.document, 77, |transaction, entries| {
        let map = map_of(transaction, entries, milk);
        transaction.put(&map, "life", 1).unwrap();
    });
    a.patch(milk, title("oat milk"));
    assert_eq!(merge(&mut a, &saved), None);
    assert_eq!(a.titles(), ["oat milk"]);
}

#[test]
fn a_list_can_begin_with_a_document() {
    let maker = Replica::new(9);
    let saved = edited(&maker.document, 77, |transaction, entries| {
        let new = transaction.put_object(entries, NEW, ObjType::Map).unwrap();
        put_text(transaction, &new, "title", "salt");
        transaction.put(&new, "life", 0).unwrap();
    });
    let mut a = Replica::new(1);
    assert!(merge(&mut a, &saved).is_some());
    assert_eq!(a.titles(), ["salt"]);
}

/// Actors without end, numbers at the end of their range: they cost nobody anything.
#[test]
fn neither_actors_nor_numbers_of_a_document_come_into_the_list() {
    let (mut a, mut b, milk) = two_with("milk");
    let mut copy = Automerge::load(&a.document.save()).unwrap();
    for number in 0..200_u64 {
        copy.set_actor(ActorId::from(&[77, number as u8, 3][..]));
        let mut transaction = copy.transaction();
        let map = map_of(&transaction, &genesis::entries(), milk);
        transaction
            .put(&map, "estimate", number as i64 + 1)
            .unwrap();
        transaction.commit();
    }
    // An actor of another length is none of a list.
    assert!(matches!(
        refused(&a, &copy.save()),
        MergeError::Refused { .. }
    ));
    let before = (a.document.vector().len(), a.document.operations());
    let mut copy = Automerge::load(&a.document.save()).unwrap();
    for number in 0..200_u8 {
        copy.set_actor(ActorId::from([number.wrapping_add(50); 16]));
        let mut transaction = copy.transaction();
        let map = map_of(&transaction, &genesis::entries(), milk);
        transaction
            .put(&map, "estimate", i64::from(number) + 1)
            .unwrap();
        transaction.commit();
    }
    assert!(merge(&mut a, &copy.save()).is_some());
    assert_eq!(a.entry(milk).estimate, Some(200));
    assert_eq!(a.document.vector().len(), before.0);
    assert!(
        a.document.operations() < before.1 + 5,
        "{}",
        a.document.operations()
    );
    a.sync(&mut b);
}

/// Changes that are written as if they were this node's own, with numbers that it has not used yet.
#[test]
fn a_change_of_our_own_actor_is_said_anew_and_never_taken() {
    let (mut a, mut b, milk) = two_with("milk");
    let forge = |document: &Document, text: &str| {
        edited(document, 1, |transaction, entries| {
            let map = map_of(transaction, entries, milk);
            put_text(transaction, &map, "title", text);
        })
    };
    // Both are number 2 of the actor of this node.
    let forged = ["one", "other"].map(|text| forge(&a.document, text));
    for (saved, number) in forged.iter().zip(2..) {
        let change = merge(&mut a, saved).unwrap();
        assert_eq!((change.id.actor, change.id.seq), (a.document.actor, number));
    }
    assert_eq!(a.entry(milk).title, "other");
    a.sync(&mut b);
}

#[test]
fn what_breaks_a_rule_for_clients_is_refused_and_changes_nothing() {
    let (a, _, milk) = two_with("milk");
    for (key, value) in [
        ("title", "two\nlines"),
        ("title", ""),
        ("assignee", "\u{202e}eve"),
    ] {
        let saved = edited(&a.document, 77, |transaction, entries| {
            let map = map_of(transaction, entries, milk);
            put_text(transaction, &map, key, value);
        });
        let refused = refused(&a, &saved);
        assert!(
            matches!(&refused, MergeError::Entry { id, .. } if *id == milk),
            "{key} {value:?}: {refused:?}"
        );
    }
    assert_eq!(a.titles(), ["milk"]);
}

#[test]
fn what_is_no_list_is_refused() {
    let (a, _, _) = two_with("milk");
    let mut other = Automerge::new();
    let mut transaction = other.transaction();
    transaction.put(automerge::ROOT, "title", "x").unwrap();
    transaction.commit();
    assert_eq!(refused(&a, &other.save()), MergeError::Genesis);
    assert_eq!(refused(&a, &[]), MergeError::Genesis);
    assert!(!MergeError::Genesis.to_string().contains(['\n', '\\']));
    assert!(matches!(
        refused(&a, b"PK\x03\x04 a zip file"),
        MergeError::NotADocument(_)
    ));
    let saved = a.document.save();
    assert!(matches!(
        refused(&a, &saved[..saved.len() - 9]),
        MergeError::NotADocument(_)
    ));
    // A key of the root, which no list has.
    let mut copy = Automerge::load(&saved)
        .unwrap()
        .with_actor(ActorId::from([77; 16]));
    let mut transaction = copy.transaction();
    transaction.put(automerge::ROOT, "evil", 1).unwrap();
    transaction.commit_with(CommitOptions::default());
    assert!(matches!(
        refused(&a, &copy.save()),
        MergeError::Refused { .. }
    ));
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_are_refused_and_never_panic(at in 0..400_usize, byte: u8) {
        let (a, _, _) = two_with("milk");
        let mut saved = a.document.save();
        let at = at % saved.len();
        saved[at] = byte;
        let _ = a.document.differences(&saved);
    }
}
