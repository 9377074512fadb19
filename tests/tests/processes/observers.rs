//! An observer that does what only members may: it achieves nothing.

use crate::fleet::{eventually, items};
use crate::rogue::changes;
use crate::rogue::wire::{Cluster, Identity, Member};
use crate::rogue::{Rogue, Scene};
use anyhow::ensure;
use automerge::ScalarValue;
use crdt::registry::{Entry, Process, State};
use crdt::roster::Standing;
use names::{ListName, ProcessName};
use std::sync::Arc;

/// A registration that anybody would take from a member.
fn registration() -> anyhow::Result<(ProcessName, Process, State)> {
    let process = Process {
        boot: [9; 16],
        pid: 7,
        start: 7,
    };
    let entry = Entry {
        uid: 0,
        user: None,
        exe: None,
        groups: [].into(),
        metadata: [].into(),
        address: None,
        claim: 1,
        since_ms: 1,
    };
    Ok((
        ProcessName::new("ghost")?,
        process,
        State::Live(Arc::new(entry)),
    ))
}

/// Pushes a list, and registers a process.
async fn write(rogue: &mut Rogue) -> anyhow::Result<()> {
    let text = |text: &str| ScalarValue::Str(text.into());
    let fields = [("title", text("boo")), ("life", ScalarValue::Int(0))];
    let name = ListName::new("ghosts")?;
    let made = changes::entry(rogue.sign_authors()?.of(&name), 1, &fields)?;
    rogue.say_of_lists(&rogue.all(), &changes::push(&name, vec![made.bytes]))?;
    rogue.register([registration()?])?;
    rogue.heard_everywhere().await
}

/// Whether any node of the scene has the list, and whether any has the process.
async fn written(scene: &Scene) -> anyhow::Result<(bool, bool)> {
    let (mut list, mut process) = (false, false);
    for node in &scene.fleet.nodes {
        list |= node.get("/v1/lists/ghosts").await?.status == 200;
        process |= node.get("/v1/processes/ghost").await?.status == 200;
    }
    Ok((list, process))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_may_write_an_observer_may_not() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::observe(&scene.fleet).await?;
    write(&mut rogue).await?;
    ensure!(!rogue.closed.is_empty(), "it was not cut off");
    ensure!(written(&scene).await? == (false, false));
    drop(rogue);
    scene.stands().await?;
    ensure!(written(&scene).await? == (false, false));
    // The same by a member.
    let scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    write(&mut rogue).await?;
    eventually("a member writes both", async || {
        let written = written(&scene).await?;
        ensure!(written == (true, true), "{written:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_ends_nobody_by_its_word() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    scene.fleet.nodes[1].kill()?;
    let n1 = &scene.fleet.nodes[0];
    eventually("n2 is down", async || {
        let members = n1.get("/v1/members").await?.json();
        let n2 = items(&members).iter().find(|one| one["name"] == "n2");
        ensure!(n2.is_some_and(|one| one["state"] == "down"), "{members}");
        Ok(())
    })
    .await?;
    let mut rogue = Rogue::observe(&scene.fleet).await?;
    // That who is down is forgotten, and that who is there is not.
    for (name, standing) in [("n2", Standing::Forgotten), ("n3", Standing::Left)] {
        let (node, mut line) = rogue.line(name)?;
        let of_run = Identity {
            node,
            addr: line.profile.address,
            generation: line.run << 32,
        };
        line.standing = standing;
        rogue.say_line(&rogue.to("n1"), node, &line)?;
        rogue.say(
            &rogue.to("n1"),
            &Cluster::Members(vec![Member::down(of_run)]),
        )?;
        rogue.heard_everywhere().await?;
    }
    let members = n1.get("/v1/members").await?.json();
    let names: Vec<_> = items(&members)
        .iter()
        .map(|one| one["name"].as_str())
        .collect();
    ensure!(names.contains(&Some("n2")), "{members}");
    let partition = n1.get("/v1/partition").await?.json();
    ensure!(partition["expected"] == 3, "{partition}");
    drop(rogue);
    scene.fleet.nodes[1].start()?;
    for node in &scene.fleet.nodes {
        eventually("all are there", async || {
            let partition = node.get("/v1/partition").await?.json();
            ensure!(partition["verdict"] == "whole", "{partition}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
