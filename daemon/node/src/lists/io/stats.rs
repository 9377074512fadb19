//! The numbers of a lists machine.

use std::time::Duration;

/// Plain numbers for metrics and for the simulator's checks; counters run from the start of the
/// machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lists that this machine knows.
    pub lists: u64,
    /// Documents in memory.
    pub resident: u64,
    /// About how many bytes they take.
    pub resident_bytes: u64,
    /// Documents loaded from the store.
    pub loads: u64,
    /// Changes made by clients of this node and committed.
    pub changes_local: u64,
    /// Changes received from peers and committed.
    pub changes_remote: u64,
    /// Changes received that were there already.
    pub changes_duplicate: u64,
    /// Changes received and refused.
    pub changes_refused: u64,
    /// Those of them whose numbers other changes of their actors have.
    pub changes_forked: u64,
    /// Changes received and not taken, since no node has signed that their actor is its own.
    pub changes_unsigned: u64,
    /// Changes that have left their lists.
    pub changes_left_out: u64,
    /// Changes waiting for others that they depend on.
    pub orphans: u64,
    /// Lists whose changes from peers wait until there is memory for their documents.
    pub in_line: u64,
    /// Lists being repaired now.
    pub repairs: u64,
    /// Repairs begun.
    pub repairs_begun: u64,
    /// Lists known to differ from some connected peer's.
    pub differing: u64,
    /// How long the list that has differed longest from a connected peer's has done so, while one
    /// side stood still.
    pub lag: Duration,
    /// Lists of which some connected peer has another branch.
    pub forked: u64,
    /// Lists in quarantine.
    pub quarantined: u64,
    /// Lists whose rows are still to be made anew since the start.
    pub remaking: u64,
    /// Those of them before which the node is not ready.
    pub remaking_awaited: u64,
    /// Changes and questions of peers that were dropped because a bound was reached; repair brings
    /// the changes back.
    pub dropped: u64,
    /// Messages that did not decode.
    pub malformed: u64,
    /// Writes whose commit has not returned.
    pub writes_pending: u64,
    /// Clients waiting for a reply.
    pub requests_waiting: u64,
}
