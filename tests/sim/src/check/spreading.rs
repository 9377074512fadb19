//! How soon everybody knows that a registration is there, or is gone: measured always, demanded
//! where nothing is wrong.
//!
//! Where all nodes are connected and nothing has been wrong for [`CALM_BEFORE`], nobody lists a
//! registration more than [`BOUND`] after the end of its process, and everybody lists it [`BOUND`]
//! after it was acknowledged.

use crate::host::Host;
use crate::registrants::Key;
use node::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How soon everybody must know.
pub const BOUND: Duration = Duration::from_secs(1);
/// How long nothing may have been wrong before that is promised.
pub const CALM_BEFORE: Duration = Duration::from_secs(5);

/// What spreads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// That a registration is there.
    Up,
    /// That it is not any more.
    Down,
}

#[derive(Debug)]
struct Wave {
    since: Instant,
    measured: bool,
    /// Which hosts' daemons have yet to hear of it.
    missing: BTreeSet<(usize, u64)>,
}

/// What is on its way to everybody.
#[derive(Debug, Default)]
pub struct Spreading {
    /// How long it took until everybody knew of a registration.
    pub ups: Vec<Duration>,
    /// How long it took until everybody knew of an end.
    pub downs: Vec<Duration>,
    waves: BTreeMap<(Key, What), Wave>,
}

impl Spreading {
    /// Something has happened on a host of which those who are connected with it must hear. False
    /// if nothing is promised.
    pub fn begin(
        &mut self,
        hosts: &[Host],
        now: Instant,
        key: &Key,
        (what, measured): (What, bool),
    ) -> bool {
        let Some(owner) = hosts.get(key.0).filter(|host| host.process.is_some()) else {
            return false;
        };
        let sees = |a: &Host, b: &Host| {
            let view = a.process.as_ref().and_then(|process| process.view.as_ref());
            view.and_then(|view| view.member(b.peer.id))
                .is_some_and(|member| member.state.is_reachable() && member.conn.is_some())
        };
        let hears = |host: &&(usize, &Host)| {
            host.0 == key.0 || (sees(host.1, owner) && sees(owner, host.1))
        };
        let all: Vec<(usize, &Host)> = hosts.iter().enumerate().collect();
        let missing = all
            .iter()
            .filter(hears)
            .filter_map(|(index, host)| Some((*index, host.process.as_ref()?.epoch)))
            .collect();
        let (other, own) = if what == What::Up {
            (What::Down, What::Up)
        } else {
            (What::Up, What::Down)
        };
        self.waves.remove(&(key.clone(), other));
        self.waves.insert(
            (key.clone(), own),
            Wave {
                since: now,
                measured,
                missing,
            },
        );
        true
    }

    /// Whether everything has been heard of by all who must, or has had its time.
    pub fn is_done(&self) -> bool {
        self.waves.is_empty()
    }

    /// A host's daemon has heard of it.
    pub fn heard(&mut self, now: Instant, host: (usize, u64), key: &Key, what: What) {
        let Some(wave) = self.waves.get_mut(&(key.clone(), what)) else {
            return;
        };
        wave.missing.remove(&host);
        if wave.missing.is_empty() {
            let spans = if what == What::Up {
                &mut self.ups
            } else {
                &mut self.downs
            };
            spans.extend(wave.measured.then(|| now.since(wave.since)));
            self.waves.remove(&(key.clone(), what));
        }
    }

    /// So long after it began everybody must have heard, unless something went wrong meanwhile. Who
    /// never heard of a registration has nothing to hear of its end: there it must merely not be
    /// listed.
    pub fn expect(
        &mut self,
        since: Instant,
        (key, what): (&Key, What),
        undisturbed: bool,
        lists: impl Fn(usize) -> bool,
    ) -> Vec<String> {
        let Some(wave) = self
            .waves
            .get(&(key.clone(), what))
            .filter(|wave| wave.since == since)
        else {
            return Vec::new();
        };
        let mut missing: Vec<usize> = wave.missing.iter().map(|(host, _)| *host).collect();
        if what == What::Down {
            missing.retain(|host| lists(*host));
        }
        self.waves.remove(&(key.clone(), what));
        let (host, name, process) = key;
        let text = format!(
            "hosts {missing:?} have not heard within {BOUND:?} that {name}#{} on \
            host {host} is {what:?}",
            process.pid
        );
        if undisturbed && !missing.is_empty() {
            vec![text]
        } else {
            Vec::new()
        }
    }
}
