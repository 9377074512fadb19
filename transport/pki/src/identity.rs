//! Who this node is: its certificate, its key and the authorities it trusts, loaded from files and
//! checked in words.

use crate::certificate::{self, Bearer, CertificateFault, NodeFacts};
use crate::former;
use crate::proofs::chain_of;
use data_encoding::HEXLOWER;
use names::Role;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use time::{Date, Duration, OffsetDateTime, UtcOffset};

/// The largest certificate or key file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a node's files were refused. Nothing was changed; each sentence names the file and says what
/// would be right.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}", file = file.display())]
    Read {
        /// The file that could not be read.
        file: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file holds nothing usable.
    #[error("{file} holds no {what} in PEM form", file = file.display())]
    Empty {
        /// The file without a certificate or key.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Group or others may read the key.
    #[error("the key file {file} has mode {mode:04o}, others can read it; allow its owner only \
        (chmod 600)", file = file.display())]
    Exposed {
        /// The file that others may read.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A certificate cannot serve.
    #[error("a certificate in {file} cannot be used: {fault}", file = file.display())]
    Certificate {
        /// The file of the certificate.
        file: PathBuf,
        /// What is wrong with the certificate.
        fault: CertificateFault,
    },
    /// The authorities' file mixes clusters.
    #[error("{file} holds authorities of different clusters ({one} and {other}); it may hold \
        several of one cluster only", file = file.display())]
    Clusters {
        /// The file of the authorities.
        file: PathBuf,
        /// One cluster's id.
        one: String,
        /// Another one's.
        other: String,
    },
    /// All authorities have expired.
    #[error("every authority in {file} has expired", file = file.display())]
    AuthorityExpired {
        /// The file of the authorities.
        file: PathBuf,
    },
    /// The key is of an unknown kind or belongs to another certificate.
    #[error("the key {key} does not belong to the certificate \
        {certificate}", key = key.display(), certificate = certificate.display())]
    Pairing {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The certificate names another cluster's authority as its issuer.
    #[error("the certificate {file} is of cluster {found}, the authority {authority} of cluster \
        {expected}", file = file.display(), authority = authority.display())]
    OtherCluster {
        /// The certificate's file.
        file: PathBuf,
        /// The authorities' file.
        authority: PathBuf,
        /// The cluster in the certificate.
        found: String,
        /// The cluster in the authority.
        expected: String,
    },
    /// No authority signed the certificate.
    #[error("the certificate {file} is not signed by an authority in \
        {authority}", file = file.display(), authority = authority.display())]
    Untrusted {
        /// The certificate's file.
        file: PathBuf,
        /// The authorities' file.
        authority: PathBuf,
    },
    /// Too late for this certificate.
    #[error("the certificate {file} expired on {date}; issue it again (muster pki \
        issue)", file = file.display())]
    Expired {
        /// The file of the certificate.
        file: PathBuf,
        /// Its last day.
        date: Date,
    },
    /// Too early for this certificate.
    #[error("the certificate {file} is valid from {} on, and this host's clock says {}{}",
        in_words(*from), in_words(*now), behind(*from - *now), file = file.display())]
    NotYetValid {
        /// The file of the certificate.
        file: PathBuf,
        /// Its first second.
        from: OffsetDateTime,
        /// What this host takes for the time.
        now: OffsetDateTime,
    },
}

impl IdentityError {
    pub(crate) fn clusters(file: &Path, one: [u8; 16], other: [u8; 16]) -> Self {
        Self::Clusters {
            file: file.to_owned(),
            one: HEXLOWER.encode(&one),
            other: HEXLOWER.encode(&other),
        }
    }
}

/// A node's certificate and key and its cluster's authorities. Invariant: they were checked against
/// each other when loaded.
#[derive(Clone, Debug)]
pub struct Identity {
    facts: NodeFacts,
    cluster: [u8; 16],
    authority_not_after: i64,
    key: Arc<CertifiedKey>,
    roots: Arc<RootCertStore>,
    authorities: Arc<[CertificateDer<'static>]>,
    ever: Arc<Ever>,
}

/// The authorities by which what was signed at any time is judged.
#[derive(Debug)]
struct Ever {
    roots: RootCertStore,
    /// Those that are in force no more.
    former: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// Loads a node's identity from three PEM files: the authorities (several during a rotation, and
    /// former ones, all of one cluster; expired ones count as former), the certificate, followed by those
    /// between it and its authority, and its key, which only its owner may read.
    pub fn load(ca: &Path, certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let Authorities {
            cluster,
            last: authority_not_after,
            roots,
            certificates: trusted,
        } = authorities(ca)?;
        let ever = ever(ca, cluster, &trusted)?;
        let chain = certificates(certificate)?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(IdentityError::Empty {
                file: certificate.to_owned(),
                what: "certificate",
            });
        };
        let fault = |fault| IdentityError::Certificate {
            file: certificate.to_owned(),
            fault,
        };
        let facts = certificate::node(&leaf).map_err(fault)?;
        check_validity(certificate, facts.not_before, facts.not_after)?;
        let between: Vec<_> = chain.iter().skip(1).cloned().collect();
        let key_der = private_key(key)?;
        let key = CertifiedKey::from_der(chain, key_der, &provider()).map_err(|_| {
            IdentityError::Pairing {
                key: key.to_owned(),
                certificate: certificate.to_owned(),
            }
        })?;
        let identity = Self {
            facts,
            cluster,
            authority_not_after,
            key: Arc::new(key),
            roots: Arc::new(roots),
            authorities: trusted.into(),
            ever: Arc::new(ever),
        };
        identity.check_signature(certificate, ca, &leaf, &between)?;
        Ok(identity)
    }

    /// The node's id, drawn when its certificate was issued.
    pub fn id(&self) -> [u8; 16] {
        self.facts.id
    }

    /// The node's name: one DNS label in lower case.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// What the node is in its cluster.
    pub fn role(&self) -> Role {
        self.facts.role
    }

    /// The node, as its certificate names it.
    pub fn bearer(&self) -> Bearer<'_> {
        Bearer {
            id: self.facts.id,
            name: &self.facts.name,
            role: self.facts.role,
        }
    }

    /// The cluster's id.
    pub fn cluster(&self) -> [u8; 16] {
        self.cluster
    }

    /// When the certificate expires, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.facts.not_after
    }

    /// When the certificate began to be valid, in Unix seconds.
    pub fn not_before(&self) -> i64 {
        self.facts.not_before
    }

    /// The key's bytes, where it is an Ed25519 key.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        self.facts.public_key
    }

    /// The chain of its certificate, as [`Proofs`](crate::Proofs) judges it.
    pub fn chain(&self) -> Vec<u8> {
        chain_of(&self.certified_key().cert)
    }

    /// The cluster's authorities that have not expired, in the order of their file: the one that
    /// signs new certificates first.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Those that the cluster had before, as far as their file says so, and those that have expired.
    pub fn former_authorities(&self) -> &[CertificateDer<'static>] {
        &self.ever.former
    }

    /// When the last of the authorities expires, in Unix seconds.
    pub fn authority_not_after(&self) -> i64 {
        self.authority_not_after
    }

    /// The certificate and the key that signs handshakes.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Whether a certificate ends at one of this cluster's authorities, now.
    ///
    /// # Errors
    /// What the chain lacks; [`CertificateError::BadEncoding`] if it is no certificate.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), CertificateError> {
        verify(&self.roots, leaf, intermediates, UnixTime::now())
    }

    /// As [`verify`](Self::verify), at another time.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn verify_at(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<(), CertificateError> {
        verify(&self.roots, leaf, intermediates, at)
    }

    /// As [`verify_at`](Self::verify_at), also if it ends at a former authority.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn verify_ever(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<(), CertificateError> {
        verify(&self.ever.roots, leaf, intermediates, at)
    }

    /// The one of the cluster's authorities at which this node's own certificate ends: while an
    /// authority is replaced, not always the first.
    pub fn own_authority(&self) -> Option<&CertificateDer<'static>> {
        let (leaf, between) = self.key.cert.split_first()?;
        let is_own = |der: &&CertificateDer<'static>| verify_alone(der, leaf, between).is_ok();
        self.authorities.iter().find(is_own)
    }

    fn check_signature(
        &self,
        file: &Path,
        ca: &Path,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
    ) -> Result<(), IdentityError> {
        if let Some(found) =
            certificate::claimed_cluster(leaf).filter(|found| *found != self.cluster)
        {
            let (found, expected) = (HEXLOWER.encode(&found), HEXLOWER.encode(&self.cluster));
            return Err(IdentityError::OtherCluster {
                file: file.to_owned(),
                authority: ca.to_owned(),
                found,
                expected,
            });
        }
        match self.verify(leaf, between) {
            Ok(()) => Ok(()),
            Err(CertificateError::BadEncoding) => Err(IdentityError::Certificate {
                file: file.to_owned(),
                fault: CertificateFault::Malformed,
            }),
            Err(_) => Err(IdentityError::Untrusted {
                file: file.to_owned(),
                authority: ca.to_owned(),
            }),
        }
    }
}

/// Whether a certificate ends at that authority, now.
pub(crate) fn verify_alone(
    authority: &CertificateDer<'static>,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), CertificateError> {
    let mut alone = RootCertStore::empty();
    let added = alone.add(authority.clone());
    added.map_err(|_| CertificateError::BadEncoding)?;
    verify(&alone, leaf, intermediates, UnixTime::now())
}

fn verify(
    roots: &RootCertStore,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    at: UnixTime,
) -> Result<(), CertificateError> {
    let algorithms = provider().signature_verification_algorithms.all;
    let parsed = ParsedCertificate::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
    match rustls::client::verify_server_cert_signed_by_trust_anchor(
        &parsed,
        roots,
        intermediates,
        at,
        algorithms,
    ) {
        Ok(()) => Ok(()),
        Err(rustls::Error::InvalidCertificate(error)) => Err(error),
        Err(_) => Err(CertificateError::BadEncoding),
    }
}

/// The cryptography in use, also where several rustls providers are linked.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The authorities of a file that are still valid.
struct Authorities {
    cluster: [u8; 16],
    /// When the last of them expires.
    last: i64,
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

/// Reads the authorities that are still valid, all of one cluster.
fn authorities(file: &Path) -> Result<Authorities, IdentityError> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let (mut roots, mut valid) = (RootCertStore::empty(), Vec::new());
    let (mut cluster, mut last) = (None, now);
    for der in certificates(file)? {
        let fault = |fault| IdentityError::Certificate {
            file: file.to_owned(),
            fault,
        };
        let facts = certificate::authority(&der).map_err(fault)?;
        let one = *cluster.get_or_insert(facts.cluster);
        if one != facts.cluster {
            return Err(IdentityError::clusters(file, one, facts.cluster));
        }
        if facts.not_after >= now {
            roots
                .add(der.clone())
                .map_err(|_| fault(CertificateFault::Malformed))?;
            valid.push(der);
            last = last.max(facts.not_after);
        }
    }
    match cluster {
        None => Err(IdentityError::Empty {
            file: file.to_owned(),
            what: "certificate",
        }),
        Some(_) if valid.is_empty() => Err(IdentityError::AuthorityExpired {
            file: file.to_owned(),
        }),
        Some(cluster) => Ok(Authorities {
            cluster,
            last,
            roots,
            certificates: valid,
        }),
    }
}

/// Reads all authorities of a file, beside those in force.
fn ever(
    file: &Path,
    cluster: [u8; 16],
    in_force: &[CertificateDer<'static>],
) -> Result<Ever, IdentityError> {
    let (mut roots, mut former) = (RootCertStore::empty(), former::ever(file, cluster)?);
    for der in &former {
        let added = roots.add(der.clone());
        added.map_err(|_| IdentityError::Certificate {
            file: file.to_owned(),
            fault: CertificateFault::Malformed,
        })?;
    }
    former.retain(|der| !in_force.contains(der));
    Ok(Ever { roots, former })
}

/// All certificates of a PEM file, in order.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let pem = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.map_err(|_| IdentityError::Certificate {
        file: file.to_owned(),
        fault: CertificateFault::Malformed,
    })
}

/// A key that only its owner, or the service that it is a credential of, can read.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let metadata = fs::metadata(file).map_err(|reason| IdentityError::Read {
        file: file.to_owned(),
        reason,
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    // systemd's credentials are root's, and show the mask of an access list that names one user
    // where the group's bits are.
    let is_credential = metadata.uid() == 0 && metadata.gid() == 0 && mode == 0o440;
    if mode & 0o077 != 0 && !is_credential {
        return Err(IdentityError::Exposed {
            file: file.to_owned(),
            mode,
        });
    }
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|_| IdentityError::Empty {
        file: file.to_owned(),
        what: "private key",
    })
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, IdentityError> {
    let error = |reason| IdentityError::Read {
        file: file.to_owned(),
        reason,
    };
    if fs::metadata(file).map_err(error)?.len() > MAX_FILE_BYTES {
        return Err(error(io::Error::other("it is larger than 1 MiB")));
    }
    fs::read(file).map_err(error)
}

/// A time for people, to the second.
fn in_words(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

/// What is to be said of a clock that is so far behind: boards without a battery begin years ago.
fn behind(by: Duration) -> String {
    match by.whole_days() / 365 {
        ..=0 => String::new(),
        1 => ", more than a year earlier: it has not been set".to_owned(),
        years => format!(", more than {years} years earlier: it has not been set"),
    }
}

/// Whether a certificate is valid now; its bounds are Unix seconds.
pub(crate) fn check_validity(
    file: &Path,
    not_before: i64,
    not_after: i64,
) -> Result<(), IdentityError> {
    let clock = OffsetDateTime::now_utc();
    let now = clock.unix_timestamp();
    let time = |seconds| {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    if now > not_after {
        return Err(IdentityError::Expired {
            file: file.to_owned(),
            date: time(not_after).date(),
        });
    }
    if now < not_before {
        return Err(IdentityError::NotYetValid {
            file: file.to_owned(),
            from: time(not_before),
            now: clock,
        });
    }
    Ok(())
}
