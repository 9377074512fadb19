//! What is believed of whom: each decision whether this node acts on what another one says.
//!
//! # The rule
//!
//! **A member can spoil what it owns, and can be slow; it can neither end, nor speak for, nor starve
//! another.**
//!
//! Every statement has a speaker and a subject. The speaker is known from the identity that its TLS
//! certificate proves, never from the payload; the payload names the subject. What a node says of
//! itself is *proof*. What it says of others is *hearsay*: a cluster cannot do without it, since a
//! node that is cut off has nobody else to speak for it, but any member may lie. So hearsay is
//! believed only as far as it may be true, and the subject's own word, when it comes, wins.
//!
//! In protocol 2 what is said of a third node's place in the cluster carries that node's signature, and is
//! judged by it alone ([`cluster::roster`](crate::cluster), [`proof`](crate::proof)). What follows is about
//! what cannot be signed, and about protocol 1, where it is accepted.
//!
//! # The decisions
//!
//! | statement | is believed | decided by |
//! | --- | --- | --- |
//! | a node has that run (roster), protocol 1 | from itself; from others up to 1,000 runs above the last proved one | [`Runs`] |
//! | a node has that generation (SWIM) | from itself; from others in protocol 2 in a run that the roster has proved; only while the node is not connected, up to 1,000 renewals and 1,000 runs above the last proved one; a connected one is asked | [`Generations`] |
//! | a node lives that is down or suspect here (SWIM) | from itself; from others three times, and then ever more rarely, until it speaks for itself | [`Generations::may_revive`] |
//! | a node that was met under a wrong generation | has the one that it proves: the wrong one is displaced | [`Generations::prove`] |
//! | a node is down (SWIM), is forgotten, and in protocol 1 has left | from itself; from others unless it is connected and answers | [`absence`] |
//! | this node's own log holds these registrations | from nobody: no run of it is expected from others | [`is_log_expected`] |
//! | another node's log holds these registrations | from its owner; from others what the owner has signed, if they were asked, and while the owner cannot speak for itself | [`log_part`], `registry::learning` |
//! | the same, on a connection of protocol 1 | from its owner; from others only where `accept_v1` is set, if they were asked, and while the owner cannot speak for itself | [`log_part`] |
//! | a registration of another node has ended for that reason | from its owner; from others without the reason | [`crdt::registry::Logs::take`] |
//! | a node has two unlike logs of one position | when it has signed both: the one with the smaller hash is its log | [`crdt::registry::Logs::take`] |
//! | a node's log has a run | up to the run that the roster has, and above the run in which it left | [`is_log_expected`] |
//! | a claim on a name was made at that time | as it stands; but it moves this node's own clock at most a day ahead of the time | [`latest_claim`] |
//! | this node has had a higher run | by its own line of another start; in protocol 1 as an answer to a hello, or of this node's log, up to 1,000 runs above what its disk has kept | [`OwnRun`] |
//! | another daemon has this node's certificate | when that certificate was met there in a handshake | [`Impostors`] |
//! | another node has this node's name | when that node was met with the name in its certificate | [`Impostors`] |
//! | a node is an observer | by its certificate only, which its line carries | `cluster::roster` |
//! | a third node has that run, generation or state, answers, is forgotten, or has these registrations | from members only, as above; from no observer | [`is_heard`], [`log_part`] |
//! | an observer has registrations | from nobody | [`log_part`] |
//! | a list has these changes, or is forked; a node has them on its disk | from members only, by what is checked there | `lists::replication` |
//! | of two changes with one number that one is a node's own | when that node has signed it; a node signs only what its disk says that it has made | `lists::job` |
//! | a node has signed two such changes | when both signatures are there: the change with the smaller hash stays, and nobody is cut off | `lists::replication` |
//! | a node is away on purpose, or no longer | from members who have signed it about its latest line, unless it is connected and answers: then it is told, and its next line ends it; ten of one member at once, then one a second | `cluster::roster` |
//! | that was said at a time | up to a day ahead of this node's clock | `cluster::roster` |
//! | a node is revoked | from everybody, observers too: an authority has signed it that is not withdrawn | `cluster::roster` |
//! | an authority is withdrawn | from everybody, observers too: the cluster's own authority has signed it | `cluster::roster` |
//!
//! A refusal of a hello is heard once for each hello that this node has sent on a connection; the
//! connection counts that (`cluster::connections`). Whether the speaker of a hello is the node that
//! it says to be, or a clone of it, is judged by challenging the older one (`cluster::hello`).
//!
//! # Bounds instead of proofs
//!
//! 1,000 is how many starts or renewals of a node may have gone unseen here. Without such a bound one
//! lie would use up all runs of a node, since a run must only grow. A bound above what was *proved*
//! cannot be climbed by steps: believed hearsay does not raise it.
//!
//! What registrations a node has is proved by the node itself, whoever tells it. What still lacks a
//! proof is said of nodes that this one does not reach: that such a node is down is believed from any
//! member. The owner's next hello ends it.
//!
//! # Starving
//!
//! Nobody starves another by number: hearsay names at most 10,000 nodes (`cluster::swim`), an address
//! at which its node has never proved itself is dialled ever more rarely, few such at once
//! (`cluster::dials`), and a look for an impostor takes place every 3 s at most ([`Impostors`]).
//!
//! Everything here is pure, and none of it sends anything. The machines ask, and act on the answer.

mod generations;
mod impostors;
mod logs;
mod observers;
mod runs;

pub(crate) use generations::{Evidence, Generations, Proof, run_of};
pub(crate) use impostors::Impostors;
pub(crate) use logs::{LogPart, Use, is_log_expected, latest_claim, log_part, next_claim};
pub(crate) use observers::is_heard;
pub(crate) use runs::{MAX_RUN, OwnRun, Runs, run_beside_proof};

use names::NodeId;

/// How many starts, and how many renewals within one run, of a node may go unseen here: so far above
/// what it has proved is hearsay believed.
const MAX_UNSEEN: u64 = 1_000;

/// What is to be done when a node is said to be down, to have left or to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is as it was said.
    Believed,
    /// This node reaches the subject, so the subject is asked. It is gone only if it does not answer.
    AskSubject,
}

/// Decides whether it is believed that a node is gone. `is_present` says whether the subject, which is
/// not this node, is connected and answers. That it is down by SWIM does not count: that may be
/// hearsay, too.
pub(crate) fn absence(speaker: NodeId, subject: NodeId, is_present: bool) -> Absence {
    if speaker == subject || !is_present {
        Absence::Believed
    } else {
        Absence::AskSubject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_subject_ends_a_node_that_is_connected_and_not_silent() {
        let (speaker, subject) = (NodeId([1; 16]), NodeId([2; 16]));
        let said = |by, is_connected, is_silent| {
            let evidence = Evidence {
                is_connected,
                is_silent,
                rostered_run: 1,
                needs_proof: false,
            };
            absence(by, subject, evidence.is_present())
        };
        assert_eq!(said(speaker, true, false), Absence::AskSubject);
        assert_eq!(said(speaker, true, true), Absence::Believed);
        assert_eq!(said(speaker, false, false), Absence::Believed);
        assert_eq!(said(subject, true, false), Absence::Believed);
    }
}
