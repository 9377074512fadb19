//! What follows when a job is done.

use super::Documents;
use crate::lists::edge::{Edge, Timer};
use crate::lists::event::{Event, NamedVector};
use crate::lists::io::{Disputed, Recorded, Refusal, Reply, Row};
use crate::lists::job::{Done, JobError, Look, Seen};
use crate::lists::own::Own;
use crate::wire::{RequestId, WriteError};
use names::ListId;
use std::time::Duration;

/// How long after a failed read a list is read again.
const RELOAD_AFTER: Duration = Duration::from_millis(250);

impl Documents {
    /// A job is done. Gives its list if what waits for that may go on now.
    pub(in crate::lists) fn worked(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        done: Done,
    ) -> Option<ListId> {
        if !self.jobs.done(edge, list) {
            return None;
        }
        match done {
            Done::Loaded(Ok(loaded)) => {
                edge.stats.loads += 1;
                self.resident
                    .insert(list, loaded.document, loaded.beyond_snapshot);
            }
            Done::Loaded(Err(JobError::Source(error))) if !error.is_damage => {
                self.resident.discard(list);
                edge.after(RELOAD_AFTER, Timer::Reload(list));
                return None;
            }
            Done::Loaded(Err(error)) => self.quarantine(edge, list, error.to_string()),
            Done::Applied(result) => {
                let applying = self.applying.remove(&list)?;
                match result {
                    Ok((document, applied)) => {
                        self.resident.insert(list, document, 0);
                        self.applied(edge, list, applying, applied);
                    }
                    Err(error) => self.spoiled(edge, list, &applying, &error),
                }
            }
            Done::CaughtUp(Ok(document)) => self.resident.insert(list, document, 0),
            Done::CaughtUp(Err(error)) => self.quarantine(edge, list, error.to_string()),
            Done::Saved(Some((covers, bytes))) => {
                let row = Row::Snapshot {
                    list,
                    covers,
                    bytes,
                };
                self.commits.write_row(edge, list, row);
            }
            Done::Saved(None) => {}
            Done::Rebuilt(result) if self.releases.is_trying(list) => {
                self.tried(edge, list, result);
            }
            Done::Rebuilt(result) => {
                if !self.rebuilt(edge, list, result) {
                    edge.after(RELOAD_AFTER, Timer::Reload(list));
                    return None;
                }
            }
            Done::LeftOut(result) => {
                if !self.left_out(edge, list, result) {
                    return None;
                }
            }
            Done::Vector(found) => {
                let found = found.map(NamedVector::from);
                self.events.push_back(Event::VectorRead { list, found });
                return None;
            }
            Done::Changes { to, found } => {
                self.events
                    .push_back(Event::ChangesRead { list, to, found });
                return None;
            }
            Done::Looked { request, found } => {
                self.looked(edge, (list, request), found);
                return None;
            }
        }
        Some(list)
    }

    fn looked(
        &mut self,
        edge: &mut Edge,
        (list, request): (ListId, RequestId),
        found: Result<Option<Seen>, JobError>,
    ) {
        let Some(look) = self.looking.remove(&request) else {
            return;
        };
        let result = match (found, look) {
            (Ok(Some(Seen::Entries(entries))), _) => Ok(Reply::Entries(entries)),
            (Ok(Some(Seen::Disputes(entries))), _) => {
                let own = self.owners.own();
                let entries = entries.into_iter();
                Ok(Reply::Disputes(
                    entries.map(|one| owned(own, list, one)).collect(),
                ))
            }
            (Ok(Some(Seen::History(accounts))), _) => {
                let own = self.owners.own();
                let recorded = accounts.into_iter().map(|account| Recorded {
                    owner: own.owner(list, account.id.actor),
                    account,
                });
                Ok(Reply::History(recorded.collect()))
            }
            (Ok(Some(Seen::Saved(tag, saved))), _) => Ok(Reply::Saved(tag, saved)),
            (Ok(Some(Seen::Differences(tag, Ok(found)))), _) => {
                Ok(Reply::Differences(tag, Box::new(found)))
            }
            (Ok(Some(Seen::Differences(_, Err(error)))), _) => Err(Refusal::Unmergeable(error)),
            (Ok(Some(Seen::Standings(known))), _) => Ok(Reply::Standings(known)),
            (Ok(Some(Seen::LastOf(change))), _) => Ok(Reply::LastOf(change)),
            (Ok(None), Look::EntriesAt(change)) => Err(Refusal::NoChange(change)),
            (Ok(None), Look::Disputes) => Ok(Reply::Disputes(Vec::new())),
            (Ok(None), Look::History { .. }) => Ok(Reply::History(Vec::new())),
            (Ok(None), Look::Standings(_)) => Ok(Reply::Standings(Vec::new())),
            (Ok(None), Look::Saved | Look::Differences(_)) => Err(Refusal::Quarantined),
            (Ok(None), Look::LastOf { .. }) => Ok(Reply::LastOf(None)),
            (Err(JobError::Source(error)), _) if !error.is_damage => {
                Err(Refusal::Unavailable(WriteError::Failed))
            }
            (Err(_), _) => Err(Refusal::Quarantined),
        };
        edge.reply(request, result);
    }
}

/// With the nodes whose the actors of the values are.
fn owned(own: &Own, list: ListId, disputed: Disputed) -> Disputed {
    let values = disputed.disputes.iter().flat_map(|dispute| &dispute.values);
    let owners = values.filter_map(|value| Some((value.actor, own.owner(list, value.actor)?)));
    Disputed {
        owners: owners.collect(),
        ..disputed
    }
}
