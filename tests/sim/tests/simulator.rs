//! The whole cluster in the simulator: many seeds with faults, and a few scenarios that each show
//! one promise.

use sim::faults::{Fault, Mix};
use sim::liar::Liars;
use sim::scenario::Scenario;
use sim::world::World;
use sim::{Options, Report, replay_command, run, run_world};
use std::time::Duration;

fn expect_clean(report: &Report) {
    let text: String = report
        .problems
        .iter()
        .take(5)
        .map(|problem| format!("\n  {problem}"))
        .collect();
    assert!(
        report.problems.is_empty(),
        "seed {} failed; see it again: \
        {}{text}",
        report.seed,
        replay_command(report)
    );
}

/// What takes minutes of all cores: `tests/run` lets it run behind the other tests.
mod sweeps {
    use super::expect_clean;
    use sim::liar::Liars;
    use sim::{Options, run};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// How many seeds every change to the project goes through.
    const SEEDS: u64 = 500;

    /// How many seeds with a liar, beside the tenth of those above.
    const LIARS: u64 = 150;

    /// Runs seeds on all cores.
    fn expect_all_clean(seeds: Vec<u64>, liars: Liars) {
        let options = Options {
            liars,
            ..Options::default()
        };
        let next = AtomicU64::new(0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while let Some(seed) = seeds.get(
                        usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX),
                    ) {
                        expect_clean(&run(*seed, &options));
                    }
                });
            }
        });
    }

    #[test]
    fn five_hundred_seeds_with_faults_keep_every_promise() {
        expect_all_clean((0..SEEDS).collect(), Liars::Some);
    }

    #[test]
    fn a_member_that_lies_ends_nobody_and_speaks_for_nobody() {
        expect_all_clean((0..LIARS).collect(), Liars::All);
    }

    #[test]
    fn seeds_that_once_failed_pass() {
        let lines = include_str!("regression-seeds.txt").lines();
        let seeds = lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_whitespace().next()?.parse().ok());
        // They failed when no seed had a liar.
        expect_all_clean(seeds.collect(), Liars::None);
    }
}

#[test]
fn the_same_seed_replays_the_same_trace() {
    for (seed, liars) in [
        (0, Liars::None),
        (1, Liars::None),
        (2, Liars::None),
        (3, Liars::All),
    ] {
        let options = Options {
            liars,
            ..Options::default()
        };
        let (first, second) = (run(seed, &options), run(seed, &options));
        assert!(first.inputs > 1_000);
        assert_eq!(
            (first.trace, first.inputs),
            (second.trace, second.inputs),
            "seed {seed}"
        );
    }
    assert_ne!(
        run(0, &Options::default()).trace,
        run(1, &Options::default()).trace
    );
}

#[test]
fn a_healthy_cluster_declares_nobody_down_in_ten_minutes() {
    let mut scenario = Scenario::calm(7);
    scenario.weather.loss = 0.05;
    scenario.safety = Duration::from_secs(600);
    expect_clean(&run_world(
        scenario,
        &Options::default(),
        World::live_through,
    ));
}

#[test]
fn every_kill_is_seen_everywhere_within_three_seconds() {
    for seed in 0..20 {
        let mut scenario = Scenario::calm(seed);
        scenario.writes = 20;
        let report = run_world(scenario, &Options::default(), |world| {
            world.start_all();
            world.run(Duration::from_secs(15));
            for victim in 0..5 {
                world.strike(Fault::Kill {
                    host: victim,
                    survival: sim::disk::Survival::Nothing,
                });
                world.run(Duration::from_secs(5));
                world.strike(Fault::Start { host: victim });
                world.run(Duration::from_secs(15));
            }
            world.examine();
            Duration::ZERO
        });
        expect_clean(&report);
        assert_eq!(
            report.detections.len(),
            20,
            "seed {seed}: {:?}",
            report.detections
        );
    }
}

#[test]
fn a_cluster_that_was_down_as_a_whole_comes_back_without_its_seeds() {
    for seed in 0..10 {
        let report = run_world(
            Scenario {
                writes: 50,
                safety: Duration::from_secs(20),
                ..Scenario::calm(seed)
            },
            &Options::default(),
            |world| {
                world.start_all();
                world.plan();
                world.run(Duration::from_secs(20));
                (0..5).for_each(|host| {
                    world.strike(Fault::Kill {
                        host,
                        survival: sim::disk::Survival::Nothing,
                    })
                });
                world.run(Duration::from_secs(30));
                world.hosts.iter_mut().for_each(|host| host.seeds.clear());
                let mut took = Duration::ZERO;
                world.mend();
                match world.run_until_converged(Duration::from_secs(10)) {
                    Ok(span) => took = span,
                    Err(differences) => world.problems.extend(differences),
                }
                world.run(Duration::from_secs(3));
                // What clients waited for while the cluster was down they ask for now, perhaps a
                // moment ago.
                let differences = world.run_until_converged(Duration::from_secs(1)).err();
                world.problems.extend(differences.into_iter().flatten());
                world.examine();
                took
            },
        );
        expect_clean(&report);
    }
}

#[test]
fn a_cloned_data_directory_stops_in_words_and_the_original_runs_on() {
    for seed in 0..10 {
        let scenario = Scenario {
            writes: 0,
            mix: Mix::none(),
            ..Scenario::calm(seed)
        };
        let report = run_world(scenario, &Options::default(), |world| {
            world.start_all();
            world.run(Duration::from_secs(10));
            let clone = world.clone_host(2);
            world.strike(Fault::Start { host: clone });
            world.run(Duration::from_secs(10));
            let stopped = world.hosts[clone].stopped.as_ref().map(ToString::to_string);
            if !stopped
                .as_ref()
                .is_some_and(|reason| reason.contains("clone"))
                || world.hosts[clone].process.is_some()
            {
                world
                    .problems
                    .push(format!("the clone stopped with {stopped:?}"));
            }
            if world.hosts[2].process.is_none() {
                world.problems.push(format!(
                    "the original stopped: {:?}",
                    world.hosts[2].stopped
                ));
            }
            Duration::ZERO
        });
        expect_clean(&report);
    }
}
