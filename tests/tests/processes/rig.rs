//! Real daemons on hosts with networks of their own, joined by a switch that makes links as bad as links
//! get, and a workload that checks itself.
//!
//! A *way* is what frames from one host to another meet: delay, jitter, loss, duplication, a bandwidth,
//! a cut. The *weather* is a sequence of such troubles and of kills, drawn from a seed. `tests/rig` runs
//! more of it by hand than the tests here.

mod network;
mod scene;
mod switch;
mod way;
