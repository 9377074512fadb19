//! What other nodes say, and whether they can be reached.

use super::exchange::{self, Header};
use super::message::Message;
use super::{Registry, Routes};
use crate::belief::{LogPart, Use, is_log_expected, latest_claim, log_part};
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
    ) -> Result<OwnLog, Malformed> {
        let (node, conn) = from;
        self.exchange.note_message(conn);
        let message = Message::read(bytes)?;
        let own_log = self.check_own_log(&message);
        match message {
            Message::Part { delta, pushed } => self.learn(links, from, delta, pushed)?,
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
                    *owner == self.me || self.is_log_expected(*owner, position.run)
                });
                self.exchange
                    .compare(&mut self.edge, links, &self.logs, from, &positions);
                if answer {
                    self.edge.send(conn, exchange::vector(&self.logs, false));
                }
            }
        }
        Ok(own_log)
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

    fn is_log_expected(&self, owner: NodeId, run: u64) -> bool {
        let rostered = self.nodes.get(&owner).map(|known| known.run);
        is_log_expected(run, rostered, self.gone.get(&owner).copied())
    }

    fn learn(
        &mut self,
        links: &dyn Routes,
        from: (NodeId, ConnId),
        delta: Delta,
        pushed: bool,
    ) -> Result<(), Malformed> {
        let (node, conn) = from;
        let header = Header::of(&delta);
        let use_of_it = log_part(LogPart {
            speaker: node,
            owner: delta.owner,
            is_pushed: pushed,
            was_asked: self.exchange.is_open(delta.owner, conn),
            owner_speaks: self.exchange.speaks_for_itself(links, delta.owner),
            is_expected: self.is_log_expected(delta.owner, delta.run),
        });
        let mut was_of_use = false;
        if use_of_it == Use::Breach {
            return Err(Malformed::rule("another node's log was pushed"));
        } else if use_of_it == Use::Ignore {
            return Ok(());
        } else if use_of_it == Use::Merge {
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
                .pulled(&mut self.edge, links, &self.logs, conn, &header, was_of_use);
        }
        Ok(())
    }

    fn apply_shift(&mut self, owner: NodeId, shift: Shift) {
        let claim = shift.after.entry().map_or(0, |entry| entry.claim);
        self.clock = self.clock.max(claim.min(latest_claim(self.edge.now.wall)));
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
                Presence::Reachable => self.note_member(node, name, run, true),
                Presence::OutOfSight => self.note_member(node, name, run, false),
                Presence::Gone => self.drop_node(node, run, Reason::Left),
            }
        }
    }

    fn note_member(&mut self, node: NodeId, name: &NodeName, run: u64, reachable: bool) {
        let known = Known {
            name: name.clone(),
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

    /// A node is shut out for ever.
    pub(crate) fn revoke(&mut self, node: NodeId) {
        self.drop_node(node, u64::MAX, Reason::Revoked);
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
    /// The run that the roster has of it: nobody can have a log of a later one.
    pub(super) run: u64,
    pub(super) reachable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Settings;
    use crate::time::{Instant, Now, Wall};
    use crate::wire::Peer;
    use crdt::registry::{Entry, Position, Record};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::sync::Arc;

    const OWNER: NodeId = NodeId([2; 16]);
    const OTHER: NodeId = NodeId([3; 16]);

    /// No connection is in use.
    struct Nowhere;

    impl Routes for Nowhere {
        fn current(&self, _: NodeId) -> Option<ConnId> {
            None
        }
    }

    fn registry() -> Registry {
        let now = Now {
            instant: Instant::default(),
            wall: Wall(1_000),
        };
        let me = Peer {
            id: NodeId([1; 16]),
            name: NodeName::new("node1").unwrap(),
        };
        let rng = ChaCha8Rng::from_seed([1; 32]);
        let mut registry = Registry::new(now, &me, 1, (Settings::default(), rng));
        let names = [
            NodeName::new("node2").unwrap(),
            NodeName::new("node3").unwrap(),
        ];
        let seen = [OWNER, OTHER].into_iter().zip(&names);
        registry.note_members(seen.map(|(node, name)| Sight {
            node,
            name,
            run: 1,
            presence: Presence::Reachable,
        }));
        registry
    }

    fn part(run: u64, claim: u64, pushed: bool) -> Vec<u8> {
        let process = Process {
            boot: [0; 16],
            pid: 7,
            start: 7,
        };
        let entry = Entry {
            uid: 0,
            user: None,
            exe: None,
            groups: [].into(),
            metadata: [].into(),
            address: None,
            claim,
            since_ms: 0,
        };
        let record = Record {
            name: ProcessName::new("db").unwrap(),
            process,
            version: 1,
            state: State::Live(Arc::new(entry)),
        };
        let delta = Delta {
            owner: OWNER,
            run,
            after: 0,
            upto: 1,
            latest: 1,
            horizon: 0,
            records: vec![record],
        };
        Message::Part { delta, pushed }.bytes().to_vec()
    }

    fn holders(registry: &Registry) -> usize {
        let name = ProcessName::new("db").unwrap();
        registry.names.directory().holders(&name).count()
    }

    #[test]
    fn a_part_of_anothers_log_is_heard_from_its_owner_or_when_it_was_asked_for() {
        let mut registry = registry();
        let said = |registry: &mut Registry, node, conn, bytes: &[u8]| {
            let heard = registry.receive(&Nowhere, (node, conn), bytes);
            heard.map(|_| holders(registry))
        };
        let answer = part(1, 5, false);
        assert_eq!(said(&mut registry, OTHER, ConnId(3), &answer), Ok(0));
        assert!(said(&mut registry, OTHER, ConnId(3), &part(1, 5, true)).is_err());
        // Not of a run either that its owner has never had.
        assert_eq!(
            said(&mut registry, OWNER, ConnId(2), &part(9, 5, true)),
            Ok(0)
        );
        let position = Position { run: 1, version: 1 };
        let ahead = Message::Vector {
            positions: vec![(OWNER, position)],
            answer: false,
        };
        assert_eq!(said(&mut registry, OTHER, ConnId(3), &ahead.bytes()), Ok(0));
        assert_eq!(said(&mut registry, OTHER, ConnId(4), &answer), Ok(0));
        assert_eq!(said(&mut registry, OTHER, ConnId(3), &answer), Ok(1));
    }

    #[test]
    fn a_claim_from_far_ahead_leaves_room_for_others() {
        let mut registry = registry();
        let far = (1 << 48) - 1;
        let heard = registry.receive(&Nowhere, (OWNER, ConnId(2)), &part(1, far, true));
        assert!(heard.is_ok() && holders(&registry) == 1);
        assert_eq!(registry.clock, 1_000 + 24 * 60 * 60 * 1_000);
        assert!(registry.clock > 1_000);
        assert!(Entry::MAX_CLOCK < far);
    }
}
