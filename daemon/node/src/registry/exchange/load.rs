//! How much of a log a peer gets at once, and how long it has to answer: as its answers have shown.

use std::time::Duration;

/// How large the parts of a log are, in bytes, about: on a link that is fast, at first, and at least.
const MOST_PART_BYTES: usize = 128 << 10;
const FIRST_PART_BYTES: usize = 32 << 10;
const LEAST_PART_BYTES: usize = 4 << 10;
/// A part that was answered sooner than the one is followed by a larger one, and later than the other by
/// a smaller one.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(3);
/// A part, a pull or a question without an answer for so long is given up; later on a link that is slow.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PATIENCE: Duration = Duration::from_secs(15);
const MOST_PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    part_bytes: usize,
    patience: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            part_bytes: FIRST_PART_BYTES,
            patience: FIRST_PATIENCE,
        }
    }
}

impl Load {
    pub(super) fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// A part was answered after that time.
    pub(super) fn answered(&mut self, took: Duration) {
        if took < SOON {
            self.part_bytes = (self.part_bytes * 2).min(MOST_PART_BYTES);
        } else if took > LATE {
            self.part_bytes = (self.part_bytes / 2).max(LEAST_PART_BYTES);
        }
        // The next part may be twice as large, and have as much of other channels beside it.
        self.patience = (took * 4).clamp(PATIENCE, MOST_PATIENCE);
    }

    /// Something was not answered in its time: the link may be slower than it seemed.
    pub(super) fn unanswered(&mut self) {
        self.part_bytes = (self.part_bytes / 2).max(LEAST_PART_BYTES);
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_link_takes_large_parts_and_soon_gives_up() {
        let mut load = Load::default();
        (0..4).for_each(|_| load.answered(Duration::from_millis(1)));
        assert_eq!(load.part_bytes(), MOST_PART_BYTES);
        assert_eq!(load.patience(), PATIENCE);
    }

    /// At 8,000 bytes a second, half of which other channels take.
    #[test]
    fn each_part_over_a_thin_link_is_answered_before_it_is_given_up() {
        let mut load = Load::default();
        for _ in 0..100 {
            let seconds = u64::try_from(load.part_bytes()).unwrap() / 4_000;
            let took = Duration::from_secs(seconds) + Duration::from_millis(1_500);
            assert!(took < load.patience(), "{took:?} for {load:?}");
            load.answered(took);
        }
        assert!(load.part_bytes() <= FIRST_PART_BYTES / 2, "{load:?}");
    }

    #[test]
    fn a_link_that_has_become_thin_is_learnt_by_what_is_not_answered() {
        let mut load = Load::default();
        (0..4).for_each(|_| load.answered(Duration::from_millis(1)));
        (0..6).for_each(|_| load.unanswered());
        assert_eq!(load.part_bytes(), LEAST_PART_BYTES);
        assert_eq!(load.patience(), MOST_PATIENCE);
    }
}
