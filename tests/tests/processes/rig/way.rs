//! What a frame meets on its way from one host to another.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// How long a frame may wait for its turn on a way of little bandwidth; what would wait longer is lost.
const QUEUE: Duration = Duration::from_secs(1);

/// Losses that come together, as Gilbert has it: a way is bad at times, and loses all then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bursts {
    /// How likely a burst begins with a frame.
    pub(crate) begin: f64,
    /// How likely it ends with a frame.
    pub(crate) end: f64,
}

/// What frames from one host to another meet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Way {
    /// How long each frame takes.
    pub(crate) delay: Duration,
    /// How much longer it takes at most.
    pub(crate) jitter: Duration,
    /// How likely it is lost, whatever became of others.
    pub(crate) loss: f64,
    /// Losses that come together.
    pub(crate) bursts: Option<Bursts>,
    /// How likely it comes twice.
    pub(crate) twice: f64,
    /// Nothing passes.
    pub(crate) is_cut: bool,
    /// Larger frames vanish without a word, as where nobody tells of a smaller MTU.
    pub(crate) largest: Option<usize>,
    /// The line that it shares with other ways, by its number.
    pub(crate) line: Option<usize>,
}

/// A line of little bandwidth, which several ways may share.
#[derive(Debug)]
pub(crate) struct Line {
    bytes_per_second: f64,
    free_at: Instant,
}

impl Line {
    pub(crate) fn new(bits_per_second: u32, now: Instant) -> Self {
        Self {
            bytes_per_second: f64::from(bits_per_second) / 8.0,
            free_at: now,
        }
    }

    /// When the last byte of a frame has left; `None` where too many wait before it.
    fn send(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let begins = self.free_at.max(now);
        if begins - now > QUEUE {
            return None;
        }
        let bytes = u32::try_from(bytes).map_or(f64::MAX, f64::from);
        self.free_at = begins + Duration::from_secs_f64(bytes / self.bytes_per_second);
        Some(self.free_at)
    }
}

/// A way as it is now.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    pub(crate) way: Way,
    in_burst: bool,
}

impl Passage {
    /// When a frame arrives that sets out now: never, once or twice.
    pub(crate) fn carry(
        &mut self,
        bytes: usize,
        now: Instant,
        lines: &mut [Line],
        chance: &mut ChaCha8Rng,
    ) -> Vec<Instant> {
        let way = self.way;
        if way.is_cut || way.largest.is_some_and(|largest| bytes > largest) {
            return Vec::new();
        }
        let line = way.line.and_then(|line| lines.get_mut(line));
        let Some(sent) = line.map_or(Some(now), |line| line.send(bytes, now)) else {
            return Vec::new();
        };
        if self.is_lost(chance) {
            return Vec::new();
        }
        let copies = 1 + usize::from(happens(chance, way.twice));
        (0..copies)
            .map(|_| sent + way.delay + way.jitter.mul_f64(chance.random()))
            .collect()
    }

    fn is_lost(&mut self, chance: &mut ChaCha8Rng) -> bool {
        if let Some(bursts) = self.way.bursts {
            let turns = if self.in_burst {
                bursts.end
            } else {
                bursts.begin
            };
            self.in_burst ^= happens(chance, turns);
        }
        let in_burst = self.way.bursts.is_some() && self.in_burst;
        in_burst || happens(chance, self.way.loss)
    }
}

pub(crate) fn happens(chance: &mut impl Rng, probability: f64) -> bool {
    probability > 0.0 && chance.random::<f64>() < probability
}

#[cfg(test)]
mod tests {
    use super::{Bursts, Line, Passage, QUEUE, Way};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::time::{Duration, Instant};

    /// What becomes of so many frames of 1,000 bytes, one a millisecond.
    fn sent(way: Way, frames: u32, lines: &mut [Line], now: Instant) -> Vec<Vec<Duration>> {
        let mut passage = Passage {
            way,
            ..Passage::default()
        };
        let mut chance = ChaCha8Rng::seed_from_u64(7);
        let mut one = |nth| {
            let at = now + Duration::from_millis(nth);
            let arrivals = passage.carry(1_000, at, lines, &mut chance);
            arrivals.into_iter().map(|arrival| arrival - at).collect()
        };
        (0..u64::from(frames)).map(&mut one).collect()
    }

    fn lost(arrivals: &[Vec<Duration>]) -> usize {
        arrivals.iter().filter(|copies| copies.is_empty()).count()
    }

    #[test]
    fn frames_take_the_delay_and_at_most_the_jitter_longer() {
        let way = Way {
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(10),
            ..Way::default()
        };
        let all: Vec<Duration> = sent(way, 1_000, &mut [], Instant::now()).concat();
        assert_eq!(all.len(), 1_000);
        assert!(
            all.iter().all(|it| (30..=40).contains(&it.as_millis())),
            "{all:?}"
        );
        assert!(all.iter().any(|it| it.as_millis() > 36), "{all:?}");
    }

    #[test]
    fn as_many_are_lost_and_come_twice_as_is_said() {
        let way = Way {
            loss: 0.15,
            twice: 0.05,
            ..Way::default()
        };
        let all = sent(way, 20_000, &mut [], Instant::now());
        let twice = all.iter().filter(|copies| copies.len() == 2).count();
        assert!((2_800..3_200).contains(&lost(&all)), "{}", lost(&all));
        assert!((750..950).contains(&twice), "{twice}");
    }

    #[test]
    fn losses_in_bursts_come_together() {
        let bursts = Bursts {
            begin: 0.01,
            end: 0.1,
        };
        let way = Way {
            bursts: Some(bursts),
            ..Way::default()
        };
        let all = sent(way, 20_000, &mut [], Instant::now());
        let begun = all
            .windows(2)
            .filter(|two| !two[0].is_empty() && two[1].is_empty());
        let begun = begun.count();
        // Independent losses of 9 % would begin 1,640 times.
        assert!((1_300..2_400).contains(&lost(&all)), "{}", lost(&all));
        assert!((120..260).contains(&begun), "{begun}");
    }

    #[test]
    fn a_thin_line_delays_what_waits_and_loses_what_waits_too_long() {
        let now = Instant::now();
        // 8,000 bytes a second: a frame takes 125 ms, and one comes each millisecond.
        let mut lines = [Line::new(64_000, now)];
        let way = Way {
            line: Some(0),
            ..Way::default()
        };
        let all = sent(way, 1_000, &mut lines, now);
        let arrived: Vec<Duration> = all.concat();
        assert_eq!(arrived.first(), Some(&Duration::from_millis(125)));
        assert!(
            arrived
                .iter()
                .all(|it| *it <= QUEUE + Duration::from_millis(125))
        );
        // A second's worth, and the queue's.
        assert!((16..=18).contains(&arrived.len()), "{}", arrived.len());
    }

    #[test]
    fn a_cut_lets_nothing_pass_and_a_black_hole_only_small_frames() {
        let cut = Way {
            is_cut: true,
            ..Way::default()
        };
        assert_eq!(lost(&sent(cut, 100, &mut [], Instant::now())), 100);
        for (largest, expected) in [(999, 100), (1_000, 0)] {
            let hole = Way {
                largest: Some(largest),
                ..Way::default()
            };
            assert_eq!(lost(&sent(hole, 100, &mut [], Instant::now())), expected);
        }
    }
}
