//! Declaring that members are away on purpose. How such a statement spreads and when it is over is told in
//! [`roster`](super::roster).

use super::Cluster;
use super::ask;
use super::io::{MemberState, Refusal, Reply, RosterView};
use super::kept::Change;
use super::message::Message;
use super::roster::ms;
use crate::time::Wall;
use crate::wire::{ConnId, Protocol, RequestId};
use bytes::Bytes;
use crdt::roster::{Away, Notice};
use names::{NodeId, NodeName};

/// What was declared of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwayView {
    /// Until when it is away; `None` where it is so no longer.
    pub until: Option<Wall>,
    /// Why.
    pub why: String,
    /// Who has asked for it, as the node says that has declared it.
    pub by: String,
    /// When, by that node's clock.
    pub at: Wall,
    /// That node, as its signature shows.
    pub sayer: NodeId,
}

/// A member that a client has declared away, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The member.
    pub node: NodeId,
    /// Its name.
    pub name: NodeName,
    /// What counts from now on.
    pub away: AwayView,
}

/// Why a member cannot be declared away, for all that this node sees.
fn refused(view: &RosterView, node: NodeId, force: bool) -> Option<Refusal> {
    let name = |member: &super::MemberView| member.profile.name.clone();
    let subject = view.member(node)?;
    if subject.state == MemberState::Left {
        return Some(Refusal::HasLeft(name(subject)));
    }
    if node == view.me || subject.state.is_reachable() {
        return Some(Refusal::IsHere(name(subject)));
    }
    let expected = view.expected().count();
    let reachable = view.expected().filter(|one| one.state.is_reachable());
    let reachable = reachable.count();
    let lacks_majority = 2 * reachable <= expected && !force;
    lacks_majority.then_some(Refusal::NoMajority {
        reachable,
        expected,
    })
}

impl Cluster {
    /// Begins to declare a member away; it is so when it is on disk.
    pub(super) fn declare_away(&mut self, id: RequestId, ask: ask::Away) {
        let ask::Away {
            member,
            span_ms,
            why,
            by,
            force,
        } = ask;
        let Some((node, name)) = self.named(&member) else {
            return self.reply(id, Err(Refusal::Unknown(member)));
        };
        let view = self.viewer.shown();
        if let Some(refusal) = view.and_then(|view| refused(view, node, force)) {
            return self.reply(id, Err(refusal));
        }
        let notice = Notice {
            until_ms: Some(ms(self.edge.now.wall).saturating_add(span_ms)),
            why,
            by,
        };
        self.say_away(id, (node, name), &notice);
    }

    /// Begins to say that a member is away no longer.
    pub(super) fn declare_back(&mut self, id: RequestId, ask: ask::Back) {
        let ask::Back { member, by } = ask;
        let Some((node, name)) = self.named(&member) else {
            return self.reply(id, Err(Refusal::Unknown(member)));
        };
        if self.roster.away_by(node, self.edge.now.wall).is_none() {
            return self.reply(id, Err(Refusal::NotAway(name)));
        }
        let notice = Notice {
            by,
            ..Notice::default()
        };
        self.say_away(id, (node, name), &notice);
    }

    fn named(&self, text: &str) -> Option<(NodeId, NodeName)> {
        let node = self.find(text)?;
        let line = self.roster.roster().get(node)?;
        Some((node, line.profile.name.clone()))
    }

    fn say_away(&mut self, id: RequestId, (node, name): (NodeId, NodeName), notice: &Notice) {
        let now = self.edge.now.wall;
        match self.roster.draft_away(node, now, notice) {
            Some(away) => self.begin(id, Change::Away(away)),
            None => self.reply(id, Err(Refusal::Unproved(name))),
        }
    }

    /// What was said is on the disk: now it counts, and others are told.
    pub(super) fn away_is_kept(&mut self, away: Away) -> Result<Reply, Refusal> {
        let (node, bytes) = (away.subject(), away.relayed().bytes().clone());
        let line = self.roster.own_line(node);
        if !line.is_some_and(|line| away.is_about(line)) {
            // It was seen while this was written.
            let named = self.roster.roster().get(node);
            return Err(named.map_or(Refusal::Unknown(node.to_string()), |line| {
                Refusal::IsHere(line.profile.name.clone())
            }));
        }
        self.roster.put_away(away);
        self.roster_changed(&[]);
        let answer = false;
        self.send_to_all(&Message::Aways {
            aways: vec![bytes],
            answer,
        });
        let declared = self.roster.away(node).and_then(|away| {
            let name = self.roster.roster().get(node)?.profile.name.clone();
            Some(Declared { node, name, away })
        });
        let declared = declared.ok_or_else(|| Refusal::Unknown(node.to_string()))?;
        Ok(Reply::Away(Box::new(declared)))
    }

    fn send_to_all(&mut self, message: &Message) {
        let bytes = message.bytes();
        for conn in self.connections.currents() {
            if self.connections.protocol(conn) >= Protocol::PROVED {
                self.edge.send(conn, bytes.clone());
            }
        }
    }

    /// Tells a peer what was said of members that are away, as far as it takes that.
    pub(super) fn send_aways(&mut self, conn: ConnId, answer: bool) {
        let unsent = self.apart.unsent_aways(conn);
        for message in Message::aways(self.roster.aways_but(&unsent), answer) {
            self.edge.send(conn, message.bytes());
        }
    }

    /// Another node has said other things last of members that are away, or the same.
    pub(super) fn compare_aways(&mut self, conn: ConnId, hash: u64) {
        if hash != self.apart.aways_hash(conn, &self.roster) {
            self.send_aways(conn, true);
        }
    }

    /// Nobody has been declared away here: who has something else tells it by itself.
    pub(super) fn send_aways_hash(&mut self, conn: ConnId) {
        let hash = self.apart.aways_hash(conn, &self.roster);
        if hash != 0 {
            self.edge.send(conn, Message::AwaysHash(hash).bytes());
        }
    }

    /// Somebody says that a member is away which is here: it is told, and says its line again.
    pub(super) fn tell_away(&mut self, node: NodeId, away: Bytes) {
        if let Some(conn) = self.connections.current(node) {
            let (aways, answer) = (vec![away], false);
            self.edge
                .send(conn, Message::Aways { aways, answer }.bytes());
        }
    }
}
