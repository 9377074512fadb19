//! How far hearsay may raise a node's generation, by which SWIM tells its identities apart.

use super::MAX_UNSEEN;
use crate::time::Instant;
use names::NodeId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Others bring a node that is down or suspect back to life so often: after a partition one hears of nodes
/// from others before they are connected. Then once in such a pause, each twice as long as the one
/// before, until the node speaks for itself.
const FREELY: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(160);
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
    /// Whether the subject may have come to that run.
    fn may_have_run(self, run: u64) -> bool {
        !self.needs_proof || (run <= self.rostered_run && self.rostered_run > 0)
    }

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
    /// Hearsay has put the node above its proof: its own word displaces what was said.
    Refutes,
}

/// A generation, with the address that goes with it.
pub(crate) type Told = (u64, SocketAddr);

/// When others may bring a node back to life again.
#[derive(Clone, Copy, Debug)]
struct Revival {
    /// How often they may at once.
    free: u32,
    next: Instant,
    pause: Duration,
}

/// The generation that each node has told of itself last.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    proved: BTreeMap<NodeId, Told>,
    revivals: BTreeMap<NodeId, Revival>,
}

impl Generations {
    /// Decides whether others are believed that a node has come to that generation.
    pub(crate) fn is_credible(&self, subject: NodeId, told: Told, evidence: Evidence) -> bool {
        let (run, renewals) = (run_of(told.0), renewals_of(told.0));
        if !evidence.may_have_run(run) {
            return false;
        }
        let Some(proved) = self.proved.get(&subject).copied() else {
            return renewals <= MAX_UNSEEN
                && (evidence.rostered_run == 0
                    || run <= evidence.rostered_run.saturating_add(MAX_UNSEEN));
        };
        if told.0 <= proved.0 || evidence.is_connected {
            // A generation has one address.
            return told.0 < proved.0 || told == proved;
        }
        let (proved_run, proved_renewals) = (run_of(proved.0), renewals_of(proved.0));
        if run == proved_run {
            return renewals <= proved_renewals.saturating_add(MAX_UNSEEN);
        }
        // The node may have been started again unseen.
        let latest_run = proved_run.max(evidence.rostered_run);
        renewals <= MAX_UNSEEN && run <= latest_run.saturating_add(MAX_UNSEEN)
    }

    /// Whether a node that is connected is said to be further than it has told itself, so that it is to
    /// be asked.
    pub(crate) fn is_doubtful(&self, subject: NodeId, told: Told, evidence: Evidence) -> bool {
        let proved = self.proved.get(&subject);
        evidence.is_present()
            && evidence.may_have_run(run_of(told.0))
            && proved.is_some_and(|proved| told.0 > proved.0)
    }

    /// Decides whether others bring a node back to life that is down or suspect here, or may soon be. As
    /// long as it does not speak for itself, that is believed ever more rarely.
    pub(crate) fn may_revive(&mut self, now: Instant, subject: NodeId) -> bool {
        let revival = self.revivals.entry(subject).or_insert(Revival {
            free: FREELY,
            next: now,
            pause: FIRST_PAUSE,
        });
        if let Some(free) = revival.free.checked_sub(1) {
            (revival.free, revival.next) = (free, now + FIRST_PAUSE);
            return true;
        }
        if now < revival.next {
            return false;
        }
        revival.pause = LONGEST_PAUSE.min(revival.pause * 2);
        revival.next = now + revival.pause;
        true
    }

    /// Takes note of a node's own word on its generation. `told` is the generation under which this
    /// node has known it so far.
    pub(crate) fn prove(&mut self, node: NodeId, own: Told, told: Option<Told>) -> Proof {
        let proved = self.proved.entry(node).or_insert(own);
        if run_of(own.0) < run_of(proved.0) {
            return Proof::Outdated;
        }
        *proved = own.max(*proved);
        self.revivals.remove(&node);
        if told.is_some_and(|told| told > *proved) {
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

    fn told(generation: u64) -> Told {
        (generation, ([10, 0, 0, 2], 6878).into())
    }

    #[test]
    fn a_node_counts_once_the_roster_has_its_line() {
        let generations = Generations::default();
        let believes = |run: u64, rostered| {
            let evidence = Evidence {
                needs_proof: true,
                ..evidence(false, rostered)
            };
            generations.is_credible(NODE, told(run * RUN), evidence)
        };
        assert!(!believes(1, 0) && !believes(0, 0));
        assert!(believes(3, 3) && believes(2, 3) && !believes(4, 3));
    }

    #[test]
    fn only_a_node_itself_raises_its_generation_while_it_is_connected() {
        let mut generations = Generations::default();
        let own = told(5 * RUN + 2);
        assert_eq!(generations.prove(NODE, own, None), Proof::Agrees);
        let believes = |generation, is_connected| {
            generations.is_credible(NODE, told(generation), evidence(is_connected, 5))
        };
        for later in [5 * RUN + 3, 6 * RUN] {
            assert!(!believes(later, true) && believes(later, false));
        }
        assert!(believes(5 * RUN + 1, true) && believes(5 * RUN + 2, true));
        assert!(believes(5 * RUN + 1_002, false) && !believes(5 * RUN + 1_003, false));
        assert!(believes(1_005 * RUN, false) && !believes(1_006 * RUN, false));
        assert!(!believes(6 * RUN + 1_001, false));
        for is_connected in [true, false] {
            let elsewhere = (own.0, ([10, 0, 0, 3], 1).into());
            let evidence = evidence(is_connected, 5);
            assert!(!generations.is_credible(NODE, elsewhere, evidence));
        }
    }

    #[test]
    fn a_connected_node_that_is_said_to_be_further_is_asked_while_it_answers() {
        let mut generations = Generations::default();
        generations.prove(NODE, told(5 * RUN), None);
        let is_asked =
            |generation, evidence| generations.is_doubtful(NODE, told(generation), evidence);
        let silent = Evidence {
            is_silent: true,
            ..evidence(true, 5)
        };
        assert!(is_asked(5 * RUN + 1, evidence(true, 5)) && !is_asked(5 * RUN, evidence(true, 5)));
        assert!(!is_asked(5 * RUN + 1, evidence(false, 5)) && !is_asked(5 * RUN + 1, silent));
    }

    #[test]
    fn others_bring_a_dead_node_back_to_life_ever_more_rarely() {
        let mut generations = Generations::default();
        let at = |seconds| Instant::from_nanos(0) + Duration::from_secs(seconds);
        let mut revived = Vec::new();
        for second in 0..400 {
            if generations.may_revive(at(second), NODE) {
                revived.push(second);
            }
        }
        assert_eq!(revived, [0, 1, 2, 12, 32, 72, 152, 312]);
        generations.prove(NODE, told(RUN), None);
        assert!(generations.may_revive(at(400), NODE));
    }

    #[test]
    fn hearsay_of_a_node_that_was_never_met_is_bounded_by_the_roster() {
        let generations = Generations::default();
        let believes = |run: u64, rostered| {
            generations.is_credible(NODE, told(run * RUN), evidence(false, rostered))
        };
        assert!(believes(1_000_000, 0), "there is nothing to compare with");
        assert!(believes(1_003, 3) && !believes(1_004, 3));
    }

    #[test]
    fn a_proof_displaces_whatever_is_above_it() {
        let mut generations = Generations::default();
        let own = told(3 * RUN + 1);
        let mut proves = |by, before| generations.prove(NODE, by, Some(before));
        assert_eq!(proves(own, own), Proof::Agrees);
        assert_eq!(proves(own, told(3 * RUN + 2)), Proof::Refutes);
        assert_eq!(
            proves(own, (own.0, ([10, 0, 0, 3], 1).into())),
            Proof::Refutes
        );
        // A packet that was overtaken by a later one.
        assert_eq!(proves(told(3 * RUN), own), Proof::Agrees);
        assert_eq!(proves(told(2 * RUN), told(3 * RUN + 2)), Proof::Outdated);
    }
}
