//! The fields of an entry that were written apart: all their values, and who wrote each.

use super::authorship::Authorship;
use super::document::Document;
use super::outline::OpName;
use super::read::{LIFE, TAG, Union};
use crate::entry::kind::Kind;
use crate::entry::{Author, Entry, Field, Supply, text};
use names::{Actor, EntryId};
use std::convert::Infallible;

/// A field of an entry with more than one visible value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Which field.
    pub field: Field,
    /// Its values, the one that is shown first.
    pub values: Vec<Disputed>,
}

/// One of several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disputed {
    /// As people read it; empty where the field was cleared. Of `deleted` it is `deleted` or `edited`, of
    /// tags `+tag` or `-tag`, of the order `first` or `after` and the id of an entry.
    pub text: String,
    /// Who wrote it.
    pub by: Author,
    /// Milliseconds since the epoch, by the clock of the writer's node.
    pub at: i64,
    /// The actor that wrote it.
    pub actor: Actor,
}

impl Document {
    /// What was written apart in an entry; nothing if it is not there.
    pub fn disputes(&self, id: EntryId) -> Vec<Dispute> {
        let union = Union::read(&self.doc, id).ok().flatten();
        let mut found = union.map_or_else(Vec::new, |union| union.disputes(id, &self.authorship));
        let order = found
            .iter_mut()
            .filter(|dispute| dispute.field == Field::Order);
        for value in order.flat_map(|dispute| &mut dispute.values) {
            value.text = match self.index.before(&value.text, id) {
                None => "first".to_owned(),
                Some(other) => format!("after {other}"),
            };
        }
        found
    }
}

impl Union {
    fn disputes(&self, id: EntryId, authorship: &Authorship) -> Vec<Dispute> {
        let mut disputes = Disputes {
            union: self,
            authorship,
            found: Vec::new(),
        };
        let life = self.parities(LIFE);
        if life.even && life.odd {
            let values = disputes.parities(LIFE, "edited", "deleted");
            disputes.add(Field::Deleted, values);
        }
        let Ok(()) = Entry::new(id).fill(&mut disputes);
        let torn = self
            .tags()
            .filter(|(_, parities)| parities.even && parities.odd);
        let values: Vec<Disputed> = torn
            .flat_map(|(tag, _)| {
                let (with, without) = (format!("+{tag}"), format!("-{tag}"));
                disputes.parities(&format!("{TAG}{tag}"), &with, &without)
            })
            .collect();
        if !values.is_empty() {
            disputes.add(Field::Tags, values);
        }
        disputes.found
    }
}

/// Collects the fields that have several values.
struct Disputes<'a> {
    union: &'a Union,
    authorship: &'a Authorship,
    found: Vec<Dispute>,
}

impl Disputes<'_> {
    fn add(&mut self, field: Field, values: Vec<Disputed>) {
        self.found.push(Dispute { field, values });
    }

    fn disputed(&self, text: String, op: OpName) -> Disputed {
        let origin = self.authorship.of(op).unwrap_or_default();
        Disputed {
            text,
            by: origin.author(),
            at: origin.ms(),
            actor: op.actor,
        }
    }

    /// The values of a register that counts up, in two words.
    fn parities(&self, key: &str, even: &str, odd: &str) -> Vec<Disputed> {
        let values = self.union.seen(key).iter().rev();
        values
            .filter_map(|seen| {
                let is_even = seen.value.integer()?.rem_euclid(2) == 0;
                let word = if is_even { even } else { odd };
                Some(self.disputed(word.to_owned(), seen.op))
            })
            .collect()
    }
}

impl Supply for Disputes<'_> {
    type Error = Infallible;

    fn field<K: Kind>(&mut self, field: Field, kind: &K) -> Result<K::Value, Infallible> {
        let mut unlike: Vec<(K::Value, OpName)> = Vec::new();
        for seen in self.union.seen(field.key()).iter().rev() {
            let Some(value) = kind.read(&seen.value) else {
                continue;
            };
            if !unlike.iter().any(|(known, _)| kind.agree(known, &value)) {
                unlike.push((value, seen.op));
            }
        }
        if unlike.len() > 1 {
            let values = unlike
                .iter()
                .map(|(value, op)| self.disputed(text(&kind.write(value)), *op))
                .collect();
            self.add(field, values);
        }
        Ok(K::Value::default())
    }
}
