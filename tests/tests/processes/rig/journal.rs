//! What was wrong, between whom, and when: by which it is judged what the nodes say of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the clock of this machine, which hosts have but for those whose clock is wrong.
pub(crate) type Millis = i64;

/// So long after the last trouble between two hosts neither may call the other one down.
pub(crate) const CALM: Millis = 12_000;

pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    })
}

pub(crate) fn millis(span: Duration) -> Millis {
    i64::try_from(span.as_millis()).unwrap_or(Millis::MAX)
}

/// Two hosts, the smaller one first.
pub(crate) type Pair = (usize, usize);

pub(crate) fn pair(one: usize, other: usize) -> Pair {
    (one.min(other), one.max(other))
}

/// Something that was wrong.
#[derive(Clone, Debug)]
struct Trouble {
    /// It has no end while it lasts.
    when: Range<Millis>,
    /// Between whom nothing is promised meanwhile.
    between: BTreeSet<Pair>,
}

/// A daemon that was killed, and the time until it was started again.
#[derive(Clone, Debug)]
pub(crate) struct Kill {
    pub(crate) host: usize,
    pub(crate) when: Range<Millis>,
}

/// A wall clock that was wrong.
#[derive(Clone, Debug)]
struct Wrong {
    host: usize,
    /// By the right clock. It has no end while it lasts.
    when: Range<Millis>,
    ahead: Millis,
}

/// All that was wrong.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    clocks: Vec<Wrong>,
    troubles: Vec<Trouble>,
    kills: Vec<Kill>,
    /// Times at which this machine had no time for the rig, and so for no daemon.
    stalls: Vec<Range<Millis>>,
    counts: BTreeMap<&'static str, usize>,
}

impl Journal {
    /// Something begins; gives its number.
    pub(crate) fn begin(&mut self, kind: &'static str, between: BTreeSet<Pair>) -> usize {
        *self.counts.entry(kind).or_default() += 1;
        let when = now()..Millis::MAX;
        self.troubles.push(Trouble { when, between });
        self.troubles.len() - 1
    }

    pub(crate) fn end(&mut self, number: usize) {
        if let Some(trouble) = self.troubles.get_mut(number) {
            trouble.when.end = now();
        }
    }

    /// The clock of a host is about to be that far ahead of the right one.
    pub(crate) fn clock(&mut self, host: usize, ahead: Millis) {
        let before = self.clocks.iter_mut().rev().find(|it| it.host == host);
        if let Some(before) = before {
            before.when.end = before.when.end.min(now());
        }
        let when = now()..Millis::MAX;
        self.clocks.push(Wrong { host, when, ahead });
    }

    /// When it was what a host called so. Clocks are wrong by more than a rig runs, so that it is known which
    /// one was read.
    pub(crate) fn right(&self, host: usize, told: Millis) -> Millis {
        let clocks = self.clocks.iter().filter(|it| it.host == host);
        let mut read = clocks.filter_map(|it| {
            let right = told.checked_sub(it.ahead)?;
            it.when.contains(&right).then_some(right)
        });
        read.next().unwrap_or(told)
    }

    pub(crate) fn killed(&mut self, host: usize) {
        *self.counts.entry("kill -9").or_default() += 1;
        let when = now()..Millis::MAX;
        self.kills.push(Kill { host, when });
    }

    pub(crate) fn started(&mut self, host: usize) {
        let kills = self.kills.iter_mut().filter(|kill| kill.host == host);
        if let Some(kill) = kills.last() {
            kill.when.end = now();
        }
    }

    pub(crate) fn stalled(&mut self, when: Range<Millis>) {
        *self.counts.entry("machine without time").or_default() += 1;
        self.stalls.push(when);
    }

    pub(crate) fn kills(&self) -> &[Kill] {
        &self.kills
    }

    /// How often each kind of trouble happened.
    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// Whether a host's daemon was dead at some time of these.
    pub(crate) fn was_dead(&self, host: usize, when: &Range<Millis>) -> bool {
        let mut kills = self.kills.iter().filter(|kill| kill.host == host);
        kills.any(|kill| overlap(&kill.when, when))
    }

    /// Whether nothing was wrong between two hosts whose daemons ran, all that time.
    pub(crate) fn was_good(&self, between: Pair, when: &Range<Millis>) -> bool {
        let is_dead = self.was_dead(between.0, when) || self.was_dead(between.1, when);
        !is_dead && self.was_connected(between, when)
    }

    /// Whether nothing was wrong with a host, its daemon and all of its ways, all that time.
    pub(crate) fn was_well(&self, host: usize, when: &Range<Millis>) -> bool {
        let mut troubles = self.troubles.iter().filter(|it| overlap(&it.when, when));
        let touches = |(one, other): &Pair| *one == host || *other == host;
        let was_stalled = self.stalls.iter().any(|stall| overlap(stall, when));
        let is_touched = troubles.any(|trouble| trouble.between.iter().any(touches));
        !was_stalled && !is_touched && !self.was_dead(host, when)
    }

    /// Whether nothing was wrong with the ways between two hosts, whatever their daemons did.
    pub(crate) fn was_connected(&self, between: Pair, when: &Range<Millis>) -> bool {
        let touches = |trouble: &&Trouble| trouble.between.contains(&between);
        let mut touching = self.troubles.iter().filter(touches);
        let was_stalled = self.stalls.iter().any(|stall| overlap(stall, when));
        !was_stalled && !touching.any(|trouble| overlap(&trouble.when, when))
    }

    /// When the last trouble between two hosts ended that began before that time.
    pub(crate) fn mended(&self, between: Pair, before: Millis) -> Option<Millis> {
        let ways = self
            .troubles
            .iter()
            .filter(|it| it.between.contains(&between));
        let is_of = |kill: &&Kill| kill.host == between.0 || kill.host == between.1;
        let kills = self.kills.iter().filter(is_of).map(|kill| &kill.when);
        let all = ways.map(|trouble| &trouble.when).chain(kills);
        all.filter(|when| when.start <= before)
            .map(|when| when.end)
            .max()
    }
}

fn overlap(one: &Range<Millis>, other: &Range<Millis>) -> bool {
    one.start < other.end && other.start < one.end
}

#[cfg(test)]
mod tests {
    use super::{Journal, Kill, Trouble};
    use std::collections::BTreeSet;

    #[test]
    fn a_link_is_good_only_outside_of_all_that_touches_it() {
        let mut journal = Journal::default();
        journal.troubles.push(Trouble {
            when: 10..20,
            between: BTreeSet::from([(0, 1)]),
        });
        journal.kills.push(Kill {
            host: 2,
            when: 40..50,
        });
        journal.stalls.push(70..80);
        assert!(!journal.was_good((0, 1), &(19..30)));
        assert!(journal.was_good((0, 1), &(20..30)));
        assert!(journal.was_good((0, 2), &(10..20)));
        assert!(!journal.was_good((0, 2), &(45..60)));
        assert!(journal.was_connected((0, 2), &(45..60)));
        assert!(journal.was_good((0, 1), &(45..60)));
        assert!(!journal.was_good((0, 1), &(60..71)));
        assert_eq!(journal.mended((0, 1), 100), Some(20));
        assert_eq!(journal.mended((0, 2), 100), Some(50));
        assert_eq!(journal.mended((0, 2), 30), None);
    }
}
