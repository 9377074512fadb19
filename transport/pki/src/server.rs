//! What a TLS server shows to browsers and programs: a certificate of any authority, and its key.

use crate::certificate::{self, CertificateFault};
use crate::identity::{IdentityError, certificates, check_validity, private_key, provider};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::Date;

/// Why a server's files were refused. Nothing was changed; each sentence names the file and says
/// what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file cannot be read, holds nothing usable, lets others read the key, or does not go with
    /// the other one.
    #[error(transparent)]
    File(#[from] IdentityError),
    /// No handshake can be signed with such a key.
    #[error(
        "the key {key} is of a kind that cannot be used; RSA, ECDSA (P-256, P-384) and Ed25519 can",
        key = key.display()
    )]
    Kind {
        /// The key's file.
        key: PathBuf,
    },
    /// Too late for this certificate.
    #[error(
        "the certificate {file} expired on {date}; put a renewed one in its place",
        file = file.display()
    )]
    Expired {
        /// The file of the certificate.
        file: PathBuf,
        /// Its last day.
        date: Date,
    },
}

/// A server's certificate, with those that lead to its authority, and its key. Invariant: they
/// belong together, and were valid when they were loaded.
#[derive(Clone, Debug)]
pub struct Server {
    not_after: i64,
    key: Arc<CertifiedKey>,
}

impl Server {
    /// Loads two PEM files: the certificate, followed by those between it and its authority, and its
    /// key, which only its owner may read. Who signed it, and for which names, is for clients to
    /// judge.
    ///
    /// # Errors
    /// What is wrong with them, in one sentence.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, ServerError> {
        let fault = |fault| IdentityError::Certificate {
            file: certificate.to_owned(),
            fault,
        };
        let chain = certificates(certificate)?;
        let leaf = chain.first().ok_or_else(|| IdentityError::Empty {
            file: certificate.to_owned(),
            what: "certificate",
        })?;
        let (not_before, not_after) = certificate::validity(leaf).map_err(fault)?;
        check_validity(certificate, not_before, not_after).map_err(expired)?;
        let key_der = private_key(key)?;
        let paired = CertifiedKey::from_der(chain, key_der, &provider()).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                ServerError::File(IdentityError::Pairing {
                    key: key.to_owned(),
                    certificate: certificate.to_owned(),
                })
            } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
                ServerError::File(fault(CertificateFault::Malformed))
            } else {
                ServerError::Kind {
                    key: key.to_owned(),
                }
            }
        })?;
        Ok(Self {
            not_after,
            key: Arc::new(paired),
        })
    }

    /// When the certificate expires, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The certificate and the key that signs handshakes.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Whether the other one shows the same certificates.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

/// Says what to do about a certificate that is not one of `muster pki`.
fn expired(error: IdentityError) -> ServerError {
    if let IdentityError::Expired { file, date } = error {
        ServerError::Expired { file, date }
    } else {
        error.into()
    }
}
