//! What clients can ask of the cluster machine, each question with the kind of its answer. Those
//! that concern the process registry are in [`registry::ask`](crate::registry::ask).

use super::io::{Command, JoinOutcome, Reply};
use crate::machine::asks;

/// Dial these addresses (`host:port`) now and join whoever answers. The answer comes when each has
/// an outcome, and has them in the same order.
#[derive(Clone, Debug)]
pub struct Join(pub Vec<String>);

/// Declare a member gone for good, by its name or id.
#[derive(Clone, Debug)]
pub struct Forget(pub String);

/// Write `left` into the roster, tell everybody, and stop after about a second.
#[derive(Clone, Copy, Debug)]
pub struct Leave;

/// Tell everybody that this node will be back, and stop.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown;

asks!(Command => Reply {
    Join: Command::Join => Vec<JoinOutcome>: Reply::Joined(outcomes) => outcomes,
    Forget: Command::Forget => (): Reply::Done => (),
    Leave: Command::Leave => (): Reply::Done => (),
    Shutdown: Command::Shutdown => (): Reply::Done => (),
});
