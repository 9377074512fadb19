//! Making the rows of a list's view anew from its changes: asked by an administrator, because a row
//! is damaged, or because this program knows more than the one that made the rows.
//!
//! A few lists at a time, the urgent ones first. Each waits until nothing of it is on its way to
//! the disk; its document is away meanwhile, as while a job applies changes, so that nothing
//! happens to it. A job makes another document from the raw changes, not from the snapshot, and all
//! rows from that; one write replaces those that are there. Rows that nothing leads to are looked
//! for among those of all lists, which takes long: once, with the last list of those that may have
//! some.

use super::Documents;
use super::resident::Place;
use crate::lists::ask;
use crate::lists::edge::{Edge, Timer};
use crate::lists::io::{Refusal, Remake, Reply, Row};
use crate::lists::job::{Job, JobError, Rebuilt};
use crate::wire::{RequestId, WriteError};
use names::ListId;
use std::collections::{BTreeMap, BTreeSet};

/// Lists that are made anew at a time. Others' jobs need the rest of the heavy ones.
const MAX_UNDER_WAY: usize = 2;
/// Requests that can wait.
const MAX_REQUESTS: usize = 64;

/// A client that waits.
#[derive(Debug)]
struct Request {
    /// Lists that are not done yet.
    left: BTreeSet<ListId>,
    /// How many are.
    done: u64,
    /// Why one of them could not be made anew, if one could not.
    refusal: Option<Refusal>,
}

/// Which lists are to be made anew, and who waits for that.
#[derive(Debug, Default)]
pub(super) struct Rebuilds {
    waiting: BTreeSet<(Remake, ListId)>,
    under_way: BTreeMap<ListId, Remake>,
    /// Rows that nothing leads to may be left, and were not looked for.
    strays: bool,
    requests: BTreeMap<RequestId, Request>,
}

impl Rebuilds {
    pub(super) fn new(remake: Vec<(ListId, Remake)>) -> Self {
        let strays = remake.iter().any(|(_, remake)| remake.leaves_strays());
        let waiting = remake.into_iter().map(|(list, remake)| (remake, list));
        Self {
            waiting: waiting.collect(),
            strays,
            ..Self::default()
        }
    }

    /// Lists whose rows are of no use, or of less than there is, until they are made anew; and
    /// those of them that readiness waits for.
    pub(super) fn remaking(&self) -> (usize, usize) {
        let waiting = self.waiting.iter().map(|(remake, _)| remake);
        let all = waiting.chain(self.under_way.values());
        let since_start: Vec<_> = all.filter(|remake| **remake != Remake::Asked).collect();
        let awaited = since_start.iter().filter(|remake| remake.is_awaited());
        (since_start.len(), awaited.count())
    }

    /// How many clients wait.
    pub(super) fn requests(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_under_way(&self, list: ListId) -> bool {
        self.under_way.contains_key(&list)
    }

    /// Takes a request out whose deadline has passed. False if it does not wait here.
    pub(super) fn expire(&mut self, request: RequestId) -> bool {
        self.requests.remove(&request).is_some()
    }

    /// A commit failed: what was under way is to be done again. Gives those that waited.
    pub(super) fn fail(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        for (list, remake) in std::mem::take(&mut self.under_way) {
            self.give_back_strays(remake);
            self.waiting.insert((remake, list));
        }
        std::mem::take(&mut self.requests).into_keys()
    }

    /// Whether the job that begins now is to look for rows that nothing leads to: no other does.
    fn take_strays(&mut self) -> bool {
        let mut waiting = self.waiting.iter();
        let is_last = !waiting.any(|(remake, _)| remake.leaves_strays());
        let taken = self.strays && is_last;
        self.strays &= !taken;
        taken
    }

    /// What was under way with a list came to nothing.
    fn give_back_strays(&mut self, remake: Remake) {
        self.strays |= remake.leaves_strays();
    }

    fn next(&mut self) -> Option<ListId> {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return None;
        }
        let (remake, list) = self.waiting.pop_first()?;
        // It may have been asked for twice, for unlike reasons.
        self.waiting.retain(|(_, other)| *other != list);
        self.under_way.insert(list, remake);
        Some(list)
    }
}

impl Documents {
    /// A client asks.
    pub(in crate::lists) fn rebuild(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        rebuild: ask::Rebuild,
    ) -> Result<(), Refusal> {
        let ask::Rebuild { list, timeout } = rebuild;
        if self.rebuilds.requests.len() >= MAX_REQUESTS {
            return Err(Refusal::Busy);
        }
        let lists: BTreeSet<ListId> = match list {
            Some(name) => [self.open(&name, false)?].into(),
            None if self.commits.failed().is_some() => {
                return Err(Refusal::Unavailable(WriteError::Failed));
            }
            None => self.digest.iter().map(|(list, _)| list).collect(),
        };
        // One that is under way may have read what was there before.
        let asked = lists.iter().map(|list| (Remake::Asked, *list));
        self.rebuilds.waiting.extend(asked);
        self.rebuilds.strays = true;
        let request = Request {
            left: lists,
            done: 0,
            refusal: None,
        };
        self.rebuilds.requests.insert(id, request);
        edge.after(timeout, Timer::Deadline(id));
        self.answer_rebuilds(edge, None);
        Ok(())
    }

    /// Begins with further lists, as many as may be at a time.
    pub(in crate::lists) fn rebuild_next(&mut self, edge: &mut Edge) {
        while self.commits.failed().is_none()
            && let Some(list) = self.rebuilds.next()
        {
            self.run_waiting(edge, list);
        }
    }

    /// Begins with a list that is the next one, unless something of it is on its way.
    pub(super) fn begin_rebuild(&mut self, edge: &mut Edge, list: ListId) {
        if !self.rebuilds.is_under_way(list) || self.commits.any(list) {
            return;
        }
        match self.resident.place(list) {
            Place::Away => return,
            Place::Quarantined => {
                return self.rebuild_ended(edge, list, Err(Refusal::Quarantined));
            }
            // What it holds is on the disk: it is made anew, too.
            Place::Here => drop(self.resident.lend(list)),
            Place::Absent => self.resident.expect(list),
        }
        let job = Job::Rebuild {
            actor: self.actor(list),
            thorough: self.rebuilds.take_strays(),
        };
        self.jobs.push(edge, list, job);
    }

    /// The job is done. False if the list is to be tried again later.
    pub(super) fn rebuilt(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        result: Result<Box<Rebuilt>, JobError>,
    ) -> bool {
        match result {
            Ok(rebuilt) => {
                let Rebuilt {
                    document,
                    row,
                    entries,
                    thorough,
                } = *rebuilt;
                // The memory is for documents that somebody uses.
                if self.edits.waited_for(list).is_some() || self.incoming.waited_for(list).is_some()
                {
                    self.resident.insert(list, document, 0);
                } else {
                    self.resident.discard(list);
                }
                let view = Row::View {
                    list,
                    row,
                    entries,
                    thorough,
                };
                self.commits.view(edge, list, view);
            }
            Err(JobError::Source(error)) if !error.is_damage => {
                self.resident.discard(list);
                if let Some(remake) = self.rebuilds.under_way.get(&list).copied() {
                    self.rebuilds.give_back_strays(remake);
                }
                return false;
            }
            Err(error) => {
                tracing::error!(%list, %error, "the rows of a list cannot be made anew");
                self.resident.discard(list);
                self.rebuild_ended(edge, list, Err(Refusal::Damaged(error.to_string())));
            }
        }
        true
    }

    /// The rows of a list are on the disk, or it is known that there will be none.
    pub(super) fn rebuild_ended(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        result: Result<(), Refusal>,
    ) {
        let Some(remake) = self.rebuilds.under_way.remove(&list) else {
            return;
        };
        if result.is_err() {
            self.rebuilds.give_back_strays(remake);
        }
        // It was asked for meanwhile: it is made anew once more, and the client is answered then.
        if self.rebuilds.waiting.contains(&(Remake::Asked, list)) && result.is_ok() {
            return self.rebuild_next(edge);
        }
        self.rebuilds.waiting.remove(&(Remake::Asked, list));
        self.answer_rebuilds(edge, Some((list, result)));
        self.rebuild_next(edge);
    }

    /// Tells those for whom it was the last list.
    fn answer_rebuilds(&mut self, edge: &mut Edge, done: Option<(ListId, Result<(), Refusal>)>) {
        let mut answers = Vec::new();
        for (id, request) in &mut self.rebuilds.requests {
            if let Some((list, result)) = &done
                && request.left.remove(list)
            {
                match result {
                    Ok(()) => request.done += 1,
                    Err(refusal) => {
                        request.refusal.get_or_insert_with(|| refusal.clone());
                    }
                }
            }
            if request.left.is_empty() {
                let result = match request.refusal.clone() {
                    Some(refusal) => Err(refusal),
                    None => Ok(Reply::Rebuilt(request.done)),
                };
                answers.push((*id, result));
            }
        }
        for (id, result) in answers {
            self.rebuilds.requests.remove(&id);
            edge.reply(id, result);
        }
    }
}
