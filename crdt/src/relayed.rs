//! What goes from its owner to third nodes: the very bytes that the owner wrote, never encoded anew.
//!
//! | part | bytes |
//! | --- | --- |
//! | version | 1 |
//! | owner: the id of the node that wrote it | 16 |
//! | fields, as in a [`record`](crate::record) | |
//!
//! | field | is, in all versions |
//! | --- | --- |
//! | 1 | the run of the daemon that it is about (`u64`) |
//! | 2 | its serial within that run (`u64`): what is said later has the higher one |
//! | 3 | its standing (`u64`): of one serial, the higher one replaces the lower one |
//! | 4 to 15 | of the kind of thing: what it is about |
//! | 65535 | for the owner's proof. Fields stand in order, so a proof is over all bytes before it |
//!
//! A node keeps these bytes, merges them and hands them on, also when it does not know their
//! version or some of their fields: what it needs for that means the same in all versions. Of two
//! that are about the same thing the one with the larger (run, serial, standing, bytes) stays. That
//! is a total order, so merging commutes, associates and is idempotent, on nodes of all versions
//! alike.
//!
//! The kinds are the lines of the roster ([`crate::roster::Line`]) and the records of the process
//! registry ([`crate::registry::Statement`]).

use crate::record::{Fields, Number, RecordError, Writer};
use bytes::Bytes;
use names::NodeId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The most bytes of one: room for the largest of today twice over, a certificate chain and a proof.
pub const MAX_BYTES: usize = 64 << 10;
/// The bytes before the fields.
const HEAD_BYTES: usize = 17;

const RUN: Number = 1;
const SERIAL: Number = 2;
const STANDING: Number = 3;
/// The owner's proof, which is the last field because no number is higher.
pub const PROOF: Number = Number::MAX;

/// What decides which of two stays, before their bytes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// The run of the daemon that it is about.
    pub run: u64,
    /// What is said later within a run has the higher one.
    pub serial: u64,
    /// Of one serial, the higher one replaces the lower one.
    pub standing: u64,
}

/// One thing, as its owner wrote it. The derived order is the order of merging.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relayed {
    rank: Rank,
    bytes: Bytes,
}

impl Relayed {
    /// Takes bytes that came from another node, of whatever version.
    ///
    /// # Errors
    /// They are no such thing, or too large.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        if bytes.len() > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let fields = bytes
            .get(HEAD_BYTES..)
            .ok_or(RecordError::Damaged("its head is incomplete"))
            .and_then(Fields::read)?;
        let rank = Rank {
            run: fields.need(RUN)?,
            serial: fields.need(SERIAL)?,
            standing: fields.need(STANDING)?,
        };
        Ok(Self { rank, bytes })
    }

    /// Writes one of this node's own; `put` adds the fields of its kind, from number 4 on.
    ///
    /// # Errors
    /// It is too large, or a field cannot be encoded.
    pub fn write(
        version: u8,
        owner: NodeId,
        rank: Rank,
        put: impl FnOnce(&mut Writer<'static>),
    ) -> Result<Self, RecordError> {
        let mut writer = Writer::after([&[version], owner.0.as_slice()].concat());
        writer
            .put(RUN, &rank.run)
            .put(SERIAL, &rank.serial)
            .put(STANDING, &rank.standing);
        put(&mut writer);
        Self::read(writer.finish()?.into())
    }

    /// The same with its owner's proof, which is over all bytes that are there now.
    ///
    /// # Errors
    /// It is too large with it.
    pub fn with_proof(&self, proof: &[u8]) -> Result<Self, RecordError> {
        let mut writer = Writer::after(Vec::new());
        writer.put_bytes(PROOF, proof);
        let proof = writer.finish()?;
        Self::read([self.said(), &proof].concat().into())
    }

    /// The owner's proof, if there is one; it is over [`said`](Self::said).
    pub fn proof(&self) -> Option<&[u8]> {
        self.fields().bytes(PROOF)
    }

    /// All bytes but the proof.
    pub fn said(&self) -> &[u8] {
        let Some(proof) = self.proof() else {
            return &self.bytes;
        };
        let mut writer = Writer::after(Vec::new());
        writer.put_bytes(PROOF, proof);
        let field = writer.finish().map_or(0, |field| field.len());
        let end = self.bytes.len().saturating_sub(field);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The version that it was written in.
    pub fn version(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// The node that wrote it, as it says itself.
    pub fn owner(&self) -> NodeId {
        let owner = self.bytes.get(1..HEAD_BYTES);
        NodeId(
            owner
                .and_then(|owner| owner.try_into().ok())
                .unwrap_or_default(),
        )
    }

    /// What decides which of two stays.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// A number that is another one for other bytes.
    pub fn digest(&self) -> u64 {
        let hash = Sha256::digest(&self.bytes);
        hash.iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Its fields.
    pub fn fields(&self) -> Fields<'_> {
        let fields = self.bytes.get(HEAD_BYTES..).unwrap_or_default();
        Fields::read(fields).unwrap_or_default()
    }

    /// The very bytes that its owner wrote.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// One replica of many such things, by what they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay<K>(BTreeMap<K, Relayed>);

impl<K> Default for Relay<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Relay<K> {
    /// Keeps the larger of what is here and what comes. True if that changed anything: then it is to
    /// be handed on.
    pub fn merge(&mut self, about: K, relayed: Relayed) -> bool {
        match self.0.entry(about) {
            Entry::Vacant(vacant) => {
                vacant.insert(relayed);
                true
            }
            Entry::Occupied(mut known) => {
                let is_news = *known.get() < relayed;
                if is_news {
                    known.insert(relayed);
                }
                is_news
            }
        }
    }

    /// What is known about that.
    pub fn get(&self, about: &K) -> Option<&Relayed> {
        self.0.get(about)
    }

    /// Everything that is known, by what it is about.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Relayed)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_proof_is_over_all_bytes_before_it() {
        let rank = Rank {
            run: 1,
            serial: 2,
            standing: 3,
        };
        let signed = |proof: &'static [u8]| {
            Relayed::write(1, NodeId([7; 16]), rank, |writer| {
                writer.put(20, "said");
                if !proof.is_empty() {
                    writer.put_bytes(PROOF, proof);
                }
            })
            .unwrap()
        };
        let (bare, proved) = (signed(b""), signed(b"proof"));
        assert!(proved.bytes().starts_with(bare.bytes()));
        assert_eq!((bare.said(), bare.proof()), (&bare.bytes()[..], None));
        assert_eq!(bare.with_proof(b"proof"), Ok(proved.clone()));
        assert_eq!(proved.with_proof(b"proof"), Ok(proved.clone()));
        assert_eq!(
            (proved.said(), proved.proof()),
            (&bare.bytes()[..], Some(&b"proof"[..]))
        );
        assert_eq!(proved.fields().bytes(PROOF), Some(b"proof".as_slice()));
        assert_eq!((proved.owner(), proved.rank()), (NodeId([7; 16]), rank));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_kept_as_they_are(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..60)) {
            if let Ok(relayed) = Relayed::read(Bytes::from(bytes.clone())) {
                prop_assert_eq!(relayed.bytes(), &bytes);
                prop_assert_eq!(relayed.fields().count() >= 3, true);
            }
        }
    }
}
