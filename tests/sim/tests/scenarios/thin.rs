//! A link of 64 kbit/s: what a node has missed comes over it in the time that its bytes need, and
//! nobody is suspected meanwhile.

use crate::script::Script;
use node::cluster::MemberChange;
use sim::check::convergence;
use sim::network::Link;
use std::time::Duration;

/// Bytes a second.
const BANDWIDTH: u64 = 8_000;
const ROUND_TRIP: Duration = Duration::from_millis(640);
/// What the far node has missed, about.
const MISSED_BYTES: usize = 2_000_000;
const FAR: usize = 1;

/// Text that cannot be made much shorter.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = (0..3_000).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).unwrap())
    });
    letters.collect()
}

/// A node, and one behind a thin link that has missed much.
fn behind() -> Script {
    let mut world = Script::with_hosts(1, 0.0, 2);
    let link = Link {
        bandwidth: Some(BANDWIDTH),
        ..Link::of_round_trip(ROUND_TRIP)
    };
    world.network.links.set(0, FAR, link);
    (0..2).for_each(|host| world.start(host, &[0]));
    world.run_until(20_000, "all see all", |world| world.is_whole(2));
    world.cut(&[0], &[FAR]);
    world.run_ms(60_000);
    let mut missed = 0;
    for number in 0.. {
        world.add(0, &format!("list {}", number % 3), &noise(number));
        world.run_ms(20);
        missed = world.missing();
        if missed >= MISSED_BYTES {
            break;
        }
    }
    assert!(missed < MISSED_BYTES + 10_000, "{missed}");
    world
}

impl Script {
    /// The bytes of the changes that the first host has and the far one lacks.
    fn missing(&self) -> usize {
        let has = &self.hosts[FAR].disk.image.changes;
        let all = self.hosts[0].disk.image.changes.iter();
        let missing = all.filter(|(key, _)| !has.contains_key(*key));
        missing.map(|(_, bytes)| bytes.len()).sum()
    }

    fn accusations(&self) -> usize {
        (0..2)
            .map(|of| self.count(MemberChange::Suspect, of) + self.count(MemberChange::Down, of))
            .sum()
    }

    /// Runs until the far node has all; gives the seconds.
    fn catch_up(&mut self, limit: u64) -> u64 {
        for second in 0..limit {
            if self.missing() == 0 && convergence::check(self).is_ok() {
                return second;
            }
            self.run_ms(1_000);
        }
        panic!("{} bytes are missing after {limit} s", self.missing());
    }
}

#[test]
fn what_was_missed_comes_in_the_time_that_its_bytes_need() {
    let mut world = behind();
    let need = world.missing() as u64 / BANDWIDTH;
    world.heal();
    world.run_until(30_000, "all see all", |world| world.is_whole(2));
    let before = world.accusations();
    let took = world.catch_up(need * 5 / 4);
    assert!(took >= need, "the link carried {need} s in {took} s");
    assert_eq!(world.accusations(), before);
}

#[test]
fn what_has_come_before_the_link_broke_is_not_sent_again() {
    let mut world = behind();
    world.heal();
    world.run_until(30_000, "all see all", |world| world.is_whole(2));
    world.run_ms(100_000);
    let left = world.missing();
    assert!(left < MISSED_BYTES * 3 / 4, "{left} bytes are missing");
    world.cut(&[0], &[FAR]);
    world.run_ms(60_000);
    world.heal();
    let need = left as u64 / BANDWIDTH;
    world.catch_up(need * 5 / 4 + 30);
}
