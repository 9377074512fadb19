//! Lists whose documents cannot be made: how they come into quarantine, and the two ways out of it.
//!
//! A list in quarantine keeps all its rows. It can be read as it was last; nothing is written to it, taken for
//! it, or compared of it. Where its document can be made after all, because another program makes it or the
//! disk gives its rows again, it is *released*: a job makes the document from the raw changes, and all rows of
//! the view with it, and the write that replaces these ends the quarantine. Else it is *replaced*: all its rows
//! are removed in one write, and it comes from the other members like any list that is not here. Who asks for
//! that has put the rows aside before.

use super::Documents;
use super::commits::Freed;
use super::resident::Place;
use crate::lists::ask;
use crate::lists::edge::{Edge, Timer};
use crate::lists::event::{Event, Verdict};
use crate::lists::io::{Refusal, Reply, Row};
use crate::lists::job::{Job, JobError, Rebuilt};
use crate::wire::{RequestId, WriteError};
use names::{ListId, ListName};
use std::collections::BTreeMap;

/// Clients whose lists are being tried.
#[derive(Debug, Default)]
pub(super) struct Releases {
    /// `None` once the client waits no longer.
    trying: BTreeMap<ListId, Option<RequestId>>,
}

impl Releases {
    /// A client waits no longer. False if it does not wait here.
    pub(super) fn expire(&mut self, request: RequestId) -> bool {
        let mut waiting = self.trying.values_mut();
        let found = waiting.find(|waiting| **waiting == Some(request));
        found.and_then(Option::take).is_some()
    }

    /// Nothing of what was tried counts any more. Gives those that waited.
    pub(super) fn fail(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        std::mem::take(&mut self.trying).into_values().flatten()
    }

    pub(super) fn is_trying(&self, list: ListId) -> bool {
        self.trying.contains_key(&list)
    }

    /// How many clients wait.
    pub(super) fn len(&self) -> usize {
        self.trying.values().flatten().count()
    }
}

impl Documents {
    /// Nothing more is done with a list.
    pub(super) fn quarantine(&mut self, edge: &mut Edge, list: ListId, reason: String) {
        tracing::error!(%list, reason, "a list is quarantined: its document cannot be loaded");
        self.resident.quarantine(list);
        self.forget_sums(list);
        let row = Row::Quarantine {
            list,
            since_ms: edge.now.wall.0,
            reason,
        };
        self.commits.write_row(edge, list, row);
    }

    /// The rows of a list were found to be damaged.
    pub(in crate::lists) fn set_aside(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        ask: ask::Quarantine,
    ) -> Result<(), Refusal> {
        let ask::Quarantine { list, reason } = ask;
        if let Some(error) = self.commits.failed() {
            return Err(Refusal::Unavailable(error));
        }
        if !self.is_quarantined(list) {
            self.quarantine(edge, list, reason);
            self.run_waiting(edge, list);
        }
        edge.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// Begins to make the document of a list in quarantine.
    pub(in crate::lists) fn release(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        ask: ask::Release,
    ) -> Result<(), Refusal> {
        let list = self.in_quarantine(&ask.list)?;
        self.releases.trying.insert(list, Some(id));
        edge.after(ask.timeout, Timer::Deadline(id));
        let job = Job::Rebuild {
            actor: self.actor(list),
            thorough: true,
        };
        self.jobs.push(edge, list, job);
        Ok(())
    }

    /// The document of a list in quarantine could be made, or could not.
    pub(super) fn tried(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        result: Result<Box<Rebuilt>, JobError>,
    ) {
        let request = self.releases.trying.remove(&list).flatten();
        let refusal = match result {
            Ok(rebuilt) => return self.write_released(edge, list, *rebuilt, request),
            Err(JobError::Source(error)) if !error.is_damage => {
                tracing::warn!(%list, %error, "a list in quarantine cannot be read now");
                Refusal::Unavailable(WriteError::Failed)
            }
            Err(error) => Refusal::StillDamaged(error.to_string()),
        };
        if let Some(request) = request {
            edge.reply(request, Err(refusal));
        }
    }

    fn write_released(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        rebuilt: Rebuilt,
        request: Option<RequestId>,
    ) {
        let sums = rebuilt.row.sums;
        let view = Row::View {
            list,
            row: rebuilt.row,
            entries: rebuilt.entries,
            thorough: rebuilt.thorough,
        };
        let rows = vec![view, Row::Release { list }];
        let freed = Freed::Released(rebuilt.document, sums);
        self.commits.free(edge, list, freed, done(request), rows);
    }

    /// Removes a list in quarantine.
    pub(in crate::lists) fn replace(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        ask: ask::Replace,
    ) -> Result<(), Refusal> {
        let list = self.in_quarantine(&ask.list)?;
        let rows = vec![Row::Drop { list }];
        self.commits
            .free(edge, list, Freed::Dropped, done(Some(id)), rows);
        Ok(())
    }

    /// The id of a list in quarantine with which nothing is being done.
    fn in_quarantine(&self, name: &ListName) -> Result<ListId, Refusal> {
        if let Some(error) = self.commits.failed() {
            return Err(Refusal::Unavailable(error));
        }
        let list = ListId::of(name);
        if self.resident.place(list) != Place::Quarantined {
            return Err(Refusal::NotQuarantined(name.to_string()));
        }
        if self.releases.is_trying(list) || self.commits.any(list) {
            return Err(Refusal::Busy);
        }
        Ok(list)
    }

    /// The write is on the disk by which a list leaves quarantine.
    pub(super) fn freed(&mut self, edge: &mut Edge, list: ListId, freed: Freed) {
        self.resident.leave_quarantine(list);
        match freed {
            Freed::Released(document, sums) => {
                tracing::warn!(%list, "a list is out of quarantine: its document could be made");
                self.note_sums(list, sums);
                self.resident.insert(list, document, 0);
            }
            Freed::Dropped => {
                tracing::warn!(%list, "a list was removed, to be taken from other members");
                // What others may still have of this node's changes is not to be written over.
                self.take_next_actor(list);
                self.incoming.discard(edge, list);
                self.events.push_back(Event::Dropped(list));
            }
        }
    }
}

/// The answer that is due when the write has returned.
fn done(request: Option<RequestId>) -> Vec<Verdict> {
    let verdict = request.map(|request| Verdict {
        request,
        result: Ok(Reply::Done),
        wish: None,
    });
    verdict.into_iter().collect()
}
