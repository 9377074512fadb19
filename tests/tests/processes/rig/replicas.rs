//! Whether the lists are what the clients were told, as the simulator judges it: every acknowledged change
//! is in every replica, and what is shown is a write that no later acknowledged one has overwritten.
//!
//! *Later* is a change that had seen the other one. Of what may have been taken back, and of entries on
//! whose writes some answer never came, only the first rule is demanded.

use super::ledger::{Deed, Fate, Write};
use super::writers::{LISTS, name_of};
use crate::fleet::Node;
use anyhow::{Context, ensure};
use crdt::list::{in_order, judge as judge_change};
use crdt::vector::VersionVector;
use names::{ListId, ListName};
use node::lists::Source;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use store::Store;

/// What all nodes show of each list.
pub(crate) async fn shown(nodes: &[Node]) -> anyhow::Result<Vec<Vec<Value>>> {
    let mut all = Vec::new();
    for list in 0..LISTS {
        let name = name_of(list);
        let first = nodes.first().context("there are nodes")?;
        let shown = first.entries(&name).await?;
        for node in nodes {
            let theirs = node.entries(&name).await?;
            ensure!(
                theirs == shown,
                "{} shows {theirs:?} in {name}, not {shown:?}",
                node.name
            );
        }
        all.push(shown);
    }
    Ok(all)
}

/// What is wrong with replicas.
#[derive(Default)]
pub(crate) struct Wrong {
    pub(crate) problems: Vec<String>,
    /// How many acknowledged changes are missing, those of each node.
    pub(crate) lost: usize,
}

/// Judges the lists on the disks of nodes that have ended, and what they showed.
pub(crate) fn check(
    nodes: &[Node],
    writes: &[Write],
    shown: &[Vec<Value>],
) -> anyhow::Result<Wrong> {
    let mut found = Wrong::default();
    for (nth, node) in nodes.iter().enumerate() {
        for (list, shown) in shown.iter().enumerate() {
            let name = name_of(list);
            let writes = writes.iter().filter(|write| write.list == list);
            let writes: Vec<&Write> = writes.collect();
            let past = Past::read(&node.data, &name)?;
            let mut wrong = lost(&past, &writes);
            found.lost += wrong.len();
            // All have the same changes, and show the same.
            if nth == 0 {
                wrong.extend(judge(&past, &writes, shown));
            }
            let place = |text| format!("{} {name}: {text}", node.name);
            found.problems.extend(wrong.into_iter().map(place));
        }
    }
    Ok(found)
}

/// The changes of a list, each with all that it had seen.
#[derive(Default)]
struct Past {
    numbers: BTreeMap<String, usize>,
    seen: Vec<Seen>,
}

/// A set of changes, by their numbers.
type Seen = Vec<u64>;

impl Past {
    fn read(data: &Path, list: &str) -> anyhow::Result<Self> {
        let (store, _) = Store::open_present(data)?;
        let (reader, list) = (store.reader(), ListId::of(&ListName::new(list)?));
        let mut changes = Vec::new();
        for range in reader.vector(list)?.missing_in(&VersionVector::default()) {
            for bytes in reader.changes(list, range)? {
                changes.push(judge_change(bytes)?);
            }
        }
        store.close();
        let mut past = Self::default();
        for change in in_order(changes, |change| change.bytes()) {
            let deps: Vec<String> = change.deps().iter().map(ToString::to_string).collect();
            past.add(change.hash().to_string(), &deps);
        }
        Ok(past)
    }

    fn add(&mut self, hash: String, deps: &[String]) {
        let number = self.seen.len();
        let mut seen = vec![0; number / 64 + 1];
        for dep in deps.iter().filter_map(|dep| self.numbers.get(dep)) {
            seen[dep / 64] |= 1 << (dep % 64);
            let theirs = self.seen.get(*dep).into_iter().flatten();
            seen.iter_mut()
                .zip(theirs)
                .for_each(|(mine, theirs)| *mine |= theirs);
        }
        self.numbers.insert(hash, number);
        self.seen.push(seen);
    }

    fn has(&self, hash: &str) -> bool {
        self.numbers.contains_key(hash)
    }

    /// Whether one change had seen another one.
    fn had_seen(&self, later: &str, earlier: &str) -> bool {
        let (later, earlier) = (self.numbers.get(later), self.numbers.get(earlier));
        let Some((later, earlier)) = later.zip(earlier) else {
            return false;
        };
        let seen = self
            .seen
            .get(*later)
            .and_then(|seen| seen.get(earlier / 64));
        seen.is_some_and(|bits| bits & (1 << (earlier % 64)) != 0)
    }
}

/// Acknowledged changes that are not there.
fn lost(past: &Past, writes: &[&Write]) -> Vec<String> {
    let is_lost = |write: &&&Write| write.change().is_some_and(|change| !past.has(change));
    let lost = writes.iter().filter(is_lost);
    lost.map(|write| format!("was acknowledged and is lost: {write:?}"))
        .collect()
}

fn judge(past: &Past, writes: &[&Write], shown: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let taken_back: BTreeSet<&str> = writes
        .iter()
        .filter_map(|write| write.taken_back())
        .collect();
    let mut of_entry: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.fate != Fate::Refused) {
        of_entry.entry(&write.entry).or_default().push(write);
    }
    let shown: BTreeMap<&str, &Value> = shown
        .iter()
        .filter_map(|entry| Some((entry["id"].as_str()?, entry)))
        .collect();
    for (id, writes) in of_entry.iter().filter(|(id, _)| !id.is_empty()) {
        let is_certain = writes.iter().all(|write| {
            let change = write.change();
            write.fate != Fate::Doubtful && !change.is_some_and(|it| taken_back.contains(it))
        });
        let entry = shown.get(id).copied();
        if is_certain {
            found.extend(judge_entry(past, id, writes, entry));
        }
    }
    for (id, entry) in &shown {
        if !of_entry.contains_key(id) {
            found.push(format!("nobody has asked for {entry}"));
        }
    }
    found
}

/// An entry of which every write was answered, and none taken back.
fn judge_entry(past: &Past, id: &str, writes: &[&Write], shown: Option<&Value>) -> Vec<String> {
    let is_last = |write: &&&Write, of: &dyn Fn(&Write) -> bool| {
        let overwritten = |other: &&Write| {
            let both = other.change().zip(write.change());
            of(other) && both.is_some_and(|(other, own)| past.had_seen(other, own))
        };
        of(write) && write.change().is_some() && !writes.iter().any(overwritten)
    };
    // An addition that was asked for again because its answer was lost found the entry there: then its
    // change is not known, but that all others have seen it is.
    let is_first = |write: &&&Write| {
        let is_addition = matches!(write.deed, Deed::Add { .. });
        is_addition && write.fate == Fate::Acknowledged(None)
    };
    let last = |of: &dyn Fn(&Write) -> bool| -> Vec<&Write> {
        let last = writes.iter().filter(|write| is_last(write, of));
        let last: Vec<&Write> = last.copied().collect();
        let first = writes.iter().filter(is_first).filter(|write| of(write));
        if last.is_empty() {
            first.copied().collect()
        } else {
            last
        }
    };
    let Some(entry) = shown else {
        // Deleted by a write after all others, or beside others: these were of an entry that was there.
        let is_deleted = writes.iter().any(|write| write.deed == Deed::Delete);
        let is_missing = !is_deleted && !last(&|_| true).is_empty();
        let text = format!("entry {id} was acknowledged and is missing: {writes:?}");
        return is_missing.then_some(text).into_iter().collect();
    };
    let mut found = Vec::new();
    let all_last = last(&|_| true);
    if !all_last.is_empty() && all_last.iter().all(|write| write.deed == Deed::Delete) {
        found.push(format!("entry {id} was deleted and is shown: {writes:?}"));
    }
    let titles = last(&|write| title_of(write).is_some());
    let titles: Vec<&str> = titles.iter().filter_map(|write| title_of(write)).collect();
    if !titles.iter().any(|title| entry["title"] == **title) {
        found.push(format!(
            "entry {id} is {entry}, its last titles are {titles:?}"
        ));
    }
    let ticks = last(&|write| tick_of(write).is_some());
    let ticks: Vec<bool> = ticks.iter().filter_map(|write| tick_of(write)).collect();
    if !ticks.iter().any(|done| entry["done"] == *done) {
        found.push(format!(
            "entry {id} is {entry}, it was last done: {ticks:?}"
        ));
    }
    found
}

fn title_of(write: &Write) -> Option<&str> {
    match &write.deed {
        Deed::Add { title } | Deed::Rename { title } => Some(title),
        Deed::Tick { .. }
        | Deed::Move { .. }
        | Deed::Delete
        | Deed::Undo { .. }
        | Deed::Redo { .. } => None,
    }
}

fn tick_of(write: &Write) -> Option<bool> {
    match &write.deed {
        Deed::Add { .. } => Some(false),
        Deed::Tick { done } => Some(*done),
        Deed::Rename { .. }
        | Deed::Move { .. }
        | Deed::Delete
        | Deed::Undo { .. }
        | Deed::Redo { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Past, judge, lost};
    use crate::rig::ledger::{Deed, Fate, Write};
    use serde_json::{Value, json};

    /// Changes a, then b and c beside each other, then d, which had seen b alone.
    fn past() -> Past {
        let mut past = Past::default();
        for (hash, dep) in [("a", ""), ("b", "a"), ("c", "a"), ("d", "b")] {
            past.add(hash.to_owned(), &[dep.to_owned()]);
        }
        past
    }

    fn write(change: &str, deed: Deed) -> Write {
        Write {
            list: 0,
            entry: "e".to_owned(),
            deed,
            fate: Fate::Acknowledged(Some(change.to_owned())),
        }
    }

    fn rename(change: &str) -> Write {
        let title = change.to_uppercase();
        write(change, Deed::Rename { title })
    }

    fn judged(writes: &[Write], title: Option<&str>) -> Vec<String> {
        let add = write(
            "a",
            Deed::Add {
                title: "A".to_owned(),
            },
        );
        let all: Vec<&Write> = std::iter::once(&add).chain(writes).collect();
        let shown = title.map(|title| json!({ "id": "e", "title": title, "done": false }));
        let shown: Vec<Value> = shown.into_iter().collect();
        let mut found = lost(&past(), &all);
        found.extend(judge(&past(), &all, &shown));
        found
    }

    #[test]
    fn an_acknowledged_change_that_is_not_there_is_lost() {
        assert!(judged(&[rename("b")], Some("B")).is_empty());
        let found = judged(&[rename("x")], Some("A"));
        assert!(found[0].contains("is lost"), "{found:?}");
    }

    #[test]
    fn what_a_later_write_has_overwritten_must_not_be_shown() {
        let writes = [rename("b"), rename("c"), rename("d")];
        for (title, is_right) in [("A", false), ("B", false), ("C", true), ("D", true)] {
            assert_eq!(judged(&writes, Some(title)).is_empty(), is_right, "{title}");
        }
    }

    #[test]
    fn an_entry_is_missing_unless_deleted_and_shown_only_if_a_write_beside_keeps_it() {
        assert_eq!(judged(&[rename("b")], None).len(), 1);
        assert!(judged(&[write("d", Deed::Delete)], None).is_empty());
        assert_eq!(judged(&[write("d", Deed::Delete)], Some("A")).len(), 1);
        assert!(judged(&[rename("c"), write("d", Deed::Delete)], Some("C")).is_empty());
    }

    #[test]
    fn what_is_in_doubt_or_taken_back_is_not_judged() {
        let mut doubtful = rename("d");
        doubtful.fate = Fate::Doubtful;
        assert!(judged(&[rename("b"), doubtful], Some("A")).is_empty());
        let change = "b".to_owned();
        assert!(judged(&[rename("b"), write("d", Deed::Undo { change })], Some("A")).is_empty());
    }
}
