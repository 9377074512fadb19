//! Which refusals are worth a line of the log.
//!
//! A host with another cluster's certificate knocks each second for as long as nobody looks at it,
//! and anybody who can send a packet here can be refused.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Between two lines about the same other end.
const AGAIN: Duration = Duration::from_secs(3600);
/// Between two lines about whomever.
const ANYBODY: Duration = Duration::from_secs(1);
/// The most other ends that are remembered.
const MAX_ENDS: usize = 1024;

/// What was refused of one other end.
#[derive(Debug)]
struct End {
    logged: Option<Instant>,
    /// Since the last line about it.
    times: u64,
}

/// What the log has been told of refusals.
#[derive(Debug, Default)]
pub(crate) struct Told {
    ends: HashMap<String, End>,
    last: Option<Instant>,
}

impl Told {
    /// Notes a refusal; gives how often that other end was refused since its last line, if it is to
    /// have another one now.
    pub(crate) fn note(&mut self, now: Instant, end: &str) -> Option<u64> {
        let is_over = |at: Instant, after| now.duration_since(at) >= after;
        if !self.ends.contains_key(end) && self.ends.len() >= MAX_ENDS {
            self.ends
                .retain(|_, end| end.logged.is_some_and(|at| !is_over(at, AGAIN)));
        }
        if !self.ends.contains_key(end) && self.ends.len() >= MAX_ENDS {
            return None;
        }
        let new = || End {
            logged: None,
            times: 0,
        };
        let end = self.ends.entry(end.to_owned()).or_insert_with(new);
        end.times += 1;
        let is_due = end.logged.is_none_or(|at| is_over(at, AGAIN));
        if !is_due || self.last.is_some_and(|at| !is_over(at, ANYBODY)) {
            return None;
        }
        (end.logged, self.last) = (Some(now), Some(now));
        Some(std::mem::take(&mut end.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_knocks_each_second_has_a_line_an_hour_with_their_number() {
        let (mut told, start) = (Told::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        let lines: Vec<(u64, u64)> = (0..=7200)
            .filter_map(|s| Some((s, told.note(at(s), "10.0.0.1")?)))
            .collect();
        assert_eq!(lines, [(0, 1), (3600, 3600), (7200, 3600)]);
        // Another one is told for itself, but not within the same second.
        assert_eq!(told.note(at(7200), "10.0.0.2"), None);
        assert_eq!(told.note(at(7201), "10.0.0.2"), Some(2));
    }

    #[test]
    fn only_so_many_are_remembered_and_those_of_long_ago_make_room() {
        let (mut told, start) = (Told::default(), Instant::now());
        let at = |n: usize| start + ANYBODY * u32::try_from(n).unwrap();
        for n in 0..MAX_ENDS {
            assert_eq!(told.note(at(n), &n.to_string()), Some(1));
        }
        assert_eq!(told.note(at(MAX_ENDS), "another"), None);
        assert_eq!(told.ends.len(), MAX_ENDS);
        assert_eq!(told.note(at(MAX_ENDS) + AGAIN, "another"), Some(1));
        assert_eq!(told.ends.len(), 1);
        // Those without a line make room at once: forged addresses keep nobody's line away.
        for n in 0..2 * MAX_ENDS {
            told.note(at(MAX_ENDS) + AGAIN, &n.to_string());
        }
        assert!(told.ends.len() <= MAX_ENDS);
        assert_eq!(told.note(at(MAX_ENDS + 1) + AGAIN, "third"), Some(1));
    }
}
