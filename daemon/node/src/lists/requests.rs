//! What clients ask of the lists.

use super::edits::Request;
use super::resident::Place;
use super::{Command, Job, Lists, Refusal, Replicas, Reply, Timer, ask, replicas};
use crate::wire::RequestId;
use crdt::entry::{Author, Edit};
use names::{ChangeHash, ListId, ListName};
use std::time::Duration;

/// Writes on their way; more are refused as [`Refusal::Busy`].
const MAX_WRITES: usize = 16_384;
/// Requests for lists as they were that can wait: each loads a document.
const MAX_LOOKING_BACK: usize = 64;

impl Lists {
    pub(super) fn request(&mut self, id: RequestId, by: Author, command: Command) {
        let accepted = match command {
            Command::Depart(ask::Depart { timeout }) => {
                self.depart(id, timeout);
                Ok(())
            }
            Command::Edit(ask::Edit {
                list,
                edit,
                expect,
                replicas,
                timeout,
            }) => self.asked(replicas).and_then(|asked| {
                let request = Request {
                    id,
                    by,
                    edit,
                    expect,
                    asked,
                    deadline: self.edge.now.instant + timeout,
                };
                self.edit(list, request)
            }),
            Command::EntriesAt(ask::EntriesAt {
                list,
                change,
                timeout,
            }) => self.look_back(list, change, id, timeout),
            Command::Rebuild(ask::Rebuild { list, timeout }) => self.rebuild(id, list, timeout),
            Command::Lagging(ask::Lagging) => {
                let lagging = self.rounds.lagging().collect();
                self.edge.reply(id, Ok(Reply::Lagging(lagging)));
                Ok(())
            }
        };
        if let Err(refusal) = accepted {
            self.edge.reply(id, Err(refusal));
        }
    }

    fn asked(&self, replicas: Option<Replicas>) -> Result<Option<usize>, Refusal> {
        let Some(replicas) = replicas else {
            return Ok(None);
        };
        // Without a roster nobody can say how many nodes there are: it comes within the first
        // moments.
        let view = self
            .view
            .as_ref()
            .filter(|_| !self.waits.is_full())
            .ok_or(Refusal::Busy)?;
        replicas::asked(view, replicas).map(Some)
    }

    fn edit(&mut self, name: ListName, request: Request) -> Result<(), Refusal> {
        let (id, deadline) = (request.id, request.deadline);
        let list = self.open(&name, matches!(request.edit, Edit::Add(_)))?;
        if self.commits.len() >= MAX_WRITES {
            return Err(Refusal::Busy);
        }
        self.edits
            .wait(list, name, request)
            .map_err(|_| Refusal::Busy)?;
        self.run_waiting(list);
        if self.edits.holds(id) {
            self.edge.at(deadline, Timer::Deadline(id));
        }
        Ok(())
    }

    /// Reads what is committed, in a document of its own: the one in memory may be ahead, and stays
    /// free for others.
    fn look_back(
        &mut self,
        name: ListName,
        change: ChangeHash,
        id: RequestId,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let list = self.open(&name, false)?;
        if self.looking_back.len() >= MAX_LOOKING_BACK {
            return Err(Refusal::Busy);
        }
        self.looking_back.insert(id, change);
        self.edge.after(timeout, Timer::Deadline(id));
        self.jobs.push(
            &mut self.edge,
            list,
            Job::EntriesAt {
                name,
                change,
                request: id,
            },
        );
        Ok(())
    }

    /// The id of a list that a client may use now.
    pub(super) fn open(&self, name: &ListName, create: bool) -> Result<ListId, Refusal> {
        if let Some(error) = self.commits.failed() {
            return Err(Refusal::Unavailable(error));
        }
        let list = ListId::of(name);
        match self.resident.place(list) {
            Place::Quarantined => Err(Refusal::Quarantined),
            Place::Absent if !create && !self.is_known(list) => {
                Err(Refusal::NoList(name.to_string()))
            }
            Place::Here | Place::Away | Place::Absent => Ok(list),
        }
    }
}
