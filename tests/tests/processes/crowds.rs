//! A member that writes very many lists.

use crate::fleet::{Node, eventually};
use crate::rogue::authors::Authors;
use crate::rogue::changes;
use crate::rogue::wire::{Lists, Pushed};
use crate::rogue::{Rogue, Scene};
use anyhow::{Context, ensure};
use automerge::ScalarValue;
use names::ListName;

const GHOSTS: usize = 20_000;

/// Documents of new lists take more than they are counted with, and so does what was written last
/// in the store.
const MOST_MIB: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn many_lists_of_a_member_take_bounded_memory_and_hold_up_nobody() -> anyhow::Result<()> {
    let mut scene = Scene::with(&[("MUSTERD_LIMITS__RESIDENT_BYTES", "16777216")]).await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let authors = rogue.sign_authors()?;
    let before = scene.memory_mib()?;
    for first in (0..GHOSTS).step_by(500) {
        let ghosts = (first..first + 500).map(|number| ghost(authors, number));
        let push = Lists::Push(ghosts.collect::<anyhow::Result<_>>()?);
        rogue.say_of_lists(&rogue.all(), &push)?;
    }
    for round in 0..10 {
        for node in &scene.fleet.nodes {
            node.add("bob", &format!("{} in round {round}", node.name))
                .await?;
        }
    }
    rogue.heard_everywhere().await?;
    drop(rogue);
    for node in &scene.fleet.nodes {
        eventually(&format!("{} has all lists", node.name), async || {
            let known = gauge(node, "muster_lists_known").await?;
            ensure!(known > GHOSTS, "{known} lists");
            Ok(())
        })
        .await?;
    }
    let peak = scene.peak_mib()?;
    ensure!(
        peak < before + MOST_MIB,
        "{before} MiB before, {peak} MiB at most"
    );
    scene.stands().await
}

/// A list that nothing shows: its one entry is dead.
fn ghost(authors: Authors, number: usize) -> anyhow::Result<Pushed> {
    let name = ListName::new(&format!("ghost {number}"))?;
    let dead = changes::entry(authors.of(&name), 0, &[("life", ScalarValue::Int(1))])?;
    Ok(Pushed {
        name,
        changes: vec![dead.bytes],
        confirm: true,
    })
}

async fn gauge(node: &Node, name: &str) -> anyhow::Result<usize> {
    let metrics = node.get("/metrics").await?.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.context("no such metric")?.trim().parse()?)
}
