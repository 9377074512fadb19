//! `muster status`: a node on one screen.

use crate::cluster::partition::and_away;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::{local_day, printable};
use api::cluster::{PartitionVerdict, PartitionView};
use api::node::{
    Attention, AttentionSeverity, CertificateKind, CertificateStatus, MemberCounts, NodeInfo,
    NodeStatus, StatusOfLists, StatusOfProcesses, StatusOfStore,
};
use api::time::Millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How wide the advice is, so that it fits a terminal of 80 columns.
const WIDTH: usize = 78;

/// `muster status`.
pub(crate) async fn status(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.ask(session.client().status()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let status = answer.value;
    let mut table = Table::new(&["", ""]);
    let time = |at: &str| session.time(at);
    for (name, value) in rows(&status, &session.zone, &time, Timestamp::now()) {
        table.row([Cell::painted(name, Paint::Dim), value]);
    }
    session.output.table(&table)?;
    if status.attention.is_empty() && session.output.is_for_people() {
        return session.output.line(&format!(
            "\n{}",
            session.output.paint("all is well", Paint::Green)
        ));
    }
    let mut attention = status.attention.iter();
    attention.try_for_each(|finding| tell(session, finding))
}

/// What is the matter, and below it what to do.
fn tell(session: &Session<'_>, finding: &Attention) -> Result<(), Failure> {
    let Attention {
        severity,
        what,
        remedy,
    } = finding;
    let fields = ["attention", severity.as_str(), what, remedy];
    session.output.record(&fields, || {
        let paint = match severity {
            AttentionSeverity::Critical => Paint::Red,
            AttentionSeverity::Warning | AttentionSeverity::Other(_) => Paint::Yellow,
        };
        let advice: Vec<String> = wrapped(&printable(remedy), WIDTH - 4)
            .into_iter()
            .map(|line| format!("    {line}"))
            .collect();
        let words = format!("{}: {}", printable(severity.as_str()), printable(what));
        let words = session.output.paint(&words, paint);
        format!("\n{words}\n{}", advice.join("\n"))
    })
}

/// The words in lines of at most that many characters; a longer word has a line of its own.
pub(crate) fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn rows(
    status: &NodeStatus,
    zone: &TimeZone,
    time: &impl Fn(&str) -> String,
    now: Timestamp,
) -> Vec<(&'static str, Cell)> {
    let (node, partition) = (&status.node, &status.partition);
    let since = time(&partition.since.to_string());
    let cluster = if !status.joined {
        Cell::painted("not joined yet, no seed has answered", Paint::Red)
    } else {
        let is_whole = partition.verdict == PartitionVerdict::Whole;
        let paint = if is_whole { Paint::Green } else { Paint::Red };
        Cell::painted(&format!("{}, since {since}", reach(partition)), paint)
    };
    let (started, age) = (
        time(&node.started_at.to_string()),
        (now.as_millisecond() - node.started_at.0) / 1000,
    );
    let (of_http, of_node): (Vec<_>, Vec<_>) = status
        .certificates
        .iter()
        .partition(|certificate| certificate.which == CertificateKind::Http);
    let mut rows = vec![
        ("node", Cell::painted(&node.name, Paint::Bold)),
        ("id", node.id.as_str().into()),
        ("cluster id", node.cluster.as_str().into()),
        ("address", node.address.as_str().into()),
        ("http", http(node).into()),
        (
            "version",
            format!("{} (protocol {})", node.version, node.protocol).into(),
        ),
        (
            "started",
            format!("{started}, {} ago", in_words(age.max(0))).into(),
        ),
        ("cluster", cluster),
        ("members", members(&status.members).into()),
        ("lists", lists(&status.lists).into()),
        ("processes", processes(&status.processes).into()),
        ("disk", disk(&status.store)),
        ("disk sync", sync(&status.store).into()),
        ("certificates", certificates(&of_node, zone, now).into()),
    ];
    if !of_http.is_empty() {
        rows.push(("http TLS", certificates(&of_http, zone, now).into()));
    }
    rows
}

/// Where the TCP listener is; older daemons do not tell its scheme.
fn http(node: &NodeInfo) -> &str {
    let known = node.http_url.as_deref().or(node.http.as_deref());
    known.unwrap_or("none")
}

/// How much of the cluster is in reach: `complete, 3 of 3`, `minority, 1 of 3`.
fn reach(partition: &PartitionView) -> String {
    let verdict = if partition.verdict == PartitionVerdict::Whole {
        "complete"
    } else {
        partition.verdict.as_str()
    };
    format!(
        "{}, {} of {}{}",
        printable(verdict),
        partition.reachable,
        partition.expected,
        and_away(partition)
    )
}

fn members(members: &MemberCounts) -> String {
    let counts = [
        (members.alive, "alive"),
        (members.suspect, "suspect"),
        (members.down, "down"),
        (members.restarting, "restarting"),
        (members.away, "away"),
        (members.left, "left"),
        (members.observers, "observing"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, state)| format!("{count} {state}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn lists(lists: &StatusOfLists) -> String {
    let (known, differing) = (lists.known, lists.differing);
    let mut words = match differing {
        0 if known == 0 => "none".to_owned(),
        0 => format!("{known}, in step with all connected members"),
        _ => format!("{known}, {differing} of them not in step with a member yet"),
    };
    if lists.lag_ms >= 1000.0 {
        words.push_str(&format!(" (for {:.0} s)", lists.lag_ms / 1000.0));
    }
    match lists.quarantined {
        0 => words,
        quarantined => format!("{words}, {quarantined} in quarantine"),
    }
}

fn processes(processes: &StatusOfProcesses) -> String {
    let StatusOfProcesses { local, names, .. } = processes;
    format!("{local} here, {names} names on all nodes")
}

fn disk(store: &StatusOfStore) -> Cell {
    let used = format!("{} used", bytes(store.disk_bytes));
    let space = match (store.free_bytes, store.size_bytes.unwrap_or(0)) {
        (Some(free), size @ 1..) => format!(
            ", {} of {} free ({} %)",
            bytes(free),
            bytes(size),
            free.saturating_mul(100) / size
        ),
        (Some(free), 0) => format!(", {} free", bytes(free)),
        (None, _) => String::new(),
    };
    if store.writable {
        format!("{used}{space}").into()
    } else {
        Cell::painted(&format!("takes no writes, {used}{space}"), Paint::Red)
    }
}

fn sync(store: &StatusOfStore) -> String {
    match (store.sync_p50_ms, store.sync_p99_ms) {
        (Some(half), Some(most)) => format!("p50 {half:.1} ms, p99 {most:.1} ms"),
        (Some(_) | None, _) => "none yet".to_owned(),
    }
}

fn certificates(all: &[&CertificateStatus], zone: &TimeZone, now: Timestamp) -> String {
    let told = all.iter().map(|certificate| {
        format!(
            "{} until {} ({})",
            printable(certificate.which.as_str()),
            local_day(&certificate.expires_at.to_string(), zone),
            until(now, certificate.expires_at)
        )
    });
    told.collect::<Vec<_>>().join(", ")
}

fn until(now: Timestamp, at: Millis) -> String {
    match (at.0 - now.as_millisecond()) / 1000 {
        left @ 1.. => in_words(left),
        _ => "expired".to_owned(),
    }
}

/// A span of time in its two largest words at most.
pub(crate) fn in_words(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        86_400..864_000 => format!("{days} d {} h", hours % 24),
        _ => format!("{days} d"),
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!(
        "{value:.digits$} {}",
        units.get(unit).copied().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::local_time;
    use serde_json::json;

    #[test]
    fn spans_and_sizes_read_well() {
        assert_eq!(
            [5, 61, 3700, 90_000, 31_536_000].map(in_words),
            ["5 s", "1 min", "1 h 1 min", "1 d 1 h", "365 d"]
        );
        assert_eq!(
            [0, 1023, 1536, 250 << 30].map(bytes),
            ["0 B", "1023 B", "1.5 KiB", "250 GiB"]
        );
    }

    #[test]
    fn advice_is_broken_between_words() {
        assert_eq!(
            wrapped("make room where data_dir is", 12),
            ["make room", "where", "data_dir is"]
        );
        assert_eq!(
            wrapped("a-word-that-is-too-long x", 5),
            ["a-word-that-is-too-long", "x"]
        );
    }

    #[test]
    fn no_row_is_wider_than_a_terminal() {
        let status: NodeStatus = serde_json::from_value(json!({
            "node": { "name": "n".repeat(63), "id": "0".repeat(32), "cluster": "f".repeat(32), "address": "[fe80:1111:2222:3333:4444:5555:6666:7777]:65535",
                "http": "127.0.0.1:65535", "http_url": "https://127.0.0.1:65535", "version": "10.20.30", "protocol": 12, "pid": 7, "role": "member", "started_at": "2026-01-01T00:00:00Z" },
            "partition": { "verdict": "majority", "expected": 1000, "reachable": 999, "since": "2026-01-01T00:00:00Z", "missing": [] },
            "members": { "alive": 900, "suspect": 50, "down": 40, "restarting": 9, "left": 1 },
            "lists": { "known": 100_000, "differing": 1234, "lag_ms": 12_345.6, "lagging": [], "quarantined": 0 },
            "processes": { "local": 10_000, "names": 100_000, "contested": 0, "capacity": 1_000 },
            "store": { "writable": false, "disk_bytes": 987_654_321, "free_bytes": 1, "size_bytes": 999_999_999_999u64, "sync_p50_ms": 123.4, "sync_p99_ms": 999.9 },
            "certificates": [{ "which": "node", "expires_at": "2026-02-01T00:00:00Z" }, { "which": "authority", "expires_at": "2036-01-01T00:00:00Z" }, { "which": "http", "expires_at": "2026-02-01T00:00:00Z" }],
            "attention": [],
        }))
        .unwrap();
        let now = "2026-01-10T12:00:00Z".parse().unwrap();
        let time = |at: &str| local_time(at, &TimeZone::UTC);
        for (name, value) in rows(&status, &TimeZone::UTC, &time, now) {
            assert!(value.width() + 14 <= 80, "{name}: {value:?}");
        }
    }
}
