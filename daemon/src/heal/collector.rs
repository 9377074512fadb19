//! Puts what happens into the reports that it belongs to.

use super::KEPT;
use super::facts::Fact;
use super::report::Report;
use api::heals::HealReport;
use api::time::Millis;
use names::{NodeId, NodeName};
use node::time::{Instant, Now};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// A peer's messages may come before it counts as alive again: what came so long before belongs to the
/// heal.
const EARLY: Duration = Duration::from_secs(5);
/// How many facts are remembered for that.
const MAX_EARLY: usize = 1_000;
/// How often a report is written to the disk while little of note happens.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);

/// All reports of a node, and what a report may be about that is not yet begun.
#[derive(Debug)]
pub(super) struct Collector {
    node: String,
    /// The oldest first.
    reports: VecDeque<Report>,
    early: VecDeque<(Instant, Fact)>,
    /// The runs of members, as they were last reachable.
    runs: BTreeMap<NodeId, u64>,
    written: Instant,
    keeper: Option<SyncSender<HealReport>>,
}

impl Collector {
    pub(super) fn new(node: String, past: Vec<HealReport>, now: Instant) -> Self {
        let past = past.into_iter().map(|told| Report::resume(told, now));
        Self {
            node,
            reports: past.collect(),
            early: VecDeque::new(),
            runs: BTreeMap::new(),
            written: now,
            keeper: None,
        }
    }

    /// From now on tells `keeper` what is to be on the disk, what is open first; with none, it has been
    /// told all.
    pub(super) fn keep_by(&mut self, keeper: Option<SyncSender<HealReport>>) {
        self.keep_all();
        self.keeper = keeper;
        self.keep_all();
    }

    /// A member went away.
    pub(super) fn lost(&mut self, now: Instant, at: Millis, id: NodeId, name: &NodeName) {
        self.settle(now);
        let run = self.runs.get(&id).copied();
        let is_away = |report: &Report| report.is_away(id);
        if !self.reports.iter().any(is_away) {
            if !self.reports.back().is_some_and(|last| last.is_recent(now)) {
                self.begin(at);
            }
            if let Some(report) = self.reports.back_mut() {
                report.lost(now, at, (id, name.to_string()), run);
                report.is_kept = false;
            }
        }
        self.keep_all();
    }

    /// A member answers again, or did so all the time.
    pub(super) fn back(&mut self, now: Now, at: Millis, id: NodeId) {
        self.settle(now.instant);
        let Some(report) = self.reports.iter_mut().find(|report| report.is_away(id)) else {
            return;
        };
        report.back(now.instant, at, id);
        report.is_kept = false;
        self.early
            .retain(|(came, fact)| now.instant.since(*came) < EARLY && !report.take(now, fact));
        self.keep_all();
    }

    /// A member will not come back.
    pub(super) fn gone(&mut self, now: Instant, id: NodeId) {
        for report in self.reports.iter_mut().filter(|report| report.is_open()) {
            report.gone(id);
        }
        let is_void = |report: &Report| report.is_open() && report.is_empty();
        for report in self.reports.iter_mut().filter(|report| is_void(report)) {
            report.close();
            report.is_kept = false;
        }
        self.keep_all();
        self.reports.retain(|report| !report.is_empty());
        self.settle(now);
    }

    /// All members, and in which runs those are that answer.
    pub(super) fn runs(&mut self, runs: impl Iterator<Item = (NodeId, Option<u64>)>) {
        let before = std::mem::take(&mut self.runs);
        for (id, run) in runs {
            if let Some(run) = run {
                for report in &mut self.reports {
                    report.run(id, run);
                }
            }
            let last = run.or_else(|| before.get(&id).copied());
            self.runs.extend(last.map(|run| (id, run)));
        }
    }

    /// Takes a fact in.
    pub(super) fn take(&mut self, now: Now, fact: Fact) {
        self.settle(now.instant);
        if now.instant.since(self.written) >= WRITTEN_EVERY {
            self.written = now.instant;
            self.keep_all();
        }
        let open = self.reports.iter_mut().filter(|report| report.is_open());
        let (mut is_any, mut is_taken) = (false, false);
        for report in open {
            is_any = true;
            is_taken |= report.take(now, &fact);
        }
        if is_any && !is_taken {
            if self.early.len() >= MAX_EARLY {
                self.early.pop_front();
            }
            self.early.push_back((now.instant, fact));
        }
    }

    /// The id of the last report, if it is open.
    pub(super) fn current(&self) -> Option<String> {
        let last = self.reports.back().filter(|report| report.is_open())?;
        Some(last.told.id.clone())
    }

    /// All reports, the newest first.
    pub(super) fn reports(&mut self, now: Instant) -> Vec<HealReport> {
        self.settle(now);
        self.reports
            .iter()
            .rev()
            .map(|report| report.told.clone())
            .collect()
    }

    /// Closes what is over. Who is away still is in a report of its own from then on.
    fn settle(&mut self, now: Instant) {
        while let Some(report) = self.reports.iter_mut().find(|report| report.is_over(now)) {
            let still = report.close();
            report.is_kept = false;
            tell(&report.told);
            if let Some((_, first, _)) = still.iter().min_by_key(|(_, member, _)| member.away_at) {
                self.begin(first.away_at);
                if let Some(report) = self.reports.back_mut() {
                    still.into_iter().for_each(|member| report.go_on(member));
                }
            }
            self.keep_all();
        }
    }

    fn begin(&mut self, at: Millis) {
        let number = |report: &Report| i64::from_str_radix(&report.told.id, 16).unwrap_or(0);
        let last = self.reports.iter().map(number).max().unwrap_or(0);
        let id = format!("{:x}", at.0.max(last.saturating_add(1)));
        self.reports
            .push_back(Report::new(id, self.node.clone(), at));
        if self.reports.len() > KEPT {
            let closed = self.reports.iter().position(|report| !report.is_open());
            self.reports.remove(closed.unwrap_or(0));
        }
    }

    /// Has all that changed written to the disk.
    fn keep_all(&mut self) {
        let Some(keeper) = &self.keeper else {
            return;
        };
        for report in self.reports.iter_mut().filter(|report| !report.is_kept) {
            // A disk that is stuck is told again later.
            report.is_kept = keeper.try_send(report.told.clone()).is_ok();
        }
    }
}

fn tell(report: &HealReport) {
    let members: Vec<&str> = report.members.iter().map(|one| &*one.name).collect();
    tracing::info!(
        report = report.id,
        ?members,
        agreed = report.agreed_at.is_some(),
        lists = report.lists.len(),
        conflicts = report.conflicts.len(),
        names = report.names.len(),
        "a heal is over"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_of_members_that_are_gone_are_dropped_and_those_of_absent_ones_kept() {
        let start = Instant::from_nanos(0);
        let mut collector = Collector::new("n1".to_owned(), Vec::new(), start);
        let [a, b, c] = [1, 2, 3].map(|number| NodeId([number; 16]));
        collector.runs([(a, Some(1)), (b, Some(2)), (c, Some(3))].into_iter());
        collector.runs([(a, Some(4)), (b, None)].into_iter());
        assert_eq!(collector.runs, BTreeMap::from([(a, 4), (b, 2)]));
    }
}
