//! `muster status`: a node on one screen.

use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::{local_day, printable};
use client::ApiPath;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// How wide the advice is, so that it fits a terminal of 80 columns.
const WIDTH: usize = 78;

/// `muster status`.
pub(crate) async fn status(session: &Session<'_>) -> Result<(), Failure> {
    let status = session.get(&ApiPath::new(&["status"])).await?;
    if session.output.is_json() {
        return session.output.json(&status);
    }
    let mut table = Table::new(&["", ""]);
    let time = |at: &str| session.time(at);
    for (name, value) in rows(&status, &session.zone, &time, Timestamp::now()) {
        table.row([Cell::painted(name, Paint::Dim), value]);
    }
    session.output.table(&table)?;
    let attention = status
        .get("attention")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if attention.is_empty() && session.output.is_for_people() {
        return session.output.line(&format!(
            "\n{}",
            session.output.paint("all is well", Paint::Green)
        ));
    }
    attention
        .iter()
        .try_for_each(|finding| tell(session, finding))
}

/// What is the matter, and below it what to do.
fn tell(session: &Session<'_>, finding: &Value) -> Result<(), Failure> {
    let (severity, what, remedy) = (
        text(finding, "/severity"),
        text(finding, "/what"),
        text(finding, "/do"),
    );
    session
        .output
        .record(&["attention", severity, what, remedy], || {
            let paint = if severity == "critical" {
                Paint::Red
            } else {
                Paint::Yellow
            };
            let advice: Vec<String> = wrapped(&printable(remedy), WIDTH - 4)
                .into_iter()
                .map(|line| format!("    {line}"))
                .collect();
            format!(
                "\n{}\n{}",
                session
                    .output
                    .paint(&format!("{severity}: {}", printable(what)), paint),
                advice.join("\n")
            )
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
    status: &Value,
    zone: &TimeZone,
    time: &impl Fn(&str) -> String,
    now: Timestamp,
) -> Vec<(&'static str, Cell)> {
    let partition = status.get("partition").cloned().unwrap_or_default();
    let verdict = if text(&partition, "/verdict") == "whole" {
        Paint::Green
    } else {
        Paint::Red
    };
    let since = time(text(&partition, "/since"));
    let started = text(status, "/node/started_at");
    vec![
        (
            "node",
            Cell::painted(text(status, "/node/name"), Paint::Bold),
        ),
        ("id", text(status, "/node/id").into()),
        ("cluster id", text(status, "/node/cluster").into()),
        ("address", text(status, "/node/address").into()),
        (
            "http",
            status
                .pointer("/node/http")
                .and_then(Value::as_str)
                .unwrap_or("none")
                .into(),
        ),
        (
            "version",
            format!(
                "{} (protocol {})",
                text(status, "/node/version"),
                number(status, "/node/protocol")
            )
            .into(),
        ),
        (
            "started",
            format!("{}, {} ago", time(started), span(now, started)).into(),
        ),
        (
            "cluster",
            Cell::painted(&format!("{}, since {since}", reach(&partition)), verdict),
        ),
        ("members", members(status).into()),
        ("lists", lists(status).into()),
        ("processes", processes(status).into()),
        ("disk", disk(status)),
        ("disk sync", sync(status).into()),
        ("certificates", certificates(status, zone, now).into()),
    ]
}

/// How much of the cluster is in reach: `complete, 3 of 3`, `minority, 1 of 3`.
fn reach(partition: &Value) -> String {
    let verdict = match text(partition, "/verdict") {
        "whole" => "complete",
        other => other,
    };
    let (reachable, expected) = (
        number(partition, "/reachable"),
        number(partition, "/expected"),
    );
    format!("{}, {reachable} of {expected}", printable(verdict))
}

fn members(status: &Value) -> String {
    let count = |state: &str| {
        Some((
            number(status, &format!("/members/{state}")),
            state.to_owned(),
        ))
        .filter(|(count, _)| *count > 0)
    };
    let counts = ["alive", "suspect", "down", "restarting", "left"]
        .iter()
        .filter_map(|state| count(state));
    counts
        .map(|(count, state)| format!("{count} {state}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn lists(status: &Value) -> String {
    let (known, differing) = (
        number(status, "/lists/known"),
        number(status, "/lists/differing"),
    );
    let mut words = match differing {
        0 if known == 0 => "none".to_owned(),
        0 => format!("{known}, in step with all connected members"),
        _ => format!("{known}, {differing} of them not in step with a member yet"),
    };
    let lag = status
        .pointer("/lists/lag_ms")
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    if lag >= 1000.0 {
        words.push_str(&format!(" (for {:.0} s)", lag / 1000.0));
    }
    match number(status, "/lists/quarantined") {
        0 => words,
        quarantined => format!("{words}, {quarantined} set aside"),
    }
}

fn processes(status: &Value) -> String {
    let (local, names) = (
        number(status, "/processes/local"),
        number(status, "/processes/names"),
    );
    format!("{local} here, {names} names on all nodes")
}

fn disk(status: &Value) -> Cell {
    let used = format!("{} used", bytes(number(status, "/store/disk_bytes")));
    let space = match (
        status.pointer("/store/free_bytes").and_then(Value::as_u64),
        number(status, "/store/size_bytes"),
    ) {
        (Some(free), size @ 1..) => format!(
            ", {} of {} free ({} %)",
            bytes(free),
            bytes(size),
            free.saturating_mul(100) / size
        ),
        (Some(free), 0) => format!(", {} free", bytes(free)),
        (None, _) => String::new(),
    };
    match status.pointer("/store/writable").and_then(Value::as_bool) {
        Some(false) => Cell::painted(&format!("takes no writes, {used}{space}"), Paint::Red),
        Some(true) | None => format!("{used}{space}").into(),
    }
}

fn sync(status: &Value) -> String {
    let ms = |field: &str| status.pointer(field).and_then(Value::as_f64);
    match (ms("/store/sync_p50_ms"), ms("/store/sync_p99_ms")) {
        (Some(half), Some(most)) => format!("p50 {half:.1} ms, p99 {most:.1} ms"),
        (Some(_) | None, _) => "none yet".to_owned(),
    }
}

fn certificates(status: &Value, zone: &TimeZone, now: Timestamp) -> String {
    let all = status
        .get("certificates")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let told = all.iter().map(|certificate| {
        let at = text(certificate, "/expires_at");
        format!(
            "{} until {} ({})",
            printable(text(certificate, "/which")),
            local_day(at, zone),
            until(now, at)
        )
    });
    told.collect::<Vec<_>>().join(", ")
}

fn until(now: Timestamp, at: &str) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) if at > now => in_words(at.as_second() - now.as_second()),
        Ok(_) => "expired".to_owned(),
        Err(_) => String::new(),
    }
}

/// How long ago that was.
fn span(now: Timestamp, at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(
        |_| String::new(),
        |at| in_words((now.as_second() - at.as_second()).max(0)),
    )
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

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
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
        let status = json!({
            "node": { "name": "n".repeat(63), "id": "0".repeat(32), "cluster": "f".repeat(32), "address": "[fe80:1111:2222:3333:4444:5555:6666:7777]:65535",
                "http": "127.0.0.1:65535", "version": "10.20.30", "protocol": 12, "started_at": "2026-01-01T00:00:00Z" },
            "partition": { "verdict": "majority", "expected": 1000, "reachable": 999, "since": "2026-01-01T00:00:00Z", "missing": [] },
            "members": { "alive": 900, "suspect": 50, "down": 40, "restarting": 9, "left": 1 },
            "lists": { "known": 100_000, "differing": 1234, "lag_ms": 12_345.6, "quarantined": 0 },
            "processes": { "local": 10_000, "names": 100_000 },
            "store": { "writable": false, "disk_bytes": 987_654_321, "free_bytes": 1, "size_bytes": 999_999_999_999u64, "sync_p50_ms": 123.4, "sync_p99_ms": 999.9 },
            "certificates": [{ "which": "node", "expires_at": "2026-02-01T00:00:00Z" }, { "which": "authority", "expires_at": "2036-01-01T00:00:00Z" }],
        });
        let now = "2026-01-10T12:00:00Z".parse().unwrap();
        let time = |at: &str| local_time(at, &TimeZone::UTC);
        for (name, value) in rows(&status, &TimeZone::UTC, &time, now) {
            assert!(value.width() + 14 <= 80, "{name}: {value:?}");
        }
    }
}
