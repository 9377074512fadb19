//! An owner's word in a fork: which change of that actor and number is its own.
//!
//! See [`crate::relayed`] for the form. The owner is the node whose actor it is; run, serial and
//! standing are 0. This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 4 | the list (16 bytes) |
//! | 5 | the chain of certificates by which the proof is judged, in all versions |
//! | 16 | the actor (16 bytes) |
//! | 17 | the change's number |
//! | 18 | the change's hash (32 bytes) |
//! | 19 | the salt from which the actor was derived (16 bytes) |
//!
//! It needs nothing else to be judged: the salt shows whose the actor is, and the signature that this
//! node has said it. So it is worth the same to everybody, whatever else has come there.

use crate::record::{Number, RecordError};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::{Actor, ChangeHash, ChangeId, ListId, NodeId};

const VERSION: u8 = 1;
const LIST: Number = 4;
const CHAIN: Number = 5;
const ACTOR: Number = 16;
const SEQ: Number = 17;
const HASH: Number = 18;
const SALT: Number = 19;

/// Which change of an actor and number its owner says to have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    relayed: Relayed,
    list: ListId,
    id: ChangeId,
    hash: ChangeHash,
}

impl Word {
    /// Takes the bytes of one, and checks that the actor is the owner's. That the owner has said it is
    /// not proved before its signature was checked.
    ///
    /// # Errors
    /// They are none, or about another node's actor.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let relayed = Relayed::read(bytes)?;
        if relayed.version() != VERSION {
            let (found, known) = (relayed.version(), VERSION);
            return Err(RecordError::Version { found, known });
        }
        let fields = relayed.fields();
        let list = ListId(array(&relayed, LIST)?);
        let actor = Actor(array(&relayed, ACTOR)?);
        let (hash, seq) = (ChangeHash(array(&relayed, HASH)?), fields.need(SEQ)?);
        if !actor.is_of(list, relayed.owner(), array(&relayed, SALT)?) {
            return Err(RecordError::Damaged("its actor is not its owner's"));
        }
        Ok(Self {
            list,
            id: ChangeId { actor, seq },
            hash,
            relayed,
        })
    }

    /// Writes one in the name of the node `owner`, which has that chain.
    ///
    /// # Errors
    /// It is too large, or the actor was not derived from that salt.
    pub fn write(
        (owner, chain): (NodeId, &[u8]),
        salt: [u8; 16],
        (list, id, hash): (ListId, ChangeId, ChangeHash),
        sign: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<Self, RecordError> {
        let relayed = Relayed::write(VERSION, owner, Rank::default(), |writer| {
            writer
                .put_bytes(LIST, &list.0)
                .put_bytes(CHAIN, chain)
                .put_bytes(ACTOR, &id.actor.0)
                .put(SEQ, &id.seq)
                .put_bytes(HASH, &hash.0)
                .put_bytes(SALT, &salt);
        })?;
        let proof = sign(relayed.said());
        Self::read(relayed.with_proof(&proof)?.bytes().clone())
    }

    /// Which list it is about.
    pub fn list(&self) -> ListId {
        self.list
    }

    /// Which actor and number.
    pub fn id(&self) -> ChangeId {
        self.id
    }

    /// The change that its owner has made.
    pub fn hash(&self) -> ChangeHash {
        self.hash
    }

    /// The node that says so.
    pub fn owner(&self) -> NodeId {
        self.relayed.owner()
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

fn array<const N: usize>(relayed: &Relayed, number: Number) -> Result<[u8; N], RecordError> {
    let bytes = relayed.fields().bytes(number);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(RecordError::Missing(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWNER: NodeId = NodeId([7; 16]);
    const LIST_ID: ListId = ListId([1; 16]);

    fn written(actor: Actor) -> Result<Word, RecordError> {
        let id = ChangeId { actor, seq: 300 };
        let about = (LIST_ID, id, ChangeHash([6; 32]));
        Word::write((OWNER, b"chain"), [9; 16], about, |_| {
            Bytes::from_static(b"proof")
        })
    }

    #[test]
    fn it_says_what_was_written_and_keeps_its_form() {
        let actor = Actor::derive(LIST_ID, OWNER, [9; 16], 2);
        let word = Word::read(written(actor).unwrap().relayed().bytes().clone()).unwrap();
        assert_eq!((word.owner(), word.list()), (OWNER, LIST_ID));
        assert_eq!((word.id().actor, word.id().seq), (actor, 300));
        assert_eq!(
            (word.hash(), word.chain()),
            (ChangeHash([6; 32]), &b"chain"[..])
        );
        let parts: [&[u8]; 14] = [
            &[1],
            &[7; 16],
            &[1, 1, 0, 2, 1, 0, 3, 1, 0, 4, 16],
            &[1; 16],
            &[5, 5],
            b"chain",
            &[16, 16],
            &actor.0,
            &[17, 3, 251, 44, 1, 18, 32],
            &[6; 32],
            &[19, 16],
            &[9; 16],
            &[0xff, 0xff, 3, 5],
            b"proof",
        ];
        assert_eq!(word.relayed().bytes(), &parts.concat());
    }

    #[test]
    fn a_word_about_another_nodes_actor_is_none() {
        let other = Actor::derive(LIST_ID, NodeId([8; 16]), [9; 16], 2);
        assert!(written(other).is_err());
        assert!(written(Actor([3; 16])).is_err());
    }

    proptest! {
        #[test]
        fn rubbish_is_refused(bytes in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..200)) {
            prop_assert!(Word::read(bytes.into()).is_err());
        }
    }
}
