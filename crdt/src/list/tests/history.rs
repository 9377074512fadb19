//! What the history tells of changes.

use super::*;
use crate::entry::Field;

fn differences(told: &Told) -> Vec<(Field, &str, &str)> {
    let fields = told.fields.iter();
    fields
        .map(|one| (one.field, one.old.as_str(), one.new.as_str()))
        .collect()
}

#[test]
fn each_change_says_what_it_did_the_newest_first() {
    let mut a = Replica::new(1);
    let id = a.add("milk");
    a.patch(id, title("oat milk"));
    a.patch(id, tags(&["shop"]));
    a.patch(id, tags(&["home"]));
    a.edit(&Edit::Delete(id));
    let history = a.document.history(None, None, 100);
    let hashes: Vec<_> = a.changes.iter().rev().map(|change| change.hash).collect();
    assert_eq!(
        history
            .iter()
            .map(|one| one.moment.hash)
            .collect::<Vec<_>>(),
        hashes
    );
    assert!(history.iter().all(|one| one.by == a.author()));
    assert!(history.windows(2).all(|pair| pair[0].at > pair[1].at));
    let told: Vec<&Told> = history.iter().map(|one| &one.entries[0]).collect();
    assert!(told.iter().all(|told| told.id == id));
    let fates: Vec<Fate> = told.iter().map(|told| told.fate).collect();
    let changed = [Fate::Changed; 3];
    assert_eq!(fates[0], Fate::Deleted);
    assert_eq!((&fates[1..4], fates[4]), (&changed[..], Fate::Added));
    assert_eq!(told[0].title, "oat milk");
    assert_eq!(
        differences(told[1]),
        [(Field::Tags, "shop", ""), (Field::Tags, "", "home")]
    );
    assert_eq!(differences(told[2]), [(Field::Tags, "", "shop")]);
    assert_eq!(differences(told[3]), [(Field::Title, "milk", "oat milk")]);
    assert_eq!(differences(told[4])[0], (Field::Title, "", "milk"));
}

#[test]
fn a_change_is_told_as_its_writer_saw_the_list() {
    let (mut a, mut b, id) = two_with("milk");
    a.patch(id, title("oat milk"));
    b.patch(id, title("soy milk"));
    a.sync(&mut b);
    a.patch(id, title("milk"));
    let history = a.document.history(Some(id), None, 3);
    let told: Vec<_> = history
        .iter()
        .map(|one| differences(&one.entries[0]))
        .collect();
    assert_eq!(told[0].len(), 1);
    assert_eq!(told[1][0].1, "milk", "both overwrote what they saw");
    assert_eq!(told[2][0].1, "milk");
    b.pull(&a);
    assert_eq!(history, b.document.history(Some(id), None, 3));
}

#[test]
fn the_history_of_an_entry_is_what_was_written_to_it() {
    let mut a = Replica::new(1);
    let (milk, bread) = (a.add("milk"), a.add("bread"));
    a.patch(bread, title("rye bread"));
    a.edit(&Edit::DeleteAll);
    let history = a.document.history(Some(milk), None, 100);
    assert_eq!(history.len(), 2);
    assert!(
        history
            .iter()
            .all(|one| one.entries.len() == 1 && one.more == 0)
    );
    assert_eq!(a.document.history(None, None, 100)[0].entries.len(), 2);
}

#[test]
fn pages_follow_each_other_without_gap() {
    let (mut a, mut b, id) = two_with("milk");
    for number in 0..7 {
        a.patch(id, title(&format!("milk {number}")));
        b.patch(id, title(&format!("bread {number}")));
    }
    a.sync(&mut b);
    let whole = a.document.history(None, None, 100);
    assert_eq!(whole.len(), 15);
    let mut pages: Vec<Account> = Vec::new();
    loop {
        let last = pages.last().map(|one| one.moment);
        let page = b.document.history(None, last, 4);
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, whole);
}

#[test]
fn of_a_large_change_the_first_entries_are_told_and_the_others_counted() {
    let mut a = Replica::new(1);
    let new = |number| NewEntry {
        title: format!("entry {number}"),
        ..NewEntry::default()
    };
    a.edit(&Edit::Add((0..150).map(new).collect()));
    let account = &a.document.history(None, None, 1)[0];
    assert_eq!((account.entries.len(), account.more), (100, 50));
}

#[test]
fn of_long_texts_a_part_is_told_at_once() {
    let (mut a, _, id) = two_with("milk");
    for number in 0..40 {
        let notes = Some(format!("{number} {}", "x".repeat(60_000)));
        a.patch(
            id,
            EntryPatch {
                notes,
                ..EntryPatch::default()
            },
        );
    }
    let told = a.document.history(None, None, 1000).len();
    assert!((9..20).contains(&told), "{told}");
}
