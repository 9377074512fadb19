//! The head of a log: what its owner proves of all its live records at once.
//!
//! See [`crate::relayed`] for the form and the fields 1 to 3, and for the proof at its end. This is
//! version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 2 | the number of the log's last change |
//! | 3 | 10 |
//! | 16 | the log's [horizon](super::Delta::horizon) then, in all versions |
//! | 17 | the digest (32 bytes) of the [set](crate::lthash) of the [statements](super::Statement) that are no tombstones, in all versions |

use super::Position;
use crate::record::{Number, RecordError};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::NodeId;

const VERSION: u8 = 1;
const STANDING: u64 = 10;
const HORIZON: Number = 16;
const HASH: Number = 17;

/// A head, as the log's owner wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    relayed: Relayed,
    horizon: u64,
    hash: [u8; 32],
}

impl Head {
    /// Takes the bytes of a head, of whatever version.
    ///
    /// # Errors
    /// They are no head.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let relayed = Relayed::read(bytes)?;
        let fields = relayed.fields();
        let hash = fields.bytes(HASH).ok_or(RecordError::Missing(HASH))?;
        let hash = hash.try_into().map_err(|_| RecordError::Value {
            number: HASH,
            reason: "it is no digest".to_owned(),
        })?;
        let horizon = fields.need(HORIZON)?;
        Ok(Self {
            relayed,
            horizon,
            hash,
        })
    }

    /// Writes the head of `owner`'s log at that position; `sign` makes the proof.
    ///
    /// # Errors
    /// It is too large, with that proof.
    pub fn write(
        owner: NodeId,
        position: Position,
        horizon: u64,
        hash: [u8; 32],
        sign: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<Self, RecordError> {
        let rank = Rank {
            run: position.run,
            serial: position.version,
            standing: STANDING,
        };
        let relayed = Relayed::write(VERSION, owner, rank, |writer| {
            writer.put(HORIZON, &horizon).put_bytes(HASH, &hash);
        })?;
        let proof = sign(relayed.said());
        Ok(Self {
            relayed: relayed.with_proof(&proof)?,
            horizon,
            hash,
        })
    }

    /// Whose log.
    pub fn owner(&self) -> NodeId {
        self.relayed.owner()
    }

    /// How far the log had come.
    pub fn position(&self) -> Position {
        let rank = self.relayed.rank();
        Position {
            run: rank.run,
            version: rank.serial,
        }
    }

    /// The log's horizon then.
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// The digest of its live records.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The first bytes of the digest: by it two replicas see at a glance that they hold the same.
    pub fn tag(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// As its owner wrote it: what the proof is over, and the proof.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_it_was() {
        let position = Position { run: 3, version: 4 };
        let head = Head::write(NodeId([7; 16]), position, 2, [5; 32], |said| {
            assert_eq!(said.len(), 63);
            Bytes::from_static(b"proof")
        })
        .unwrap();
        let bytes = [
            &[1_u8][..],
            &[7; 16],
            &[1, 1, 3, 2, 1, 4, 3, 1, 10, 16, 1, 2, 17, 32],
            &[5; 32],
            &[0xff, 0xff, 0x03, 5],
            b"proof",
        ]
        .concat();
        assert_eq!(head.relayed().bytes(), &bytes);
        let read = Head::read(bytes.clone().into()).unwrap();
        assert_eq!(read, head);
        assert_eq!((read.owner(), read.position()), (NodeId([7; 16]), position));
        assert_eq!((read.horizon(), read.hash()), (2, [5; 32]));
        assert_eq!(read.tag(), 0x0505_0505_0505_0505);
        assert_eq!(read.relayed().said(), &bytes[..63]);
        assert!(Head::read(Bytes::copy_from_slice(&bytes[..40])).is_err());
    }
}
