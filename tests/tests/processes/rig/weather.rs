//! Troubles, drawn from a seed: of ways between hosts, and of their daemons.

use super::journal::{Journal, Pair, pair};
use super::scene::Rig;
use super::way::{Bursts, Way, happens};
use anyhow::Context;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked what begins and what ends.
const STEP: Duration = Duration::from_millis(250);
/// At most so many troubles at once.
const AT_ONCE: usize = 2;
/// How long a trouble lasts, in seconds.
const LASTS: std::ops::Range<f64> = 4.0..20.0;
/// How far a clock is set ahead, in seconds: longer than a rig runs, so that all times tell which clock they are of.
const STEPS: std::ops::Range<i64> = 86_400..30 * 86_400;
/// How long a link that flaps is whole, and how long it is cut.
const FLAP: Duration = Duration::from_secs(2);

/// What is wrong with the ways.
enum Trouble {
    /// Two sides do not reach each other.
    Apart(BTreeSet<usize>),
    /// What this side sends does not reach the other one.
    OneWay(BTreeSet<usize>),
    /// Some do not reach some others, and have third ones that reach both.
    Partial(BTreeSet<Pair>),
    /// Two sides reach each other every other moment.
    Flapping(BTreeSet<usize>),
    /// All ways of a host have this in addition.
    Host(usize, &'static str, Way),
    /// A host's wall clock is so many seconds ahead.
    Clock(usize, i64),
    /// A host has got another address.
    Moved(usize),
}

impl Trouble {
    fn draw(hosts: usize, rig: &Rig, chance: &mut ChaCha8Rng) -> Self {
        let host = chance.random_range(0..hosts);
        match chance.random_range(0..12) {
            0 | 1 => Self::Apart(side(hosts, chance)),
            2 => Self::OneWay(side(hosts, chance)),
            3 | 4 => Self::Partial(some_pairs(hosts, chance)),
            5 => Self::Flapping(side(hosts, chance)),
            6 => Self::Clock(host, chance.random_range(STEPS)),
            7 => Self::Moved(chance.random_range(1..hosts)),
            _ => {
                let (kind, way) = spoilt(rig, chance);
                Self::Host(host, kind, way)
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Apart(_) => "full cut",
            Self::OneWay(_) => "one-way cut",
            Self::Partial(_) => "partial cut",
            Self::Flapping(_) => "flapping cut",
            Self::Host(_, kind, _) => kind,
            Self::Clock(..) => "wrong clock",
            Self::Moved(_) => "another address",
        }
    }

    /// In words, with the names of the hosts' nodes.
    fn told(&self) -> String {
        let names = |side: &BTreeSet<usize>| {
            let names = side.iter().map(|host| name(*host));
            names.collect::<Vec<_>>().join(" ")
        };
        match self {
            Self::Apart(side) | Self::Flapping(side) => {
                format!("{} between {} and the others", self.kind(), names(side))
            }
            Self::OneWay(side) => format!("{} from {} to the others", self.kind(), names(side)),
            Self::Partial(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(one, other)| format!("{}-{}", name(*one), name(*other)));
                format!("{} of {}", self.kind(), pairs.collect::<Vec<_>>().join(" "))
            }
            Self::Host(host, kind, _) => format!("{kind} at {}", name(*host)),
            Self::Clock(host, ahead) => format!("the clock of {} is {ahead} s ahead", name(*host)),
            Self::Moved(host) => format!("another address for {}", name(*host)),
        }
    }

    /// What a way is like while this lasts.
    fn spoil(&self, from: usize, to: usize, age: Duration, way: &mut Way) {
        match self {
            Self::Apart(side) => way.is_cut |= side.contains(&from) != side.contains(&to),
            Self::OneWay(side) => way.is_cut |= side.contains(&from) && !side.contains(&to),
            Self::Partial(pairs) => way.is_cut |= pairs.contains(&pair(from, to)),
            Self::Flapping(side) => {
                let is_cut = (age.as_millis() / FLAP.as_millis()).is_multiple_of(2);
                way.is_cut |= is_cut && side.contains(&from) != side.contains(&to);
            }
            Self::Host(host, _, worse) => {
                if from == *host || to == *host {
                    way.delay += worse.delay;
                    way.jitter += worse.jitter;
                    way.loss = way.loss.max(worse.loss);
                    way.twice = way.twice.max(worse.twice);
                    way.bursts = way.bursts.or(worse.bursts);
                    way.largest = way.largest.or(worse.largest);
                    way.line = way.line.or(worse.line);
                }
            }
            Self::Clock(..) | Self::Moved(_) => {}
        }
    }

    /// Does what is not of ways.
    fn strike(&self, rig: &Rig, journal: &mut Journal) -> anyhow::Result<()> {
        match self {
            Self::Clock(host, ahead) => rig.set_clock(*host, *ahead, journal),
            Self::Moved(host) => rig.network.move_host(*host),
            Self::Apart(_)
            | Self::OneWay(_)
            | Self::Partial(_)
            | Self::Flapping(_)
            | Self::Host(..) => Ok(()),
        }
    }

    /// Takes back what can be.
    fn relent(&self, rig: &Rig, journal: &mut Journal) -> anyhow::Result<()> {
        match self {
            Self::Clock(host, _) => rig.set_clock(*host, 0, journal),
            Self::Moved(_)
            | Self::Apart(_)
            | Self::OneWay(_)
            | Self::Partial(_)
            | Self::Flapping(_)
            | Self::Host(..) => Ok(()),
        }
    }

    /// Between whom nothing is promised while this lasts. A link of up to 5 % independent loss, some
    /// jitter and some delay is a good one.
    fn breaks(&self, hosts: usize) -> BTreeSet<Pair> {
        let all = (0..hosts).flat_map(|one| (one + 1..hosts).map(move |other| (one, other)));
        let is_broken = |(one, other): &Pair| match self {
            Self::Apart(side) | Self::OneWay(side) | Self::Flapping(side) => {
                side.contains(one) != side.contains(other)
            }
            Self::Partial(pairs) => pairs.contains(&(*one, *other)),
            Self::Host(host, _, way) => {
                let is_bad = way.loss > 0.05 || way.bursts.is_some() || way.line.is_some();
                let touches = one == host || other == host;
                touches && (is_bad || way.largest.is_some())
            }
            Self::Clock(..) => false,
            Self::Moved(host) => one == host || other == host,
        };
        all.filter(is_broken).collect()
    }
}

/// What a host's node is called.
fn name(host: usize) -> String {
    format!("n{}", host + 1)
}

/// At least one host, and not all.
fn side(hosts: usize, chance: &mut ChaCha8Rng) -> BTreeSet<usize> {
    let size = chance.random_range(1..hosts);
    let mut side = BTreeSet::new();
    while side.len() < size {
        side.insert(chance.random_range(0..hosts));
    }
    side
}

fn some_pairs(hosts: usize, chance: &mut ChaCha8Rng) -> BTreeSet<Pair> {
    let count = chance.random_range(1..hosts);
    let mut one = || {
        let first = chance.random_range(0..hosts);
        let second = (first + chance.random_range(1..hosts)) % hosts;
        pair(first, second)
    };
    (0..count).map(|_| one()).collect()
}

/// A way that is worse, and what that is called.
fn spoilt(rig: &Rig, chance: &mut ChaCha8Rng) -> (&'static str, Way) {
    let way = Way::default();
    match chance.random_range(0..7) {
        0 => ("loss of 5 %", Way { loss: 0.05, ..way }),
        1 => ("loss of 15 %", Way { loss: 0.15, ..way }),
        2 => {
            let bursts = Bursts {
                begin: 0.01,
                end: 0.1,
            };
            let bursts = Some(bursts);
            ("bursts of loss", Way { bursts, ..way })
        }
        3 => {
            let (delay, jitter) = (Duration::from_millis(120), Duration::from_millis(60));
            (
                "delay and jitter",
                Way {
                    delay,
                    jitter,
                    ..way
                },
            )
        }
        4 => ("duplication", Way { twice: 0.3, ..way }),
        5 => {
            let line = Some(rig.network.line(128_000));
            ("thin line", Way { line, ..way })
        }
        _ => {
            // QUIC starts with packets of 1,200 bytes.
            let largest = Some(1_260);
            ("black hole of MTU", Way { largest, ..way })
        }
    }
}

/// A trouble that lasts.
struct Lasting {
    trouble: Trouble,
    number: usize,
    begun: Instant,
    until: Instant,
}

/// A daemon that shall be started again.
struct Dead {
    host: usize,
    until: Instant,
}

/// What is wrong now, and the dice that say what comes.
pub(crate) struct Weather {
    chance: ChaCha8Rng,
    journal: Arc<Mutex<Journal>>,
    lasting: Vec<Lasting>,
    dead: Vec<Dead>,
    begun: Instant,
}

impl Weather {
    pub(crate) fn new(seed: u64, journal: Arc<Mutex<Journal>>) -> Self {
        Self {
            chance: ChaCha8Rng::seed_from_u64(seed),
            journal,
            lasting: Vec::new(),
            dead: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// Troubles for so long; then all is mended, and every daemon runs.
    pub(crate) async fn rage(&mut self, rig: &mut Rig, span: Duration) -> anyhow::Result<()> {
        self.begun = Instant::now();
        while self.begun.elapsed() < span {
            self.begin(rig)?;
            self.mend(rig, Instant::now())?;
            self.spoil(rig);
            tokio::time::sleep(STEP).await;
        }
        let all = self.lasting.iter().map(|it| it.until);
        let all = all.chain(self.dead.iter().map(|it| it.until));
        let end = all.max().unwrap_or_else(Instant::now);
        self.mend(rig, end)?;
        self.tell("all is mended");
        Ok(())
    }

    fn tell(&self, what: &str) {
        println!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    fn begin(&mut self, rig: &mut Rig) -> anyhow::Result<()> {
        if self.lasting.len() + self.dead.len() >= AT_ONCE || !happens(&mut self.chance, 0.1) {
            return Ok(());
        }
        let hosts = rig.network.hosts;
        let now = Instant::now();
        let until = now + Duration::from_secs_f64(self.chance.random_range(LASTS));
        if happens(&mut self.chance, 0.25) {
            let host = self.chance.random_range(0..hosts);
            if self.dead.iter().any(|dead| dead.host == host) {
                return Ok(());
            }
            // Noted before: nobody sees it sooner than it is noted.
            self.journal.lock().killed(host);
            let node = rig
                .fleet
                .nodes
                .get_mut(host)
                .context("a node on each host")?;
            node.kill()?;
            self.dead.push(Dead { host, until });
            self.tell(&format!("kill -9 of {}", name(host)));
            return Ok(());
        }
        let trouble = Trouble::draw(hosts, rig, &mut self.chance);
        let number = self
            .journal
            .lock()
            .begin(trouble.kind(), trouble.breaks(hosts));
        trouble.strike(rig, &mut self.journal.lock())?;
        self.tell(&trouble.told());
        self.lasting.push(Lasting {
            trouble,
            number,
            begun: now,
            until,
        });
        Ok(())
    }

    /// Ends what has lasted until then.
    fn mend(&mut self, rig: &mut Rig, now: Instant) -> anyhow::Result<()> {
        let lasting = std::mem::take(&mut self.lasting).into_iter();
        let (over, lasting): (Vec<Lasting>, _) = lasting.partition(|it| it.until <= now);
        self.lasting = lasting;
        // It is over when the ways are mended, and not before.
        self.spoil(rig);
        for Lasting {
            trouble, number, ..
        } in over
        {
            let mut journal = self.journal.lock();
            trouble.relent(rig, &mut journal)?;
            journal.end(number);
            drop(journal);
            self.tell(&format!("over: {}", trouble.told()));
        }
        let dead = std::mem::take(&mut self.dead).into_iter();
        let (risen, dead): (Vec<Dead>, _) = dead.partition(|it| it.until <= now);
        self.dead = dead;
        for Dead { host, .. } in risen {
            let node = rig
                .fleet
                .nodes
                .get_mut(host)
                .context("a node on each host")?;
            node.start()?;
            self.journal.lock().started(host);
            self.tell(&format!("{} is started again", name(host)));
        }
        Ok(())
    }

    /// Makes all ways what they are by what is wrong now.
    fn spoil(&self, rig: &Rig) {
        let now = Instant::now();
        rig.network.set_all(|from, to| {
            let mut way = rig.fair(from, to);
            for it in &self.lasting {
                it.trouble
                    .spoil(from, to, now.duration_since(it.begun), &mut way);
            }
            way
        });
    }
}
