//! Whatever waits for a list's document is done as soon as that is there, requests of clients
//! first.

use super::Documents;
use super::commits::Advance;
use super::edits::Outcome;
use super::incoming::{Batch, Incoming, Senders};
use super::line;
use super::resident::Place;
use crate::lists::edge::Edge;
use crate::lists::event::{Event, Origin, Verdict};
use crate::lists::io::Refusal;
use crate::lists::job::Job;
use crdt::list::{Applied, ApplyError, CheckedChange, Document, Fault, RawChange};
use names::{ChangeHash, ListId, ListName};

/// What is to be remembered of a batch while it is applied.
#[derive(Debug)]
pub(super) struct Applying {
    total_before: u64,
    senders: Senders,
    only: Option<ChangeHash>,
    count: usize,
}

impl Documents {
    /// Does what waits for a list's document, or begins to get the document.
    pub(in crate::lists) fn run_waiting(&mut self, edge: &mut Edge, list: ListId) {
        if self.commits.failed().is_some() {
            return;
        }
        if self.rebuilds.is_under_way(list) {
            // What waits for the list waits until it has been made anew.
            self.begin_rebuild(edge, list);
            return self.report_idle(list);
        }
        if self.is_leaving(list) {
            // What waits for the list waits until it is without what leaves it.
            self.begin_leaving(edge, list);
            return self.report_idle(list);
        }
        if self.edits.waited_for(list).is_some() || self.incoming.waited_for(list).is_some() {
            match self.resident.place(list) {
                Place::Away => return,
                Place::Quarantined => return self.refuse(edge, list),
                Place::Absent if self.has_to_stand_in_line(list) => {
                    return self.line.join(list);
                }
                Place::Absent => self.obtain_document(edge, list),
                Place::Here => {}
            }
            self.line.leave(list);
            self.run_edits(edge, list);
            self.run_incoming(edge, list);
            if self.is_leaving(list) {
                self.begin_leaving(edge, list);
            }
        }
        self.report_idle(list);
    }

    /// Whether the document that is not there is for peers only, and its turn has not come.
    fn has_to_stand_in_line(&self, list: ListId) -> bool {
        self.edits.waited_for(list).is_none() && !self.line.is_at_work(list)
    }

    /// The list that is to be taken up next, if one can be taken up now.
    fn next_in_line(&self) -> Option<ListId> {
        let list = self.line.first()?;
        let is_new = self.digest.get(list).is_none();
        let fits = self.line.at_work() < line::MIN_AT_WORK || is_new && self.resident.has_room();
        (fits && self.commits.failed().is_none()).then_some(list)
    }

    /// Whether [`take_up`](Self::take_up) has something to do.
    pub(in crate::lists) fn line_moves(&self) -> bool {
        self.next_in_line().is_some()
    }

    /// Takes up the list that has stood in line longest, if its turn has come: what waits for it
    /// may go on.
    pub(in crate::lists) fn take_up(&mut self) -> Option<ListId> {
        let list = self.next_in_line()?;
        self.line.begin(list);
        Some(list)
    }

    /// Gets a list's document: at once if the list is new, else from the store. Not before
    /// everything of it is there.
    pub(super) fn obtain_document(&mut self, edge: &mut Edge, list: ListId) {
        let name = self
            .edits
            .waited_for(list)
            .or_else(|| self.incoming.waited_for(list))
            .cloned();
        let Some(name) = name.filter(|_| !self.commits.any(list)) else {
            return;
        };
        let actor = self.actor(list);
        if self.digest.get(list).is_some() {
            self.resident.expect(list);
            self.jobs.push(edge, list, Job::Load { name, actor });
        } else {
            self.resident
                .insert(list, Box::new(Document::new(name, actor)), 0);
        }
    }

    /// Gives Automerge's document what it lacks, if that is needed for the next edit. What takes long is
    /// done elsewhere: the document is away then.
    fn catch_up(&mut self, edge: &mut Edge, list: ListId) {
        let (document, edit) = (self.resident.get_mut(list), self.edits.first(list));
        let Some(document) =
            document.filter(|one| edit.is_some_and(|edit| one.has_to_catch_up(edit)))
        else {
            return;
        };
        if !Incoming::takes_long(document, 0) {
            if let Err(error) = document.catch_up() {
                self.quarantine(edge, list, error.to_string());
                self.refuse(edge, list);
            }
        } else if let Some(document) = self.resident.lend(list) {
            self.jobs.push(edge, list, Job::CatchUp { document });
        }
    }

    fn run_edits(&mut self, edge: &mut Edge, list: ListId) {
        self.catch_up(edge, list);
        while let Some(document) = self.resident.get_mut(list)
            && let Some(request) = self.edits.next(list)
        {
            let (request, outcome) = self.edits.run(document, request, edge.now.wall);
            match outcome {
                Outcome::Answer(result, wish) => {
                    self.resident.touch(list, 0);
                    if let Some(verdict) = self.commits.hold_back(
                        list,
                        Verdict {
                            request,
                            result,
                            wish,
                        },
                    ) {
                        self.answer(edge, list, verdict);
                    }
                }
                Outcome::Advanced(advance, reply, wish) => {
                    self.resident.touch(list, 1);
                    self.commits.advance(
                        edge,
                        list,
                        *advance,
                        vec![Verdict {
                            request,
                            result: Ok(reply),
                            wish,
                        }],
                    );
                }
                Outcome::Broken(refusal) => {
                    self.resident.discard(list);
                    edge.reply(request, Err(refusal));
                    self.obtain_document(edge, list);
                }
            }
            self.catch_up(edge, list);
        }
    }

    /// Answers a client, unless that waits until other nodes have what it asked for, too.
    fn answer(&mut self, edge: &mut Edge, list: ListId, verdict: Verdict) {
        if verdict.wish.is_some() {
            self.events.push_back(Event::Answer { list, verdict });
        } else {
            edge.reply(verdict.request, verdict.result);
        }
    }

    /// Peers' changes wait while others of that list are being committed: applying many costs
    /// little more than one.
    fn run_incoming(&mut self, edge: &mut Edge, list: ListId) {
        while !self.commits.any_remote(list)
            && let Some(document) = self.resident.get_mut(list)
            && let Some(Batch {
                changes,
                senders,
                only,
            }) = self.incoming.next_batch(list, document)
        {
            let is_vouched = |change: &CheckedChange| self.owners.vouch(list, change.id());
            let (changes, unvouched): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_vouched);
            let name = document.name().clone();
            let applying = Applying {
                total_before: document.total(),
                senders,
                only,
                count: changes.len(),
            };
            self.keep_orphans(edge, (list, &name), unvouched, &applying.senders);
            let Some(document) = self.resident.get_mut(list).filter(|_| !changes.is_empty()) else {
                continue;
            };
            if Incoming::is_long(document, &changes) {
                let Some(document) = self.resident.lend(list) else {
                    return;
                };
                self.applying.insert(list, applying);
                return self.jobs.push(edge, list, Job::Apply { document, changes });
            }
            match document.apply(changes) {
                Ok(applied) => self.applied(edge, list, applying, applied),
                Err(error) => self.spoiled(edge, list, &applying, &error),
            }
        }
    }

    pub(super) fn applied(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        applying: Applying,
        applied: Applied,
    ) {
        let Applied {
            changes,
            duplicates,
            touched,
            orphans,
            refused,
        } = applied;
        edge.stats.changes_duplicate += u64::try_from(duplicates).unwrap_or(0);
        edge.stats.changes_refused += u64::try_from(refused.len()).unwrap_or(0);
        self.report_spoilers(list, &refused, &applying.senders);
        self.report_forks(edge, list, &refused, &applying.senders);
        let document = self.resident.get(list);
        if let Some(name) = document.map(|document| document.name().clone()) {
            self.keep_orphans(edge, (list, &name), orphans, &applying.senders);
        }
        self.resident
            .touch(list, u64::try_from(changes.len()).unwrap_or(0));
        self.avoid_actor(list, &changes);
        if let Some(document) = self.resident.get(list).filter(|_| !changes.is_empty()) {
            let advance = Advance::of(
                Origin::Remote,
                document,
                applying.total_before,
                changes,
                touched,
            );
            self.commits.advance(edge, list, advance, Vec::new());
        }
        if duplicates > 0 {
            self.events.push_back(Event::Repeated(list));
        }
    }

    /// Keeps changes for a while that lack others, or whose actors no node has signed to be its own.
    fn keep_orphans(
        &mut self,
        edge: &mut Edge,
        (list, name): (ListId, &ListName),
        orphans: Vec<CheckedChange>,
        senders: &Senders,
    ) {
        if self.incoming.keep(edge, (list, name), orphans, senders) {
            self.events.push_back(Event::Orphaned(list));
        }
    }

    /// Where others write by the actor of now, this node writes by the next one: on top of what it has
    /// not made nothing by that actor is its own.
    fn avoid_actor(&mut self, list: ListId, changes: &[RawChange]) {
        let actor = self.actor(list);
        if changes.iter().any(|change| change.id.actor == actor) {
            let next = self.next_actor(list);
            self.take_next_actor(list);
            if let Some(document) = self.resident.get_mut(list) {
                document.set_actor(next);
            }
        }
    }

    /// No node takes such a change, so none hands it on: who sent it has made it, or serves whoever
    /// did. Except where it shows that the list was forked: so it is handed on by all.
    fn report_spoilers(
        &mut self,
        list: ListId,
        refused: &[(CheckedChange, Fault)],
        senders: &Senders,
    ) {
        for (change, fault) in refused {
            if !matches!(fault, Fault::Spoils(_)) {
                continue;
            }
            self.incoming.ban(change.hash());
            let document = self.resident.get(list);
            if document.is_some_and(|document| document.is_evidence(change.id(), change.hash())) {
                tracing::warn!(%list, change = %change.hash(), error = %fault,
                    "of a forked list a change stays that would spoil it: the list is without both");
                continue;
            }
            let Some(peer) = senders.get(&change.hash()) else {
                continue;
            };
            tracing::warn!(%peer, %list, change = %change.hash(), error = %fault,
                "a peer sent a change that would spoil a list: it is cut off");
            self.events.push_back(Event::Spoiling(*peer));
        }
    }

    /// Changes whose numbers are taken: nobody honest writes a number twice, and no node takes both.
    fn report_forks(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        refused: &[(CheckedChange, Fault)],
        senders: &Senders,
    ) {
        let forked = refused
            .iter()
            .filter(|(_, fault)| matches!(fault, Fault::Forked));
        for (change, _) in forked {
            edge.stats.changes_forked += 1;
            if let Some(peer) = senders.get(&change.hash()) {
                self.challenge(list, change, *peer);
                self.events.push_back(Event::Forking {
                    peer: *peer,
                    list,
                    id: change.id(),
                });
            }
        }
    }

    /// A batch made the document unfit for use: it is loaded again, and the batch's changes are
    /// tried singly when they come again. What was taken before cannot be given back.
    pub(super) fn spoiled(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        applying: &Applying,
        error: &ApplyError,
    ) {
        if let ApplyError::Late(_) = error {
            self.quarantine(edge, list, error.to_string());
            return self.refuse(edge, list);
        }
        self.resident.discard(list);
        self.incoming
            .blame(edge, list, applying.only, applying.count);
        self.obtain_document(edge, list);
    }

    /// When nothing of a list waits any more, its repair can go on.
    fn report_idle(&mut self, list: ListId) {
        let waits = self.incoming.waited_for(list).is_some()
            || self.commits.any_remote(list)
            || self.applying.contains_key(&list)
            || self.is_leaving(list);
        if !waits {
            self.line.done(list);
            self.events.push_back(Event::Idle(list));
        }
    }

    /// Refuses all that waits for a list that is quarantined.
    fn refuse(&mut self, edge: &mut Edge, list: ListId) {
        while let Some(request) = self.edits.next(list) {
            edge.reply(request.id, Err(Refusal::Quarantined));
        }
        self.incoming.discard(edge, list);
        self.line.done(list);
    }
}

#[cfg(test)]
mod tests;
