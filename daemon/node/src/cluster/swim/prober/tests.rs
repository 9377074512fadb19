use super::*;
use rand::SeedableRng;

/// A prober with members of whom nobody, or everybody, answers.
struct Bench {
    prober: Prober,
    members: Members,
    now: Instant,
    last: BTreeMap<NodeId, Instant>,
    /// How long a member is silent before it is probed.
    rest: Duration,
}

fn node(n: u8) -> NodeId {
    NodeId([n; 16])
}

impl Bench {
    fn new(members: u8) -> Self {
        let identity = |n| Identity::of_run(node(n), ([10, 0, 0, n], 6878).into(), 1);
        let mut bench = Self {
            prober: Prober::new(ChaCha8Rng::from_seed([1; 32])),
            members: (1..=members).map(|n| (node(n), (identity(n), 0))).collect(),
            now: Instant::default(),
            last: BTreeMap::new(),
            rest: Duration::ZERO,
        };
        bench.prober.start(bench.now);
        bench.prober.take_acts();
        bench
    }

    /// Lets the time pass in steps of 5 ms. Of the members those answer at once that are said to; what
    /// the others do not answer is told to the prober as a suspicion.
    fn run(&mut self, ms: u64, answers: impl Fn(NodeId) -> bool) -> Vec<Act> {
        let mut done = Vec::new();
        for _ in 0..ms / 5 {
            self.now = self.now + Duration::from_millis(5);
            self.wake();
            let acts = self.prober.take_acts();
            for act in &acts {
                match act {
                    Act::Ping(to, number) if answers(*to) => {
                        let at = self.now + Duration::from_millis(1);
                        self.last.insert(*to, at);
                        self.prober.acknowledged(at, *to, *number);
                    }
                    Act::Suspect(identity, incarnation, overdue) => {
                        let of = (*identity, *incarnation);
                        self.prober.suspect(self.now, of, *overdue);
                    }
                    Act::SmallPing(..)
                    | Act::Ping(..)
                    | Act::Ask { .. }
                    | Act::Declare(..)
                    | Act::Set(..) => {}
                }
            }
            done.extend(acts);
        }
        done
    }

    /// Does all that is due.
    fn wake(&mut self) {
        let (last, rest) = (self.last.clone(), self.rest);
        let contact = |node| Contact {
            last: last.get(&node).copied(),
            is_connected: true,
            knows_small: false,
            rest,
            role: Role::Member,
        };
        self.prober.period(self.now, &self.members, &contact);
        for (node, (identity, _)) in &self.members {
            self.prober
                .probe(self.now, Some(*identity), *node, &contact);
            self.prober.suspicion_over(self.now, *node, &contact);
        }
    }
}

fn pings(acts: &[Act], to: u8) -> usize {
    let is_it = |act: &&Act| matches!(act, Act::Ping(of, _) if *of == node(to));
    acts.iter().filter(is_it).count()
}

fn is_suspected(acts: &[Act], of: u8) -> bool {
    acts.iter()
        .any(|act| matches!(act, Act::Suspect(identity, ..) if identity.node == node(of)))
}

fn is_declared(acts: &[Act], of: u8) -> bool {
    acts.iter()
        .any(|act| matches!(act, Act::Declare(identity, _) if identity.node == node(of)))
}

#[test]
fn each_member_is_probed_once_in_a_pass() {
    let mut bench = Bench::new(8);
    bench.run(2_000, |_| true);
    for _ in 0..10 {
        let acts = bench.run(2_000, |_| true);
        assert!((1..=8).all(|n| pings(&acts, n) == 1));
    }
}

#[test]
fn a_ping_is_repeated_three_times_before_helpers_are_asked_and_none_of_them_twice() {
    let mut bench = Bench::new(6);
    bench.run(3_000, |_| true);
    let acts = bench.run(3_000, |to| to != node(1));
    let first = acts.iter().position(|act| matches!(act, Act::Ask { .. }));
    assert_eq!(pings(&acts[..first.unwrap()], 1), 5);
    let asked = acts.iter().filter_map(|act| match act {
        Act::Ask { helper, .. } => Some(*helper),
        Act::SmallPing(..) | Act::Ping(..) | Act::Suspect(..) | Act::Declare(..) | Act::Set(..) => {
            None
        }
    });
    let asked: Vec<NodeId> = asked.take(HELPERS).collect();
    let unlike: BTreeSet<&NodeId> = asked.iter().collect();
    assert!(unlike.len() == HELPERS && !asked.contains(&node(1)));
}

#[test]
fn a_helper_vouches_for_a_member_only_if_it_was_asked() {
    for (helper, is_heard) in [(true, true), (false, false)] {
        let mut bench = Bench::new(3);
        bench.run(3_000, |_| true);
        let mut asked = None;
        while asked.is_none() {
            let acts = bench.run(5, |to| to != node(1));
            asked = acts.into_iter().find_map(|act| match act {
                Act::Ask { helper, number, .. } => Some((helper, number)),
                Act::SmallPing(..)
                | Act::Ping(..)
                | Act::Suspect(..)
                | Act::Declare(..)
                | Act::Set(..) => None,
            });
        }
        let (asked, number) = asked.unwrap();
        let who = if helper { asked } else { node(9) };
        bench.prober.vouched(who, node(1), number);
        let acts = bench.run(300, |to| to != node(1));
        assert_eq!(is_suspected(&acts, 1), !is_heard);
    }
}

#[test]
fn who_is_silent_is_suspected_and_then_declared_down() {
    let mut bench = Bench::new(5);
    bench.run(3_000, |_| true);
    let acts = bench.run(3_500, |to| to != node(1));
    assert!(is_suspected(&acts, 1) && is_declared(&acts, 1));
    assert!((2..=5).all(|n| !is_suspected(&acts, n)));
}

#[test]
fn a_word_from_the_suspect_itself_keeps_it_from_being_declared_down() {
    let mut bench = Bench::new(5);
    bench.run(3_000, |_| true);
    while !is_suspected(&bench.run(5, |to| to != node(1)), 1) {}
    let acts = bench.run(3_500, |_| true);
    assert!(!is_declared(&acts, 1));
}

#[test]
fn a_node_that_was_stopped_accuses_nobody() {
    for ms in (0..3_000).step_by(50) {
        let mut bench = Bench::new(4);
        bench.run(5_000, |_| true);
        // Perhaps a suspicion runs when it is stopped.
        bench.run(ms, |to| to != node(1));
        bench.now = bench.now + Duration::from_secs(20);
        let acts = bench.run(3_000, |_| true);
        assert!((1..=4).all(|n| !is_declared(&acts, n) && !is_suspected(&acts, n)));
        assert_eq!(bench.prober.counts().stops, 1);
        assert!(bench.prober.is_starved(bench.now));
    }
}

#[test]
fn health_is_lost_by_probes_that_fail_and_won_back_by_answers() {
    let mut bench = Bench::new(4);
    bench.run(3_000, |_| true);
    bench.run(20_000, |_| false);
    assert_eq!(bench.prober.health(), MAX_HEALTH);
    bench.run(10_000, |_| true);
    assert_eq!(bench.prober.health(), 0);
}

#[test]
fn on_a_metered_link_a_member_is_pinged_once_it_has_been_silent_for_long() {
    let mut bench = Bench::new(4);
    bench.rest = Duration::from_secs(15);
    bench.run(5_000, |_| true);
    let acts = bench.run(60_000, |_| true);
    for n in 1..=4 {
        assert!((3..=4).contains(&pings(&acts, n)), "{}", pings(&acts, n));
    }
    // One that has died is suspected soon after its next ping.
    let acts = bench.run(25_000, |to| to != node(1));
    assert!(is_suspected(&acts, 1) && !is_suspected(&acts, 2));
}
