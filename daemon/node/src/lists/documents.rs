//! A list's turn: whatever waits for its document is done as soon as that is there, requests first.

use super::Lists;
use super::commits::{Advance, Origin, Verdict};
use super::edge::Timer;
use super::edits::Outcome;
use super::incoming::{Batch, Incoming, Senders};
use super::io::{Refusal, Reply, Row};
use super::job::{Done, Job, JobError};
use super::pulls::Step;
use super::resident::Place;
use super::vectors::Purpose;
use crate::wire::{CloseReason, RequestId, WriteError};
use crdt::entry::Entry;
use crdt::list::{Applied, CheckedChange, Document, Fault};
use names::{Actor, ChangeHash, ListId};
use std::time::Duration;

/// How long after a failed read a list is read again.
const RELOAD_AFTER: Duration = Duration::from_millis(250);
/// How long changes that are missing may still be on their way, before they are asked for.
const ORPHANS_AFTER: Duration = Duration::from_millis(250);
/// Changes that still lack others after this long are dropped: what they lack may be gone with a
/// disk that was restored from a backup. If anybody has both, the next comparison of all lists
/// brings them back.
const ORPHANS_UNTIL: Duration = Duration::from_secs(8);

/// What is to be remembered of a batch while it is applied.
#[derive(Debug)]
pub(super) struct Applying {
    total_before: u64,
    senders: Senders,
    only: Option<ChangeHash>,
    count: usize,
}

impl Lists {
    pub(super) fn run_waiting(&mut self, list: ListId) {
        if self.commits.failed().is_some() {
            return;
        }
        if self.rebuilds.is_under_way(list) {
            // What waits for the list waits until it has been made anew.
            self.begin_rebuild(list);
            return self.continue_repair(list);
        }
        if self.edits.waited_for(list).is_some() || self.incoming.waited_for(list).is_some() {
            match self.resident.place(list) {
                Place::Away => return,
                Place::Quarantined => return self.refuse(list),
                Place::Absent => self.obtain_document(list),
                Place::Here => {}
            }
            self.run_edits(list);
            self.run_incoming(list);
        }
        self.continue_repair(list);
    }

    /// Gets a list's document: at once if the list is new, else from the store. Not before
    /// everything of it is there.
    fn obtain_document(&mut self, list: ListId) {
        let name = self
            .edits
            .waited_for(list)
            .or_else(|| self.incoming.waited_for(list))
            .cloned();
        let Some(name) = name.filter(|_| !self.commits.any(list)) else {
            return;
        };
        let actor = Actor::derive(list, self.me, self.salt);
        if self.digest.get(list).is_some() {
            self.resident.expect(list);
            self.jobs
                .push(&mut self.edge, list, Job::Load { name, actor });
        } else {
            self.resident
                .insert(list, Box::new(Document::new(name, actor)), 0);
        }
    }

    fn run_edits(&mut self, list: ListId) {
        while let Some(document) = self.resident.get_mut(list)
            && let Some(request) = self.edits.next(list)
        {
            let (request, outcome) = self.edits.run(document, request, self.edge.now.wall);
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
                        self.deliver(list, verdict);
                    }
                }
                Outcome::Advanced(advance, reply, wish) => {
                    self.resident.touch(list, 1);
                    self.commits.advance(
                        &mut self.edge,
                        list,
                        advance,
                        vec![Verdict {
                            request,
                            result: Ok(reply),
                            wish,
                        }],
                    );
                }
                Outcome::Broken(refusal) => {
                    self.resident.discard(list);
                    self.edge.reply(request, Err(refusal));
                    self.obtain_document(list);
                }
            }
        }
    }

    /// Peers' changes wait while others of that list are being committed: applying many costs
    /// little more than one.
    fn run_incoming(&mut self, list: ListId) {
        while !self.commits.any_remote(list)
            && let Some(document) = self.resident.get_mut(list)
            && let Some(Batch {
                changes,
                senders,
                only,
            }) = self.incoming.next_batch(list, document)
        {
            let applying = Applying {
                total_before: document.total(),
                senders,
                only,
                count: changes.len(),
            };
            if Incoming::is_long(document, changes.len()) {
                let Some(document) = self.resident.lend(list) else {
                    return;
                };
                self.applying.insert(list, applying);
                return self
                    .jobs
                    .push(&mut self.edge, list, Job::Apply { document, changes });
            }
            match document.apply(changes) {
                Ok(applied) => self.applied(list, applying, applied),
                Err(_) => self.spoiled(list, &applying),
            }
        }
    }

    fn applied(&mut self, list: ListId, applying: Applying, applied: Applied) {
        let Applied {
            changes,
            duplicates,
            touched,
            orphans,
            refused,
        } = applied;
        self.edge.stats.changes_duplicate += u64::try_from(duplicates).unwrap_or(0);
        self.edge.stats.changes_refused += u64::try_from(refused.len()).unwrap_or(0);
        self.cut_off_spoilers(list, &refused, &applying.senders);
        if self
            .incoming
            .keep(&mut self.edge, list, orphans, &applying.senders)
        {
            self.edge.after(ORPHANS_AFTER, Timer::Orphans(list));
            self.edge.after(ORPHANS_UNTIL, Timer::Abandon(list));
        }
        self.resident
            .touch(list, u64::try_from(changes.len()).unwrap_or(0));
        if let Some(document) = self.resident.get(list).filter(|_| !changes.is_empty()) {
            let advance = Advance::of(
                Origin::Remote,
                document,
                applying.total_before,
                changes,
                touched,
            );
            self.commits
                .advance(&mut self.edge, list, advance, Vec::new());
        }
        // Only now is it known that the document is ahead of the disk, which alone may be told of.
        if duplicates > 0 && self.watchers.any(list) {
            self.with_vector(list, Purpose::Watch);
        }
    }

    /// No node takes such a change, so none hands it on: who sent it has made it, or serves whoever
    /// did.
    fn cut_off_spoilers(
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
            let Some(peer) = senders.get(&change.hash()) else {
                continue;
            };
            tracing::warn!(%peer, %list, change = %change.hash(), error = %fault,
                "a peer sent a change that would spoil a list: it is cut off");
            if let Some(conn) = self.peers.conn_of(*peer) {
                self.sever(conn, CloseReason::Abuse);
            }
        }
    }

    /// A batch made the document unfit for use: it is loaded again, and the batch's changes are
    /// tried singly when they come again.
    fn spoiled(&mut self, list: ListId, applying: &Applying) {
        self.resident.discard(list);
        self.incoming
            .blame(&mut self.edge, list, applying.only, applying.count);
        self.obtain_document(list);
    }

    /// When nothing of a list waits any more, its repair can go on.
    fn continue_repair(&mut self, list: ListId) {
        let waits = self.incoming.waited_for(list).is_some()
            || self.commits.any_remote(list)
            || self.applying.contains_key(&list);
        if !waits {
            let step = self.pulls.all_committed(self.edge.now.instant, list);
            self.repair_step(list, step);
        }
    }

    pub(super) fn repair_step(&mut self, list: ListId, step: Step) {
        match step {
            Step::Look(peer) => self.with_vector(list, Purpose::Pull(peer)),
            Step::Over => self.pull_next(),
            Step::Wait => {}
        }
    }

    /// Some changes still lack others: those who sent them have these, too.
    pub(super) fn fetch_missing(&mut self, list: ListId) {
        let senders = self.incoming.senders_of_orphans(list);
        senders.into_iter().for_each(|peer| self.repair(peer, list));
    }

    /// They lack them for too long.
    pub(super) fn drop_orphans(&mut self, list: ListId) {
        self.edge.stats.dropped += self.incoming.drop_orphans(list);
    }

    /// Something that took long is done.
    pub(super) fn worked(&mut self, list: ListId, done: Done) {
        if !self.jobs.done(&mut self.edge, list) {
            return;
        }
        match done {
            Done::Loaded(Ok(loaded)) => {
                self.edge.stats.loads += 1;
                self.resident
                    .insert(list, loaded.document, loaded.beyond_snapshot);
            }
            Done::Loaded(Err(JobError::Source(_))) => {
                self.resident.discard(list);
                return self.edge.after(RELOAD_AFTER, Timer::Reload(list));
            }
            Done::Loaded(Err(error @ (JobError::Load(_) | JobError::Gap))) => {
                self.quarantine(list, error.to_string())
            }
            Done::Applied(result) => {
                let Some(applying) = self.applying.remove(&list) else {
                    return;
                };
                match result {
                    Ok((document, applied)) => {
                        self.resident.insert(list, document, 0);
                        self.applied(list, applying, applied);
                    }
                    Err(_) => self.spoiled(list, &applying),
                }
            }
            Done::Saved(Some((covers, bytes))) => self.commits.write_row(
                &mut self.edge,
                list,
                Row::Snapshot {
                    list,
                    covers,
                    bytes,
                },
            ),
            Done::Saved(None) => {}
            Done::Rebuilt(result) => {
                if !self.rebuilt(list, result) {
                    return self.edge.after(RELOAD_AFTER, Timer::Reload(list));
                }
            }
            Done::Vector(found) => return self.vector_read(list, found),
            Done::Changes { to, found } => return self.serve(list, to, found),
            Done::EntriesAt { request, found } => return self.looked_back(request, found),
        }
        self.run_waiting(list);
    }

    fn looked_back(&mut self, request: RequestId, found: Result<Option<Vec<Entry>>, JobError>) {
        let Some(change) = self.looking_back.remove(&request) else {
            return;
        };
        let result = match found {
            Ok(entries) => entries.map(Reply::Entries).ok_or(Refusal::NoChange(change)),
            Err(JobError::Source(_)) => Err(Refusal::Unavailable(WriteError::Failed)),
            Err(JobError::Load(_) | JobError::Gap) => Err(Refusal::Quarantined),
        };
        self.edge.reply(request, result);
    }

    fn quarantine(&mut self, list: ListId, reason: String) {
        tracing::error!(%list, reason, "a list is quarantined: its document cannot be loaded");
        self.resident.quarantine(list);
        self.digest.remove(list);
        self.commits
            .write_row(&mut self.edge, list, Row::Quarantine { list, reason });
    }

    fn refuse(&mut self, list: ListId) {
        while let Some(request) = self.edits.next(list) {
            self.edge.reply(request.id, Err(Refusal::Quarantined));
        }
        self.incoming.discard(&mut self.edge, list);
    }

    /// Keeps the memory within its bound. Nothing leaves that anything waits for.
    pub(super) fn evict(&mut self) {
        let busy = |list| {
            self.commits.any(list)
                || self.edits.waited_for(list).is_some()
                || self.incoming.waited_for(list).is_some()
        };
        while let Some((list, document, deserving)) = self.resident.evict(busy) {
            if deserving {
                self.jobs.push(&mut self.edge, list, Job::Save { document });
            }
        }
    }
}
