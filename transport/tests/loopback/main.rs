//! Endpoints on real loopback sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail by panicking"
)]

mod datagrams;
mod far;
mod handshake;
mod inquiries;
mod joining;
mod life;
mod messages;
mod rogue;
mod world;
