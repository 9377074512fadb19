//! Reports of heals: who was away from this node and for how long, and what it took to agree again.
//!
//! The machines' outputs say all of it. Members that go away within a minute of each other, or of the last
//! contact, are one report. It is closed when the lists are those of all that came back, or ten minutes
//! after the last contact; who is away still is told in a report of its own from then on.
//!
//! A list was written on both sides where a comparison with who came back found changes missing on
//! both, or where changes of others made a second branch of it here: pushes may bring those before
//! anybody compares.

mod collector;
mod facts;
mod kept;
mod report;
#[cfg(test)]
mod tests;

pub(crate) use kept::{Keeper, Past};

use crate::host::Clock;
use api::heals::HealReport;
use api::time::Millis;
use collector::Collector;
use facts::Fact;
use names::{NodeName, Role};
use node::cluster::{self, MemberChange, RosterView};
use node::lists::{Change, Compared};
use node::registry;
use parking_lot::Mutex;
use std::sync::Arc;

/// How many reports are kept.
const KEPT: usize = 100;

/// The reports of this node. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Heals {
    clock: Clock,
    collector: Arc<Mutex<Collector>>,
}

impl Heals {
    /// Goes on from what earlier runs of the daemon have kept.
    pub(crate) fn new(node: &NodeName, past: Past, clock: Clock) -> Self {
        let collector = Collector::new(node.to_string(), past.reports, clock.now().instant);
        Self {
            clock,
            collector: Arc::new(Mutex::new(collector)),
        }
    }

    /// A member changed. Observers hold nothing that others lack.
    pub(crate) fn member(&self, event: &cluster::Event) {
        let cluster::EventKind::Member {
            kind,
            name,
            id,
            role,
            ..
        } = &event.kind
        else {
            return;
        };
        if *role == Role::Observer {
            return;
        }
        let (now, at) = (self.clock.now(), Millis(event.at.0));
        let mut collector = self.collector.lock();
        match kind {
            MemberChange::Down | MemberChange::Away => collector.lost(now.instant, at, *id, name),
            MemberChange::Alive => collector.back(now, at, *id),
            MemberChange::Left | MemberChange::Forgotten | MemberChange::Revoked => {
                collector.gone(now.instant, *id);
            }
            MemberChange::Joined
            | MemberChange::Back
            | MemberChange::Suspect
            | MemberChange::Restarting
            | MemberChange::Indirect
            | MemberChange::Direct => {}
        }
    }

    /// The cluster as it is now.
    pub(crate) fn view(&self, view: &RosterView) {
        let members = view.members.iter().filter(|m| m.role == Role::Member);
        let runs = members.map(|m| (m.id, m.state.is_reachable().then_some(m.run)));
        self.collector.lock().runs(runs);
    }

    /// A list changed.
    pub(crate) fn changed(&self, change: &Change) {
        if let Some(fact) = Fact::of_change(change) {
            self.take(fact);
        }
    }

    /// Lists were compared with a peer.
    pub(crate) fn compared(&self, compared: Compared) {
        self.take(Fact::of_comparison(compared));
    }

    /// Something happened to registered processes.
    pub(crate) fn processes(&self, events: &[registry::Event]) {
        events
            .iter()
            .filter_map(Fact::of_claim)
            .for_each(|fact| self.take(fact));
    }

    fn take(&self, fact: Fact) {
        let now = self.clock.now();
        self.collector.lock().take(now, fact);
    }

    /// The id of the report that is being written.
    pub(crate) fn current(&self) -> Option<String> {
        self.collector.lock().current()
    }

    /// All kept reports, the newest first.
    pub(crate) fn reports(&self) -> Vec<HealReport> {
        let now = self.clock.now().instant;
        self.collector.lock().reports(now)
    }
}
