//! The figures, row by row.

use crate::cluster::{Cluster, Links, Shape};
use crdt::roster::Pace;
use node::cluster::{MemberChange, MemberState, Verdict};
use sim::check::convergence;

const SHAPES: [Shape; 2] = [Shape::AllFar, Shape::OneFar];
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Spans in milliseconds; `None`: it has not come to it in time.
#[derive(Default)]
struct Spans(Vec<Option<u64>>);

impl Spans {
    fn push(&mut self, span: Option<u64>) {
        self.0.push(span);
    }

    /// Half of them, 99 of 100 and all took no longer.
    fn words(&self) -> String {
        let mut spans: Vec<u64> = self.0.iter().flatten().copied().collect();
        spans.sort_unstable();
        let missed = self.0.len() - spans.len();
        let at = |percent: usize| {
            let place = (spans.len() * percent / 100).min(spans.len().saturating_sub(1));
            spans.get(place).map_or(0.0, |ms| *ms as f64 / 1e3)
        };
        let words = format!(
            "{:.2} s p50, {:.2} s p99, {:.2} s at most",
            at(50),
            at(99),
            at(100)
        );
        match missed {
            0 => words,
            missed => format!("{words}; {missed} never"),
        }
    }
}

fn print(what: &str, links: Links, words: &str) {
    println!("{what:<44} {:<24} {words}", links.words());
}

/// Clusters whose simulator has found a broken promise, as a false death.
fn warn(cluster: &Cluster) {
    for problem in &cluster.world.problems {
        eprintln!("{}: {problem}", cluster.links.words());
    }
}

/// From the start of five hosts until all see all.
pub(crate) fn join(seeds: u64) {
    for links in Links::all(&SHAPES) {
        let mut spans = Spans::default();
        for seed in 0..seeds {
            spans.push(Cluster::new(seed, 5, links).join());
        }
        print("five find each other", links, &spans.words());
    }
}

/// From a kill until the others know.
pub(crate) fn crash(seeds: u64) {
    for links in Links::all(&SHAPES) {
        let (mut near, mut all) = (Spans::default(), Spans::default());
        for seed in 0..seeds {
            let (some, every) = death(&mut Cluster::quiet(seed, 5, links), 1);
            near.push(some);
            all.push(every);
        }
        if links.shape == Shape::OneFar {
            print("a kill of five is known to near ones", links, &near.words());
        }
        print("a kill of five is known to all", links, &all.words());
    }
}

/// Kills a host; gives when those that are near to it know, and when all do. All but the last one are near
/// where only that one is far.
fn death(cluster: &mut Cluster, victim: usize) -> (Option<u64>, Option<u64>) {
    cluster.kill(victim);
    let all = cluster.all();
    let near = all[..all.len() - 1].to_vec();
    let near = if cluster.links.shape == Shape::OneFar {
        near
    } else {
        all.clone()
    };
    let know = |who: Vec<usize>| {
        move |world: &sim::world::World| world.all_say(&who, victim, MemberState::Down)
    };
    let some = cluster.until(MINUTE_MS, know(near));
    let rest = cluster.until(MINUTE_MS, know(all));
    let every = some.zip(rest).map(|(some, rest)| some + rest);
    warn(cluster);
    (some, every)
}

/// The same in larger clusters, and whether a far one among many makes a difference to the near ones.
pub(crate) fn many(seeds: u64) {
    for hosts in [50, 200] {
        let mut spans = Spans::default();
        for seed in 0..seeds {
            spans.push(death(&mut Cluster::quiet(seed, hosts, Links::NEAR), 1).1);
        }
        let what = format!("a kill of {hosts} is known to all");
        print(&what, Links::NEAR, &spans.words());
    }
    for links in Links::all(&[Shape::OneFar]) {
        let mut near = Spans::default();
        for seed in 0..seeds {
            near.push(death(&mut Cluster::quiet(seed, 51, links), 1).0);
        }
        print("a kill of 51 is known to near ones", links, &near.words());
    }
}

/// From a cut until a node knows that nobody reaches it.
pub(crate) fn alone(seeds: u64) {
    for links in Links::all(&[Shape::AllFar]) {
        let mut spans = Spans::default();
        for seed in 0..seeds {
            let mut cluster = Cluster::quiet(seed, 5, links);
            cluster.cut_before(1);
            spans.push(cluster.until(MINUTE_MS, |world| world.verdict(0) == Verdict::Alone));
        }
        print("a node that is cut off knows it", links, &spans.words());
    }
}

/// From the end of a cut through the middle until all see all, and until they have each other's changes.
pub(crate) fn heal(seeds: u64) {
    const HOSTS: usize = 6;
    for links in Links::all(&[Shape::AllFar]) {
        let (mut members, mut lists) = (Spans::default(), Spans::default());
        for seed in 0..seeds {
            let mut cluster = Cluster::quiet(seed, HOSTS, links);
            cluster.cut_before(HOSTS / 2);
            cluster.run_ms(MINUTE_MS);
            for change in 0..1_000 {
                for host in [0, HOSTS - 1] {
                    cluster.add(host, change % 10, "to be seen by all");
                }
                cluster.run_ms(10);
            }
            cluster.world.strike(sim::faults::Fault::Heal);
            members.push(cluster.until(MINUTE_MS, |world| world.is_whole(HOSTS)));
            lists.push(cluster.until(MINUTE_MS, |world| convergence::check(world).is_ok()));
        }
        print("a cut heals: all see all", links, &members.words());
        print("then: 1,000 changes of each side", links, &lists.words());
    }
}

/// How often healthy members are suspected. Each seed has five hosts for an hour.
pub(crate) fn quiet(seeds: u64) {
    let bad = [300, 1_500].map(|round_trip_ms| Links {
        shape: Shape::AllFar,
        round_trip_ms,
        lost_percent: 20,
    });
    for links in Links::all(&SHAPES).into_iter().chain(bad) {
        let (mut suspicions, mut deaths) = (0, 0);
        for seed in 0..seeds {
            let mut cluster = Cluster::quiet(seed, 5, links);
            let told = |cluster: &Cluster, kind| -> usize {
                let all = cluster.all().into_iter();
                all.map(|of| cluster.world.count(kind, of)).sum()
            };
            let before = told(&cluster, MemberChange::Suspect);
            cluster.run_ms(HOUR_MS);
            suspicions += told(&cluster, MemberChange::Suspect) - before;
            deaths += told(&cluster, MemberChange::Down);
            warn(&cluster);
        }
        let hours = seeds * 5;
        let words = format!(
            "{:.3} ({suspicions} in {hours} node-hours), {deaths} deaths",
            suspicions as f64 / hours as f64
        );
        print("suspicions in a node-hour", links, &words);
    }
}

/// What twelve nodes that are at rest send.
pub(crate) fn rest(seeds: u64) {
    const HOSTS: usize = 12;
    for (pace, words) in [(Pace::Normal, "normal"), (Pace::Metered, "metered")] {
        let mut most = 0;
        for seed in 0..seeds {
            let mut cluster = Cluster::new(seed, HOSTS, Links::NEAR);
            for host in &mut cluster.world.hosts {
                host.pace = pace;
            }
            cluster.join();
            cluster.run_ms(2 * MINUTE_MS);
            let before = cluster.world.network.sent.clone();
            cluster.run_ms(10 * MINUTE_MS);
            let sent = |host: &usize| cluster.world.network.sent[host] - before[host];
            most = most.max((0..HOSTS).map(|host| sent(&host)).max().unwrap_or(0) / 600);
        }
        let what = format!("twelve at rest, {words} pace");
        print(
            &what,
            Links::NEAR,
            &format!("{most} bytes a second at most"),
        );
    }
}
