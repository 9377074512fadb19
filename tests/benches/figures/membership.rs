//! The rows of the table about members that come and go.

use crate::fleet::{Fleet, eventually, items};
use crate::lists::fill;
use crate::table::value;
use anyhow::ensure;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// From the kill of a node until the others call it down.
pub(crate) async fn detection() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let begun = Instant::now();
    fleet.nodes[2].signal(Signal::KILL)?;
    for index in [0, 1] {
        let node = &fleet.nodes[index];
        eventually("n3 is down", async || {
            let members = node.get("/v1/members").await?.json();
            ensure!(
                items(&members)
                    .iter()
                    .any(|member| member["name"] == "n3" && member["state"] == "down")
            );
            Ok(())
        })
        .await?;
    }
    value(
        fleet.dir.path(),
        "a killed node is down on both others",
        &format!("{:.2} s", begun.elapsed().as_secs_f64()),
    )
}

/// One node of three is cut off, all are written to, and the cut heals.
pub(crate) async fn cut(span: Duration) -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    fleet.split(&[2]).await?;
    tokio::time::sleep(span).await;
    for (index, node) in fleet.nodes.iter().enumerate() {
        fill(node, &format!("apart{index}"), 1_000).await?;
    }
    let begun = Instant::now();
    fleet.split(&[]).await?;
    fleet.whole().await?;
    fleet.agree().await?;
    let text = format!("{:.2} s", begun.elapsed().as_secs_f64());
    value(
        fleet.dir.path(),
        &format!(
            "members and lists agree after a cut of {} s",
            span.as_secs()
        ),
        &text,
    )
}
