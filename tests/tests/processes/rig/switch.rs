//! An Ethernet switch in user space: the kernels of test machines have no netem.
//!
//! One thread reads the TAP device of each host, decides when the frame arrives by its way, and writes
//! it to the device of the host that its destination's address names when that time has come.

use super::way::{Line, Passage, Way};
use anyhow::Context;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tappers::{Interface, Tap};

/// How soon the thread sees at the latest that it shall end.
const NAP: Duration = Duration::from_millis(100);
/// The largest frame: an MTU of 1,500, with its Ethernet header.
const FRAME: usize = 1_514;

/// The hardware address of a host, counted from 0.
pub(crate) fn hardware(host: usize) -> String {
    format!("02:00:00:00:00:{host:02x}")
}

/// The switch; it ends when it is dropped.
pub(crate) struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    ways: Mutex<Ways>,
    shall_end: AtomicBool,
}

/// All ways, those from the first host first.
struct Ways {
    hosts: usize,
    passages: Vec<Passage>,
    lines: Vec<Line>,
    chance: ChaCha8Rng,
}

impl Ways {
    fn arrivals(&mut self, from: usize, to: usize, bytes: usize, now: Instant) -> Vec<Instant> {
        let Self {
            passages,
            lines,
            chance,
            ..
        } = self;
        let passage = passages.get_mut(from * self.hosts + to);
        passage.map_or_else(Vec::new, |it| it.carry(bytes, now, lines, chance))
    }
}

/// A frame under way. The one that arrives first is the least.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    at: Instant,
    number: u64,
    to: usize,
    frame: Vec<u8>,
}

impl Switch {
    /// Makes a TAP device of each of these names, and connects them by perfect ways. What is lost then
    /// is decided by the seed, as far as the hosts send the same.
    pub(crate) fn new(names: &[String], seed: u64) -> anyhow::Result<Self> {
        let mut taps = Vec::new();
        for name in names {
            let interface = Interface::new(name)?;
            let mut tap = Tap::new_named(interface).with_context(|| format!("making {name}"))?;
            tap.set_nonblocking(true)?;
            taps.push(tap);
        }
        let ways = Ways {
            hosts: taps.len(),
            passages: (0..taps.len() * taps.len())
                .map(|_| Passage::default())
                .collect(),
            lines: Vec::new(),
            chance: ChaCha8Rng::seed_from_u64(seed),
        };
        let shared = Arc::new(Shared {
            ways: Mutex::new(ways),
            shall_end: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("switch".to_owned())
            .spawn(move || Running::new(taps, &theirs).run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Changes the way from one host to another.
    pub(crate) fn change(&self, from: usize, to: usize, how: impl FnOnce(&mut Way)) {
        let mut ways = self.shared.ways.lock();
        let at = from * ways.hosts + to;
        if let Some(passage) = ways.passages.get_mut(at) {
            how(&mut passage.way);
        }
    }

    /// Makes a line of that bandwidth; gives its number.
    pub(crate) fn line(&self, bits_per_second: u32) -> usize {
        let mut ways = self.shared.ways.lock();
        ways.lines.push(Line::new(bits_per_second, Instant::now()));
        ways.lines.len() - 1
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.shall_end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Running<'a> {
    taps: Vec<Tap>,
    shared: &'a Shared,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    number: u64,
}

impl<'a> Running<'a> {
    fn new(taps: Vec<Tap>, shared: &'a Shared) -> Self {
        Self {
            taps,
            shared,
            under_way: BinaryHeap::new(),
            number: 0,
        }
    }

    fn run(&mut self) {
        while !self.shared.shall_end.load(Ordering::Relaxed) {
            self.wait();
            for from in 0..self.taps.len() {
                self.read(from);
            }
            self.deliver();
        }
    }

    /// Until a host sends something, or something arrives.
    fn wait(&self) {
        let next = self.under_way.peek().map(|Reverse(first)| first.at);
        let span = next.map_or(NAP, |at| {
            NAP.min(at.saturating_duration_since(Instant::now()))
        });
        let mut polled: Vec<PollFd<'_>> = self
            .taps
            .iter()
            .map(|tap| PollFd::new(tap, PollFlags::IN))
            .collect();
        let span = Timespec {
            tv_sec: 0,
            tv_nsec: span.subsec_nanos().into(),
        };
        // Interrupted or not: all devices are read.
        let _ = poll(&mut polled, Some(&span));
    }

    fn read(&mut self, from: usize) {
        let mut frame = [0; FRAME];
        // One host that sends without end shall not keep the others waiting.
        for _ in 0..64 {
            let Ok(length) = self.taps[from].recv(&mut frame) else {
                return;
            };
            let frame = &frame[..length];
            // Hosts know each other's addresses: nobody asks for them by broadcast.
            let Some([2, 0, 0, 0, 0, to]) = frame.first_chunk::<6>() else {
                continue;
            };
            let (to, now) = (usize::from(*to), Instant::now());
            let arrivals = self.shared.ways.lock().arrivals(from, to, length, now);
            for at in arrivals {
                self.number += 1;
                self.under_way.push(Reverse(UnderWay {
                    at,
                    number: self.number,
                    to,
                    frame: frame.to_vec(),
                }));
            }
        }
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        let is_due = |first: &Reverse<UnderWay>| first.0.at <= now;
        while self.under_way.peek().is_some_and(is_due) {
            let Some(Reverse(due)) = self.under_way.pop() else {
                return;
            };
            if let Some(tap) = self.taps.get(due.to) {
                // A device whose host's queue is full loses it, as a real one does.
                let _ = tap.send(&due.frame);
            }
        }
    }
}
