//! Joining, on the side of the new host: a connection without a certificate to a node of a cluster of
//! which only the fingerprint of its authority is known.

use crate::admission::exporter;
use crate::dial::SERVER_NAME;
use crate::inquiry::{MAX_ANSWER_BYTES, in_time};
use crate::refusal::{DialErrorKind, Failure, Verdict};
use crate::tls::tls12_is_not_offered;
use bytes::Bytes;
use parking_lot::Mutex;
use pki::{Fingerprint, PinError, Pinned};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Endpoint, IdleTimeout, TransportConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How many of a name's addresses are tried.
const MAX_ADDRESSES: usize = 4;
/// How long one address may take to answer: how far it is is not known yet.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long the connection may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// How long the other end may take to hear that it is over.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often it shows that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// What the other end reads.
const DONE: &[u8] = b"done";

/// Why a node could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewcomerError {
    /// The name has no address.
    #[error("the name cannot be resolved: {0}")]
    Name(String),
    /// Nobody answers.
    #[error("{0}")]
    Silent(String),
    /// The node is not of the token's cluster, or its certificate is not good.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// It is there, and knows no joining.
    #[error("it speaks an earlier version, which knows no joining")]
    Unknown,
    /// It refuses, in words.
    #[error("{0}")]
    Refused(String),
    /// The connection broke, or there was no answer in time.
    #[error("{0}")]
    Broken(String),
    /// This host cannot open a socket, or use TLS.
    #[error("{0}")]
    Local(String),
}

/// A connection to a node whose cluster is the right one. It ends when this is dropped.
#[derive(Debug)]
pub struct Newcomer {
    quic: quinn::Connection,
    /// Drives the connection's socket as long as it is held.
    endpoint: Endpoint,
    /// Who is there.
    pub peer: Pinned,
    /// The exporter of the session.
    pub exporter: [u8; 32],
}

impl Newcomer {
    /// Dials a node (`host:port`). Must be called within a tokio runtime, which drives it.
    ///
    /// # Errors
    /// Nobody is there, it is of another cluster, or it does not want to speak.
    pub async fn dial(
        target: &str,
        alpn: &[u8],
        label: &[u8],
        authority: Fingerprint,
    ) -> Result<Self, NewcomerError> {
        let resolved = timeout(HANDSHAKE_LIMIT, lookup_host(target)).await;
        let resolved = resolved.map_err(|_| NewcomerError::Name("nobody answers".to_owned()))?;
        let resolved = resolved.map_err(|error| NewcomerError::Name(error.to_string()))?;
        let mut failure = NewcomerError::Name("it has no address".to_owned());
        for address in resolved.take(MAX_ADDRESSES) {
            match Self::shake(address, alpn, label, authority).await {
                Ok(newcomer) => return Ok(newcomer),
                // A refusal says more than silence at another address.
                Err(NewcomerError::Silent(_)) if is_answer(&failure) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn shake(
        address: SocketAddr,
        alpn: &[u8],
        label: &[u8],
        authority: Fingerprint,
    ) -> Result<Self, NewcomerError> {
        let local = |error: &dyn std::fmt::Display| NewcomerError::Local(error.to_string());
        let any: SocketAddr = if address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let endpoint = Endpoint::client(any).map_err(|error| local(&error))?;
        let judge = Arc::new(Judge::new(authority));
        let config = config(&judge, alpn).map_err(|error| local(&error))?;
        let connecting = endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| local(&error))?;
        let late = |_| {
            let limit = HANDSHAKE_LIMIT.as_secs();
            NewcomerError::Silent(format!("no answer within {limit} s"))
        };
        let connected = timeout(HANDSHAKE_LIMIT, connecting).await.map_err(late)?;
        let quic = connected.map_err(|error| judge.explain(&error))?;
        let found = judge.found.lock().take();
        let exporter = exporter(&quic, label);
        let (Some(Ok(peer)), Some(exporter)) = (found, exporter) else {
            return Err(NewcomerError::Local("TLS gives no exporter".to_owned()));
        };
        Ok(Self {
            quic,
            endpoint,
            peer,
            exporter,
        })
    }

    /// Asks, once. `least` is the time that the answer has on a near link.
    ///
    /// # Errors
    /// The connection broke, or there is no answer within the time.
    pub async fn ask(&self, request: &[u8], least: Duration) -> Result<Bytes, NewcomerError> {
        let limit = in_time(least, self.quic.rtt());
        let exchange = async {
            let (mut send, mut recv) = self.quic.open_bi().await.map_err(broken)?;
            send.write_all(request).await.map_err(broken)?;
            send.finish().map_err(broken)?;
            recv.read_to_end(MAX_ANSWER_BYTES).await.map_err(broken)
        };
        let answer = timeout(limit, exchange).await.map_err(|_| {
            NewcomerError::Broken(format!("no answer within {} s", limit.as_secs()))
        })?;
        match (answer, self.quic.close_reason()) {
            (Ok(bytes), _) => Ok(bytes.into()),
            (Err(_), Some(quinn::ConnectionError::ApplicationClosed(close)))
                if !close.reason.is_empty() =>
            {
                let words = crate::refusal::printable(&close.reason);
                Err(NewcomerError::Refused(words))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Ends the connection, and waits until the other end has been told: else it would keep the place
    /// until it has waited for long enough.
    pub async fn end(self) {
        self.quic.close(0_u8.into(), DONE);
        let _ = timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.quic.close(0_u8.into(), DONE);
    }
}

fn broken(error: impl std::fmt::Display) -> NewcomerError {
    NewcomerError::Broken(error.to_string())
}

fn is_answer(error: &NewcomerError) -> bool {
    matches!(
        error,
        NewcomerError::Pin(_) | NewcomerError::Unknown | NewcomerError::Refused(_)
    )
}

fn config(
    judge: &Arc<Judge>,
    alpn: &[u8],
) -> Result<quinn::ClientConfig, Box<dyn std::error::Error>> {
    let mut tls = rustls::ClientConfig::builder_with_provider(pki::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone())
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_sni = false;
    tls.resumption = Resumption::disabled();
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE)?))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_uni_streams(0_u8.into())
        .max_concurrent_bidi_streams(0_u8.into());
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Judges whom a new host has reached, and remembers it: TLS itself has room for an alert's number
/// only.
#[derive(Debug)]
struct Judge {
    authority: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
    found: Mutex<Option<Result<Pinned, PinError>>>,
}

impl Judge {
    fn new(authority: Fingerprint) -> Self {
        Self {
            authority,
            algorithms: pki::provider().signature_verification_algorithms,
            found: Mutex::default(),
        }
    }

    /// Why there is no connection.
    fn explain(&self, error: &quinn::ConnectionError) -> NewcomerError {
        if let Some(Err(found)) = self.found.lock().take() {
            return found.into();
        }
        let failure = Failure::new(error, &Verdict::default());
        if failure.is_other_protocol() {
            NewcomerError::Unknown
        } else if failure.kind == DialErrorKind::Refused {
            NewcomerError::Refused(failure.reason)
        } else {
            NewcomerError::Silent(failure.reason)
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = Pinned::judge(self.authority, leaf, others);
        let verdict = match &found {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(PinError::Validity) => Err(CertificateError::Expired.into()),
            Err(PinError::OtherCluster | PinError::Untrusted) => {
                Err(CertificateError::UnknownIssuer.into())
            }
        };
        *self.found.lock() = Some(found);
        verdict
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
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
