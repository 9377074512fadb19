//! Runs many seeds of the simulator on all cores, or one of them again.
//!
//! ```text
//! sweep --seeds 0..500 [--minutes N] [--jobs N] [--writes N] [--uses N] [--keep-going]
//! sweep --seed N [--trace] [--log debug]
//! with either: [--liars | --no-liars]
//! ```
//!
//! With `--liars` every seed has a liar ([`sim::liar`]), with `--no-liars` none has; else one of ten.
//! With `--minutes` it begins no further seed after that time; `tests/soak` builds upon it.

use sim::liar::Liars;
use sim::scenario::Scenario;
use sim::{Options, Report, replay_command, run};
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: sweep --seeds A..B [--minutes N] [--jobs N] [--writes N] [--uses N] \
    [--keep-going]  |  sweep --seed N [--trace] [--log LEVEL]  (with either: --liars | --no-liars)";

/// After so many seeds it says on standard error how far it is.
const TELL_EACH: u64 = 500;

/// As in the daemon. Seeds take a fifth less time with it than with the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug)]
struct Arguments {
    seeds: Range<u64>,
    /// No seed is begun after that.
    at_most: Duration,
    jobs: usize,
    keep_going: bool,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let begin = Instant::now();
    let reports = sweep(&arguments, begin);
    summarise(&reports, begin.elapsed());
    if reports.iter().all(|report| report.problems.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut arguments = Arguments {
        seeds: 0..500,
        at_most: Duration::MAX,
        jobs,
        keep_going: false,
        options: Options::default(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seeds" => arguments.seeds = range(&value()?)?,
            "--seed" => {
                let seed = number(&value()?)?;
                (arguments.seeds, arguments.jobs) = (seed..seed + 1, 1);
            }
            "--jobs" => arguments.jobs = count(&value()?)?.max(1),
            "--minutes" => arguments.at_most = Duration::from_secs(number(&value()?)? * 60),
            "--writes" => arguments.options.writes = Some(count(&value()?)?),
            "--uses" => arguments.options.uses = Some(count(&value()?)?),
            "--liars" => arguments.options.liars = Liars::All,
            "--no-liars" => arguments.options.liars = Liars::None,
            "--keep-going" => arguments.keep_going = true,
            "--trace" => arguments.options.trace = true,
            "--log" => {
                arguments.options.log = Some(
                    value()?
                        .parse()
                        .map_err(|_| "--log takes error, warn, info, debug or trace")?,
                )
            }
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    Ok(arguments)
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text
        .split_once("..")
        .ok_or_else(|| format!("{text:?} is not A..B"))?;
    Ok(number(first)?..number(end)?)
}

fn count(text: &str) -> Result<usize, String> {
    number(text).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

fn sweep(arguments: &Arguments, begin: Instant) -> Vec<Report> {
    let next = AtomicU64::new(arguments.seeds.start);
    let stop = AtomicBool::new(false);
    let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (finished, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            let finished = finished.clone();
            let (next, stop, done, failed) = (&next, &stop, &done, &failed);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && begin.elapsed() < arguments.at_most {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.seeds.end {
                        return;
                    }
                    let report = run(seed, &arguments.options);
                    if !report.problems.is_empty() {
                        tell(&report);
                        failed.fetch_add(1, Ordering::Relaxed);
                        stop.store(!arguments.keep_going, Ordering::Relaxed);
                    }
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(TELL_EACH) {
                        let failed = failed.load(Ordering::Relaxed);
                        eprintln!("{done} seeds run, {failed} failed");
                    }
                    if finished.send(report).is_err() {
                        return;
                    }
                }
            });
        }
    });
    drop(finished);
    reports.into_iter().collect()
}

fn tell(report: &Report) {
    println!("seed {} FAILED\n  {}", report.seed, replay_command(report));
    report
        .problems
        .iter()
        .take(5)
        .for_each(|problem| println!("  {}", problem.chars().take(1_500).collect::<String>()));
}

fn summarise(reports: &[Report], took: Duration) {
    summarise_work(reports, took);
    summarise_speed(reports);
    if let [report] = reports {
        println!("trace {:016x}", report.trace);
    }
}

fn summarise_work(reports: &[Report], took: Duration) {
    let size = Scenario::calm(0);
    let failed: Vec<u64> = reports
        .iter()
        .filter(|report| !report.problems.is_empty())
        .map(|report| report.seed)
        .collect();
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let simulated: Duration = reports.iter().map(|report| report.simulated).sum();
    println!(
        "a seed: {} nodes, {} virtual seconds of faults and {} to agree, {} writes to lists, {} \
            uses of the registry",
        size.hosts,
        size.safety.as_secs(),
        size.liveness.as_secs(),
        size.writes,
        size.deeds
    );
    println!(
        "{} seeds, {} failed{}; {:.0} virtual seconds in {:.1} s: {:.0} per second; {} inputs",
        reports.len(),
        failed.len(),
        if failed.is_empty() {
            String::new()
        } else {
            format!(" {failed:?}")
        },
        simulated.as_secs_f64(),
        took.as_secs_f64(),
        simulated.as_secs_f64() / took.as_secs_f64().max(0.001),
        sum(|report| report.inputs),
    );
    println!(
        "{} writes ({}), {} acknowledged, {} of them lost",
        sum(|report| report.writes),
        counted(reports.iter().map(|report| &report.kinds)),
        sum(|report| report.acknowledged),
        sum(|report| report.lost),
    );
    println!(
        "{:.1} virtual hours; struck and mended: {}",
        simulated.as_secs_f64() / 3_600.0,
        counted(reports.iter().map(|report| &report.faults))
    );
    println!(
        "a member was shown as away on purpose {} times",
        sum(|report| report.aways)
    );
    println!("{}", lies(reports));
    println!(
        "the registry was asked {} times ({}) and did {}",
        sum(|report| report.asked.values().sum()),
        counted(reports.iter().map(|report| &report.asked)),
        sum(|report| report.done)
    );
}

fn summarise_speed(reports: &[Report]) {
    println!(
        "a registration is everywhere after \
        {}",
        spread(reports.iter().flat_map(|report| report.ups.iter().copied()))
    );
    println!(
        "an end is everywhere after \
        {}",
        spread(
            reports
                .iter()
                .flat_map(|report| report.downs.iter().copied())
        )
    );
    println!(
        "all directories agree after \
        {}",
        spread(reports.iter().map(|report| report.registry_healing))
    );
    println!(
        "a kill is seen after {}",
        spread(
            reports
                .iter()
                .flat_map(|report| report.detections.iter().copied())
        )
    );
    println!(
        "all agree after {}",
        spread(reports.iter().map(|report| report.healing))
    );
}

/// How many seeds had a liar, and what it did.
fn lies(reports: &[Report]) -> String {
    let liars: Vec<_> = reports.iter().filter_map(|it| it.lies.as_ref()).collect();
    let told: u64 = liars.iter().flat_map(|lies| lies.values()).sum();
    format!(
        "{} seeds had a liar, which told {told} lies: {}",
        liars.len(),
        counted(liars.iter().copied())
    )
}

/// How often each kind of thing happened in all seeds, the most frequent first.
fn counted<'a>(all: impl Iterator<Item = &'a BTreeMap<&'static str, u64>>) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, count) in all.flatten() {
        *sums.entry(kind).or_default() += count;
    }
    let mut sums: Vec<(&str, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let texts: Vec<String> = sums
        .into_iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    texts.join(", ")
}

fn spread(spans: impl Iterator<Item = Duration>) -> String {
    let mut spans: Vec<Duration> = spans.collect();
    spans.sort();
    let at = |percent: usize| {
        spans
            .get((spans.len() * percent / 100).min(spans.len().saturating_sub(1)))
            .map_or(0.0, Duration::as_secs_f64)
    };
    format!(
        "{:.3} s p50, {:.3} s p99, {:.3} s at most ({} \
        times)",
        at(50),
        at(99),
        at(100),
        spans.len()
    )
}
