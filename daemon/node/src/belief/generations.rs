//! How far hearsay may raise a node's generation, by which SWIM tells its identities apart.

use super::MAX_UNSEEN;
use names::NodeId;
use std::collections::BTreeMap;

/// A node that is so many renewals behind what hearsay has of it does not catch up by renewing:
/// somebody has lied.
const MAX_BEHIND: u64 = 8;
const RENEWALS: u64 = u32::MAX as u64;

/// The run in which a generation lies: the upper half of its number. The lower half counts the
/// renewals within the run.
pub(crate) fn run_of(generation: u64) -> u64 {
    generation >> 32
}

fn renewals_of(generation: u64) -> u64 {
    generation & RENEWALS
}

/// What this node knows of a subject besides what is said of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    /// Whether a connection to the subject is in use.
    pub(crate) is_connected: bool,
    /// Whether it was asked if it is there, because others said that it is not, and has not answered
    /// in time: the connection to a node that died stands for some seconds more.
    pub(crate) is_silent: bool,
    /// The subject's run on this node's roster; 0 if it is not there.
    pub(crate) rostered_run: u64,
    /// Whether only those nodes and runs count that the roster has, with their proofs.
    pub(crate) needs_proof: bool,
}

impl Evidence {
    /// Whether the subject can speak for itself.
    pub(crate) fn is_present(self) -> bool {
        self.is_connected && !self.is_silent
    }
}

/// What a node's own word on its generation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It comes from an earlier run than the last proof, and means nothing.
    Outdated,
    /// It agrees with what is known of the node.
    Agrees,
    /// Hearsay has put the node so far above its proof that it could not catch up: its own word
    /// displaces what was said.
    Refutes,
}

/// The generation that each node has told of itself last.
#[derive(Debug, Default)]
pub(crate) struct Generations(BTreeMap<NodeId, u64>);

impl Generations {
    /// Decides whether others are believed that a node has come to that generation.
    pub(crate) fn is_credible(&self, subject: NodeId, generation: u64, evidence: Evidence) -> bool {
        let (run, renewals) = (run_of(generation), renewals_of(generation));
        if evidence.needs_proof && (run > evidence.rostered_run || evidence.rostered_run == 0) {
            return false;
        }
        let Some(proved) = self.0.get(&subject).copied() else {
            return renewals <= MAX_UNSEEN
                && (evidence.rostered_run == 0
                    || run <= evidence.rostered_run.saturating_add(MAX_UNSEEN));
        };
        let (proved_run, proved_renewals) = (run_of(proved), renewals_of(proved));
        if evidence.is_connected || run <= proved_run {
            return generation <= proved.saturating_add(MAX_UNSEEN)
                && (run < proved_run || renewals <= proved_renewals.saturating_add(MAX_UNSEEN));
        }
        // The node may have been started again unseen.
        let latest_run = proved_run.max(evidence.rostered_run);
        renewals <= MAX_UNSEEN && run <= latest_run.saturating_add(MAX_UNSEEN)
    }

    /// Takes note of a node's own word on its generation. `told` is the generation under which this
    /// node has known it so far.
    pub(crate) fn prove(&mut self, node: NodeId, generation: u64, told: Option<u64>) -> Proof {
        let proved = self.0.entry(node).or_default();
        if run_of(generation) < run_of(*proved) {
            return Proof::Outdated;
        }
        *proved = generation.max(*proved);
        let ahead = told.map_or(0, |told| told.saturating_sub(*proved));
        if ahead > MAX_BEHIND {
            Proof::Refutes
        } else {
            Proof::Agrees
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([2; 16]);
    const RUN: u64 = 1 << 32;

    fn evidence(is_connected: bool, rostered_run: u64) -> Evidence {
        Evidence {
            is_connected,
            is_silent: false,
            rostered_run,
            needs_proof: false,
        }
    }

    #[test]
    fn a_node_counts_once_the_roster_has_its_line() {
        let generations = Generations::default();
        let believes = |run: u64, rostered| {
            let evidence = Evidence {
                needs_proof: true,
                ..evidence(false, rostered)
            };
            generations.is_credible(NODE, run * RUN, evidence)
        };
        assert!(!believes(1, 0) && !believes(0, 0));
        assert!(believes(3, 3) && believes(2, 3) && !believes(4, 3));
    }

    #[test]
    fn hearsay_of_a_connected_node_stays_within_its_run() {
        let mut generations = Generations::default();
        assert_eq!(generations.prove(NODE, 5 * RUN, None), Proof::Agrees);
        let believes = |generation, is_connected| {
            generations.is_credible(NODE, generation, evidence(is_connected, 5))
        };
        assert!(believes(5 * RUN + 1_000, true) && !believes(5 * RUN + 1_001, true));
        assert!(!believes(6 * RUN, true) && believes(6 * RUN, false));
        assert!(believes(1_005 * RUN, false) && !believes(1_006 * RUN, false));
        assert!(!believes(6 * RUN + 1_001, false));
    }

    #[test]
    fn hearsay_of_a_node_that_was_never_met_is_bounded_by_the_roster() {
        let generations = Generations::default();
        let believes = |run: u64, rostered| {
            generations.is_credible(NODE, run * RUN, evidence(false, rostered))
        };
        assert!(believes(1_000_000, 0), "there is nothing to compare with");
        assert!(believes(1_003, 3) && !believes(1_004, 3));
    }

    #[test]
    fn a_proof_displaces_only_what_the_node_could_not_reach_by_renewing() {
        let mut generations = Generations::default();
        let told = |ahead| Some(3 * RUN + ahead);
        assert_eq!(generations.prove(NODE, 3 * RUN, told(8)), Proof::Agrees);
        assert_eq!(generations.prove(NODE, 3 * RUN, told(9)), Proof::Refutes);
        assert_eq!(generations.prove(NODE, 2 * RUN, told(9)), Proof::Outdated);
    }
}
