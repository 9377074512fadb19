//! The store's views against a model: whatever is committed, in whatever groups, they say the same.

use crate::rows;
use crdt::entry::{Due, Entry};
use crdt::vector::VersionVector;
use names::{EntryId, ListName};
use node::lists::Row;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use store::{AgendaKey, Reader, Store};

const LISTS: u64 = 3;

/// What is alive, by list and entry.
type Model = BTreeMap<(u64, u128), Entry>;

/// One entry is written, or deleted.
#[derive(Clone, Debug)]
struct Step {
    list: u64,
    entry: u64,
    now: Option<(String, Option<i64>)>,
}

#[derive(Clone, Debug)]
enum Act {
    /// Commits that are handed over without waiting in between.
    Commits(Vec<Vec<Step>>),
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    let orders = prop_oneof!["[ab]{1,2}", Just("a\0".to_owned()), Just("é".repeat(700))];
    let dues = prop_oneof![Just(None), (-2_i64..3).prop_map(Some)];
    let now = prop_oneof![3 => (orders, dues).prop_map(Some), 1 => Just(None)];
    (0..LISTS, 0..5_u64, now).prop_map(|(list, entry, now)| Step { list, entry, now })
}

fn acts() -> impl Strategy<Value = Act> {
    let commits = prop::collection::vec(prop::collection::vec(steps(), 1..4), 1..5);
    prop_oneof![4 => commits.prop_map(Act::Commits), 1 => Just(Act::Restart)]
}

fn commit_all(store: &Store, model: &mut Model, commits: &[Vec<Step>]) {
    let (tell, told) = channel();
    for (number, steps) in commits.iter().enumerate() {
        let lists = (0..LISTS).map(|list| rows::list(list, 1, &VersionVector::default()));
        let entries = steps.iter().map(|step| apply(model, step));
        let tell = tell.clone();
        // The entries first: the order of rows in a commit is the machine's affair.
        store.commit(
            entries.chain(lists).collect(),
            Box::new(move |result| tell.send((number, result)).unwrap()),
        );
    }
    drop(tell);
    let answers: Vec<_> = told.iter().collect();
    assert_eq!(
        answers,
        (0..commits.len())
            .map(|number| (number, Ok(())))
            .collect::<Vec<_>>(),
        "answered in order"
    );
}

fn apply(model: &mut Model, step: &Step) -> Row {
    let entry = step
        .now
        .as_ref()
        .map(|(order, due)| rows::entry(step.entry, "milk", order, due.map(Due::Instant)));
    let key = (step.list, u128::from(step.entry));
    match &entry {
        Some(entry) => model.insert(key, entry.clone()),
        None => model.remove(&key),
    };
    Row::Entry {
        list: rows::id(step.list),
        id: EntryId(key.1),
        entry: entry.map(Into::into),
    }
}

fn due_ms(entry: &Entry) -> Option<i64> {
    entry.due.map(Due::sort_ms)
}

fn sorted<K: Ord>(entries: impl Iterator<Item = Entry>, key: impl Fn(&Entry) -> K) -> Vec<Entry> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(key);
    entries
}

fn check_list(reader: &Reader, model: &Model, list: u64) {
    let mine = || {
        model
            .iter()
            .filter(|((of, _), _)| *of == list)
            .map(|(_, entry)| entry.clone())
    };
    let expected = sorted(mine(), |entry| (entry.order.clone(), entry.id));
    assert_eq!(
        reader
            .entries(rows::id(list), None)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        expected
    );
    for (position, entry) in expected.iter().enumerate() {
        let after = Some((entry.order.as_str(), entry.id));
        let rest: Vec<_> = reader
            .entries(rows::id(list), after)
            .map(Result::unwrap)
            .collect();
        assert_eq!(rest, expected[position + 1..]);
        assert_eq!(
            reader.position(rows::id(list), &entry.order, entry.id),
            Ok(position as u64)
        );
    }
    for id in 0..5 {
        assert_eq!(
            reader.entry(rows::id(list), EntryId(id)).unwrap().as_ref(),
            model.get(&(list, id))
        );
    }
    for (from, to) in [(i64::MIN, i64::MAX), (-1, 1), (0, 0), (2, -2)] {
        let due = mine().filter(|entry| due_ms(entry).is_some_and(|ms| from <= ms && ms <= to));
        let expected = sorted(due, |entry| (due_ms(entry), entry.order.clone(), entry.id));
        assert_eq!(
            reader
                .due_in(rows::id(list), from, to)
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            expected
        );
    }
}

fn check_agenda(reader: &Reader, model: &Model) {
    let mut all: Vec<(ListName, Entry)> = model
        .iter()
        .map(|((list, _), entry)| (rows::name(*list), entry.clone()))
        .collect();
    all.sort_by_key(|(list, entry)| {
        (
            entry.due.is_none(),
            due_ms(entry),
            list.clone(),
            entry.order.clone(),
            entry.id,
        )
    });
    let read = |after: Option<&AgendaKey>, from, to| {
        reader
            .agenda(after, from, to)
            .map(Result::unwrap)
            .collect::<Vec<_>>()
    };
    let rows = read(None, None, None);
    assert_eq!(
        rows.iter()
            .map(|(_, list, entry)| (list.clone(), entry.clone()))
            .collect::<Vec<_>>(),
        all
    );
    for (position, (key, _, _)) in rows.iter().enumerate() {
        assert_eq!(read(Some(key), None, None), rows[position + 1..]);
        let due_from_0: Vec<_> = rows[position + 1..]
            .iter()
            .filter(|(_, _, entry)| due_ms(entry) >= Some(0))
            .cloned()
            .collect();
        assert_eq!(read(Some(key), Some(0), None), due_from_0);
    }
    let due_to_0: Vec<_> = rows
        .iter()
        .filter(|(_, _, entry)| due_ms(entry).is_some_and(|ms| ms <= 0))
        .cloned()
        .collect();
    assert_eq!(read(None, None, Some(0)), due_to_0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn views_agree_with_the_entries_that_were_committed(acts in prop::collection::vec(acts(), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::new();
        let mut store = rows::open(dir.path()).0;
        for act in &acts {
            match act {
                Act::Commits(commits) => commit_all(&store, &mut model, commits),
                Act::Restart => {
                    store.close();
                    store = rows::open(dir.path()).0;
                }
            }
            (0..LISTS).for_each(|list| check_list(&store.reader(), &model, list));
            check_agenda(&store.reader(), &model);
        }
    }
}
