//! What the lists show is what the clients meant: each change names its request, each request's
//! meaning is known, and so what must be there follows from who had seen what, without a line of
//! the code that is being tested.
//!
//! * An entry is alive if one of the last writes to it (those that no other write to it had seen)
//!   keeps it alive. An edit of a live one leaves it deleted where others have deleted it: that is
//!   in conflict until a write decides.
//! * A title, a tag, a tick is that of one of its last writes; it is in conflict only if these
//!   differ.
//! * What taking a change back comes to is proved beside the code: of the entries that such a change has
//!   touched it is demanded only that somebody has asked for them, and for the title that they show.

use crate::clients::{Outcome, Request, request_of};
use crate::disk::Image;
use crate::liar::exempt;
use crate::world::World;
use crdt::entry::{Bulk, Edit, Entry, EntryPatch, Field, NewEntry};
use crdt::list::{CheckedChange, in_order, judge};
use names::{ChangeHash, EntryId, ListId};
use node::lists::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// Compares what the first host shows with what the clients meant.
pub fn check(world: &World) -> Vec<String> {
    let image = &world.hosts[0].disk.image;
    let mut found = Vec::new();
    for (list, row) in &image.lists {
        // What the liar meant nobody knows.
        if exempt::is_written_by_liar(world, image, *list) {
            continue;
        }
        match History::read(world, image, *list) {
            Ok(history) => found.extend(
                history
                    .compare(image, *list)
                    .into_iter()
                    .map(|text| format!("{:?}: {text}", row.name)),
            ),
            Err(text) => found.push(format!("{:?}: {text}", row.name)),
        }
    }
    found
}

/// The writes to one thing, each by the index of its change.
#[derive(Debug)]
struct Writes<T>(Vec<(usize, T)>);

impl<T> Default for Writes<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The values of the last writes, of all or of those that a change had seen. `seen` is what each
/// change had seen.
fn last<'a, T>(seen: &[BTreeSet<usize>], writes: &'a Writes<T>, by: Option<usize>) -> Vec<&'a T> {
    let within = |at: usize| by.is_none_or(|by| seen[by].contains(&at));
    let known: Vec<&(usize, T)> = writes.0.iter().filter(|(at, _)| within(*at)).collect();
    let overwritten = |at: usize| known.iter().any(|(later, _)| seen[*later].contains(&at));
    known
        .iter()
        .filter(|(at, _)| !overwritten(*at))
        .map(|(_, value)| value)
        .collect()
}

/// All changes of a list, those that others had seen first, with all that each had seen.
#[derive(Default)]
struct History {
    seen: Vec<BTreeSet<usize>>,
    alive: BTreeMap<EntryId, Writes<bool>>,
    /// Which of these decide nothing.
    edits: BTreeSet<(EntryId, usize)>,
    titles: BTreeMap<EntryId, Writes<String>>,
    ticks: BTreeMap<EntryId, Writes<bool>>,
    tags: BTreeMap<EntryId, BTreeMap<String, Writes<bool>>>,
    /// Which entries each change has touched.
    touched: Vec<BTreeSet<EntryId>>,
    /// Those that changes which were undone, or made anew, have touched.
    taken_back: BTreeSet<EntryId>,
    /// All titles that anybody has asked for, whatever stood there.
    asked: BTreeMap<EntryId, BTreeSet<String>>,
}

impl History {
    fn read(world: &World, image: &Image, list: ListId) -> Result<Self, String> {
        let judged = image.changes_of(list).map(|bytes| {
            judge(bytes.clone()).map_err(|fault| format!("a change is refused: {fault}"))
        });
        let changes = judged.collect::<Result<Vec<CheckedChange>, String>>()?;
        let changes = in_order(changes, CheckedChange::bytes);
        let index: BTreeMap<ChangeHash, usize> = changes
            .iter()
            .enumerate()
            .map(|(at, change)| (change.hash(), at))
            .collect();
        let mut history = Self::default();
        for (at, change) in changes.iter().enumerate() {
            let direct: Vec<usize> = change
                .deps()
                .iter()
                .filter_map(|hash| index.get(hash).copied())
                .collect();
            let mut seen: BTreeSet<usize> = direct
                .iter()
                .flat_map(|dep| &history.seen[*dep])
                .copied()
                .collect();
            seen.extend(direct);
            history.seen.push(seen);
            let request = request_of(&change.author()).and_then(|number| world.clients.get(number));
            let request = request.ok_or_else(|| {
                format!(
                    "a change by {}, whom nobody \
                asked",
                    change.author()
                )
            })?;
            history.was_possible(request, change.hash())?;
            history.touched.push(BTreeSet::new());
            if let Edit::Undo(hash) | Edit::Redo(hash) = &request.edit {
                let target = index.get(hash).and_then(|at| history.touched.get(*at));
                let target = target.cloned();
                let entries =
                    target.ok_or_else(|| format!("{hash} was taken back and is not there"))?;
                history.taken_back.extend(&entries);
                history.touched[at] = entries;
            }
            history.add(at, request, world.clients.drawn_id(request));
        }
        Ok(history)
    }

    fn was_possible(&self, request: &Request, hash: ChangeHash) -> Result<(), String> {
        match &request.outcome {
            Outcome::Refused(Refusal::Unknown(_)) | Outcome::Waiting | Outcome::Vanished => Ok(()),
            Outcome::Acknowledged(Some(told)) if *told == hash => Ok(()),
            other @ (Outcome::Acknowledged(_) | Outcome::Refused(_)) => Err(format!(
                "request {} was answered {other:?}, but made the change \
                    {hash}",
                request.number
            )),
        }
    }

    fn add(&mut self, at: usize, request: &Request, drawn: Option<EntryId>) {
        match &request.edit {
            Edit::Add(entries) => entries
                .iter()
                .for_each(|entry| self.add_entry(at, entry, entry.id.or(drawn))),
            Edit::Patch(id, patch) => self.patch(at, *id, patch),
            Edit::Delete(id) => self.touch(at, *id, false),
            // No client of a seed decides anything else.
            Edit::Resolve(id, _) => self.touch(at, *id, true),
            Edit::Several(ids, Bulk::Patch { patch, .. }) => {
                for id in ids {
                    self.patch(at, *id, patch);
                }
            }
            Edit::Several(ids, Bulk::Delete) => {
                for id in ids {
                    self.touch(at, *id, false);
                }
            }
            // Of undoing it is known by now which entries it concerns; no client of a seed mends a disk.
            Edit::Undo(_) | Edit::Redo(_) | Edit::AddAgain(_) | Edit::Merge(_) => {}
            Edit::DeleteAll => {
                let known: Vec<EntryId> = self
                    .alive
                    .keys()
                    .copied()
                    .filter(|id| self.is_alive(*id, Some(at)))
                    .collect();
                known.into_iter().for_each(|id| self.touch(at, id, false));
            }
        }
    }

    fn add_entry(&mut self, at: usize, entry: &NewEntry, id: Option<EntryId>) {
        // Without an id it was never on any disk: deleted in the commit that would have shown it.
        let Some(id) = id else { return };
        self.touched[at].insert(id);
        self.asked
            .entry(id)
            .or_default()
            .insert(entry.title.clone());
        if self.is_alive(id, Some(at)) {
            return;
        }
        self.touch(at, id, true);
        self.titles
            .entry(id)
            .or_default()
            .0
            .push((at, entry.title.clone()));
        self.ticks.entry(id).or_default().0.push((at, entry.done));
        let tags: BTreeSet<&String> = entry.tags.iter().collect();
        tags.into_iter().for_each(|tag| self.tag(at, id, tag, true));
    }

    fn patch(&mut self, at: usize, id: EntryId, patch: &EntryPatch) {
        if let Some(tags) = &patch.tags {
            let known: Vec<String> = self
                .tags
                .get(&id)
                .map(|tags| tags.keys().cloned().collect())
                .unwrap_or_default();
            let before: BTreeSet<String> = known
                .into_iter()
                .filter(|tag| self.has_tag(id, tag, Some(at)))
                .collect();
            let after: BTreeSet<String> = tags.iter().cloned().collect();
            after
                .difference(&before)
                .for_each(|tag| self.tag(at, id, tag, true));
            before
                .difference(&after)
                .for_each(|tag| self.tag(at, id, tag, false));
        }
        // Automerge leaves out what changes nothing: such a value is not written once more.
        if let Some(title) = &patch.title {
            self.asked.entry(id).or_default().insert(title.clone());
            let titles = self.titles.entry(id).or_default();
            if last(&self.seen, titles, Some(at)) != [title] {
                titles.0.push((at, title.clone()));
            }
        }
        if let Some(done) = patch.done {
            let ticks = self.ticks.entry(id).or_default();
            if last(&self.seen, ticks, Some(at)) != [&done] {
                ticks.0.push((at, done));
            }
        }
        if self.is_alive(id, Some(at)) {
            self.edits.insert((id, at));
        }
        self.touch(at, id, true);
    }

    fn touch(&mut self, at: usize, id: EntryId, alive: bool) {
        self.touched[at].insert(id);
        self.alive.entry(id).or_default().0.push((at, alive));
    }

    fn tag(&mut self, at: usize, id: EntryId, tag: &str, there: bool) {
        self.tags
            .entry(id)
            .or_default()
            .entry(tag.to_owned())
            .or_default()
            .0
            .push((at, there));
    }

    fn is_alive(&self, id: EntryId, by: Option<usize>) -> bool {
        self.lives(id, by).contains(&true)
    }

    /// What the last writes say of whether an entry is there.
    fn lives(&self, id: EntryId, by: Option<usize>) -> BTreeSet<bool> {
        let within = |at: usize| by.is_none_or(|by| self.seen[by].contains(&at));
        let writes = self.alive.get(&id).into_iter().flat_map(|writes| &writes.0);
        let known: Vec<&(usize, bool)> = writes.filter(|(at, _)| within(*at)).collect();
        let is_over = |at: usize, alive: bool| {
            known.iter().any(|(later, _)| {
                let decides = alive || !self.edits.contains(&(id, *later));
                decides && self.seen[*later].contains(&at)
            })
        };
        let left = known.iter().filter(|(at, alive)| !is_over(*at, *alive));
        left.map(|(_, alive)| *alive).collect()
    }

    fn has_tag(&self, id: EntryId, tag: &str, by: Option<usize>) -> bool {
        let writes = self.tags.get(&id).and_then(|tags| tags.get(tag));
        writes.is_some_and(|writes| last(&self.seen, writes, by).into_iter().any(|there| *there))
    }

    fn compare(&self, image: &Image, list: ListId) -> Vec<String> {
        let shown: BTreeMap<EntryId, &Entry> = image
            .entries_of(list)
            .map(|entry| (entry.id, entry.as_ref()))
            .collect();
        let meant: BTreeSet<EntryId> = self
            .alive
            .keys()
            .copied()
            .filter(|id| self.is_alive(*id, None) && !self.taken_back.contains(id))
            .collect();
        let mut found = Vec::new();
        for id in meant.iter().filter(|id| !shown.contains_key(*id)) {
            found.push(format!("entry {id} is missing: {:?}", self.alive.get(id)));
        }
        for (id, entry) in &shown {
            if self.taken_back.contains(id) {
                let asked = self.asked.get(id);
                if !asked.is_some_and(|titles| titles.contains(&entry.title)) {
                    found.push(format!(
                        "entry {id} has the title {:?}, asked was {asked:?}",
                        entry.title
                    ));
                }
            } else if meant.contains(id) {
                found.extend(self.compare_entry(entry));
            } else {
                found.push(format!(
                    "entry {id} ({:?}) is shown, but nothing keeps it: \
                    {:?}",
                    entry.title,
                    self.alive.get(id)
                ));
            }
        }
        found
    }

    fn compare_entry(&self, entry: &Entry) -> Vec<String> {
        let mut found = Vec::new();
        let titles: BTreeSet<&String> = self
            .titles
            .get(&entry.id)
            .map(|writes| last(&self.seen, writes, None))
            .unwrap_or_default()
            .into_iter()
            .collect();
        if !titles.contains(&entry.title)
            || (entry.conflicts.contains(&Field::Title) != (titles.len() > 1))
        {
            found.push(format!(
                "entry {} has the title {:?} (conflicts: {:?}), meant was {titles:?}",
                entry.id, entry.title, entry.conflicts
            ));
        }
        let ticks: BTreeSet<&bool> = self
            .ticks
            .get(&entry.id)
            .map(|writes| last(&self.seen, writes, None))
            .unwrap_or_default()
            .into_iter()
            .collect();
        if !ticks.contains(&entry.done_at.is_some()) {
            found.push(format!(
                "entry {} is done at {:?}, meant was \
                {ticks:?}",
                entry.id, entry.done_at
            ));
        }
        let known = self
            .tags
            .get(&entry.id)
            .into_iter()
            .flat_map(BTreeMap::keys);
        let tags: Vec<&String> = known
            .filter(|tag| self.has_tag(entry.id, tag, None))
            .collect();
        if tags != entry.tags.iter().collect::<Vec<_>>() {
            found.push(format!(
                "entry {} has the tags {:?}, meant was \
                {tags:?}",
                entry.id, entry.tags
            ));
        }
        let lives = self.lives(entry.id, None);
        if entry.conflicts.contains(&Field::Deleted) != lives.contains(&false) {
            found.push(format!(
                "entry {} has conflicts {:?}, but its last lives are \
                {lives:?}",
                entry.id, entry.conflicts
            ));
        }
        found
    }
}
