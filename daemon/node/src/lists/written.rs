//! What follows when a write returns: who is answered and what is published, or, if it failed, how
//! the machine begins anew.

use super::commits::{self, Origin, Pending, Verdict};
use super::resident::Place;
use super::{Change, Lists, Output, Refusal};
use crate::wire::{WriteError, WriteId};
use crdt::digest::Digest;
use names::ListId;

impl Lists {
    pub(super) fn written(&mut self, id: WriteId, result: Result<(), WriteError>) {
        let Some(pending) = self.commits.returned(id) else {
            return;
        };
        match result {
            Ok(()) => self.committed(pending),
            Err(error) => {
                let unknown = |verdict: Verdict| (verdict.request, Err(Refusal::Unknown(error)));
                pending
                    .verdicts
                    .into_iter()
                    .map(unknown)
                    .for_each(|(request, refusal)| self.edge.reply(request, refusal));
                self.fail(error);
            }
        }
    }

    fn committed(
        &mut self,
        Pending {
            list,
            advance,
            verdicts,
            is_view,
        }: Pending,
    ) {
        let confirm = verdicts
            .iter()
            .any(|verdict| verdict.wish.as_ref().is_some_and(|wish| wish.asked > 1));
        verdicts
            .into_iter()
            .for_each(|verdict| self.deliver(list, verdict));
        if let Some(advance) = advance {
            self.publish(list, advance, confirm);
        }
        if is_view {
            self.rebuilt_or_not(list, Ok(()));
        }
        self.run_waiting(list);
    }

    /// What is on disk is now shown to everybody.
    fn publish(&mut self, list: ListId, advance: commits::Advance, confirm: bool) {
        let commits::Advance {
            origin,
            name,
            changes,
            total_before,
            row,
            entries,
        } = advance;
        if self.resident.place(list) != Place::Quarantined {
            self.digest.set(list, row.sum);
        }
        self.rounds.changed(list);
        let answerable = self
            .watchers
            .committed(list, changes.iter().map(|change| change.id));
        self.answer_watchers(list, answerable);
        let count = u64::try_from(changes.len()).unwrap_or(0);
        match origin {
            Origin::Local => {
                self.edge.stats.changes_local += count;
                changes.iter().for_each(|change| {
                    self.outbox
                        .push(&mut self.edge, &self.peers, &name, &change.bytes, confirm)
                });
            }
            Origin::Remote => {
                self.edge.stats.changes_remote += count;
                self.pulls.advanced(self.edge.now.instant, list);
            }
        }
        self.edge.put(Output::Changed(Change {
            list,
            name,
            at: self.edge.now.wall,
            total_before,
            row,
            entries,
        }));
    }

    pub(super) fn deliver(&mut self, list: ListId, verdict: Verdict) {
        let Verdict {
            request,
            result,
            wish,
        } = verdict;
        match (result, wish, &self.view) {
            (Ok(reply), Some(wish), Some(view)) => self.waits.begin(
                &mut self.edge,
                view,
                &self.peers,
                request,
                (list, wish, reply),
            ),
            (result, _, _) => self.edge.reply(request, result),
        }
    }

    /// A commit failed: what is in memory may never have been, and nothing can be written until the
    /// store is back.
    pub(super) fn fail(&mut self, error: WriteError) {
        for verdict in self
            .commits
            .fail(error)
            .flat_map(|pending| pending.verdicts)
        {
            self.edge
                .reply(verdict.request, Err(Refusal::Unknown(error)));
        }
        for request in self
            .edits
            .drain()
            .chain(std::mem::take(&mut self.looking_back).into_keys())
            .chain(self.rebuilds.fail())
        {
            self.edge.reply(request, Err(Refusal::Unavailable(error)));
        }
        self.resident.clear();
        self.incoming.clear();
        self.applying.clear();
        self.jobs.forget();
        self.vectors.clear();
        self.rounds.clear();
        self.differing.clear();
        self.pulls.clear();
        self.serving.clear();
    }

    /// Begins anew with what the store has. The other machines of this daemon share that store: one
    /// that saw no failure itself begins anew, too. Peers are to compare as well: a write whose
    /// commit failed may be there after all, and was pushed to nobody.
    pub(super) fn reopened(&mut self, salt: [u8; 16], known: Vec<(ListId, u64)>) {
        self.fail(WriteError::Failed);
        self.commits.reopened();
        self.salt = salt;
        self.read_digest(known);
        self.fresh.extend(self.peers.iter().map(|(peer, _)| peer));
        self.to_wake.extend(self.peers.iter().map(|(peer, _)| peer));
        self.begin_rounds();
    }

    pub(super) fn read_digest(&mut self, known: Vec<(ListId, u64)>) {
        self.digest = Digest::default();
        for (list, sum) in known {
            if self.owns(list) && self.resident.place(list) != Place::Quarantined {
                self.digest.set(list, sum);
            }
        }
    }
}
