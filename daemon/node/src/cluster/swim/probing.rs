//! What the prober wants, in foca's packets; and what packets mean to the prober.

use super::prober::{Act, Contact, Members, Timer as ProberTimer};
use super::{Identity, Member, State, Swim, codec};
use crate::cluster::edge::{Edge, Timer as Deadline};
use crate::time::Instant;
use bytes::Bytes;
use foca::{Header, Incarnation, Message};
use names::NodeId;
use std::time::Duration;

/// How long a member has at least to answer a message; and one that has never answered a ping.
const ANSWER: Duration = Duration::from_millis(500);
const UNMEASURED: Duration = Duration::from_secs(5);

impl Swim {
    /// From now on members are probed.
    pub(in crate::cluster) fn start_probing(&mut self, edge: &mut Edge) {
        self.prober.start(edge.instant());
        self.act(edge);
    }

    /// How long a message to a member and its answer may take: on a stream what was lost once is
    /// sent again after about the time that a ping has. `known` is the round trip that was measured
    /// there before, which counts where the prober has forgotten the link.
    pub(in crate::cluster) fn answer_limit(
        &self,
        node: NodeId,
        known: Option<Duration>,
    ) -> Duration {
        let link = self.prober.link(node).filter(|link| link.is_measured());
        let limit = link.map(super::link::Link::limit);
        // After a first measurement the variation counts as half of it.
        let limit = limit.or_else(|| known.map(|round_trip| round_trip * 3));
        limit.map_or(UNMEASURED, |limit| ANSWER.max(limit * 2))
    }

    /// The round trip to a member, if it has ever answered a ping.
    pub(in crate::cluster) fn round_trip(&self, node: NodeId) -> Option<Duration> {
        self.prober.link(node)?.round_trip()
    }

    /// The members that reach one which has not answered this node since, as far as probes have shown.
    pub(in crate::cluster) fn vouchers(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let link = self.prober.link(node).into_iter();
        link.flat_map(|link| link.vouchers.iter().copied())
    }

    /// The round trip to the nearest member that has ever answered a ping.
    pub(in crate::cluster) fn nearest(&self) -> Option<Duration> {
        let nodes = self.active().map(|identity| identity.node);
        nodes.filter_map(|node| self.round_trip(node)).min()
    }

    /// Learns how long a member takes to answer that has just been connected.
    pub(in crate::cluster) fn measure(&mut self, edge: &mut Edge, node: NodeId) {
        if self.is_active(node) && !self.frozen {
            self.prober.measure(edge.instant(), node);
            self.act(edge);
        }
    }

    /// The next member that this node has made suspect and that is to hear of it.
    pub(in crate::cluster) fn poll_suspected(&mut self) -> Option<Member> {
        self.suspected.pop_front()
    }

    /// A deadline of the prober has passed.
    pub(in crate::cluster) fn probe(
        &mut self,
        edge: &mut Edge,
        timer: ProberTimer,
        contact: &impl Fn(NodeId) -> Contact,
    ) {
        if self.frozen {
            return;
        }
        let now = edge.instant();
        match timer {
            ProberTimer::Period => {
                let members = self.foca.iter_members();
                let members: Members = members
                    .map(|member| (member.id().node, (*member.id(), member.incarnation())))
                    .collect();
                self.prober.period(now, &members, contact);
            }
            ProberTimer::Probe(node) => {
                let target = self.seen(node).filter(|seen| seen.is_active());
                let target = target.map(|seen| seen.identity);
                self.prober.probe(now, target, node, contact);
            }
            ProberTimer::Suspicion(node) => self.prober.suspicion_over(now, node, contact),
        }
        self.act(edge);
    }

    /// Tells the prober what a packet says of probes.
    pub(super) fn hear_answer(&mut self, edge: &mut Edge, header: &Header<Identity>) {
        match &header.message {
            Message::Ack(number) => {
                self.prober
                    .acknowledged(edge.instant(), header.src.node, *number);
                self.act(edge);
            }
            Message::ForwardedAck {
                origin,
                probe_number,
            } => self
                .prober
                .vouched(header.src.node, origin.node, *probe_number),
            Message::Ping(_)
            | Message::PingReq { .. }
            | Message::IndirectPing { .. }
            | Message::IndirectAck { .. } => {}
            Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => {}
        }
    }

    pub(super) fn act(&mut self, edge: &mut Edge) {
        for act in self.prober.take_acts() {
            match act {
                Act::Ping(node, number) => self.send(edge, node, Message::Ping(number)),
                Act::SmallPing(node, number) => self.ping_small(node, number),
                Act::Ask {
                    helper,
                    target,
                    number,
                } => {
                    if let Some(target) = self.seen(target).map(|seen| seen.identity) {
                        let probe_number = number;
                        let message = Message::PingReq {
                            target,
                            probe_number,
                        };
                        self.send(edge, helper, message);
                    }
                }
                Act::Suspect(identity, incarnation, overdue) => {
                    self.suspect(edge, (identity, incarnation), overdue);
                }
                Act::Declare(identity, incarnation) => self.declare(edge, identity, incarnation),
                Act::Set(at, timer) => edge.at(at, Deadline::Prober(timer)),
            }
        }
        let counts = self.prober.counts();
        edge.stats.probes_answered = counts.answered;
        edge.stats.probes_failed = counts.failed;
        edge.stats.stops = counts.stops;
        edge.stats.is_starved = self.prober.is_starved(edge.instant());
        edge.stats.health = u64::from(self.prober.health());
    }

    /// Sends a packet without updates. foca itself writes its head, as that of an announcement, so
    /// that it has this node's incarnation.
    pub(super) fn send(&mut self, edge: &mut Edge, to: NodeId, message: Message<Identity>) {
        let Some(seen) = self.seen(to) else { return };
        let before = self.sink.packets.len();
        let result = self.foca.announce(seen.identity, &mut self.sink);
        if self.sink.packets.len() > before
            && let Some((to, packet)) = self.sink.packets.pop_back()
            && let Ok((header, _)) = codec::read_header(&packet)
            && let Ok(packet) = codec::header_bytes(&Header { message, ..header })
        {
            self.sink.packets.push_back((to, Bytes::from(packet)));
        }
        self.finish(edge, result);
    }

    fn suspect(
        &mut self,
        edge: &mut Edge,
        (identity, incarnation): (Identity, Incarnation),
        overdue: Instant,
    ) {
        let suspect = Member::new(identity, incarnation, State::Suspect);
        self.apply(edge, vec![suspect.clone()], true);
        if self.is_suspect(&suspect) {
            self.prober
                .suspect(edge.instant(), (identity, incarnation), overdue);
            self.suspected.push_back(suspect);
            self.act(edge);
        }
    }

    /// Whether a member is suspect in that very incarnation.
    fn is_suspect(&self, suspect: &Member) -> bool {
        self.foca.iter_members().any(|member| member == suspect)
    }

    fn declare(&mut self, edge: &mut Edge, identity: Identity, incarnation: Incarnation) {
        if self.is_suspect(&Member::new(identity, incarnation, State::Suspect)) {
            edge.stats.declared_down += 1;
            let down = Member::new(identity, incarnation, State::Down);
            self.apply(edge, vec![down], true);
            self.send(edge, identity.node, Message::TurnUndead);
        }
    }
}
