//! Leaving changes out of a list: of several with one number all but one, and all that depends on those
//! (`crdt/src/list/left_out.rs` says which one stays).
//!
//! A list from which something is to be left out waits until nothing of it is on its way to the disk.
//! A job finds what is left out, and makes the document and all rows of the view from the changes that
//! stay; one write replaces those that are there, and moves the other changes aside. What this node has
//! written on top of changes that leave the list is written anew in the same write. Whatever else waits
//! for the list waits until then.

use super::Documents;
use super::commits::{Advance, Settlement};
use super::resident::Place;
use crate::lists::edge::{Edge, Timer};
use crate::lists::event::{Event, Origin};
use crate::lists::io::{Gone, Left, ListRow, Row};
use crate::lists::job::{Job, JobError, Judged, Without};
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{Anew, CheckedChange, LeftOut, RawChange};
use names::{ChangeHash, EntryId, ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Lists from which something is left out at once; the others are found again.
const MAX_LISTS: usize = 64;
/// What is looked at together for a list.
const MAX_CHANGES: usize = 256;
/// How long after a failed read a list is read again.
const RELOAD_AFTER: Duration = Duration::from_millis(250);

/// What is to be left out of a list, or may have to be.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    challengers: Vec<RawChange>,
    told: Vec<LeftOut>,
    /// Who sent each change that may have to be applied then.
    senders: BTreeMap<ChangeHash, NodeId>,
    is_under_way: bool,
}

impl Leaving {
    fn has_room(&self) -> bool {
        !self.is_under_way && self.challengers.len() + self.told.len() < MAX_CHANGES
    }
}

impl Documents {
    /// A change came whose number another one has here.
    pub(super) fn challenge(&mut self, list: ListId, change: &CheckedChange, from: NodeId) {
        let Some(leaving) = self.leaving(list) else {
            return;
        };
        leaving.senders.insert(change.hash(), from);
        leaving.challengers.push(RawChange {
            id: change.id(),
            hash: change.hash(),
            bytes: change.bytes().clone(),
        });
    }

    /// A peer leaves these changes out. They are left out here when [`run_waiting`](Self::run_waiting)
    /// is called for the list, which has to be here.
    pub(in crate::lists) fn leave_out(&mut self, list: ListId, told: Vec<LeftOut>, from: NodeId) {
        let is_here = self.digest.get(list).is_some();
        for one in told.into_iter().filter(|_| is_here) {
            let Some(leaving) = self.leaving(list) else {
                return;
            };
            leaving.senders.insert(one.ruling().stays, from);
            leaving.told.push(one);
        }
    }

    /// Where there is room to note something more for a list.
    fn leaving(&mut self, list: ListId) -> Option<&mut Leaving> {
        if self.leaving.len() >= MAX_LISTS && !self.leaving.contains_key(&list) {
            return None;
        }
        let leaving = self.leaving.entry(list).or_default();
        leaving.has_room().then_some(leaving)
    }

    /// Whether something is to be left out of a list before anything else is done with it.
    pub(super) fn is_leaving(&self, list: ListId) -> bool {
        self.leaving.contains_key(&list)
    }

    /// Begins, unless something of the list is on its way.
    pub(super) fn begin_leaving(&mut self, edge: &mut Edge, list: ListId) {
        if self.commits.any(list) {
            return;
        }
        match self.resident.place(list) {
            Place::Away => return,
            Place::Quarantined => drop(self.leaving.remove(&list)),
            // What it holds is on the disk.
            Place::Here => drop(self.resident.lend(list)),
            Place::Absent => self.resident.expect(list),
        }
        let actors = (self.actor(list), self.next_actor(list));
        let own = self.owners.own().clone();
        let Some(leaving) = self.leaving.get_mut(&list) else {
            return;
        };
        leaving.is_under_way = true;
        let job = Job::LeaveOut {
            actors,
            own,
            challengers: leaving.challengers.clone(),
            told: leaving.told.clone(),
        };
        self.jobs.push(edge, list, job);
    }

    /// The job is done. False if the list is to be tried again later.
    pub(super) fn left_out(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        result: Result<Judged, JobError>,
    ) -> bool {
        let Some(leaving) = self.leaving.remove(&list) else {
            return true;
        };
        match result {
            Ok(judged) => {
                let nodes = judged.contradicted.into_iter();
                let events = nodes.map(|node| Event::Contradicting { node, list });
                self.events.extend(events);
                for (ours, theirs) in judged.challenged {
                    if let Some(&peer) = leaving.senders.get(&theirs) {
                        self.events.push_back(Event::Unlike { peer, list, ours });
                    }
                }
                match judged.without {
                    Some(without) => self.commit_without(edge, list, *without, &leaving.senders),
                    None => self.resident.discard(list),
                }
            }
            Err(JobError::Source(error)) if !error.is_damage => {
                self.resident.discard(list);
                let again = Leaving {
                    is_under_way: false,
                    ..leaving
                };
                self.leaving.insert(list, again);
                edge.after(RELOAD_AFTER, Timer::Reload(list));
                return false;
            }
            Err(error) => {
                tracing::error!(%list, %error, "changes cannot be left out of a list");
                self.resident.discard(list);
            }
        }
        true
    }

    fn commit_without(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        without: Without,
        senders: &BTreeMap<ChangeHash, NodeId>,
    ) {
        let Without {
            document,
            row,
            entries,
            before,
            settled,
            found,
            moved,
            returned,
            unseen,
            anew,
            own,
            is_next_actor,
        } = without;
        if is_next_actor {
            self.take_next_actor(list);
        }
        let name = row.name.clone();
        let staying: Vec<(Bytes, NodeId)> = settled
            .iter()
            .filter_map(|one| {
                let stays = one.stays().filter(|stays| !document.has(&stays.hash))?;
                Some((stays.bytes.clone(), *senders.get(&stays.hash)?))
            })
            .collect();
        let written = anew.iter().flat_map(|anew| &anew.changes);
        let added: Vec<RawChange> = returned.iter().chain(written).cloned().collect();
        let changes = Settlement {
            left: Left {
                list,
                name: name.clone(),
                at: edge.now.wall,
                changes: gone((&moved, &unseen), &own, &anew),
            },
            returned: returned.len(),
            found: found.iter().map(|one| one.bytes().clone()).collect(),
            anew: anew.into_iter().flat_map(|anew| anew.changes).collect(),
        };
        let advance = advance(&row, &entries, &before);
        let vector = document.vector().clone();
        self.resident.insert(list, document, 0);
        let row = Row::LeaveOut {
            list,
            row,
            entries,
            vector,
            settled,
            moved,
            unseen,
            added,
        };
        self.commits.leave_out(edge, list, advance, changes, row);
        // What stays may have been refused while the other one was here, and what lacked something may
        // depend on either.
        self.incoming.retry_orphans(list);
        for (change, from) in staying {
            let document = self.resident.get(list);
            self.incoming
                .receive(edge, (list, &name), change, from, document);
        }
    }
}

/// What has left, and what became of it.
fn gone(
    (moved, unseen): (&[RawChange], &[RawChange]),
    own: &BTreeSet<ChangeHash>,
    anew: &[Anew],
) -> Vec<Gone> {
    let written = |hash| {
        let of_it = anew.iter().filter(move |anew| anew.instead_of == hash);
        of_it.flat_map(|anew| anew.changes.iter().map(|change| change.hash))
    };
    let gone = |change: &RawChange| Gone {
        hash: change.hash,
        is_own: own.contains(&change.hash),
        anew: written(change.hash).collect(),
    };
    moved.iter().chain(unseen).map(gone).collect()
}

/// What those see who watch the list.
fn advance(row: &ListRow, entries: &[Arc<Entry>], before: &BTreeSet<EntryId>) -> Advance {
    let alive: BTreeSet<EntryId> = entries.iter().map(|entry| entry.id).collect();
    let gone = before.iter().filter(|id| !alive.contains(id));
    let shown = entries.iter().map(|entry| {
        let is_old = before.contains(&entry.id);
        (entry.id, Some(entry.clone()), is_old)
    });
    Advance {
        origin: Origin::Remote,
        name: row.name.clone(),
        changes: Vec::new(),
        total_before: u64::try_from(before.len()).unwrap_or(u64::MAX),
        row: row.clone(),
        entries: gone.map(|id| (*id, None, true)).chain(shown).collect(),
        disputes: Vec::new(),
    }
}
