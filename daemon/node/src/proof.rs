//! Proofs: what a node has signed with the key of its certificate.
//!
//! Who sends a message is known from the connection. What goes on to third nodes (lines of the roster, who is
//! away, heads of registry logs, salts of actors and words on changes of lists) carries its author's proof
//! instead, and is believed from whoever brings it: a signature over
//!
//! ```text
//! length of the domain's name (1 byte) ‖ its name ‖ the cluster's id (16 bytes) ‖ what is said
//! ```
//!
//! so that what was signed as one thing, or in one cluster, is never taken for another. What is said
//! is the last part, and says itself where it ends.
//!
//! Machines have no keys: the daemon gives them a [`Proofs`] made of the node's certificate, and the
//! simulator and tests a cheap one ([`testing`]).

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use crate::wire::Peer;
use bytes::Bytes;
use crdt::roster::Mark;
use names::Role;
use std::fmt;

/// What kind of thing is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// A [line](crdt::roster::Line) of the roster.
    Line,
    /// The [head](crdt::registry::Head) of a log of the process registry.
    LogHead,
    /// A [revocation or withdrawal](crdt::roster::Revocation), which authorities sign.
    Revocation,
    /// A [salt](crdt::list::Salt) of the actors by which a node writes to lists.
    Salt,
    /// A node's [word](crdt::list::Word) on which change is its own.
    OwnChange,
    /// That a member is [away](crdt::roster::Away), or no longer is.
    Away,
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Self::Line => "muster roster line",
            Self::LogHead => "muster registry head",
            Self::Revocation => "muster revocation",
            Self::Salt => "muster salt",
            Self::OwnChange => "muster own change",
            Self::Away => "muster away",
        }
    }

    /// The bytes that are signed.
    pub fn message(self, cluster: [u8; 16], said: &[u8]) -> Vec<u8> {
        let name = self.name();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        [&[length], name.as_bytes(), &cluster, said].concat()
    }
}

/// Signs as this node, and judges what other nodes have signed. Neither is random, nor depends on the
/// time.
pub trait Proofs: fmt::Debug + Send + Sync {
    /// What others need to judge what this node signs now: its certificate and those above it. A later
    /// certificate of a node does not spoil what an earlier one has proved.
    fn chain(&self) -> Bytes;

    /// Signs as this node. Empty if its key cannot.
    fn sign(&self, domain: Domain, said: &[u8]) -> Bytes;

    /// What the node is whose certificate a chain has that was judged before.
    fn role(&self, chain: &[u8]) -> Role;

    /// Who has signed that, if the chain is that of a node of this cluster.
    fn signer(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> Option<Peer>;

    /// Whether an authority of this cluster has signed that: the cluster's own, or one below it. `chain`
    /// is its certificate.
    fn is_of_authority(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool;

    /// Whether the cluster's own authority has signed that, and not one below it. `chain` is its
    /// certificate.
    fn is_of_root(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool;

    /// The certificates above the first one, as they stand at the end of a chain: others' chains may end
    /// with the same. Nothing is judged here.
    fn issuers<'a>(&self, chain: &'a [u8]) -> Vec<&'a [u8]>;

    /// By what withdrawals name what a chain has, which is not judged here; `None` if it is none.
    fn marks(&self, chain: &[u8]) -> Option<Marks>;
}

/// By what withdrawals of authorities name the certificates of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The first certificate.
    pub certificate: Mark,
    /// The key of the first certificate.
    pub key: Mark,
    /// The keys of the certificates above it, as far as they are in the chain.
    pub issuers: Vec<Mark>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_it_was() {
        let message = Domain::Line.message([9; 16], b"said");
        let expected = [b"\x12muster roster line", &[9; 16][..], b"said"].concat();
        assert_eq!(message, expected);
        assert_ne!(message, Domain::LogHead.message([9; 16], b"said"));
        let salt = Domain::Salt.message([9; 16], b"said");
        assert_eq!(salt, [b"\x0bmuster salt", &[9; 16][..], b"said"].concat());
        let own = Domain::OwnChange.message([9; 16], b"said");
        let expected = [b"\x11muster own change", &[9; 16][..], b"said"].concat();
        assert_eq!(own, expected);
        let away = Domain::Away.message([9; 16], b"said");
        assert_eq!(away, [b"\x0bmuster away", &[9; 16][..], b"said"].concat());
    }
}
