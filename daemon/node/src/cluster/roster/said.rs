//! What this node says on the roster: its own line, and that others are forgotten.

use super::Replica;
use crate::proof::Domain;
use bytes::Bytes;
use crdt::roster::{Author, Line, RosterEntry, Standing};
use names::NodeId;

impl Replica {
    /// Writes this node's line anew if it is to say something else than the latest one.
    pub(in crate::cluster) fn speak(&mut self, run: u64, standing: Standing) {
        let known = self.own_line(self.own.me).map(Line::relayed);
        if let Some(line) = self.draft(run, standing)
            && known != Some(line.relayed())
        {
            self.put_own(self.own.me, line);
        }
    }

    /// Says the same again as something later, so that what others have said of it is over.
    pub(in crate::cluster) fn refute(&mut self) {
        let me = self.own.me;
        let Some((rank, entry)) = self
            .slots
            .get(&me)
            .and_then(|slot| Some((slot.own.as_ref()?.relayed().rank(), slot.entry.clone()?)))
        else {
            return;
        };
        if let Some(line) = self.write_own(rank.serial + 1, &entry) {
            self.put_own(me, line);
        }
    }

    /// Says that a node is forgotten.
    pub(in crate::cluster) fn forget(&mut self, node: NodeId) -> bool {
        let Some(end) = self.draft_end(node) else {
            return false;
        };
        self.put_end(node, end);
        true
    }

    /// This node's line as it is to be said in its hello.
    pub(in crate::cluster) fn own_bytes(&self) -> Bytes {
        let line = self.own_line(self.own.me).map(Line::relayed);
        line.map(|line| line.bytes().clone()).unwrap_or_default()
    }

    /// The line with which this node says that: the latest one, if that says it; else with the next
    /// serial. `None` if this node's key cannot sign.
    pub(super) fn draft(&self, run: u64, standing: Standing) -> Option<Line> {
        let entry = RosterEntry {
            run,
            standing,
            profile: self.own.profile.clone(),
        };
        let known = self.own_line(self.own.me);
        let known = known.filter(|line| line.relayed().rank().run == run);
        let serial = known.map_or(1, |line| line.relayed().rank().serial);
        let line = self.write_own(serial, &entry)?;
        if known.is_none_or(|known| *known == line) {
            return Some(line);
        }
        self.write_own(serial + 1, &entry)
    }

    pub(super) fn write_own(&self, serial: u64, entry: &RosterEntry) -> Option<Line> {
        let chain = self.proofs.chain();
        let author = Author {
            owner: self.own.me,
            chain: &chain,
            start: Some(self.own.start),
            pace: Some(self.own.pace),
        };
        self.write(author, self.own.me, serial, entry)
    }

    pub(super) fn draft_end(&self, node: NodeId) -> Option<Line> {
        let (_, serial) = self.slots.get(&node)?.latest()?;
        let mut entry = self.roster.get(node)?.clone();
        entry.standing = Standing::Forgotten;
        let chain = self.proofs.chain();
        let author = Author {
            owner: self.own.me,
            chain: &chain,
            start: None,
            pace: None,
        };
        self.write(author, node, serial, &entry)
    }

    pub(super) fn write(
        &self,
        author: Author<'_>,
        subject: NodeId,
        serial: u64,
        entry: &RosterEntry,
    ) -> Option<Line> {
        let line = Line::write(author, subject, serial, entry);
        let line = line.and_then(|line| line.signed(|said| self.proofs.sign(Domain::Line, said)));
        let line = line.inspect_err(|error| tracing::error!(%error, "a line of ours is too large"));
        line.ok()
    }
}
