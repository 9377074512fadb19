//! Undoing a change, as a new change.
//!
//! What the change did is told by its entries before it and after it. Of that a field is restored only
//! where the change's own value still stands, in all maps of the entry, or stands again because a later
//! change was undone; where another one stands, it is left alone and told. Where somebody else's value stands beside it, that one stays alone: it is what
//! the list would say without the change. So two nodes that undo one change apart write equal values.
//!
//! A deletion is undone whatever stands: the entry is in the list again. An addition is undone by a
//! deletion; if others have written to the entry, it stays and is marked, as if they had written at the
//! same time.

use super::authorship::Authorship;
use super::document::Document;
use super::edit::{EditRefusal, Edited, Stamp};
use super::history::Moment;
use super::message::Act;
use super::outline::OpName;
use super::plain::Plain;
use super::read::{CREATED, LIFE, TAG, Union};
use super::then::{Past, Step};
use super::write::{Draft, Stop};
use crate::entry::{Author, Field};
use automerge::{AutomergeError, ScalarValue};
use names::{Actor, ChangeHash, EntryId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// So many things that were not undone are told one by one.
const MAX_SKIPPED: usize = 100;

/// What became of undoing a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The change that was undone.
    pub change: ChangeHash,
    /// In how many entries something was undone.
    pub entries: usize,
    /// What stays as it is; of very much the first.
    pub skipped: Vec<Skipped>,
    /// How much more that is.
    pub more: usize,
}

/// What is not undone of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// In which entry.
    pub id: EntryId,
    /// Which field, as JSON names it; a key of the document where a newer program knows it.
    pub field: String,
    /// Why not.
    pub why: Why,
}

/// Why something is not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was changed since.
    Changed,
    /// The entry was deleted since.
    Deleted,
    /// Several others have written it at the same time: that is to be settled.
    Conflict,
    /// What it was before is nothing that this program can write.
    Foreign,
}

/// Which of the caller's changes is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The last one that still counts.
    Undo,
    /// The last one that undid another one, if nothing was written since.
    Redo,
}

/// What is done to an entry so that a change is undone.
struct Reversal {
    id: EntryId,
    now: Union,
    writes: Vec<(String, ScalarValue)>,
    life: Life,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It is edited.
    Edited,
    /// It is in the list, whatever was said.
    Kept,
    /// It is not in the list any more.
    Ended,
    /// It is in the list, and marked as one that somebody has deleted.
    Marked,
}

impl Document {
    /// Undoes a change. What is left to be undone may be nothing.
    pub(super) fn undo(
        &mut self,
        change: ChangeHash,
        stamp: Stamp<'_>,
    ) -> Result<Edited, EditRefusal> {
        let hash = automerge::ChangeHash(change.0);
        let past = self.past(hash).ok_or(EditRefusal::NoChange(change))?;
        let mut skipped = Vec::new();
        let mut reversals = Vec::new();
        for id in &past.entries {
            reversals.extend(self.reversal(&past, *id, &mut skipped)?);
        }
        let spared = reversals.iter().flat_map(Reversal::spared).collect();
        let made = self.commit(stamp, &spared, |draft| {
            let mut all = reversals.iter();
            all.try_for_each(|reversal| reversal.write(draft))
        })?;
        // That it is undone is said all the same, so that the change before it is the next one.
        let made = match made {
            Some(made) => made,
            None => self.commit_empty(stamp)?,
        };
        let ids: Vec<EntryId> = reversals.iter().map(|reversal| reversal.id).collect();
        let more = skipped.len().saturating_sub(MAX_SKIPPED);
        skipped.truncate(MAX_SKIPPED);
        Ok(Edited {
            change: Some(made),
            touched: self.refresh(ids.iter().copied())?,
            results: ids.clone(),
            undone: Some(Undone {
                change,
                entries: ids.len(),
                skipped,
                more,
            }),
        })
    }

    /// What a change is known to take back; `None` if it is not here.
    pub(super) fn act_of(&self, change: ChangeHash) -> Option<Act> {
        let hash = automerge::ChangeHash(change.0);
        let doc = self.whole();
        let meta = doc.get_change_meta_by_hash(&hash)?;
        Some(super::message::act(
            meta.message.as_deref().unwrap_or_default(),
        ))
    }

    /// The change that an author undoes next, or makes anew next, of those by actors for which
    /// `is_own`.
    pub fn next_of(
        &self,
        by: &Author,
        way: Way,
        is_own: impl Fn(Actor) -> bool,
    ) -> Option<ChangeHash> {
        let mut own: Vec<(Moment, Act)> =
            self.acts(|author, actor| *author == by.0 && is_own(actor));
        own.sort_unstable_by_key(|(moment, _)| Reverse(*moment));
        // Those that others of these have taken back.
        let mut spent = BTreeSet::new();
        for (moment, act) in own {
            if spent.contains(&moment.hash) {
                continue;
            }
            match (act, way) {
                (Act::Undo(change), Way::Undo) => spent.insert(change),
                (Act::Redo(change), Way::Redo) => spent.insert(change),
                (Act::Edit | Act::Redo(_), Way::Undo) | (Act::Undo(_), Way::Redo) => {
                    return Some(moment.hash);
                }
                (Act::Edit, Way::Redo) => return None,
            };
        }
        None
    }

    fn reversal(
        &self,
        past: &Past,
        id: EntryId,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<Reversal>, AutomergeError> {
        if self.deleted(past, id)? {
            return self.revival(id);
        }
        let Step { before, after } = self.step(past, id)?;
        let (Some(after), Some(now)) = (after, Union::read(&self.doc, id)?) else {
            return Ok(None);
        };
        let nothing = Union::of_maps(Vec::new());
        let before = before.as_ref().unwrap_or(&nothing);
        let mut found = Found {
            past,
            authorship: &self.authorship,
            id,
            writes: Vec::new(),
            skipped: Vec::new(),
        };
        let life = match (before.is_alive(), after.is_alive()) {
            (false, true) => self.unmade(past, &now),
            (true | false, false) => None,
            (true, true) => found.fields((before, &after, &now)),
        };
        skipped.append(&mut found.skipped);
        Ok(life.map(|life| Reversal {
            id,
            now,
            writes: found.writes,
            life,
        }))
    }

    /// An entry that was deleted is in the list again, and that it was deleted counts no longer.
    fn revival(&self, id: EntryId) -> Result<Option<Reversal>, AutomergeError> {
        let now = Union::read_life(&self.doc, id)?;
        let now = now.filter(|now| {
            let life = now.parities(LIFE);
            life.odd || !life.even
        });
        Ok(now.map(|now| Reversal {
            id,
            now,
            writes: Vec::new(),
            life: Life::Kept,
        }))
    }

    /// What becomes of an entry that a change has added, or brought back.
    fn unmade(&self, past: &Past, now: &Union) -> Option<Life> {
        let life = now.parities(LIFE);
        if !life.even {
            return None;
        }
        let origin = |op| self.authorship.of(op).unwrap_or_default();
        let own = now.ops().find(|op| past.wrote(*op)).map(origin);
        let own = own.map(|origin| origin.author);
        let is_alone = now.ops().map(origin).all(|origin| {
            origin.takes_back || own.as_ref().is_none_or(|own| *own == origin.author)
        });
        match (is_alone, life.odd) {
            (true, _) => Some(Life::Ended),
            (false, false) => Some(Life::Marked),
            (false, true) => None,
        }
    }
}

impl Reversal {
    fn write(&self, draft: &mut Draft<'_>) -> Result<(), Stop> {
        for (key, value) in &self.writes {
            draft.set(&self.now, key, value)?;
        }
        match self.life {
            Life::Edited | Life::Kept => draft.keep(&self.now),
            Life::Ended | Life::Marked => draft.kill(&self.now),
        }
    }

    /// The values of `life` that stay beside what is written.
    fn spared(&self) -> Vec<OpName> {
        match self.life {
            Life::Edited => self.now.marks().collect(),
            Life::Kept | Life::Ended => Vec::new(),
            Life::Marked => self.now.seen(LIFE).iter().map(|seen| seen.op).collect(),
        }
    }
}

/// What undoing a change comes to in the fields of an entry.
struct Found<'a> {
    past: &'a Past,
    authorship: &'a Authorship,
    id: EntryId,
    writes: Vec<(String, ScalarValue)>,
    skipped: Vec<Skipped>,
}

impl Found<'_> {
    /// `None` if nothing is to be written.
    fn fields(&mut self, (before, after, now): (&Union, &Union, &Union)) -> Option<Life> {
        let keys: BTreeSet<&str> = before.keys().chain(after.keys()).collect();
        let is_field = |key: &&str| *key != LIFE && *key != CREATED;
        for key in keys.into_iter().filter(is_field) {
            if key.starts_with(TAG) {
                self.tag(key, (before, after, now));
            } else {
                self.register(key, (before, after, now));
            }
        }
        let marked = [before, after, now].map(|union| union.parities(LIFE).odd);
        let mark = match marked {
            [true, false, false] => Some(Life::Marked),
            [false, true, true] => Some(Life::Kept),
            _ => None,
        };
        let life = mark.or_else(|| (!self.writes.is_empty()).then_some(Life::Edited))?;
        if now.is_alive() {
            return Some(life);
        }
        self.writes.clear();
        self.skipped.clear();
        self.skip(LIFE, Why::Deleted);
        None
    }

    fn skip(&mut self, key: &str, why: Why) {
        let field = Field::of_key(key).map_or(key, |field| field.as_str());
        self.skipped.push(Skipped {
            id: self.id,
            field: field.to_owned(),
            why,
        });
    }

    /// Whether an operation says what the change said: it is the change's own, or undoing a later one
    /// has brought that back.
    fn stands(&self, op: OpName, is_same: bool) -> bool {
        let takes_back = || {
            self.authorship
                .of(op)
                .is_some_and(|origin| origin.takes_back)
        };
        self.past.wrote(op) || is_same && takes_back()
    }

    fn tag(&mut self, key: &str, (before, after, now): (&Union, &Union, &Union)) {
        let was = before.parities(key).even;
        if was == after.parities(key).even {
            return;
        }
        let is_even = |value: i64| value.rem_euclid(2) == 0;
        let (stands, others): (Vec<_>, Vec<_>) = now.seen(key).iter().partition(|seen| {
            let value = seen.value.integer();
            self.stands(seen.op, value.map(is_even) == Some(!was))
        });
        let present = now.parities(key);
        if stands.is_empty() {
            if present.even != was {
                self.skip(key, Why::Changed);
            }
            return;
        }
        let mut integers = others.iter().filter_map(|seen| seen.value.integer());
        let wanted = if others.is_empty() {
            was
        } else {
            integers.any(is_even)
        };
        if (present.even, present.odd) != (wanted, !wanted) {
            let next = if wanted {
                present.next_even()
            } else {
                present.next_odd()
            };
            self.writes.push((key.to_owned(), ScalarValue::Int(next)));
        }
    }

    fn register(&mut self, key: &str, (before, after, now): (&Union, &Union, &Union)) {
        let last = |union: &Union| {
            union
                .seen(key)
                .last()
                .map_or(Plain::Null, |seen| seen.value.clone())
        };
        let (old, new, current) = (last(before), last(after), last(now));
        let wrote = after.seen(key).iter().any(|seen| self.past.wrote(seen.op));
        if !wrote && old == new {
            return;
        }
        let (stands, others): (Vec<_>, Vec<_>) = now
            .seen(key)
            .iter()
            .partition(|seen| self.stands(seen.op, seen.value == new));
        // A text that was edited in place, or a key that was deleted, is told by what it says.
        let value = if !wrote && current == new || wrote && others.is_empty() && !stands.is_empty()
        {
            old
        } else if stands.is_empty() {
            if current != old {
                self.skip(key, Why::Changed);
            }
            return;
        } else if let Some(first) = others.first()
            && others.iter().all(|other| other.value == first.value)
        {
            first.value.clone()
        } else {
            return self.skip(key, Why::Conflict);
        };
        match value.scalar() {
            Some(scalar) => self.writes.push((key.to_owned(), scalar)),
            None => self.skip(key, Why::Foreign),
        }
    }
}
