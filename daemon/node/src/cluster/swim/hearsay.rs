//! What peers say of members, and how much of it is believed.
//!
//! A node tells its own identity in the head of its packets; all else in them is hearsay, which
//! [`belief`] judges by the evidence that this node has itself.

use super::codec;
use super::identity::Identity;
use super::{MAX_MEMBERS, Member, Seen, State, Swim, Timer};
use crate::belief::{self, Absence, Evidence, Proof};
use crate::cluster::edge::Edge;
use crate::codec::Malformed;
use crate::time::Instant;
use foca::Message;
use names::{NodeId, Role};
use std::time::Duration;

/// A member is asked for its own word on its generation once in so long.
const DOUBT_EACH: Duration = Duration::from_secs(1);

/// Whether something is said of a node in a later generation than the one in which that node speaks
/// itself.
fn is_ahead(member: &Member, own: Identity) -> bool {
    member.id().node == own.node && member.id().generation > own.generation
}

impl Swim {
    /// Takes a packet that came from `from`, as its connection proves.
    ///
    /// # Errors
    /// It is no packet, or it speaks for another node.
    pub(in crate::cluster) fn receive(
        &mut self,
        edge: &mut Edge,
        (from, role): (NodeId, Role),
        packet: &[u8],
        evidence: &impl Fn(NodeId) -> Evidence,
    ) -> Result<(), Malformed> {
        if let [kind, number] = *packet {
            if !self.frozen {
                self.receive_small(edge, from, [kind, number]);
            }
            return Ok(());
        }
        let (header, read) = codec::read_header(packet)?;
        if header.src.node != from {
            return Err(Malformed::rule("a packet in another node's name"));
        }
        if self.frozen
            || self.is_stray(&header.message)
            || self.is_unheard((from, role), &header.message)
        {
            return Ok(());
        }
        self.hear_answer(edge, &header);
        self.prove(edge, header.src);
        let now = edge.instant();
        let filtered = codec::without_members(packet, read, |member| {
            !is_ahead(member, header.src) && self.is_believed(now, (from, role), member, evidence)
        })?;
        let packet = filtered.as_deref().unwrap_or(packet);
        let packet = if self.seen.len() < MAX_MEMBERS {
            Some(packet)
        } else {
            packet.get(..read)
        };
        let result = self
            .foca
            .handle_data(packet.unwrap_or_default(), &mut self.sink);
        self.ask_doubted(edge);
        let refused = matches!(
            result,
            Err(foca::Error::Decode(_) | foca::Error::MalformedPacket | foca::Error::DataTooBig)
        );
        self.finish(edge, result);
        if refused {
            Err(Malformed::rule("not a packet of foca's"))
        } else {
            Ok(())
        }
    }

    /// Whether a packet asks to be passed on to a node that is not known here. Such a packet is
    /// ignored, so that it cannot make this node dial anybody.
    fn is_stray(&self, message: &Message<Identity>) -> bool {
        let target = match message {
            Message::PingReq { target, .. } | Message::IndirectAck { target, .. } => target,
            Message::Ping(_)
            | Message::Ack(_)
            | Message::IndirectPing { .. }
            | Message::ForwardedAck { .. } => return false,
            Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => return false,
        };
        !self.seen.contains_key(&target.node)
    }

    /// Whether an observer says that another node has answered it.
    fn is_unheard(&self, speaker: (NodeId, Role), message: &Message<Identity>) -> bool {
        match message {
            Message::ForwardedAck { origin, .. } => {
                !belief::is_heard(speaker, origin.node, self.identity().node)
            }
            Message::Ping(_)
            | Message::Ack(_)
            | Message::PingReq { .. }
            | Message::IndirectPing { .. }
            | Message::IndirectAck { .. } => false,
            Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => false,
        }
    }

    /// What a peer says of members, as far as it is believed.
    pub(in crate::cluster) fn believed(
        &mut self,
        edge: &mut Edge,
        mut members: Vec<Member>,
        from: (NodeId, Role),
        evidence: &impl Fn(NodeId) -> Evidence,
    ) -> Vec<Member> {
        let (now, me) = (edge.instant(), self.identity());
        let speaker = self.seen(from.0).map(|seen| seen.identity);
        members.retain(|member| {
            if speaker.is_some_and(|speaker| is_ahead(member, speaker)) || is_ahead(member, me) {
                return false;
            }
            member.id().node == me.node || self.is_believed(now, from, member, evidence)
        });
        self.ask_doubted(edge);
        members
    }

    /// Whether it is believed what `from` says of a member. A member that is said to be down although
    /// it may be there is put among the accused, one that is said to be in a later generation than it
    /// has told this node among the doubted.
    fn is_believed(
        &mut self,
        now: Instant,
        (from, role): (NodeId, Role),
        member: &Member,
        evidence: &impl Fn(NodeId) -> Evidence,
    ) -> bool {
        let (said, me) = (*member.id(), self.identity());
        if said.node == from {
            return true;
        }
        // This node alone knows of its generations to come: foca would take such a one for another member
        // at this node's address, and tell all that it is down.
        if is_ahead(member, me) {
            return false;
        }
        // A generation has one address. foca would take itself at another one for another member, and tell
        // all when that is down.
        if said.generation == me.generation && said.node == me.node && said != me {
            return false;
        }
        if !belief::is_heard((from, role), said.node, self.identity().node) {
            return false;
        }
        let (told, evidence) = ((said.generation, said.addr), evidence(said.node));
        if !self.generations.is_credible(said.node, told, evidence) {
            if self.generations.is_doubtful(said.node, told, evidence) {
                self.doubted.insert(said.node);
            }
            return false;
        }
        let seen = self.seen(said.node);
        if member.state() != State::Down {
            return !seen.is_some_and(|seen| self.is_revived(seen, member))
                || self.generations.may_revive(now, said.node);
        }
        // What is said of an earlier generation is old news, which foca passes over.
        let is_news = |seen: Seen| seen.is_active() && seen.identity.generation <= said.generation;
        let is_accused = seen.is_some_and(is_news)
            && belief::absence(from, said.node, evidence.is_present()) == Absence::AskSubject;
        if is_accused {
            self.accused.push(said.node);
        }
        !is_accused
    }

    /// Whether that would end what this node holds against a member, that it is down or suspect, or make
    /// it another identity, with which all probing begins anew.
    fn is_revived(&self, seen: Seen, said: &Member) -> bool {
        if said.id().generation > seen.identity.generation {
            return true;
        }
        match seen.state {
            State::Alive | State::Down => false,
            State::Suspect => {
                let mut members = self.foca.iter_membership_state();
                let held = members.find(|member| *member.id() == seen.identity);
                held.is_some_and(|held| said.incarnation() > held.incarnation())
            }
        }
    }

    /// Asks members that are said to be in a later generation for their own word, each once a second
    /// at most: whatever they answer carries their generation.
    fn ask_doubted(&mut self, edge: &mut Edge) {
        let now = edge.instant();
        for node in std::mem::take(&mut self.doubted) {
            self.asked.retain(|_, at| now.since(*at) < DOUBT_EACH);
            if let Some(seen) = self.seen(node)
                && !self.asked.contains_key(&node)
            {
                self.asked.insert(node, now);
                self.announce(edge, seen.identity);
            }
        }
    }

    /// The next member that is said to be down although it may be there.
    pub(in crate::cluster) fn poll_accused(&mut self) -> Option<NodeId> {
        self.accused.pop()
    }

    /// Takes the identity that a node itself tells, which wins over one that others have told.
    pub(super) fn prove(&mut self, edge: &mut Edge, identity: Identity) {
        let told = self.seen(identity.node).map(|seen| seen.identity);
        let before = told.map(|told| (told.generation, told.addr));
        let own = (identity.generation, identity.addr);
        let proof = self.generations.prove(identity.node, own, before);
        if let Some(lie) = told.filter(|_| proof == Proof::Refutes && !self.frozen) {
            tracing::debug!(node = %identity.node, "others have told a generation that a node never had");
            self.displace(edge, lie, identity);
        }
    }

    /// Puts the true identity of a node in the place of a false one.
    fn displace(&mut self, edge: &mut Edge, lie: Identity, truth: Identity) {
        let (foca, sink) = (&mut self.foca, &mut self.sink);
        let result = foca
            .apply_many(std::iter::once(Member::down(lie)), false, &mut *sink)
            .and_then(|()| foca.handle_timer(Timer::RemoveDown(lie), &mut *sink))
            .and_then(|()| {
                foca.apply_many(std::iter::once(Member::alive(truth)), true, &mut *sink)
            });
        self.finish(edge, result);
    }

    /// Takes a peer's whole state, which the others know already. Older identities of this node are
    /// left out: foca would take them for another node that is down, and announce itself to it.
    /// Members that the peer suspects are taken as alive: this node would tell nobody of the
    /// suspicion, so it would never be refuted, and it has no timer, so it would never end.
    pub(in crate::cluster) fn absorb(&mut self, edge: &mut Edge, mut members: Vec<Member>) {
        let me = self.identity();
        let room = MAX_MEMBERS.saturating_sub(self.seen.len());
        let mut fresh = 0;
        members.retain(|member| {
            let known = self.seen.contains_key(&member.id().node);
            fresh += usize::from(!known);
            (known || fresh <= room) && (member.id().node != me.node || *member.id() == me)
        });
        for member in members
            .iter_mut()
            .filter(|member| member.state() == State::Suspect && *member.id() != me)
        {
            *member = Member::new(*member.id(), member.incarnation(), State::Alive);
        }
        self.apply(edge, members, false);
    }
}
