//! What follows when a write returns: what is shown to everybody from then on, or, if it failed,
//! how the documents begin anew.

use super::Documents;
use super::commits::{Advance, Pending, Settlement};
use super::resident::Place;
use crate::lists::edge::Edge;
use crate::lists::event::{Changed, Committed, Event, Origin};
use crate::lists::io::{Change, Gone, Left, Output, Refusal, Remote};
use crate::lists::owns;
use crate::wire::{WriteError, WriteId};
use crdt::digest::Digest;
use crdt::vector::Sums;
use names::ListId;

impl Documents {
    /// A commit returned. Gives its list if what waits for that may go on now.
    pub(in crate::lists) fn written(
        &mut self,
        edge: &mut Edge,
        id: WriteId,
        result: Result<(), WriteError>,
    ) -> Option<ListId> {
        let pending = self.commits.returned(id)?;
        match result {
            Ok(()) => Some(self.committed(edge, pending)),
            Err(error) => {
                for verdict in pending.verdicts {
                    edge.reply(verdict.request, Err(Refusal::Unknown(error)));
                }
                self.fail(edge, error);
                None
            }
        }
    }

    fn committed(&mut self, edge: &mut Edge, pending: Pending) -> ListId {
        let Pending {
            list,
            advance,
            verdicts,
            is_view,
            settlement,
            freed,
        } = pending;
        if let Some(freed) = freed {
            self.freed(edge, list, freed);
        }
        let changed = advance.map(|advance| self.advanced(edge, list, advance));
        self.events.push_back(Event::Committed(Committed {
            list,
            verdicts,
            changed,
        }));
        if let Some(settlement) = settlement {
            self.settled(edge, list, settlement);
        }
        if is_view {
            self.rebuild_ended(edge, list, Ok(()));
        }
        list
    }

    /// What stays of changes with one number is on the disk.
    fn settled(&mut self, edge: &mut Edge, list: ListId, settlement: Settlement) {
        let Settlement {
            left,
            returned,
            found,
            anew,
        } = settlement;
        edge.stats.changes_left_out += u64::try_from(left.changes.len()).unwrap_or(0);
        if returned > 0 {
            tracing::warn!(%list, changes = returned, "changes are back in a list: their branch stays");
        }
        if !found.is_empty() {
            tracing::warn!(%list, forks = found.len(), "this node has settled forks of a list");
        }
        self.events.push_back(Event::Settled {
            list,
            name: left.name.clone(),
            settled: found,
            changes: anew,
        });
        if !left.changes.is_empty() {
            report_left(&left);
            edge.put(Output::LeftOut(left));
        }
    }

    /// Changes of a list are on the disk: the digest has them from now on.
    fn advanced(&mut self, edge: &mut Edge, list: ListId, advance: Advance) -> Changed {
        let Advance {
            origin,
            name,
            changes,
            total_before,
            row,
            entries,
            disputes,
        } = advance;
        if self.resident.place(list) != Place::Quarantined {
            self.note_sums(list, row.sums);
        }
        let count = u64::try_from(changes.len()).unwrap_or(0);
        let remote = match origin {
            Origin::Local => {
                edge.stats.changes_local += count;
                None
            }
            Origin::Remote => {
                edge.stats.changes_remote += count;
                // From now on its document can leave.
                self.line.done(list);
                let bytes: usize = changes.iter().map(|change| change.bytes.len()).sum();
                Some(Remote {
                    changes: count,
                    bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
                    disputes,
                })
            }
        };
        Changed {
            origin,
            changes,
            shown: Change {
                list,
                name,
                at: edge.now.wall,
                total_before,
                row,
                entries,
                remote,
            },
        }
    }

    /// A commit failed: what is in memory may never have been, and nothing can be written until the
    /// store is back.
    fn fail(&mut self, edge: &mut Edge, error: WriteError) {
        for verdict in self
            .commits
            .fail(error)
            .flat_map(|pending| pending.verdicts)
        {
            edge.reply(verdict.request, Err(Refusal::Unknown(error)));
        }
        for request in self
            .edits
            .drain()
            .chain(std::mem::take(&mut self.looking).into_keys())
            .chain(self.rebuilds.fail())
            .chain(self.releases.fail())
        {
            edge.reply(request, Err(Refusal::Unavailable(error)));
        }
        self.resident.clear();
        self.incoming.clear();
        self.line.clear();
        self.applying.clear();
        self.leaving.clear();
        self.jobs.forget();
        self.events.push_back(Event::Failed);
    }

    /// Begins anew with what the store has. The other machines of this daemon share that store: one
    /// that saw no failure itself begins anew, too.
    pub(in crate::lists) fn reopened(
        &mut self,
        edge: &mut Edge,
        salt: [u8; 16],
        known: Vec<(ListId, Sums)>,
    ) {
        self.fail(edge, WriteError::Failed);
        self.commits.reopened();
        self.read_digest(known);
        self.take_salt(salt);
    }

    pub(super) fn read_digest(&mut self, known: Vec<(ListId, Sums)>) {
        self.digest = Digest::default();
        self.numbers = self.numbers.is_some().then(Digest::default);
        for (list, sums) in known {
            if owns(self.shards, list) && self.resident.place(list) != Place::Quarantined {
                self.note_sums(list, sums);
            }
        }
    }
}

fn report_left(left: &Left) {
    let own: Vec<&Gone> = left.changes.iter().filter(|gone| gone.is_own).collect();
    let anew: usize = own.iter().map(|gone| gone.anew.len()).sum();
    tracing::error!(list = %left.list, changes = left.changes.len(), own = own.len(), anew,
        "changes have left a list: another branch stays");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::ask;
    use crate::lists::io::Settings;
    use crate::time::Now;
    use crate::wire::RequestId;
    use crdt::entry::{Author, Edit, NewEntry};
    use names::{ListName, NodeId, Shard};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::time::Duration;

    /// A client added an entry and waits until two nodes have it; the write is on its way.
    fn with_a_write() -> (Documents, Edge, WriteId) {
        let mut edge = Edge::new(Now::default());
        let settings = Settings {
            me: NodeId([1; 16]),
            shards: (Shard(0), Shard(255)),
            salt: [2; 16],
            run: 1,
            proofs: crate::lists::testing::proofs(),
            salts: Vec::new(),
            seed: [3; 32],
            resident_bytes: 1 << 20,
            known: Vec::new(),
            compares_numbers: false,
            takes_unsigned: true,
            quarantined: Vec::new(),
            remake: Vec::new(),
        };
        let rng = ChaCha8Rng::from_seed(settings.seed);
        let mut documents = Documents::new(settings, rng);
        let entry = NewEntry {
            title: "milk".to_owned(),
            ..NewEntry::default()
        };
        let edit = ask::Edit {
            list: ListName::new("groceries").unwrap(),
            edit: Edit::Add(vec![entry]),
            expect: None,
            replicas: None,
            timeout: Duration::from_secs(5),
        };
        let by = Author("bob".to_owned());
        documents
            .edit(&mut edge, RequestId(1), by, edit, Some(2))
            .unwrap();
        let Some(Output::Write { id, .. }) = edge.next_output() else {
            panic!("nothing was written");
        };
        (documents, edge, id)
    }

    fn events(documents: &mut Documents) -> Vec<Event> {
        std::iter::from_fn(|| documents.next_event()).collect()
    }

    #[test]
    fn a_change_is_reported_when_its_commit_has_returned() {
        let (mut documents, mut edge, id) = with_a_write();
        let before = events(&mut documents);
        assert!(
            matches!(before.as_slice(), [Event::Salted, Event::Idle(_)]),
            "{before:?}"
        );
        assert!(documents.digest().iter().next().is_none());

        let list = documents.written(&mut edge, id, Ok(()));
        let list = list.expect("what waits for the list may go on");
        assert!(documents.digest().get(list).is_some());
        let after = events(&mut documents);
        let [
            Event::Committed(Committed {
                verdicts,
                changed: Some(changed),
                ..
            }),
        ] = after.as_slice()
        else {
            panic!("{after:?}");
        };
        assert_eq!(verdicts.len(), 1);
        assert_eq!(changed.origin, Origin::Local);
    }

    #[test]
    fn a_failed_commit_is_reported_and_nothing_else_of_it() {
        let (mut documents, mut edge, id) = with_a_write();
        events(&mut documents);
        assert_eq!(
            documents.written(&mut edge, id, Err(WriteError::Failed)),
            None
        );
        let after = events(&mut documents);
        assert!(matches!(after.as_slice(), [Event::Failed]), "{after:?}");
        assert!(documents.digest().iter().next().is_none());
        assert_eq!(documents.failure(), Some(WriteError::Failed));
        assert!(matches!(
            edge.next_output(),
            Some(Output::Reply {
                result: Err(Refusal::Unknown(WriteError::Failed)),
                ..
            })
        ));
    }
}
