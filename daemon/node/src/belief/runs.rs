//! How far hearsay may raise a node's run: another node's on the roster, and this node's own.

use super::MAX_UNSEEN;
use names::NodeId;
use std::collections::BTreeMap;

/// Runs are counted in the upper half of a generation; a number above this was never counted.
pub(crate) const MAX_RUN: u64 = 1 << 31;

/// The run that each node has proved last; of those that have proved none since this node's start
/// the one that was kept, or told first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(BTreeMap<NodeId, u64>);

impl Runs {
    /// Begins with the runs that the disk has kept.
    pub(crate) fn kept(runs: impl Iterator<Item = (NodeId, u64)>) -> Self {
        Self(runs.collect())
    }

    /// Takes note of a node's own word on its run. True if it refutes what was told of the node.
    pub(crate) fn prove(&mut self, node: NodeId, run: u64, told: u64) -> bool {
        self.0.insert(node, run);
        is_refuted(told, run)
    }

    /// Decides whether others are believed that a node has come to that run.
    pub(crate) fn is_credible(&mut self, node: NodeId, run: u64) -> bool {
        let proved = *self.0.entry(node).or_insert(run);
        run < MAX_RUN && run <= proved.saturating_add(MAX_UNSEEN)
    }
}

/// The run that others have told of a node, as far as it is believed beside the node's own word: 0 if
/// that refutes it.
pub(crate) fn run_beside_proof(told: u64, proved: u64) -> u64 {
    if is_refuted(told, proved) { 0 } else { told }
}

fn is_refuted(told: u64, proved: u64) -> bool {
    told > proved.saturating_add(MAX_UNSEEN)
}

/// The run that this node takes. It is above the one that the disk has kept, and above what others
/// say that the node has had, as far as that is believed: the disk may have been restored from a
/// backup.
#[derive(Debug)]
pub(crate) struct OwnRun {
    wanted: u64,
    /// Hearsay is believed up to this run.
    highest: u64,
}

impl OwnRun {
    /// The first run after the one that the disk has kept.
    pub(crate) fn after(kept: u64) -> Self {
        let wanted = kept.saturating_add(1);
        Self {
            wanted,
            highest: wanted.saturating_add(MAX_UNSEEN),
        }
    }

    /// The run that is taken, or shall be.
    pub(crate) fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Others say that this node has had that run. False if that is not believed.
    pub(crate) fn hear_of(&mut self, run: u64) -> bool {
        let is_credible = run <= self.highest;
        if is_credible && run >= self.wanted {
            self.wanted = run.saturating_add(1);
        }
        is_credible
    }

    /// This node itself has signed that it had that run.
    pub(crate) fn learn(&mut self, run: u64) {
        if run >= self.wanted && run < MAX_RUN - 1 {
            self.wanted = run + 1;
            self.highest = self.highest.max(self.wanted.saturating_add(MAX_UNSEEN));
        }
    }

    /// Takes the next run, by this node's own decision.
    pub(crate) fn advance(&mut self) {
        self.wanted = self.wanted.saturating_add(1);
        self.highest = self.highest.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([2; 16]);

    #[test]
    fn believed_hearsay_does_not_raise_the_bound() {
        let mut runs = Runs::kept([(NODE, 5)].into_iter());
        assert!(runs.is_credible(NODE, 1_005) && !runs.is_credible(NODE, 1_006));
        assert!(!runs.prove(NODE, 7, 1_007) && runs.prove(NODE, 7, 1_008));
        assert!(runs.is_credible(NODE, 1_007));
        assert_eq!(
            (run_beside_proof(1_007, 7), run_beside_proof(1_008, 7)),
            (1_007, 0)
        );
    }

    #[test]
    fn hearsay_raises_this_nodes_own_run_only_once_by_the_bound() {
        let mut own = OwnRun::after(4);
        assert!(own.hear_of(3) && own.wanted() == 5);
        assert!(!own.hear_of(1_006) && own.wanted() == 5);
        assert!(own.hear_of(1_005) && own.wanted() == 1_006);
        assert!(!own.hear_of(1_006) && own.wanted() == 1_006);
        own.advance();
        assert_eq!(own.wanted(), 1_007);
    }
}
