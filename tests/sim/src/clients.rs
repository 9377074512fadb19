//! Clients: what they ask, which answers they got, and what they may rely on from then on.

use crate::chance::Chance;
use crate::disk::Image;
use crdt::entry::{Author, Decision, Due, Edit, Entry, EntryPatch, NewEntry, Place, Priority};
use names::{ChangeHash, EntryId, ListId, ListName};
use node::lists::{Command, Left, Precondition, Refusal, Replicas, ask};
use node::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// List names as people type them; the second and the third are one list.
pub(crate) const LISTS: [&str; 8] = [
    "bob",
    "café",
    "cafe\u{301}",
    "買い物",
    "🛒 groceries",
    "Übergröße",
    "to do",
    "x",
];
/// Ids that several clients use for the same thing, as a recurring entry's.
const RECURRING: usize = 4;
const TAGS: [&str; 5] = ["home", "work", "緊急", "a b", "z"];

/// A client's next step.
#[derive(Clone, Debug)]
pub enum Act {
    /// Something new, on some node.
    Write,
    /// The same request as that one, once more, on that node.
    Retry(u64, usize),
}

/// What is known of a request's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer yet.
    Waiting,
    /// The node's process ended before it answered.
    Vanished,
    /// Carried out and durable there, as this change, or as nothing new.
    Acknowledged(Option<ChangeHash>),
    /// Not carried out, or in doubt.
    Refused(Refusal),
}

/// One request and its fate.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number, by which changes name it as their author.
    pub number: u64,
    /// The host that was asked.
    pub host: usize,
    /// Which process of it.
    pub epoch: u64,
    /// When it was asked.
    pub at: Instant,
    /// How long the node may take.
    pub timeout: Duration,
    /// Which list.
    pub list: ListName,
    /// What to do.
    pub edit: Edit,
    /// Under which condition.
    pub expect: Option<Precondition>,
    /// How many nodes shall have it.
    pub replicas: Option<Replicas>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Request {
    /// As the node gets it.
    pub fn command(&self) -> Command {
        Command::Edit(ask::Edit {
            list: self.list.clone(),
            edit: self.edit.clone(),
            expect: self.expect,
            replicas: self.replicas,
            timeout: self.timeout,
        })
    }

    /// What is asked, in a word.
    pub fn kind(&self) -> &'static str {
        match &self.edit {
            Edit::Add(_) => "add",
            Edit::Patch(_, patch) if patch.place.is_some() => "move",
            Edit::Patch(_, patch) if patch.done.is_some() => "complete",
            Edit::Patch(..) => "edit",
            Edit::Delete(_) => "delete",
            Edit::DeleteAll => "delete all",
            Edit::Resolve(..) => "resolve",
            Edit::Undo(_) => "undo",
            Edit::Redo(_) => "redo",
            Edit::Several(..) => "several",
            Edit::AddAgain(_) => "add again",
            Edit::Merge(_) => "merge",
        }
    }

    /// Who asks: unique, so that each change tells from which request it came.
    pub fn author(&self) -> Author {
        Author(format!("c{}@n{}", self.number, self.host))
    }
}

/// The number of the request that a change came from.
pub fn request_of(author: &Author) -> Option<u64> {
    author.0.strip_prefix('c')?.split('@').next()?.parse().ok()
}

/// All requests of a run, and the clients' own dice.
#[derive(Debug)]
pub struct Clients {
    /// By number.
    pub requests: Vec<Request>,
    /// Acknowledged changes that a restored backup has since destroyed on the only disk that had
    /// them.
    pub excused: BTreeSet<ChangeHash>,
    /// Changes that have left lists, and what was written anew in their places where they were made.
    anew: BTreeMap<ChangeHash, Vec<ChangeHash>>,
    created: BTreeMap<u64, BTreeSet<(ListId, EntryId)>>,
    lists: Vec<ListName>,
    recurring: Vec<EntryId>,
    chance: Chance,
}

impl Clients {
    /// Clients that have asked for nothing.
    pub fn new(mut chance: Chance) -> Self {
        let used = 2 + chance.below(LISTS.len() - 1);
        let lists = LISTS
            .iter()
            .take(used)
            .map(|name| ListName::new(name).expect("a valid name"))
            .collect();
        let recurring = (0..RECURRING)
            .map(|_| EntryId::from_parts(1_700_000_000_000, chance.number()))
            .collect();
        Self {
            requests: Vec::new(),
            excused: BTreeSet::new(),
            anew: BTreeMap::new(),
            created: BTreeMap::new(),
            lists,
            recurring,
            chance,
        }
    }

    /// The next request to a host whose committed rows are these.
    pub fn draw(
        &mut self,
        (host, epoch): (usize, u64),
        at: Instant,
        wall_ms: i64,
        image: &Image,
    ) -> &Request {
        let number = self.requests.len() as u64;
        let list = self
            .chance
            .pick(&self.lists)
            .expect("there are lists")
            .clone();
        let there: Vec<Entry> = image
            .entries_of(ListId::of(&list))
            .map(|entry| entry.as_ref().clone())
            .collect();
        let taken_back = self.draw_taking_back(ListId::of(&list));
        let edit = taken_back.unwrap_or_else(|| self.draw_edit(number, wall_ms, &there));
        let expect = self.draw_expectation(&edit, ListId::of(&list), image);
        let replicas = match self.chance.below(20) {
            0 => Some(Replicas::Majority),
            1 => Some(Replicas::All),
            2 => Some(Replicas::Count(1 + self.chance.below(6))),
            _ => None,
        };
        let timeout = if self.chance.happens(0.2) {
            self.chance.millis(20, 1_500)
        } else {
            Duration::from_secs(5)
        };
        self.ask(Request {
            number,
            host,
            epoch,
            at,
            timeout,
            list,
            edit,
            expect,
            replicas,
            outcome: Outcome::Waiting,
        })
    }

    /// An earlier request once more, as a client does that got no answer.
    pub fn again(
        &mut self,
        number: u64,
        (host, epoch): (usize, u64),
        at: Instant,
    ) -> Option<&Request> {
        let old = self.get(number)?.clone();
        let number = self.requests.len() as u64;
        Some(self.ask(Request {
            number,
            host,
            epoch,
            at,
            outcome: Outcome::Waiting,
            ..old
        }))
    }

    /// Adds a request of one's own making.
    pub fn ask(&mut self, request: Request) -> &Request {
        self.requests.push(request);
        self.requests.last().expect("it was just added")
    }

    /// A request by its number.
    pub fn get(&self, number: u64) -> Option<&Request> {
        self.requests.get(usize::try_from(number).ok()?)
    }

    /// Notes an answer. Returns the request as it was asked.
    pub fn answer(&mut self, number: u64, outcome: Outcome) -> Option<&Request> {
        let request = self.requests.get_mut(usize::try_from(number).ok()?)?;
        request.outcome = outcome;
        Some(request)
    }

    /// Notes an entry that a node has shown in a list.
    pub fn shown(&mut self, list: ListId, entry: &Entry) {
        if let Some(number) = request_of(&entry.created_by) {
            self.created
                .entry(number)
                .or_default()
                .insert((list, entry.id));
        }
    }

    /// The id that a node drew for the entry of a request that named none; `None` if no node ever
    /// showed it.
    pub fn drawn_id(&self, request: &Request) -> Option<EntryId> {
        let Edit::Add(entries) = &request.edit else {
            return None;
        };
        // Under its name somebody else may have written to another list.
        let (created, list) = (
            self.created.get(&request.number)?,
            ListId::of(&request.list),
        );
        let of_list = created.iter().filter(|(of, _)| *of == list);
        of_list
            .map(|(_, id)| *id)
            .find(|id| !entries.iter().any(|entry| entry.id == Some(*id)))
    }

    /// A process has ended: nobody answers its clients any more. Gives their requests.
    pub fn process_ended(&mut self, host: usize, epoch: u64) -> Vec<u64> {
        let waiting = |request: &&mut Request| {
            request.host == host && request.epoch == epoch && request.outcome == Outcome::Waiting
        };
        let vanished = self.requests.iter_mut().filter(waiting).map(|request| {
            request.outcome = Outcome::Vanished;
            request.number
        });
        vanished.collect()
    }

    /// All changes that were acknowledged and that no disk was robbed of.
    pub fn acknowledged(&self) -> impl Iterator<Item = (&Request, ChangeHash)> {
        let hash = |request: &Request| match request.outcome {
            Outcome::Acknowledged(hash) => hash,
            Outcome::Waiting | Outcome::Vanished | Outcome::Refused(_) => None,
        };
        let all = self
            .requests
            .iter()
            .filter_map(move |request| hash(request).map(|hash| (request, hash)));
        all.filter(|(_, hash)| !self.is_excused(*hash))
    }

    /// Whether a disk was robbed of a change, or of what was written anew in its place.
    fn is_excused(&self, hash: ChangeHash) -> bool {
        let anew = self.anew.get(&hash).into_iter().flatten();
        self.excused.contains(&hash) || anew.copied().any(|hash| self.is_excused(hash))
    }

    /// Whether its node has said that a change has left its list, be it from a disk that was restored since.
    pub fn has_left(&self, hash: ChangeHash) -> bool {
        self.anew.contains_key(&hash)
    }

    /// A host says what has left a list, and what it has written anew of its own.
    pub fn moved(&mut self, left: &Left) {
        let own = left.changes.iter().filter(|gone| gone.is_own);
        self.anew
            .extend(own.map(|gone| (gone.hash, gone.anew.clone())));
    }

    /// Whether a change has left its list, and nothing was left to say of what it did: at once, or when
    /// what was written anew has left the list, too.
    pub fn is_idle(&self, hash: ChangeHash) -> bool {
        let anew = self.anew.get(&hash);
        anew.is_some_and(|anew| anew.iter().all(|hash| self.is_idle(*hash)))
    }

    /// Now and then an acknowledged change of a list is undone, or such an undoing; its node may not have it.
    fn draw_taking_back(&mut self, list: ListId) -> Option<Edit> {
        if !self.chance.happens(0.06) {
            return None;
        }
        let is_redo = self.chance.happens(0.3);
        let of_list = self
            .requests
            .iter()
            .filter(|it| ListId::of(&it.list) == list);
        let acknowledged = of_list.filter_map(|it| match it.outcome {
            Outcome::Acknowledged(Some(hash)) => Some((&it.edit, hash)),
            Outcome::Acknowledged(None)
            | Outcome::Waiting
            | Outcome::Vanished
            | Outcome::Refused(_) => None,
        });
        let fitting = acknowledged.filter(|(edit, _)| !is_redo || matches!(edit, Edit::Undo(_)));
        let hashes: Vec<ChangeHash> = fitting.map(|(_, hash)| hash).collect();
        let hash = *self.chance.pick(&hashes)?;
        Some(if is_redo {
            Edit::Redo(hash)
        } else {
            Edit::Undo(hash)
        })
    }

    fn draw_edit(&mut self, number: u64, wall_ms: i64, there: &[Entry]) -> Edit {
        let known = if self.chance.happens(0.05) {
            self.chance.pick(&self.recurring).copied()
        } else {
            None
        };
        let entry = known.or_else(|| self.chance.pick(there).map(|entry| entry.id));
        match (self.chance.below(100), entry) {
            (0..50, _) | (_, None) => {
                let count = if self.chance.happens(0.15) {
                    2 + self.chance.below(4)
                } else {
                    1
                };
                Edit::Add(
                    (0..count)
                        .map(|nth| self.draw_entry(number, nth, wall_ms, there))
                        .collect(),
                )
            }
            (50..82, Some(id)) => Edit::Patch(id, self.draw_patch(number, there).into()),
            (82..94, Some(id)) => Edit::Delete(id),
            (94..97, Some(id)) => Edit::Resolve(id, Decision::Keep),
            (_, Some(_)) => Edit::DeleteAll,
        }
    }

    fn draw_entry(&mut self, number: u64, nth: usize, wall_ms: i64, there: &[Entry]) -> NewEntry {
        let id = match self.chance.below(10) {
            0 if nth == 0 => self.chance.pick(&self.recurring).copied(),
            // At most one of a request gets its id from the node: so it is known which.
            1..4 if nth == 0 => None,
            _ => Some(EntryId::from_parts(wall_ms, self.chance.number())),
        };
        NewEntry {
            id,
            title: format!("entry {number}.{nth} ✓"),
            due: self.draw_due(),
            done: self.chance.happens(0.1),
            priority: self.draw_priority(),
            tags: self.draw_tags(),
            notes: if self.chance.happens(0.2) {
                format!("line one\nline {number}")
            } else {
                String::new()
            },
            assignee: self.chance.happens(0.2).then(|| "alice".to_owned()),
            place: self.draw_place(there, 0.2),
            ..NewEntry::default()
        }
    }

    fn draw_patch(&mut self, number: u64, there: &[Entry]) -> EntryPatch {
        EntryPatch {
            title: self
                .chance
                .happens(0.4)
                .then(|| format!("entry patched by {number}")),
            due: self.chance.happens(0.2).then(|| self.draw_due()),
            done: self.chance.happens(0.3).then(|| self.chance.happens(0.7)),
            priority: self.chance.happens(0.2).then(|| self.draw_priority()),
            tags: self.chance.happens(0.3).then(|| self.draw_tags()),
            notes: self.chance.happens(0.1).then(|| {
                if self.chance.happens(0.5) {
                    String::new()
                } else {
                    format!("notes {number}")
                }
            }),
            assignee: self
                .chance
                .happens(0.1)
                .then(|| self.chance.happens(0.5).then(|| "bob".to_owned())),
            place: self.draw_place(there, 0.3),
            ..EntryPatch::default()
        }
    }

    fn draw_due(&mut self) -> Option<Due> {
        match self.chance.below(3) {
            0 => Some(Due::Instant(
                1_790_000_000_000 + self.chance.below(1_000_000) as i64,
            )),
            1 => Some(Due::Date(jiff::civil::date(
                2026,
                1 + i8::try_from(self.chance.below(12)).unwrap_or(0),
                7,
            ))),
            _ => None,
        }
    }

    fn draw_priority(&mut self) -> Option<Priority> {
        self.chance
            .pick(&[None, Some(Priority::High), Some(Priority::Low)])
            .copied()
            .flatten()
    }

    fn draw_tags(&mut self) -> Vec<String> {
        (0..self.chance.below(3))
            .filter_map(|_| self.chance.pick(&TAGS).map(|tag| (*tag).to_owned()))
            .collect()
    }

    fn draw_place(&mut self, there: &[Entry], often: f64) -> Option<Place> {
        let next_to = self.chance.pick(there)?.id;
        let place = if self.chance.happens(0.5) {
            Place::Before(next_to)
        } else {
            Place::After(next_to)
        };
        self.chance.happens(often).then_some(place)
    }

    fn draw_expectation(
        &mut self,
        edit: &Edit,
        list: ListId,
        image: &Image,
    ) -> Option<Precondition> {
        if !self.chance.happens(0.1) {
            return None;
        }
        match edit {
            Edit::Add(_)
            | Edit::AddAgain(_)
            | Edit::Merge(_)
            | Edit::Several(..)
            | Edit::DeleteAll
            | Edit::Undo(_)
            | Edit::Redo(_) => Some(Precondition::List(image.lists.get(&list)?.tag())),
            Edit::Patch(id, _) | Edit::Delete(id) | Edit::Resolve(id, _) => {
                Some(Precondition::Entry(image.entries.get(&(list, *id))?.tag))
            }
        }
    }
}
