//! Members that are alive although this node has no connection to them: others reach them, so a part
//! of the network between the two is cut.
//!
//! A connection that is being made looks the same for a while, so that a member counts only after
//! [`GRACE`]. Who has said to reach it is known from the probes that helpers answered meanwhile.

use crate::time::{Instant, Wall};
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For so long a member is alive without a connection before that is told: a dial may take 15 s on the
/// slowest of links, and most take a round trip or two.
const GRACE: Duration = Duration::from_secs(15);

/// Since when a member is reached by others alone, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indirect {
    /// Since when there is no connection to it.
    pub since: Wall,
    /// The members that have said to reach it since then.
    pub by: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Unlinked {
    begun: Instant,
    indirect: Indirect,
}

/// The members that are alive and not connected.
#[derive(Debug, Default)]
pub(super) struct Unlinks(BTreeMap<NodeId, Unlinked>);

impl Unlinks {
    /// Notes whether a member is alive without a connection, and who has said to reach it; gives since
    /// when, if it is time to tell.
    pub(super) fn note(
        &mut self,
        now: (Instant, Wall),
        (node, is_unlinked): (NodeId, bool),
        vouchers: impl IntoIterator<Item = NodeId>,
    ) -> Option<Indirect> {
        if !is_unlinked {
            self.0.remove(&node);
            return None;
        }
        let unlinked = self.0.entry(node).or_insert_with(|| Unlinked {
            begun: now.0,
            indirect: Indirect {
                since: now.1,
                by: BTreeSet::new(),
            },
        });
        unlinked.indirect.by.extend(vouchers);
        (now.0.since(unlinked.begun) >= GRACE).then(|| unlinked.indirect.clone())
    }

    /// Forgets members that are not known any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(NodeId) -> bool) {
        self.0.retain(|node, _| is_known(*node));
    }

    /// Whether there is any, so that it has to be looked at again.
    pub(super) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([7; 16]);

    fn at(ms: u64) -> (Instant, Wall) {
        let instant = Instant::from_nanos(0) + Duration::from_millis(ms);
        (instant, Wall(i64::try_from(ms).unwrap()))
    }

    #[test]
    fn a_member_is_told_when_no_connection_has_come_for_a_while_and_who_reaches_it() {
        let mut unlinks = Unlinks::default();
        let mut note = |ms, is_unlinked, voucher: u8| {
            let vouchers = [NodeId([voucher; 16])];
            unlinks.note(at(ms), (NODE, is_unlinked), vouchers)
        };
        assert_eq!(note(1_000, true, 1), None);
        assert_eq!(note(15_999, true, 2), None);
        let told = note(16_000, true, 2).unwrap();
        assert_eq!(told.since, Wall(1_000));
        assert_eq!(told.by.len(), 2);
        assert_eq!(note(17_000, false, 3), None);
        // It begins anew.
        assert_eq!(note(18_000, true, 3), None);
        assert_eq!(note(33_000, true, 3).unwrap().by.len(), 1);
    }
}
