//! The cluster's own certificate authority: a directory on the administrator's machine, never on a
//! node.
//!
//! | file | holds |
//! | --- | --- |
//! | `ca.pem` | the authority's certificate, self-signed, valid for 10 years; after a [`rotate`] also the earlier ones, in force or [former](crate::retire) |
//! | `ca.key` | its key (mode 0600) |
//! | `issued/NAME` | the id of the node of that name, as 32 hexadecimal digits: names and ids are never given twice |
//! | `issued/NAME.pem` | the latest certificate of that node, with those between it and `ca.pem` |
//!
//! The authority may make others below itself ([`delegate`]), which sign for nodes that join
//! ([`Signer`]); `ca.key` itself then belongs where nobody but an administrator gets at it.
//!
//! The cluster's id is 16 random bytes in the authority's distinguished name, `O=muster, CN=muster
//! cluster <32 hex>`, so that authorities can be replaced without making another cluster. A node's
//! certificate is valid for 2 years unless told otherwise, from a day back.

mod root;
mod signer;

pub use root::Root;
pub use signer::{Certified, Delegated, IssuedName, SIGNER_LIFE, Signer, delegate, list};

use crate::certificate::{self, AuthorityFacts, Bearer};
use crate::files::{self, Mode, Replace};
use crate::identity::{self, Identity, IdentityError};
use data_encoding::HEXLOWER;
use names::{NameError, NodeName, Role};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SerialNumber, SigningKey,
};
use rustls::pki_types::CertificateDer;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// How long a node's certificate is valid when nobody says.
pub const NODE_LIFE: std::time::Duration = std::time::Duration::from_secs(730 * 24 * 60 * 60);
/// How far a certificate's begin lies back, for nodes whose clocks are behind.
const BACKDATED: Duration = Duration::days(1);

pub(crate) const AUTHORITY_FILE: &str = "ca.pem";
const AUTHORITY_KEY_FILE: &str = "ca.key";
const NODE_FILE: &str = "node.pem";
const NODE_KEY_FILE: &str = "node.key";
const ISSUED_DIRECTORY: &str = "issued";

/// Why nothing was made. Files that were there before are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or directory cannot be read or written.
    #[error("cannot access {path}: {source}", path = path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there already; none is ever overwritten without [`renew`] or [`rotate`].
    #[error("{path} exists already and is not overwritten", path = path.display())]
    Exists {
        /// The path of the file.
        path: PathBuf,
    },
    /// Not a node name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name was issued before.
    #[error("the name {name} was issued already, to node {id}; renew it, or choose another name")]
    Issued {
        /// The name.
        name: String,
        /// Its node's id.
        id: String,
    },
    /// The name was never issued here.
    #[error("the name {0} was never issued by this authority")]
    NotIssued(String),
    /// The authority may not have others below it.
    #[error(
        "the authority in {path} is of a kind that allows no other below it; make a new one first \
         (muster pki rotate), which does",
        path = path.display()
    )]
    NoDelegates {
        /// The certificates' file.
        path: PathBuf,
    },
    /// A signer of another cluster, or one whose authority this node does not trust.
    #[error("what {path} signs is not trusted here: {reason}", path = path.display())]
    Distrusted {
        /// The signer's certificate.
        path: PathBuf,
        /// Why not.
        reason: rustls::CertificateError,
    },
    /// The record of an issued name cannot be read.
    #[error("{path} does not hold a node id", path = path.display())]
    Record {
        /// The path of the record.
        path: PathBuf,
    },
    /// The authority's certificate cannot be used.
    #[error(transparent)]
    Authority(#[from] IdentityError),
    /// No certificate in `ca.pem` belongs to `ca.key`, or the key cannot be read.
    #[error("no valid certificate in {path} belongs to the key beside it", path = path.display())]
    Key {
        /// The certificates' file.
        path: PathBuf,
    },
    /// Nodes would be shut out.
    #[error(
        "the latest certificates of {} that were issued here end at an authority that was replaced: renew \
         them first, or they are shut out",
        .0.join(", ")
    )]
    Unrenewed(Vec<String>),
    /// Making keys or certificates failed.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

/// An authority that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// When its certificate expires, in Unix seconds.
    pub not_after: i64,
}

/// A node's certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The node's id.
    pub id: [u8; 16],
    /// Its name.
    pub name: String,
    /// What it is in the cluster.
    pub role: Role,
    /// Its cluster's id.
    pub cluster: [u8; 16],
    /// When its certificate expires, in Unix seconds.
    pub not_after: i64,
}

/// Makes the authority of a new cluster in `dir`, which is made (mode 0700) if it is missing.
pub fn init(dir: &Path) -> Result<Authority, PkiError> {
    let paths = [dir.join(AUTHORITY_FILE), dir.join(AUTHORITY_KEY_FILE)];
    refuse_existing(&paths)?;
    files::directory(dir)?;
    let made = make_authority(rand::random())?;
    let [certificate, key] = paths;
    files::write(
        &key,
        made.key.serialize_pem().as_bytes(),
        Mode::Secret,
        Replace::No,
    )?;
    files::write(&certificate, made.pem.as_bytes(), Mode::Public, Replace::No)?;
    Ok(made.authority)
}

/// Replaces the authority of the cluster in `dir` by a new one of the same cluster. `ca.pem` holds
/// both from now on, the new one first: give it to all nodes, reload them, then renew their
/// certificates; only then [`retire`](crate::retire) the old one.
pub fn rotate(dir: &Path) -> Result<Authority, PkiError> {
    let (path, key_path) = (dir.join(AUTHORITY_FILE), dir.join(AUTHORITY_KEY_FILE));
    let (_, old, _) = signing_authority(dir)?;
    let made = make_authority(old.cluster)?;
    let earlier = fs::read_to_string(&path).map_err(|source| PkiError::File {
        path: path.clone(),
        source,
    })?;
    // The certificate first: if the second write fails, the old key still has its certificate.
    files::write(
        &path,
        format!("{}{earlier}", made.pem).as_bytes(),
        Mode::Public,
        Replace::Yes,
    )?;
    files::write(
        &key_path,
        made.key.serialize_pem().as_bytes(),
        Mode::Secret,
        Replace::Yes,
    )?;
    Ok(made.authority)
}

/// Draws the id of a new node and writes `node.pem`, `node.key` and a copy of `ca.pem` into `out`,
/// which is made if missing. A name can be issued once. The certificate ends after `life`, or with
/// its authority.
pub fn issue(
    dir: &Path,
    (name, role): (&str, Role),
    out: &Path,
    life: std::time::Duration,
) -> Result<Issued, PkiError> {
    NodeName::new(name)?;
    refuse_existing(&[
        out.join(NODE_FILE),
        out.join(NODE_KEY_FILE),
        out.join(AUTHORITY_FILE),
    ])?;
    let record = dir.join(ISSUED_DIRECTORY).join(name);
    if let Some(id) = issued_id(&record)? {
        return Err(PkiError::Issued {
            name: name.to_owned(),
            id: HEXLOWER.encode(&id),
        });
    }
    let id = rand::random();
    let made = make_node(dir, Bearer { id, name, role }, life)?;
    files::directory(out)?;
    files::directory(&dir.join(ISSUED_DIRECTORY))?;
    // The name is taken before the files are there: an interrupted issue can be renewed, a name is
    // never given twice.
    files::write(
        &record,
        format!("{}\n", HEXLOWER.encode(&id)).as_bytes(),
        Mode::Public,
        Replace::No,
    )?;
    keep_issued(dir, name, &made.pem)?;
    write_node(dir, &made, out, Replace::No)?;
    Ok(made.issued)
}

/// Issues the certificate of an earlier issued node again, with a new key and the same id,
/// replacing the files in `out`.
pub fn renew(
    dir: &Path,
    name: &str,
    out: &Path,
    life: std::time::Duration,
) -> Result<Issued, PkiError> {
    NodeName::new(name)?;
    let id = issued_id(&dir.join(ISSUED_DIRECTORY).join(name))?
        .ok_or_else(|| PkiError::NotIssued(name.to_owned()))?;
    let role = issued_role(dir, name)?;
    let made = make_node(dir, Bearer { id, name, role }, life)?;
    keep_issued(dir, name, &made.pem)?;
    write_node(dir, &made, out, Replace::Yes)?;
    Ok(made.issued)
}

/// Issues a certificate for an earlier issued node under another name, with a new key and the same id,
/// into `out`, which is made if missing. The earlier name stays that node's: no other one gets it.
pub fn rename(
    dir: &Path,
    (old, new): (&str, &str),
    out: &Path,
    life: std::time::Duration,
) -> Result<Issued, PkiError> {
    NodeName::new(old)?;
    NodeName::new(new)?;
    refuse_existing(&[
        out.join(NODE_FILE),
        out.join(NODE_KEY_FILE),
        out.join(AUTHORITY_FILE),
    ])?;
    let issued = dir.join(ISSUED_DIRECTORY);
    let id = issued_id(&issued.join(old))?.ok_or_else(|| PkiError::NotIssued(old.to_owned()))?;
    let taken = issued_id(&issued.join(new))?;
    if let Some(other) = taken.filter(|other| *other != id) {
        return Err(PkiError::Issued {
            name: new.to_owned(),
            id: HEXLOWER.encode(&other),
        });
    }
    let role = issued_role(dir, old)?;
    let name = new;
    let made = make_node(dir, Bearer { id, name, role }, life)?;
    let record = format!("{}\n", HEXLOWER.encode(&id));
    files::write(
        &issued.join(new),
        record.as_bytes(),
        Mode::Public,
        Replace::Yes,
    )?;
    keep_issued(dir, new, &made.pem)?;
    write_node(dir, &made, out, Replace::No)?;
    Ok(made.issued)
}

struct MadeAuthority {
    authority: Authority,
    key: KeyPair,
    pem: String,
}

struct MadeNode {
    issued: Issued,
    key: KeyPair,
    pem: String,
}

fn make_authority(cluster: [u8; 16]) -> Result<MadeAuthority, PkiError> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = authority_params(cluster);
    params.not_before = OffsetDateTime::now_utc() - BACKDATED;
    params.not_after = OffsetDateTime::now_utc() + AUTHORITY_LIFE;
    let authority = Authority {
        cluster,
        not_after: params.not_after.unix_timestamp(),
    };
    let pem = params.self_signed(&key)?.pem();
    Ok(MadeAuthority {
        authority,
        key,
        pem,
    })
}

/// What an authority's certificate and the issuer of its nodes' certificates have in common.
fn authority_params(cluster: [u8; 16]) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "muster");
    name.push(DnType::CommonName, certificate::authority_name(cluster));
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    // One authority below it, and the nodes below that one.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn make_node(
    dir: &Path,
    bearer: Bearer<'_>,
    life: std::time::Duration,
) -> Result<MadeNode, PkiError> {
    let (signing_key, authority, _) = signing_authority(dir)?;
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let issuer = Issuer::new(authority_params(authority.cluster), signing_key);
    let certified = sign_node(&issuer, &key, bearer, life, authority.not_after)?;
    let issued = Issued {
        id: bearer.id,
        name: bearer.name.to_owned(),
        role: bearer.role,
        cluster: authority.cluster,
        not_after: certified.1,
    };
    Ok(MadeNode {
        issued,
        key,
        pem: certified.0,
    })
}

/// A node's certificate in PEM, and when it expires: after `life`, or with its issuer.
fn sign_node(
    issuer: &Issuer<'_, impl SigningKey>,
    key: &impl PublicKeyData,
    bearer: Bearer<'_>,
    life: std::time::Duration,
    issuer_not_after: i64,
) -> Result<(String, i64), PkiError> {
    let mut params = CertificateParams::new(certificate::dns_names(bearer))?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, bearer.name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    // By default it follows from the key, which a renewed certificate has as well.
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after =
        (now + life).min(OffsetDateTime::from_unix_timestamp(issuer_not_after).unwrap_or(now));
    let not_after = params.not_after.unix_timestamp();
    Ok((params.signed_by(key, issuer)?.pem(), not_after))
}

/// The role in the latest certificate of a name; earlier programs, which kept none, knew members only.
fn issued_role(dir: &Path, name: &str) -> Result<Role, PkiError> {
    let leaf = issued_leaf(&issued_file(dir, name))?;
    let facts = leaf.and_then(|der| certificate::node(&der).ok());
    Ok(facts.map(|facts| facts.role).unwrap_or_default())
}

/// The node's own certificate in that file, if there is one.
fn issued_leaf(file: &Path) -> Result<Option<CertificateDer<'static>>, PkiError> {
    if !file.exists() {
        return Ok(None);
    }
    Ok(identity::certificates(file)?.into_iter().next())
}

fn issued_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(ISSUED_DIRECTORY).join(format!("{name}.pem"))
}

/// Keeps the latest certificate of a name, for [`list`].
fn keep_issued(dir: &Path, name: &str, pem: &str) -> Result<(), PkiError> {
    let file = issued_file(dir, name);
    files::write(&file, pem.as_bytes(), Mode::Public, Replace::Yes)
}

/// Writes a node's files and loads them back, so that what is handed out is known to work.
fn write_node(dir: &Path, made: &MadeNode, out: &Path, replace: Replace) -> Result<(), PkiError> {
    let authorities = dir.join(AUTHORITY_FILE);
    let authorities = fs::read(&authorities).map_err(|source| PkiError::File {
        path: authorities,
        source,
    })?;
    files::directory(out)?;
    let (ca, certificate, key) = (
        out.join(AUTHORITY_FILE),
        out.join(NODE_FILE),
        out.join(NODE_KEY_FILE),
    );
    files::write(
        &key,
        made.key.serialize_pem().as_bytes(),
        Mode::Secret,
        replace,
    )?;
    files::write(&certificate, made.pem.as_bytes(), Mode::Public, replace)?;
    files::write(&ca, &authorities, Mode::Public, replace)?;
    Identity::load(&ca, &certificate, &key)?;
    Ok(())
}

/// The key that signs, and its certificate among those in `ca.pem`.
pub(crate) fn signing_authority(
    dir: &Path,
) -> Result<(KeyPair, AuthorityFacts, CertificateDer<'static>), PkiError> {
    let (path, key_path) = (dir.join(AUTHORITY_FILE), dir.join(AUTHORITY_KEY_FILE));
    let pem = fs::read_to_string(&key_path).map_err(|source| PkiError::File {
        path: key_path,
        source,
    })?;
    let key = KeyPair::from_pem(&pem).map_err(|_| PkiError::Key { path: path.clone() })?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for der in identity::certificates(&path)? {
        let facts = certificate::authority(&der).map_err(|fault| IdentityError::Certificate {
            file: path.clone(),
            fault,
        })?;
        if facts.public_key == rcgen::PublicKeyData::subject_public_key_info(&key)
            && facts.not_after > now
        {
            return Ok((key, facts, der));
        }
    }
    Err(PkiError::Key { path })
}

fn issued_id(record: &Path) -> Result<Option<[u8; 16]>, PkiError> {
    match fs::read_to_string(record) {
        Ok(text) => match certificate::id(text.trim()) {
            Some(id) => Ok(Some(id)),
            None => Err(PkiError::Record {
                path: record.to_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::File {
            path: record.to_owned(),
            source,
        }),
    }
}

fn refuse_existing(paths: &[PathBuf]) -> Result<(), PkiError> {
    for path in paths {
        match path.try_exists() {
            Ok(false) => {}
            Ok(true) => return Err(PkiError::Exists { path: path.clone() }),
            Err(source) => {
                return Err(PkiError::File {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    Ok(())
}
