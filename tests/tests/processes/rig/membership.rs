//! Whether the nodes said of each other what was so: who was well is never called down, and each time
//! that somebody was away is in one report of a heal.

use super::journal::{CALM, Journal, Millis, pair};
use super::watchers::Said;
use crate::fleet::{Node, eventually, items};
use anyhow::ensure;
use serde_json::Value;

/// How far the clock of a report may be from that of an event: both are of one daemon.
const CLOSE: Millis = 1_000;
/// How many reports a node keeps.
const KEPT: usize = 100;

/// What the nodes said, seen together with what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    /// Suspicions of those with whom nobody had trouble.
    pub(crate) suspicions: Vec<Said>,
    /// How long after a kill each other node said that it was down.
    pub(crate) detections: Vec<Millis>,
    /// How long after the mending of all between two hosts one said that the other was back.
    pub(crate) heals: Vec<Millis>,
    /// How many times somebody was away from somebody.
    pub(crate) away: usize,
}

/// Judges everything that was said.
pub(crate) fn judge(said: &[Said], journal: &Journal) -> Findings {
    let mut found = Findings::default();
    for (nth, it) in said.iter().enumerate() {
        let between = pair(it.by, it.of);
        let was_good = journal.was_good(between, &(it.at - CALM..it.at));
        match it.what.as_str() {
            // By others it is heard, too, who had trouble with it.
            "suspect" if journal.was_well(it.of, &(it.at - CALM..it.at)) => {
                found.suspicions.push(it.clone())
            }
            "down" => {
                if was_good {
                    found
                        .problems
                        .push(format!("{it:?}, and all was well between them"));
                }
                found.away += 1;
                found.heals.extend(healed(it, &said[nth + 1..], journal));
            }
            _ => {}
        }
    }
    found.detections = detections(said, journal);
    found
}

/// How long it took to see that who was said to be down is back.
fn healed(down: &Said, later: &[Said], journal: &Journal) -> Option<Millis> {
    let mut same = later
        .iter()
        .filter(|it| it.by == down.by && it.of == down.of);
    let back = same.find(|it| it.what == "alive")?;
    let mended = journal.mended(pair(down.by, down.of), back.at)?;
    // Others may have brought the word while the way between the two was broken.
    (down.at <= mended && mended <= back.at).then(|| back.at - mended)
}

fn detections(said: &[Said], journal: &Journal) -> Vec<Millis> {
    let of_kill = |kill: &super::journal::Kill| {
        let (host, when) = (kill.host, kill.when.clone());
        let mut first: Vec<&Said> = said
            .iter()
            .filter(|it| it.of == host && it.what == "down" && when.contains(&it.at))
            .filter(|it| !journal.was_dead(it.by, &(when.start - CALM..it.at)))
            .filter(|it| journal.was_connected(pair(it.by, host), &(when.start - CALM..it.at)))
            .collect();
        first.sort_by_key(|it| (it.by, it.at));
        first.dedup_by_key(|it| it.by);
        let spans = first.iter().map(|it| it.at - when.start);
        spans.collect::<Vec<Millis>>()
    };
    journal.kills().iter().flat_map(of_kill).collect()
}

/// Waits until all reports of heals are complete; says which are missing or too many, and gives how many
/// there are.
pub(crate) async fn check_reports(
    nodes: &[Node],
    said: &[Said],
    journal: &Journal,
) -> anyhow::Result<(usize, Vec<String>)> {
    let (mut count, mut found) = (0, Vec::new());
    for (by, node) in nodes.iter().enumerate() {
        let what = format!("{} has told of its heals", node.name);
        let reports = eventually(&what, async || {
            let answer = node.get(&format!("/v1/heals?limit={KEPT}")).await?;
            ensure!(answer.status == 200, "{answer:?}");
            let page = answer.json();
            for report in items(&page) {
                let mut members = report["members"].as_array().into_iter().flatten();
                ensure!(members.all(|it| it["back_at"].is_string()), "{report}");
                let is_over = report["agreed_at"].is_string() || report["state"] == "closed";
                ensure!(is_over, "{report}");
            }
            Ok(items(&page).to_vec())
        });
        let reports = reports.await?;
        count += reports.len();
        let right = |told: &Value| Some(journal.right(by, time(told)?));
        let forgotten = forgotten(&reports, right);
        let own = said.iter().filter(|it| it.by == by && it.at > forgotten);
        for down in own.filter(|it| it.what == "down") {
            let name = nodes.get(down.of).map_or("", |node| &node.name);
            let telling = reports
                .iter()
                .filter(|report| tells(report, (name, down.at), right));
            let telling = telling.count();
            let may_miss = journal.was_dead(by, &(down.at..Millis::MAX));
            if telling > 1 || telling == 0 && !may_miss {
                found.push(format!(
                    "{telling} reports of {} tell of {down:?}: {reports:?}",
                    node.name
                ));
            }
        }
    }
    Ok((count, found))
}

/// Before when reports may have made room for newer ones.
fn forgotten(reports: &[Value], time: impl Fn(&Value) -> Option<Millis>) -> Millis {
    let began = reports.iter().filter_map(|it| time(&it["began_at"]));
    let oldest = began.min().filter(|_| reports.len() >= KEPT);
    oldest.unwrap_or(Millis::MIN)
}

/// A time as the host has told it.
fn time(value: &Value) -> Option<Millis> {
    let time: Option<jiff::Timestamp> = value.as_str()?.parse().ok();
    time.map(jiff::Timestamp::as_millisecond)
}

/// Whether a report tells that this member was away then.
fn tells(
    report: &Value,
    (name, at): (&str, Millis),
    time: impl Fn(&Value) -> Option<Millis>,
) -> bool {
    let mut members = report["members"].as_array().into_iter().flatten();
    members.any(|member| {
        let began = time(&member["away_at"]).is_some_and(|it| it <= at + CLOSE);
        let back = time(&member["back_at"]).is_none_or(|it| at - CLOSE <= it);
        member["name"] == name && began && back
    })
}
