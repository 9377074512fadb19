//! What comes from a backup: it is taken in and judged as if this node were a peer of itself.

use super::Documents;
use crate::lists::ask;
use crate::lists::edge::Edge;
use crate::lists::io::Refusal;
use bytes::Bytes;
use crdt::list::LeftOut;
use names::ListId;
use std::collections::BTreeSet;

impl Documents {
    /// Learns salts. Gives the lists for which changes wait that may be taken now.
    pub(in crate::lists) fn learn_salts(
        &mut self,
        edge: &mut Edge,
        ask: ask::Learn,
    ) -> Result<BTreeSet<ListId>, Refusal> {
        if let Some(error) = self.commits.failed() {
            return Err(Refusal::Unavailable(error));
        }
        let mut lists = BTreeSet::new();
        for bytes in ask.salts {
            match self.learn_salt(edge, bytes, &mut |_| true) {
                Ok(waiting) => lists.extend(waiting),
                Err(error) => tracing::debug!(?error, "a salt of a backup proves nothing"),
            }
        }
        Ok(lists)
    }

    /// Takes what a backup has of a list. What waits for the list may go on then.
    pub(in crate::lists) fn restore(
        &mut self,
        edge: &mut Edge,
        ask: ask::Restore,
    ) -> Result<ListId, Refusal> {
        let list = self.open(&ask.list, true)?;
        let me = self.owners.own().me;
        self.receive(edge, me, (list, &ask.list), ask.changes);
        let told = ask
            .left_out
            .into_iter()
            .filter_map(|one| self.sound(list, one));
        let told: Vec<LeftOut> = told.collect();
        if !told.is_empty() {
            self.leave_out(list, told, me);
        }
        Ok(list)
    }

    fn sound(&self, list: ListId, bytes: Bytes) -> Option<LeftOut> {
        let one = LeftOut::read(bytes).ok()?;
        self.is_proved(list, &one).then_some(one)
    }
}
