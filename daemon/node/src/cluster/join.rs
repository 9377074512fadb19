//! Joining: whom to dial, and how two nodes begin to talk.
//!
//! # Who speaks first
//!
//! Whoever has an address dials: a seed of the configuration, an address that a client gave, a
//! member that the disk has kept, a member that SWIM has a packet for. All seeds are dialled until
//! the node behind each is known: stopping at the first that answers leaves islands. The members
//! that the disk has kept come first, so that a cluster that was down as a whole comes back by
//! itself. A node dials nobody before its run is on its disk.
//!
//! TLS proves the cluster, the name and the id of both. Then, on channel 0, both say `Hello` at
//! once, and nothing but greetings is heard from a peer whose hello was not accepted.
//!
//! # Messages
//!
//! ```text
//! a ⇄ b   Hello { generation, nonce, profile }
//! b → a   Members([…])              accepted: the whole membership state, in chunks of 1,000
//! b → a   Roster { lines, … }       and the whole roster, in chunks of 200
//! b → a   (registry) vector         and how far each registry log has come there
//! ```
//!
//! `b` accepts a hello unless another start of the same node is or was there (`hello` says how it
//! judges), or another node that can be reached bears that name:
//!
//! ```text
//! b → a   NameTaken { bearer }      a stops: two hosts have certificates of one name
//! b → a   Above { run }             a was restored from a backup: it writes a higher run down, and
//! a → b   Hello { … }               says hello again
//! b → a′  Challenge                 a′ is an open connection of another start of a: does it live?
//! a′ → b  Present                   yes: the newcomer a is a clone of it,
//! b → a   Taken { address }         and stops; no answer in time: a′ is dead, a is judged anew
//! b → a   Ask                       a was accepted only now: what it sent before was not heard
//! ```
//!
//! # What may be lost
//!
//! Messages are lost only with their connection. If one ends, whoever has a packet for the peer
//! dials again, each second's round dials members that nobody else looks for, and the new
//! connection begins with `Hello`. Two that dial each other at once have two connections for a
//! moment; both are heard, and the transport says which one is kept. A hello that was not accepted
//! within 20 s closes its connection.
//!
//! # Bounds
//!
//! 64 seeds; 64 dials a round, 16 of them to members that are down; 8 dials at once to addresses at
//! which nobody has proved itself, with pauses of up to 128 s (`dials`); 8 connections of one peer; 4
//! packets that wait for a connection. A profile has at most 64 tags of 64 bytes.

mod request;

pub(super) use request::Requests;

use super::connections::Connections;
use super::dials;
use super::edge::Edge;
use super::io::Target;
use super::roster::Replica;
use super::search::{Outcome, Sought};
use super::swim::{Identity, Swim};
use crate::time::Instant;
use crate::wire::DialId;
use names::NodeId;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
use std::array;
use std::collections::BTreeMap;
use std::iter::Cycle;
use std::net::SocketAddr;
use std::time::Duration;

/// How often [`Seeds::round`] and [`dial_missing`] are to be called.
pub(super) const ROUND: Duration = Duration::from_secs(1);
/// Between two attempts at a seed while this node knows nobody, and in its first minute.
const EAGER: Duration = Duration::from_secs(1);
/// Between two attempts later on.
const PATIENT: Duration = Duration::from_secs(10);
/// After a name led to this node itself: others may come to bear it, too.
const AGAIN_AFTER_ITSELF: Duration = Duration::from_secs(60);
const FIRST_MINUTE: Duration = Duration::from_secs(60);
/// The seeds wait so long for the members that the disk has kept.
const KEPT_FIRST: Duration = Duration::from_millis(500);
/// To how many missing members this node announces itself in a round.
const SOUGHT: usize = 3;
/// How many members are dialled in a round, and how many of these may be down.
const DIALS_PER_ROUND: usize = 64;
const DOWN_PER_ROUND: usize = 16;
/// How long the attempts at a seed run that begin one after the other. A short one soon makes room for a
/// new first packet, which comes through as soon as a cut heals; a long one is enough on any link.
const LIMITS: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    dials::LONGEST,
];
/// The most attempts at one seed that are under way. Those of [`LIMITS`] are seven or eight, if one
/// begins each second.
const MAX_BESIDE: usize = 8;
/// The most seeds.
const MAX_SEEDS: usize = 64;

#[derive(Debug)]
struct Seed {
    address: String,
    /// The node that answered there.
    node: Option<NodeId>,
    dials: Vec<DialId>,
    /// The limits of the next attempts.
    limits: Cycle<array::IntoIter<Duration, 4>>,
    next: Instant,
    /// Whether a node has answered there since the start, this one too.
    was_reached: bool,
    /// What came of the last attempt.
    outcome: Option<Outcome>,
}

#[derive(Debug)]
pub(super) struct Seeds {
    me: NodeId,
    seeds: Vec<Seed>,
    started: Instant,
}

impl Seeds {
    /// The seeds of a node that is itself at `own`.
    pub(super) fn new(me: NodeId, own: SocketAddr, addresses: Vec<String>) -> Self {
        let seed = |address: String| Seed {
            was_reached: address.parse() == Ok(own),
            address,
            node: None,
            dials: Vec::new(),
            limits: LIMITS.into_iter().cycle(),
            next: Instant::default(),
            outcome: None,
        };
        Self {
            me,
            seeds: addresses.into_iter().take(MAX_SEEDS).map(seed).collect(),
            started: Instant::default(),
        }
    }

    /// The seeds that are written as addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.seeds
            .iter()
            .filter_map(|seed| seed.address.parse().ok())
    }

    /// The run is on disk: from now on seeds may be dialled.
    pub(super) fn start(&mut self, edge: &Edge, has_kept: bool) {
        self.started = edge.instant();
        let wait = if has_kept { KEPT_FIRST } else { Duration::ZERO };
        self.seeds
            .iter_mut()
            .for_each(|seed| seed.next = edge.instant() + wait);
    }

    /// Dials the seeds whose node is not known, as often as is due; announces this node where a
    /// connection stands.
    pub(super) fn round(
        &mut self,
        edge: &mut Edge,
        connections: &mut Connections,
        swim: &mut Swim,
        roster: &Replica,
    ) {
        let now = edge.instant();
        let eager = swim.active_count() == 0 || now.since(self.started) < FIRST_MINUTE;
        for seed in &mut self.seeds {
            seed.node = seed.node.or_else(|| bearer(swim, roster, &seed.address));
            let known = seed
                .node
                .is_some_and(|node| node == self.me || swim.is_active(node));
            seed.was_reached |= known;
            if known || seed.dials.len() == MAX_BESIDE || seed.next > now {
                continue;
            }
            seed.next = now + if eager { EAGER } else { PATIENT };
            let seen = |node| {
                let is_accepted = connections.current(node).is_some();
                swim.seen(node).filter(|_| is_accepted)
            };
            // Of a node that is greeting the hello, or the answer of its older start, is on its way.
            if seed.node.is_some_and(|node| connections.is_greeting(node)) {
                continue;
            }
            match seed.node.and_then(seen) {
                Some(seen) => swim.announce(edge, seen.identity),
                None => {
                    let limit = seed.limits.next().unwrap_or(dials::LONGEST);
                    let target = Target::Named(seed.address.clone());
                    let dial = connections.dial(edge, target, limit);
                    seed.dials.push(dial);
                }
            }
        }
    }

    /// An attempt was answered by a node.
    pub(super) fn answered(&mut self, dial: DialId, node: NodeId) {
        for seed in self.of_dial(dial) {
            (seed.node, seed.was_reached) = (Some(node), true);
        }
    }

    /// The attempts at seeds at which that node is.
    pub(super) fn under_way(&self, node: NodeId) -> impl Iterator<Item = DialId> {
        let seeds = self
            .seeds
            .iter()
            .filter(move |seed| seed.node == Some(node));
        seeds.flat_map(|seed| seed.dials.iter().copied())
    }

    /// An attempt has failed.
    pub(super) fn failed(&mut self, dial: DialId, outcome: &Outcome) {
        for seed in self.of_dial(dial) {
            seed.outcome = Some(outcome.clone());
        }
    }

    /// The seeds that this attempt was made for, which is over.
    fn of_dial(&mut self, dial: DialId) -> impl Iterator<Item = &mut Seed> {
        self.seeds.iter_mut().filter_map(move |seed| {
            let before = seed.dials.len();
            seed.dials.retain(|other| *other != dial);
            (seed.dials.len() < before).then_some(seed)
        })
    }

    /// The seeds that nobody has answered at since the start.
    pub(super) fn unreached(&self) -> impl Iterator<Item = Sought> {
        let silent = self.seeds.iter().filter(|seed| !seed.was_reached);
        silent.map(|seed| Outcome::of(seed.outcome.as_ref(), seed.address.clone()))
    }

    /// Whether there are seeds, and these are all of them.
    pub(super) fn is_every_one(&self, sought: &[Sought]) -> bool {
        !sought.is_empty() && sought.len() == self.seeds.len()
    }

    /// An attempt reached this node. An address stays its own; what a name means may change.
    pub(super) fn dialled_itself(&mut self, edge: &Edge, dial: DialId) {
        let me = self.me;
        for seed in self.of_dial(dial) {
            seed.was_reached = true;
            if seed.address.parse::<SocketAddr>().is_ok() {
                seed.node = Some(me);
            } else {
                seed.next = edge.instant() + AGAIN_AFTER_ITSELF;
            }
        }
    }
}

/// The reachable node that gives this very address as its own.
fn bearer(swim: &Swim, roster: &Replica, address: &str) -> Option<NodeId> {
    let address: SocketAddr = address.parse().ok()?;
    roster
        .roster()
        .members()
        .find(|(node, entry)| entry.profile.address == address && swim.is_active(*node))
        .map(|(node, _)| node)
}

/// Announces this node to connected members that nobody else looks for: foca does so to members that
/// it saw go down, but not when it has no active member left, and not to those that it never saw.
pub(super) fn announce_to_missing(
    edge: &mut Edge,
    (connections, swim): (&Connections, &mut Swim),
    roster: &Replica,
    rng: &mut ChaCha8Rng,
) {
    let idle = swim.active_count() == 0;
    let is_missed = |node: NodeId| {
        connections.current(node).is_some()
            && if idle {
                !swim.is_active(node)
            } else {
                swim.seen(node).is_none()
            }
    };
    let missed = roster.roster().members();
    let mut sought: Vec<Identity> = missed
        .filter(|(node, _)| is_missed(*node))
        .map(|(node, entry)| {
            let first = Identity::of_run(node, entry.profile.address, entry.run);
            swim.seen(node).map_or(first, |seen| seen.identity)
        })
        .sample(rng, SOUGHT);
    sought.sort_unstable_by_key(|identity| identity.node);
    for identity in sought {
        swim.announce(edge, identity);
    }
}

/// Dials members that are not connected: those that SWIM takes for alive first, then those who are
/// down, of each kind whoever was dialled least recently first.
pub(super) fn dial_missing(
    edge: &mut Edge,
    connections: &mut Connections,
    swim: &Swim,
    roster: &Replica,
) {
    let me = swim.identity().node;
    let members = roster.roster().members();
    let members = members.map(|(node, entry)| (node, entry.profile.address));
    let active = swim
        .active()
        .map(|identity| (identity.node, roster.address(identity)));
    let mut missing: BTreeMap<NodeId, SocketAddr> = active.chain(members).collect();
    missing.retain(|node, _| *node != me && !connections.is_reached(*node));
    connections.dials.keep(&missing.keys().copied().collect());
    let mut turns: Vec<_> = missing
        .into_iter()
        .map(|(node, addr)| {
            let turn = (!swim.is_active(node), connections.dials.dialled(node));
            (turn, node, addr)
        })
        .collect();
    turns.sort_unstable();
    let (mut begun, mut down) = (0, 0);
    for ((is_down, _), node, addr) in turns {
        if begun == DIALS_PER_ROUND || is_down && down == DOWN_PER_ROUND {
            break;
        }
        let is_begun = connections.ensure(edge, node, addr);
        begun += usize::from(is_begun);
        down += usize::from(is_begun && is_down);
    }
}
