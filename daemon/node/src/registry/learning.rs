//! What parts of logs say, and whether it is believed.

#[cfg(test)]
mod tests;

use super::exchange::{Header, Usefulness};
use super::message::Message;
use super::{Registry, Routes};
use crate::belief::{LogPart, Use, latest_claim, log_part};
use crate::codec::Malformed;
use crate::wire::ConnId;
use crdt::registry::{Delta, Fault, Head, Merged, ProvedDelta, Shift};
use names::NodeId;

impl Registry {
    /// Takes a part of a log that its owner sends, or that comes with its owner's proof.
    ///
    /// # Errors
    /// It breaks the protocol. So does a log that its owner sends and that is not what it has proved.
    pub(super) fn learn(
        &mut self,
        links: &dyn Routes,
        from: (NodeId, ConnId),
        delta: ProvedDelta,
        pushed: bool,
    ) -> Result<(), Malformed> {
        let ((node, conn), owner) = (from, delta.owner);
        let header = Header::from(&delta);
        // Of two logs that an owner has proved for one position the same one stays everywhere, whatever
        // the owner says by now.
        let head = self.logs.head(owner);
        let is_rival = head.is_some_and(|head| head.position() == delta.latest());
        let usefulness = match log_part(LogPart {
            speaker: (node, links.role(conn)),
            owner: (owner, self.role_of(owner)),
            has_records: !delta.statements.is_empty(),
            is_pushed: pushed,
            was_asked: self.exchange.is_open(owner, conn),
            owner_speaks: !is_rival && self.exchange.speaks_for_itself(links, owner),
            is_expected: self.is_log_expected(owner, delta.run),
            is_credible: true,
        }) {
            Use::Breach => return Err(breach()),
            Use::Ignore => return Ok(()),
            Use::AnswerOnly => Usefulness::Useless,
            Use::Merge => self.take(node, delta)?,
        };
        if pushed {
            let progress = self.logs.proved_progress(owner, node);
            self.edge.send(conn, Message::Ack(progress).bytes());
        } else {
            self.exchange
                .pulled(&mut self.edge, links, &self.logs, &header, usefulness);
        }
        Ok(())
    }

    fn take(&mut self, node: NodeId, delta: ProvedDelta) -> Result<Usefulness, Malformed> {
        let owner = delta.owner;
        let before = self.logs.proved_progress(owner, node);
        let (trust, chain) = (&self.trust, self.chains.get(&owner));
        let is_proved = |head: &Head| trust.is_signed(head, chain);
        match self.logs.take(node, delta, is_proved) {
            Ok(merged) => {
                let is_rival = matches!(merged, Merged::Forked(_));
                self.apply(owner, merged);
                let has_come_on = self.logs.proved_progress(owner, node) != before;
                Ok(Usefulness::of(is_rival || has_come_on))
            }
            Err(Fault::Unproved) if node != owner => {
                tracing::warn!(peer = %node, %owner, "a peer relays a log that its node has not proved");
                self.edge.stats.unproved += 1;
                Ok(Usefulness::Unproved)
            }
            Err(fault) => Err(Malformed::rule(&fault.to_string())),
        }
    }

    /// Takes a part of a log in the form of protocol 1, which proves nothing.
    ///
    /// # Errors
    /// It breaks the protocol.
    pub(super) fn learn_unproved(
        &mut self,
        links: &dyn Routes,
        from: (NodeId, ConnId),
        delta: Delta,
        pushed: bool,
    ) -> Result<(), Malformed> {
        let ((node, conn), owner) = (from, delta.owner);
        let header = Header::from(&delta);
        let usefulness = match log_part(LogPart {
            speaker: (node, links.role(conn)),
            owner: (owner, self.role_of(owner)),
            has_records: !delta.records.is_empty(),
            is_pushed: pushed,
            was_asked: self.exchange.is_open(owner, conn),
            owner_speaks: self.exchange.speaks_for_itself(links, owner),
            is_expected: self.is_log_expected(owner, delta.run),
            is_credible: self.trust.accept_v1,
        }) {
            Use::Breach => return Err(breach()),
            Use::Ignore => return Ok(()),
            Use::AnswerOnly => Usefulness::Useless,
            Use::Merge => {
                let before = self.logs.progress(owner);
                let merged = self.logs.merge(delta);
                let merged = merged.map_err(|fault| Malformed::rule(&fault.to_string()))?;
                self.apply(owner, merged);
                Usefulness::of(self.logs.progress(owner) != before)
            }
        };
        if pushed {
            let progress = self.logs.progress(owner);
            self.edge.send(conn, Message::Ack(progress).bytes());
        } else {
            self.exchange
                .pulled(&mut self.edge, links, &self.logs, &header, usefulness);
        }
        Ok(())
    }

    fn apply(&mut self, owner: NodeId, merged: Merged) {
        let shifts = match merged {
            Merged::News(shifts) => shifts,
            Merged::Forked(shifts) => {
                tracing::warn!(%owner, "a node has proved two unlike logs for one position");
                self.edge.stats.forked += 1;
                shifts
            }
            Merged::Staged | Merged::Known | Merged::Gap => return,
        };
        self.edge.stats.parts += 1;
        for shift in shifts {
            self.apply_shift(owner, shift);
        }
        self.check_unseen(owner);
    }

    pub(super) fn apply_shift(&mut self, owner: NodeId, shift: Shift) {
        let claim = shift.after.entry().map_or(0, |entry| entry.claim);
        self.clock = self.clock.max(claim.min(latest_claim(self.edge.now.wall)));
        self.names.apply(&self.edge, owner, shift);
    }

    /// Whether what is here of a node's log has that node's own proof.
    pub(super) fn can_relay(&self, owner: NodeId) -> bool {
        let (head, chain) = (self.logs.head(owner), self.chains.get(&owner));
        head.is_some_and(|head| self.trust.is_signed(head, chain))
    }
}

fn breach() -> Malformed {
    Malformed::rule("another node's log was pushed")
}
