//! Additions are judged without Automerge, and Automerge agrees.

use super::hostile::{body, frame, mutations};
use super::*;
use crate::list::chunk;
use crate::list::judge::{judge_addition, judge_by_automerge};
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ScalarValue};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

/// What the judge of additions says, which Automerge has to confirm.
fn judged(bytes: &Bytes) -> Option<CheckedChange> {
    let hash = chunk::check(bytes).ok()?;
    let fast = judge_addition(bytes, hash)?;
    let slow = judge_by_automerge(bytes.clone(), hash).unwrap();
    assert!(fast.says_as(&slow), "{fast:?} {slow:?}");
    Some(fast)
}

/// A value, and whether an addition as it is written here may have it.
fn values() -> impl Strategy<Value = (ScalarValue, bool)> {
    prop_oneof![
        4 => ".{0,70}".prop_map(|text| (ScalarValue::Str(text.into()), true)),
        4 => any::<i64>().prop_map(|value| (ScalarValue::Int(value), true)),
        2 => (-70..70_i64).prop_map(|value| (ScalarValue::Int(value), true)),
        2 => any::<i64>().prop_map(|ms| (ScalarValue::Timestamp(ms), true)),
        1 => any::<u64>().prop_map(|value| (ScalarValue::Uint(value), false)),
        1 => any::<f64>().prop_map(|value| (ScalarValue::F64(value), false)),
        1 => any::<bool>().prop_map(|value| (ScalarValue::Boolean(value), false)),
        1 => Just((ScalarValue::Null, false)),
        1 => Just((ScalarValue::Bytes(vec![1, 2]), false)),
    ]
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-z:]{1,9}", 1 => "[ä-ö]{1,99}", 1 => ".{0,4}"]
}

/// Entries, each by its number and its values.
type Entries = Vec<(u8, Vec<(String, (ScalarValue, bool))>)>;

fn entries() -> impl Strategy<Value = Entries> {
    let values = proptest::collection::vec((keys(), values()), 0..9);
    proptest::collection::vec((any::<u8>(), values), 0..6)
}

/// A change that adds these as Automerge writes it, and whether it is one that is judged without it.
fn addition(
    entries: &Entries,
    (seq, start_op, time): (u32, u32, i64),
    deps: usize,
) -> (Bytes, bool) {
    let (seq, start_op) = (u64::from(seq.max(1)), u64::from(start_op.max(2)));
    let actor = ActorId::from([7_u8; 16]);
    let (mut operations, mut is_right) = (Vec::new(), deps > 0 && !entries.is_empty());
    let mut ids = BTreeSet::new();
    let put = |object, key: &str, action| Op {
        action,
        obj: ObjectId::Id(object),
        key: Key::Map(key.into()),
        pred: SortedVec::new(),
        insert: false,
    };
    for (number, values) in entries {
        let map = OpId::new(start_op + operations.len() as u64, &actor);
        let root = OpId::new(1, &ActorId::from(genesis::ACTOR.0));
        let id = EntryId(u128::from(*number)).to_string();
        is_right &= ids.insert(*number);
        operations.push(put(root, &id, OpType::Make(ObjType::Map)));
        let mut keys = BTreeSet::new();
        for (key, (value, is_usual)) in values {
            is_right &= *is_usual && keys.insert(key) && !key.is_empty();
            operations.push(put(map.clone(), key, OpType::Put(value.clone())));
        }
    }
    // An entry without a single byte of a value is none that anybody writes.
    let bytes = |value: &ScalarValue| !matches!(value, ScalarValue::Str(text) if text.is_empty());
    is_right &= entries
        .iter()
        .flat_map(|one| &one.1)
        .any(|one| bytes(&one.1.0));
    is_right &= start_op + operations.len() as u64 <= u64::from(u32::MAX);
    let expanded = ExpandedChange {
        operations,
        actor_id: actor,
        hash: None,
        seq,
        start_op: start_op.try_into().unwrap(),
        time,
        message: Some("kim@node1".to_owned()),
        deps: (0..deps)
            .map(|n| automerge::ChangeHash([n as u8; 32]))
            .collect(),
        extra_bytes: Vec::new(),
        author: None,
    };
    let change = Change::from(expanded);
    (Bytes::copy_from_slice(change.raw_bytes()), is_right)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_automerge_writes_of_an_addition_is_known_for_one(
        entries in entries(), numbers in any::<(u32, u32, i64)>(), deps in 0..4_usize
    ) {
        let (bytes, is_right) = addition(&entries, numbers, deps);
        prop_assert_eq!(judged(&bytes).is_some(), is_right);
    }

    #[test]
    fn a_tampered_addition_is_none_or_automerge_agrees(
        entries in entries(), numbers in any::<(u32, u32, i64)>(), mutations in mutations()
    ) {
        let mut bytes = body(&addition(&entries, numbers, 2).0);
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        judged(&frame(&bytes));
    }

    #[test]
    fn no_byte_of_an_addition_may_be_another(at in any::<Index>(), to in any::<u8>()) {
        let mut writer = Replica::new(1);
        writer.add("milk");
        let mut bytes = writer.changes[0].bytes.to_vec();
        let at = at.index(bytes.len() - 8) + 8;
        bytes[at] = to;
        let frame = frame(&body(&bytes));
        judged(&frame);
        // The length of the chunk is spelled in one way only.
        let mut longer = frame.to_vec();
        longer[9] |= 0x80;
        longer.insert(10, 1);
        judged(&longer.into());
    }
}

#[test]
fn what_is_added_here_is_judged_without_automerge() {
    let mut writer = Replica::new(1);
    writer.add("milk");
    let entries = vec![
        NewEntry {
            title: "x".into(),
            ..NewEntry::default()
        };
        2_000
    ];
    writer.edit(&Edit::Add(entries));
    writer.add("bread");
    assert!(
        writer
            .changes
            .iter()
            .all(|change| judged(&change.bytes).is_some())
    );
    let id = writer.document.entries()[0].id;
    writer.patch(id, title("oat milk"));
    writer.edit(&Edit::Delete(id));
    let others = &writer.changes[3..];
    assert!(others.iter().all(|change| judged(&change.bytes).is_none()));
}
