//! The process registry beside membership: what it is told of connections and members, and where
//! its outputs go.

use super::connections::Connections;
use super::io::{MemberState, Output, Refusal, Reply};
use super::{Cluster, Phase};
use crate::registry::{Effect, Input, OwnLog, Presence, Registry, Routes, Sight};
use crate::wire::{Channel, ConnId, Protocol};
use names::{NodeId, Role};

impl From<Effect> for Output {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Send { conn, bytes } => Self::Send {
                conn,
                channel: Channel::Registry,
                bytes,
            },
            Effect::Reply { id, result } => Self::Reply {
                id,
                result: result.map(Reply::Registry).map_err(Refusal::Registry),
            },
            Effect::Host(output) => Self::Registry(output),
        }
    }
}

impl Routes for Connections {
    fn current(&self, node: NodeId) -> Option<ConnId> {
        Self::current(self, node)
    }

    fn role(&self, conn: ConnId) -> Role {
        self.get(conn)
            .map(|connection| connection.peer.role)
            .unwrap_or_default()
    }

    fn protocol(&self, conn: ConnId) -> Protocol {
        Self::protocol(self, conn)
    }
}

impl Cluster {
    /// Lends the registry the connections for one step, and passes on at once what it wants: the
    /// outputs of both keep one order.
    pub(super) fn with_registry<T>(
        &mut self,
        step: impl FnOnce(&mut Registry, &Connections) -> T,
    ) -> T {
        let result = step(&mut self.registry, &self.connections);
        self.pass_on_effects();
        result
    }

    fn pass_on_effects(&mut self) {
        while let Some(effect) = self.registry.next_effect() {
            self.edge.put(effect.into());
        }
    }

    /// What concerns the registry is heard only from a peer whose hello was accepted.
    pub(super) fn registry_input(&mut self, input: Input) {
        match input {
            Input::Message { conn, bytes } => {
                let Some(node) = self.speaker(conn) else {
                    return;
                };
                self.connections.note_contact(&self.edge, node);
                self.end_silence();
                let from = (node, conn);
                match self.with_registry(|registry, links| registry.receive(links, from, &bytes)) {
                    Ok(OwnLog::Consistent) => {}
                    Ok(OwnLog::AnotherStart { run }) => self.own_run_reported(run),
                    Err(error) => self.malformed(conn, &error),
                }
            }
            Input::Overflowed { conn } => {
                if let Some(node) = self.speaker(conn) {
                    self.with_registry(|registry, _| registry.overflowed(conn, node));
                }
            }
            Input::Kept { id, result } => {
                self.with_registry(|registry, _| registry.kept(id, result));
            }
            Input::Ended {
                process,
                reason,
                was_there,
            } => {
                self.with_registry(|registry, _| registry.ended(process, reason, was_there));
            }
            Input::Estranged { process, uid } => {
                self.with_registry(|registry, _| registry.estranged(process, uid));
            }
            Input::SessionEnded { session } => {
                self.with_registry(|registry, _| registry.session_ended(session));
            }
        }
    }

    /// The peer on a connection, if it is listened to.
    fn speaker(&self, conn: ConnId) -> Option<NodeId> {
        let connection = self.connections.get(conn)?;
        let is_heard = connection.accepted && !matches!(self.phase, Phase::Going(_));
        is_heard.then_some(connection.peer.id)
    }

    /// Tells the registry of all nodes on the roster, as the view has them now.
    pub(super) fn pass_members_to_registry(&mut self) {
        let lines = self.roster.roster().iter();
        let sights = lines.map(|(node, line)| Sight {
            node,
            name: &line.profile.name,
            role: self.roster.role(node),
            run: line.run,
            chain: self.roster.chain(node),
            presence: presence(self.viewer.state(node)),
        });
        self.registry.note_members(sights);
        self.pass_on_effects();
    }
}

/// A node without a state was forgotten.
fn presence(state: Option<MemberState>) -> Presence {
    match state {
        None | Some(MemberState::Left) => Presence::Gone,
        Some(state) if state.is_reachable() => Presence::Reachable,
        Some(_) => Presence::OutOfSight,
    }
}
