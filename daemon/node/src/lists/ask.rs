//! What clients can ask of the lists machine, each question with the kind of its answer.

use super::io::{
    Command, Comparison, Disputed, Edited, Holder, Lagging as ListLagging, Precondition, Recorded,
    Replicas, Reply,
};
use super::replication::{Contradiction, Fork};
use crate::machine::asks;
use bytes::Bytes;
use crdt::entry::{self, Entry};
use crdt::list::{Moment, Standing, Way};
use names::{ChangeHash, EntryId, ListId, ListName};
use std::time::Duration;

/// Change a list: one change of its document.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Which list; `Add` creates it.
    pub list: ListName,
    /// What to do.
    pub edit: entry::Edit,
    /// Only if the list or entry is as the client saw it.
    pub expect: Option<Precondition>,
    /// Wait until so many nodes have the change on disk.
    pub replicas: Option<Replicas>,
    /// How long to wait, for the list to load and for the replicas.
    pub timeout: Duration,
}

/// Wait until some other member has all that this node has: asked before leaving. The answer is the
/// number of lists that no other member is known to have whole; 0 is success.
#[derive(Clone, Copy, Debug)]
pub struct Depart {
    /// How long to wait.
    pub timeout: Duration,
}

/// The list as it was when these were its heads: its entries, in order.
#[derive(Clone, Debug)]
pub struct EntriesAt {
    /// Which list.
    pub list: ListName,
    /// A change; the list as of it and all that it depends on.
    pub change: ChangeHash,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// The entries of a list with fields that were written apart, in the order of their ids, with all values
/// of these.
#[derive(Clone, Debug)]
pub struct Disputes {
    /// Which list.
    pub list: ListName,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// The changes of a list, the newest first, as it is on the disk.
#[derive(Clone, Debug)]
pub struct History {
    /// Which list.
    pub list: ListName,
    /// Only those that wrote to this entry.
    pub entry: Option<EntryId>,
    /// Only those that stand before this one.
    pub before: Option<Moment>,
    /// At most so many.
    pub most: usize,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// The document of a list as Automerge saves it, with the list's tag.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Which list.
    pub list: ListName,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// What a saved document from outside would change of a list, with the tag that the list has now; the
/// list may be new.
#[derive(Clone, Debug)]
pub struct Differences {
    /// Which list.
    pub list: ListName,
    /// The document.
    pub saved: Bytes,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// Which of these entries are in a list, or were and have been deleted. Of a list that is not there:
/// none.
#[derive(Clone, Debug)]
pub struct Standings {
    /// Which list.
    pub list: ListName,
    /// The entries.
    pub ids: Vec<EntryId>,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// The change that the caller undoes next, or makes anew next, of those that were made on this node.
#[derive(Clone, Debug)]
pub struct LastOf {
    /// Which list.
    pub list: ListName,
    /// What for.
    pub way: Way,
    /// How long to wait for the list to load.
    pub timeout: Duration,
}

/// Which lists have differed from a connected peer's while one side stood still: a bounded number
/// for each peer, in no order.
#[derive(Clone, Copy, Debug)]
pub struct Lagging;

/// Of which lists connected peers have other branches: a bounded number, in no order.
#[derive(Clone, Copy, Debug)]
pub struct Forks;

/// Which nodes have signed two changes with one number as their own: a bounded number, in no order.
#[derive(Clone, Copy, Debug)]
pub struct Contradictions;

/// Make the rows of a list's view, or of all lists that the machine knows, anew from their changes.
/// Goes on after the deadline. The answer is the number of lists.
#[derive(Clone, Debug)]
pub struct Rebuild {
    /// Which list; all without.
    pub list: Option<ListName>,
    /// How long to wait for the end.
    pub timeout: Duration,
}

/// How this node's lists stand to those of its connected peers, as far as they were compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparisons;

/// Which connected members have a list, and how far it has come there. Members that do not answer
/// before the deadline are not named, nor are observers.
#[derive(Clone, Debug)]
pub struct Holders {
    /// Which list.
    pub list: ListName,
    /// How long to wait for their answers.
    pub timeout: Duration,
}

/// Put a list in quarantine, because its rows were found to be damaged.
#[derive(Clone, Debug)]
pub struct Quarantine {
    /// Which list.
    pub list: ListId,
    /// Why, for people.
    pub reason: String,
}

/// Make the document of a list in quarantine from its raw changes, and if that succeeds take the list out
/// of quarantine. Goes on after the deadline.
#[derive(Clone, Debug)]
pub struct Release {
    /// Which list.
    pub list: ListName,
    /// How long to wait for the end.
    pub timeout: Duration,
}

/// Remove all rows of a list in quarantine, and take the list from other members as one that was never
/// here. Whoever asks has put the rows aside.
#[derive(Clone, Debug)]
pub struct Replace {
    /// Which list.
    pub list: ListName,
}

/// Learn salts of actors that are in a backup. Those that prove nothing are passed over.
#[derive(Clone, Debug)]
pub struct Learn {
    /// As their nodes have signed them.
    pub salts: Vec<Bytes>,
}

/// Take what a backup has of a list: it is judged as what a peer sends. The answer comes at once, before anything
/// is on the disk.
#[derive(Clone, Debug)]
pub struct Restore {
    /// Which list.
    pub list: ListName,
    /// Raw changes.
    pub changes: Vec<Bytes>,
    /// What the list is without there, as records.
    pub left_out: Vec<Bytes>,
}

asks!(Command => Reply {
    Edit: Command::Edit => Edited: Reply::Edited(edited) => edited,
    Depart: Command::Depart => u64: Reply::Unconfirmed(lists) => lists,
    EntriesAt: Command::EntriesAt => Vec<Entry>: Reply::Entries(entries) => entries,
    Disputes: Command::Disputes => Vec<Disputed>: Reply::Disputes(entries) => entries,
    History: Command::History => Vec<Recorded>: Reply::History(changes) => changes,
    Saved: Command::Saved => (u64, Bytes): Reply::Saved(tag, saved) => (tag, saved),
    Differences: Command::Differences => (u64, Box<entry::Differences>):
        Reply::Differences(tag, found) => (tag, found),
    Standings: Command::Standings => Vec<(EntryId, Standing)>: Reply::Standings(known) => known,
    LastOf: Command::LastOf => Option<ChangeHash>: Reply::LastOf(change) => change,
    Rebuild: Command::Rebuild => u64: Reply::Rebuilt(lists) => lists,
    Forks: Command::Forks => Vec<Fork>: Reply::Forks(forks) => forks,
    Contradictions: Command::Contradictions => Vec<Contradiction>: Reply::Contradictions(all) => all,
    Holders: Command::Holders => Vec<Holder>: Reply::Holders(holders) => holders,
    Quarantine: Command::Quarantine => (): Reply::Done => (),
    Release: Command::Release => (): Reply::Done => (),
    Replace: Command::Replace => (): Reply::Done => (),
    Comparisons: Command::Comparisons => Vec<Comparison>: Reply::Comparisons(all) => all,
    Learn: Command::Learn => (): Reply::Done => (),
    Restore: Command::Restore => (): Reply::Done => (),
    Lagging: Command::Lagging => Vec<ListLagging>: Reply::Lagging(lists) => lists,
});
