//! Membership by SWIM (Das et al. 2002), on datagrams: the only module that knows foca.
//!
//! Every member begins to probe another one four times a second (`prober` tells whom and for how
//! long). Whoever does not answer in the time that its link needs is asked for by others, then
//! suspected, then declared down. What a member learns it passes on with packets of its own and with
//! its answers, so that nobody needs to talk to everybody.
//!
//! # Messages
//!
//! A packet is a header (sender, receiver, what it is) and, in the room that is left, updates:
//! lines of the membership state that were sent fewer than 15 times. `a` probes `b`, and `b` lives,
//! but the way between them is cut:
//!
//! ```text
//! a → b   Ping             four times within the time that b has, without updates
//! b → a   Ack              with the ping's number: so a learns how long b takes
//! a → c   PingReq(b)       nothing has come from b: three others are asked to try
//! c → b   IndirectPing
//! b → c   IndirectAck
//! c → a   ForwardedAck     b is alive; without this, a suspects b
//! a → b   Members([b])     by message: b hears at once that it is suspected
//! a → …   Gossip           { b, incarnation 4, suspect }: three members each 100 ms
//! b → …   Gossip           { b, incarnation 5, alive }: the accused alone may refute it
//! ```
//!
//! A ping and its answer that go over a connection need not say from whom and to whom they are. So
//! between programs that know it they are two bytes (`small`), which say what they are and the number.
//!
//! `Announce` asks a node for whom it knows, and `Feed` answers: so a newcomer gets in, and so two
//! halves of a partition find each other again (three members that are down are announced to every
//! 2 s, one that is alive every 10 s, but not where a link is metered and all are connected). `TurnUndead` tells a node that it was declared down: it
//! takes a new generation of its identity, and is alive again.
//!
//! # What may be lost
//!
//! Any packet may be lost, late, doubled or out of order. A lost ping is made good by the three that
//! repeat it, and by anything else that comes from its member: at 5 % loss each way all four go
//! unanswered once in ten thousand probes, and then helpers are asked. A lost update is made good by
//! its repetitions, and by `Message::Members`, the whole state that the joining protocol sends on each
//! new connection. Pings carry no updates, so that each is as small as can be; what that costs is the
//! few copies that they would have carried of the 15 that each member sends of an update.
//!
//! A suspicion of this node's own ends in the suspect's death after a second, and after four round
//! trips at least, times the local health, unless the suspect refutes it or something comes from it;
//! one that has lasted for a second is told to the accused again by message.
//!
//! # Bounds
//!
//! How far others are believed on a node's generation is decided in [`belief`](crate::belief).
//!
//! Packets of 1,150 bytes, which fit a datagram at an MTU of 1,200. 10,000 members, beyond which no
//! more are learnt. A node that is down is forgotten after a day.
//!
//! # What foca lacks
//!
//! foca 2.0.0 keeps members, their incarnations and what is to be passed on, and answers the pings of
//! others. It would probe one member at a time, with one time for all answers: so a far member would
//! always be suspected, and would slow down the probing of near ones. Its probing is never begun; the
//! prober speaks by foca's own messages, which programs with foca's prober answer, too.

mod codec;
mod config;
mod hearsay;
mod identity;
mod link;
mod prober;
mod probing;
mod sighting;
mod sink;
mod small;

pub(super) use config::ANNOUNCE_EACH;
pub(super) use foca::State;
pub(super) use identity::Identity;
pub(super) use prober::{Contact, Timer as ProberTimer};
pub(super) use sighting::{Seen, Sighting};

use super::edge::{Edge, Timer as Deadline};
use crate::belief::Generations;
use crate::time::Instant;
use bytes::Bytes;
use codec::Codec;
use foca::{Foca, NoCustomBroadcast};
use names::NodeId;
use prober::Prober;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sink::Sink;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A deadline of foca's.
pub(super) type Timer = foca::Timer<Identity>;
/// Whether a deadline of foca's is that of its periodic announcement.
pub(super) fn is_announcement(timer: &Timer) -> bool {
    matches!(timer, Timer::PeriodicAnnounce(_))
}

/// A line of the membership state, as it travels.
pub(super) type Member = foca::Member<Identity>;

/// The most members that are learnt from others. At this number packets are read without the
/// updates they carry.
pub(super) const MAX_MEMBERS: usize = 10_000;

pub(super) struct Swim {
    foca: Foca<Identity, Codec, ChaCha8Rng, NoCustomBroadcast>,
    sink: Sink,
    seen: BTreeMap<NodeId, Seen>,
    generations: Generations,
    sightings: VecDeque<Sighting>,
    prober: Prober,
    /// Members that this node has made suspect, who are to hear of it at once.
    suspected: VecDeque<Member>,
    /// The members that were suspect a round ago.
    suspects: BTreeSet<NodeId>,
    /// Members that others say are down although they may be there.
    accused: Vec<NodeId>,
    /// Members that others say are in a later generation than they have told themselves; and when
    /// each was asked for its own word.
    doubted: BTreeSet<NodeId>,
    asked: BTreeMap<NodeId, Instant>,
    /// Set when this node goes: foca would answer the news of its own end by a renewal.
    frozen: bool,
}

impl Swim {
    pub(super) fn new(identity: Identity, mut rng: ChaCha8Rng) -> Self {
        let prober = Prober::new(ChaCha8Rng::from_rng(&mut rng));
        let foca = Foca::new(identity, config::config(), rng, Codec);
        let (sink, seen, sightings, suspects) = (
            Sink::default(),
            BTreeMap::new(),
            VecDeque::new(),
            BTreeSet::new(),
        );
        Self {
            foca,
            sink,
            seen,
            generations: Generations::default(),
            sightings,
            prober,
            suspected: VecDeque::new(),
            suspects,
            accused: Vec::new(),
            doubted: BTreeSet::new(),
            asked: BTreeMap::new(),
            frozen: false,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        *self.foca.identity()
    }

    /// What is known of a node; of this one nothing.
    pub(super) fn seen(&self, node: NodeId) -> Option<Seen> {
        self.seen.get(&node).copied()
    }

    pub(super) fn is_active(&self, node: NodeId) -> bool {
        self.seen(node).is_some_and(Seen::is_active)
    }

    /// Members that are alive or suspect, without this node.
    pub(super) fn active(&self) -> impl Iterator<Item = Identity> {
        self.seen
            .values()
            .filter(|seen| seen.is_active())
            .map(|seen| seen.identity)
    }

    pub(super) fn active_count(&self) -> usize {
        self.foca.num_members()
    }

    /// All that is known, with this node in front, to be sent to a new peer.
    pub(super) fn state(&self) -> Vec<Member> {
        let others = self
            .foca
            .iter_membership_state()
            .filter(|member| member.id().node != self.identity().node);
        std::iter::once(Member::alive(self.identity()))
            .chain(others.cloned())
            .collect()
    }

    /// Members that are suspect, and were a round ago. The accused may never have heard of it: foca
    /// tells an accusation a few times and then no more, and forgets its deadline when it renews or
    /// is alone for a while.
    pub(super) fn lasting_suspects(&mut self) -> Vec<Member> {
        let suspects = self
            .foca
            .iter_membership_state()
            .filter(|member| member.state() == State::Suspect);
        let now: Vec<Member> = suspects.cloned().collect();
        let before = std::mem::replace(
            &mut self.suspects,
            now.iter().map(|member| member.id().node).collect(),
        );
        now.into_iter()
            .filter(|member| before.contains(&member.id().node))
            .collect()
    }

    /// Goes on as a newer identity of the same node.
    pub(super) fn become_identity(&mut self, edge: &mut Edge, identity: Identity) {
        self.prober.begin_anew();
        let result = self.foca.change_identity(identity, &mut self.sink);
        self.finish(edge, result);
    }

    /// A deadline of foca's has passed.
    pub(super) fn fire(&mut self, edge: &mut Edge, timer: Timer) {
        if !self.frozen {
            let result = self.foca.handle_timer(timer, &mut self.sink);
            self.finish(edge, result);
        }
    }

    /// Takes the word of the peer itself that it is there, which is worth telling others.
    pub(super) fn greet(&mut self, edge: &mut Edge, identity: Identity) {
        self.prove(edge, identity);
        self.apply(edge, vec![Member::alive(identity)], true);
    }

    /// Takes the word of the peer itself that it goes.
    pub(super) fn dismiss(&mut self, edge: &mut Edge, node: NodeId) {
        if let Some(seen) = self.seen(node) {
            self.apply(edge, vec![Member::down(seen.identity)], false);
        }
    }

    /// Declares a member down that others have accused and that does not answer; tells others of it.
    pub(super) fn declare_down(&mut self, edge: &mut Edge, node: NodeId) {
        if let Some(seen) = self.seen(node).filter(|seen| seen.is_active()) {
            self.apply(edge, vec![Member::down(seen.identity)], true);
        }
    }

    /// Takes what is said of members; tells others of it if `tell`.
    pub(super) fn apply(&mut self, edge: &mut Edge, members: Vec<Member>, tell: bool) {
        if !self.frozen {
            let result = self
                .foca
                .apply_many(members.into_iter(), tell, &mut self.sink);
            self.finish(edge, result);
        }
    }

    /// Says to a node that this one is there, and asks it whom it knows.
    pub(super) fn announce(&mut self, edge: &mut Edge, to: Identity) {
        if !self.frozen {
            let result = self.foca.announce(to, &mut self.sink);
            self.finish(edge, result);
        }
    }

    /// Forgets a node that is down, so that nobody is announced to for ever.
    pub(super) fn forget(&mut self, edge: &mut Edge, node: NodeId) {
        if let Some(seen) = self.seen(node).filter(|seen| !seen.is_active()) {
            let result = self
                .foca
                .handle_timer(Timer::RemoveDown(seen.identity), &mut self.sink);
            self.finish(edge, result);
        }
    }

    /// Ignores all that others say from now on.
    pub(super) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Tells a few members that this node is gone.
    pub(super) fn leave(&mut self, edge: &mut Edge) {
        self.freeze();
        let result = self.foca.leave_cluster(&mut self.sink);
        self.finish(edge, result);
    }

    pub(super) fn poll_packet(&mut self) -> Option<(Identity, Bytes)> {
        self.sink.packets.pop_front()
    }

    pub(super) fn poll_sighting(&mut self) -> Option<Sighting> {
        self.sightings.pop_front()
    }

    /// Takes what a call of foca has left in the sink: timers, and what is counted.
    fn finish(&mut self, edge: &mut Edge, result: Result<(), foca::Error>) {
        if let Err(error) = result {
            tracing::debug!(%error, "swim refused an input");
        }
        for (after, timer) in std::mem::take(&mut self.sink.timers) {
            edge.after(after, Deadline::Swim(timer));
        }
        let renewals = std::mem::take(&mut self.sink.rejoins);
        if renewals > 0 {
            self.prober.begin_anew();
        }
        edge.stats.renewals += renewals;
        self.sink.downs = 0;
        self.compare();
    }

    /// foca tells of members that come and go, but not of those that become suspect.
    fn compare(&mut self) {
        let me = self.foca.identity().node;
        for member in self
            .foca
            .iter_membership_state()
            .filter(|member| member.id().node != me)
        {
            let after = Seen {
                identity: *member.id(),
                state: member.state(),
            };
            let before = self.seen.get(&after.identity.node).copied();
            if before != Some(after) {
                self.seen.insert(after.identity.node, after);
                self.sightings.push_back(Sighting {
                    node: after.identity.node,
                    before,
                    after: Some(after),
                });
            }
        }
        // One more in foca's table may be an older identity of this very node.
        if self.seen.len()
            > self
                .foca
                .iter_membership_state()
                .filter(|member| member.id().node != me)
                .count()
        {
            self.drop_removed();
        }
    }

    fn drop_removed(&mut self) {
        let left: BTreeSet<NodeId> = self
            .foca
            .iter_membership_state()
            .map(|member| member.id().node)
            .collect();
        let gone: Vec<(NodeId, Seen)> = self
            .seen
            .iter()
            .filter(|(node, _)| !left.contains(*node))
            .map(|(n, s)| (*n, *s))
            .collect();
        self.prober.retain(|node| left.contains(&node));
        for (node, before) in gone {
            self.seen.remove(&node);
            self.sightings.push_back(Sighting {
                node,
                before: Some(before),
                after: None,
            });
        }
    }
}
