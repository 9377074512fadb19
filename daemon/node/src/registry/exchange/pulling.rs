//! What others are ahead with: who is asked for it, and what becomes of the answers.

use super::super::edge::{Edge, Routes};
use super::super::message::{Claimed, Message};
use super::load::Load;
use super::{Exchange, Pull, part};
use crate::time::Instant;
use crate::wire::{ConnId, Protocol};
use crdt::registry::{Delta, Logs, Position, Progress, ProvedDelta};
use names::NodeId;
use std::collections::BTreeMap;

/// Whoever was asked in vain for a log is not asked for it again for so many times as long as it had: a
/// peer that says to be ahead, and is not, gets in the way of others every other time at most.
const VAIN: u32 = 2;

/// How far a peer says that a log is there.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry) struct Told {
    pub(in crate::registry) owner: NodeId,
    pub(in crate::registry) position: Position,
    /// See [`Claimed`]; `None` of a log that is not proved.
    tag: Option<u64>,
}

impl From<Claimed> for Told {
    fn from(claimed: Claimed) -> Self {
        Self {
            owner: claimed.owner,
            position: claimed.position,
            tag: Some(claimed.tag),
        }
    }
}

impl From<(NodeId, Position)> for Told {
    fn from((owner, position): (NodeId, Position)) -> Self {
        Self {
            owner,
            position,
            tag: None,
        }
    }
}

/// What a peer has that this node lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    Nothing,
    /// It is further.
    Rest,
    /// It has another log for the same position, which goes before the one that is here.
    Rival,
}

impl Exchange {
    /// Compares a peer's vector with this node's: sends it what it lacks of this node's own log,
    /// pulls what it is ahead with; from the owner, if that is connected. The sender's own log
    /// comes by itself.
    pub(in crate::registry) fn compare(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        from: (NodeId, ConnId),
        told: &[Told],
    ) {
        let (node, conn) = from;
        if self.peers.get(&node).is_some_and(|peer| peer.is_full) {
            return;
        }
        let known = told
            .iter()
            .find(|told| told.owner == self.me)
            .map(|told| Progress::from(told.position));
        if let Some(peer) = self
            .peers
            .get_mut(&node)
            .filter(|peer| peer.flight.is_none())
        {
            peer.acked = Some(known.unwrap_or_default());
            self.push(edge, links, logs, node, &mut BTreeMap::new());
        }
        let (me, has_room) = (self.me, self.has_room_for_absent(links, logs));
        let others = told.iter().filter(|told| ![me, node].contains(&told.owner));
        for told in others {
            let owner = told.owner;
            let lack = self.lack(logs, node, *told);
            if lack == Lack::Nothing
                || self.pulls.contains_key(&owner)
                || self.is_absent(links, owner) && !has_room
            {
                continue;
            }
            let is_whole = lack == Lack::Rival;
            // The owner would give the one of its logs that it has given already.
            let open = self.open(links, owner).filter(|_| !is_whole);
            let (by, conn) = open.map_or((node, conn), |open| (owner, open));
            if self.vain.contains_key(&(owner, conn)) {
                continue;
            }
            let pull = Pull {
                by,
                conn,
                at: edge.instant(),
                is_whole,
            };
            let from = is_whole.then(Progress::default);
            self.pull(edge, links, logs, owner, pull, from);
        }
    }

    fn lack(&self, logs: &Logs, by: NodeId, told: Told) -> Lack {
        let Told {
            owner,
            position,
            tag,
        } = told;
        let head = logs.head(owner);
        let Some(tag) = tag else {
            let is_proved = head.is_some_and(|head| head.position().run == position.run);
            let is_ahead = position > logs.progress(owner).position;
            return if is_ahead && !is_proved && self.accept_v1 {
                Lack::Rest
            } else {
                Lack::Nothing
            };
        };
        if logs.position(owner).run > position.run {
            return Lack::Nothing;
        }
        let is_rival = head.is_some_and(|head| head.position() == position && head.tag() > tag);
        if is_rival {
            Lack::Rival
        } else if position > logs.proved_progress(owner, by).position {
            Lack::Rest
        } else {
            Lack::Nothing
        }
    }

    /// Whether others may be asked for logs of nodes that are not connected. Goes over all logs.
    fn has_room_for_absent(&self, links: &dyn Routes, logs: &Logs) -> bool {
        logs.bytes_of(|owner| self.is_absent(links, owner)) <= self.max_absent_bytes
    }

    fn is_absent(&self, links: &dyn Routes, owner: NodeId) -> bool {
        owner != self.me && links.current(owner).is_none()
    }

    /// Asks for what follows of a log, or for all of it.
    fn pull(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        owner: NodeId,
        pull: Pull,
        from: Option<Progress>,
    ) {
        let conn = pull.conn;
        let from = from.unwrap_or_else(|| {
            if links.protocol(conn) >= Protocol::PROVED {
                logs.proved_progress(owner, pull.by)
            } else {
                logs.progress(owner)
            }
        });
        edge.send(conn, Message::Pull { owner, from }.bytes());
        tracing::debug!(%owner, conn = conn.0, "asks for registrations");
        edge.stats.pulls += 1;
        self.pulls.insert(owner, pull);
    }

    /// Whether somebody was asked on that connection for a log, and has not answered.
    pub(in crate::registry) fn is_open(&self, owner: NodeId, conn: ConnId) -> bool {
        self.pulls.get(&owner).is_some_and(|pull| pull.conn == conn)
    }

    /// Whether more of a log is to come from a node that has sent some of it.
    pub(in crate::registry) fn is_awaited(
        &self,
        links: &dyn Routes,
        owner: NodeId,
        by: NodeId,
    ) -> bool {
        let pull = self.pulls.get(&owner);
        pull.is_some_and(|pull| pull.by == by) || by == owner && links.current(owner).is_some()
    }

    pub(in crate::registry) fn answer(
        &self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        (node, conn): (NodeId, ConnId),
        from: (NodeId, Progress),
    ) {
        let bytes = self.load(node).part_bytes();
        if let Some(bytes) = part(logs, links.protocol(conn), from, bytes, false) {
            edge.send(conn, bytes);
        }
    }

    /// A pulled part has come: pulls what follows, if that one was of use. What does not come to what is
    /// proved is asked for once more from its beginning: whoever sent it may have been misled about a
    /// tombstone.
    pub(in crate::registry) fn pulled(
        &mut self,
        edge: &mut Edge,
        links: &dyn Routes,
        logs: &Logs,
        header: &Header,
        usefulness: Usefulness,
    ) {
        let owner = header.owner;
        let Some(pull) = self.pulls.remove(&owner) else {
            return;
        };
        let at = edge.instant();
        if let Some(peer) = self.peers.get_mut(&pull.by) {
            peer.load.answered(at.since(pull.at));
        }
        match usefulness {
            Usefulness::Used => {
                let known = if header.is_proved {
                    logs.proved_progress(owner, pull.by)
                } else {
                    logs.progress(owner)
                };
                if header.latest > known.position
                    && (!self.is_absent(links, owner) || self.has_room_for_absent(links, logs))
                {
                    self.pull(edge, links, logs, owner, Pull { at, ..pull }, None);
                }
            }
            Usefulness::Unproved if !pull.is_whole => {
                let is_whole = true;
                let pull = Pull {
                    at,
                    is_whole,
                    ..pull
                };
                self.pull(edge, links, logs, owner, pull, Some(Progress::default()));
            }
            Usefulness::Useless | Usefulness::Unproved => self.note_vain(owner, pull, at),
        }
    }

    /// Gives up what was not answered in time.
    pub(super) fn give_up_pulls(&mut self, now: Instant) {
        let pulls = std::mem::take(&mut self.pulls);
        for (owner, pull) in pulls {
            if now.since(pull.at) < self.load(pull.by).patience() {
                self.pulls.insert(owner, pull);
            } else {
                self.note_vain(owner, pull, now);
            }
        }
        self.vain.retain(|_, until| *until > now);
    }

    fn load(&self, node: NodeId) -> Load {
        let peer = self.peers.get(&node);
        peer.map(|peer| peer.load).unwrap_or_default()
    }

    /// An owner is asked again at any time.
    fn note_vain(&mut self, owner: NodeId, pull: Pull, at: Instant) {
        if pull.by != owner {
            let until = at + self.load(pull.by).patience() * VAIN;
            self.vain.insert((owner, pull.conn), until);
        }
    }
}

/// What became of a part that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Usefulness {
    /// The log is further by it.
    Used,
    Useless,
    /// It does not come to what the log's owner has proved.
    Unproved,
}

impl Usefulness {
    pub(in crate::registry) fn of(was_of_use: bool) -> Self {
        if was_of_use {
            Self::Used
        } else {
            Self::Useless
        }
    }
}

/// What is left of a part once it was merged.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry) struct Header {
    pub(in crate::registry) owner: NodeId,
    pub(in crate::registry) latest: Position,
    is_proved: bool,
}

impl From<&Delta> for Header {
    fn from(delta: &Delta) -> Self {
        Self {
            owner: delta.owner,
            latest: Position {
                run: delta.run,
                version: delta.latest,
            },
            is_proved: false,
        }
    }
}

impl From<&ProvedDelta> for Header {
    fn from(delta: &ProvedDelta) -> Self {
        Self {
            owner: delta.owner,
            latest: delta.latest(),
            is_proved: true,
        }
    }
}
