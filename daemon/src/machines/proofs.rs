//! The cluster machine's proofs, made of this node's certificate and key, and what follows when that
//! is replaced.

use super::Inbox;
use bytes::Bytes;
use crdt::roster::Revocation;
use names::{NodeId, NodeName, Role};
use node::proof::{Domain, Marks, Proofs};
use node::wire::Peer;
use pki::{By, Withdrawn};
use std::sync::Arc;

/// Those of the certificate in force.
#[derive(Clone, Debug)]
pub(crate) struct Certified(pub(crate) Arc<pki::Proofs>);

impl Proofs for Certified {
    fn chain(&self) -> Bytes {
        self.0.chain().into()
    }

    fn role(&self, chain: &[u8]) -> Role {
        pki::Proofs::role(chain).unwrap_or_default()
    }

    fn sign(&self, domain: Domain, said: &[u8]) -> Bytes {
        let proof = self.0.sign(&domain.message(self.0.cluster(), said));
        if proof.is_none() {
            tracing::error!(
                "this node's key is of a kind that cannot sign what goes to third nodes"
            );
        }
        proof.unwrap_or_default().into()
    }

    fn signer(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> Option<Peer> {
        let message = domain.message(self.0.cluster(), said);
        let facts = self.0.signer((chain, judged_by(domain)), &message, proof)?;
        let name = NodeName::new(&facts.name).ok()?;
        Some(Peer {
            id: NodeId(facts.id),
            name,
            role: facts.role,
        })
    }

    fn is_of_authority(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        let message = domain.message(self.0.cluster(), said);
        self.0.is_of_authority(chain, &message, proof)
    }

    fn is_of_root(&self, chain: &[u8], domain: Domain, said: &[u8], proof: &[u8]) -> bool {
        let message = domain.message(self.0.cluster(), said);
        self.0.is_of_root(chain, &message, proof)
    }

    fn issuers<'a>(&self, chain: &'a [u8]) -> Vec<&'a [u8]> {
        pki::Proofs::issuers(chain)
    }

    fn marks(&self, chain: &[u8]) -> Option<Marks> {
        let marks = pki::marks(chain)?;
        Some(Marks {
            certificate: marks.certificate,
            key: marks.key,
            issuers: marks.issuers,
        })
    }
}

/// What is said of lists counts for as long as they are kept, also if its author is gone; all else is said
/// anew by who has another certificate.
fn judged_by(domain: Domain) -> By {
    match domain {
        Domain::Salt | Domain::OwnChange => By::Ever,
        Domain::Line | Domain::LogHead | Domain::Revocation | Domain::Away => By::Now,
    }
}

/// The authorities that are withdrawn, and what of theirs stays good.
pub(crate) fn withdrawn(revocations: &[Revocation]) -> Withdrawn {
    let mut withdrawn = Withdrawn::default();
    for one in revocations {
        if let Some(good) = one.good() {
            withdrawn.add(one.subject().0, good);
        }
    }
    withdrawn
}

/// All that acts with this node's certificate and key.
#[derive(Clone)]
pub(crate) struct Identities {
    pub(crate) endpoint: transport::Endpoint,
    pub(crate) proofs: Arc<pki::Proofs>,
    pub(crate) cluster: Inbox,
}

impl Identities {
    /// Connections that are made from now on show another certificate, and what this node says is
    /// signed with it.
    ///
    /// # Errors
    /// It is another node's; then nothing was changed.
    pub(crate) fn replace(&self, identity: pki::Identity) -> Result<(), transport::ReloadError> {
        self.endpoint.reload(identity.clone())?;
        self.proofs.reload(identity);
        self.cluster.recertified();
        Ok(())
    }
}
