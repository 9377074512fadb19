//! What a node tells of registrations is a story that makes sense: one begins, is out of sight and
//! back again, and ends once, for a reason that is true; and the directory says the same at every
//! moment.

use crate::registrants::{Cause, Fact, Registrants, Standing};
use crdt::registry::Reason;
use names::{Handle, NodeName};
use node::registry::{Change, Directory, Event, EventKind, News};
use node::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    up: bool,
    hidden: bool,
    lost: bool,
    downs: usize,
}

/// What one daemon has told since its start.
#[derive(Debug, Default)]
pub struct Story {
    /// The replica that its news make.
    pub directory: Directory,
    seen: BTreeMap<Handle, Seen>,
    begun: bool,
    /// Whose registrations are judged, if not everybody's.
    judged: Option<BTreeSet<NodeName>>,
}

/// What an event means to whoever keeps count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A registration is there.
    Up(Handle),
    /// It is not any more.
    Down(Handle),
    /// Its node went out of sight.
    Hidden(Handle),
    /// It is there, and its node is out of sight since before that was known.
    Unseen(Handle),
    /// Its node is in sight again, or it has its name again.
    Back(Handle),
    /// It has lost its name.
    Lost(Handle),
}

impl Story {
    /// From now on only what is told of the registrations of these nodes is judged.
    pub fn judge_only(&mut self, nodes: BTreeSet<NodeName>) {
        self.judged = Some(nodes);
    }

    fn is_judged(&self, handle: &Handle) -> bool {
        let judged = self.judged.as_ref();
        judged.is_none_or(|nodes| nodes.contains(&handle.node))
    }

    /// Takes the next news; gives what is new, and what is wrong with it.
    pub fn take(
        &mut self,
        news: &News,
        registrants: &Registrants,
        now: Instant,
    ) -> (Vec<Turn>, Vec<String>) {
        let (mut turns, mut wrong) = (Vec::new(), Vec::new());
        let mut touched = self.touched(news);
        touched.retain(|handle| self.is_judged(handle));
        news.changes
            .iter()
            .for_each(|change| self.directory.apply(change));
        if !std::mem::replace(&mut self.begun, true) {
            // What was there before this start is no news.
            for handle in touched
                .iter()
                .filter(|handle| find(&self.directory, handle).is_some())
            {
                self.seen.insert(
                    handle.clone(),
                    Seen {
                        up: true,
                        ..Seen::default()
                    },
                );
            }
        }
        let events: Vec<&Event> = news
            .events
            .iter()
            .filter(|event| self.is_judged(&event.handle))
            .collect();
        for event in &events {
            wrong.extend(
                self.turn(event)
                    .err()
                    .map(|text| format!("{} {:?}: {text}", event.handle, event.kind)),
            );
            wrong.extend(
                self.judge(event, registrants, now)
                    .err()
                    .map(|text| format!("{} {:?}: {text}", event.handle, event.kind)),
            );
            turns.extend(turn_of(event, turns.last()));
        }
        for handle in touched
            .iter()
            .chain(events.iter().map(|event| &event.handle))
        {
            wrong.extend(
                self.compare(handle)
                    .err()
                    .map(|text| format!("{handle}: {text}")),
            );
        }
        (turns, wrong)
    }

    /// All registrations that changes are about.
    fn touched(&self, news: &News) -> BTreeSet<Handle> {
        let mut nodes: BTreeMap<_, _> = BTreeMap::new();
        let mut touched = BTreeSet::new();
        for change in &news.changes {
            if let Change::Node { owner, name, .. } = change {
                nodes.insert(*owner, name.clone());
                touched.extend(
                    self.seen
                        .iter()
                        .filter(|(handle, seen)| handle.node == *name && seen.up)
                        .map(|(handle, _)| handle.clone()),
                );
            }
        }
        for change in &news.changes {
            let Change::Holder {
                name,
                owner,
                process,
                ..
            } = change
            else {
                continue;
            };
            let known = || {
                self.directory
                    .whereis(name)
                    .and_then(|found| holders(found).find(|holder| holder.owner == *owner))
                    .map(|it| it.node)
            };
            if let Some(node) = nodes.get(owner).cloned().or_else(known) {
                touched.insert(Handle {
                    name: name.clone(),
                    node,
                    pid: process.pid,
                    start: process.start,
                });
            }
        }
        touched
    }

    fn turn(&mut self, event: &Event) -> Result<(), String> {
        let seen = self.seen.entry(event.handle.clone()).or_default();
        let before = *seen;
        let fits = match &event.kind {
            EventKind::Up => !before.up,
            EventKind::Down(_) | EventKind::Contested { .. } | EventKind::Lost { .. } => before.up,
            EventKind::Unreachable => before.up && !before.hidden,
            EventKind::Back => before.up && (before.hidden || before.lost),
        };
        match &event.kind {
            EventKind::Up => {
                *seen = Seen {
                    up: true,
                    downs: before.downs,
                    ..Seen::default()
                }
            }
            EventKind::Down(_) => {
                *seen = Seen {
                    downs: before.downs + 1,
                    ..Seen::default()
                }
            }
            EventKind::Unreachable => seen.hidden = true,
            EventKind::Back => (seen.hidden, seen.lost) = (false, false),
            EventKind::Lost { .. } => seen.lost = true,
            EventKind::Contested { .. } => {}
        }
        if fits {
            Ok(())
        } else {
            Err(format!("does not follow from {before:?}"))
        }
    }

    /// Whether an end that was told is one.
    fn judge(&self, event: &Event, registrants: &Registrants, now: Instant) -> Result<(), String> {
        let Some(fact) = registrants
            .key(&event.handle)
            .and_then(|key| registrants.facts.get(key))
        else {
            return Err("nobody ever asked for that registration".into());
        };
        let EventKind::Down(reason) = event.kind else {
            return Ok(());
        };
        let downs = self.seen.get(&event.handle).map_or(0, |seen| seen.downs);
        if downs > fact.ends.len() && fact.standing(now) != Standing::Doubtful {
            return Err(format!("the {downs}th end, of {:?}", fact.ends));
        }
        let is_true = fact
            .ends
            .iter()
            .any(|(_, cause)| explains(*cause, reason, fact));
        if is_true || (fact.standing(now) == Standing::Doubtful && reason == Reason::Unknown) {
            return Ok(());
        }
        Err(format!(
            "not its end: {:?}, reported {:?}",
            fact.ends, fact.reports
        ))
    }

    /// What was told of a registration is what the directory says.
    fn compare(&self, handle: &Handle) -> Result<(), String> {
        let seen = self.seen.get(handle).copied().unwrap_or_default();
        let reachable = find(&self.directory, handle);
        if seen.up != reachable.is_some() {
            return Err(format!(
                "told as {seen:?}, and the directory says {reachable:?}"
            ));
        }
        match reachable {
            Some(reachable) if reachable == seen.hidden => Err(format!(
                "told as {seen:?}, and the \
                directory says reachable: {reachable}"
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the node of a registration can be reached, if the registration is there.
fn find(directory: &Directory, handle: &Handle) -> Option<bool> {
    let found = directory.whereis(&handle.name)?;
    holders(found)
        .find(|holder| holder.handle(&handle.name) == *handle)
        .map(|holder| holder.reachable)
}

/// All who claim a name.
pub fn holders(found: node::registry::Found) -> impl Iterator<Item = node::registry::Holder> {
    std::iter::once(found.holder).chain(found.others)
}

fn explains(cause: Cause, reason: Reason, fact: &Fact) -> bool {
    match cause {
        Cause::Process(how) => {
            reason == how
                || reason == Reason::Exited
                || reason == Reason::Unknown
                || fact.reports.contains(&reason)
        }
        Cause::TakenBack => matches!(reason, Reason::Unregistered | Reason::Unknown),
        Cause::Left => matches!(reason, Reason::Left | Reason::Unknown),
        Cause::Lost => matches!(reason, Reason::Unknown | Reason::Unregistered),
    }
}

fn turn_of(event: &Event, before: Option<&Turn>) -> Option<Turn> {
    let handle = event.handle.clone();
    match event.kind {
        EventKind::Up => Some(Turn::Up(handle)),
        EventKind::Down(_) => Some(Turn::Down(handle)),
        EventKind::Unreachable if before == Some(&Turn::Up(event.handle.clone())) => {
            Some(Turn::Unseen(handle))
        }
        EventKind::Unreachable => Some(Turn::Hidden(handle)),
        EventKind::Back => Some(Turn::Back(handle)),
        EventKind::Lost { .. } => Some(Turn::Lost(handle)),
        EventKind::Contested { .. } => None,
    }
}
