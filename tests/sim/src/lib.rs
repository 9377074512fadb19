//! The simulator: the real machines of crate `node` in one thread, with a simulated network, disk,
//! clock, clients, and processes that register themselves, all drawn from one seed. The same seed
//! gives the same run, bit for bit.
//!
//! ```text
//! let report = sim::run(seed, &Options::default());    // breaks things for 60 virtual seconds, mends them, checks
//! assert!(report.problems.is_empty());
//! ```
//!
//! In one seed of ten a member lies ([`liar`]).
//!
//! A run has two phases: in the first, things break and only safety is asked for; then all is
//! mended, and everything must agree within 10 virtual seconds. `src/bin/sweep.rs` runs many seeds;
//! a failing one is replayed by its number alone.

#![warn(missing_docs)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulator may panic: its runner reports that as a failed run"
)]

pub mod chance;
pub mod check;
pub mod clients;
pub mod disk;
pub mod faults;
pub mod host;
pub mod liar;
pub mod logs;
pub mod network;
pub mod os;
pub mod queue;
pub mod registrants;
mod run;
pub mod scenario;
pub mod trace;
pub mod world;

pub use run::{Options, Report, replay_command, run, run_world};
