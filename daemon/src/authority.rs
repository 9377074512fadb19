//! The authority of a node: whom it has invited, and its key that signs for those that come.
//!
//! All of it lies in `authority/` of the data directory (0700): the key and whom it signed for as
//! [`pki::Signer`] describes, and `invitations/ID.json` (0600) for each invitation, with the derived
//! key of its token and all its uses. A node without that key has no invitations. What is asked of
//! invitations is answered from memory; a use is on the disk before anybody hears of it.

mod admit;
mod invitation;

pub(crate) use admit::{Admitted, Around, Asked, LIFE};
pub(crate) use invitation::{Invitation, State, Use};

use crate::host::wall_ms;
use crdt::record::RecordError;
use crdt::roster::{Revocation, Told};
use names::{NodeId, Role};
use node::proof::Domain;
use parking_lot::Mutex;
use pki::files::{self, Mode, Replace};
use pki::{Bearer, Certified, Fingerprint, Identity, InvitationId, PkiError, Signer, Token};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many invitations may be kept.
pub(crate) const MAX_INVITATIONS: usize = 1000;
/// How long an invitation is kept after its end, so that whoever comes late hears why it is too late.
const KEPT_AFTER_END: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why there is no new invitation, or none was changed.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is no key here that signs, or it is withdrawn.
    #[error("this node is no authority")]
    None,
    /// As many as may be.
    #[error(
        "this authority keeps {MAX_INVITATIONS} invitations, which is as many as may be: wait until \
         some have been over for a week"
    )]
    Full,
    /// What is to be signed is too large.
    #[error("a revocation cannot be written: {0}")]
    Form(RecordError),
    /// A file cannot be read or written, or the key cannot be used.
    #[error(transparent)]
    Files(#[from] PkiError),
}

/// What a new invitation is to allow.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) ttl: Duration,
    pub(crate) uses: u32,
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
    pub(crate) tags: Vec<String>,
    /// Who invites.
    pub(crate) by: String,
}

/// The authority of a node, also of one that is none. Clones share it.
#[derive(Clone, Debug)]
pub struct Authority {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    /// Held while a use is written down: of two hosts that come with one token at once, the second
    /// one sees the first one's use.
    book: Mutex<BTreeMap<InvitationId, Invitation>>,
    /// By which it is known whether this authority's own key is withdrawn.
    revoked: Revoked,
}

/// Who is shut out, and which authorities are withdrawn.
pub(crate) type Revoked = watch::Receiver<Arc<[Revocation]>>;

impl Authority {
    /// That of the node with this data directory. An invitation that cannot be read is not good, and
    /// is told in the log.
    ///
    /// # Errors
    /// The directory is there and cannot be read.
    pub(crate) fn load(data_dir: &Path, revoked: Revoked) -> std::io::Result<Self> {
        let dir = data_dir.join("authority");
        let book = invitation::read_all(&invitations(&dir))?;
        let shared = Shared {
            dir,
            book: Mutex::new(book),
            revoked,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Until when this node can sign, in Unix seconds; `None` if it is no authority. Reads files.
    ///
    /// # Errors
    /// It has a key that cannot be used.
    pub(crate) fn not_after(&self) -> Result<Option<i64>, PkiError> {
        Ok(self.signer()?.map(|signer| signer.not_after()))
    }

    /// The certificate of the key that signs; `None` if there is none. Reads files.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) fn chain(&self) -> Result<Option<Vec<u8>>, PkiError> {
        Ok(Signer::load(&self.shared.dir)?.map(|signer| signer.chain()))
    }

    /// The key that signs; `None` if there is none, or it is withdrawn.
    fn signer(&self) -> Result<Option<Signer>, PkiError> {
        let signer = Signer::load(&self.shared.dir)?;
        let revoked = self.shared.revoked.borrow();
        let is_good = |signer: &Signer| {
            let key = NodeId(signer.key_mark());
            let mut withdrawn = revoked.iter().filter(|one| one.is_withdrawal());
            !withdrawn.any(|one| one.subject() == key)
        };
        Ok(signer.filter(is_good))
    }

    /// Makes an invitation; gives its token too, which nobody can ask for again. Writes files.
    ///
    /// # Errors
    /// This node is no authority, there are too many, or the disk fails. There is no invitation.
    pub(crate) fn invite(
        &self,
        wanted: Wanted,
        fingerprint: Fingerprint,
    ) -> Result<(InvitationId, Invitation, Token), AuthorityError> {
        self.signer()?.ok_or(AuthorityError::None)?;
        let (token, now_ms) = (Token::draw(fingerprint), wall_ms());
        let invitation = Invitation::new(&token, wanted, now_ms);
        let mut book = self.shared.book.lock();
        self.remove_old(&mut book, now_ms);
        if book.len() >= MAX_INVITATIONS {
            return Err(AuthorityError::Full);
        }
        self.write(token.id, &invitation)?;
        book.insert(token.id, invitation.clone());
        Ok((token.id, invitation, token))
    }

    /// All that are kept, by id. Waits while another thread writes.
    pub(crate) fn list(&self) -> Vec<(InvitationId, Invitation)> {
        let book = self.shared.book.lock();
        book.iter().map(|(id, one)| (*id, one.clone())).collect()
    }

    /// Ends an invitation; whether there is one of that id. Hosts that have joined by it stay. Writes
    /// files.
    ///
    /// # Errors
    /// The disk fails; the invitation is as it was.
    pub(crate) fn revoke(&self, id: InvitationId) -> Result<bool, AuthorityError> {
        let mut book = self.shared.book.lock();
        let Some(invitation) = book.get(&id) else {
            return Ok(false);
        };
        let mut revoked = invitation.clone();
        revoked.revoked_ms.get_or_insert_with(wall_ms);
        self.write(id, &revoked)?;
        book.insert(id, revoked);
        Ok(true)
    }

    /// Signs a member's key again, under the name, id and role that it has. Reads and writes files.
    ///
    /// # Errors
    /// This node is no authority, or cannot sign.
    pub(crate) fn renew(
        &self,
        bearer: Bearer<'_>,
        key: &[u8; 32],
        life: Duration,
        identity: &Identity,
    ) -> Result<Certified, AuthorityError> {
        let signer = self.signer()?.ok_or(AuthorityError::None)?;
        let certified = signer.certify(bearer, key, life, identity)?;
        signer.record(&certified)?;
        Ok(certified)
    }

    /// Signs that a node is shut out. Reads files.
    ///
    /// # Errors
    /// This node is no authority, or cannot sign.
    pub(crate) fn shut_out(
        &self,
        (me, cluster): (NodeId, [u8; 16]),
        subject: NodeId,
        told: &Told,
    ) -> Result<Revocation, AuthorityError> {
        let signer = self.signer()?.ok_or(AuthorityError::None)?;
        let mut failed = None;
        let revocation = Revocation::write((me, &signer.chain()), subject, told, |said| {
            let signed = signer.sign(&Domain::Revocation.message(cluster, said));
            signed
                .unwrap_or_else(|error| {
                    failed = Some(error);
                    Vec::new()
                })
                .into()
        });
        match failed {
            Some(error) => Err(error.into()),
            None => revocation.map_err(AuthorityError::Form),
        }
    }

    fn write(&self, id: InvitationId, invitation: &Invitation) -> Result<(), PkiError> {
        let dir = invitations(&self.shared.dir);
        files::directory(&dir)?;
        let file = dir.join(format!("{id}.json"));
        files::write(&file, &invitation.bytes(), Mode::Secret, Replace::Yes)
    }

    /// Forgets those that have been over for long.
    fn remove_old(&self, book: &mut BTreeMap<InvitationId, Invitation>, now_ms: i64) {
        let kept_ms = i64::try_from(KEPT_AFTER_END.as_millis()).unwrap_or(i64::MAX);
        book.retain(|id, invitation| {
            let is_kept = invitation.expires_ms.saturating_add(kept_ms) > now_ms;
            if !is_kept {
                let file = invitations(&self.shared.dir).join(format!("{id}.json"));
                // If it stays, the next start reads it, and this removes it again.
                let _ = std::fs::remove_file(file);
            }
            is_kept
        });
    }
}

fn invitations(dir: &Path) -> PathBuf {
    dir.join("invitations")
}

#[cfg(test)]
mod tests;
