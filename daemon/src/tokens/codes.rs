//! Codes: what a link to the page carries in the place of a token.
//!
//! A code is good once and for a minute, so a link that is left behind in a history or on a screen
//! opens nothing. Codes are kept in memory, as hashes: a restart ends them all.

use super::text::{self, Secret, TokenId};
use crate::host::{random, wall_ms};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// How long a code is good.
const TTL: Duration = Duration::from_secs(60);
/// How many codes that nobody has used yet a user may have.
const MAX_PER_USER: usize = 16;
/// How many a node may have.
const MAX_IN_ALL: usize = 256;

/// The codes of a node. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Codes {
    book: Arc<Mutex<BTreeMap<TokenId, Kept>>>,
}

struct Kept {
    uid: u32,
    /// SHA-256 of the secret.
    hash: [u8; 32],
    ends: Instant,
}

/// A code that was just made; nobody can ask for it again.
#[derive(Debug)]
pub(crate) struct Made {
    /// Names it; not secret.
    pub(crate) id: TokenId,
    /// What is to be traded.
    pub(crate) text: String,
    /// When it ends, in milliseconds since the epoch.
    pub(crate) expires_ms: i64,
}

/// Why there is no new code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodeError {
    /// The user has as many as may be.
    #[error(
        "uid {0} has {MAX_PER_USER} codes that were not used yet, which is as many as may be: \
        wait a minute"
    )]
    UserFull(u32),
    /// The node has as many as may be.
    #[error(
        "this node has {MAX_IN_ALL} codes that were not used yet, which is as many as may be: \
        wait a minute"
    )]
    Full,
    /// The kernel gives no random bytes.
    #[error("{0}")]
    Random(String),
}

impl Codes {
    /// Makes a code for a user.
    ///
    /// # Errors
    /// There are too many; nothing was changed.
    pub(crate) fn create(&self, uid: u32) -> Result<Made, CodeError> {
        let secret = Secret(random().map_err(|error| CodeError::Random(error.to_string()))?);
        let id = TokenId(random().map_err(|error| CodeError::Random(error.to_string()))?);
        let mut book = self.book();
        if book.values().filter(|kept| kept.uid == uid).count() >= MAX_PER_USER {
            return Err(CodeError::UserFull(uid));
        }
        if book.len() >= MAX_IN_ALL {
            return Err(CodeError::Full);
        }
        book.insert(
            id,
            Kept {
                uid,
                hash: secret.hash(),
                ends: Instant::now() + TTL,
            },
        );
        let expires_ms =
            wall_ms().saturating_add(i64::try_from(TTL.as_millis()).unwrap_or(i64::MAX));
        Ok(Made {
            id,
            text: secret.code(id),
            expires_ms,
        })
    }

    /// Takes a code for good; gives whose it was. `None` if there is no such code, or no longer.
    pub(crate) fn spend(&self, text: &str) -> Option<u32> {
        let (id, secret) = text::parse_code(text)?;
        let mut book = self.book();
        let is_right = book
            .get(&id)
            .is_some_and(|kept| kept.hash.ct_eq(&secret.hash()).into());
        if is_right {
            book.remove(&id).map(|kept| kept.uid)
        } else {
            None
        }
    }

    /// Whether that code of that user is still to be used.
    pub(crate) fn waits(&self, id: TokenId, uid: u32) -> bool {
        self.book().get(&id).is_some_and(|kept| kept.uid == uid)
    }

    /// The codes that are good at this moment.
    fn book(&self) -> MutexGuard<'_, BTreeMap<TokenId, Kept>> {
        let mut book = self.book.lock();
        let now = Instant::now();
        book.retain(|_, kept| kept.ends > now);
        book
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_for_its_user() {
        let codes = Codes::default();
        let (mine, other) = (codes.create(7).unwrap(), codes.create(8).unwrap());
        assert!(codes.waits(mine.id, 7) && !codes.waits(mine.id, 8));
        assert_eq!(codes.spend(&mine.text), Some(7));
        assert!(!codes.waits(mine.id, 7));
        assert_eq!(codes.spend(&mine.text), None);
        assert_eq!(codes.spend(&other.text), Some(8));
    }

    #[test]
    fn a_wrong_guess_spends_nothing() {
        let codes = Codes::default();
        let (mine, other) = (codes.create(7).unwrap(), codes.create(7).unwrap());
        let (id, _) = mine.text.split_once('_').unwrap();
        let (_, secret) = other.text.split_once('_').unwrap();
        for wrong in [
            "",
            id,
            secret,
            &format!("{id}_{secret}"),
            &format!("muster_{}", mine.text),
            &mine.text.to_uppercase(),
        ] {
            assert_eq!(codes.spend(wrong), None, "{wrong}");
        }
        assert_eq!(codes.spend(&mine.text), Some(7));
    }

    #[test]
    fn a_code_ends_by_itself() {
        let codes = Codes::default();
        let made = codes.create(7).unwrap();
        codes
            .book
            .lock()
            .values_mut()
            .for_each(|kept| kept.ends = Instant::now());
        assert!(!codes.waits(made.id, 7));
        assert_eq!(codes.spend(&made.text), None);
    }

    #[test]
    fn a_user_and_a_node_have_a_bounded_number() {
        let codes = Codes::default();
        let of_one: Vec<Made> = (0..MAX_PER_USER)
            .map(|_| codes.create(0).unwrap())
            .collect();
        assert_eq!(codes.create(0).unwrap_err(), CodeError::UserFull(0));
        assert_eq!(codes.spend(&of_one[0].text), Some(0));
        assert!(codes.create(0).is_ok());
        let users = (MAX_IN_ALL / MAX_PER_USER) as u32;
        (1..users).for_each(|uid| (0..MAX_PER_USER).for_each(|_| drop(codes.create(uid).unwrap())));
        assert_eq!(codes.create(users).unwrap_err(), CodeError::Full);
    }
}
