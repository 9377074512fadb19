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
use foca::Message;
use names::{NodeId, Role};

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
        let mut accused = Vec::new();
        let filtered = codec::without_members(packet, read, |member| {
            self.is_believed((from, role), member, evidence, &mut accused)
        })?;
        self.accused.extend(accused);
        let packet = filtered.as_deref().unwrap_or(packet);
        let packet = if self.seen.len() < MAX_MEMBERS {
            Some(packet)
        } else {
            packet.get(..read)
        };
        let result = self
            .foca
            .handle_data(packet.unwrap_or_default(), &mut self.sink);
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
        mut members: Vec<Member>,
        from: (NodeId, Role),
        evidence: &impl Fn(NodeId) -> Evidence,
    ) -> Vec<Member> {
        let mut accused = Vec::new();
        members.retain(|member| {
            member.id().node == self.identity().node
                || self.is_believed(from, member, evidence, &mut accused)
        });
        self.accused.extend(accused);
        members
    }

    /// Whether it is believed what `from` says of a member. A member that is said to be down although
    /// it may be there is put among the accused.
    fn is_believed(
        &self,
        (from, role): (NodeId, Role),
        member: &Member,
        evidence: &impl Fn(NodeId) -> Evidence,
        accused: &mut Vec<NodeId>,
    ) -> bool {
        let said = *member.id();
        if said.node == from {
            return true;
        }
        if !belief::is_heard((from, role), said.node, self.identity().node) {
            return false;
        }
        let evidence = evidence(said.node);
        if !self
            .generations
            .is_credible(said.node, said.generation, evidence)
        {
            return false;
        }
        // What is said of an earlier generation is old news, which foca passes over.
        let is_news = |seen: Seen| seen.is_active() && seen.identity.generation <= said.generation;
        let is_accused = member.state() == State::Down
            && self.seen(said.node).is_some_and(is_news)
            && belief::absence(from, said.node, evidence.is_present()) == Absence::AskSubject;
        if is_accused {
            accused.push(said.node);
        }
        !is_accused
    }

    /// The next member that is said to be down although it may be there.
    pub(in crate::cluster) fn poll_accused(&mut self) -> Option<NodeId> {
        self.accused.pop()
    }

    /// Takes the identity that a node itself tells, which wins over one that others have told.
    pub(super) fn prove(&mut self, edge: &mut Edge, identity: Identity) {
        let told = self.seen(identity.node).map(|seen| seen.identity);
        let generation = told.map(|told| told.generation);
        let proof = self
            .generations
            .prove(identity.node, identity.generation, generation);
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
