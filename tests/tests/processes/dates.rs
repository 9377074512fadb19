//! Due dates as people type them, in the zone where they are.

use crate::fleet::{Fleet, Node, program, run};
use anyhow::ensure;
use std::process::Command;

/// What a user in that zone (`TZ`) gets.
fn there(node: &Node, zone: &str, args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(program("muster"));
    command.arg("--socket").arg(node.socket());
    run(command.args(args).env("TZ", zone))
}

/// The first field of the due date of the only entry that is shown.
fn due(shown: &str) -> Option<&str> {
    shown.lines().next()?.split('\t').nth(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_on_a_day_is_found_on_it_in_zones_without_a_name() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let copy = fleet.dir.path().join("localtime");
    std::fs::copy("/usr/share/zoneinfo/Asia/Tokyo", &copy)?;
    let copy = format!(":{}", copy.display());
    there(
        node,
        "Europe/Berlin",
        &["add", "z", "x", "--due", "2026-06-08T00:30"],
    )?;
    for (zone, shown) in [
        ("Europe/Berlin", "2026-06-08T00:30:00+02:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-06-08T00:30:00+02:00"),
        ("UTC-2", "2026-06-08T00:30:00+02:00"),
        ("Europe/London", "2026-06-07T23:30:00+01:00"),
        (&copy, "2026-06-08T07:30:00+09:00"),
    ] {
        let all = there(node, zone, &["show", "z"])?;
        ensure!(due(&all) == Some(shown), "{zone}: {all}");
        let found = there(node, zone, &["show", "z", "--due", &shown[..10]])?;
        ensure!(due(&found) == Some(shown), "{zone}: {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_is_found() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    for (title, day) in [
        ("late", "yesterday"),
        ("now", "today"),
        ("earlier", "-2d 9:00"),
    ] {
        there(node, "UTC", &["add", "l", title, "--due", day])?;
    }
    let shown = there(node, "UTC", &["show", "l", "--due", "overdue"])?;
    ensure!(
        shown.contains("late") && shown.contains("earlier") && !shown.contains("now"),
        "{shown}"
    );
    let agenda = there(node, "UTC", &["agenda", "--overdue"])?;
    ensure!(agenda.lines().count() == 2, "{agenda}");
    Ok(())
}
