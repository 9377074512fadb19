//! What clients ask of a list's document.

use super::Documents;
use super::edits::Request;
use super::resident::Place;
use crate::lists::ask;
use crate::lists::edge::{Edge, Timer};
use crate::lists::io::Refusal;
use crate::lists::job::{Job, Look};
use crate::wire::RequestId;
use crdt::entry::{Author, Edit};
use names::{ListId, ListName};
use std::time::Duration;

/// Writes on their way; more are refused as [`Refusal::Busy`].
const MAX_WRITES: usize = 16_384;
/// Requests to look into a list that can wait: each loads a document.
const MAX_LOOKING: usize = 64;

impl Documents {
    /// Changes a list, as soon as its document is there. `asked` is on how many nodes the change
    /// shall be in all, if the client waits for that.
    pub(in crate::lists) fn edit(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        by: Author,
        edit: ask::Edit,
        asked: Option<usize>,
    ) -> Result<(), Refusal> {
        let ask::Edit {
            list: name,
            edit,
            expect,
            replicas: _,
            timeout,
        } = edit;
        let list = self.open(
            &name,
            matches!(edit, Edit::Add(_) | Edit::AddAgain(_) | Edit::Merge(_)),
        )?;
        if self.commits.len() >= MAX_WRITES {
            return Err(Refusal::Busy);
        }
        let deadline = edge.now.instant + timeout;
        let request = Request {
            id,
            by,
            edit,
            expect,
            asked,
            deadline,
        };
        self.edits
            .wait(list, name, request)
            .map_err(|_| Refusal::Busy)?;
        self.run_waiting(edge, list);
        if self.edits.holds(id) {
            edge.at(deadline, Timer::Deadline(id));
        }
        Ok(())
    }

    /// Reads what is committed, in a document of its own: the one in memory may be ahead, and stays
    /// free for others.
    pub(in crate::lists) fn look(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        (name, look): (ListName, Look),
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let list = self.open(&name, matches!(look, Look::Differences(_)))?;
        if self.looking.len() >= MAX_LOOKING {
            return Err(Refusal::Busy);
        }
        self.looking.insert(id, look.clone());
        edge.after(timeout, Timer::Deadline(id));
        let job = Job::Look {
            name,
            look,
            request: id,
        };
        self.jobs.push(edge, list, job);
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
