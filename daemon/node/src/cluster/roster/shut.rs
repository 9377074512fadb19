//! Who is shut out: nodes that were revoked, and those whose certificates were signed with a key that is
//! withdrawn.

use super::{Replica, Unproved};
use crate::proof::Domain;
use bytes::Bytes;
use crdt::roster::{Line, Mark, Revocation};
use names::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// The most revocations that are kept.
const MAX_REVOCATIONS: usize = 10_000;
/// The most withdrawals that are kept. They have room of their own: who has stolen an authority can fill
/// the other one.
const MAX_WITHDRAWALS: usize = 64;

/// All revocations and withdrawals that count.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    /// By the node that each is about. All are kept, so that a node stays shut out when the authority
    /// that has signed one of them is withdrawn.
    nodes: BTreeMap<NodeId, BTreeSet<Revocation>>,
    /// How many these are.
    count: usize,
    /// The latest about each authority, by its key.
    authorities: BTreeMap<NodeId, Withdrawal>,
    /// The nodes whose lines went, and the key that was withdrawn.
    gone: BTreeMap<NodeId, NodeId>,
    /// The sum of all digests.
    digest: u64,
}

#[derive(Debug)]
struct Withdrawal {
    statement: Revocation,
    good: BTreeSet<Mark>,
}

impl Revocations {
    /// Equal where the same ones count.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// All that others and the disk are told.
    pub(super) fn all(&self) -> impl Iterator<Item = &Revocation> {
        let authorities = self.authorities.values().map(|one| &one.statement);
        authorities.chain(self.nodes.values().flatten())
    }

    /// Whether a withdrawal says that this is good no longer, which that key has signed.
    fn withdraws(&self, key: Mark, signed: Mark) -> bool {
        let withdrawal = self.authorities.get(&NodeId(key));
        withdrawal.is_some_and(|withdrawal| !withdrawal.good.contains(&signed))
    }

    /// Whether that is told already, or something later, or has no room.
    fn passes_over(&self, one: &Revocation) -> bool {
        let subject = one.subject();
        if one.is_withdrawal() {
            let known = self.authorities.get(&subject);
            let has_room = self.authorities.len() < MAX_WITHDRAWALS;
            known.map_or(!has_room, |known| known.statement >= *one)
        } else {
            let known = self.nodes.get(&subject);
            self.count >= MAX_REVOCATIONS || known.is_some_and(|known| known.contains(one))
        }
    }

    /// A node whose line went is here again, with another certificate.
    pub(super) fn readmit(&mut self, node: NodeId) {
        self.gone.remove(&node);
    }

    fn add(&mut self, one: Revocation) {
        let (digest, subject) = (one.relayed().digest(), one.subject());
        self.digest = self.digest.wrapping_add(digest);
        let Some(good) = one.good() else {
            self.nodes.entry(subject).or_default().insert(one);
            self.count += 1;
            return;
        };
        let withdrawal = Withdrawal {
            statement: one,
            good: good.into_iter().collect(),
        };
        if let Some(before) = self.authorities.insert(subject, withdrawal) {
            let before = before.statement.relayed().digest();
            self.digest = self.digest.wrapping_sub(before);
        }
    }

    /// Takes revocations out; gives the nodes that no other one is about.
    fn remove(&mut self, ones: &[Revocation]) -> BTreeSet<NodeId> {
        let mut free = BTreeSet::new();
        for one in ones {
            let subject = one.subject();
            let Some(known) = self.nodes.get_mut(&subject) else {
                continue;
            };
            if known.remove(one) {
                self.count -= 1;
                self.digest = self.digest.wrapping_sub(one.relayed().digest());
            }
            if known.is_empty() {
                self.nodes.remove(&subject);
                free.insert(subject);
            }
        }
        free
    }
}

/// What follows from revocations and withdrawals that are news.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cluster) struct Shut {
    /// Those about which there is news: nodes, and keys of authorities.
    pub(in crate::cluster) subjects: BTreeSet<NodeId>,
    /// The nodes that are shut out, each with the last run in which it is.
    pub(in crate::cluster) out: BTreeMap<NodeId, u64>,
    /// The nodes that were shut out by what counts no longer.
    pub(in crate::cluster) back: BTreeSet<NodeId>,
    /// The nodes whose end counts no longer.
    pub(in crate::cluster) changed: BTreeSet<NodeId>,
}

impl Shut {
    pub(in crate::cluster) fn add(&mut self, other: Self) {
        self.subjects.extend(other.subjects);
        self.out.extend(other.out);
        self.back.extend(other.back);
        self.changed.extend(other.changed);
    }
}

impl Replica {
    /// Takes a revocation or withdrawal, whoever brings it; gives what follows if it is news.
    pub(in crate::cluster) fn merge_revocation(
        &mut self,
        bytes: Bytes,
    ) -> Result<Option<Shut>, Unproved> {
        let revocation = Revocation::read(bytes).map_err(|_| Unproved)?;
        if self.revocations.passes_over(&revocation) || self.is_overruled(&revocation) {
            return Ok(None);
        }
        if !self.is_authentic(&revocation) {
            return Err(Unproved);
        }
        Ok(Some(self.put_revocation(revocation)))
    }

    /// Whether the right one has signed it: a revocation an authority, a withdrawal the cluster's own.
    pub(in crate::cluster) fn is_authentic(&self, revocation: &Revocation) -> bool {
        let relayed = revocation.relayed();
        let (said, proof) = (relayed.said(), relayed.proof().unwrap_or_default());
        let (chain, domain) = (revocation.chain(), Domain::Revocation);
        if revocation.is_withdrawal() {
            self.proofs.is_of_root(chain, domain, said, proof)
        } else {
            self.proofs.is_of_authority(chain, domain, said, proof)
        }
    }

    /// Whether the authority that has signed a revocation is withdrawn, and the revocation with it.
    pub(in crate::cluster) fn is_overruled(&self, revocation: &Revocation) -> bool {
        let signed = self.proofs.marks(revocation.chain());
        let withdraws = |key: Mark, one: &Revocation| self.revocations.withdraws(key, one.mark());
        !revocation.is_withdrawal() && signed.is_some_and(|marks| withdraws(marks.key, revocation))
    }

    /// Whether the authority that has signed a node's certificate is withdrawn, and the certificate with
    /// it.
    pub(in crate::cluster) fn is_withdrawn(&self, chain: &[u8]) -> bool {
        self.withdrawn_key(chain).is_some()
    }

    fn withdrawn_key(&self, chain: &[u8]) -> Option<Mark> {
        if self.revocations.authorities.is_empty() {
            return None;
        }
        let marks = self.proofs.marks(chain)?;
        let mut keys = marks.issuers.into_iter();
        keys.find(|key| self.revocations.withdraws(*key, marks.certificate))
    }

    /// Whether a withdrawal takes this node's own certificate with it.
    pub(in crate::cluster) fn takes_own(&self, withdrawal: &Revocation) -> bool {
        let (key, good) = (withdrawal.subject().0, withdrawal.good());
        let marks = self.proofs.marks(&self.proofs.chain());
        marks.is_some_and(|own| {
            own.issuers.contains(&key) && good.is_some_and(|good| !good.contains(&own.certificate))
        })
    }

    /// A node's lines are gone for good: the revocation stands in their place. Only this node itself
    /// stays on its own roster, where nobody else answers it any more.
    pub(super) fn put_revocation(&mut self, revocation: Revocation) -> Shut {
        let (subject, is_withdrawal) = (revocation.subject(), revocation.is_withdrawal());
        self.revocations.add(revocation);
        self.fresh.insert(subject);
        let mut shut = if is_withdrawal {
            self.drop_withdrawn()
        } else {
            self.drop_node(subject);
            Shut {
                out: BTreeMap::from([(subject, u64::MAX)]),
                ..Shut::default()
            }
        };
        self.drop_aways_of_shut();
        shut.subjects.insert(subject);
        shut
    }

    /// What withdrawn authorities have signed goes, except what stays good.
    fn drop_withdrawn(&mut self) -> Shut {
        let overruled = self.revocations.nodes.values().flatten();
        let overruled: Vec<Revocation> = overruled
            .filter(|one| self.is_overruled(one))
            .cloned()
            .collect();
        let mut shut = Shut {
            back: self.revocations.remove(&overruled),
            ..Shut::default()
        };
        let key_of = |line: &Option<Line>| self.withdrawn_key(line.as_ref()?.chain());
        let slots = self.slots.iter();
        let own: Vec<(NodeId, Mark)> = slots
            .clone()
            .filter_map(|(node, slot)| Some((*node, key_of(&slot.own)?)))
            .collect();
        let ends: Vec<NodeId> = slots
            .filter_map(|(node, slot)| key_of(&slot.end).map(|_| *node))
            .collect();
        for (node, key) in own {
            shut.out.insert(node, self.run(node));
            self.revocations.gone.insert(node, NodeId(key));
            self.drop_node(node);
        }
        for node in ends {
            if self.drop_end(node) {
                shut.changed.insert(node);
            }
        }
        shut
    }

    fn drop_node(&mut self, node: NodeId) {
        if node != self.own.me {
            let slot = self.slots.remove(&node).unwrap_or_default();
            self.proved_hash = self.proved_hash.wrapping_sub(slot.digest());
            self.aways_hash = self.aways_hash.wrapping_sub(slot.away_digest());
            self.roster.remove(node);
        }
        if self.accept_v1 {
            self.hash = self.roster.hash();
        }
    }

    /// The revocations and withdrawals that are told to clients: of several about one node one, the same
    /// on all nodes.
    pub(in crate::cluster) fn told_revocations(&self) -> impl Iterator<Item = &Revocation> {
        let authorities = self.revocations.authorities.values();
        let nodes = self.revocations.nodes.values();
        authorities
            .map(|one| &one.statement)
            .chain(nodes.filter_map(BTreeSet::last))
    }

    /// All that count but some, which are named by their subjects and digests, as others are told them.
    pub(in crate::cluster) fn revocations_but(
        &self,
        unsent: &BTreeSet<(NodeId, u64)>,
    ) -> impl Iterator<Item = Bytes> {
        let all = self.revocations.all();
        // Digests are computed only where some are not sent.
        let is_unsent = |one: &Revocation| {
            !unsent.is_empty() && unsent.contains(&(one.subject(), one.relayed().digest()))
        };
        all.filter(move |one| !is_unsent(one))
            .map(|one| one.relayed().bytes().clone())
    }

    /// Whether one about that node, or that key of an authority, counts which has that digest.
    pub(in crate::cluster) fn has_revocation(&self, subject: NodeId, digest: u64) -> bool {
        let authority = self.withdrawal(subject).into_iter();
        let of_node = self.revocations.nodes.get(&subject);
        let all = authority.chain(of_node.into_iter().flatten());
        all.map(|one| one.relayed().digest())
            .any(|known| known == digest)
    }

    /// Those about some nodes, or keys of authorities.
    pub(in crate::cluster) fn revocations_of(&self, subjects: &BTreeSet<NodeId>) -> Vec<Bytes> {
        let all = self.revocations.all();
        all.filter(|one| subjects.contains(&one.subject()))
            .map(|one| one.relayed().bytes().clone())
            .collect()
    }

    /// By what a node is shut out, or was when its line went.
    pub(in crate::cluster) fn shut_by(&self, node: NodeId) -> Option<&Revocation> {
        let revocations = &self.revocations;
        let of_node = revocations.nodes.get(&node).and_then(BTreeSet::last);
        let key = revocations.gone.get(&node);
        let withdrawal = key.and_then(|key| revocations.authorities.get(key));
        of_node.or(withdrawal.map(|one| &one.statement))
    }

    /// By what the authority with that key is withdrawn.
    pub(in crate::cluster) fn withdrawal(&self, key: NodeId) -> Option<&Revocation> {
        let withdrawal = self.revocations.authorities.get(&key);
        withdrawal.map(|one| &one.statement)
    }

    /// Whether a node is shut out, whatever certificate it shows.
    pub(in crate::cluster) fn is_revoked(&self, node: NodeId) -> bool {
        self.revocations.nodes.contains_key(&node)
    }
}
