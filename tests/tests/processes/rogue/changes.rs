//! Changes of lists that no client of Muster would write, made by hand with Automerge's own types.

use super::Rogue;
use super::wire::{Lists, Pushed, Tail};
use anyhow::{Context, ensure};
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ScalarValue};
use bytes::Bytes;
use crdt::vector::Marked;
use names::{ListId, ListName};
use std::collections::BTreeSet;
use std::num::NonZeroU64;

/// The hash of the first change of every list.
const GENESIS: [u8; 32] = [
    0xde, 0xeb, 0xea, 0x1d, 0xff, 0x6e, 0x54, 0xb7, 0x84, 0xa9, 0x69, 0xc2, 0x3a, 0x5d, 0xef, 0x8d,
    0xf3, 0xb8, 0xba, 0xf9, 0xbb, 0xac, 0x7d, 0x16, 0x57, 0xca, 0xeb, 0x70, 0x5b, 0x7e, 0x07, 0x39,
];

/// The history of a list, as a node has it.
pub(crate) struct History {
    pub(crate) name: ListName,
    changes: Vec<Change>,
}

impl History {
    /// Pulls all of a list from a node.
    pub(crate) async fn pull(rogue: &mut Rogue, node: &str, list: &str) -> anyhow::Result<Self> {
        let name = ListName::new(list)?;
        let id = ListId::of(&name);
        let conns = rogue.to(node);
        let conn = *conns.first().context("no connection to the node")?;
        let (mut changes, mut is_over) = (Vec::new(), false);
        rogue.lists.clear();
        let pull = Lists::PullMarked {
            list: id,
            vector: Marked::default(),
            most_bytes: 1 << 20,
        };
        rogue.say_of_lists(&[conn], &pull)?;
        while !is_over {
            rogue
                .until("an answer", |rogue| !rogue.lists.is_empty())
                .await?;
            for (_, message) in std::mem::take(&mut rogue.lists) {
                if let Lists::Changes {
                    name: of,
                    changes: more,
                    tail,
                } = message
                {
                    if of == name {
                        changes.extend(more);
                        is_over |= tail != Tail::Message;
                    }
                } else if let Lists::Nothing(of) = message {
                    is_over |= of == id;
                }
            }
        }
        let changes = changes
            .into_iter()
            .map(|bytes: Bytes| Ok(Change::from_bytes(bytes.to_vec())?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!changes.is_empty(), "{node} has nothing of {list}");
        Ok(Self { name, changes })
    }

    /// The first operation that nobody has used.
    pub(crate) fn next_op(&self) -> u64 {
        self.changes.iter().map(Change::max_op).max().unwrap_or(1) + 1
    }

    /// The map of the entry that was added first, as an object of its changes.
    pub(crate) fn first_entry(&self) -> ObjectId {
        let first = self.changes.iter().min_by_key(|change| change.start_op());
        first.map_or(entries(), |first| {
            ObjectId::Id(OpId::new(first.start_op().get(), first.actor_id()))
        })
    }

    /// What has no change above it.
    pub(crate) fn heads(&self) -> Vec<[u8; 32]> {
        let mut heads: BTreeSet<[u8; 32]> =
            self.changes.iter().map(|change| change.hash().0).collect();
        for above in self.changes.iter().flat_map(Change::deps) {
            heads.remove(&above.0);
        }
        heads.into_iter().collect()
    }

    /// The first change of that actor, on top of all that.
    pub(crate) fn change(&self, actor: [u8; 16], operations: Vec<Op>) -> anyhow::Result<Made> {
        make(actor, 1, self.next_op(), &self.heads(), operations)
    }
}

/// A change that was made here.
pub(crate) struct Made {
    pub(crate) hash: [u8; 32],
    pub(crate) bytes: Bytes,
}

/// The map of all entries, which the first change of every list makes.
fn entries() -> ObjectId {
    ObjectId::Id(OpId::new(1, &ActorId::from([0_u8; 16])))
}

/// A change of that actor.
pub(crate) fn make(
    actor: [u8; 16],
    seq: u64,
    start_op: u64,
    above: &[[u8; 32]],
    operations: Vec<Op>,
) -> anyhow::Result<Made> {
    let change = Change::from(ExpandedChange {
        operations,
        actor_id: ActorId::from(actor),
        hash: None,
        seq,
        start_op: NonZeroU64::new(start_op).context("operations begin at 1")?,
        time: 1_700_000_000,
        message: Some("mallory@mallory1".to_owned()),
        deps: above
            .iter()
            .map(|hash| automerge::ChangeHash(*hash))
            .collect(),
        extra_bytes: Vec::new(),
        author: None,
    });
    Ok(Made {
        hash: change.hash().0,
        bytes: Bytes::copy_from_slice(change.raw_bytes()),
    })
}

/// The first change of an actor in a list that has nothing else: an entry with these fields.
pub(crate) fn entry(
    actor: [u8; 16],
    number: u64,
    fields: &[(&str, ScalarValue)],
) -> anyhow::Result<Made> {
    let map = ObjectId::Id(OpId::new(2, &ActorId::from(actor)));
    let mut operations = vec![Op {
        action: OpType::Make(ObjType::Map),
        obj: entries(),
        key: Key::Map(ulid(number).into()),
        pred: SortedVec::new(),
        insert: false,
    }];
    for (key, value) in fields {
        operations.push(put(&map, key, value.clone()));
    }
    make(actor, 1, 2, &[GENESIS], operations)
}

/// Writes a key that nobody wrote before.
pub(crate) fn put(object: &ObjectId, key: &str, value: ScalarValue) -> Op {
    Op {
        action: OpType::Put(value),
        obj: object.clone(),
        key: Key::Map(key.into()),
        pred: SortedVec::new(),
        insert: false,
    }
}

/// The id of an entry, by a number.
fn ulid(number: u64) -> String {
    let id = (1_700_000_000_000_u128 << 80) | u128::from(number);
    (0..26)
        .rev()
        .map(|digit| {
            let value = usize::try_from((id >> (5 * digit)) & 31).unwrap_or(0);
            char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[value])
        })
        .collect()
}

/// Changes of one list, as a push of them.
pub(crate) fn push(name: &ListName, changes: Vec<Bytes>) -> Lists {
    Lists::Push(vec![Pushed {
        name: name.clone(),
        changes,
        confirm: true,
    }])
}
