//! Signals are sent for a reason, and where there is one they are: a linked process gets SIGTERM if
//! and only if the other is really down (or out of sight, when the link says so), a loser if and
//! only if it asked for that, nobody else.

use crate::registrants::{Cause, Fact, Key, Registrants, Standing};
use crate::world::World;
use crdt::registry::Process;
use names::Handle;
use node::registry::Signal;
use node::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For how long after its start a daemon waits for nodes to come in sight, before it acts upon that
/// they are not.
pub const LOOKOUT: Duration = Duration::from_secs(15);

/// A link that was asked for.
#[derive(Clone, Debug)]
struct Link {
    other: Handle,
    unreachable: bool,
    since: Instant,
    standing: Standing,
    /// The other was told to be out of sight while the link was there, and that counts.
    hidden: bool,
    /// It is of an earlier daemon, and the one that runs has yet to see the other: that counts once
    /// it has looked out.
    unseen: bool,
    /// The other was not surely registered when the link was made: it may count as gone.
    shaky: bool,
}

/// A signal that a daemon sent to one process.
#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    epoch: u64,
    signal: Signal,
    /// Why it may have been sent.
    reasons: BTreeSet<Why>,
}

/// A reason for a signal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The link of that registration to that one, asked for then.
    Link(Key, Handle, Instant),
    /// That registration lost its name then.
    Lost(Key, Instant),
}

/// A registration's loss of its name.
#[derive(Clone, Copy, Debug)]
struct Loss {
    at: Instant,
    /// Which daemon said so.
    epoch: u64,
    /// Whether the process then surely had to end.
    must_end: bool,
}

/// All links and all signals of a run.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<Key, Vec<Link>>,
    sent: BTreeMap<(usize, Process), Vec<Sent>>,
    /// Registrations that lost their names, the last time that they did.
    lost: BTreeMap<Key, Loss>,
    /// How many links were made.
    pub made: u64,
}

impl Links {
    /// A link is asked for; bound to each of these, if it is made. With each, whether it is not
    /// surely registered.
    pub fn ask(&mut self, key: &Key, others: &[(Handle, bool)], unreachable: bool, since: Instant) {
        let links = self.links.entry(key.clone()).or_default();
        for (other, shaky) in others {
            // It takes the place of an earlier link to the same, which may count on other things.
            for earlier in replaced(links, (other, unreachable), since) {
                if earlier.standing == Standing::Held {
                    earlier.standing = Standing::Doubtful;
                }
            }
            if !links
                .iter()
                .any(|link| link.other == *other && link.since == since)
            {
                let (other, standing, hidden, unseen, shaky) =
                    (other.clone(), Standing::Doubtful, false, false, *shaky);
                links.push(Link {
                    other,
                    unreachable,
                    since,
                    standing,
                    hidden,
                    unseen,
                    shaky,
                });
            }
        }
    }

    /// What was asked for since then was carried out, or refused; nothing if nobody can know.
    pub fn answer(&mut self, key: &Key, since: Instant, made: bool) {
        let Some(links) = self.links.get_mut(key) else {
            return;
        };
        let mut asked: Vec<&mut Link> = links
            .iter_mut()
            .filter(|link| link.since == since && link.standing == Standing::Doubtful)
            .collect();
        let sure = asked.len() == 1;
        let only = asked
            .first()
            .map(|link| (link.other.clone(), link.unreachable));
        self.made += u64::from(made);
        for link in &mut asked {
            match (made, sure) {
                (true, true) => link.standing = Standing::Held,
                (true, false) => {}
                (false, _) => link.standing = Standing::Gone,
            }
        }
        if let Some((other, unreachable)) = only.filter(|_| made && sure) {
            for earlier in replaced(links, (&other, unreachable), since) {
                earlier.standing = Standing::Gone;
            }
        }
    }

    /// All links of a registration to these others were taken back, or may have been.
    pub fn cut(&mut self, key: &Key, is_other: impl Fn(&Handle) -> bool, surely: bool) {
        let links = self.links.get_mut(key).into_iter().flatten();
        for link in links.filter(|link| is_other(&link.other)) {
            if link.standing != Standing::Gone {
                link.standing = if surely {
                    Standing::Gone
                } else {
                    Standing::Doubtful
                };
            }
        }
    }

    /// A registration may have ended, and its links with it; or may be back, with them.
    pub fn doubt(&mut self, key: &Key) {
        self.links
            .get_mut(key)
            .into_iter()
            .flatten()
            .for_each(|link| link.standing = Standing::Doubtful);
    }

    /// A registration has ended, and its links with it.
    pub fn end(&mut self, key: &Key) {
        self.links
            .get_mut(key)
            .into_iter()
            .flatten()
            .for_each(|link| link.standing = Standing::Gone);
    }

    /// A registration has begun anew: the links that it had before have ended.
    pub fn begin(&mut self, key: &Key, at: Instant) {
        let old = self
            .links
            .get_mut(key)
            .into_iter()
            .flatten()
            .filter(|link| link.since < at);
        old.for_each(|link| link.standing = Standing::Gone);
    }

    /// A daemon told that a registration has lost its name.
    pub fn lost(&mut self, key: &Key, (epoch, at): (u64, Instant), must_end: bool) {
        let loss = Loss {
            at,
            epoch,
            must_end,
        };
        self.lost.insert(key.clone(), loss);
    }

    /// A host's daemon told that the node of a registration went out of sight.
    pub fn hidden(&mut self, host: usize, other: &Handle) {
        self.on(host)
            .filter(|link| link.other == *other && link.standing == Standing::Held)
            .for_each(|link| link.hidden = true);
    }

    /// A host's daemon that started then told of a registration whose node is not in sight. It may
    /// still come, for links that are older than the daemon, until that has looked out.
    pub fn unseen(&mut self, host: usize, other: &Handle, (started, looked_out): (Instant, bool)) {
        for link in self
            .on(host)
            .filter(|link| link.other == *other && link.standing == Standing::Held)
        {
            let waits = link.since < started && !looked_out;
            (link.unseen, link.hidden) = (waits, link.hidden || !waits);
        }
    }

    /// A host's daemon told that the node of a registration is in sight.
    pub fn seen(&mut self, host: usize, other: &Handle) {
        self.on(host)
            .filter(|link| link.other == *other)
            .for_each(|link| link.unseen = false);
    }

    /// A host's daemon has looked out: who is not in sight by now, is not.
    pub fn looked_out(&mut self, host: usize) {
        self.on(host)
            .for_each(|link| link.hidden |= std::mem::take(&mut link.unseen));
    }

    /// A host's daemon has ended: the next one looks out anew.
    pub fn daemon_ended(&mut self, host: usize) {
        self.on(host).for_each(|link| link.unseen = false);
    }

    fn on(&mut self, host: usize) -> impl Iterator<Item = &mut Link> {
        self.links
            .iter_mut()
            .filter(move |((at, ..), _)| *at == host)
            .flat_map(|(_, links)| links)
    }

    fn of(&self, host: usize, process: Process) -> impl Iterator<Item = (&Key, &Link)> {
        let its = self
            .links
            .iter()
            .filter(move |((at, _, its), _)| *at == host && *its == process);
        its.flat_map(|(key, links)| links.iter().map(move |link| (key, link)))
    }
}

/// The links to the same other on other terms, of which one that was asked for at `since` takes the
/// place. Those that have counted already are not among them: their process was to be signalled
/// before.
fn replaced<'a>(
    links: &'a mut [Link],
    (other, unreachable): (&'a Handle, bool),
    since: Instant,
) -> impl Iterator<Item = &'a mut Link> {
    links.iter_mut().filter(move |link| {
        let is_earlier = link.other == *other && link.since < since;
        is_earlier && link.unreachable != unreachable && !link.hidden
    })
}

/// A daemon sends a signal: whether it may.
pub fn at_signal(
    registrants: &mut Registrants,
    now: Instant,
    (host, epoch): (usize, u64),
    (process, signal): (Process, Signal),
    kill_after: Duration,
) -> Vec<String> {
    let reasons = reasons(registrants, now, (host, epoch), process);
    let has_reason = !reasons.is_empty();
    let sent = registrants.links.sent.entry((host, process)).or_default();
    sent.push(Sent {
        at: now,
        epoch,
        signal,
        reasons,
    });
    let of = |kind: Signal| {
        sent.iter()
            .filter(move |sent| sent.epoch == epoch && sent.signal == kind)
    };
    let (terms, kills) = (of(Signal::Term).count(), of(Signal::Kill).count());
    // Each signal has a reason of its own, though its registration may have ended since.
    let known: BTreeSet<&Why> = of(Signal::Term).flat_map(|sent| &sent.reasons).collect();
    let late = kill_after.is_zero()
        || !sent
            .iter()
            .any(|sent| sent.signal == Signal::Term && now.since(sent.at) >= kill_after);
    let wrong = match signal {
        Signal::Term if !has_reason || terms > known.len() => {
            format!("the {terms}th SIGTERM, with these reasons for all: {known:?}")
        }
        Signal::Kill if late || kills > terms => {
            format!("SIGKILL, with no SIGTERM {kill_after:?} before")
        }
        Signal::Term | Signal::Kill => return Vec::new(),
    };
    vec![format!(
        "host {host} sent its process {} {wrong}",
        process.pid
    )]
}

/// Why a process may be signalled now.
fn reasons(
    registrants: &Registrants,
    now: Instant,
    (host, epoch): (usize, u64),
    process: Process,
) -> BTreeSet<Why> {
    let links = registrants.links.of(host, process);
    let fires = |link: &Link| {
        link.standing != Standing::Gone && (link.hidden || may_fire(registrants, now, link))
    };
    let linked = links
        .filter(|(_, link)| fires(link))
        .map(|(key, link)| Why::Link(key.clone(), link.other.clone(), link.since));
    let ends_when_lost = |key: &Key| {
        let fact = registrants.facts.get(key);
        fact.is_some_and(Fact::may_end_when_lost)
    };
    let lost = registrants
        .links
        .lost
        .iter()
        .filter(|((at, _, its), loss)| *at == host && *its == process && loss.epoch == epoch);
    let lost = lost
        .filter(|(key, _)| ends_when_lost(key))
        .map(|(key, loss)| Why::Lost(key.clone(), loss.at));
    linked.chain(lost).collect()
}

/// Whether a link's other end may be seen as down for good, or as out of sight where that counts.
/// That its node was declared gone may be heard long after, when the node is back already.
fn may_fire(registrants: &Registrants, now: Instant, link: &Link) -> bool {
    let fact = registrants
        .key(&link.other)
        .and_then(|key| registrants.facts.get(key));
    link.unreachable
        || link.shaky
        || fact.is_none_or(|fact| {
            fact.standing(now) != Standing::Held
                || fact
                    .ends
                    .iter()
                    .any(|(at, cause)| *at >= link.since || *cause == Cause::Left)
        })
}

/// At the end: whoever had to be signalled was.
pub fn check(world: &World) -> Vec<String> {
    let (now, registrants) = (world.now(), &world.registrants);
    let mut found = Vec::new();
    let stands = |key: &Key| {
        registrants
            .facts
            .get(key)
            .is_some_and(|fact| fact.standing(now) == Standing::Held)
    };
    for (key, links) in registrants
        .links
        .links
        .iter()
        .filter(|(key, _)| stands(key))
    {
        let (host, name, process) = key;
        let terms = registrants
            .links
            .sent
            .get(&(*host, *process))
            .into_iter()
            .flatten();
        let last = terms
            .filter(|sent| sent.signal == Signal::Term)
            .map(|sent| sent.at)
            .max();
        for link in links.iter().filter(|link| {
            link.standing == Standing::Held && last.is_none_or(|last| last < link.since)
        }) {
            let other = registrants
                .key(&link.other)
                .and_then(|key| registrants.facts.get(key));
            // Nobody keeps count of the liar's registrations.
            if other.is_none() && world.liar.is_some() {
                continue;
            }
            let is_down = other.is_none_or(|fact| fact.standing(now) == Standing::Gone);
            if is_down || (link.unreachable && link.hidden) {
                found.push(format!(
                    "{name} on host {host} was not told that {} is gone or out of \
                    sight",
                    link.other
                ));
            }
        }
    }
    for (key, loss) in registrants
        .links
        .lost
        .iter()
        .filter(|(key, loss)| loss.must_end && stands(key))
    {
        if !registrants
            .links
            .sent
            .get(&(key.0, key.2))
            .into_iter()
            .flatten()
            .any(|sent| sent.epoch == loss.epoch)
        {
            found.push(format!(
                "{} on host {} lost its name, and was not told to \
                end",
                key.1, key.0
            ));
        }
    }
    found
}
