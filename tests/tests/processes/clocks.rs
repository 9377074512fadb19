//! Hosts whose clock is not set yet when their node starts.

use crate::doctor::fake_clock;
use crate::fleet::{Fleet, Node, eventually};
use anyhow::ensure;
use std::path::Path;
use std::time::Duration;

/// Whether the log in that directory has a line of the waiting start with those words.
fn waits(dir: &Path, words: &str) -> bool {
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let is_told = |line: &str| line.contains("the start waits") && line.contains(words);
    log.lines().any(is_told)
}

/// Starts a node, which waits; after it has said so with those words, `go_on` is called.
fn start_late(
    node: &mut Node,
    words: &str,
    go_on: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let dir = node.dir.clone();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| node.start());
        while !waits(&dir, words) && !starting.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(!starting.is_finished(), "it has not waited");
        go_on()?;
        starting.join().unwrap_or_else(|_| Ok(()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_in_words_until_the_clock_is_set_and_joins_by_itself() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(2)?;
    let clock = fleet.dir.path().join("clock");
    // A board without a battery, at the time of its image.
    std::fs::write(&clock, "-800d")?;
    let Some(mut env) = fake_clock() else {
        return Ok(());
    };
    env.push(("FAKETIME_TIMESTAMP_FILE", clock.clone().into()));
    env.push(("FAKETIME_NO_CACHE", "1".into()));
    fleet.nodes[1].env = env;
    fleet.nodes[0].start()?;
    let words = "years earlier: it has not been set";
    start_late(&mut fleet.nodes[1], words, || {
        // NTP sets it.
        Ok(std::fs::write(&clock, "+0")?)
    })?;
    fleet.whole().await?;
    let node = &fleet.nodes[1];
    ensure!(waits(&node.dir, "and this host's clock says"));
    eventually("it is ready", async || {
        let ready = node.get("/readyz").await?;
        ensure!(ready.status == 200, "{ready:?}");
        Ok(())
    })
    .await
}
