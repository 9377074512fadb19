//! What happens to edits while Automerge lacks what was added before.

use super::*;
use crate::lists::ask;
use crate::lists::io::{Output, Row, Settings};
use crate::lists::job::{Done, Source, SourceError};
use crate::time::Now;
use crate::wire::{RequestId, WriteId};
use bytes::Bytes;
use crdt::entry::{Author, Edit, EntryPatch, NewEntry};
use crdt::vector::{Range, VersionVector};
use names::{Actor, EntryId, NodeId, Shard};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// More than so many take too long for the machine's own thread.
const MANY: u64 = 200;

fn name() -> ListName {
    ListName::new("groceries").unwrap()
}

fn started() -> (Documents, Edge) {
    let settings = Settings {
        me: NodeId([1; 16]),
        shards: (Shard(0), Shard(255)),
        salt: [2; 16],
        run: 1,
        proofs: crate::lists::testing::proofs(),
        salts: Vec::new(),
        seed: [3; 32],
        resident_bytes: 1 << 20,
        known: Vec::new(),
        compares_numbers: false,
        takes_unsigned: true,
        quarantined: Vec::new(),
        remake: Vec::new(),
    };
    let rng = ChaCha8Rng::from_seed(settings.seed);
    (Documents::new(settings, rng), Edge::new(Now::default()))
}

fn ask(documents: &mut Documents, edge: &mut Edge, request: u64, edit: Edit) {
    let edit = ask::Edit {
        list: name(),
        edit,
        expect: None,
        replicas: None,
        timeout: Duration::from_secs(5),
    };
    let by = Author("bob".to_owned());
    documents
        .edit(edge, RequestId(request), by, edit, None)
        .unwrap();
}

fn addition(id: u64) -> Edit {
    Edit::Add(vec![NewEntry {
        id: Some(EntryId(id.into())),
        title: "milk".to_owned(),
        ..NewEntry::default()
    }])
}

fn patch(id: u64) -> Edit {
    let patch = EntryPatch {
        title: Some("oat milk".to_owned()),
        ..EntryPatch::default()
    };
    Edit::Patch(EntryId(id.into()), patch.into())
}

fn outputs(edge: &mut Edge) -> Vec<Output> {
    std::iter::from_fn(|| edge.next_output()).collect()
}

fn write(outputs: &[Output]) -> Option<(WriteId, &[Row])> {
    outputs.iter().find_map(|output| {
        if let Output::Write { id, rows } = output {
            Some((*id, rows.as_slice()))
        } else {
            None
        }
    })
}

/// Clients have added so many entries, and the disk has them.
fn with_additions(count: u64) -> (Documents, Edge) {
    let (mut documents, mut edge) = started();
    for id in 1..=count {
        ask(&mut documents, &mut edge, id, addition(id));
        let (id, _) = write(&outputs(&mut edge)).expect("it is written at once");
        documents.written(&mut edge, id, Ok(()));
        outputs(&mut edge);
    }
    (documents, edge)
}

/// The job that an edit waits for.
fn awaited(outputs: Vec<Output>) -> Option<Job> {
    outputs.into_iter().find_map(|output| {
        if let Output::Work { job, .. } = output {
            Some(job)
        } else {
            None
        }
    })
}

/// Nothing is read here.
struct Nothing;

fn nothing<T>() -> Result<T, SourceError> {
    Err(SourceError {
        reason: "nothing is here".to_owned(),
        is_damage: false,
    })
}

impl Source for Nothing {
    fn name(&self, _: ListId) -> Result<Option<ListName>, SourceError> {
        nothing()
    }
    fn vector(&self, _: ListId) -> Result<VersionVector, SourceError> {
        nothing()
    }
    fn snapshot(&self, _: ListId) -> Result<Option<(VersionVector, Bytes)>, SourceError> {
        nothing()
    }
    fn changes(&self, _: ListId, _: Range) -> Result<Vec<Bytes>, SourceError> {
        nothing()
    }
    fn left_out(&self, _: ListId) -> Result<Vec<Bytes>, SourceError> {
        nothing()
    }
    fn made(&self, _: ListId) -> Result<BTreeMap<Actor, u64>, SourceError> {
        nothing()
    }
    fn aside(&self, _: ListId) -> Result<Vec<ChangeHash>, SourceError> {
        nothing()
    }
    fn changes_aside(&self, _: ListId) -> Result<Vec<Bytes>, SourceError> {
        nothing()
    }
}

#[test]
fn an_edit_after_few_additions_is_made_at_once() {
    let (mut documents, mut edge) = with_additions(3);
    ask(&mut documents, &mut edge, 9, patch(2));
    let outputs = outputs(&mut edge);
    assert!(write(&outputs).is_some() && awaited(outputs).is_none());
}

#[test]
fn an_edit_after_many_additions_waits_for_a_job_and_what_comes_then_stays_behind_it() {
    let (mut documents, mut edge) = with_additions(MANY);
    ask(&mut documents, &mut edge, MANY + 1, patch(2));
    ask(&mut documents, &mut edge, MANY + 2, addition(MANY + 2));
    let waiting = outputs(&mut edge);
    assert!(write(&waiting).is_none());
    let job = awaited(waiting).expect("a job");
    let Job::CatchUp { document } = &job else {
        panic!("{job:?}");
    };
    assert_eq!(u64::try_from(document.behind()), Ok(MANY));
    let list = ListId::of(&name());
    let done = job.run(list, &Nothing);
    assert_eq!(documents.worked(&mut edge, list, done), Some(list));
    documents.run_waiting(&mut edge, list);
    let writes = outputs(&mut edge);
    let titles = writes.iter().filter_map(|output| {
        let (_, rows) = write(std::slice::from_ref(output))?;
        rows.iter().find_map(|row| match row {
            Row::Entry { entry, .. } => entry.as_ref().map(|entry| entry.title.clone()),
            Row::Change { .. }
            | Row::List { .. }
            | Row::View { .. }
            | Row::Snapshot { .. }
            | Row::LeaveOut { .. }
            | Row::Made { .. }
            | Row::Salt(_)
            | Row::Release { .. }
            | Row::Drop { .. }
            | Row::Quarantine { .. } => None,
        })
    });
    assert_eq!(titles.collect::<Vec<_>>(), ["oat milk", "milk"]);
}

#[test]
fn a_list_is_quarantined_if_automerge_fails_on_what_was_taken_and_the_change_is_named() {
    let (mut documents, mut edge) = with_additions(MANY);
    ask(&mut documents, &mut edge, MANY + 1, patch(2));
    awaited(outputs(&mut edge)).expect("a job");
    let list = ListId::of(&name());
    let bad = ChangeHash([5; 32]);
    let done = Done::CaughtUp(Err(ApplyError::Late(bad)));
    assert_eq!(documents.worked(&mut edge, list, done), Some(list));
    documents.run_waiting(&mut edge, list);
    assert!(documents.is_quarantined(list));
    let outputs = outputs(&mut edge);
    let (_, rows) = write(&outputs).expect("the quarantine is kept");
    let [Row::Quarantine { reason, .. }] = rows else {
        panic!("{rows:?}");
    };
    assert!(reason.contains(&bad.to_string()), "{reason}");
    let refused = |output: &Output| {
        matches!(
            output,
            Output::Reply {
                result: Err(Refusal::Quarantined),
                ..
            }
        )
    };
    assert!(outputs.iter().any(refused));
}
