//! Comparing all lists with a peer: root, shards, buckets, leaves. Equal ones cost one sum; a few
//! that differ among a million are found in three round trips. The peer that answers keeps nothing.

use super::flow::Flows;
use super::pulls::Pulls;
use crate::lists::edge::Edge;
use crate::lists::io::{Comparison, Lagging};
use crate::lists::wire::{MAX_LEAVES, Message};
use crate::time::Instant;
use crate::wire::ConnId;
use crdt::digest::Digest;
use names::{ListId, NodeId, Shard};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Shards of one round that are asked about at the same time.
const MAX_OPEN_SHARDS: usize = 8;
/// New lists of one peer in one round whose time of differing is kept: enough to tell of the one
/// that has differed longest.
const MAX_STUCK: usize = 64;
/// A round whose answers stay away is given up; later on a link that is slow.
const STALL: Duration = Duration::from_secs(2);
/// What the answers of a round may take, in bytes, beside the repairs that stand before them.
const ANSWER_BYTES: usize = 16 << 10;

/// How a round takes what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// After a connection was made, or messages were lost: repair at once.
    Now,
    /// Else: look again first.
    Later,
}

/// How a round is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) urgency: Urgency,
    /// Whether the peer shall open one, too.
    pub(super) wake: bool,
    /// Whether to note what the peer has whole.
    pub(super) record: bool,
}

/// A list whose sums differ; `None` where one side does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) list: ListId,
    pub(super) ours: Option<u64>,
    pub(super) theirs: Option<u64>,
}

#[derive(Debug)]
struct Round {
    urgency: Urgency,
    begun: Instant,
    at: Instant,
    /// Shards of ours whose sums the peer has not told.
    untold: BTreeSet<Shard>,
    /// Shards that differ, to be asked about; and those asked about.
    differing: VecDeque<Shard>,
    asked: BTreeSet<Shard>,
    lists: u64,
    stuck: BTreeMap<ListId, Stuck>,
    /// There was no room to note everything that differs.
    truncated: bool,
    record: Option<Record>,
}

/// What a round tells about which of our lists the peer has whole; kept while somebody wants to
/// know.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Lists of ours that differ.
    pub(super) differing: BTreeSet<ListId>,
    /// Lists that changed here meanwhile.
    pub(super) changed: BTreeSet<ListId>,
}

/// A round that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) urgency: Urgency,
    pub(super) truncated: bool,
    /// Nothing differs.
    pub(super) is_equal: bool,
    pub(super) record: Option<Record>,
}

/// A list that has differed in each round since then, while one side at least stood still. Where
/// both go on, what differs is but under way.
#[derive(Clone, Copy, Debug)]
struct Stuck {
    since: Instant,
    first: Difference,
}

impl Stuck {
    fn is_still(&self, now: Difference) -> bool {
        self.first.ours == now.ours || self.first.theirs == now.theirs
    }
}

/// What the last round with a peer found.
#[derive(Debug)]
struct Found {
    at: Instant,
    lists: u64,
    stuck: BTreeMap<ListId, Stuck>,
}

/// The rounds that this node has begun, at most one per peer.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    active: BTreeMap<NodeId, Round>,
    found: BTreeMap<NodeId, Found>,
}

impl Rounds {
    /// Opens a round with a peer, in place of one that is under way.
    pub(super) fn begin(
        &mut self,
        edge: &mut Edge,
        digest: &Digest,
        shards: (Shard, Shard),
        to: (NodeId, ConnId),
        opening: Opening,
    ) {
        let Opening {
            urgency,
            wake,
            record,
        } = opening;
        let untold = (shards.0.0..=shards.1.0).map(Shard).collect();
        let record = record.then(Record::default);
        let (at, asked) = (edge.now.instant, BTreeSet::new());
        let (differing, stuck) = (VecDeque::new(), BTreeMap::new());
        let round = Round {
            urgency,
            begun: at,
            at,
            untold,
            differing,
            asked,
            lists: 0,
            stuck,
            truncated: false,
            record,
        };
        self.active.insert(to.0, round);
        edge.send(
            to.1,
            shards,
            &Message::Root {
                sum: digest.root(shards.0, shards.1),
                wake,
            },
        );
    }

    pub(super) fn is_active(&self, peer: NodeId) -> bool {
        self.active.contains_key(&peer)
    }

    pub(super) fn urgency(&self, peer: NodeId) -> Urgency {
        self.active
            .get(&peer)
            .map_or(Urgency::Later, |round| round.urgency)
    }

    /// The peer's root is ours.
    pub(super) fn equal(&mut self, peer: NodeId) -> Option<Finished> {
        let round = self.active.get_mut(&peer)?;
        round.untold.clear();
        self.finish_if_done(peer)
    }

    /// The peer told the sums of some shards: asks about those that differ.
    pub(super) fn shards(
        &mut self,
        edge: &mut Edge,
        digest: &Digest,
        to: (NodeId, ConnId),
        first: Shard,
        sums: &[u64],
    ) -> Option<Finished> {
        let round = self.active.get_mut(&to.0)?;
        round.at = edge.now.instant;
        for (shard, theirs) in (first.0..=u8::MAX).map(Shard).zip(sums) {
            if round.untold.remove(&shard) && digest.root(shard, shard) != *theirs {
                round.differing.push_back(shard);
            }
        }
        round.ask(edge, digest, to.1);
        self.finish_if_done(to.0)
    }

    /// The peer told its lists of some buckets of a shard: gives those that differ. `None` if it
    /// was not asked.
    pub(super) fn leaves(
        &mut self,
        edge: &Edge,
        digest: &Digest,
        peer: NodeId,
        shard: Shard,
        buckets: &BTreeSet<u8>,
        leaves: &[(ListId, u64)],
    ) -> Option<Vec<Difference>> {
        let round = self
            .active
            .get_mut(&peer)
            .filter(|round| round.asked.contains(&shard))?;
        round.at = edge.now.instant;
        let mut sides: BTreeMap<ListId, (Option<u64>, Option<u64>)> = BTreeMap::new();
        for bucket in buckets {
            sides.extend(
                digest
                    .leaves(shard, *bucket)
                    .into_iter()
                    .map(|(list, sum)| (list, (Some(sum), None))),
            );
        }
        for (list, sum) in leaves
            .iter()
            .filter(|(list, _)| list.shard() == shard && buckets.contains(&list.bucket()))
        {
            sides.entry(*list).or_default().1 = Some(*sum);
        }
        let all = sides
            .into_iter()
            .map(|(list, (ours, theirs))| Difference { list, ours, theirs });
        let differing: Vec<Difference> = all
            .filter(|difference| difference.ours != difference.theirs)
            .collect();
        round.lists += u64::try_from(differing.len()).unwrap_or(0);
        let earlier = self.found.get(&peer).map(|found| &found.stuck);
        for first in differing.iter().copied() {
            let still = earlier
                .and_then(|earlier| earlier.get(&first.list))
                .filter(|stuck| stuck.is_still(first))
                .copied();
            if still.is_some() || round.stuck.len() < MAX_STUCK {
                round.stuck.insert(
                    first.list,
                    still.unwrap_or(Stuck {
                        since: edge.now.instant,
                        first,
                    }),
                );
            }
        }
        if let Some(record) = &mut round.record {
            record.differing.extend(
                differing
                    .iter()
                    .filter(|difference| difference.ours.is_some())
                    .map(|difference| difference.list),
            );
        }
        Some(differing)
    }

    /// There was no room to note a difference: another round is needed.
    pub(super) fn truncate(&mut self, peer: NodeId) {
        if let Some(round) = self.active.get_mut(&peer) {
            round.truncated = true;
        }
    }

    /// All differences of a shard were taken: goes on with the next ones, unless there was no room
    /// for these.
    pub(super) fn shard_done(
        &mut self,
        edge: &mut Edge,
        digest: &Digest,
        to: (NodeId, ConnId),
        shard: Shard,
    ) -> Option<Finished> {
        let round = self.active.get_mut(&to.0)?;
        round.asked.remove(&shard);
        if round.truncated && round.record.is_none() {
            round.differing.clear();
        }
        round.ask(edge, digest, to.1);
        self.finish_if_done(to.0)
    }

    /// A list changed on this node's disk.
    pub(super) fn changed(&mut self, list: ListId) {
        self.active
            .values_mut()
            .filter_map(|round| round.record.as_mut())
            .for_each(|record| {
                record.changed.insert(list);
            });
    }

    /// Gives a round up that is under way.
    pub(super) fn cancel(&mut self, peer: NodeId) {
        self.active.remove(&peer);
    }

    /// A peer is gone.
    pub(super) fn gone(&mut self, peer: NodeId) {
        self.active.remove(&peer);
        self.found.remove(&peer);
    }

    pub(super) fn expire(&mut self, now: Instant, flows: &Flows, pulls: &Pulls) {
        self.active.retain(|peer, round| {
            let bytes = ANSWER_BYTES + pulls.awaited_bytes(*peer);
            now.since(round.at) < flows.limit(*peer, STALL, bytes)
        });
    }

    /// When a peer was asked for the root of a round that it has not answered.
    pub(super) fn unanswered(&self, peer: NodeId) -> Option<Instant> {
        let round = self.active.get(&peer)?;
        let is_open = round.differing.is_empty() && round.asked.is_empty();
        (is_open && !round.untold.is_empty()).then_some(round.begun)
    }

    pub(super) fn clear(&mut self) {
        self.active.clear();
        self.found.clear();
    }

    /// Lists that differed from some peer's in the last round with it: the largest number of any
    /// peer.
    pub(super) fn differing(&self) -> u64 {
        self.found
            .values()
            .map(|found| found.lists)
            .max()
            .unwrap_or(0)
    }

    /// How long the list that has differed longest from some peer's has done so.
    pub(super) fn lag(&self) -> Duration {
        self.lagging()
            .map(|lagging| lagging.lag)
            .max()
            .unwrap_or_default()
    }

    /// The lists that differ from a peer's without progress on both sides, a bounded number for
    /// each peer, and for how long: from the first round that saw it to the last one. What happened
    /// since is not known, and rounds with one of many peers are rare.
    pub(super) fn lagging(&self) -> impl Iterator<Item = Lagging> {
        let stuck = self.found.iter().flat_map(|(peer, found)| {
            found
                .stuck
                .iter()
                .map(|(list, stuck)| (*peer, found.at, *list, *stuck))
        });
        stuck.map(|(peer, at, list, stuck)| Lagging {
            list,
            peer,
            lag: at.since(stuck.since),
        })
    }

    /// What the last round with each peer found.
    pub(super) fn comparisons(&self, now: Instant) -> impl Iterator<Item = Comparison> {
        self.found.iter().map(move |(peer, found)| Comparison {
            peer: *peer,
            differing: found.lists,
            ago: now.since(found.at),
        })
    }

    fn finish_if_done(&mut self, peer: NodeId) -> Option<Finished> {
        let round = self.active.get(&peer)?;
        if !round.untold.is_empty() || !round.differing.is_empty() || !round.asked.is_empty() {
            return None;
        }
        let round = self.active.remove(&peer)?;
        if round.lists > 0 {
            tracing::debug!(%peer, lists = round.lists, "lists differ from a peer's");
        }
        self.found.insert(
            peer,
            Found {
                at: round.at,
                lists: round.lists,
                stuck: round.stuck,
            },
        );
        Some(Finished {
            urgency: round.urgency,
            truncated: round.truncated,
            is_equal: round.lists == 0 && !round.truncated,
            record: round.record,
        })
    }
}

impl Round {
    fn ask(&mut self, edge: &mut Edge, digest: &Digest, conn: ConnId) {
        while self.asked.len() < MAX_OPEN_SHARDS
            && let Some(shard) = self.differing.pop_front()
        {
            self.asked.insert(shard);
            edge.send(
                conn,
                (shard, shard),
                &Message::Buckets {
                    shard,
                    sums: digest.buckets(shard),
                },
            );
        }
    }
}

/// Answers a peer's root with ours, or with the sums of those of its shards that this machine owns. Gives
/// whether both are the same.
pub(super) fn answer_root(
    edge: &mut Edge,
    digest: &Digest,
    owned: (Shard, Shard),
    conn: ConnId,
    theirs: (Shard, Shard),
    root: u64,
) -> bool {
    let common = (owned.0.max(theirs.0), owned.1.min(theirs.1));
    if common.0 > common.1 {
        return false;
    }
    let is_equal = common == theirs && digest.root(common.0, common.1) == root;
    if is_equal {
        edge.send(conn, common, &Message::Equal(root));
    } else {
        edge.send(
            conn,
            common,
            &Message::Shards(digest.shards(common.0, common.1)),
        );
    }
    is_equal
}

/// Answers a shard's buckets with all lists of those that differ, in as many messages as it takes.
pub(super) fn answer_buckets(
    edge: &mut Edge,
    digest: &Digest,
    conn: ConnId,
    shard: Shard,
    theirs: &[u64],
) {
    let ours = digest.buckets(shard);
    let differing = (0..=u8::MAX)
        .zip(ours.iter().zip(theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(bucket, _)| bucket);
    let (mut buckets, mut leaves) = (Vec::new(), Vec::new());
    for bucket in differing {
        let mut more = digest.leaves(shard, bucket);
        more.truncate(MAX_LEAVES);
        if leaves.len() + more.len() > MAX_LEAVES {
            let (buckets, leaves) = (std::mem::take(&mut buckets), std::mem::take(&mut leaves));
            edge.send(
                conn,
                (shard, shard),
                &Message::Leaves {
                    shard,
                    buckets,
                    leaves,
                    last: false,
                },
            );
        }
        buckets.push(bucket);
        leaves.append(&mut more);
    }
    edge.send(
        conn,
        (shard, shard),
        &Message::Leaves {
            shard,
            buckets,
            leaves,
            last: true,
        },
    );
}
