//! What one seed decides about a run before it begins.

use crate::chance::Chance;
use crate::faults::Mix;
use crate::liar::Habits;
use crate::network::Weather;
use std::time::Duration;

/// The kind and the size of a run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// From which all is drawn.
    pub seed: u64,
    /// How many hosts.
    pub hosts: usize,
    /// For how long things break.
    pub safety: Duration,
    /// How long everything may take to agree after all was mended.
    pub liveness: Duration,
    /// How many writes clients try meanwhile.
    pub writes: usize,
    /// How many times programs use the registry meanwhile.
    pub deeds: usize,
    /// The network at its best.
    pub weather: Weather,
    /// What breaks.
    pub mix: Mix,
    /// How many bytes of documents a machine keeps loaded.
    pub resident_bytes: usize,
    /// The liar beyond the hosts, if there is one.
    pub liar: Option<Habits>,
    /// How long jobs take at most.
    pub slowest_job: Duration,
}

impl Scenario {
    /// The standard run: five hosts, 60 seconds of faults, 200 writes to lists, 300 uses of the
    /// registry.
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "scenario");
        let mix = Mix::draw(&mut chance);
        let resident_bytes = [1, 60_000, 64 << 20][chance.below(3)];
        let slowest_job = [
            Duration::from_millis(2),
            Duration::from_millis(40),
            Duration::from_millis(1_500),
        ][chance.below(3)];
        Self {
            mix,
            resident_bytes,
            slowest_job,
            weather: draw_weather(&mut chance),
            ..Self::calm(seed)
        }
    }

    /// The same without faults, on a good network.
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            hosts: 5,
            safety: Duration::from_secs(60),
            liveness: Duration::from_secs(10),
            writes: 200,
            deeds: 300,
            weather: Weather::fair(),
            mix: Mix::none(),
            resident_bytes: 64 << 20,
            liar: None,
            slowest_job: Duration::from_millis(5),
        }
    }
}

fn draw_weather(chance: &mut Chance) -> Weather {
    let mut weather = Weather::fair();
    if chance.happens(0.4) {
        (weather.least, weather.most) = (Duration::from_millis(1), Duration::from_millis(40));
    }
    if chance.happens(0.3) {
        (weather.spikes, weather.spike) = (0.01, Duration::from_millis(60));
    }
    if chance.happens(0.4) {
        weather.loss = [0.01, 0.05][chance.below(2)];
    }
    if chance.happens(0.3) {
        weather.duplication = 0.02;
    }
    if chance.happens(0.3) {
        (weather.bandwidth, weather.queue_bytes) = (100_000, [2_000, 20_000][chance.below(2)]);
    }
    weather
}
