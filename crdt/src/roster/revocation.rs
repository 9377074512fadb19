//! That a node is shut out for ever, as an authority of the cluster has signed it.
//!
//! See [`crate::relayed`] for the form. The owner is the node that is an authority; run, serial and
//! standing are 0. This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 4 | the node that is shut out (16 bytes), in all versions |
//! | 5 | the certificate of the authority by which the proof is judged, in all versions |
//! | 16 | the node's name, as far as the authority knew it |
//! | 17 | why, in words |
//! | 18 | when, in milliseconds since 1970 by the authority's clock |
//! | 19 | who has asked for it |
//!
//! It is about the id, and has no end: a host that comes back gets a new id. Of two about one node the
//! one with the larger bytes stays.

use crate::record::{Number, RecordError};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::NodeId;

const VERSION: u8 = 1;
const SUBJECT: Number = 4;
const CHAIN: Number = 5;
const NAME: Number = 16;
const REASON: Number = 17;
const AT: Number = 18;
const BY: Number = 19;

/// The most bytes of one.
pub const MAX_BYTES: usize = 8 << 10;

/// One revocation, as its authority wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revocation {
    relayed: Relayed,
    subject: NodeId,
}

/// What a revocation says for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The node's name; empty if the authority did not know it.
    pub name: String,
    /// Why it was revoked; may be empty.
    pub reason: String,
    /// When, in milliseconds since 1970 by the authority's clock.
    pub at_ms: i64,
    /// Who has asked for it.
    pub by: String,
}

impl Revocation {
    /// Takes the bytes of one, of whatever version.
    ///
    /// # Errors
    /// They are none.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        if bytes.len() > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let relayed = Relayed::read(bytes)?;
        let subject = relayed
            .fields()
            .bytes(SUBJECT)
            .and_then(|id| id.try_into().ok());
        let subject = subject.map(NodeId).ok_or_else(|| RecordError::Value {
            number: SUBJECT,
            reason: "it is no node id".to_owned(),
        })?;
        Ok(Self { relayed, subject })
    }

    /// Writes one in the name of the authority on the node `owner`, which has that chain.
    ///
    /// # Errors
    /// It is too large.
    pub fn write(
        (owner, chain): (NodeId, &[u8]),
        subject: NodeId,
        told: &Told,
        sign: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<Self, RecordError> {
        let relayed = Relayed::write(VERSION, owner, Rank::default(), |writer| {
            writer
                .put_bytes(SUBJECT, &subject.0)
                .put_bytes(CHAIN, chain)
                .put(NAME, &told.name)
                .put(REASON, &told.reason)
                .put(AT, &told.at_ms)
                .put(BY, &told.by);
        })?;
        let proof = sign(relayed.said());
        Self::read(relayed.with_proof(&proof)?.bytes().clone())
    }

    /// The node that is shut out.
    pub fn subject(&self) -> NodeId {
        self.subject
    }

    /// The certificate of the authority.
    pub fn chain(&self) -> &[u8] {
        self.relayed.fields().bytes(CHAIN).unwrap_or_default()
    }

    /// What it says for people, as far as this program understands it.
    pub fn told(&self) -> Told {
        let fields = self.relayed.fields();
        let text = |number| {
            fields
                .get::<String>(number)
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        Told {
            name: text(NAME),
            reason: text(REASON),
            at_ms: fields.get(AT).ok().flatten().unwrap_or_default(),
            by: text(BY),
        }
    }

    /// As it is merged and handed on.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AUTHORITY: NodeId = NodeId([7; 16]);
    const SUBJECT: NodeId = NodeId([8; 16]);

    fn told() -> Told {
        Told {
            name: "beta".to_owned(),
            reason: "stolen".to_owned(),
            at_ms: 1_790_000_000_000,
            by: "alice@alpha".to_owned(),
        }
    }

    #[test]
    fn it_says_what_was_written_and_keeps_its_form() {
        let sign = |said: &[u8]| {
            assert!(said.ends_with(b"alice@alpha"));
            Bytes::from_static(b"proof")
        };
        let written = Revocation::write((AUTHORITY, b"chain"), SUBJECT, &told(), sign).unwrap();
        let read = Revocation::read(written.relayed().bytes().clone()).unwrap();
        assert_eq!(
            (read.subject(), read.chain(), read.told()),
            (SUBJECT, &b"chain"[..], told())
        );
        assert_eq!(read.relayed().owner(), AUTHORITY);
        let head = [
            &[1_u8][..],
            &[7; 16],
            &[1, 1, 0, 2, 1, 0, 3, 1, 0, 4, 16],
            &[8; 16],
        ]
        .concat();
        let fields = [
            &[5, 5][..],
            b"chain",
            &[16, 5, 4],
            b"beta",
            &[17, 7, 6],
            b"stolen",
            &[18, 9, 253, 0, 0xd8, 0xa0, 0x88, 0x41, 3, 0, 0],
            &[19, 12, 11],
            b"alice@alpha",
            &[0xff, 0xff, 3, 5],
            b"proof",
        ];
        assert_eq!(read.relayed().bytes(), &[head, fields.concat()].concat());
    }

    #[test]
    fn what_is_too_large_or_about_nobody_is_refused() {
        let long = Told {
            reason: "x".repeat(MAX_BYTES),
            ..told()
        };
        let sign = |_: &[u8]| Bytes::new();
        assert!(Revocation::write((AUTHORITY, b""), SUBJECT, &long, sign).is_err());
        let relayed = Relayed::write(1, AUTHORITY, Rank::default(), |_| {}).unwrap();
        assert!(Revocation::read(relayed.bytes().clone()).is_err());
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_or_reads(bytes in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..80)) {
            if let Ok(read) = Revocation::read(bytes.into()) {
                let _ = (read.told(), read.chain().len());
            }
        }
    }
}
