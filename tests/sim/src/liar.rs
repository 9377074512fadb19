//! A member that lies: a host beyond the usual ones, with a certificate as good as theirs.
//!
//! The rule that is tested: a member can spoil what it owns, and can be slow; it can neither end, nor
//! speak for, nor starve another ([`node`]'s `belief` has the table of what is believed of whom).
//!
//! The liar has the real machines within, so the others accept it and go on to: they answer it, ask it
//! and count it. Beside what its machines say it tells lies on the same connections, and on some that it
//! opens for nothing else; and what its machines say it withholds or alters on the way out.
//!
//! | lie | is |
//! | --- | --- |
//! | `invented` | a message or packet of any kind, also an answer that nobody asked for, with numbers at their bounds or just above what is there, about itself, an honest node or one that nobody knows |
//! | `replayed` | what it has said or heard before, maybe in another run or on another connection |
//! | `bent` | the same with a number, an id or a byte replaced |
//! | `log` | a part of a log of the registry as it may go on, or as it never was, of itself or of another node |
//! | `change` | a change of a list under an actor of its own, maybe one that has made another one of that number, or under that of an honest node, with bytes replaced and the checksum made right |
//! | `rubbish` | bytes that are no message |
//! | `altered`, `withheld` | what its own machines meant to say |
//! | `greeted` | its own hello, on a connection of which its machines know nothing |
//!
//! Messages are made, and bent, whatever their kind ([`node::testing`]), so one that is added to the protocol is
//! told wrongly without new code here.
//!
//! What an honest node believes of third nodes rests on hearsay where these cannot speak for
//! themselves. What follows from that, and is therefore not demanded in a run with a liar, is listed
//! in [`exempt`].

pub mod exempt;
mod lies;
mod words;

pub use lies::{Lie, Speech};

use crate::chance::Chance;
use crate::faults::Mix;
use crate::host::Host;
use crate::network::Arrival;
use crate::scenario::Scenario;
use bytes::Bytes;
use names::ChangeHash;
use node::testing;
use node::time::Instant;
use node::wire::{Channel, ConnId, DialId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use words::Words;

/// One seed of so many has a liar.
const ONE_OF: usize = 10;
/// The liar's own attempts to dial are numbered from here on: its machines never come so far.
const FIRST_DIAL: u64 = 1 << 48;
/// How much of what was said and heard it remembers.
const MEMORY: usize = 500;
/// The most connections that it opens for lies alone.
const MAX_LURKING: usize = 6;
/// How many parts of logs it goes on from.
const MAX_PARTS: usize = 100;
/// The least room of a queue.
const MIN_QUEUE_BYTES: usize = 20_000;
/// How often it looks at what is there.
const LOOK: Duration = Duration::from_secs(1);

/// Whether the world of a seed has a liar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liars {
    /// The seed decides; one of ten has one.
    #[default]
    Some,
    /// It has one.
    All,
    /// It has none.
    None,
}

impl Liars {
    /// The habits of the seed's liar, if there is one. Drawn from a stream of its own, so that nothing
    /// else in a world depends on it.
    pub fn draw(self, seed: u64) -> Option<Habits> {
        let mut chance = Chance::new(seed, "liar's habits");
        let is_drawn = chance.below(ONE_OF) == 0;
        let is_there = match self {
            Self::Some => is_drawn,
            Self::All => true,
            Self::None => false,
        };
        is_there.then(|| Habits::draw(&mut chance))
    }
}

/// What kind of liar it is.
#[derive(Clone, Debug)]
pub struct Habits {
    /// How likely it tells each kind of [`Lie`], against the others.
    pub lies: [u32; Lie::ALL.len()],
    /// How long it waits between two lies, about.
    pub pause: Duration,
    /// How many it tells at once at most.
    pub burst: usize,
    /// When it begins.
    pub begin: Duration,
    /// How much of what its machines say it alters.
    pub alters: f64,
    /// How much of what its machines say it withholds.
    pub withholds: f64,
    /// Whether it opens connections for lies alone.
    pub lurks: bool,
    /// Whether its daemon is killed and started again now and then.
    pub restarts: bool,
    /// Whether it lies on while all must agree. If not, its host is switched off when all is mended.
    pub goes_on: bool,
    /// Whether the usual faults strike, too. If not, every honest node reaches all others.
    pub among_faults: bool,
}

impl Habits {
    /// Makes the scenario one in which such a liar can be judged.
    pub fn shape(&self, scenario: &mut Scenario) {
        if !self.among_faults {
            scenario.mix = Mix::none();
        }
        // The liar's lists are so many that what two nodes ask when they compare them must fit.
        let queue_bytes = &mut scenario.weather.queue_bytes;
        *queue_bytes = MIN_QUEUE_BYTES.max(*queue_bytes);
    }

    fn draw(chance: &mut Chance) -> Self {
        let mut lies = [0; Lie::ALL.len()];
        for weight in &mut lies {
            if chance.happens(0.7) {
                *weight = 1 + u32::try_from(chance.below(4)).unwrap_or(0);
            }
        }
        lies[chance.below(Lie::ALL.len())] += 2;
        // Whoever talks much rubbish is cut off all the time, and says nothing else.
        for (weight, lie) in lies.iter_mut().zip(Lie::ALL) {
            *weight = if lie == Lie::Rubbish {
                u32::from(*weight > 2)
            } else {
                *weight * 20
            };
        }
        let among_faults = chance.happens(0.5);
        // Where nodes start while it lies, they cannot speak for themselves.
        let least = if among_faults { 0 } else { 2 };
        Self {
            lies,
            pause: Duration::from_millis([40, 80, 200][chance.below(3)]),
            burst: [1, 4, 10][chance.below(3)],
            begin: Duration::from_secs([0, 3, 6, 12][least + chance.below(4 - least)]),
            alters: [0.0, 0.0, 0.1, 0.5][chance.below(4)],
            withholds: [0.0, 0.0, 0.3, 1.0][chance.below(4)],
            lurks: chance.happens(0.4),
            restarts: chance.happens(0.4),
            goes_on: chance.happens(0.5),
            among_faults,
        }
    }
}

/// The liar of a world.
#[derive(Debug)]
pub struct Liar {
    /// Its host: the last one.
    pub host: usize,
    /// What kind of liar it is.
    pub habits: Habits,
    /// How many lies it has told, by kind.
    pub told: BTreeMap<&'static str, u64>,
    /// The changes of lists that it has made, by any actor.
    pub forged: BTreeSet<ChangeHash>,
    /// Whether it makes no more changes of lists: all that there are must come to be everywhere.
    pub makes_no_changes: bool,
    /// Whether it is off for good.
    pub is_off: bool,
    pub(crate) chance: Chance,
    words: Words,
    memory: Vec<Speech>,
    /// Its own hello, as its machines said it last.
    hello: Option<Bytes>,
    /// Its open connections, and whether its machines know of them.
    conns: BTreeMap<ConnId, bool>,
    dials: u64,
    /// The last parts of logs that it has heard.
    last_parts: Vec<Bytes>,
    /// Changes of lists that it has made.
    changes: Vec<Vec<u8>>,
    /// The actors of its own by which it has made changes.
    actors: Vec<[u8; 16]>,
    /// When it last looked at what is there.
    looked: Option<Instant>,
}

impl Liar {
    /// The liar of a seed.
    pub fn new(seed: u64, host: usize, habits: Habits) -> Self {
        let (told, forged, words, memory, hello, conns) = Default::default();
        Self {
            host,
            habits,
            told,
            forged,
            makes_no_changes: false,
            is_off: false,
            chance: Chance::new(seed, "liar"),
            words,
            memory,
            hello,
            conns,
            dials: FIRST_DIAL,
            last_parts: Vec::new(),
            changes: Vec::new(),
            actors: Vec::new(),
            looked: None,
        }
    }

    /// Its daemon has ended, and its connections with it.
    pub(crate) fn ended(&mut self) {
        self.conns.clear();
    }

    /// Notes what reaches its host. True if its machines are not to hear of it.
    pub(crate) fn hears(&mut self, arrival: &Arrival) -> bool {
        let is_own = |dial: &Option<DialId>| dial.is_some_and(|dial| dial.0 >= FIRST_DIAL);
        match arrival {
            Arrival::Connected { conn, dial, .. } => {
                self.conns.insert(*conn, !is_own(dial));
                is_own(dial)
            }
            Arrival::DialFailed { dial, .. } | Arrival::DialledItself { dial } => {
                is_own(&Some(*dial))
            }
            Arrival::Message {
                conn,
                channel,
                bytes,
            } => {
                if testing::alter_part(bytes, |_, _| {}).is_some() {
                    self.last_parts.push(bytes.clone());
                    let surplus = self.last_parts.len().saturating_sub(MAX_PARTS);
                    self.last_parts.drain(..surplus);
                }
                self.remember(Speech::Message(*channel, bytes.clone()));
                self.lurks_on(*conn)
            }
            Arrival::Datagram { conn, bytes } => {
                self.remember(Speech::Datagram(bytes.clone()));
                self.lurks_on(*conn)
            }
            Arrival::Overflowed { conn, .. } => self.lurks_on(*conn),
            Arrival::Closed { conn } => self.conns.remove(conn) == Some(false),
        }
    }

    fn lurks_on(&self, conn: ConnId) -> bool {
        self.conns.get(&conn) == Some(&false)
    }

    /// What becomes of something that its machines say.
    pub(crate) fn says(&mut self, said: Speech) -> Option<Speech> {
        if let Speech::Message(Channel::Cluster, bytes) = &said
            && is_hello(&said)
        {
            self.hello = Some(bytes.clone());
        }
        self.remember(said.clone());
        if self.chance.happens(self.habits.withholds) && !is_hello(&said) {
            self.count("withheld");
            return None;
        }
        if self.chance.happens(self.habits.alters)
            && let Some(altered) = self.bend(&said)
        {
            self.count("altered");
            return Some(altered);
        }
        Some(said)
    }

    fn remember(&mut self, speech: Speech) {
        self.words.learn(&speech);
        if self.memory.len() < MEMORY {
            self.memory.push(speech);
        } else {
            let at = self.chance.below(MEMORY);
            self.memory[at] = speech;
        }
    }

    fn count(&mut self, kind: &'static str) {
        *self.told.entry(kind).or_default() += 1;
    }

    /// A connection to lie on; `None` if there is none.
    pub(crate) fn some_connection(&mut self) -> Option<ConnId> {
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        self.chance.pick(&conns).copied()
    }

    /// Looks at what is there.
    pub(crate) fn look(&mut self, hosts: &[Host], now: Instant) {
        if self.looked.is_none_or(|last| now.since(last) >= LOOK) {
            self.looked = Some(now);
            let now_ms = now.as_nanos() / 1_000_000;
            self.words.look(hosts, now_ms);
        }
    }

    /// Its next attempt to dial for lies alone, if it makes one now.
    pub(crate) fn dials(&mut self) -> Option<DialId> {
        let lurking = self.conns.values().filter(|is_known| !**is_known).count();
        if !self.habits.lurks || lurking >= MAX_LURKING || !self.chance.happens(0.02) {
            return None;
        }
        self.dials += 1;
        Some(DialId(self.dials))
    }
}

fn is_hello(said: &Speech) -> bool {
    matches!(said.kind().as_deref(), Some("Hello" | "Greeting"))
}
