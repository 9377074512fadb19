//! Changes that a list is without: the way out of a fork.
//!
//! Of several changes of one actor with one number one stays: the one that the actor's owner has said to
//! be its own ([`Word`]), and without that word the one with the smallest hash. The others are left out,
//! and with them all that depends on them. What is known of that is a set for each list that replicas
//! tell each other, of which all follows ([`Settled`]). For each number it has at most one member that
//! shows two changes, and one that is the owner's word; of several the smallest one, by the change that
//! stays and then by the other one. So two replicas that have heard the same, in whatever order and
//! however often, have the same set; and a change that was left out for its hash comes back when its
//! owner's word comes.
//!
//! A member of the set is a [record](crate::record) of version 1, handed on as it was first written:
//!
//! | field | is |
//! | --- | --- |
//! | 1 | a change that is left out (raw), without field 3 |
//! | 2 | the change that stays in its place (raw), without field 3 |
//! | 3 | the [word](Word) of the actor's owner |
//!
//! It is its own evidence, which everybody checks for himself: two changes that show that there are two,
//! or the owner's signature. Any member can make a second change, but only the owner can say which is
//! its own.

mod settled;
#[cfg(test)]
mod tests;

pub use settled::{Joined, MAX_LEFT_OUT, Settled};

use super::document::RawChange;
use super::judge::{hash_of, head_of, judge};
use super::word::Word;
use crate::record::{Record, RecordError, Writer};
use bytes::Bytes;
use names::{ChangeHash, ChangeId, NodeId};

const VERSION: u8 = 1;

/// What stays of the changes of one actor with one number. The derived order is that of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ruling {
    /// Of which actor and number.
    pub id: ChangeId,
    /// Why.
    pub basis: Basis,
    /// The change that stays.
    pub stays: ChangeHash,
    /// A change that is left out, where hashes show that there are two.
    pub goes: Option<ChangeHash>,
}

/// By what it is settled which change stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// This node has said so, whose actor it is.
    Owner(NodeId),
    /// It has the smaller hash.
    Hashes,
}

impl Ruling {
    /// That of a record that was checked before.
    pub fn of_checked(bytes: &[u8]) -> Option<Self> {
        let record = Record::read(VERSION, bytes).ok()?;
        if let Some(word) = record.fields().bytes(3) {
            let word = Word::read(Bytes::copy_from_slice(word)).ok()?;
            return Some(Self::of_word(&word));
        }
        let (goes, stays) = (record.fields().bytes(1)?, record.fields().bytes(2)?);
        Some(Self {
            id: head_of(stays)?.id,
            basis: Basis::Hashes,
            stays: hash_of(stays),
            goes: Some(hash_of(goes)),
        })
    }

    fn of_word(word: &Word) -> Self {
        Self {
            id: word.id(),
            basis: Basis::Owner(word.owner()),
            stays: word.hash(),
            goes: None,
        }
    }

    /// Before all about a number.
    pub(super) fn first(id: ChangeId) -> Self {
        Self {
            id,
            basis: Basis::Owner(NodeId([0; 16])),
            stays: ChangeHash([0; 32]),
            goes: None,
        }
    }

    /// Whether that change is left out.
    pub fn is_against(&self, id: ChangeId, hash: ChangeHash) -> bool {
        self.id == id && self.stays != hash
    }
}

/// What a list is without at one number of an actor, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    ruling: Ruling,
    /// The change that stays, if that is part of the evidence.
    stays: Option<RawChange>,
    word: Option<Word>,
    bytes: Bytes,
}

impl LeftOut {
    /// Of two changes with one number, the one that is left out as long as their actor's owner has not
    /// spoken; `None` if they are one, or their numbers are two.
    pub fn of_two(one: &RawChange, other: &RawChange) -> Option<Self> {
        if one.id != other.id || one.hash == other.hash {
            return None;
        }
        let (stays, goes) = if one.hash < other.hash {
            (one, other)
        } else {
            (other, one)
        };
        let mut writer = Writer::new(VERSION);
        writer.put_bytes(1, &goes.bytes).put_bytes(2, &stays.bytes);
        let ruling = Ruling {
            id: stays.id,
            basis: Basis::Hashes,
            stays: stays.hash,
            goes: Some(goes.hash),
        };
        Some(Self {
            ruling,
            stays: Some(stays.clone()),
            word: None,
            bytes: writer.finish().ok()?.into(),
        })
    }

    /// What follows from the word of an actor's owner.
    ///
    /// # Errors
    /// It is too large.
    pub fn of_word(word: Word) -> Result<Self, RecordError> {
        let mut writer = Writer::new(VERSION);
        writer.put_bytes(3, word.relayed().bytes());
        Ok(Self {
            ruling: Ruling::of_word(&word),
            stays: None,
            word: Some(word),
            bytes: writer.finish()?.into(),
        })
    }

    /// Reads one that was written or told, and checks its evidence. The signature of a word is left
    /// to the caller.
    ///
    /// # Errors
    /// It is damaged, or its evidence shows nothing.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let record = Record::read(VERSION, &bytes)?;
        if let Some(word) = record.fields().bytes(3) {
            let word = Word::read(bytes.slice_ref(word))?;
            return Ok(Self {
                bytes,
                ..Self::of_word(word)?
            });
        }
        let raw = |number| {
            let raw = record.fields().bytes(number);
            let raw = bytes.slice_ref(raw.ok_or(RecordError::Missing(number))?);
            let change = judge(raw).map_err(|_| RecordError::Damaged("its evidence is none"))?;
            Ok(RawChange {
                id: change.id(),
                hash: change.hash(),
                bytes: change.bytes().clone(),
            })
        };
        let (goes, stays) = (raw(1)?, raw(2)?);
        if goes.id != stays.id || goes.hash <= stays.hash {
            return Err(RecordError::Damaged("its evidence shows nothing"));
        }
        let ruling = Ruling {
            id: stays.id,
            basis: Basis::Hashes,
            stays: stays.hash,
            goes: Some(goes.hash),
        };
        Ok(Self {
            ruling,
            stays: Some(stays),
            word: None,
            bytes,
        })
    }

    /// What it says.
    pub fn ruling(&self) -> Ruling {
        self.ruling
    }

    /// The change that stays, if that is part of the evidence.
    pub fn stays(&self) -> Option<&RawChange> {
        self.stays.as_ref()
    }

    /// The change that is left out, if that is part of the evidence.
    pub fn goes(&self) -> Option<RawChange> {
        let record = Record::read(VERSION, &self.bytes).ok()?;
        let bytes = self.bytes.slice_ref(record.fields().bytes(1)?);
        let (id, hash) = (self.ruling.id, self.ruling.goes?);
        Some(RawChange { id, hash, bytes })
    }

    /// The word of the actor's owner, if it has spoken.
    pub fn word(&self) -> Option<&Word> {
        self.word.as_ref()
    }

    /// As it was first written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Names it among those of its list: the hash of a change, and one byte more if it is its owner's
    /// word.
    pub fn key(&self) -> Vec<u8> {
        match self.ruling.goes {
            Some(goes) => goes.0.to_vec(),
            None => [self.ruling.stays.0.as_slice(), b"w"].concat(),
        }
    }
}
