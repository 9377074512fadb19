//! A member that lies about others: it can neither end them, nor speak for them.

use crate::http::Events;
use crate::registry::{Sleeper, found, register};
use crate::rogue::wire::{Cluster, Identity, Member, Registry};
use crate::rogue::{Rogue, Scene};
use anyhow::{Context, ensure};
use crdt::registry::{Entry, Logs, Process, Progress, ProvedDelta, Reason, State};
use crdt::roster::Standing;
use names::ProcessName;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

/// The highest run that the protocol has.
const LAST_RUN: u64 = (1 << 31) - 1;
/// The highest claim.
const LAST_CLAIM: u64 = (1 << 48) - 1;

fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_a_daemon_by_saying_that_its_identity_or_name_is_taken() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let lurker = Rogue::lurk(&scene.fleet).await?;
    let (address, bearer) = (nowhere(), lurker.id);
    lurker.say(&lurker.all(), &Cluster::Taken { address })?;
    lurker.say(&lurker.all(), &Cluster::NameTaken { bearer, address })?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    rogue.say(&rogue.all(), &Cluster::Taken { address })?;
    rogue.say(&rogue.all(), &Cluster::NameTaken { bearer, address })?;
    for unasked in [Cluster::Challenge, Cluster::Present] {
        rogue.say(&rogue.all(), &unasked)?;
    }
    rogue.heard_everywhere().await?;
    drop((lurker, rogue));
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_brings_the_runs_of_others_to_their_end() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    for _ in 0..2 {
        for name in ["n1", "n2", "n3"] {
            let (id, mut line) = rogue.line(name)?;
            line.run = LAST_RUN;
            rogue.say_line(&rogue.all(), id, &line)?;
            let above = rogue.sign((id, id), 1, &line)?;
            rogue.say(&rogue.to(name), &Cluster::AboveLine(above))?;
        }
        rogue.say(&rogue.all(), &Cluster::Above { run: LAST_RUN })?;
        rogue.heard_everywhere().await?;
    }
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_node_a_generation_that_it_cannot_beat() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let (node, line) = rogue.line("n2")?;
    for generation in [u64::MAX, (LAST_RUN << 32) | 5, (line.run << 32) + (1 << 31)] {
        let addr = line.profile.address;
        let member = Member::alive(Identity {
            node,
            addr,
            generation,
        });
        rogue.say(&rogue.all(), &Cluster::Members(vec![member]))?;
        rogue.heard_everywhere().await?;
    }
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_connected_is_neither_down_nor_gone_by_hearsay() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let told = watch(&scene).await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let (node, mut line) = rogue.line("n2")?;
    let of_run = Identity {
        node,
        addr: line.profile.address,
        generation: line.run << 32,
    };
    for standing in [Standing::Left, Standing::Forgotten] {
        line.standing = standing;
        // To one node alone, so that nobody else contradicts it.
        let n1 = rogue.to("n1");
        rogue.say_line(&n1, node, &line)?;
        rogue.say(&n1, &Cluster::Members(vec![Member::down(of_run)]))?;
        rogue.heard_everywhere().await?;
    }
    drop(rogue);
    nobody_has_ended(&scene, told).await?;
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_the_log_of_another_node() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let told = watch(&scene).await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let lies = lies_about_the_log(&mut rogue, "n2").await?;
    for lie in lies {
        // A node may close the connection for it: the next lie comes by another one.
        if rogue.peers.len() < 3 {
            rogue = Rogue::join(&scene.fleet).await?;
        }
        rogue.say_of_processes(&rogue.all(), &lie)?;
        rogue.heard_everywhere().await?;
    }
    drop(rogue);
    nobody_has_ended(&scene, told).await?;
    scene.stands().await?;
    for node in &scene.fleet.nodes {
        let planted = node.get("/v1/processes/payments").await?;
        ensure!(planted.status == 404, "{}: {planted:?}", node.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_claim_leaves_room_for_those_of_others() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let claimed = State::Live(Arc::new(claimed_at(LAST_CLAIM)));
    rogue.register([(ProcessName::new("clock")?, invented(), claimed)])?;
    rogue.heard_everywhere().await?;
    let honest = Sleeper::start()?;
    register(
        &scene.fleet.nodes[0],
        "honest",
        json!({ "pid": honest.pid() }),
    )
    .await?;
    for node in &scene.fleet.nodes {
        found(node, "honest").await?;
    }
    drop(rogue);
    scene.stands().await?;
    let late = Sleeper::start()?;
    register(&scene.fleet.nodes[1], "late", json!({ "pid": late.pid() })).await?;
    for node in &scene.fleet.nodes {
        found(node, "honest").await?;
        found(node, "late").await?;
    }
    Ok(())
}

/// What that node could have written itself next (an end, a registration, and logs that have nothing),
/// with the rogue's proof, with the node's own one of what it has really written, and with none.
async fn lies_about_the_log(rogue: &mut Rogue, node: &str) -> anyhow::Result<Vec<Registry>> {
    let (owner, line) = rogue.line(node)?;
    let from = Progress::default();
    rogue.say_of_processes(&rogue.to(node), &Registry::Pull { owner, from })?;
    let has_come = |rogue: &Rogue| rogue.parts.iter().any(|part| part.owner == owner);
    rogue.until("the log of the node", has_come).await?;
    let mut log = Logs::default();
    for part in rogue.parts.iter().filter(|part| part.owner == owner) {
        log.take(owner, part.clone(), |_| true)?;
    }
    let head = log.head(owner).context("the log is proved")?;
    let true_head = head.relayed().bytes().clone();
    let db = log.get(owner).into_iter().flat_map(|log| log.iter());
    let db = db.map(|(name, process, _)| (name.clone(), process));
    let (name, process) = { db }
        .find(|(name, _)| name.as_str() == "db")
        .context("db is registered")?;
    let planted = State::Live(Arc::new(claimed_at(1)));
    let changes = [
        (name, process, State::Gone(Reason::Killed(9))),
        (ProcessName::new("payments")?, invented(), planted),
    ];
    let (mut lies, before) = (Vec::new(), Progress::from(log.position(owner)));
    for (name, process, state) in changes {
        let mut forged = log.clone();
        forged.put(owner, name, process, state);
        forged.prove(owner, |said| rogue.sign_head(said))?;
        lies.extend(forged.proved_delta(owner, before, usize::MAX));
        lies.extend(forged.proved_delta(owner, from, usize::MAX));
    }
    for run in [line.run + 1, LAST_RUN, LAST_CLAIM - 1] {
        let mut empty = Logs::default();
        empty.begin(owner, run, 1);
        empty.prove(owner, |said| rogue.sign_head(said))?;
        lies.extend(empty.proved_delta(owner, from, usize::MAX));
    }
    let heads = |delta: &ProvedDelta| [delta.head.clone(), Some(true_head.clone()), None];
    let said = |delta: ProvedDelta| {
        let with_head = heads(&delta).map(|head| ProvedDelta {
            head,
            ..delta.clone()
        });
        let pushed_or_not = with_head.into_iter().flat_map(|delta| {
            [false, true].map(|pushed| Registry::Proved {
                delta: delta.clone(),
                pushed,
            })
        });
        pushed_or_not.collect::<Vec<_>>()
    };
    Ok(lies.into_iter().flat_map(said).collect())
}

fn invented() -> Process {
    Process {
        boot: [9; 16],
        pid: 7,
        start: 7,
    }
}

fn claimed_at(claim: u64) -> Entry {
    Entry {
        uid: 0,
        user: Some("root".to_owned()),
        exe: Some("/usr/bin/payments".to_owned()),
        groups: [].into(),
        metadata: [].into(),
        address: Some("10.6.6.6:5432".to_owned()),
        claim,
        since_ms: 1,
    }
}

/// The events about processes on the first node.
async fn watch(scene: &Scene) -> anyhow::Result<Events> {
    Events::follow(
        &scene.fleet.nodes[0].socket(),
        "/v1/events?kinds=process",
        None,
    )
    .await
}

/// Nobody was told that a process has ended. (What is registered last shows that all before it was
/// told.)
async fn nobody_has_ended(scene: &Scene, mut told: Events) -> anyhow::Result<()> {
    let marker = Sleeper::start()?;
    register(
        &scene.fleet.nodes[0],
        "marker",
        json!({ "pid": marker.pid() }),
    )
    .await?;
    loop {
        let (_, _, data) = told.next().await?;
        ensure!(data["type"] != "down", "{data}");
        if data["type"] == "up" && data["name"] == "marker" {
            return Ok(());
        }
    }
}
