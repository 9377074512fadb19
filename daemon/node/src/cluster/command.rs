//! What clients ask.

use super::ask;
use super::farewell;
use super::io::{Command, MemberState, Output, Refusal, Reply, StopReason};
use super::kept::{Change, Pending};
use super::{Cluster, Phase};
use crate::wire::{RequestId, WriteError};
use crdt::roster::{Revocation, Standing};
use names::NodeId;

/// How many requests wait for the run to be on disk.
const MAX_EARLY: usize = 64;

impl Cluster {
    pub(super) fn request(&mut self, id: RequestId, command: Command) {
        match command {
            Command::Shutdown(ask::Shutdown) => self.shut_down(id),
            Command::Join(_)
            | Command::Forget(_)
            | Command::Revoke(_)
            | Command::Away(_)
            | Command::Back(_)
            | Command::Chains(_)
            | Command::Leave(_)
            | Command::Registry(_)
                if self.phase != Phase::Up =>
            {
                self.request_early_or_late(id, command);
            }
            Command::Join(ask) => self.joins.begin(
                &mut self.edge,
                &mut self.connections,
                &self.viewer,
                &self.roster,
                id,
                ask,
            ),
            Command::Forget(ask::Forget(text)) => self.forget(id, &text),
            Command::Revoke(ask::Revoke(revocation)) => self.revoke(id, revocation),
            Command::Away(ask) => self.declare_away(id, ask),
            Command::Back(ask) => self.declare_back(id, ask),
            Command::Chains(ask::Chains) => self.reply(id, Ok(Reply::Chains(self.chains()))),
            Command::Leave(ask::Leave) => self.change(id, self.me.id, Standing::Left),
            Command::Registry(command) => {
                self.with_registry(|registry, _| registry.request(id, command))
            }
        }
    }

    /// While the run is not on disk nothing may be dialled or promised: what is asked waits for it.
    fn request_early_or_late(&mut self, id: RequestId, command: Command) {
        if self.phase != Phase::Starting {
            self.reply(id, Err(Refusal::Stopping));
        } else if self.early.len() < MAX_EARLY {
            self.early.push((id, command));
        } else {
            self.reply(id, Err(Refusal::Write(WriteError::Failed)));
        }
    }

    pub(super) fn reply(&mut self, id: RequestId, result: Result<Reply, Refusal>) {
        self.edge.put(Output::Reply { id, result });
    }

    fn shut_down(&mut self, id: RequestId) {
        self.reply(id, Ok(Reply::Done));
        match self.phase {
            // Nobody knows of it yet.
            Phase::Starting => self.stop(StopReason::Shutdown),
            Phase::Up => {
                farewell::say_goodbye(&mut self.edge, &self.connections, &mut self.swim, true);
                self.phase = Phase::Going(StopReason::Shutdown);
            }
            Phase::Going(_) | Phase::Stopped => {}
        }
    }

    fn forget(&mut self, id: RequestId, text: &str) {
        let Some(node) = self.find(text) else {
            return self.reply(id, Err(Refusal::Unknown(text.to_owned())));
        };
        let name = self
            .roster
            .roster()
            .get(node)
            .map(|line| line.profile.name.clone());
        match name {
            Some(name) if self.is_here(node) => self.reply(id, Err(Refusal::Reachable(name))),
            Some(_) => self.change(id, node, Standing::Forgotten),
            None => self.reply(id, Err(Refusal::Unknown(text.to_owned()))),
        }
    }

    fn is_here(&self, node: NodeId) -> bool {
        node == self.me.id
            || self
                .viewer
                .state(node)
                .is_some_and(MemberState::is_reachable)
    }

    /// A node on the roster by its id or name; of several with one name, one that is not reachable.
    pub(super) fn find(&self, text: &str) -> Option<NodeId> {
        let listed = || {
            self.roster
                .roster()
                .iter()
                .filter(|(_, line)| line.standing != Standing::Forgotten)
        };
        if let Ok(node) = text.parse::<NodeId>() {
            return listed()
                .map(|(listed, _)| listed)
                .find(|listed| *listed == node);
        }
        let named = listed()
            .filter(|(_, line)| line.profile.name.as_str() == text)
            .map(|(node, _)| node);
        named.min_by_key(|node| self.is_here(*node))
    }

    /// Begins a change of the roster; it is made and answered when it is on disk.
    fn change(&mut self, request: RequestId, node: NodeId, standing: Standing) {
        let run = self.roster.run(node);
        let change = Change::Standing {
            node,
            run,
            standing,
        };
        self.begin(request, change);
    }

    /// Begins to shut a node out, as an authority has signed it, or to withdraw an authority.
    fn revoke(&mut self, request: RequestId, revocation: Revocation) {
        let is_authentic = self.roster.is_authentic(&revocation);
        let refusal = if revocation.subject() == self.me.id {
            Refusal::Oneself
        } else if !is_authentic && revocation.is_withdrawal() {
            Refusal::NotOfTheCluster
        } else if !is_authentic {
            Refusal::Unsigned
        } else if self.roster.is_overruled(&revocation) {
            Refusal::Withdrawn
        } else if self.roster.takes_own(&revocation) {
            Refusal::OwnCertificate
        } else {
            return self.begin(request, Change::Revocation(revocation));
        };
        self.reply(request, Err(refusal));
    }

    pub(super) fn begin(&mut self, request: RequestId, change: Change) {
        if !self.keeper.change(Pending { request, change }) {
            self.reply(request, Err(Refusal::Write(WriteError::Failed)));
        }
    }

    /// A change of the roster is on disk, or could not be written.
    pub(super) fn carried_out(&mut self, pending: Pending, result: Result<(), WriteError>) {
        let Pending { request, change } = pending;
        if let Err(error) = result {
            return self.reply(request, Err(Refusal::Write(error)));
        }
        let is_of_run = change.node_of_run(self.roster.roster()).is_some();
        match change {
            Change::Standing {
                node,
                run,
                standing,
            } => {
                if is_of_run && node == self.me.id {
                    self.roster.speak(run, standing);
                } else if is_of_run {
                    self.roster.forget(node);
                }
                if is_of_run {
                    self.roster_changed(&[node]);
                    self.broadcast_line(node);
                }
                self.reply(request, Ok(Reply::Done));
                if node == self.me.id && self.phase == Phase::Up {
                    let (connections, swim) = (&self.connections, &mut self.swim);
                    farewell::say_goodbye(&mut self.edge, connections, swim, false);
                    self.phase = Phase::Going(StopReason::Left);
                }
            }
            Change::Revocation(revocation) => {
                let bytes = revocation.relayed().bytes().clone();
                if let Ok(Some(shut)) = self.roster.merge_revocation(bytes) {
                    self.shut_out(&shut);
                    self.broadcast_revocation(revocation.subject());
                }
                self.reply(request, Ok(Reply::Done));
            }
            Change::Away(away) => {
                let reply = self.away_is_kept(away);
                self.reply(request, reply);
            }
        }
    }
}
