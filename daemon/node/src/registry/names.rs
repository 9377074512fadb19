//! Who holds which name, and what is told when that changes.

use super::edge::Edge;
use super::{Change, Directory, Event, EventKind, News, Output};
use crdt::registry::{Entry, Process, Reason, Shift, State};
use names::{Handle, NodeId, NodeName, ProcessName};
use std::collections::VecDeque;
use std::sync::Arc;

/// A reachable holder of a name: the smallest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    claim: u64,
    owner: NodeId,
    process: Process,
}

/// What other parts of the registry may have to act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A registration has ended for good.
    Down {
        owner: NodeId,
        name: ProcessName,
        process: Process,
    },
    /// A node is out of sight.
    Hidden { owner: NodeId },
    /// A registration has lost its name to an earlier claim.
    Lost {
        owner: NodeId,
        name: ProcessName,
        process: Process,
    },
}

/// The directory of this node, and the news about it that are not told yet.
#[derive(Debug, Default)]
pub(super) struct Names {
    directory: Directory,
    news: News,
    facts: VecDeque<Fact>,
    contested: u64,
}

impl Names {
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn contested(&self) -> u64 {
        self.contested
    }

    pub(super) fn poll_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    /// Tells what is new, if anything is.
    pub(super) fn flush(&mut self, edge: &mut Edge) {
        let news = std::mem::take(&mut self.news);
        if news != News::default() {
            edge.put(Output::News(news).into());
        }
    }

    pub(super) fn handle(
        &self,
        owner: NodeId,
        name: &ProcessName,
        process: Process,
    ) -> Option<Handle> {
        let (node, _) = self.directory.node(owner)?;
        Some(Handle {
            name: name.clone(),
            node: node.clone(),
            pid: process.pid,
            start: process.start,
        })
    }

    /// Takes over a registration that was there before this start: nobody is told that it is up.
    pub(super) fn resume(
        &mut self,
        owner: NodeId,
        name: &ProcessName,
        process: Process,
        entry: Arc<Entry>,
    ) {
        self.put(owner, name, process, Some(entry));
    }

    /// Takes over what a log said.
    pub(super) fn apply(&mut self, edge: &Edge, owner: NodeId, shift: Shift) {
        let Shift {
            name,
            process,
            before,
            after,
        } = shift;
        match (&before, &after) {
            // A claim is for the life of a registration: between these two it was taken back, and
            // whoever had a right to the name then had it for that moment.
            (Some(known), State::Live(entry)) if known.claim != entry.claim => {
                let end = State::Gone(Reason::Unregistered);
                self.apply_step(edge, owner, &name, process, (before, end));
                self.apply_step(edge, owner, &name, process, (None, after));
            }
            _ => self.apply_step(edge, owner, &name, process, (before, after)),
        }
    }

    /// One beginning, end or change of a registration.
    fn apply_step(
        &mut self,
        edge: &Edge,
        owner: NodeId,
        name: &ProcessName,
        process: Process,
        (before, after): (Option<Arc<Entry>>, State),
    ) {
        let ranked = self.rank(name);
        self.put(owner, name, process, after.entry().cloned());
        match (before, after) {
            (None, State::Live(_)) => self.came_up(edge, owner, name, process),
            (Some(_), State::Gone(reason)) => self.went_down(edge, owner, name, process, reason),
            (Some(_), State::Live(_)) | (None, State::Gone(_)) => {}
        }
        self.compare(edge, name, &ranked);
    }

    /// A node with these registrations can be reached now, or no longer, or bears another name.
    pub(super) fn note_node(
        &mut self,
        edge: &Edge,
        node: (NodeId, &NodeName),
        reachable: bool,
        held: &[(ProcessName, Process)],
    ) {
        let (owner, name) = node;
        let change = Change::Node {
            owner,
            name: name.clone(),
            reachable,
        };
        let changes_reach = self
            .directory
            .node(owner)
            .is_some_and(|(_, before)| before != reachable);
        let held = if changes_reach { held } else { &[] };
        let ranked: Vec<Vec<Claim>> = held.iter().map(|(name, _)| self.rank(name)).collect();
        self.directory.apply(&change);
        self.news.changes.push(change);
        for ((name, process), ranked) in held.iter().zip(ranked) {
            self.push_event(
                edge,
                owner,
                name,
                *process,
                if reachable {
                    EventKind::Back
                } else {
                    EventKind::Unreachable
                },
            );
            self.compare(edge, name, &ranked);
        }
        if changes_reach && !reachable {
            self.facts.push_back(Fact::Hidden { owner });
        }
    }

    fn came_up(&mut self, edge: &Edge, owner: NodeId, name: &ProcessName, process: Process) {
        self.push_event(edge, owner, name, process, EventKind::Up);
        if self
            .directory
            .node(owner)
            .is_some_and(|(_, reachable)| !reachable)
        {
            self.push_event(edge, owner, name, process, EventKind::Unreachable);
        }
    }

    fn went_down(
        &mut self,
        edge: &Edge,
        owner: NodeId,
        name: &ProcessName,
        process: Process,
        reason: Reason,
    ) {
        self.push_event(edge, owner, name, process, EventKind::Down(reason));
        self.facts.push_back(Fact::Down {
            owner,
            name: name.clone(),
            process,
        });
    }

    fn put(
        &mut self,
        owner: NodeId,
        name: &ProcessName,
        process: Process,
        entry: Option<Arc<Entry>>,
    ) {
        let change = Change::Holder {
            name: name.clone(),
            owner,
            process,
            entry,
        };
        self.directory.apply(&change);
        self.news.changes.push(change);
    }

    /// The reachable holders of a name, the one that has it first.
    fn rank(&self, name: &ProcessName) -> Vec<Claim> {
        let reachable = self
            .directory
            .holders(name)
            .filter(|(.., reachable)| *reachable);
        let mut claims: Vec<Claim> = reachable
            .map(|(owner, process, entry, _)| Claim {
                claim: entry.claim,
                owner,
                process,
            })
            .collect();
        claims.sort_unstable();
        claims
    }

    /// Tells who has lost a name to whom, and who has it again.
    fn compare(&mut self, edge: &Edge, name: &ProcessName, before: &[Claim]) {
        let after = self.rank(name);
        self.contested += u64::from(after.len() > 1);
        self.contested = self.contested.saturating_sub(u64::from(before.len() > 1));
        let Some((winner, losers)) = after.split_first() else {
            return;
        };
        let had_lost = |claim: &Claim| before.iter().skip(1).any(|lost| same(lost, claim));
        if had_lost(winner) {
            self.push_event(edge, winner.owner, name, winner.process, EventKind::Back);
        }
        let is_new = |loser: &&Claim| {
            !had_lost(loser) || before.first().is_none_or(|had| !same(had, winner))
        };
        for loser in losers.iter().filter(is_new) {
            let handles = (
                self.handle(winner.owner, name, winner.process),
                self.handle(loser.owner, name, loser.process),
            );
            let (Some(to), Some(other)) = handles else {
                continue;
            };
            self.push_event(
                edge,
                winner.owner,
                name,
                winner.process,
                EventKind::Contested { other },
            );
            self.push_event(
                edge,
                loser.owner,
                name,
                loser.process,
                EventKind::Lost { to },
            );
            self.facts.push_back(Fact::Lost {
                owner: loser.owner,
                name: name.clone(),
                process: loser.process,
            });
        }
    }

    fn push_event(
        &mut self,
        edge: &Edge,
        owner: NodeId,
        name: &ProcessName,
        process: Process,
        kind: EventKind,
    ) {
        if let Some(handle) = self.handle(owner, name, process) {
            self.news.events.push(Event {
                at: edge.now.wall,
                handle,
                kind,
            });
        }
    }
}

fn same(a: &Claim, b: &Claim) -> bool {
    (a.owner, a.process) == (b.owner, b.process)
}
