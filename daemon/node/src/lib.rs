//! The node's two state machines, without I/O: every protocol decision of Muster is in this crate.
//!
//! [`cluster::Cluster`] knows who is there: membership (SWIM), the roster, joining and leaving. It
//! is small and quick and waits for nothing. [`lists::Lists`] holds the to-do lists of some shards:
//! documents, commits, replication. Neither has a clock, a socket, a file or a task; whoever drives
//! them carries their inputs and outputs. That is `daemon` with the real world and `sim` with a
//! simulated one. Both are a [`Machine`](machine::Machine), driven alike:
//!
//! ```text
//! machine.handle(now, input);                              // never fails, never blocks
//! while let Some(output) = machine.poll_output() { … }     // one ordered queue, drained after every call
//! sleep_until(machine.poll_timeout());                     // then machine.wake(now)
//! ```

#![warn(missing_docs)]

pub mod admission;
mod belief;
pub mod cluster;
pub mod codec;
#[cfg(test)]
mod golden;
pub mod inquiry;
pub mod lists;
pub mod machine;
pub mod preference;
pub mod proof;
pub mod registry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod wire;
