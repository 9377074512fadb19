//! Identifiers: fixed-size values, drawn or derived elsewhere, compared and printed here.

use crate::ListName;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A text that is not the identifier it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

/// Text in formats for people, the plain value in the others.
macro_rules! serde_by_format {
    ($name:ident, $plain:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    <$plain>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        serde_by_format!($name, [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                HEXLOWER.encode_display(&self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Reads lower- or upper-case hexadecimal of exactly the right length.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| ParseIdError {
                    text: text.to_owned(),
                    expected: $expected,
                })
            }
        }
    };
}

hex_id! {
    /// Names one node for its whole life: 16 random bytes, drawn when its certificate is issued.
    NodeId, 16, "a node id of 32 hexadecimal digits"
}
hex_id! {
    /// Names one list: derived from its name, so that a list made on two nodes apart is the same
    /// list.
    ListId, 16, "a list id of 32 hexadecimal digits"
}
hex_id! {
    /// The writer of an Automerge change: one node in one run of its daemon in one list. Never
    /// reused.
    Actor, 16, "an actor of 32 hexadecimal digits"
}
hex_id! {
    /// The SHA-256 of an Automerge change's bytes, by which other changes name it as a dependency.
    ChangeHash, 32, "a change hash of 64 hexadecimal digits"
}

impl ListId {
    /// The id of the list of that name: the first 16 bytes of SHA-256("muster list" ‖ name ‖ epoch
    /// 0).
    pub fn of(name: &ListName) -> Self {
        let hash = Sha256::new()
            .chain_update(b"muster list")
            .chain_update(name.as_str())
            .chain_update(0u64.to_be_bytes());
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(hash.finalize())
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// The part of the key space that this list belongs to: the unit that a worker owns.
    pub fn shard(self) -> Shard {
        Shard(self.0[0])
    }

    /// The list's bucket within its shard, for digests.
    pub fn bucket(self) -> u8 {
        self.0[1]
    }
}

/// One of 256 equal parts of the space of list ids. The wire and the store name shards, never
/// workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard(pub u8);

impl Actor {
    /// The last actor of one salt in one list. A node needs another one only when somebody else writes by
    /// the one before it.
    pub const LAST_OF_SALT: u8 = 63;

    /// An actor of a node in a list:
    ///
    /// | bytes | are |
    /// | --- | --- |
    /// | 8 | the beginning of SHA-256("muster salt" ‖ node ‖ salt): the same in all lists, by which the salt is found ([`SaltHint`]) |
    /// | 1 | `nth`: which of the actors of that salt in that list, at most [`Self::LAST_OF_SALT`] |
    /// | 7 | the beginning of SHA-256("muster actor" ‖ list ‖ node ‖ salt ‖ nth) |
    ///
    /// Salts are 16 random bytes, drawn at each start and after every failed commit, and never reused:
    /// so no (actor, sequence) can name two changes of an honest node. Whoever knows node and salt can
    /// check whose an actor is.
    pub fn derive(list: ListId, node: NodeId, salt: [u8; 16], nth: u8) -> Self {
        let SaltHint(hint) = SaltHint::of(node, salt);
        let hash = Sha256::new()
            .chain_update(b"muster actor")
            .chain_update(list.0)
            .chain_update(node.0)
            .chain_update(salt)
            .chain_update([nth])
            .finalize();
        let mut bytes = [nth; 16];
        let (head, tail) = bytes.split_at_mut(8);
        head.copy_from_slice(&hint);
        tail.iter_mut()
            .skip(1)
            .zip(hash)
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// What all actors of its salt begin with, if it was derived from one.
    pub fn hint(self) -> SaltHint {
        let mut hint = [0; 8];
        hint.iter_mut()
            .zip(self.0)
            .for_each(|(to, from)| *to = from);
        SaltHint(hint)
    }

    /// Whether it is one of the actors of that node and salt in that list.
    pub fn is_of(self, list: ListId, node: NodeId, salt: [u8; 16]) -> bool {
        let Self([.., nth, _, _, _, _, _, _, _]) = self;
        nth <= Self::LAST_OF_SALT && self == Self::derive(list, node, salt, nth)
    }
}

/// What the actors begin with that a node has derived from one salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaltHint(pub [u8; 8]);

impl SaltHint {
    /// That of a node's salt.
    pub fn of(node: NodeId, salt: [u8; 16]) -> Self {
        let hash = Sha256::new()
            .chain_update(b"muster salt")
            .chain_update(node.0)
            .chain_update(salt)
            .finalize();
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(bytes)
    }
}

/// Names one change of one list: an actor's changes are numbered from 1 without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChangeId {
    /// Who wrote it.
    pub actor: Actor,
    /// Its number among that actor's changes, from 1.
    pub seq: u64,
}

/// Names one entry of a list: a ULID (48 bits of milliseconds, 80 random bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u128);

serde_by_format!(EntryId, u128);

impl EntryId {
    /// An id from the wall clock (milliseconds since the epoch) and random bits, of which 80 are
    /// used.
    pub fn from_parts(at_ms: i64, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(u64::try_from(at_ms).unwrap_or(0), random).0)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ulid::Ulid(self.0).fmt(f)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntryId {
    type Err = ParseIdError;

    /// Reads 26 characters of Crockford's base 32, caseless.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = || ParseIdError {
            text: text.to_owned(),
            expected: "a ULID of 26 characters (0-9, A-Z without I, L, O, U)",
        };
        let id = ulid::Ulid::from_string(&text.to_ascii_uppercase()).map_err(|_| refused())?;
        // The first character holds three bits only: a larger one would overflow silently.
        if id.to_string().eq_ignore_ascii_case(text) {
            Ok(Self(id.0))
        } else {
            Err(refused())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let node = NodeId([0xab; 16]);
        assert_eq!(node.to_string().parse(), Ok(node));
        let entry = EntryId::from_parts(1_790_000_000_000, 77);
        assert_eq!(entry.to_string().to_lowercase().parse(), Ok(entry));
    }

    #[test]
    fn an_id_is_text_for_people_and_bytes_for_programs() {
        let (node, entry) = (NodeId([0xab; 16]), EntryId(u128::MAX));
        let text = serde_json::to_string(&(node, entry)).unwrap();
        assert_eq!(text, format!(r#"["{node}","{entry}"]"#));
        assert_eq!(
            serde_json::from_str::<(NodeId, EntryId)>(&text).unwrap(),
            (node, entry)
        );
        let bytes = bincode::serde::encode_to_vec((node, entry), bincode::config::legacy());
        assert_eq!(bytes.unwrap(), [[0xab; 16], [0xff; 16]].concat());
        assert!(serde_json::from_str::<NodeId>(r#""ab""#).is_err());
    }

    #[test]
    fn whose_an_actor_is_can_be_checked() {
        let (list, node, salt) = (ListId([1; 16]), NodeId([2; 16]), [3; 16]);
        let actor = Actor::derive(list, node, salt, 5);
        assert_eq!(actor.to_string(), "dc0f6e8968ef3830059a2f18cc4c2941");
        assert_eq!(actor.hint(), SaltHint::of(node, salt));
        assert!(actor.is_of(list, node, salt));
        let other = (ListId([9; 16]), NodeId([9; 16]), [9; 16]);
        assert!(!actor.is_of(other.0, node, salt));
        assert!(!actor.is_of(list, other.1, salt));
        assert!(!actor.is_of(list, node, other.2));
        assert!(!Actor([5; 16]).is_of(list, node, salt));
        assert_ne!(actor, Actor::derive(list, node, salt, 6));
    }

    #[test]
    fn rubbish_is_no_id() {
        for text in [
            "",
            "ab",
            "+bababababababababababababababab",
            "zz",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "é",
        ] {
            assert!(
                text.parse::<NodeId>().is_err() && text.parse::<EntryId>().is_err(),
                "{text}"
            );
        }
    }
}
