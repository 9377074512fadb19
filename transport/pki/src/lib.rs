//! The certificates of a cluster: its own authority, which issues them, and what a node reads in
//! its own files and in those that its peers show.
//!
//! An administrator makes an authority once ([`init`]) and issues each node's files with it
//! ([`issue`], [`renew`]); [`rotate`] replaces the authority, and [`retire`] ends the trust in
//! the one before. A node loads its files as its
//! [`Identity`] and judges a peer's certificate by [`Identity::verify`] and [`certificate::node`].
//! Nodes join without copied files by way of an authority below that one ([`delegate`], [`Signer`])
//! and a [`Token`]; [`install`] writes what they get.
//! What happens in a handshake is the business of `transport`. [`Server`] is another certificate:
//! that of a TLS server for browsers and programs, by whatever authority.
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pki::Identity;
//! pki::init("ca".as_ref())?;
//! pki::issue("ca".as_ref(), ("n1", pki::Role::Member), "n1".as_ref(), pki::NODE_LIFE)?;
//! let identity = Identity::load("n1/ca.pem".as_ref(), "n1/node.pem".as_ref(), "n1/node.key".as_ref())?;
//! assert_eq!(identity.name(), "n1");
//! # Ok(()) }
//! ```

#![warn(missing_docs)]

mod authority;
pub mod certificate;
pub mod files;
mod former;
mod identity;
mod installed;
mod invitation;
mod proofs;
mod server;
mod withdrawn;

pub use authority::{
    Authority, Certified, Delegated, Issued, IssuedName, NODE_LIFE, PkiError, Root, SIGNER_LIFE,
    Signer, delegate, init, issue, list, rename, renew, rotate,
};
pub use certificate::{Bearer, CertificateFault};
pub use former::{Unrenewed, retire};
pub use identity::{Identity, IdentityError, provider};
pub use installed::{NodeKey, install, replace_certificate};
pub use invitation::{
    Claim, Fingerprint, InvitationId, JoinKey, PinError, Pinned, Token, TokenError, is_untimely,
};
pub use names::Role;
pub use proofs::{By, MAX_CHAIN_BYTES, Proofs};
pub use server::{Server, ServerError};
pub use withdrawn::{Intermediate, Mark, Marks, Withdrawn, intermediates, mark, marks};
