//! What SWIM knows a node by.

use names::NodeId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A node in one of its runs. Its address is metadata: two identities are of the same node if the
/// ids are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cluster) struct Identity {
    pub(in crate::cluster) node: NodeId,
    pub(in crate::cluster) addr: SocketAddr,
    /// The run in the upper half, the renewals of this run in the lower one: foca renews
    /// synchronously, so a renewal must not need the disk.
    pub(in crate::cluster) generation: u64,
}

const RENEWALS: u64 = u32::MAX as u64;

impl Identity {
    /// The first identity of a run.
    pub(in crate::cluster) fn of_run(node: NodeId, addr: SocketAddr, run: u64) -> Self {
        Self {
            node,
            addr,
            generation: run.saturating_mul(RENEWALS + 1),
        }
    }
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        (self.generation & RENEWALS < RENEWALS).then(|| Self {
            generation: self.generation + 1,
            ..*self
        })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    /// The address only breaks the tie that clones make, so that all nodes break it alike.
    fn win_addr_conflict(&self, other: &Self) -> bool {
        (self.generation, self.addr) > (other.generation, other.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foca::Identity as _;

    #[test]
    fn a_new_run_beats_any_number_of_renewals() {
        let addr = ([127, 0, 0, 1], 6878).into();
        let old = Identity {
            generation: (3 << 32) | (RENEWALS - 1),
            ..Identity::of_run(NodeId([1; 16]), addr, 3)
        };
        let renewed = old.renew().unwrap();
        assert!(renewed.win_addr_conflict(&old) && renewed.generation >> 32 == 3);
        assert_eq!(
            renewed.renew(),
            None,
            "a renewal never runs over into the next run"
        );
        assert!(Identity::of_run(NodeId([1; 16]), addr, 4).win_addr_conflict(&renewed));
    }
}
