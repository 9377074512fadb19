//! Tokens: what a user gives to a program that reaches the API by TCP, in the place of being that
//! user.
//!
//! A token is bound to the uid that asked for it, says what may be done with it ([`Scope`]) and
//! ends by itself. It is told once, when it is made; the node keeps a hash of it on the disk, so
//! that it outlives a restart and cannot be read back. What is asked of this node's tokens is
//! answered from memory.

mod codes;
mod scope;
mod text;

pub(crate) use codes::{CodeError, Codes};
pub use scope::Scope;
pub use text::TokenId;

use crate::host::{random, wall_ms};
use node::wire::WriteError;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{ReadError, Store, TokenRow};
use subtle::ConstantTimeEq;
use text::Secret;
use tokio::sync::{oneshot, watch};

/// How many tokens one user may have.
pub(crate) const MAX_PER_USER: usize = 100;
/// How many tokens a node may have.
pub(crate) const MAX_IN_ALL: usize = 1000;
/// Once so many of them are there, a user may have [`FEW`] only: some users with many are not to
/// leave others without any.
const MANY_IN_ALL: usize = MAX_IN_ALL / 2;
const FEW: usize = 10;
/// How often a bearer's time is looked at again: the host's clock may have been set.
const RECHECK: Duration = Duration::from_secs(1);

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    uid: u32,
    scope: Scope,
    /// SHA-256 of the secret.
    hash: [u8; 32],
    expires_ms: i64,
}

impl Record {
    fn row(&self) -> TokenRow {
        TokenRow {
            uid: self.uid,
            scope: self.scope.as_str().to_owned(),
            hash: self.hash,
            expires_ms: self.expires_ms,
        }
    }

    /// `None` if the row has a scope that this program does not know.
    fn of(row: TokenRow) -> Option<Self> {
        Some(Self {
            uid: row.uid,
            scope: Scope::named(&row.scope)?,
            hash: row.hash,
            expires_ms: row.expires_ms,
        })
    }
}

/// Why the tokens that a store has cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A row cannot be read.
    #[error("the tokens cannot be read: {0}")]
    Read(#[from] ReadError),
    /// A newer program made the token.
    #[error(
        "the token {id} has the scope {scope:?}, which this version of Muster does not know: revoke \
        it with the version that made it"
    )]
    Scope {
        /// The token.
        id: TokenId,
        /// Its scope.
        scope: String,
    },
}

/// A token as its owner may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenView {
    /// Names it; not secret.
    pub id: TokenId,
    /// Whose it is.
    pub uid: u32,
    /// What it allows.
    pub scope: Scope,
    /// When it ends, in milliseconds since the epoch.
    pub expires_ms: i64,
}

/// Why there is no new token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The user has as many as may be.
    #[error(
        "uid {uid} has {count} tokens, and may have {limit} now: revoke some, or wait until they \
        expire"
    )]
    UserFull {
        /// The user.
        uid: u32,
        /// How many it has.
        count: usize,
        /// How many a user may have: fewer on a node that has many.
        limit: usize,
    },
    /// The node has as many as may be.
    #[error(
        "this node has {MAX_IN_ALL} tokens, which is as many as may be: revoke some, or wait \
        until they expire"
    )]
    Full,
    /// The kernel gives no random bytes.
    #[error("{0}")]
    Random(String),
    /// The disk refused. If a record got there nevertheless, nobody knows its token.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The tokens of a node. Clones share them.
#[derive(Clone)]
pub struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    book: Mutex<BTreeMap<TokenId, Kept>>,
    codes: Codes,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, BTreeMap<TokenId, Kept>> {
        self.book.lock()
    }
}

struct Kept {
    record: Record,
    /// Dropped when the token is revoked, which ends all that bears it; that may be before the disk
    /// knows.
    alive: Option<watch::Sender<()>>,
}

impl Kept {
    fn is_good(&self, now_ms: i64) -> bool {
        self.alive.is_some() && self.record.expires_ms > now_ms
    }

    fn view(&self, id: TokenId) -> TokenView {
        TokenView {
            id,
            uid: self.record.uid,
            scope: self.record.scope,
            expires_ms: self.record.expires_ms,
        }
    }
}

/// Proof that a request bore a token that was good at that moment.
#[derive(Debug)]
pub(crate) struct Bearer {
    /// Which token.
    pub(crate) token: TokenView,
    alive: watch::Receiver<()>,
}

impl Bearer {
    /// Waits until the token is good no longer.
    pub(crate) async fn over(mut self) {
        loop {
            let left_ms =
                u64::try_from(self.token.expires_ms.saturating_sub(wall_ms())).unwrap_or(0);
            let left = Duration::from_millis(left_ms).min(RECHECK);
            // Nothing is ever sent: an answer means that the sender was dropped.
            if left.is_zero()
                || tokio::time::timeout(left, self.alive.changed())
                    .await
                    .is_ok()
            {
                return;
            }
        }
    }
}

impl Tokens {
    /// The tokens that the store has, but for those that have expired.
    ///
    /// # Errors
    /// The store cannot be read, or a token in it: this node must not start without it.
    pub fn load(store: Store) -> Result<Self, LoadError> {
        let mut book = BTreeMap::new();
        for (id, row) in store.reader().tokens()? {
            let (id, scope) = (TokenId(id), row.scope.clone());
            let kept = Kept {
                record: Record::of(row).ok_or(LoadError::Scope { id, scope })?,
                alive: Some(watch::channel(()).0),
            };
            book.insert(id, kept);
        }
        let tokens = Self {
            shared: Arc::new(Shared {
                store,
                book: Mutex::new(book),
                codes: Codes::default(),
            }),
        };
        tokens.remove_expired(wall_ms());
        Ok(tokens)
    }

    /// The codes that can be traded for tokens.
    pub(crate) fn codes(&self) -> &Codes {
        &self.shared.codes
    }

    /// Makes a token, and waits until it is on the disk. Gives its text too, which nobody can ask
    /// for again.
    ///
    /// # Errors
    /// There are too many, or the disk fails. There is no new token.
    pub(crate) async fn create(
        &self,
        uid: u32,
        scope: Scope,
        ttl: Duration,
    ) -> Result<(TokenView, String), CreateError> {
        let now_ms = wall_ms();
        self.remove_expired(now_ms);
        let secret = Secret(random().map_err(|error| CreateError::Random(error.to_string()))?);
        let id = TokenId(random().map_err(|error| CreateError::Random(error.to_string()))?);
        let expires_ms = now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let record = Record {
            uid,
            scope,
            hash: secret.hash(),
            expires_ms,
        };
        let row = record.row();
        let view = self.enter(id, record)?;
        let shared = Arc::clone(&self.shared);
        let leave = move |result: Result<(), WriteError>| {
            if result.is_err() {
                shared.book().remove(&id);
            }
        };
        self.write(id, Some(row), leave).await?;
        Ok((view, secret.text(id)))
    }

    /// Takes a place in the book, before the disk is asked: bounds hold also for those that come at
    /// once. Until its text is told nobody can use it.
    fn enter(&self, id: TokenId, record: Record) -> Result<TokenView, CreateError> {
        let mut book = self.shared.book();
        let uid = record.uid;
        let count = book.values().filter(|kept| kept.record.uid == uid).count();
        let limit = if book.len() < MANY_IN_ALL {
            MAX_PER_USER
        } else {
            FEW
        };
        if count >= limit {
            return Err(CreateError::UserFull { uid, count, limit });
        }
        if book.len() >= MAX_IN_ALL {
            return Err(CreateError::Full);
        }
        let kept = Kept {
            record,
            alive: Some(watch::channel(()).0),
        };
        let view = kept.view(id);
        book.insert(id, kept);
        Ok(view)
    }

    /// The token of that text, if it is good now.
    pub(crate) fn bearer(&self, text: &str) -> Option<Bearer> {
        let (id, secret) = text::parse(text)?;
        let hash = secret.hash();
        let book = self.shared.book();
        let kept = book.get(&id)?;
        let alive = kept.alive.as_ref()?.subscribe();
        let is_good = bool::from(kept.record.hash.ct_eq(&hash)) && kept.is_good(wall_ms());
        is_good.then(|| Bearer {
            token: kept.view(id),
            alive,
        })
    }

    /// All tokens that have not expired, by id.
    pub(crate) fn list(&self) -> Vec<TokenView> {
        self.remove_expired(wall_ms());
        self.shared
            .book()
            .iter()
            .map(|(id, kept)| kept.view(*id))
            .collect()
    }

    /// How many tokens are good now, by what they allow.
    pub(crate) fn good(&self) -> [(Scope, usize); 3] {
        let (book, now_ms) = (self.shared.book(), wall_ms());
        let good = |scope| {
            book.values()
                .filter(|kept| kept.record.scope == scope && kept.is_good(now_ms))
                .count()
        };
        Scope::ALL.map(|scope| (scope, good(scope)))
    }

    /// A token, also while it is being revoked.
    pub(crate) fn find(&self, id: TokenId) -> Option<TokenView> {
        self.shared.book().get(&id).map(|kept| kept.view(id))
    }

    /// Ends a token at once, then waits until the disk knows.
    ///
    /// # Errors
    /// The disk fails: the token is good no longer, but would be after a restart. A second call
    /// tries again.
    pub(crate) async fn revoke(&self, id: TokenId) -> Result<(), WriteError> {
        if let Some(kept) = self.shared.book().get_mut(&id) {
            kept.alive = None;
        }
        let shared = Arc::clone(&self.shared);
        let forget = move |result: Result<(), WriteError>| {
            if result.is_ok() {
                shared.book().remove(&id);
            }
        };
        self.write(id, None, forget).await
    }

    /// Commits a row or its removal; `then` is done even if nobody waits any more.
    async fn write(
        &self,
        id: TokenId,
        row: Option<TokenRow>,
        then: impl FnOnce(Result<(), WriteError>) + Send + 'static,
    ) -> Result<(), WriteError> {
        let (tell, told) = oneshot::channel();
        let done = Box::new(move |result| {
            then(result);
            // An error means that the client has gone away.
            let _ = tell.send(result);
        });
        self.shared.store.keep_token(id.0, row.as_ref(), done);
        told.await.unwrap_or(Err(WriteError::Failed))
    }

    fn remove_expired(&self, now_ms: i64) {
        let mut expired = Vec::new();
        self.shared.book().retain(|id, kept| {
            let is_good = kept.record.expires_ms > now_ms;
            expired.extend((!is_good).then_some(*id));
            is_good
        });
        for id in expired {
            // Without this the next start would find it, and see again that it has expired.
            let done = move |result| {
                if let Err(error) = result {
                    tracing::debug!(token = %id, %error, "the record of an expired token stays on \
                        the disk");
                }
            };
            self.shared.store.keep_token(id.0, None, Box::new(done));
        }
    }
}

#[cfg(test)]
mod tests;
