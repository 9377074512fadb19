//! One run from one seed, with whatever goes wrong caught and told.

use crate::liar::{Liars, exempt};
use crate::logs::Logs;
use crate::scenario::Scenario;
use crate::world::World;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::time::Duration;
use tracing::Level;

/// How to run a seed, beside what it decides itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Print what happens, line by line.
    pub trace: bool,
    /// Print what the machines log, at least as grave as this.
    pub log: Option<Level>,
    /// Another number of writes than the standard one.
    pub writes: Option<usize>,
    /// Another number of uses of the registry than the standard one.
    pub uses: Option<usize>,
    /// Whether there is a liar.
    pub liars: Liars,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Whether it was to have a liar.
    pub liars: Liars,
    /// What went wrong; empty if nothing.
    pub problems: Vec<String>,
    /// The hash of its trace.
    pub trace: u64,
    /// How many inputs the machines handled.
    pub inputs: u64,
    /// How much time passed in it.
    pub simulated: Duration,
    /// What broke and was mended, how often.
    pub faults: BTreeMap<&'static str, u64>,
    /// How many lies were told, by kind; nothing if there was no liar.
    pub lies: Option<BTreeMap<&'static str, u64>>,
    /// How many writes were tried.
    pub writes: u64,
    /// The same by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How many of them were acknowledged as a change.
    pub acknowledged: u64,
    /// How many of these some disk lacks in the end.
    pub lost: u64,
    /// How many times the registry was asked for something, by kind.
    pub asked: BTreeMap<&'static str, u64>,
    /// How many times that was done.
    pub done: u64,
    /// How long it took until everybody knew of a registration, where nothing was wrong.
    pub ups: Vec<Duration>,
    /// How long it took until everybody knew of an end, where nothing was wrong.
    pub downs: Vec<Duration>,
    /// How long it took until all directories agreed after all was mended.
    pub registry_healing: Duration,
    /// How long each node took to see that another had been killed.
    pub detections: Vec<Duration>,
    /// How often a node came to show another as away on purpose.
    pub aways: u64,
    /// How long it took until everything agreed after all was mended.
    pub healing: Duration,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// The standard run of a seed.
pub fn run(seed: u64, options: &Options) -> Report {
    let mut standard = Scenario::draw(seed);
    if let Some(habits) = options.liars.draw(seed) {
        habits.shape(&mut standard);
        standard.liar = Some(habits);
    }
    run_world(
        Scenario {
            writes: options.writes.unwrap_or(standard.writes),
            deeds: options.uses.unwrap_or(standard.deeds),
            ..standard
        },
        options,
        World::live_through,
    )
}

/// A run of one's own making: `live` lets the world live and gives how long it took to agree, if it
/// looked.
pub fn run_world(
    scenario: Scenario,
    options: &Options,
    live: impl FnOnce(&mut World) -> Duration,
) -> Report {
    keep_panics();
    let (seed, has_liar) = (scenario.seed, scenario.liar.is_some());
    let logs = Logs::collect(options.log);
    let trace = options.trace;
    RUNNING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(scenario, trace);
        let healing = live(&mut world);
        report(&world, healing)
    }));
    RUNNING.set(false);
    let mut report = outcome.unwrap_or_else(|_| {
        let place = PANIC.take().unwrap_or_else(|| "somewhere".into());
        Report {
            seed,
            problems: vec![format!("panicked: {place}")],
            ..Report::default()
        }
    });
    report.liars = options.liars;
    report.problems.extend(
        logs.errors()
            .into_iter()
            .filter(|error| !(has_liar && exempt::is_about_lies(error)))
            .map(|error| format!("logged {error}")),
    );
    report
}

fn report(world: &World, healing: Duration) -> Report {
    Report {
        seed: world.scenario.seed,
        liars: Liars::default(),
        problems: world.problems.clone(),
        trace: world.trace.hash(),
        inputs: world.trace.inputs(),
        simulated: world.now().since(node::time::Instant::default()),
        faults: world.struck.clone(),
        lies: world.liar.as_ref().map(|liar| liar.told.clone()),
        writes: world.clients.requests.len() as u64,
        kinds: kinds(world),
        lost: world.lost,
        acknowledged: world.clients.acknowledged().count() as u64,
        asked: world.registrants.asked.clone(),
        done: world.registrants.done,
        ups: world.registrants.spreading.ups.clone(),
        downs: world.registrants.spreading.downs.clone(),
        registry_healing: world.registrants.healing.unwrap_or_default(),
        detections: world.watch.detections.clone(),
        aways: world.watch.aways,
        healing,
    }
}

fn kinds(world: &World) -> BTreeMap<&'static str, u64> {
    let mut kinds = BTreeMap::new();
    for request in &world.clients.requests {
        *kinds.entry(request.kind()).or_default() += 1;
    }
    kinds
}

/// How to see a run again.
pub fn replay_command(report: &Report) -> String {
    let liars = match report.liars {
        Liars::Some => "",
        Liars::All => " --liars",
        Liars::None => " --no-liars",
    };
    let seed = report.seed;
    format!("cargo run --profile dist -p sim --bin sweep -- --seed {seed}{liars} --trace")
}

/// Panics of a run are told in its report, not on the terminal: some are provoked and caught inside
/// the machines.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            if RUNNING.get() {
                PANIC.set(Some(info.to_string()));
            } else {
                others(info);
            }
        }));
    });
}
