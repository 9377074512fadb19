//! Whose an actor is: the salts that nodes have signed, and this node's own.
//!
//! A node draws a salt at each start and after each failed commit, signs that it is its own, keeps that
//! on its disk before the first change by it, and tells it to its peers. They keep it and hand it on, and
//! find it by what the actors of one salt begin with. Changes by an actor whose salt nobody has told are
//! not taken, and wait for a while: so a node has no more actors than it has signed for, and whoever has a
//! change can show whose it is. Only where members speak protocol 1, or lists are from before salts were
//! signed, are such changes taken as all others.

use crate::lists::io::Settings;
use crate::lists::own::Own;
use crate::proof::Domain;
use bytes::Bytes;
use crdt::list::{LeftOut, Salt};
use names::{Actor, ChangeId, ListId, NodeId, SaltHint};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most salts of one node. It draws one or a few in a run.
const MAX_OF_NODE: usize = 65_536;

/// What came of learning a salt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// It is known, or there is no room for it.
    Nothing,
    /// It is new.
    New(Box<Salt>),
}

/// What proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lists) struct Unproved;

/// All salts that are known.
#[derive(Debug)]
pub(super) struct Owners {
    own: Own,
    run: u64,
    current: [u8; 16],
    /// How many there are of each node.
    of_node: BTreeMap<NodeId, usize>,
    /// Whether changes by actors of unknown owners are taken.
    takes_unsigned: bool,
}

impl Owners {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut owners = Self {
            own: Own {
                me: settings.me,
                salts: Arc::default(),
                known: Arc::default(),
                drawn: Arc::default(),
                proofs: Arc::clone(&settings.proofs),
            },
            run: settings.run,
            current: settings.salt,
            of_node: BTreeMap::new(),
            takes_unsigned: settings.takes_unsigned,
        };
        let kept = settings.salts.iter().cloned();
        for salt in kept.filter_map(|bytes| Salt::read(bytes).ok()) {
            owners.put(salt);
        }
        owners.renew(settings.salt);
        owners
    }

    /// This node as an owner.
    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    /// The actor that this node writes by to a list, the `nth` of its salt.
    pub(super) fn actor(&self, list: ListId, nth: u8) -> Actor {
        Actor::derive(list, self.own.me, self.current, nth)
    }

    /// This node derives its actors from another salt from now on.
    pub(super) fn renew(&mut self, salt: [u8; 16]) {
        self.current = salt;
        self.note_own(salt);
        let hint = SaltHint::of(self.own.me, salt);
        Arc::make_mut(&mut self.own.drawn).insert(hint);
    }

    fn note_own(&mut self, salt: [u8; 16]) {
        let hint = SaltHint::of(self.own.me, salt);
        Arc::make_mut(&mut self.own.salts).insert(hint, salt);
    }

    /// Signs that the salt of now is this node's; gives what is to be kept and told. `None` if its key
    /// cannot sign.
    pub(super) fn sign(&mut self) -> Option<Salt> {
        let proofs = Arc::clone(&self.own.proofs);
        let (owner, chain) = (self.own.me, proofs.chain());
        let sign = |said: &[u8]| proofs.sign(Domain::Salt, said);
        let salt = Salt::write((owner, &chain), self.run, self.current, sign).ok()?;
        let is_signed = salt
            .relayed()
            .proof()
            .is_some_and(|proof| !proof.is_empty());
        if is_signed {
            self.put(salt.clone());
        }
        is_signed.then_some(salt)
    }

    /// The salt of now, as it is told.
    pub(super) fn current(&self) -> Option<&Salt> {
        let hint = SaltHint::of(self.own.me, self.current);
        self.own.known.get(&(hint, self.own.me))
    }

    /// Somebody tells of a salt.
    pub(super) fn learn(
        &mut self,
        bytes: Bytes,
        may_tell: &mut dyn FnMut(NodeId) -> bool,
    ) -> Result<Learned, Unproved> {
        let salt = Salt::read(bytes).map_err(|_| Unproved)?;
        let owner = salt.owner();
        if self.own.known.contains_key(&(salt.hint(), owner)) {
            return Ok(Learned::Nothing);
        }
        let (said, proof) = (salt.relayed().said(), salt.relayed().proof());
        let proof = proof.unwrap_or_default();
        let signer = self
            .own
            .proofs
            .signer(salt.chain(), Domain::Salt, said, proof);
        if signer.is_none_or(|signer| signer.id != owner) {
            return Err(Unproved);
        }
        let count = self.of_node.get(&owner).copied().unwrap_or_default();
        if count >= MAX_OF_NODE || !may_tell(owner) {
            return Ok(Learned::Nothing);
        }
        self.put(salt.clone());
        Ok(Learned::New(Box::new(salt)))
    }

    fn put(&mut self, salt: Salt) {
        let (owner, hint) = (salt.owner(), salt.hint());
        if owner == self.own.me {
            self.note_own(salt.salt());
        }
        let known = Arc::make_mut(&mut self.own.known);
        if known.insert((hint, owner), salt).is_none() {
            *self.of_node.entry(owner).or_default() += 1;
        }
    }

    /// Whether a change may be taken as far as its actor goes. That of the first change of an actor decides:
    /// each other one depends on it.
    pub(super) fn vouch(&self, list: ListId, id: ChangeId) -> bool {
        self.takes_unsigned || id.seq > 1 || self.own.owner(list, id.actor).is_some()
    }

    /// Whether what is told of a fork is proved, if it needs a proof.
    pub(super) fn is_proved(&self, list: ListId, one: &LeftOut) -> bool {
        let Some(word) = one.word() else {
            return true;
        };
        let proof = word.relayed().proof().unwrap_or_default();
        let said = word.relayed().said();
        let proofs = &self.own.proofs;
        let signer = proofs.signer(word.chain(), Domain::OwnChange, said, proof);
        word.list() == list && signer.is_some_and(|signer| signer.id == word.owner())
    }
}
