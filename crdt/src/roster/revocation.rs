//! That a node is shut out for ever, as an authority of the cluster has signed it; or that such an
//! authority itself is withdrawn, as the cluster's own has signed it.
//!
//! See [`crate::relayed`] for the form. The owner is the node that is an authority, or the one on which
//! a withdrawal was drafted; run, serial and standing are 0, but the serial of a withdrawal is its time.
//! This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 4 | the node that is shut out, or the key that is withdrawn (16 bytes), in all versions |
//! | 5 | the certificate of the authority by which the proof is judged, in all versions |
//! | 16 | the name of the node or of the withdrawn authority, as far as it was known |
//! | 17 | why, in words |
//! | 18 | when, in milliseconds since 1970 by the authority's clock |
//! | 19 | who has asked for it |
//! | 20 | of a withdrawal only, in all versions: what stays good, 16 bytes each |
//!
//! A revocation is about the id, and has no end: a host that comes back gets a new id.
//!
//! A withdrawal is about a key, by the first 16 bytes of SHA-256 over its public key info in DER. What it
//! does not name is good no longer: certificates of nodes, by the first 16 bytes of SHA-256 over their
//! DER, and revocations, by the same of their bytes. Of two about one key the later one stays, or of one
//! time the one with the larger bytes.

use crate::record::{Number, RecordError, Writer};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::NodeId;
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const SUBJECT: Number = 4;
const CHAIN: Number = 5;
const NAME: Number = 16;
const REASON: Number = 17;
const AT: Number = 18;
const BY: Number = 19;
const GOOD: Number = 20;

/// The most bytes of one that shuts out a node.
pub const MAX_BYTES: usize = 8 << 10;
/// The most bytes of one that withdraws an authority.
const MAX_WITHDRAWAL_BYTES: usize = 32 << 10;

/// The first 16 bytes of SHA-256 over something.
pub type Mark = [u8; 16];

/// One revocation or withdrawal, as its authority wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revocation {
    relayed: Relayed,
    subject: NodeId,
}

/// What a revocation says for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The name of the node or authority; empty if it was not known.
    pub name: String,
    /// Why; may be empty.
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
        let relayed = Relayed::read(bytes)?;
        let good = relayed.fields().bytes(GOOD);
        let most = if good.is_some() {
            MAX_WITHDRAWAL_BYTES
        } else {
            MAX_BYTES
        };
        if relayed.bytes().len() > most {
            return Err(RecordError::TooLarge);
        }
        if good.is_some_and(|good| good.len() % size_of::<Mark>() != 0) {
            let reason = "it is no list of marks".to_owned();
            return Err(RecordError::Value {
                number: GOOD,
                reason,
            });
        }
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
            put(writer, (subject, chain), told);
        })?;
        let proof = sign(relayed.said());
        Self::read(relayed.with_proof(&proof)?.bytes().clone())
    }

    /// Writes, without a proof, that the authority with that key is withdrawn, and that this of what it
    /// has signed stays good. `chain` is the certificate of the cluster's authority, or empty where it is
    /// not known yet who will sign.
    ///
    /// # Errors
    /// It is too large.
    pub fn draft(
        (owner, chain): (NodeId, &[u8]),
        key: Mark,
        told: &Told,
        good: &[Mark],
    ) -> Result<Self, RecordError> {
        let rank = Rank {
            serial: told.at_ms.try_into().unwrap_or_default(),
            ..Rank::default()
        };
        let relayed = Relayed::write(VERSION, owner, rank, |writer| {
            put(writer, (NodeId(key), chain), told);
            writer.put_bytes(GOOD, &good.concat());
        })?;
        Self::read(relayed.bytes().clone())
    }

    /// The same withdrawal as the cluster's authority with that chain signs it.
    ///
    /// # Errors
    /// It withdraws nothing, this program does not understand all of it, or it is too large.
    pub fn signed<E: From<RecordError>>(
        &self,
        chain: &[u8],
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let unknown = RecordError::Damaged("it is no withdrawal as this program writes one");
        let (owner, key) = (self.relayed.owner(), self.subject.0);
        let good = self.good().unwrap_or_default();
        let again = Self::draft((owner, self.chain()), key, &self.told(), &good)?;
        if again.relayed.bytes() != self.relayed.said() {
            return Err(unknown.into());
        }
        let draft = Self::draft((owner, chain), key, &self.told(), &good)?;
        let proof = sign(draft.relayed.said())?;
        let proved = draft.relayed.with_proof(&proof)?;
        Ok(Self::read(proved.bytes().clone())?)
    }

    /// The node that is shut out; of a withdrawal, the key that is.
    pub fn subject(&self) -> NodeId {
        self.subject
    }

    /// What stays good of what the withdrawn authority has signed; `None` if a node is shut out.
    pub fn good(&self) -> Option<Vec<Mark>> {
        let good = self.relayed.fields().bytes(GOOD)?;
        Some(good.as_chunks().0.to_vec())
    }

    /// Whether an authority is withdrawn, and no node shut out.
    pub fn is_withdrawal(&self) -> bool {
        self.relayed.fields().bytes(GOOD).is_some()
    }

    /// What withdrawals name it by.
    pub fn mark(&self) -> Mark {
        mark(self.relayed.bytes())
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

/// The first 16 bytes of SHA-256 over that.
pub fn mark(bytes: &[u8]) -> Mark {
    let hash = Sha256::digest(bytes);
    hash.first_chunk().copied().unwrap_or_default()
}

fn put(writer: &mut Writer<'static>, (subject, chain): (NodeId, &[u8]), told: &Told) {
    writer
        .put_bytes(SUBJECT, &subject.0)
        .put_bytes(CHAIN, chain)
        .put(NAME, &told.name)
        .put(REASON, &told.reason)
        .put(AT, &told.at_ms)
        .put(BY, &told.by);
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

    #[test]
    fn a_withdrawal_says_what_stays_good_and_the_later_one_stays() {
        let good = [[1; 16], [2; 16]];
        let draft = Revocation::draft((AUTHORITY, b""), SUBJECT.0, &told(), &good).unwrap();
        let sign = |said: &[u8]| {
            assert!(said.ends_with(&good.concat()));
            Ok::<_, RecordError>(b"proof".to_vec())
        };
        let signed = draft.signed(b"chain", sign).unwrap();
        let read = Revocation::read(signed.relayed().bytes().clone()).unwrap();
        assert_eq!(
            (read.subject(), read.chain(), read.told()),
            (SUBJECT, &b"chain"[..], told())
        );
        assert_eq!(read.good().unwrap(), good);
        let rank = [&[1_u8][..], &[7; 16], &[1, 1, 0, 2, 9, 253]].concat();
        assert!(read.relayed().bytes().starts_with(&rank));
        let earlier = Told {
            at_ms: told().at_ms - 1,
            reason: "z".repeat(9),
            ..told()
        };
        let earlier =
            Revocation::draft((NodeId([9; 16]), b""), SUBJECT.0, &earlier, &good).unwrap();
        assert!(earlier < draft);
    }

    #[test]
    fn only_a_withdrawal_may_be_long_and_only_a_whole_one_is_signed() {
        let many = vec![[1; 16]; 1_900];
        let draft = Revocation::draft((AUTHORITY, b""), SUBJECT.0, &told(), &many).unwrap();
        assert!(draft.relayed().bytes().len() > MAX_BYTES);
        let too_many = vec![[1; 16]; 2_100];
        assert!(Revocation::draft((AUTHORITY, b""), SUBJECT.0, &told(), &too_many).is_err());
        let relayed = Relayed::write(1, AUTHORITY, Rank::default(), |writer| {
            put(writer, (SUBJECT, b""), &told());
            writer.put_bytes(GOOD, b"odd");
        });
        assert!(Revocation::read(relayed.unwrap().bytes().clone()).is_err());
        let later = Relayed::write(1, AUTHORITY, Rank::default(), |writer| {
            put(writer, (SUBJECT, b""), &told());
            writer.put_bytes(GOOD, &[1; 16]).put(21, &"later");
        });
        let later = Revocation::read(later.unwrap().bytes().clone()).unwrap();
        let sign = |_: &[u8]| Ok::<_, RecordError>(Vec::new());
        assert!(later.signed(b"chain", sign).is_err());
        let node = Revocation::write((AUTHORITY, b""), SUBJECT, &told(), |_| Bytes::new());
        assert!(node.unwrap().signed(b"chain", sign).is_err());
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
