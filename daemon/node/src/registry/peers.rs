//! What other nodes say, and whether they can be reached.

use super::exchange::{self, Header};
use super::message::Message;
use super::{Registry, Routes};
use crate::codec::Malformed;
use crate::wire::ConnId;
use crdt::registry::{Delta, Merged, Process, Reason, Shift, State};
use names::{NodeId, NodeName, ProcessName};

impl Registry {
    /// A connection has come into use.
    pub(crate) fn accepted(&mut self, conn: ConnId, node: NodeId) {
        self.exchange
            .accepted(&mut self.edge, &self.logs, conn, node);
    }

    pub(crate) fn closed(&mut self, links: &dyn Routes, conn: ConnId) {
        self.exchange
            .closed(&mut self.edge, links, &self.logs, conn);
    }

    pub(crate) fn overflowed(&mut self, conn: ConnId, node: NodeId) {
        self.exchange.overflowed(conn, node);
    }

    pub(crate) fn round(&mut self, links: &dyn Routes, random: Option<ConnId>) {
        self.exchange
            .round(&mut self.edge, links, &self.logs, random);
        self.send_probes(links, true);
    }

    /// Does what a peer's message asks for.
    ///
    /// # Errors
    /// It breaks the protocol.
    pub(crate) fn receive(
        &mut self,
        links: &dyn Routes,
        from: (NodeId, ConnId),
        bytes: &[u8],
    ) -> Result<Heard, Malformed> {
        let (node, conn) = from;
        self.exchange.spoke(conn);
        let message = Message::read(bytes)?;
        let heard = self.look_at_own_log(&message);
        match message {
            Message::Part {
                delta,
                pushed: true,
            } if delta.owner != node => {
                return Err(Malformed::rule("another node's log was pushed"));
            }
            Message::Part { delta, pushed } => self.learn(conn, delta, pushed)?,
            Message::Ack(position) => {
                self.exchange
                    .acknowledged(&mut self.edge, links, &self.logs, node, position)
            }
            Message::Pull { owner, from } => {
                self.exchange
                    .answer(&mut self.edge, &self.logs, conn, owner, from)
            }
            Message::Hash(hash) if hash != self.logs.hash() => {
                self.edge.send(conn, exchange::vector(&self.logs, true))
            }
            Message::Hash(_) => {}
            Message::Probe(probe) => self.edge.send(
                conn,
                Message::Probed {
                    probe,
                    position: self.logs.position(self.me),
                }
                .bytes(),
            ),
            Message::Probed { probe, position } => self.probed(node, probe, position),
            Message::Vector {
                mut positions,
                answer,
            } => {
                positions.retain(|(owner, position)| {
                    *owner == self.me || self.is_listened_to(*owner, position.run)
                });
                self.exchange
                    .compare(&mut self.edge, links, &self.logs, from, &positions);
                if answer {
                    self.edge.send(conn, exchange::vector(&self.logs, false));
                }
            }
        }
        Ok(heard)
    }

    /// How far a peer is in this node's own log, as far as a message tells.
    fn look_at_own_log(&self, message: &Message) -> Heard {
        let position = match message {
            Message::Ack(progress) => Some(progress.position),
            Message::Pull { owner, from } => (*owner == self.me).then_some(from.position),
            Message::Vector { positions, .. } => {
                let own = positions.iter().find(|(owner, _)| *owner == self.me);
                own.map(|(_, position)| *position)
            }
            Message::Part { .. }
            | Message::Hash(_)
            | Message::Probe(_)
            | Message::Probed { .. } => None,
        };
        match position {
            Some(position) if !self.logs.has_been_at(self.me, position) => {
                tracing::info!(
                    run = position.run,
                    "a peer has a log of this node that it forgot"
                );
                Heard::AnotherStart { run: position.run }
            }
            Some(_) | None => Heard::Fine,
        }
    }

    /// Asks the nodes of which it matters how far their logs are.
    pub(super) fn send_probes(&mut self, links: &dyn Routes, again: bool) {
        for (conn, probe) in self.probe(links, again) {
            self.edge.send(conn, Message::Probe(probe).bytes());
        }
    }

    fn is_listened_to(&self, owner: NodeId, run: u64) -> bool {
        self.nodes.contains_key(&owner) && self.gone.get(&owner).is_none_or(|gone| run > *gone)
    }

    fn learn(&mut self, conn: ConnId, delta: Delta, pushed: bool) -> Result<(), Malformed> {
        let header = Header::of(&delta);
        let mut was_of_use = false;
        if self.is_listened_to(delta.owner, delta.run) {
            let before = self.logs.progress(header.owner);
            let merged = self
                .logs
                .merge(delta)
                .map_err(|fault| Malformed::rule(&fault.to_string()))?;
            was_of_use = self.logs.progress(header.owner) != before;
            if let Merged::News(shifts) = merged {
                self.edge.stats.parts += 1;
                shifts
                    .into_iter()
                    .for_each(|shift| self.apply_shift(header.owner, shift));
                self.check_unseen(header.owner);
            }
        }
        if pushed {
            self.edge
                .send(conn, Message::Ack(self.logs.progress(header.owner)).bytes());
        } else {
            self.exchange
                .pulled(&mut self.edge, &self.logs, conn, &header, was_of_use);
        }
        Ok(())
    }

    fn apply_shift(&mut self, owner: NodeId, shift: Shift) {
        self.clock = self
            .clock
            .max(shift.after.entry().map_or(0, |entry| entry.claim));
        self.names.apply(&self.edge, owner, shift);
    }

    /// Takes note of all nodes on the roster. Costs next to nothing for nodes of which nothing
    /// changed.
    pub(crate) fn note_members<'a>(&mut self, seen: impl Iterator<Item = Sight<'a>>) {
        let me = self.me;
        for Sight {
            node,
            name,
            run,
            presence,
        } in seen.filter(|sight| sight.node != me)
        {
            match presence {
                Presence::Reachable => self.note_member(node, name, true),
                Presence::OutOfSight => self.note_member(node, name, false),
                Presence::Gone => self.drop_node(node, run),
            }
        }
    }

    fn note_member(&mut self, node: NodeId, name: &NodeName, reachable: bool) {
        let known = Known {
            name: name.clone(),
            reachable,
        };
        if self.nodes.get(&node) == Some(&known) {
            return;
        }
        self.nodes.insert(node, known);
        let held = self.logs.get(node).into_iter().flat_map(|log| log.iter());
        let held: Vec<(ProcessName, Process)> = held
            .filter(|(.., state)| state.entry().is_some())
            .map(|(name, process, _)| (name.clone(), process))
            .collect();
        self.names
            .note_node(&self.edge, (node, name), reachable, &held);
    }

    /// A node has left, or was forgotten, in that run.
    fn drop_node(&mut self, node: NodeId, run: u64) {
        let was_here = self.nodes.remove(&node).is_some();
        if self.gone.insert(node, run) == Some(run) && !was_here {
            return;
        }
        for (name, process, entry) in self.logs.remove(node) {
            self.apply_shift(
                node,
                Shift {
                    name,
                    process,
                    before: Some(entry),
                    after: State::Gone(Reason::Left),
                },
            );
        }
        self.check_unseen(node);
    }
}

/// What a message means to membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Heard {
    /// It means nothing to membership.
    Fine,
    /// Another start of this very node, which its disk knows nothing of, has written a log in that
    /// run: it must go above.
    AnotherStart {
        /// The run.
        run: u64,
    },
}

/// What the cluster machine knows of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) node: NodeId,
    pub(crate) name: &'a NodeName,
    pub(crate) run: u64,
    pub(crate) presence: Presence,
}

/// Where a node of the roster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Reachable,
    /// It is expected back.
    OutOfSight,
    /// It has left, or was forgotten.
    Gone,
}

/// What the registry keeps of a node that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: NodeName,
    pub(super) reachable: bool,
}
