//! The node's two state machines, without I/O: every protocol decision of Muster is in this crate.
//!
//! [`cluster::Cluster`] knows who is there: membership (SWIM), the roster, joining and leaving. It
//! is small and quick and waits for nothing. [`lists::Lists`] holds the to-do lists of some shards:
//! documents, commits, replication. Neither has a clock, a socket, a file or a task; a shell
//! carries their inputs and outputs. It is `daemon` with the real world and `tests` with a
//! simulated one. Both are driven alike:
//!
//! ```text
//! machine.handle(now, input);                              // never fails, never blocks
//! while let Some(output) = machine.poll_output() { … }     // one ordered queue, drained after every handle
//! sleep_until(machine.poll_timeout());                     // then handle(now, Input::Timeout)
//! ```
//!
//! The same inputs at the same times with the same seed give the same outputs, bit for bit.

pub mod cluster;
pub mod codec;
#[cfg(test)]
mod golden;
pub mod inquiry;
pub mod lists;
pub mod time;
mod timers;
pub mod wire;
