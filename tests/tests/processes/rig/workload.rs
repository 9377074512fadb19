//! The workload that checks itself: clients at work in bad weather, and when all is mended nothing is lost.

use super::journal::{self, Journal, Millis};
use super::ledger::{Fate, Ledger, Write};
use super::membership::{self, Findings};
use super::registrants::{Done, Registrants};
use super::replicas;
use super::scene::Rig;
use super::watchers::{Said, Watchers};
use super::weather::Weather;
use super::writers::Writers;
use crate::fleet::{Node, eventually, items};
use anyhow::ensure;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the rig looks whether the machine gives it time.
const PULSE: Duration = Duration::from_millis(100);
/// So long without time explains that a daemon did not answer.
const STALL: Duration = Duration::from_millis(500);
/// What a workload that is right is never answered.
const WRONG: [u16; 5] = [400, 405, 413, 415, 500];

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) hosts: usize,
    pub(crate) span: Duration,
    pub(crate) seed: u64,
}

/// Runs it; fails with all that is wrong.
pub(crate) async fn run(order: Order) -> anyhow::Result<()> {
    println!("{order:?}");
    let mut rig = Rig::new(order.hosts, order.seed)?;
    rig.start()?;
    rig.fleet.whole().await?;
    let journal = Arc::new(Mutex::new(Journal::default()));
    let pulse = tokio::spawn(watch_machine(Arc::clone(&journal)));
    let watchers = Watchers::start(&rig.fleet.nodes);
    let ledger = Ledger::default();
    let writers = Writers::start(&rig.fleet.nodes, order.seed, &ledger);
    let registrants = Registrants::start(&rig.fleet.nodes, order.seed, &ledger);
    let begun = journal::now();
    Weather::new(order.seed, Arc::clone(&journal))
        .rage(&mut rig, order.span)
        .await?;
    let mended = Instant::now();
    writers.finish().await?;
    let done = registrants.finish().await?;
    rig.fleet.whole().await?;
    rig.fleet.agree().await?;
    println!(
        "all agree {:.1} s after that",
        mended.elapsed().as_secs_f64()
    );
    directories(&rig.fleet.nodes, &done.handles()).await?;
    let writes = ledger.writes();
    pulse.abort();
    let journal = std::mem::take(&mut *journal.lock());
    let said = watchers.said(|by, at| journal.right(by, at));
    let mut findings = membership::judge(&said, &journal);
    let mut problems = std::mem::take(&mut findings.problems);
    problems.extend(refusals(&ledger));
    let shown = replicas::shown(&rig.fleet.nodes).await?;
    let (reports, wrong) = membership::check_reports(&rig.fleet.nodes, &said, &journal).await?;
    problems.extend(wrong);
    rig.fleet.nodes.iter_mut().try_for_each(Node::stop)?;
    let replicas = replicas::check(&rig.fleet.nodes, &writes, &shown)?;
    problems.extend(replicas.problems);
    let summary = Summary {
        order,
        writes,
        done,
        journal,
        findings,
        reports,
        lost: replicas.lost,
        begun,
    };
    // Past the harness, which shows what a test prints only if it fails.
    writeln!(std::io::stdout(), "{summary}")?;
    ensure!(
        summary.done.registered > 0,
        "nobody could register a process"
    );
    ensure!(problems.is_empty(), "{order:?}:\n{}", problems.join("\n"));
    Ok(())
}

/// Notes when this machine gave the rig no time, and so none to the daemons.
async fn watch_machine(journal: Arc<Mutex<Journal>>) {
    loop {
        let begun = journal::now();
        tokio::time::sleep(PULSE).await;
        let took = journal::now() - begun;
        if took > journal::millis(PULSE + STALL) {
            journal.lock().stalled(begun..begun + took);
        }
    }
}

/// Waits until all nodes have the same directory of processes, and it has these and no others.
async fn directories(nodes: &[Node], expected: &BTreeSet<String>) -> anyhow::Result<()> {
    eventually("all directories are equal, and right", async || {
        let mut first: Option<Vec<Value>> = None;
        for node in nodes {
            let page = node.get("/v1/processes?limit=1000").await?.json();
            let mut processes = items(&page).to_vec();
            for process in &mut processes {
                // It says whether it runs on the node that was asked.
                process["local"] = Value::Null;
            }
            let handles = processes.iter().flat_map(|process| {
                let others = process["others"].as_array().into_iter().flatten();
                std::iter::once(&process["handle"]).chain(others)
            });
            let handles: BTreeSet<String> = handles
                .filter_map(|handle| handle.as_str().map(str::to_owned))
                .collect();
            ensure!(
                handles == *expected,
                "{}: {handles:?}, not {expected:?}",
                node.name
            );
            let first = first.get_or_insert_with(|| processes.clone());
            ensure!(
                *first == processes,
                "{}: {processes:?}, not {first:?}",
                node.name
            );
        }
        Ok(())
    })
    .await
}

fn refusals(ledger: &Ledger) -> Vec<String> {
    let all = ledger.refusals().into_iter();
    let wrong = all.filter(|((_, status), _)| WRONG.contains(status));
    let text = |((kind, status), count)| format!("{count} times {kind} was answered {status}");
    wrong.map(text).collect()
}

/// What a run did, and what became of it.
struct Summary {
    order: Order,
    writes: Vec<Write>,
    done: Done,
    journal: Journal,
    findings: Findings,
    reports: usize,
    lost: usize,
    /// When the weather began.
    begun: Millis,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Order { hosts, span, seed } = self.order;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for write in &self.writes {
            *kinds.entry(write.deed.kind()).or_default() += 1;
        }
        let with = |is: fn(&Write) -> bool| self.writes.iter().filter(|it| is(it)).count();
        let (done, findings) = (&self.done, &self.findings);
        writeln!(
            f,
            "rig: {hosts} hosts, {} s of weather, seed {seed}",
            span.as_secs()
        )?;
        writeln!(
            f,
            "  {} writes ({}): {} acknowledged, {} of them lost, {} refused, {} in doubt",
            self.writes.len(),
            counted(&kinds),
            with(|write| matches!(write.fate, Fate::Acknowledged(_))),
            self.lost,
            with(|write| write.fate == Fate::Refused),
            with(|write| write.fate == Fate::Doubtful),
        )?;
        writeln!(
            f,
            "  {} processes registered, {} ended",
            done.registered, done.ended
        )?;
        writeln!(f, "  troubles: {}", counted(self.journal.counts()))?;
        writeln!(f, "  a kill is seen after {}", spread(&findings.detections))?;
        let heals = spread(&findings.heals);
        writeln!(f, "  who was away is back {heals} after the mending")?;
        let (away, reports) = (findings.away, self.reports);
        writeln!(
            f,
            "  somebody was away {away} times, told in {reports} reports of heals"
        )?;
        let suspicions = &findings.suspicions;
        write!(
            f,
            "  {} suspicions of members that were well",
            suspicions.len()
        )?;
        for Said { at, by, of, .. } in suspicions {
            let at = (at - self.begun) as f64 / 1_000.0;
            write!(f, "\n    {at:7.1} s  of n{} by n{}", of + 1, by + 1)?;
        }
        Ok(())
    }
}

fn counted(counts: &BTreeMap<&str, usize>) -> String {
    let counts = counts.iter().map(|(kind, count)| format!("{kind} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// The middle and the end of some spans.
fn spread(spans: &[Millis]) -> String {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let at = |percent: usize| {
        let last = spans.len().saturating_sub(1);
        let index = (spans.len() * percent / 100).min(last);
        spans.get(index).map_or(0.0, |it| *it as f64 / 1_000.0)
    };
    format!(
        "{:.2} s p50, {:.2} s p99 ({} times)",
        at(50),
        at(99),
        spans.len()
    )
}
