//! One report while it is written, with what is known besides for as long as the daemon runs.

use super::facts::Fact;
use api::heals::{HealConflict, HealMember, HealName, HealReport, HealState, HealTransfer};
use api::time::Millis;
use names::{NodeId, Shard};
use node::time::{Instant, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What happens within so long of the last loss or contact belongs to one report.
pub(super) const TOGETHER: Duration = Duration::from_secs(60);
/// A report is not closed before: names and late pushes come after the lists.
pub(super) const SETTLING: Duration = Duration::from_secs(10);
/// So long after the last contact it is closed, whatever differs still.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

const MAX_LISTS: usize = 100;
const MAX_CONFLICTS: usize = 50;
const MAX_NAMES: usize = 100;
/// How many that lost a name are told.
const MAX_LOST: usize = 8;
/// How many more are counted.
const MAX_BEYOND: usize = 10_000;
/// How many shards there are.
const SHARDS: usize = 256;

/// A report.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) told: HealReport,
    /// Who is away, since when; `None` if that was in an earlier run of the daemon.
    away: BTreeMap<NodeId, Option<Instant>>,
    /// Who is back, and the runs of shards that are known to be equal since.
    back: BTreeMap<NodeId, BTreeSet<(Shard, Shard)>>,
    /// The runs of those that were lost.
    runs: BTreeMap<NodeId, u64>,
    last_loss: Option<Instant>,
    last_contact: Option<Instant>,
    /// What it has no room for.
    beyond: BTreeSet<String>,
    /// Whether the disk has it as it is, or will have.
    pub(super) is_kept: bool,
}

impl Report {
    /// A report that nobody is in.
    pub(super) fn new(id: String, node: String, began_at: Millis) -> Self {
        Self::of(HealReport {
            id,
            node,
            state: HealState::Open,
            began_at,
            healed_at: None,
            agreed_at: None,
            members: Vec::new(),
            lists: Vec::new(),
            conflicts: Vec::new(),
            names: Vec::new(),
            omitted: 0,
            received: HealTransfer::default(),
            sent: HealTransfer::default(),
        })
    }

    fn of(told: HealReport) -> Self {
        Self {
            told,
            away: BTreeMap::new(),
            back: BTreeMap::new(),
            runs: BTreeMap::new(),
            last_loss: None,
            last_contact: None,
            beyond: BTreeSet::new(),
            is_kept: false,
        }
    }

    /// Goes on with a report of an earlier run of the daemon.
    pub(super) fn resume(told: HealReport, now: Instant) -> Self {
        let mut report = Self::of(told);
        report.is_kept = !report.is_open();
        if report.is_open() {
            for member in &report.told.members {
                let Ok(id) = member.id.parse() else {
                    continue;
                };
                if member.back_at.is_some() {
                    report.back.insert(id, BTreeSet::new());
                    report.last_contact = Some(now);
                } else {
                    report.away.insert(id, None);
                }
            }
        }
        report
    }

    pub(super) fn is_open(&self) -> bool {
        self.told.state == HealState::Open
    }

    pub(super) fn is_away(&self, id: NodeId) -> bool {
        self.is_open() && self.away.contains_key(&id)
    }

    /// Nobody is in it that was or is away.
    pub(super) fn is_empty(&self) -> bool {
        self.told.members.is_empty()
    }

    /// Whether a member that is lost now belongs into it.
    pub(super) fn is_recent(&self, now: Instant) -> bool {
        let last = self.last_loss.max(self.last_contact);
        last.is_some_and(|last| now.since(last) < TOGETHER)
    }

    /// A member went away.
    pub(super) fn lost(
        &mut self,
        now: Instant,
        at: Millis,
        (id, name): (NodeId, String),
        run: Option<u64>,
    ) {
        self.told.state = HealState::Open;
        self.told.agreed_at = None;
        self.last_loss = Some(now);
        self.back.remove(&id);
        if self.away.insert(id, Some(now)).is_some() {
            return;
        }
        if let Some(run) = run {
            self.runs.entry(id).or_insert(run);
        }
        match self.member(id) {
            Some(member) => {
                member.times = member.times.saturating_add(1);
                member.back_at = None;
            }
            None => self.add(HealMember {
                id: id.to_string(),
                name,
                away_at: at,
                back_at: None,
                away_ms: 0,
                times: 1,
                restarted: false,
            }),
        }
    }

    /// A member that was away is back.
    pub(super) fn back(&mut self, now: Instant, at: Millis, id: NodeId) {
        let Some(since) = self.away.remove(&id) else {
            return;
        };
        self.last_contact = Some(now);
        self.back.insert(id, BTreeSet::new());
        self.told.healed_at = Some(at);
        self.told.agreed_at = None;
        if let Some(member) = self.member(id) {
            let by_clock = at.0.saturating_sub(member.away_at.0).max(0);
            let away = since.map_or(u64::try_from(by_clock).unwrap_or(0), |since| {
                u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
            });
            member.away_ms = member.away_ms.saturating_add(away);
            member.back_at = Some(at);
        }
    }

    /// A member will not come back, and nothing is told of who never did.
    pub(super) fn gone(&mut self, id: NodeId) {
        if self.away.remove(&id).is_some() {
            let (text, members) = (id.to_string(), &mut self.told.members);
            members.retain(|member| member.id != text || member.away_ms > 0);
        }
        self.back.remove(&id);
    }

    /// Which run a member is in that answers.
    pub(super) fn run(&mut self, id: NodeId, run: u64) {
        let is_newer = self.runs.get(&id).is_some_and(|lost| run > *lost);
        if is_newer
            && self.is_open()
            && let Some(member) = self.member(id)
            && !member.restarted
        {
            member.restarted = true;
            self.is_kept = false;
        }
    }

    fn add(&mut self, member: HealMember) {
        self.told.members.push(member);
        self.told.members.sort_by(|a, b| a.name.cmp(&b.name));
    }

    fn member(&mut self, id: NodeId) -> Option<&mut HealMember> {
        let id = id.to_string();
        self.told.members.iter_mut().find(|member| member.id == id)
    }

    /// Tells a fact, if that belongs here.
    pub(super) fn take(&mut self, now: Now, fact: &Fact) -> bool {
        let is_about = match fact {
            Fact::Received { .. } | Fact::Claimed { .. } => !self.back.is_empty(),
            Fact::Diverged { peer, .. } | Fact::Sent { peer, .. } | Fact::Equal { peer, .. } => {
                self.back.contains_key(peer)
            }
        };
        if !is_about || !self.is_open() {
            return false;
        }
        match fact {
            Fact::Received {
                list,
                is_merged,
                transfer,
                conflicts,
            } => {
                add(&mut self.told.received, *transfer);
                if *is_merged {
                    self.written_apart(list);
                }
                if self.told.lists.contains(list) {
                    conflicts
                        .iter()
                        .for_each(|conflict| self.conflict(conflict));
                }
            }
            Fact::Diverged { list, .. } => self.written_apart(list),
            Fact::Sent { transfer, .. } => add(&mut self.told.sent, *transfer),
            Fact::Equal { peer, shards } => return self.equal(now, *peer, *shards),
            Fact::Claimed { name, kept, lost } => self.claimed(name, kept, lost),
        }
        self.is_kept = false;
        true
    }

    fn written_apart(&mut self, list: &String) {
        if self.told.lists.contains(list) {
        } else if self.told.lists.len() < MAX_LISTS {
            self.told.lists.push(list.clone());
            self.told.lists.sort();
        } else {
            self.omit(list.clone());
        }
    }

    fn omit(&mut self, what: String) {
        if self.beyond.len() < MAX_BEYOND && self.beyond.insert(what) {
            self.told.omitted += 1;
        }
    }

    fn conflict(&mut self, new: &HealConflict) {
        let is_same = |known: &&mut HealConflict| {
            (&known.list, &known.entry, &known.field) == (&new.list, &new.entry, &new.field)
        };
        let conflicts = &mut self.told.conflicts;
        if let Some(known) = conflicts.iter_mut().find(is_same) {
            known.clone_from(new);
        } else if conflicts.len() < MAX_CONFLICTS {
            conflicts.push(new.clone());
        } else {
            self.omit(format!("{}/{}/{}", new.list, new.entry, new.field));
        }
    }

    fn claimed(&mut self, name: &str, kept: &str, lost: &str) {
        let names = &mut self.told.names;
        if let Some(known) = names.iter_mut().find(|known| known.name == name) {
            let mut others: BTreeSet<String> = known.lost.drain(..).collect();
            others.extend([known.kept.clone(), lost.to_owned()]);
            others.remove(kept);
            kept.clone_into(&mut known.kept);
            known.lost.extend(others.into_iter().take(MAX_LOST));
        } else if names.len() < MAX_NAMES {
            names.push(HealName {
                name: name.to_owned(),
                kept: kept.to_owned(),
                lost: vec![lost.to_owned()],
            });
        } else {
            self.omit(format!("/{name}"));
        }
    }

    /// Some lists are those of a peer. That is known anew each second, and rarely says something new.
    fn equal(&mut self, now: Now, peer: NodeId, shards: (Shard, Shard)) -> bool {
        if let Some(equal) = self.back.get_mut(&peer) {
            equal.insert(shards);
        }
        if self.told.agreed_at.is_none() && self.is_equal() {
            self.told.agreed_at = Some(Millis(now.wall.0));
            self.is_kept = false;
        }
        true
    }

    /// Whether all that are back have the same lists.
    fn is_equal(&self) -> bool {
        let shards = |(first, last): &(Shard, Shard)| usize::from(last.0.abs_diff(first.0)) + 1;
        let is_all =
            |equal: &BTreeSet<(Shard, Shard)>| equal.iter().map(shards).sum::<usize>() >= SHARDS;
        !self.back.is_empty() && self.back.values().all(is_all)
    }

    /// Whether it is to be closed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let Some(last) = self.last_contact.filter(|_| self.is_open()) else {
            return false;
        };
        let (quiet, is_missing) = (now.since(last), !self.away.is_empty());
        let enough = if is_missing { TOGETHER } else { SETTLING };
        let is_agreed = self.is_equal() && quiet >= enough;
        !self.back.is_empty() && (is_agreed || quiet >= PATIENCE)
            || self.away.is_empty() && self.back.is_empty()
    }

    /// Closes it. Gives those that are away still.
    pub(super) fn close(&mut self) -> Vec<(NodeId, HealMember, Option<Instant>)> {
        self.told.state = HealState::Closed;
        self.back.clear();
        let away = std::mem::take(&mut self.away).into_iter();
        let mut still = Vec::new();
        for (id, since) in away {
            if let Some(member) = self.member(id) {
                still.push((id, member.clone(), since));
            }
        }
        still
    }

    /// Goes on with a member that was away when an earlier report was closed.
    pub(super) fn go_on(&mut self, (id, member, since): (NodeId, HealMember, Option<Instant>)) {
        self.away.insert(id, since);
        self.add(HealMember {
            back_at: None,
            away_ms: 0,
            times: 1,
            restarted: false,
            ..member
        });
    }
}

fn add(sum: &mut HealTransfer, more: HealTransfer) {
    sum.changes = sum.changes.saturating_add(more.changes);
    sum.bytes = sum.bytes.saturating_add(more.bytes);
}
