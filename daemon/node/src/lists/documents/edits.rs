//! What clients ask of a list: waiting for its document, then done on it.

use super::commits::Advance;
use crate::lists::event::{Origin, Wish};
use crate::lists::io::{self, Precondition, Refusal, Reply};
use crate::lists::wire::CHUNK_BYTES;
use crate::time::{Instant, Wall};
use crate::wire::{RequestId, WriteError};
use crdt::entry::{Author, Edit, Entry};
use crdt::list::{Document, EditRefusal, Edited, heads_tag};
use crdt::vector::{Tip, VersionVector};
use names::{EntryId, ListId, ListName};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Requests that wait for one list's document.
const MAX_WAITING_PER_LIST: usize = 1_024;
/// Requests that wait for any.
const MAX_WAITING: usize = 16_384;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: RequestId,
    pub(super) by: Author,
    pub(super) edit: Edit,
    pub(super) expect: Option<Precondition>,
    /// On how many nodes it shall be in all, if the client waits for that.
    pub(super) asked: Option<usize>,
    pub(super) deadline: Instant,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The answer; the document is as it was.
    Answer(Result<Reply, Refusal>, Option<Wish>),
    /// The document went on; the answer is due when that is on disk.
    Advanced(Box<Advance>, Reply, Option<Wish>),
    /// The document is not fit for use any more; nothing was written.
    Broken(Refusal),
}

#[derive(Debug)]
struct Queue {
    name: ListName,
    requests: VecDeque<Request>,
}

/// The requests that wait for documents, each list's in the order in which they came.
#[derive(Debug)]
pub(super) struct Edits {
    queues: BTreeMap<ListId, Queue>,
    lists: BTreeMap<RequestId, ListId>,
    rng: ChaCha8Rng,
}

impl Edits {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self {
            queues: BTreeMap::new(),
            lists: BTreeMap::new(),
            rng,
        }
    }

    /// Random bytes.
    pub(super) fn draw_salt(&mut self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.rng.fill_bytes(&mut salt);
        salt
    }

    /// Puts a request at the end of its list's queue. Gives its id back if too many wait.
    pub(super) fn wait(
        &mut self,
        list: ListId,
        name: ListName,
        request: Request,
    ) -> Result<(), RequestId> {
        let before_it = self
            .queues
            .get(&list)
            .map_or(0, |queue| queue.requests.len());
        if before_it >= MAX_WAITING_PER_LIST || self.lists.len() >= MAX_WAITING {
            return Err(request.id);
        }
        self.lists.insert(request.id, list);
        let queue = self.queues.entry(list).or_insert_with(|| Queue {
            name,
            requests: VecDeque::new(),
        });
        queue.requests.push_back(request);
        Ok(())
    }

    /// The name of a list that requests wait for.
    pub(super) fn waited_for(&self, list: ListId) -> Option<&ListName> {
        self.queues.get(&list).map(|queue| &queue.name)
    }

    /// The edit that is asked for next.
    pub(super) fn first(&self, list: ListId) -> Option<&Edit> {
        let queue = self.queues.get(&list)?;
        queue.requests.front().map(|request| &request.edit)
    }

    pub(super) fn next(&mut self, list: ListId) -> Option<Request> {
        let queue = self.queues.get_mut(&list)?;
        let request = queue.requests.pop_front();
        if queue.requests.is_empty() {
            self.queues.remove(&list);
        }
        self.lists.remove(&request.as_ref()?.id);
        request
    }

    /// Whether that request waits here.
    pub(super) fn holds(&self, id: RequestId) -> bool {
        self.lists.contains_key(&id)
    }

    /// Takes a request out whose deadline has passed. False if it no longer waits here.
    pub(super) fn expire(&mut self, id: RequestId) -> bool {
        let Some(list) = self.lists.remove(&id) else {
            return false;
        };
        if let Some(queue) = self.queues.get_mut(&list) {
            queue.requests.retain(|request| request.id != id);
            if queue.requests.is_empty() {
                self.queues.remove(&list);
            }
        }
        true
    }

    /// Takes all requests out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        self.queues.clear();
        std::mem::take(&mut self.lists).into_keys()
    }

    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    /// Does what was asked on the list's document.
    pub(super) fn run(
        &mut self,
        document: &mut Document,
        request: Request,
        wall: Wall,
    ) -> (RequestId, Outcome) {
        let outcome = match check(document, &request.edit, request.expect) {
            Err(refusal) => Outcome::Answer(Err(refusal), None),
            Ok(()) => self.edit(document, &request, wall),
        };
        (request.id, outcome)
    }

    fn edit(&mut self, document: &mut Document, request: &Request, wall: Wall) -> Outcome {
        let total_before = document.total();
        let mut draw = || u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64());
        let Edited {
            change,
            touched,
            results,
            undone,
        } = match document.edit(&request.edit, &request.by, wall.0, &mut draw) {
            Ok(edited) => edited,
            Err(EditRefusal::Broken(error)) => {
                tracing::error!(list = %document.name(), error, "an edit broke a list's document: it is loaded anew");
                return Outcome::Broken(Refusal::Unknown(WriteError::Failed));
            }
            Err(refusal) => return Outcome::Answer(Err(refused(refusal)), None),
        };
        let goal = match &change {
            Some(change) => VersionVector::from_iter([Tip::of(change.id, change.hash)]),
            None => document.tips(),
        };
        let pushed = change
            .as_ref()
            .is_some_and(|change| change.bytes.len() <= CHUNK_BYTES);
        let wish = request.asked.map(|asked| Wish {
            asked,
            goal,
            deadline: request.deadline,
            pushed,
        });
        let hash = change.as_ref().map(|change| change.hash);
        let advance = change.map(|change| {
            Advance::of(Origin::Local, document, total_before, vec![change], touched)
        });
        let entries = advance
            .as_ref()
            .map(|advance| advance.entries.as_slice())
            .unwrap_or_default();
        let reply = Reply::Edited(io::Edited {
            change: hash,
            entries: named(&results, entries, document),
            undone: undone.map(Box::new),
            replicas: None,
        });
        match advance {
            Some(advance) => Outcome::Advanced(Box::new(advance), reply, wish),
            None => Outcome::Answer(Ok(reply), wish),
        }
    }
}

/// The entries that an edit names: those that it touched are at hand already.
fn named(
    ids: &[EntryId],
    touched: &[(EntryId, Option<Arc<Entry>>, bool)],
    document: &Document,
) -> Vec<Arc<Entry>> {
    let touched: BTreeMap<EntryId, &Option<Arc<Entry>>> =
        touched.iter().map(|(id, entry, _)| (*id, entry)).collect();
    let named = ids.iter().map(|id| match touched.get(id) {
        Some(entry) => (*entry).clone(),
        None => document.entry(*id).map(Arc::new),
    });
    named.flatten().collect()
}

fn check(document: &Document, edit: &Edit, expect: Option<Precondition>) -> Result<(), Refusal> {
    let needs_entries = !matches!(
        edit,
        Edit::Add(_) | Edit::AddAgain(_) | Edit::Merge(_) | Edit::Undo(_) | Edit::Redo(_)
    );
    if document.total() == 0 && needs_entries {
        return Err(Refusal::NoList(document.name().to_string()));
    }
    let unchanged = match expect {
        None => true,
        Some(Precondition::List(tag)) => heads_tag(&document.heads()) == tag,
        Some(Precondition::Entry(tag)) => {
            match addressed(edit).map(|id| (id, document.entry(id))) {
                Some((_, Some(entry))) => entry.tag == tag,
                Some((id, None)) => return Err(Refusal::NoEntry(id)),
                None => false,
            }
        }
    };
    if unchanged {
        Ok(())
    } else {
        Err(Refusal::Changed)
    }
}

fn addressed(edit: &Edit) -> Option<EntryId> {
    match edit {
        Edit::Patch(id, _) | Edit::Delete(id) | Edit::Resolve(id, _) => Some(*id),
        Edit::Add(_)
        | Edit::AddAgain(_)
        | Edit::Merge(_)
        | Edit::Several(..)
        | Edit::DeleteAll
        | Edit::Undo(_)
        | Edit::Redo(_) => None,
    }
}

fn refused(refusal: EditRefusal) -> Refusal {
    match refusal {
        EditRefusal::NoEntry(id) => Refusal::NoEntry(id),
        EditRefusal::Deleted(id) => Refusal::Deleted(id),
        EditRefusal::NoPlace(id) => Refusal::NoPlace(id),
        EditRefusal::Settled { id, field } => Refusal::Settled { id, field },
        EditRefusal::NoChange(change) => Refusal::NoChange(change),
        EditRefusal::NoUndo(change) => Refusal::NoUndo(change),
        EditRefusal::TooLarge(why) => Refusal::TooLarge(why),
        EditRefusal::Broken(_) => Refusal::Unknown(WriteError::Failed),
    }
}
