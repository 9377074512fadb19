//! A member that writes what makes a list unusable, or takes more than its share.

use crate::fleet::eventually;
use crate::registry::{Sleeper, register};
use crate::rogue::changes::{self, History};
use crate::rogue::wire::{Cluster, Identity, Lists, Member, Registry};
use crate::rogue::{Rogue, Scene};
use anyhow::ensure;
use automerge::legacy::{Op, OpId};
use automerge::{ActorId, ScalarValue};
use bytes::Bytes;
use crdt::registry::{Entry, Process, State};
use names::{ListName, NodeId, ProcessName};
use serde_json::json;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn no_change_poisons_a_list() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let history = History::pull(&mut rogue, "n1", "bob").await?;
    let map = history.first_entry();
    let value = || ScalarValue::Str("x".into());
    let many = |inserted: usize| -> Vec<Op> {
        let mut operations: Vec<Op> = (0..24).map(|_| changes::put(&map, "k", value())).collect();
        operations[inserted].insert = true;
        operations
    };
    for operations in [many(0), many(23), vec![many(0).remove(0)]] {
        let actor = rogue.sign_authors()?.of(&history.name);
        let made = history.change(actor, operations)?;
        rogue.say_of_lists(
            &rogue.all(),
            &changes::push(&history.name, vec![made.bytes]),
        )?;
        rogue.heard_everywhere().await?;
        if rogue.peers.is_empty() {
            rogue = Rogue::join(&scene.fleet).await?;
        }
    }
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_up_the_numbers_of_a_lists_operations() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let history = History::pull(&mut rogue, "n1", "bob").await?;
    let actor = rogue.sign_authors()?.of(&history.name);
    let map = history.first_entry();
    let (mut above, mut start_op, mut all) = (history.heads(), history.next_op(), Vec::new());
    for seq in 1..=256 {
        let operation = changes::put(&map, &format!("k{seq}"), ScalarValue::Int(1));
        let made = changes::make(actor, seq, start_op, &above, vec![operation])?;
        (above, start_op) = (vec![made.hash], (start_op + (1 << 24)).min((1 << 32) - 2));
        all.push(made.bytes);
    }
    rogue.say_of_lists(&rogue.all(), &changes::push(&history.name, all))?;
    rogue.heard_everywhere().await?;
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_spoils_a_list_is_cut_off_and_the_list_goes_on() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let history = History::pull(&mut rogue, "n1", "bob").await?;
    let map = history.first_entry();
    let actor = rogue.sign_authors()?.of(&history.name);
    let start_op = history.next_op() + 1000;
    let mut operation = changes::put(&map, "title", ScalarValue::Str("y".into()));
    // It overwrites an operation of its own actor that there is not.
    operation.pred = vec![OpId::new(start_op - 1, &ActorId::from(actor))].into();
    let made = changes::make(actor, 1, start_op, &history.heads(), vec![operation])?;
    let spoiler = changes::push(&history.name, vec![made.bytes]);
    for node in ["n1", "n2", "n3"] {
        rogue.closed.clear();
        rogue.say_of_lists(&rogue.to(node), &spoiler)?;
        let was_cut_off = |reason: &String| reason.contains("a bound of the protocol");
        rogue
            .until("cut off", |rogue| rogue.closed.iter().any(was_cut_off))
            .await?;
    }
    for node in &scene.fleet.nodes {
        eventually("who was cut off is named", async || {
            let status = node.get("/v1/status").await?;
            let attention = status.json()["attention"].to_string();
            ensure!(attention.contains("has cut mallory1 off"), "{attention}");
            Ok(())
        })
        .await?;
    }
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_five_hundred_heads_takes_writes() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let name = ListName::new("bob")?;
    let mut made = Vec::new();
    for _ in 0..10 {
        let authors = rogue.sign_authors()?;
        for nth in 0..50 {
            made.push(boo(authors.nth(&name, nth), made.len())?);
        }
    }
    rogue.say_of_lists(&rogue.all(), &changes::push(&name, made))?;
    rogue.heard_everywhere().await?;
    drop(rogue);
    eventually("the list has all its heads", async || {
        let count = scene.fleet.nodes[2].entries("bob").await?.len();
        ensure!(count >= 500, "{count}");
        Ok(())
    })
    .await?;
    scene.stands().await
}

fn boo(actor: [u8; 16], number: usize) -> anyhow::Result<Bytes> {
    let fields = [
        ("title", ScalarValue::Str("boo".into())),
        ("life", ScalarValue::Int(0)),
    ];
    Ok(changes::entry(actor, u64::try_from(number)?, &fields)?.bytes)
}

/// Each author costs every later change of its list: who has not signed for them brings none.
#[tokio::test(flavor = "multi_thread")]
async fn authors_without_end_do_not_come_into_a_list() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let name = ListName::new("bob")?;
    let before = scene.memory_mib()?;
    let made = (0..24_000).map(|number| boo(rand::random(), number));
    let mut made = made.collect::<anyhow::Result<Vec<_>>>()?;
    // More salts than a node has a use for: 64 of them are taken at once.
    for _ in 0..100 {
        let authors = rogue.sign_authors()?;
        made.push(boo(authors.of(&name), made.len())?);
    }
    for changes in made.chunks(500) {
        let push = changes::push(&name, changes.to_vec());
        rogue.say_of_lists(&rogue.all(), &push)?;
    }
    rogue.heard_everywhere().await?;
    for node in &scene.fleet.nodes {
        node.add("bob", "meanwhile").await?;
        eventually("those that are signed for are taken", async || {
            let entries = node.entries("bob").await?;
            let boos = entries.iter().filter(|entry| entry["title"] == "boo");
            ensure!(boos.count() == 64, "{}", entries.len());
            Ok(())
        })
        .await?;
        eventually("people hear of it", async || {
            let status = node.get("/v1/status").await?;
            let attention = status.json()["attention"].to_string();
            ensure!(attention.contains("no node has signed"), "{attention}");
            Ok(())
        })
        .await?;
    }
    let peak = scene.peak_mib()?;
    ensure!(
        peak < before + 150,
        "{before} MiB before, {peak} MiB at most"
    );
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_one_node_takes_bounded_memory() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let before = scene.memory_mib()?;
    let mut version = 0;
    while version < 16_000 && !rogue.peers.is_empty() {
        let records = (version + 1..=version + 40).map(large_record);
        rogue.register(records.collect::<anyhow::Result<Vec<_>>>()?)?;
        version += 40;
        rogue.heard_everywhere().await?;
    }
    let after = scene.memory_mib()?;
    ensure!(
        after < before + 300,
        "{before} MiB before, {after} MiB after"
    );
    drop(rogue);
    scene.stands().await
}

/// As large as the protocol allows.
fn large_record(version: u64) -> anyhow::Result<(ProcessName, Process, State)> {
    let group = |number: usize| ProcessName::new(&format!("{number:0128}"));
    let metadata = (0..4).map(|key| (format!("k{key}"), "x".repeat(1000)));
    let entry = Entry {
        uid: 0,
        user: None,
        exe: Some("y".repeat(4000)),
        groups: (0..64).map(group).collect::<Result<_, _>>()?,
        metadata: metadata.collect(),
        address: None,
        claim: 5,
        since_ms: 1,
    };
    let process = Process {
        boot: [9; 16],
        pid: 7,
        start: version,
    };
    let name = ProcessName::new(&format!("p{version}"))?;
    Ok((name, process, State::Live(Arc::new(entry))))
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_were_invented_are_dialled_seldom() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let target = UdpSocket::bind("127.0.0.1:0")?;
    target.set_read_timeout(Some(Duration::from_millis(100)))?;
    let addr = target.local_addr()?;
    let invented = |number: u16| {
        let mut node = [0xee; 16];
        node[..2].copy_from_slice(&number.to_be_bytes());
        Member::alive(Identity {
            node: NodeId(node),
            addr,
            generation: 5 << 32,
        })
    };
    let members: Vec<Member> = (0..1000).map(invented).collect();
    rogue.say(&rogue.all(), &Cluster::Members(members))?;
    rogue.heard_everywhere().await?;
    let (begun, mut bytes, mut packet) = (Instant::now(), 0, [0; 2048]);
    while begun.elapsed() < Duration::from_secs(10) {
        bytes += target.recv(&mut packet).unwrap_or(0);
    }
    ensure!(bytes < 500_000, "{bytes} bytes in 10 s");
    drop(rogue);
    scene.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_small_messages_take_bounded_memory() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut rogue = Rogue::join(&scene.fleet).await?;
    let before = scene.memory_mib()?;
    for round in 0..60 {
        for _ in 0..2000 {
            rogue.say(&rogue.all(), &Cluster::Goodbye { restart: true })?;
            rogue.say(&rogue.all(), &Cluster::RosterHash(round))?;
            rogue.say_of_processes(&rogue.all(), &Registry::Probe(0))?;
            rogue.say_of_lists(
                &rogue.all(),
                &Lists::Root {
                    sum: round,
                    wake: true,
                },
            )?;
        }
        rogue.drain().await?;
    }
    rogue.heard_everywhere().await?;
    let after = scene.memory_mib()?;
    ensure!(
        after < before + 150,
        "{before} MiB before, {after} MiB after"
    );
    let late = Sleeper::start()?;
    register(&scene.fleet.nodes[0], "late", json!({ "pid": late.pid() })).await?;
    drop(rogue);
    scene.stands().await
}
