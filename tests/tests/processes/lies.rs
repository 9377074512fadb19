//! A member that lies about others: it can neither end them, nor speak for them.

use crate::http::Events;
use crate::registry::{Sleeper, found, register};
use crate::rogue::wire::{Cluster, Identity, Member, Registry};
use crate::rogue::{Rogue, Scene};
use anyhow::{Context, ensure};
use crdt::registry::{Delta, Entry, Position, Process, Progress, Reason, Record, State};
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
    for delta in lies {
        for pushed in [false, true] {
            let delta = delta.clone();
            // A node may close the connection for it: the next lie comes by another one.
            if rogue.peers.len() < 3 {
                rogue = Rogue::join(&scene.fleet).await?;
            }
            rogue.say_of_processes(&rogue.all(), &Registry::Part { delta, pushed })?;
            rogue.heard_everywhere().await?;
        }
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
    let record = Record {
        name: ProcessName::new("clock")?,
        process: invented(),
        version: 1,
        state: claimed,
    };
    let (owner, run) = (rogue.id, rogue.run);
    let records = vec![record];
    let delta = Delta {
        owner,
        run,
        after: 0,
        upto: 1,
        latest: 1,
        horizon: 0,
        records,
    };
    rogue.position = Position { run, version: 1 };
    rogue.say_of_processes(
        &rogue.all(),
        &Registry::Part {
            delta,
            pushed: true,
        },
    )?;
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

/// What that node could have written itself next: an end, a registration, and logs that have nothing.
async fn lies_about_the_log(rogue: &mut Rogue, node: &str) -> anyhow::Result<Vec<Delta>> {
    let (owner, line) = rogue.line(node)?;
    let from = Progress::default();
    rogue.say_of_processes(&rogue.to(node), &Registry::Pull { owner, from })?;
    let is_its = |part: &&Delta| part.owner == owner;
    let has_come = |rogue: &Rogue| rogue.parts.iter().any(|part| is_its(&part));
    rogue.until("the log of the node", has_come).await?;
    let log: Vec<&Delta> = rogue.parts.iter().filter(is_its).collect();
    let last = log.iter().map(|part| (part.run, part.latest)).max();
    let (run, version) = last.unwrap_or((line.run, 0));
    let mut records = log.iter().flat_map(|part| &part.records);
    let db = records
        .find(|record| record.name.as_str() == "db")
        .context("db is registered")?;
    let next = |name, process, state| Delta {
        owner,
        run,
        after: version,
        upto: version + 1,
        latest: version + 1,
        horizon: 0,
        records: vec![Record {
            name,
            process,
            version: version + 1,
            state,
        }],
    };
    let empty = |run| Delta {
        owner,
        run,
        after: 0,
        upto: 1,
        latest: 1,
        horizon: 0,
        records: vec![],
    };
    let planted = State::Live(Arc::new(claimed_at(1)));
    Ok(vec![
        next(db.name.clone(), db.process, State::Gone(Reason::Killed(9))),
        next(ProcessName::new("payments")?, invented(), planted),
        empty(run + 1),
        empty(LAST_RUN),
        empty(LAST_CLAIM),
    ])
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
