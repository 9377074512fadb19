//! Nodes that are shut out, and an authority whose key is withdrawn.

use crate::script::Script;
use bytes::Bytes;
use crdt::record::RecordError;
use crdt::roster::{Mark, Revocation, Told, mark};
use node::cluster::{MemberChange, MemberState, Reply, Verdict, ask};
use node::proof::Domain;
use node::proof::testing::{AUTHORITY, below, key, sign_as_authority};
use sim::network::Link;
use std::time::Duration;

/// The authority whose key is stolen.
const STOLEN: &str = "alpha";
/// Hosts of which one side consists, and those of the other.
const SIDES: [[usize; 2]; 2] = [[0, 1], [2, 3]];
/// Who has a certificate that the thief has made, on the second side.
const THIEF: usize = 4;

fn sign(said: &[u8]) -> Bytes {
    sign_as_authority(Domain::Revocation, said)
}

/// That an authority shuts a host out; the cluster's own, or one below it.
fn revocation(world: &Script, subject: usize, authority: Option<&str>) -> ask::Revoke {
    let own = Bytes::from_static(AUTHORITY);
    let chain = authority.map_or(own, |name| below(AUTHORITY, name));
    let (by, subject) = (world.hosts[0].peer.id, world.hosts[subject].peer.id);
    let revocation = Revocation::write((by, &chain), subject, &Told::default(), sign);
    ask::Revoke(revocation.unwrap())
}

/// That the stolen key counts no longer, but for the certificates of these hosts.
fn withdrawal(world: &Script, good: &[usize]) -> ask::Revoke {
    let marks = good
        .iter()
        .map(|host| mark(&world.hosts[*host].proofs.chain()));
    let marks: Vec<Mark> = marks.collect();
    let by = world.hosts[0].peer.id;
    let draft = Revocation::draft((by, b""), key(STOLEN), &Told::default(), &marks).unwrap();
    let signed = draft.signed(AUTHORITY, |said| Ok::<_, RecordError>(sign(said).to_vec()));
    ask::Revoke(signed.unwrap())
}

impl Script {
    fn shut(&mut self, by: usize, what: ask::Revoke) {
        let request = self.request(by, what);
        self.run_until(5_000, "it is on the disk", |world| {
            world.reply(request).is_some()
        });
        assert!(matches!(self.reply(request), Some(Ok(Reply::Done))));
    }

    /// Whether these hosts are alive to each other, and no host else is known to them.
    fn are_alone_together(&self, hosts: &[usize]) -> bool {
        let all = 0..self.hosts.len();
        hosts.iter().all(|host| {
            all.clone().all(|other| {
                let expected = hosts.contains(&other).then_some(MemberState::Alive);
                self.state(*host, other) == expected
            })
        })
    }
}

/// Of a host on each side the certificate is one of the stolen authority, and stays good.
fn cluster(seed: u64) -> Script {
    let mut world = Script::with_hosts(seed, 0.02, 5);
    for host in [1, 3, THIEF] {
        world.certified_by(host, STOLEN);
    }
    (0..5).for_each(|host| world.start(host, &[0]));
    world.expect_whole(5);
    world
}

#[test]
fn an_authority_that_is_withdrawn_while_a_side_is_cut_off_is_so_on_both_afterwards() {
    for seed in 0..20 {
        let mut world = cluster(seed);
        let [first, second] = SIDES;
        world.register(1, "till");
        world.register(THIEF, "skimmer");
        world.run_ms(1_000);
        world.cut(&first, &[2, 3, THIEF]);
        world.run_until(20_000, "each side has lost the other", |world| {
            world.all_say(&second, 0, MemberState::Down)
                && world.all_say(&first, 2, MemberState::Down)
        });
        let statement = withdrawal(&world, &[1, 3]);
        world.shut(0, statement);
        // The other side does not know of it, so the thief shuts a host out there.
        let lie = revocation(&world, 1, Some(STOLEN));
        world.shut(THIEF, lie);
        world.run_until(5_000, "it counts there", |world| {
            second.iter().all(|host| world.state(*host, 1).is_none())
        });
        assert!(world.all_say(&second, THIEF, MemberState::Alive));
        assert!(
            second
                .iter()
                .all(|host| world.holder(*host, "till").is_none())
        );
        let members = [0, 1, 2, 3];
        let is_over = |world: &Script| {
            let whole = |host: &usize| world.verdict(*host) == Verdict::Whole;
            world.are_alone_together(&members) && members.iter().all(whole)
        };
        world.heal();
        world.run_until(20_000, "all agree", is_over);
        assert!(world.count(MemberChange::Revoked, THIEF) >= 4, "{seed}");
        world.run_until(5_000, "so are the processes", |world| {
            let holds = |host: &usize, name: &str| world.holder(*host, name).is_some();
            members
                .iter()
                .all(|host| holds(host, "till") && !holds(host, "skimmer"))
        });
        // It is so from their disks, too, and the thief comes back to nobody.
        for host in 0..5 {
            world.kill(host);
            world.start(host, &[0]);
        }
        world.run_until(20_000, "all agree from their disks", is_over);
        world.run_ms(10_000);
        assert!(is_over(&world), "{seed}");
    }
}

/// So long after it is answered a revocation has closed all connections: 2 s and two round trips.
#[test]
fn who_is_shut_out_is_so_everywhere_within_two_seconds_and_two_round_trips() {
    for round_trip_ms in [60, 300] {
        for seed in 0..20 {
            let mut world = Script::with_hosts(seed, 0.0, 6);
            let link = Link {
                loss: 0.02,
                jitter: Duration::from_millis(round_trip_ms / 50),
                ..Link::of_round_trip(Duration::from_millis(round_trip_ms))
            };
            for a in 0..6 {
                (0..a).for_each(|b| world.network.links.set(a, b, link));
            }
            (0..6).for_each(|host| world.start(host, &[0]));
            let limit = 3_000 + 10 * round_trip_ms;
            world.run_until(limit, "all see all", |world| world.is_whole(6));
            world.register(5, "till");
            world.run_ms(10_000);
            let statement = revocation(&world, 5, None);
            world.shut(0, statement);
            let limit = 2_000 + 2 * round_trip_ms;
            world.run_until(limit, "nobody has a connection with it", |world| {
                world.are_alone_together(&[0, 1, 2, 3, 4])
                    && (0..5).all(|host| !world.network.is_connected(host, 5))
            });
            // Its processes are nobody's any more but its own, which it ends none of.
            let holds: Vec<bool> = (0..6)
                .map(|host| world.holder(host, "till").is_some())
                .collect();
            assert_eq!(holds, [false, false, false, false, false, true]);
        }
    }
}
