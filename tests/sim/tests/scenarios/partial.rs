//! Partial partitions: two nodes that cannot reach each other, and others that reach both.

use crate::script::Script;
use node::cluster::{MemberState, Verdict};

impl Script {
    /// Who reaches a member that `host` does not reach itself, as `host` tells it; `None` if it tells
    /// no such thing.
    fn reached_by(&self, host: usize, other: usize) -> Option<Vec<usize>> {
        let view = self.hosts[host].process.as_ref()?.view.as_ref()?;
        let member = view.member(self.hosts[other].peer.id)?;
        let by = member.indirect.as_ref()?.by.iter();
        let host_of = |id| self.hosts.iter().position(|host| host.peer.id == id);
        let mut by: Vec<usize> = by.filter_map(|id| host_of(*id)).collect();
        by.sort_unstable();
        Some(by)
    }
}

#[test]
fn who_is_reached_by_others_alone_is_named_with_them() {
    let mut world = Script::cluster(1, 0.0, 4);
    world.cut(&[0], &[3]);
    // A connection that is silent is closed in time, and dials go on for a while.
    world.run_until(40_000, "both tell of it", |world| {
        world.reached_by(0, 3) == Some(vec![1, 2]) && world.reached_by(3, 0) == Some(vec![1, 2])
    });
    for host in 0..4 {
        assert_eq!(world.verdict(host), Verdict::Whole);
        assert_eq!(world.stats(host).indirect, u64::from(host % 3 == 0));
    }
    assert_eq!(world.state(0, 3), Some(MemberState::Alive));
    assert_eq!(
        (world.reached_by(0, 1), world.reached_by(1, 3)),
        (None, None)
    );
    world.add(0, "bob", "by the way of others");
    world.run_ms(3_000);
    assert_eq!(world.titles(3, "bob").len(), 1);

    world.heal();
    world.run_until(5_000, "it is over", |world| {
        world.reached_by(0, 3).is_none() && world.reached_by(3, 0).is_none()
    });
}

#[test]
fn who_is_down_or_has_just_come_is_not_among_them() {
    let mut world = Script::cluster(1, 0.0, 3);
    let late = world.host("node9", 9);
    world.start(late, &[0]);
    world.kill(2);
    for _ in 0..400 {
        world.run_ms(100);
        assert!((0..2).all(|host| world.stats(host).indirect == 0));
    }
}
