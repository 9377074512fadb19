//! Cluster machines among themselves, in virtual time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's world is to stop at what is not so"
)]

mod chaos;
mod contesting;
mod enduring;
mod failing;
mod identity;
mod joining;
mod leaving;
mod linking;
mod registering;
mod unrest;
mod world;
