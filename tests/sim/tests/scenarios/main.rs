//! Scenarios of a few nodes that each show one promise.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario is to stop at what is not so"
)]

mod actors;
mod answering;
mod away;
mod confirming;
mod contesting;
mod distant;
mod enduring;
mod entries;
mod failing;
mod forking;
mod hostile;
mod identity;
mod joining;
mod leaving;
mod linking;
mod lying;
mod metered;
mod numbering;
mod observing;
mod partial;
mod programs;
mod quarantined;
mod rebuilding;
mod recurring;
mod registering;
mod relaying;
mod replicating;
mod revoking;
mod script;
mod signing;
mod slow;
mod soon;
mod thin;
