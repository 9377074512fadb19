//! An invitation, and how it is kept.

use super::Wanted;
use data_encoding::HEXLOWER;
use names::Role;
use pki::{InvitationId, JoinKey, Token};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The form of invitations of members.
const VERSION: u32 = 1;
/// The form of invitations of observers: a program that knows only members cannot read them, so that it
/// does not make members by them.
const OBSERVERS: u32 = 2;

/// What is kept of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    version: u32,
    /// The key that is derived from the token's secret, in hexadecimal digits.
    key: Digits<32>,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
    /// How many hosts may join by it.
    pub(crate) uses: u32,
    /// The only name that a host may have that joins by it.
    pub(crate) name: Option<String>,
    /// What a host becomes that joins by it.
    #[serde(default)]
    pub(crate) role: Role,
    pub(crate) tags: Vec<String>,
    /// Who invited.
    pub(crate) by: String,
    pub(crate) revoked_ms: Option<i64>,
    pub(crate) used: Vec<Use>,
}

/// That a host has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Use {
    pub(crate) at_ms: i64,
    pub(crate) name: String,
    /// The id that it was given, as nodes' ids are written.
    pub(crate) node: String,
    /// From where it came.
    pub(crate) address: String,
    pub(super) public_key: Digits<32>,
    /// In PEM; given again to the same host, whose answer was lost.
    pub(super) certificate: String,
}

/// What an invitation is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Used,
    Expired,
    Revoked,
}

/// Bytes, written as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> std::fmt::Debug for Digits<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{N} bytes")
    }
}

impl<const N: usize> Serialize for Digits<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Digits<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let bytes = bytes.try_into();
        bytes
            .map(Self)
            .map_err(|_| D::Error::custom("another number of digits was expected"))
    }
}

impl Invitation {
    pub(super) fn new(token: &Token, wanted: Wanted, now_ms: i64) -> Self {
        let ttl_ms = i64::try_from(wanted.ttl.as_millis()).unwrap_or(i64::MAX);
        Self {
            version: match wanted.role {
                Role::Member => VERSION,
                Role::Observer => OBSERVERS,
            },
            key: Digits(token.key().0),
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(ttl_ms),
            uses: wanted.uses,
            name: wanted.name,
            role: wanted.role,
            tags: wanted.tags,
            by: wanted.by,
            revoked_ms: None,
            used: Vec::new(),
        }
    }

    pub(super) fn key(&self) -> JoinKey {
        JoinKey(self.key.0)
    }

    /// What it is good for.
    pub(crate) fn state(&self, now_ms: i64) -> State {
        if self.revoked_ms.is_some() {
            State::Revoked
        } else if self.left() == 0 {
            State::Used
        } else if self.expires_ms <= now_ms {
            State::Expired
        } else {
            State::Open
        }
    }

    /// How many hosts may still join by it.
    fn left(&self) -> u32 {
        self.uses
            .saturating_sub(u32::try_from(self.used.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Texts and numbers: it can always be written.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

/// Reads all invitations of a directory; there may be none.
pub(super) fn read_all(dir: &Path) -> io::Result<BTreeMap<InvitationId, Invitation>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut book = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let id = stem.and_then(|stem| stem.parse::<InvitationId>().ok());
        let Some(id) = id.filter(|_| path.extension().is_some_and(|end| end == "json")) else {
            continue;
        };
        match read(&path) {
            Ok(invitation) => {
                book.insert(id, invitation);
            }
            Err(error) => tracing::warn!(
                invitation = %id,
                error,
                "an invitation cannot be read and is not good"
            ),
        }
    }
    Ok(book)
}

fn read(path: &Path) -> Result<Invitation, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let invitation: Invitation =
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if (VERSION..=OBSERVERS).contains(&invitation.version) {
        Ok(invitation)
    } else {
        let version = invitation.version;
        Err(format!(
            "it has version {version}, which this program does not know"
        ))
    }
}
