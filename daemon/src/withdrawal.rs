//! Signing, where the key of the cluster's own authority is, that an authority below it is withdrawn
//! (`muster pki sign`). No daemon runs there.

use bytes::Bytes;
use cli::{SignError, SignedWithdrawal};
use crdt::roster::Revocation;
use node::proof::Domain;
use pki::{PkiError, Root};
use std::path::Path;

/// Why a statement cannot be signed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it is no withdrawal of an authority that this program understands: {0}")]
    Form(#[from] crdt::record::RecordError),
    #[error(transparent)]
    Key(#[from] PkiError),
}

/// Signs a draft with the key in that directory.
///
/// # Errors
/// It is no draft, or the key cannot be used.
pub(crate) fn sign(dir: &Path, draft: &[u8]) -> Result<SignedWithdrawal, SignError> {
    signed(dir, draft).map_err(|fault| match fault {
        Fault::Form(_) => SignError::Draft(fault.to_string()),
        Fault::Key(error) => SignError::Key(error),
    })
}

fn signed(dir: &Path, draft: &[u8]) -> Result<SignedWithdrawal, Fault> {
    let draft = Revocation::read(Bytes::copy_from_slice(draft))?;
    let root = Root::load(dir)?;
    let signed = draft.signed(&root.chain(), |said| {
        let message = Domain::Revocation.message(root.cluster(), said);
        Ok::<_, Fault>(root.sign(&message)?)
    })?;
    let told = signed.told();
    Ok(SignedWithdrawal {
        statement: signed.relayed().bytes().to_vec(),
        name: told.name,
        key: signed.subject().to_string(),
        reason: told.reason,
        at_ms: told.at_ms,
        by: told.by,
        good: signed.good().unwrap_or_default().len(),
    })
}
