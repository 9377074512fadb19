//! The history of a list: what each change did, for people.
//!
//! A change is told by the entries that it wrote to, as its writer had them before it and after it.

use super::document::Document;
use super::message::{self, Act};
use super::read::Union;
use super::then::{Past, Step};
use crate::entry::kind::Kind;
use crate::entry::{Author, Entry, Field, Supply, text};
use automerge::ScalarValue;
use names::{Actor, ChangeHash, ChangeId, EntryId};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::convert::Infallible;

/// The most entries of a change that are told one by one: an import may have 10,000.
const MAX_ENTRIES: usize = 100;

/// Of how many bytes of text a history is told at once, and one change more.
const MAX_BYTES: usize = 1 << 20;

/// A place in a history: that of a change, by which the ones before it are found. The greatest is
/// the newest: a change is numbered above all that it builds upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The number of its first operation.
    pub start_op: u64,
    /// The number of its last operation; one less than the first of a change that writes nothing, and
    /// so stands before one that is numbered alike and builds upon it.
    pub max_op: u64,
    /// Its number among those of its actor.
    pub seq: u64,
    /// Its hash.
    pub hash: ChangeHash,
}

/// One change, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Where it stands in the history.
    pub moment: Moment,
    /// Its actor and number.
    pub id: ChangeId,
    /// Who wrote it, as it says.
    pub by: Author,
    /// Milliseconds since the epoch, by the clock of the writer's node.
    pub at: i64,
    /// What it takes back.
    pub act: Act,
    /// The entries that it wrote to, by their ids; of very many the first ones.
    pub entries: Vec<Told>,
    /// How many more these are.
    pub more: usize,
}

/// What a change did with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which entry.
    pub id: EntryId,
    /// Its title after the change; the one before it if the change has deleted it.
    pub title: String,
    /// What became of it.
    pub fate: Fate,
    /// What differs, in the order of the fields. Of an entry that was deleted nothing does.
    pub fields: Vec<Difference>,
}

/// What a change made of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It was deleted, and is in the list again.
    Restored,
    /// It was and is in the list.
    Changed,
    /// It is not in the list any more.
    Deleted,
}

/// A field before a change and after it, as people read it. Each tag is one: without it, and with
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which field.
    pub field: Field,
    /// What it was; empty for nothing.
    pub old: String,
    /// What it became; empty for nothing.
    pub new: String,
}

impl Document {
    /// The newest changes of the list, or of one entry, that stand before `before`: at most `most`, the
    /// newest first. Where these say very much, the last one is the first that is over 1 MiB.
    ///
    /// Of an entry all changes of the list are looked at; else what this costs grows with `most`, and
    /// little with the list.
    pub fn history(
        &self,
        entry: Option<EntryId>,
        before: Option<Moment>,
        most: usize,
    ) -> Vec<Account> {
        let mut found: Vec<Meta> = self.metas(entry);
        found.retain(|meta| before.is_none_or(|before| meta.moment < before));
        found.sort_unstable_by_key(|meta| Reverse(meta.moment));
        let mut told: Vec<Account> = Vec::new();
        let (mut bytes, mut is_full) = (0, false);
        for meta in found.into_iter().take(most) {
            told.extend(self.account(meta, entry));
            if is_full {
                break;
            }
            bytes += told.last().map_or(0, Account::bytes);
            is_full = bytes >= MAX_BYTES;
        }
        told
    }

    /// What the changes of some authors and actors take back, in no order.
    pub(super) fn acts(&self, wanted: impl Fn(&str, Actor) -> bool) -> Vec<(Moment, Act)> {
        let metas = self.metas(None).into_iter();
        let wanted = metas.filter(|meta| wanted(&meta.by.0, meta.id.actor));
        wanted.map(|meta| (meta.moment, meta.act)).collect()
    }

    /// All changes, or those that wrote to an entry, in no order.
    fn metas(&self, entry: Option<EntryId>) -> Vec<Meta> {
        let only = entry.map(|id| self.changes_of(id));
        let doc = self.whole();
        let all = doc.get_changes_meta(&[]).into_iter();
        let wanted = all.filter(|meta| !meta.deps.is_empty());
        let wanted =
            wanted.filter(|meta| only.as_ref().is_none_or(|only| only.contains(&meta.hash.0)));
        let metas = wanted.filter_map(|meta| {
            let message = meta.message.as_deref().unwrap_or_default();
            Some(Meta {
                moment: Moment {
                    start_op: meta.start_op,
                    max_op: meta.max_op,
                    seq: meta.seq,
                    hash: ChangeHash(meta.hash.0),
                },
                id: ChangeId {
                    actor: Actor(meta.actor.to_bytes().try_into().ok()?),
                    seq: meta.seq,
                },
                by: Author(message::author(message).to_owned()),
                at: meta.timestamp.saturating_mul(1000),
                act: message::act(message),
            })
        });
        metas.collect()
    }

    /// The changes that wrote to an entry.
    fn changes_of(&self, id: EntryId) -> BTreeSet<[u8; 32]> {
        let changes = self.whole().get_changes(&[]).into_iter();
        let touching = changes.filter(|change| {
            self.past_of(change)
                .is_some_and(|past| past.entries.contains(&id))
        });
        touching.map(|change| change.hash().0).collect()
    }

    fn account(&self, meta: Meta, only: Option<EntryId>) -> Option<Account> {
        let past = self.past(automerge::ChangeHash(meta.moment.hash.0))?;
        let wanted = |id: &&EntryId| only.is_none_or(|only| only == **id);
        let wrote: Vec<EntryId> = past.entries.iter().filter(wanted).copied().collect();
        let more = wrote.len().saturating_sub(MAX_ENTRIES);
        let first = wrote.into_iter().take(MAX_ENTRIES);
        Some(Account {
            entries: first.filter_map(|id| self.told(&past, id)).collect(),
            more,
            moment: meta.moment,
            id: meta.id,
            by: meta.by,
            at: meta.at,
            act: meta.act,
        })
    }

    /// What a change did with an entry; `None` if it was in the list neither before nor after it.
    fn told(&self, past: &Past, id: EntryId) -> Option<Told> {
        let Step { before, after } = self.step(past, id).ok()?;
        let alive = |union: &Option<Union>| union.as_ref().is_some_and(Union::is_alive);
        let fate = match (alive(&before), alive(&after)) {
            (true, true) => Fate::Changed,
            (true, false) => Fate::Deleted,
            (false, true) if before.is_some() => Fate::Restored,
            (false, true) => Fate::Added,
            (false, false) => return None,
        };
        let (old, new) = (values(before.as_ref()), values(after.as_ref()));
        let shown = if fate == Fate::Deleted { &old } else { &new };
        let title = shown.iter().find(|(field, _)| *field == Field::Title);
        Some(Told {
            id,
            title: title.map(|(_, text)| text.clone()).unwrap_or_default(),
            fields: match fate {
                Fate::Deleted => Vec::new(),
                Fate::Added | Fate::Restored | Fate::Changed => {
                    differences((&old, before.as_ref()), (&new, after.as_ref()))
                }
            },
            fate,
        })
    }
}

impl Account {
    /// How many bytes of text it has.
    fn bytes(&self) -> usize {
        let fields = self.entries.iter().flat_map(|told| &told.fields);
        fields.map(|field| field.old.len() + field.new.len()).sum()
    }
}

/// A change without what it did.
struct Meta {
    moment: Moment,
    id: ChangeId,
    by: Author,
    at: i64,
    act: Act,
}

fn differences(
    (old, before): (&[(Field, String)], Option<&Union>),
    (new, after): (&[(Field, String)], Option<&Union>),
) -> Vec<Difference> {
    let pairs = old.iter().zip(new);
    let unlike = pairs.filter(|((_, old), (_, new))| old != new);
    let fields = unlike.map(|((field, old), (_, new))| Difference {
        field: *field,
        old: old.clone(),
        new: new.clone(),
    });
    let marks = [before, after].map(|union| union.map_or("", mark).to_owned());
    let [was, is] = marks;
    let mark = (before.is_some() && was != is).then_some(Difference {
        field: Field::Deleted,
        old: was,
        new: is,
    });
    let (before, after) = (tags(before), tags(after));
    let tag = |tag: &String, is_new: bool| {
        let (mut old, mut new) = (tag.clone(), String::new());
        if is_new {
            std::mem::swap(&mut old, &mut new);
        }
        Difference {
            field: Field::Tags,
            old,
            new,
        }
    };
    let gone = before.difference(&after).map(|name| tag(name, false));
    let come = after.difference(&before).map(|name| tag(name, true));
    mark.into_iter()
        .chain(fields)
        .chain(gone)
        .chain(come)
        .collect()
}

/// Whether one has deleted the entry, and another one has edited it.
fn mark(union: &Union) -> &'static str {
    let life = union.parities(super::read::LIFE);
    if life.even && life.odd { "deleted" } else { "" }
}

fn tags(union: Option<&Union>) -> BTreeSet<String> {
    let tags = union.into_iter().flat_map(Union::tags);
    let present = tags.filter(|(_, parities)| parities.even);
    present.map(|(tag, _)| tag.to_owned()).collect()
}

/// The winning values of all fields of the table, for people.
fn values(union: Option<&Union>) -> Vec<(Field, String)> {
    let nothing = Union::of_maps(Vec::new());
    let mut texts = Texts {
        union: union.unwrap_or(&nothing),
        found: Vec::new(),
    };
    let Ok(()) = Entry::new(EntryId(0)).fill(&mut texts);
    texts.found
}

struct Texts<'a> {
    union: &'a Union,
    found: Vec<(Field, String)>,
}

impl Supply for Texts<'_> {
    type Error = Infallible;

    fn field<K: Kind>(&mut self, field: Field, kind: &K) -> Result<K::Value, Infallible> {
        let (winner, _) = self.union.register(field, kind);
        let written = winner.map_or(ScalarValue::Null, |value| kind.write(&value));
        self.found.push((field, text(&written)));
        Ok(K::Value::default())
    }
}
