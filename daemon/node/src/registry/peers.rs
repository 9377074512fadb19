//! What other nodes say, and whether they can be reached.

use super::exchange::{self, Told};
use super::message::Message;
use super::{Registry, Routes};
use crate::belief::{is_heard, is_log_expected};
use crate::codec::Malformed;
use crate::wire::{ConnId, Protocol};
use bytes::Bytes;
use crdt::registry::{Process, Progress, Reason, Shift, State};
use names::{NodeId, NodeName, ProcessName, Role};

impl Registry {
    /// A connection has come into use.
    pub(crate) fn accepted(&mut self, links: &dyn Routes, conn: ConnId, node: NodeId) {
        self.exchange
            .accepted(&mut self.edge, links, &self.logs, conn, node);
    }

    pub(crate) fn closed(&mut self, links: &dyn Routes, conn: ConnId) {
        self.exchange
            .closed(&mut self.edge, links, &self.logs, conn);
        self.drop_incomplete(links);
    }

    /// Drops what has come of logs whose rest does not come any more.
    fn drop_incomplete(&mut self, links: &dyn Routes) {
        let exchange = &self.exchange;
        self.logs
            .drop_incomplete(|owner, by| exchange.is_awaited(links, owner, by));
    }

    pub(crate) fn overflowed(&mut self, conn: ConnId, node: NodeId) {
        self.exchange.overflowed(conn, node);
    }

    pub(crate) fn round(&mut self, links: &dyn Routes, random: Option<ConnId>) {
        self.renew_proof();
        self.exchange
            .round(&mut self.edge, links, &self.logs, random);
        self.drop_incomplete(links);
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
    ) -> Result<OwnLog, Malformed> {
        let (node, conn) = from;
        self.exchange.note_message(conn);
        let Some(message) = Message::read(bytes, links.protocol(conn))? else {
            return Ok(OwnLog::Consistent);
        };
        let own_log = match links.role(conn) {
            Role::Member => self.check_own_log(&message),
            Role::Observer => OwnLog::Consistent,
        };
        match message {
            Message::Part { delta, pushed } => self.learn_unproved(links, from, delta, pushed)?,
            Message::Proved { delta, pushed } => self.learn(links, from, delta, pushed)?,
            Message::Ack(position) => {
                self.exchange
                    .acknowledged(&mut self.edge, links, &self.logs, node, position)
            }
            Message::Pull {
                owner,
                from: progress,
            } => self.answer(links, from, (owner, progress)),
            Message::Hash(hash) if hash != exchange::hash(links, &self.logs, conn) => self
                .edge
                .send(conn, exchange::vector(links, &self.logs, conn, true)),
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
            Message::Vector { positions, answer } => {
                let told = positions.into_iter().map(Told::from);
                self.compare(links, from, told, answer);
            }
            Message::Heads { heads, answer } => {
                let told = heads.into_iter().map(Told::from);
                self.compare(links, from, told, answer);
            }
        }
        Ok(own_log)
    }

    fn compare(
        &mut self,
        links: &dyn Routes,
        from: (NodeId, ConnId),
        told: impl Iterator<Item = Told>,
        answer: bool,
    ) {
        let expected: Vec<Told> = told
            .filter(|told| is_heard((from.0, links.role(from.1)), told.owner, self.me))
            .filter(|told| {
                told.owner == self.me || self.is_log_expected(told.owner, told.position.run)
            })
            .collect();
        self.exchange
            .compare(&mut self.edge, links, &self.logs, from, &expected);
        if answer {
            let conn = from.1;
            self.edge
                .send(conn, exchange::vector(links, &self.logs, conn, false));
        }
    }

    /// Gives a peer what it lacks of a log. A log that its owner has pushed here was taken on its word:
    /// whether its proof is good matters now, for a peer would blame this node.
    fn answer(&mut self, links: &dyn Routes, to: (NodeId, ConnId), log: (NodeId, Progress)) {
        let owner = log.0;
        let is_proved = links.protocol(to.1) >= Protocol::PROVED;
        if is_proved && owner != self.me && !self.can_relay(owner) {
            tracing::debug!(%owner, "a node's log cannot be relayed: its proof is not good");
            return;
        }
        self.exchange
            .answer(&mut self.edge, links, &self.logs, to, log);
    }

    /// What a node is.
    pub(super) fn role_of(&self, owner: NodeId) -> Role {
        let known = self.nodes.get(&owner);
        known.map(|known| known.role).unwrap_or_default()
    }

    /// How far a peer is in this node's own log, as far as a message tells.
    fn check_own_log(&self, message: &Message) -> OwnLog {
        let position = match message {
            Message::Ack(progress) => Some(progress.position),
            Message::Pull { owner, from } => (*owner == self.me).then_some(from.position),
            Message::Vector { positions, .. } => {
                let own = positions.iter().find(|(owner, _)| *owner == self.me);
                own.map(|(_, position)| *position)
            }
            Message::Heads { heads, .. } => {
                let own = heads.iter().find(|claimed| claimed.owner == self.me);
                own.map(|claimed| claimed.position)
            }
            Message::Part { .. }
            | Message::Proved { .. }
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
                OwnLog::AnotherStart { run: position.run }
            }
            Some(_) | None => OwnLog::Consistent,
        }
    }

    /// Asks the nodes of which it matters how far their logs are.
    pub(super) fn send_probes(&mut self, links: &dyn Routes, again: bool) {
        for (conn, probe) in self.probe(links, again) {
            self.edge.send(conn, Message::Probe(probe).bytes());
        }
    }

    pub(super) fn is_log_expected(&self, owner: NodeId, run: u64) -> bool {
        let rostered = self.nodes.get(&owner).map(|known| known.run);
        is_log_expected(run, rostered, self.gone.get(&owner).copied())
    }

    /// Takes note of all nodes on the roster. Costs next to nothing for nodes of which nothing
    /// changed.
    pub(crate) fn note_members<'a>(&mut self, seen: impl Iterator<Item = Sight<'a>>) {
        let me = self.me;
        for Sight {
            node,
            name,
            role,
            run,
            chain,
            presence,
        } in seen.filter(|sight| sight.node != me)
        {
            self.note_chain(node, chain);
            match presence {
                Presence::Reachable => self.note_member(node, (name, role), run, true),
                Presence::OutOfSight => self.note_member(node, (name, role), run, false),
                Presence::Gone => self.drop_node(node, run, Reason::Left),
            }
        }
    }

    fn note_chain(&mut self, node: NodeId, chain: Option<Bytes>) {
        match chain {
            Some(chain) if self.chains.get(&node) == Some(&chain) => {}
            Some(chain) => drop(self.chains.insert(node, chain)),
            None => drop(self.chains.remove(&node)),
        }
    }

    fn note_member(
        &mut self,
        node: NodeId,
        (name, role): (&NodeName, Role),
        run: u64,
        reachable: bool,
    ) {
        let known = Known {
            name: name.clone(),
            role,
            run,
            reachable,
        };
        let before = self.nodes.get(&node);
        if before == Some(&known) {
            return;
        }
        if self.gone.get(&node).is_some_and(|gone| run <= *gone) {
            // Runs only grow. So others have said that it left in a run that it never had, and it
            // speaks for itself now.
            self.gone.remove(&node);
        }
        let is_newly_seen =
            before.is_none_or(|before| before.reachable != reachable || before.name != *name);
        self.nodes.insert(node, known);
        if !is_newly_seen {
            return;
        }
        let held = self.logs.get(node).into_iter().flat_map(|log| log.iter());
        let held: Vec<(ProcessName, Process)> = held
            .filter(|(.., state)| state.entry().is_some())
            .map(|(name, process, _)| (name.clone(), process))
            .collect();
        self.names
            .note_node(&self.edge, (node, name), reachable, &held);
    }

    /// A node is shut out, in that run and those before.
    pub(crate) fn revoke(&mut self, node: NodeId, run: u64) {
        self.drop_node(node, run, Reason::Revoked);
    }

    /// A node is shut out no longer.
    pub(crate) fn readmit(&mut self, node: NodeId) {
        self.gone.remove(&node);
    }

    /// A node has left, or was forgotten, in that run.
    fn drop_node(&mut self, node: NodeId, run: u64, reason: Reason) {
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
                    after: State::Gone(reason),
                },
            );
        }
        self.check_unseen(node);
    }
}

/// What a peer's message has shown about this node's own log, as far as membership has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum OwnLog {
    /// The peer names no position in the log at which this node never was.
    Consistent,
    /// Another start of this very node, which its disk knows nothing of, has written a log in that
    /// run: it must go above.
    AnotherStart {
        /// The run.
        run: u64,
    },
}

/// What the cluster machine knows of a node.
#[derive(Clone, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) node: NodeId,
    pub(crate) name: &'a NodeName,
    pub(crate) role: Role,
    pub(crate) run: u64,
    /// The certificates by which what it signs is judged, if they are known.
    pub(crate) chain: Option<Bytes>,
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
    pub(super) role: Role,
    /// The run that the roster has of it: nobody can have a log of a later one.
    pub(super) run: u64,
    pub(super) reachable: bool,
}
