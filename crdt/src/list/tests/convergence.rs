//! Any replicas, any edits, any order of delivery: in the end all have the same list.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

/// A replica, the view that its touched rows make, and the changes that wait for others.
struct Node {
    replica: Replica,
    view: BTreeMap<EntryId, Entry>,
    waiting: Vec<CheckedChange>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Adds an entry, with an id of a small pool or a drawn one, at the end or before another.
    Add {
        id: Option<u8>,
        before: Option<Index>,
    },
    Patch {
        entry: Index,
        patch: Box<EntryPatch>,
        after: Option<Index>,
    },
    Delete {
        entry: Index,
    },
    DeleteAll,
    /// Takes in some changes of others, in this order, some twice.
    Deliver {
        changes: Vec<Index>,
    },
    /// Gives Automerge what it lacks.
    CatchUp,
    /// Comes back from its stored changes, or from a snapshot, as a new actor.
    Restart {
        snapshot: bool,
    },
}

impl Node {
    fn new(number: u8) -> Self {
        Self {
            replica: Replica::new(number),
            view: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Brings the view up to date as a store does.
    fn show(&mut self, touched: Vec<Touched>) {
        for row in touched {
            let before = match row.entry {
                Some(entry) => self.view.insert(row.id, entry),
                None => self.view.remove(&row.id),
            };
            assert_eq!(before.is_some(), row.before, "{row_id}", row_id = row.id);
        }
    }

    fn edit(&mut self, edit: &Edit) {
        // Refusals (an entry that is not there, or no longer) are part of the game; nothing may be
        // left.
        let before = self.replica.document.index.clone();
        match self.replica.try_edit(edit) {
            Ok(edited) => self.show(edited.touched),
            Err(EditRefusal::Broken(why)) => panic!("{why}"),
            Err(_) => assert_eq!(self.replica.document.index, before),
        }
    }

    fn deliver(&mut self, changes: impl IntoIterator<Item = RawChange>) {
        let mut batch = std::mem::take(&mut self.waiting);
        batch.extend(
            changes
                .into_iter()
                .map(|change| judge(change.bytes).unwrap()),
        );
        let applied = self.replica.document.apply(batch).unwrap();
        assert!(applied.refused.is_empty(), "{:?}", applied.refused);
        self.show(applied.touched);
        self.waiting = applied.orphans;
    }

    fn pick(&self, index: Index) -> EntryId {
        let ids: Vec<EntryId> = self.view.keys().copied().chain([EntryId(0)]).collect();
        *index.get(&ids)
    }

    fn step(&mut self, step: Step, everything: &[RawChange]) {
        match step {
            Step::Add { id, before } => {
                let id = id.map(|id| EntryId(u128::from(id)));
                let place = before.map(|before| Place::Before(self.pick(before)));
                self.edit(&Edit::Add(vec![NewEntry {
                    id,
                    place,
                    title: "new".into(),
                    tags: vec!["a".into()],
                    // Ticking it makes another one.
                    every: Some("FREQ=WEEKLY".into()),
                    ..NewEntry::default()
                }]));
            }
            Step::Patch {
                entry,
                mut patch,
                after,
            } => {
                patch.place = after.map(|after| Place::After(self.pick(after)));
                self.edit(&Edit::Patch(self.pick(entry), patch));
            }
            Step::Delete { entry } => self.edit(&Edit::Delete(self.pick(entry))),
            Step::DeleteAll => self.edit(&Edit::DeleteAll),
            Step::Deliver { changes } if !everything.is_empty() => {
                self.deliver(changes.iter().map(|index| index.get(everything).clone()))
            }
            Step::Deliver { .. } => {}
            Step::CatchUp => self.replica.document.catch_up().unwrap(),
            Step::Restart { snapshot } => self.restart(snapshot, everything),
        }
    }

    fn restart(&mut self, snapshot: bool, everything: &[RawChange]) {
        let document = &self.replica.document;
        let mut actor = document.actor;
        actor.0[1] += 1;
        let again = if snapshot {
            Document::load(document.name().clone(), actor, Some(&document.save()), &[])
        } else {
            let mut changes: Vec<Bytes> = everything
                .iter()
                .filter(|change| document.has(&change.hash))
                .map(|change| change.bytes.clone())
                .collect();
            changes.sort_by_key(|change| start_op(change));
            Document::load(document.name().clone(), actor, None, &changes)
        };
        let again = again.unwrap();
        assert_same(document, &again);
        assert_eq!(document.index, again.index);
        self.replica.document = again;
    }

    fn check_view(&self) {
        let mut view: Vec<Entry> = self.view.values().cloned().collect();
        view.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
        let document = &self.replica.document;
        assert_eq!(view, document.entries());
        assert_eq!(
            document.open(),
            view.iter().filter(|entry| entry.is_open()).count() as u64
        );
        assert_eq!(document.sums(), document.vector().sums(document.id()));
    }
}

fn patches() -> impl Strategy<Value = EntryPatch> {
    let tags = proptest::option::weighted(
        0.3,
        proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3),
    );
    let text = |text: &'static str| {
        proptest::option::weighted(
            0.3,
            proptest::sample::select(vec![text.to_owned(), String::new(), "x".to_owned()]),
        )
    };
    (
        text("title"),
        proptest::option::weighted(0.4, any::<bool>()),
        tags,
        text("notes"),
        any::<Option<bool>>(),
    )
        .prop_map(|(title, done, tags, notes, due)| EntryPatch {
            title,
            done,
            notes,
            tags: tags.map(|tags| tags.into_iter().map(str::to_owned).collect()),
            due: due.map(|due| due.then_some(crate::entry::Due::Instant(5))),
            ..EntryPatch::default()
        })
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let index = any::<Index>;
    let step = prop_oneof![
        4 => (proptest::option::of(1u8..4), proptest::option::of(index())).prop_map(|(id, before)| Step::Add { id, before }),
        6 => (index(), patches(), proptest::option::weighted(0.3, index())).prop_map(|(entry, patch, after)| Step::Patch { entry, patch: Box::new(patch), after }),
        2 => index().prop_map(|entry| Step::Delete { entry }),
        1 => Just(Step::DeleteAll),
        6 => proptest::collection::vec(index(), 1..8).prop_map(|changes| Step::Deliver { changes }),
        1 => Just(Step::CatchUp),
        1 => any::<bool>().prop_map(|snapshot| Step::Restart { snapshot }),
    ];
    proptest::collection::vec((0..3usize, step), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn replicas_converge(steps in steps(), last in proptest::collection::vec(any::<Index>(), 30)) {
        let mut nodes = [Node::new(1), Node::new(2), Node::new(3)];
        let mut everything: Vec<RawChange> = Vec::new();
        for (who, step) in steps {
            nodes[who].step(step, &everything);
            // One of them never defers anything.
            nodes[2].replica.document.catch_up().unwrap();
            everything = nodes.iter().flat_map(|node| node.replica.changes.clone()).collect();
        }
        for node in &mut nodes {
            if !everything.is_empty() {
                node.deliver(last.iter().map(|index| index.get(&everything).clone()));
            }
            node.deliver(everything.iter().rev().cloned());
            prop_assert!(node.waiting.is_empty());
            node.check_view();
            node.restart(false, &everything);
            node.restart(true, &everything);
        }
        assert_same(&nodes[0].replica.document, &nodes[1].replica.document);
        assert_same(&nodes[0].replica.document, &nodes[2].replica.document);
    }
}
