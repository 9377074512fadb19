//! A node's files on its own host: the key that was made there, and the certificate that it got.

use crate::authority::PkiError;
use crate::files::{self, Mode, Replace};
use crate::former::{FORMER, LABEL};
use crate::identity::Identity;
use data_encoding::HEXLOWER;
use rcgen::{KeyPair, PKCS_ED25519};
use std::fs;
use std::path::Path;

const AUTHORITIES: &str = "ca.pem";
const CERTIFICATE: &str = "node.pem";
const KEY: &str = "node.key";

/// A node's new key, which never leaves its host.
pub struct NodeKey {
    key: KeyPair,
    public: [u8; 32],
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeKey")
            .field("public", &HEXLOWER.encode(&self.public))
            .finish_non_exhaustive()
    }
}

impl NodeKey {
    /// Draws one (Ed25519).
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, PkiError> {
        Self::of(KeyPair::generate_for(&PKCS_ED25519)?)
    }

    fn of(key: KeyPair) -> Result<Self, PkiError> {
        let public = key
            .public_key_raw()
            .try_into()
            .map_err(|_| rcgen::Error::KeyGenerationUnavailable)?;
        Ok(Self { key, public })
    }

    /// The one that lies in `dir`, which is made with a new one if it is missing: whoever is interrupted
    /// goes on with the key that it had.
    ///
    /// # Errors
    /// It can be neither read nor written.
    pub fn kept(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(KEY);
        if !path.exists() {
            let made = Self::generate()?;
            files::directory(dir)?;
            let secret = made.key.serialize_pem();
            files::write(&path, secret.as_bytes(), Mode::Secret, Replace::Yes)?;
            return Ok(made);
        }
        let pem = fs::read_to_string(&path).map_err(|source| PkiError::File {
            path: path.clone(),
            source,
        })?;
        let key = KeyPair::from_pem(&pem).map_err(|_| PkiError::Key { path: path.clone() })?;
        Self::of(key)
    }

    /// Its public half.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

/// Writes a node's key, certificate (in PEM, with those between it and its authority) and authorities
/// (in PEM) as `dir`, which must not be there: all of them, once they have been read back and fit
/// together, or nothing.
///
/// # Errors
/// They cannot be written, or do not fit together.
pub fn install(
    dir: &Path,
    key: &NodeKey,
    certificate: &str,
    authorities: &str,
) -> Result<Identity, PkiError> {
    if dir.exists() {
        return Err(PkiError::Exists {
            path: dir.to_owned(),
        });
    }
    let draft = dir.with_extension("draft");
    // What an interrupted attempt has left.
    let _ = fs::remove_dir_all(&draft);
    let written = fill(&draft, key, certificate, authorities).and_then(|identity| {
        let renamed = fs::rename(&draft, dir);
        renamed.map_err(|source| PkiError::File {
            path: dir.to_owned(),
            source,
        })?;
        Ok(identity)
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(&draft);
    }
    written
}

fn fill(
    dir: &Path,
    key: &NodeKey,
    certificate: &str,
    authorities: &str,
) -> Result<Identity, PkiError> {
    files::directory(dir)?;
    let secret = key.key.serialize_pem();
    for (name, text, mode) in [
        (KEY, secret.as_str(), Mode::Secret),
        (CERTIFICATE, certificate, Mode::Public),
        (AUTHORITIES, authorities, Mode::Public),
    ] {
        files::write(&dir.join(name), text.as_bytes(), mode, Replace::No)?;
    }
    let (ca, cert, key) = (dir.join(AUTHORITIES), dir.join(CERTIFICATE), dir.join(KEY));
    Ok(Identity::load(&ca, &cert, &key)?)
}

/// Puts a renewed certificate of the same key in the place of the one in that file, once it has been
/// read back with the key and the authorities. Gives the node's identity with it.
///
/// # Errors
/// They do not fit together, or it cannot be written; the earlier one is in place.
pub fn replace_certificate(
    (ca, certificate, key): (&Path, &Path, &Path),
    pem: &str,
) -> Result<Identity, PkiError> {
    let draft = certificate.with_extension("draft");
    let _ = fs::remove_file(&draft);
    files::write(&draft, pem.as_bytes(), Mode::Public, Replace::Yes)?;
    let judged = Identity::load(ca, &draft, key).map_err(PkiError::from);
    let _ = fs::remove_file(&draft);
    let identity = judged?;
    files::write(certificate, pem.as_bytes(), Mode::Public, Replace::Yes)?;
    Ok(identity)
}

impl Identity {
    /// The cluster's authorities in PEM, as [`Identity::load`] reads them, the former ones last.
    pub fn authorities_pem(&self) -> String {
        let in_force = self.authorities().iter();
        let in_force = in_force.map(|der| files::pem(LABEL, der));
        let former = self.former_authorities();
        in_force
            .chain(former.iter().map(|der| files::pem(FORMER, der)))
            .collect()
    }
}
