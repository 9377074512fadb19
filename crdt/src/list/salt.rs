//! Salts: from which a node derives the actors by which it writes to lists, as it has signed them.
//!
//! Who knows the salts of a node can check whose an actor is ([`names::Actor::derive`]). See
//! [`crate::relayed`] for the form. The owner is the node, the run that of the daemon that has drawn
//! the salt; serial and standing are 0. This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 4 | the salt (16 bytes), in all versions |
//! | 5 | the chain of certificates by which the proof is judged, in all versions |

use crate::record::{Number, RecordError};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::{NodeId, SaltHint};

const VERSION: u8 = 1;
const SALT: Number = 4;
const CHAIN: Number = 5;

/// The most bytes of one: room for the longest chain.
const MAX_BYTES: usize = 20 << 10;

/// That a salt is a node's, as that node wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Salt {
    relayed: Relayed,
    salt: [u8; 16],
}

impl Salt {
    /// Takes the bytes of one, of whatever version. What it says is not proved before its signature
    /// was checked.
    ///
    /// # Errors
    /// They are none.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        if bytes.len() > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let relayed = Relayed::read(bytes)?;
        let salt = relayed.fields().bytes(SALT);
        let salt = salt.and_then(|salt| salt.try_into().ok());
        let salt = salt.ok_or(RecordError::Missing(SALT))?;
        Ok(Self { relayed, salt })
    }

    /// Writes one in the name of the node `owner`, which has that chain, in that run.
    ///
    /// # Errors
    /// It is too large.
    pub fn write(
        (owner, chain): (NodeId, &[u8]),
        run: u64,
        salt: [u8; 16],
        sign: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<Self, RecordError> {
        let rank = Rank {
            run,
            ..Rank::default()
        };
        let relayed = Relayed::write(VERSION, owner, rank, |writer| {
            writer.put_bytes(SALT, &salt).put_bytes(CHAIN, chain);
        })?;
        let proof = sign(relayed.said());
        Self::read(relayed.with_proof(&proof)?.bytes().clone())
    }

    /// The salt.
    pub fn salt(&self) -> [u8; 16] {
        self.salt
    }

    /// The node that says that it is its own.
    pub fn owner(&self) -> NodeId {
        self.relayed.owner()
    }

    /// What the actors of this salt begin with.
    pub fn hint(&self) -> SaltHint {
        SaltHint::of(self.owner(), self.salt)
    }

    /// The chain of certificates of its owner.
    pub fn chain(&self) -> &[u8] {
        self.relayed.fields().bytes(CHAIN).unwrap_or_default()
    }

    /// As it is kept and handed on.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_says_what_was_written_and_keeps_its_form() {
        let sign = |said: &[u8]| {
            assert!(said.ends_with(b"chain"));
            Bytes::from_static(b"proof")
        };
        let written = Salt::write((NodeId([7; 16]), b"chain"), 3, [9; 16], sign).unwrap();
        let read = Salt::read(written.relayed().bytes().clone()).unwrap();
        assert_eq!((read.owner(), read.salt()), (NodeId([7; 16]), [9; 16]));
        assert_eq!(
            (read.relayed().rank().run, read.chain()),
            (3, &b"chain"[..])
        );
        let head = [
            &[1_u8][..],
            &[7; 16],
            &[1, 1, 3, 2, 1, 0, 3, 1, 0, 4, 16],
            &[9; 16],
        ]
        .concat();
        let fields = [&[5, 5][..], b"chain", &[0xff, 0xff, 3, 5], b"proof"];
        assert_eq!(read.relayed().bytes(), &[head, fields.concat()].concat());
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_or_reads(bytes in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..80)) {
            if let Ok(read) = Salt::read(bytes.into()) {
                let _ = (read.hint(), read.chain().len());
            }
        }
    }
}
