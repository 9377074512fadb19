//! What the hosts of a world say of each other.

use super::World;
use node::cluster::{Event, EventKind, MemberChange, MemberState, RosterView, Verdict};

impl World {
    /// What a host shows of the cluster; `None` if its daemon is down.
    pub fn view(&self, host: usize) -> Option<&RosterView> {
        self.hosts[host].process.as_ref()?.view.as_deref()
    }

    /// The verdict of a host whose daemon runs.
    pub fn verdict(&self, host: usize) -> Verdict {
        self.view(host).expect("a daemon that runs").verdict
    }

    /// What `host` says of `other`; `None` if it is not on its roster.
    pub fn state(&self, host: usize, other: usize) -> Option<MemberState> {
        let member = self.view(host)?.member(self.hosts[other].peer.id)?;
        Some(member.state)
    }

    /// Whether all of these hosts but itself say that of another one.
    pub fn all_say(&self, hosts: &[usize], other: usize, state: MemberState) -> bool {
        let mut hosts = hosts.iter().filter(|host| **host != other);
        hosts.all(|host| self.state(*host, other) == Some(state))
    }

    /// Whether the first `count` hosts see each other, and nobody misses anybody.
    pub fn is_whole(&self, count: usize) -> bool {
        (0..count).all(|host| {
            (0..count).all(|other| self.state(host, other) == Some(MemberState::Alive))
                && self.verdict(host) == Verdict::Whole
        })
    }

    /// What all hosts of a scripted run told of members, in order.
    pub fn told(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.record().events.iter().map(|(_, event)| event)
    }

    /// How often hosts told this kind of event of that host.
    pub fn count(&self, kind: MemberChange, of: usize) -> usize {
        let is_it = |told: &&Event| {
            matches!(&told.kind, EventKind::Member { kind: k, id, .. }
                if *k == kind && *id == self.hosts[of].peer.id)
        };
        self.told().filter(is_it).count()
    }
}
