//! Authorities that the cluster had before, and trusts no more: nobody gets in by them, but what their
//! nodes have signed about lists is still judged by them, for as long as the lists are kept.
//!
//! They stand in `ca.pem` beside the others, under a PEM label of their own, which programs that do not
//! know it pass over.

use crate::authority::{AUTHORITY_FILE, PkiError, list, signing_authority};
use crate::certificate::{self, CertificateFault};
use crate::files::{self, Mode, Replace};
use crate::identity::{self, IdentityError};
use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The label of an authority in force.
pub(crate) const LABEL: &str = "CERTIFICATE";
/// The label of a former one.
pub(crate) const FORMER: &str = "FORMER AUTHORITY";

/// All authorities that a file names, in its order: those in force and the former ones, all of one cluster.
///
/// # Errors
/// It cannot be read, or one of them is no authority of that cluster.
pub(crate) fn ever(
    file: &Path,
    cluster: [u8; 16],
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let fault = |fault| IdentityError::Certificate {
        file: file.to_owned(),
        fault,
    };
    let text = identity::read(file)?;
    let text = String::from_utf8_lossy(&text).replace(FORMER, LABEL);
    let mut all = Vec::new();
    for der in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let der = der.map_err(|_| fault(CertificateFault::Malformed))?;
        let facts = certificate::authority(&der).map_err(fault)?;
        if facts.cluster != cluster {
            return Err(IdentityError::clusters(file, cluster, facts.cluster));
        }
        all.push(der);
    }
    Ok(all)
}

/// What [`retire`] does about nodes whose latest certificate ends at an authority that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrenewed {
    /// It refuses, and names them.
    Refuse,
    /// They are shut out until they have another certificate.
    ShutOut,
}

/// Makes the authorities in `dir/ca.pem` that were replaced former ones: all but the one whose key is
/// there. Gives how many were in force beside it until then; if none was, nothing is changed. The file is
/// then to be brought to all nodes.
///
/// # Errors
/// The files cannot be read or written, or do not fit together; certificates that were issued in `dir` and
/// have not expired end at an authority that was replaced.
pub fn retire(dir: &Path, unrenewed: Unrenewed) -> Result<usize, PkiError> {
    let path = dir.join(AUTHORITY_FILE);
    let (_, facts, signing) = signing_authority(dir)?;
    let replaced = identity::certificates(&path)?.len().saturating_sub(1);
    if replaced > 0 {
        let shut_out = match unrenewed {
            Unrenewed::Refuse => without(dir, &signing)?,
            Unrenewed::ShutOut => Vec::new(),
        };
        if !shut_out.is_empty() {
            return Err(PkiError::Unrenewed(shut_out));
        }
        let mut former = ever(&path, facts.cluster)?;
        former.retain(|der| *der != signing);
        let former = former.iter().map(|der| files::pem(FORMER, der));
        let text = files::pem(LABEL, &signing) + &former.collect::<String>();
        files::write(&path, text.as_bytes(), Mode::Public, Replace::Yes)?;
    }
    Ok(replaced)
}

/// The names whose latest certificate, as it was issued in `dir`, is valid now, but does not end at that authority.
fn without(dir: &Path, authority: &CertificateDer<'static>) -> Result<Vec<String>, PkiError> {
    let issued = list(dir)?.into_iter();
    let issued = issued.filter(|one| {
        let pem = one.pem.as_deref().unwrap_or_default();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .filter_map(Result::ok)
            .collect();
        chain.split_first().is_some_and(|(leaf, between)| {
            let verified = identity::verify_alone(authority, leaf, between);
            !matches!(
                verified,
                Ok(()) | Err(CertificateError::ExpiredContext { .. })
            )
        })
    });
    Ok(issued.map(|one| one.name).collect())
}
