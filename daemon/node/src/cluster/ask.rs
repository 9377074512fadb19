//! What clients can ask of the cluster machine, each question with the kind of its answer. Those
//! that concern the process registry are in [`ask`](crate::registry::ask).

use super::away::Declared;
use super::io::{Chain, Command, JoinOutcome, Reply};
use crate::machine::asks;
use crate::registry;
use crate::registry::ask::{Group, Link, Links, Report, Unlink, Unregister};
use crdt::roster::Revocation;
use std::time::Duration;

/// Dial these addresses (`host:port`) now and join whoever answers. The answer comes when each has
/// an outcome, and has them in the same order.
#[derive(Clone, Debug)]
pub struct Join {
    /// The addresses.
    pub addresses: Vec<String>,
    /// Who has not answered within this time is called unreachable, although it may yet answer.
    pub within: Duration,
}

/// Declare a member gone for good, by its name or id.
#[derive(Clone, Debug)]
pub struct Forget(pub String);

/// Shut a node out for ever, as an authority of the cluster has signed it, or withdraw an authority, as the
/// cluster's own has.
#[derive(Clone, Debug)]
pub struct Revoke(pub Revocation);

/// Declare a member that is down away on purpose.
#[derive(Clone, Debug)]
pub struct Away {
    /// The member's name or id.
    pub member: String,
    /// For how long from now, in milliseconds.
    pub span_ms: u64,
    /// Why.
    pub why: String,
    /// Who asks.
    pub by: String,
    /// Also where this node does not see a majority of the members that are not away.
    pub force: bool,
}

/// Say that a member is away no longer.
#[derive(Clone, Debug)]
pub struct Back {
    /// The member's name or id.
    pub member: String,
    /// Who asks.
    pub by: String,
}

/// The chains of certificates with which the members have signed their lines.
#[derive(Clone, Copy, Debug)]
pub struct Chains;

/// Write `left` into the roster, tell everybody, and stop after about a second.
#[derive(Clone, Copy, Debug)]
pub struct Leave;

/// Tell everybody that this node will be back, and stop.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown;

asks!(Command => Reply {
    Join: Command::Join => Vec<JoinOutcome>: Reply::Joined(outcomes) => outcomes,
    Forget: Command::Forget => (): Reply::Done => (),
    Revoke: Command::Revoke => (): Reply::Done => (),
    Away: Command::Away => Declared: Reply::Away(declared) => *declared,
    Back: Command::Back => Declared: Reply::Away(declared) => *declared,
    Chains: Command::Chains => Vec<Chain>: Reply::Chains(chains) => chains,
    Leave: Command::Leave => (): Reply::Done => (),
    Shutdown: Command::Shutdown => (): Reply::Done => (),
    // Whether it is fresh: not so if the same process had that name already.
    Box<registry::Registration>: |ask| Command::Registry(registry::Command::Register(ask))
        => bool: Reply::Registry(registry::Reply::Registered { fresh }) => fresh,
    Unregister: |ask| Command::Registry(registry::Command::Unregister(ask))
        => (): Reply::Registry(registry::Reply::Done) => (),
    Report: |ask| Command::Registry(registry::Command::Report(ask))
        => (): Reply::Registry(registry::Reply::Done) => (),
    Group: |ask| Command::Registry(registry::Command::Group(ask))
        => (): Reply::Registry(registry::Reply::Done) => (),
    Link: |ask| Command::Registry(registry::Command::Link(ask))
        => (): Reply::Registry(registry::Reply::Done) => (),
    Unlink: |ask| Command::Registry(registry::Command::Unlink(ask))
        => (): Reply::Registry(registry::Reply::Done) => (),
    Links: |ask| Command::Registry(registry::Command::Links(ask))
        => Vec<registry::LinkView>: Reply::Registry(registry::Reply::Links(links)) => links,
});
