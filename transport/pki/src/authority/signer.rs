//! Authorities on nodes: keys below the cluster's own that sign for nodes that join.
//!
//! The directory of one, on its node, for the node's user only:
//!
//! | file | holds |
//! | --- | --- |
//! | `authority.pem` | its certificate, signed with the cluster's key, valid for 5 years |
//! | `authority.key` | its key (mode 0600) |
//! | `issued/` | whom it has given certificates, as in the cluster authority's own directory |
//!
//! The subject of its certificate is that of the cluster's authority with `OU=authority NAME`. The
//! two files may also be a copy of the cluster's own `ca.pem` and `ca.key`: then nothing stands
//! between the authority and the nodes, which is the way for authorities that allow none below them.

use super::{
    AUTHORITY_FILE, BACKDATED, CertificateParams, ISSUED_DIRECTORY, IsCa, PkiError,
    authority_params, issued_file, issued_id, issued_leaf, keep_issued, sign_node,
    signing_authority,
};
use crate::certificate::{self, AuthorityFacts, Bearer};
use crate::files::{self, Mode, Replace};
use crate::identity::{self, Identity, IdentityError};
use crate::proofs::chain_of;
use crate::withdrawn::{Mark, mark};
use data_encoding::HEXLOWER;
use names::{NodeName, Role};
use rcgen::{
    BasicConstraints, DnType, Issuer, KeyPair, PKCS_ED25519, PublicKeyData, SerialNumber,
    SignatureAlgorithm, SigningKey,
};
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

const SIGNER_FILE: &str = "authority.pem";
const SIGNER_KEY_FILE: &str = "authority.key";
/// How long an authority below the cluster's own is valid when nobody says.
pub const SIGNER_LIFE: std::time::Duration = std::time::Duration::from_secs(1825 * 24 * 60 * 60);

/// An authority below the cluster's own that was made or renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// Its cluster's id.
    pub cluster: [u8; 16],
    /// When its certificate expires, in Unix seconds.
    pub not_after: i64,
}

/// Makes an authority below that of the cluster in `ca`, for the node of that name, in `out`. If one
/// is there already it keeps its key and gets a new certificate.
///
/// # Errors
/// The cluster's authority allows none below it, or a file cannot be read or written.
pub fn delegate(
    ca: &Path,
    name: &str,
    out: &Path,
    life: std::time::Duration,
) -> Result<Delegated, PkiError> {
    NodeName::new(name)?;
    let (signing_key, authority, _) = signing_authority(ca)?;
    if !authority.may_delegate {
        let path = ca.join(AUTHORITY_FILE);
        return Err(PkiError::NoDelegates { path });
    }
    files::directory(out)?;
    let key = signer_key(&out.join(SIGNER_KEY_FILE))?;
    let mut params = signer_params(authority.cluster, Some(&format!("authority {name}")));
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after =
        (now + life).min(OffsetDateTime::from_unix_timestamp(authority.not_after).unwrap_or(now));
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    let issuer = Issuer::new(authority_params(authority.cluster), signing_key);
    let pem = params.signed_by(&key, &issuer)?.pem();
    files::write(
        &out.join(SIGNER_FILE),
        pem.as_bytes(),
        Mode::Public,
        Replace::Yes,
    )?;
    Ok(Delegated {
        cluster: authority.cluster,
        not_after: params.not_after.unix_timestamp(),
    })
}

/// The key in that file, which is made if it is missing.
fn signer_key(path: &Path) -> Result<KeyPair, PkiError> {
    match fs::read_to_string(path) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(|_| PkiError::Key {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate_for(&PKCS_ED25519)?;
            let pem = key.serialize_pem();
            files::write(path, pem.as_bytes(), Mode::Secret, Replace::No)?;
            Ok(key)
        }
        Err(source) => Err(PkiError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What its certificate says of an authority, the cluster's own or one below it.
fn signer_params(cluster: [u8; 16], unit: Option<&str>) -> CertificateParams {
    let mut params = authority_params(cluster);
    if let Some(unit) = unit {
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, unit);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    }
    params
}

/// A certificate that was signed for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The node's id.
    pub id: [u8; 16],
    /// Its name.
    pub name: String,
    /// Its certificate in PEM, followed by those between it and the cluster's authority.
    pub pem: String,
    /// When it expires, in Unix seconds.
    pub not_after: i64,
}

/// A key that signs for nodes, as it lies in its directory. Invariant: it belongs to its
/// certificate, which is an authority's and has not expired when it was loaded.
pub struct Signer {
    dir: PathBuf,
    key: KeyPair,
    facts: AuthorityFacts,
    der: CertificateDer<'static>,
    pem: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("dir", &self.dir)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// The one in that directory; `None` where there is none.
    ///
    /// # Errors
    /// Its files cannot be read, do not belong together, or let others read the key.
    pub fn load(dir: &Path) -> Result<Option<Self>, PkiError> {
        let (path, key_path) = (dir.join(SIGNER_FILE), dir.join(SIGNER_KEY_FILE));
        if !key_path.exists() {
            return Ok(None);
        }
        identity::private_key(&key_path)?;
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|source| PkiError::File {
                path: path.to_owned(),
                source,
            })
        };
        let key = KeyPair::from_pem(&read(&key_path)?);
        let key = key.map_err(|_| PkiError::Key { path: path.clone() })?;
        let pem = read(&path)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|_| PkiError::Key { path: path.clone() })?;
        let facts = certificate::authority(&der).map_err(|fault| IdentityError::Certificate {
            file: path.clone(),
            fault,
        })?;
        let is_of_key = facts.public_key == PublicKeyData::subject_public_key_info(&key);
        if !is_of_key || facts.not_after <= OffsetDateTime::now_utc().unix_timestamp() {
            return Err(PkiError::Key { path });
        }
        Ok(Some(Self {
            dir: dir.to_owned(),
            key,
            facts,
            der,
            pem,
        }))
    }

    /// When its certificate expires, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.facts.not_after
    }

    /// Its certificate, by which nodes judge what it signs (see [`Proofs`](crate::Proofs)).
    pub fn chain(&self) -> Vec<u8> {
        chain_of([&self.der])
    }

    /// Signs a message as this authority.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        sign(&self.key, message)
    }

    /// By what a withdrawal names its key.
    pub fn key_mark(&self) -> Mark {
        mark(&self.facts.public_key)
    }

    /// Signs for the holder of that key (Ed25519). The certificate ends after `life`, or with this
    /// authority. It is checked as the nodes of `identity`'s cluster will check it, before anybody gets
    /// it.
    ///
    /// # Errors
    /// They would refuse it.
    pub fn certify(
        &self,
        bearer: Bearer<'_>,
        public_key: &[u8; 32],
        life: std::time::Duration,
        identity: &Identity,
    ) -> Result<Certified, PkiError> {
        NodeName::new(bearer.name)?;
        let key = KeyPair::from_pem(&self.key.serialize_pem())?;
        let params = signer_params(self.facts.cluster, self.facts.unit.as_deref());
        let issuer = Issuer::new(params, key);
        let (leaf, not_after) = sign_node(
            &issuer,
            &Ed25519Key(*public_key),
            bearer,
            life,
            self.facts.not_after,
        )?;
        self.check(&leaf, identity)?;
        let is_root = identity.authorities().contains(&self.der);
        let pem = if is_root {
            leaf
        } else {
            format!("{leaf}{}", self.pem)
        };
        Ok(Certified {
            id: bearer.id,
            name: bearer.name.to_owned(),
            pem,
            not_after,
        })
    }

    /// Records whom this authority has signed for, for [`list`].
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record(&self, certified: &Certified) -> Result<(), PkiError> {
        let issued = self.dir.join(ISSUED_DIRECTORY);
        files::directory(&issued)?;
        let text = format!("{}\n", HEXLOWER.encode(&certified.id));
        files::write(
            &issued.join(&certified.name),
            text.as_bytes(),
            Mode::Public,
            Replace::Yes,
        )?;
        keep_issued(&self.dir, &certified.name, &certified.pem)
    }

    fn check(&self, leaf: &str, identity: &Identity) -> Result<(), PkiError> {
        let path = self.dir.join(SIGNER_FILE);
        let der = CertificateDer::from_pem_slice(leaf.as_bytes());
        let der = der.map_err(|_| PkiError::Key { path: path.clone() })?;
        identity
            .verify(&der, std::slice::from_ref(&self.der))
            .map_err(|reason| PkiError::Distrusted { path, reason })
    }
}

/// Signs a message as [`Proofs`](crate::Proofs) judges it.
pub(super) fn sign(key: &KeyPair, message: &[u8]) -> Result<Vec<u8>, PkiError> {
    let signature = SigningKey::sign(key, message)?;
    let scheme = u16::from(SignatureScheme::ED25519).to_be_bytes();
    Ok([&scheme[..], &signature].concat())
}

/// The public half of another host's key.
struct Ed25519Key([u8; 32]);

impl PublicKeyData for Ed25519Key {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A name that was given to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedName {
    /// The name.
    pub name: String,
    /// The node's id.
    pub id: [u8; 16],
    /// The id of its cluster; `None` where an earlier program issued it, as below.
    pub cluster: Option<[u8; 16]>,
    /// What it is in the cluster.
    pub role: Role,
    /// When its latest certificate expires, in Unix seconds; `None` where an earlier program issued
    /// it, which did not keep it.
    pub not_after: Option<i64>,
    /// That certificate, with those between it and `ca.pem`; `None` likewise.
    pub pem: Option<String>,
}

/// Whom the authority in `dir` has given certificates, by name.
///
/// # Errors
/// A record cannot be read.
pub fn list(dir: &Path) -> Result<Vec<IssuedName>, PkiError> {
    let issued = dir.join(ISSUED_DIRECTORY);
    let failed = |source| PkiError::File {
        path: issued.clone(),
        source,
    };
    let entries = match fs::read_dir(&issued) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && dir.exists() => {
            return Ok(Vec::new());
        }
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(failed)?.file_name();
        let Some(name) = file.to_str().filter(|name| NodeName::new(name).is_ok()) else {
            continue;
        };
        let Some(id) = issued_id(&issued.join(name))? else {
            continue;
        };
        let file = issued_file(dir, name);
        let leaf = issued_leaf(&file)?;
        let pem = match leaf {
            Some(_) => Some(fs::read_to_string(&file).map_err(failed)?),
            None => None,
        };
        let facts = leaf.as_ref().and_then(|der| certificate::node(der).ok());
        let role = facts.as_ref().map(|facts| facts.role);
        names.push(IssuedName {
            name: name.to_owned(),
            id,
            cluster: leaf.and_then(|der| certificate::claimed_cluster(&der)),
            role: role.unwrap_or_default(),
            not_after: facts.map(|facts| facts.not_after),
            pem,
        });
    }
    names.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(names)
}
