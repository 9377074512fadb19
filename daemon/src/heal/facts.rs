//! What the machines put out that belongs into a report.

use api::heals::{HealConflict, HealTransfer, HealValue};
use api::time::Millis;
use crdt::list::{Dispute, Disputed};
use names::{EntryId, NodeId, Shard};
use node::lists::{Change, Compared, Finding, Remote};
use node::registry::{self, EventKind};

/// How much of a value is told.
const MAX_VALUE_CHARS: usize = 200;
/// How many values of a field are told.
const MAX_VALUES: usize = 8;

/// Something that a report tells.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    /// Changes of others were put into a list.
    Received {
        list: String,
        /// It had other changes that they did not know.
        is_merged: bool,
        transfer: HealTransfer,
        conflicts: Vec<HealConflict>,
    },
    /// A comparison found that each side lacked changes of a list.
    Diverged { peer: NodeId, list: String },
    /// A peer was sent what it lacked.
    Sent {
        peer: NodeId,
        transfer: HealTransfer,
    },
    /// A peer has the same lists, from one shard to another.
    Equal {
        peer: NodeId,
        shards: (Shard, Shard),
    },
    /// Two processes claim a name.
    Claimed {
        name: String,
        kept: String,
        lost: String,
    },
}

impl Fact {
    /// Of a list that changed; nothing if clients of this node changed it.
    pub(super) fn of_change(change: &Change) -> Option<Self> {
        let remote = change.remote.as_ref()?;
        Some(Self::Received {
            list: change.name.to_string(),
            is_merged: change.row.heads.len() > 1,
            transfer: HealTransfer {
                changes: remote.changes,
                bytes: remote.bytes,
            },
            conflicts: conflicts(change, remote),
        })
    }

    /// Of what a comparison found.
    pub(super) fn of_comparison(Compared { peer, finding }: Compared) -> Self {
        match finding {
            Finding::Equal(first, last) => Self::Equal {
                peer,
                shards: (first, last),
            },
            Finding::Diverged(list) => Self::Diverged {
                peer,
                list: list.to_string(),
            },
            Finding::Sent { changes, bytes } => Self::Sent {
                peer,
                transfer: HealTransfer { changes, bytes },
            },
        }
    }

    /// Of what happened to a process; nothing if that is no contest about its name.
    pub(super) fn of_claim(event: &registry::Event) -> Option<Self> {
        let (kept, lost) = match &event.kind {
            EventKind::Contested { other } => (&event.handle, other),
            EventKind::Lost { to } => (to, &event.handle),
            EventKind::Up | EventKind::Down(_) | EventKind::Unreachable | EventKind::Back => {
                return None;
            }
        };
        Some(Self::Claimed {
            name: event.handle.name.to_string(),
            kept: kept.to_string(),
            lost: lost.to_string(),
        })
    }
}

fn conflicts(change: &Change, remote: &Remote) -> Vec<HealConflict> {
    let of_entry = |(id, disputes): &(EntryId, Vec<Dispute>)| {
        let found = change.entries.iter().find(|(entry, _, _)| entry == id);
        let title = found
            .and_then(|(_, entry, _)| entry.as_ref())
            .map(|entry| cut(&entry.title))
            .unwrap_or_default();
        let (list, entry) = (change.name.to_string(), id.to_string());
        let of_field = move |dispute: &Dispute| HealConflict {
            list: list.clone(),
            entry: entry.clone(),
            title: title.clone(),
            field: dispute.field.as_str().into(),
            values: dispute.values.iter().take(MAX_VALUES).map(value).collect(),
        };
        disputes.iter().map(of_field).collect::<Vec<_>>()
    };
    remote.disputes.iter().flat_map(of_entry).collect()
}

fn value(disputed: &Disputed) -> HealValue {
    HealValue {
        value: cut(&disputed.text),
        by: disputed.by.to_string(),
        at: Millis(disputed.at),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_VALUE_CHARS).collect()
}
