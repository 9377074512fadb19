//! Bytes that somebody tampered with, in frames that are right.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use sha2::{Digest, Sha256};

#[derive(Clone, Debug)]
pub(super) enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
    Huge(Index, usize),
}

pub(super) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<Index>;
    let mutation = prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::Remove),
        at().prop_map(Mutation::Truncate),
        (at(), 1usize..7).prop_map(|(at, length)| Mutation::Huge(at, length)),
    ];
    proptest::collection::vec(mutation, 1..4)
}

impl Mutation {
    pub(super) fn apply(&self, body: &mut Vec<u8>) {
        if body.is_empty() {
            return;
        }
        let (Self::Flip(at, _)
        | Self::Set(at, _)
        | Self::Insert(at, _)
        | Self::Remove(at)
        | Self::Truncate(at)
        | Self::Huge(at, _)) = self;
        let at = at.index(body.len());
        match self {
            Self::Flip(_, bit) => body[at] ^= 1 << bit,
            Self::Set(_, byte) => body[at] = *byte,
            Self::Insert(_, byte) => body.insert(at, *byte),
            Self::Remove(_) => drop(body.remove(at)),
            Self::Truncate(_) => body.truncate(at),
            Self::Huge(_, length) => {
                let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
                body.iter_mut()
                    .skip(at)
                    .zip(&huge[7 - length..])
                    .for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// The part of a chunk after its length.
pub(super) fn body(chunk: &[u8]) -> Vec<u8> {
    let length = chunk[9..]
        .iter()
        .take_while(|byte| **byte & 0x80 != 0)
        .count()
        + 1;
    chunk[9 + length..].to_vec()
}

/// A change chunk of that body, with the right length and checksum.
pub(super) fn frame(body: &[u8]) -> Bytes {
    let mut hashed = vec![1];
    let mut length = body.len();
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        hashed.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    hashed.extend(body);
    let checksum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &checksum[..4], &hashed]
        .concat()
        .into()
}

/// A replica with some history, and changes that another one made on top of it.
fn scene() -> (Replica, Vec<RawChange>) {
    let (mut a, mut b, id) = two_with("milk");
    let other = a.add("bread");
    b.pull(&a);
    let known = b.changes.len();
    b.add("eggs");
    b.patch(
        id,
        EntryPatch {
            tags: Some(vec!["home".into()]),
            done: Some(true),
            ..title("oat milk")
        },
    );
    b.patch(
        id,
        EntryPatch {
            tags: Some(vec![]),
            done: Some(false),
            notes: Some("two".into()),
            ..EntryPatch::default()
        },
    );
    b.edit(&Edit::Delete(other));
    let text = super::javascript::text_edit(&b.document, id, "a text");
    b.document
        .apply(vec![judge(text.clone()).unwrap()])
        .unwrap();
    let checked = judge(text.clone()).unwrap();
    let mut changes = b.changes.split_off(known);
    changes.push(RawChange {
        id: checked.id(),
        hash: checked.hash(),
        bytes: text,
    });
    (a, changes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_tampered_change_never_panics_and_never_spoils_a_document(pick in any::<Index>(), mutations in mutations()) {
        let (mut replica, mut changes) = scene();
        let pick = pick.index(changes.len());
        let mut bytes = body(&changes[pick].bytes);
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        changes.truncate(pick);
        let before = changes.into_iter().map(|change| judge(change.bytes).unwrap()).collect();
        replica.document.apply(before).unwrap();
        if let Ok(checked) = judge(frame(&bytes)) {
            // An error of `apply` is allowed: the document is then dropped. Success has to last.
            if replica.document.apply(vec![checked]).is_ok() {
                let saved = replica.document.save();
                let again = Document::load(replica.document.name().clone(), Actor([9; 16]), Some(&saved), &[]).unwrap();
                assert_same(&replica.document, &again);
            }
        }
    }

    #[test]
    fn rubbish_is_no_change(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(judge(Bytes::from(bytes.clone())).is_err());
        prop_assert!(judge(frame(&bytes)).is_err());
    }
}

#[test]
fn a_change_that_expands_to_too_many_operations_is_refused_unexpanded() {
    let mut a = Replica::new(1);
    a.add("milk");
    let chunk = body(&a.changes[0].bytes);
    // The action column: make a map (0), then puts (1). A run of 2^40 puts takes a few bytes.
    let columns = chunk
        .windows(4)
        .position(|bytes| bytes == [0x7f, 0, 4, 1])
        .unwrap();
    let mut bomb = chunk.clone();
    bomb.splice(
        columns + 2..columns + 3,
        [0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
    );
    let length = chunk.windows(2).position(|bytes| bytes == [66, 4]).unwrap() + 1;
    bomb[length] += 5;
    assert_eq!(judge(frame(&bomb)).unwrap_err(), Fault::Operations);
}

#[test]
fn a_change_that_is_too_large_or_not_intact_is_refused() {
    let mut a = Replica::new(1);
    a.add("milk");
    let mut flipped = a.changes[0].bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(judge(flipped.into()).unwrap_err(), Fault::Checksum);
    assert_eq!(
        judge(vec![0; MAX_CHANGE_BYTES + 1].into()).unwrap_err(),
        Fault::Bytes
    );
}

#[test]
fn the_same_number_of_an_actor_cannot_name_two_changes() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(1));
    a.add("milk");
    b.at_ms += 60_000;
    b.add("bread");
    let applied = a.pull(&b);
    assert!(
        matches!(applied.refused.as_slice(), [(_, Fault::Forked)]),
        "{applied:?}"
    );
    assert_eq!(a.titles(), ["milk"]);
}
