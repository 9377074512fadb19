//! The numbers of the cluster machine.

use crate::registry;

/// Plain numbers for metrics and for the simulator's checks; counters run from the start of the
/// machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Members alive or suspect, without this node and observers.
    pub reachable: u64,
    /// Members on the roster that are not away, and this node, whatever it is; without other observers.
    pub expected: u64,
    /// Members that are away on purpose, without observers.
    pub away: u64,
    /// Observers on the roster, with this node if it is one.
    pub observers: u64,
    /// Members suspect now, without observers.
    pub suspects: u64,
    /// Members that are alive and reached by others alone, without observers.
    pub indirect: u64,
    /// Probes of ours that were answered by nobody.
    pub probes_failed: u64,
    /// Probes of ours that were answered.
    pub probes_answered: u64,
    /// The local health multiplier: 0 is healthy, 6 the worst.
    pub health: u64,
    /// Times that this node was stopped, or got no time, for half a second or longer.
    pub stops: u64,
    /// Whether the last of these was within the last minute.
    pub is_starved: bool,
    /// Members that this node declared down itself.
    pub declared_down: u64,
    /// Times that this node was declared down by others and renewed its generation.
    pub renewals: u64,
    /// Datagrams or messages that did not decode.
    pub malformed: u64,
    /// Lines of the roster that were passed over because they carry no good proof.
    pub lines_refused: u64,
    /// Connections in use.
    pub connections: u64,
    /// Seeds at which nobody has answered since the start.
    pub seeds_unreached: u64,
    /// Attempts to dial.
    pub dials: u64,
    /// Attempts that failed.
    pub dials_failed: u64,
    /// Of the process registry.
    pub registry: registry::Stats,
}
