//! TLS for both directions of a handshake, and the judgement on the other end's certificate.

use crate::refusal::{Refusal, Verdict};
use crate::settings::Settings;
use parking_lot::RwLock;
use pki::{Identity, Withdrawn, certificate};
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use std::collections::HashSet;
use std::sync::Arc;

/// Why TLS cannot be set up: a fault of the build, not of its input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error(transparent)]
    Suite(#[from] NoInitialCipherSuite),
}

/// What a short connection beside the usual ones is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// An examination of the cluster.
    Inquiry,
    /// Joining, and renewing certificates.
    Joining,
}

/// What handshakes are made with until the next reload.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) identity: Identity,
    alpn: Vec<Vec<u8>>,
    inquiry_alpn: Vec<u8>,
    join_alpn: Vec<u8>,
    provider: Arc<CryptoProvider>,
    /// What is shown to those that are dialled.
    dialling: Arc<SingleCertAndKey>,
    /// What is shown to those that dial.
    accepting: Arc<Shown>,
    revoked: Revoked,
}

/// With whom no handshake is finished.
pub(crate) type Revoked = Arc<RwLock<Refused>>;

/// Who is refused, whatever else is good about it.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// The ids of nodes, whatever certificates they show.
    pub(crate) ids: HashSet<[u8; 16]>,
    /// The authorities by whose certificates nobody is let in.
    pub(crate) authorities: Withdrawn,
}

/// What is shown to those that dial: to those that want to join the authorities too, since all that
/// they know of the cluster is the fingerprint of one.
#[derive(Debug)]
struct Shown {
    usual: Arc<CertifiedKey>,
    joining: Arc<CertifiedKey>,
    join_alpn: Vec<u8>,
}

impl Shown {
    fn new(identity: &Identity, join_alpn: Vec<u8>) -> Self {
        let usual = identity.certified_key();
        let mut joining = CertifiedKey::clone(&usual);
        joining.cert.extend_from_slice(identity.authorities());
        Self {
            usual,
            joining: Arc::new(joining),
            join_alpn,
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut offered = hello.alpn().into_iter().flatten();
        let wants_to_join =
            !self.join_alpn.is_empty() && offered.any(|name| name == self.join_alpn);
        let shown = if wants_to_join {
            &self.joining
        } else {
            &self.usual
        };
        Some(shown.clone())
    }
}

impl Tls {
    pub(crate) fn new(identity: Identity, settings: &Settings, revoked: Revoked) -> Self {
        let dialling = Arc::new(SingleCertAndKey::from(identity.certified_key()));
        let accepting = Arc::new(Shown::new(&identity, settings.join_alpn.clone()));
        Self {
            identity,
            alpn: settings.alpn.clone(),
            inquiry_alpn: settings.inquiry_alpn.clone(),
            join_alpn: settings.join_alpn.clone(),
            provider: pki::provider(),
            dialling,
            accepting,
            revoked,
        }
    }

    pub(crate) fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// For one incoming handshake. No tickets: a resumed session would skip the check of the
    /// certificate.
    pub(crate) fn server(&self, verdict: Verdict) -> Result<QuicServerConfig, TlsError> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(self.verifier(None, verdict)))
            .with_cert_resolver(self.accepting.clone());
        let others = [&self.inquiry_alpn, &self.join_alpn];
        let others = others.into_iter().filter(|name| !name.is_empty());
        config.alpn_protocols = self.alpn.iter().chain(others).cloned().collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config.try_into()?)
    }

    /// For one dial.
    pub(crate) fn client(
        &self,
        expect: Option<[u8; 16]>,
        verdict: Verdict,
    ) -> Result<QuicClientConfig, TlsError> {
        self.client_of(self.alpn.clone(), expect, verdict)
    }

    /// For one conversation of another kind.
    pub(crate) fn inquirer(
        &self,
        about: About,
        expect: [u8; 16],
        verdict: Verdict,
    ) -> Result<QuicClientConfig, TlsError> {
        let alpn = match about {
            About::Inquiry => &self.inquiry_alpn,
            About::Joining => &self.join_alpn,
        };
        self.client_of(vec![alpn.clone()], Some(expect), verdict)
    }

    fn client_of(
        &self,
        alpn: Vec<Vec<u8>>,
        expect: Option<[u8; 16]>,
        verdict: Verdict,
    ) -> Result<QuicClientConfig, TlsError> {
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.verifier(expect, verdict)))
            .with_client_cert_resolver(self.dialling.clone());
        config.alpn_protocols = alpn;
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(config.try_into()?)
    }

    fn verifier(&self, expect: Option<[u8; 16]>, verdict: Verdict) -> Verifier {
        let algorithms = self.provider.signature_verification_algorithms;
        Verifier {
            identity: self.identity.clone(),
            algorithms,
            expect,
            verdict,
            revoked: self.revoked.clone(),
            is_mandatory: self.join_alpn.is_empty(),
        }
    }
}

/// The same judgement in both directions: signed by an authority of this cluster, made for both
/// purposes, with a node's id and name, and neither this node itself nor, when dialled by id,
/// another one than expected.
#[derive(Debug)]
struct Verifier {
    identity: Identity,
    algorithms: WebPkiSupportedAlgorithms,
    expect: Option<[u8; 16]>,
    verdict: Verdict,
    revoked: Revoked,
    /// Whether TLS itself refuses those that show no certificate. Which protocol they want is known
    /// only later (see `accept`), so where hosts may join it cannot.
    is_mandatory: bool,
}

impl Verifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), rustls::Error> {
        self.find(leaf, intermediates).map_err(|refusal| {
            self.verdict.put(&refusal);
            refusal.into_tls()
        })
    }

    fn find(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Refusal> {
        let own = self.identity.cluster();
        if let Some(found) = certificate::claimed_cluster(leaf).filter(|found| *found != own) {
            return Err(Refusal::OtherCluster { found, own });
        }
        self.identity
            .verify(leaf, intermediates)
            .map_err(|error| match chain_fault(&error) {
                ChainFault::Validity => Refusal::Validity,
                ChainFault::Untrusted => Refusal::Untrusted,
            })?;
        let found = certificate::node(leaf).map_err(Refusal::Certificate)?.id;
        if found == self.identity.id() {
            return Err(Refusal::Itself);
        }
        let revoked = self.revoked.read();
        if revoked.ids.contains(&found) || revoked.authorities.refuses(leaf, intermediates) {
            return Err(Refusal::Revoked);
        }
        match self.expect {
            Some(expected) if expected != found => Err(Refusal::Unexpected { found, expected }),
            _ => Ok(()),
        }
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }
}

enum ChainFault {
    Validity,
    Untrusted,
}

fn chain_fault(error: &CertificateError) -> ChainFault {
    if pki::is_untimely(error) {
        ChainFault::Validity
    } else {
        ChainFault::Untrusted
    }
}

/// QUIC is TLS 1.3 only (RFC 9001, section 4.2).
pub(crate) fn tls12_is_not_offered() -> rustls::Error {
    rustls::PeerIncompatible::Tls12NotOffered.into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(leaf, intermediates)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(tls12_is_not_offered())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(leaf, intermediates)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(tls12_is_not_offered())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
