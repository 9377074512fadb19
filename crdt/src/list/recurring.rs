//! What follows on an entry that recurs: ticking it makes the next one.
//!
//! The next one has an id that is computed from its series and the day on which that has it: the day in
//! the time part of the ULID, and 80 bits of SHA-256 over `SERIES/YYYY-MM-DD`. So nodes apart make the
//! same one, and at the same place ([`position::following`]). Its day is the first one of the rule after
//! that of the one which is ticked, but not before the day (in UTC) on which it is ticked: what was missed
//! is not piled up.
//!
//! It is made only if that id was never in the list here: who deleted it wanted no such one. Un-ticking
//! takes it back, unless somebody has touched it since; what was taken back so, or by undoing, comes again
//! when it is ticked again. Where rules were edited apart, or it was ticked apart on different days, two
//! next ones may come of it: both are shown.

use super::document::{Document, Standing, Touched};
use super::edit::{EditRefusal, Stamp};
use super::outline::OpName;
use super::position;
use super::read::{CREATED, LIFE, Union};
use super::write::{Draft, Stop, fields};
use crate::entry::{Due, Entry, EntryPatch, Field, NewEntry, rule};
use automerge::ScalarValue;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use names::EntryId;
use sha2::{Digest, Sha256};

const DAY_MS: i64 = 86_400_000;

/// What ticking or un-ticking an entry does to the next one of its series.
pub(super) enum Following {
    /// Nothing.
    Nothing,
    /// It is made.
    Made(Next),
    /// It was taken back, and comes again.
    Again(Union, Next),
    /// It is taken back.
    TakenBack(EntryId, Union),
}

/// The next entry of a series.
pub(super) struct Next {
    id: EntryId,
    new: NewEntry,
    order: String,
}

impl Document {
    /// What a patch does to the next entry of a series.
    pub(super) fn following(
        &self,
        id: EntryId,
        union: &Union,
        patch: &EntryPatch,
        at_ms: i64,
    ) -> Result<Following, EditRefusal> {
        let (Some(done), Some(entry)) = (patch.done, union.entry(id, &self.authorship)) else {
            return Ok(Following::Nothing);
        };
        match (entry.done_at, done) {
            (None, true) => self.tick(union, &patched(entry, patch), at_ms),
            (Some(ms), false) => self.untick(union, &entry, ms),
            (None, false) | (Some(_), true) => Ok(Following::Nothing),
        }
    }

    fn tick(&self, union: &Union, entry: &Entry, at_ms: i64) -> Result<Following, EditRefusal> {
        let Some(next) = next(entry, at_ms) else {
            return Ok(Following::Nothing);
        };
        if self.standing(next.id) == Standing::Unknown {
            return Ok(Following::Made(next));
        }
        let there = Union::read(&self.doc, next.id)?;
        Ok(match there {
            Some(there) if self.was_taken_back(union, &there) => Following::Again(there, next),
            Some(_) | None => Following::Nothing,
        })
    }

    /// Whether an entry was deleted by undoing, or together with the last edit of the one before it:
    /// that was un-ticked.
    fn was_taken_back(&self, before: &Union, next: &Union) -> bool {
        let Some(deleted) = next.last_life().filter(|_| !next.is_alive()) else {
            return false;
        };
        let is_undone = self.authorship.of(deleted).is_some_and(|by| by.takes_back);
        is_undone || self.wrote_done(before, deleted)
    }

    /// Whether the change of an operation is one that ticked or un-ticked the entry, as is visible.
    fn wrote_done(&self, entry: &Union, op: OpName) -> bool {
        let mut written = entry.seen(Field::Done.key()).iter();
        written.any(|seen| self.authorship.are_together(seen.op, op))
    }

    fn untick(
        &self,
        before: &Union,
        entry: &Entry,
        done_at: i64,
    ) -> Result<Following, EditRefusal> {
        let next = next(entry, done_at).map(|next| next.id);
        let Some(id) = next.filter(|id| self.index.is_alive(*id)) else {
            return Ok(Following::Nothing);
        };
        Ok(match Union::read(&self.doc, id)? {
            Some(union) if union.edits().all(|op| self.wrote_done(before, op)) => {
                Following::TakenBack(id, union)
            }
            Some(_) | None => Following::Nothing,
        })
    }

    /// Notes what became of the next entry.
    pub(super) fn followed(&mut self, following: &Following) -> Result<Vec<Touched>, EditRefusal> {
        Ok(match following {
            Following::Nothing => Vec::new(),
            Following::Made(next) | Following::Again(_, next) => self.refresh([next.id])?,
            Following::TakenBack(id, _) => vec![self.bury(*id)],
        })
    }
}

impl Following {
    /// The entry that it is about.
    pub(super) fn entry(&self) -> Option<EntryId> {
        match self {
            Self::Nothing => None,
            Self::Made(next) | Self::Again(_, next) => Some(next.id),
            Self::TakenBack(id, _) => Some(*id),
        }
    }

    /// Writes it into the change that ticks or un-ticks.
    pub(super) fn write(&self, draft: &mut Draft<'_>, stamp: Stamp<'_>) -> Result<(), Stop> {
        match self {
            Self::Nothing => Ok(()),
            Self::Made(next) => draft.add(next.id, &next.new, &next.order, stamp.at_ms),
            Self::TakenBack(_, union) => draft.kill(union),
            Self::Again(union, Next { new, order, .. }) => {
                let written = fields(new, order, stamp.at_ms);
                let of_table = |key: &str| Field::of_key(key).filter(|field| *field != Field::Tags);
                for (key, value) in &written {
                    if of_table(key).is_some() && key != CREATED && key != LIFE {
                        draft.set(union, key, value)?;
                    }
                }
                for field in Field::TABLE {
                    let is_written = written.iter().any(|(key, _)| key == field.key());
                    if !is_written && !union.seen(field.key()).is_empty() {
                        draft.set(union, field.key(), &ScalarValue::Null)?;
                    }
                }
                draft.set_tags(union, &new.tags)?;
                draft.keep(union)
            }
        }
    }
}

/// An entry as a patch will have it, as far as the next one is made of it.
fn patched(entry: Entry, patch: &EntryPatch) -> Entry {
    let patch = patch.clone();
    Entry {
        title: patch.title.unwrap_or(entry.title),
        due: patch.due.unwrap_or(entry.due),
        priority: patch.priority.unwrap_or(entry.priority),
        notes: patch.notes.unwrap_or(entry.notes),
        assignee: patch.assignee.unwrap_or(entry.assignee),
        estimate: patch.estimate.unwrap_or(entry.estimate),
        wait: patch.wait.unwrap_or(entry.wait),
        every: patch.every.unwrap_or(entry.every),
        tags: patch.tags.unwrap_or(entry.tags),
        ..entry
    }
}

/// The entry that follows on one which is done at that time; `None` if none does.
fn next(entry: &Entry, done_ms: i64) -> Option<Next> {
    let rule = entry.every.as_deref()?;
    let today = day_of(done_ms)?;
    let planned = match entry.planned.or(entry.due) {
        Some(Due::Date(day)) => day,
        Some(Due::Instant(ms)) => day_of(ms)?,
        None => today,
    };
    let day = rule::following(rule, planned, today)?;
    let series = entry.series.clone().unwrap_or_else(|| entry.id.to_string());
    let id = id_of(&series, day);
    let days = i64::from((day - planned).get_days());
    let due = match entry.due {
        Some(Due::Instant(ms)) => later(Due::Instant(ms), days)?,
        Some(Due::Date(_)) | None => Due::Date(day),
    };
    let new = NewEntry {
        id: Some(id),
        title: entry.title.clone(),
        due: Some(due),
        priority: entry.priority,
        notes: entry.notes.clone(),
        assignee: entry.assignee.clone(),
        estimate: entry.estimate,
        wait: entry.wait.and_then(|wait| later(wait, days)),
        every: entry.every.clone(),
        series: Some(series),
        planned: Some(Due::Date(day)),
        done: false,
        done_at: None,
        created_at: None,
        tags: entry.tags.clone(),
        place: None,
    };
    let order = position::following(&entry.order, entry.id, id);
    Some(Next { id, new, order })
}

/// The entry of a series for a day.
fn id_of(series: &str, day: Date) -> EntryId {
    let hash = Sha256::digest(format!("{series}/{day}"));
    let bits = hash.iter().take(10);
    let bits = bits.fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    EntryId::from_parts(Due::Date(day).sort_ms(), bits)
}

fn later(due: Due, days: i64) -> Option<Due> {
    match due {
        Due::Date(day) => day.checked_add(days.days()).ok().map(Due::Date),
        Due::Instant(ms) => ms.checked_add(days.checked_mul(DAY_MS)?).map(Due::Instant),
    }
}

/// The day of a time, in UTC.
fn day_of(ms: i64) -> Option<Date> {
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date())
}
