//! The process registry's rows of the table: three connected nodes.

use crate::fleet::{Fleet, Node, eventually};
use crate::load::{Measured, Wire, delete, drive, get, put};
use crate::table::{row, seconds, value};
use crate::usage::metric;
use anyhow::{Context, ensure};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many names the second and the third node hold each: what a usual limit of open files leaves
/// room for.
const ELSEWHERE: usize = 18_000;
const FEW: usize = 1_000;
const PER_SIDE: usize = 10_000;
const KILLS: usize = 200;
/// Under how many names each process is registered; 64 are allowed.
const NAMES_EACH: usize = 60;

fn register(name: &str, pid: u32) -> Vec<u8> {
    put(
        &format!("/v1/processes/{name}"),
        &format!("{{\"pid\":{pid},\"groups\":[\"bench\"],\"metadata\":{{\"port\":\"8080\"}}}}"),
    )
}

/// Registers `count` names `{prefix}-{client}-{number}`.
async fn registrations(
    node: &Node,
    prefix: &'static str,
    clients: usize,
    count: usize,
    crowd: &mut Crowd,
) -> anyhow::Result<Measured> {
    let first = crowd.0.len();
    for _ in 0..=count / NAMES_EACH {
        let mut sleeper = Command::new("sleep");
        crowd
            .0
            .push(sleeper.arg("3600").stdin(Stdio::null()).spawn()?);
    }
    let pids: Vec<u32> = crowd.0.iter().skip(first).map(Child::id).collect();
    let pids: &'static [u32] = pids.leak();
    drive(
        &node.socket(),
        clients,
        move |done, _| done < count,
        move |client, number| {
            let pid = pids[(number * clients + client) / NAMES_EACH];
            register(&format!("{prefix}-{client}-{number}"), pid)
        },
    )
    .await
}

/// Processes that are registered; they end with this.
#[derive(Default)]
struct Crowd(Vec<Child>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

async fn names(node: &Node) -> anyhow::Result<f64> {
    Ok(metric(
        &node.get("/metrics").await?.text,
        "muster_processes_known_names",
    ))
}

/// Waits until all nodes know as many names as the first.
async fn level(fleet: &Fleet) -> anyhow::Result<()> {
    eventually("all nodes know all names", async || {
        let first = names(&fleet.nodes[0]).await?;
        for node in &fleet.nodes {
            let here = names(node).await?;
            ensure!(here == first, "{here} of {first} at {}", node.name);
        }
        Ok(())
    })
    .await
}

/// Rates of registering at few and at many names, then lookups among the many.
pub(crate) async fn registering() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let (node, dir) = (&fleet.nodes[0], fleet.dir.path());
    let mut crowd = Crowd::default();
    registrations(node, "few", 8, FEW, &mut crowd).await?;
    for (clients, count, prefix) in [(1, 3_000, "one"), (64, 5_000, "all")] {
        rate(&fleet, (clients, count), prefix, &mut crowd).await?;
    }
    for other in &fleet.nodes[1..] {
        let prefix: &'static str = format!("most-{}", other.name).leak();
        registrations(other, prefix, 64, ELSEWHERE, &mut crowd).await?;
    }
    level(&fleet).await?;
    for (clients, count, prefix) in [(1, 3_000, "later"), (64, 5_000, "last")] {
        rate(&fleet, (clients, count), prefix, &mut crowd).await?;
    }
    value(dir, "names known then", &format!("{}", names(node).await?))?;
    lookups(&fleet).await
}

async fn rate(
    fleet: &Fleet,
    (clients, count): (usize, usize),
    prefix: &'static str,
    crowd: &mut Crowd,
) -> anyhow::Result<()> {
    let node = &fleet.nodes[0];
    let known = names(node).await?;
    let begun = Instant::now();
    let mut measured = registrations(node, prefix, clients, count, crowd).await?;
    level(fleet).await?;
    let lag = begun.elapsed().saturating_sub(measured.span).as_secs_f64();
    row(
        fleet.dir.path(),
        &format!(
            "registrations, 3 nodes, {clients} client(s), from {known} names, level {lag:.1} \
            s later"
        ),
        &mut measured,
    )
}

async fn lookups(fleet: &Fleet) -> anyhow::Result<()> {
    let (there, dir) = (&fleet.nodes[1], fleet.dir.path());
    let known = names(there).await?;
    let span = seconds();
    for clients in [1, 64] {
        let whereis = move |client: usize, number: usize| {
            get(&format!(
                "/v1/processes/few-{}-{}",
                client % 8,
                number % 100
            ))
        };
        let mut measured = drive(
            &there.socket(),
            clients,
            move |_, elapsed| elapsed < span,
            whereis,
        )
        .await?;
        row(
            dir,
            &format!("lookups on another node, {clients} client(s), {known} names"),
            &mut measured,
        )?;
        let mut empty = drive(
            &there.socket(),
            clients,
            move |_, elapsed| elapsed < span,
            |_, _| get("/healthz"),
        )
        .await?;
        row(
            dir,
            &format!("an empty request (GET /healthz), {clients} client(s)"),
            &mut empty,
        )?;
    }
    Ok(())
}

/// From the answer to a registration on A until a lookup on B finds it.
pub(crate) async fn found() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let (mut here, mut there) = (
        Wire::connect(&fleet.nodes[0].socket()).await?,
        Wire::connect(&fleet.nodes[1].socket()).await?,
    );
    let (mut measured, begun) = (Measured::default(), Instant::now());
    while begun.elapsed() < seconds() {
        let name = format!("found-{}", measured.count());
        let (status, answer) = here.exchange(&register(&name, std::process::id())).await?;
        ensure!(
            status == 201,
            "{status}: {}",
            String::from_utf8_lossy(answer)
        );
        let registered = Instant::now();
        let request = get(&format!("/v1/processes/{name}"));
        while there.exchange(&request).await?.0 != 200 {
            ensure!(
                registered.elapsed() < Duration::from_secs(10),
                "never found elsewhere"
            );
        }
        measured.add(registered.elapsed());
        here.exchange(&delete(&format!("/v1/processes/{name}")))
            .await?;
    }
    measured.span = begun.elapsed();
    row(
        fleet.dir.path(),
        "registered on A, found on B",
        &mut measured,
    )
}

/// From the kill of a process until no node knows its name.
pub(crate) async fn gone() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let mut wires = Vec::new();
    for node in &fleet.nodes {
        wires.push(Wire::connect(&node.socket()).await?);
    }
    let (mut measured, begun) = (Measured::default(), Instant::now());
    for number in 0..KILLS {
        let mut child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()?;
        let name = format!("gone-{number}");
        wires[0].exchange(&register(&name, child.id())).await?;
        let request = get(&format!("/v1/processes/{name}"));
        for wire in &mut wires {
            while wire.exchange(&request).await?.0 != 200 {}
        }
        child.kill()?;
        let killed = Instant::now();
        for wire in &mut wires {
            while wire.exchange(&request).await?.0 != 404 {
                ensure!(
                    killed.elapsed() < Duration::from_secs(10),
                    "{name} outlives its process"
                );
            }
        }
        measured.add(killed.elapsed());
        child.wait()?;
    }
    measured.span = begun.elapsed();
    row(
        fleet.dir.path(),
        "a killed process, gone on all three nodes",
        &mut measured,
    )
}

/// Names are given on both sides of a cut, then it heals.
pub(crate) async fn heal() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    fleet.split(&[2]).await?;
    let mut crowd = Crowd::default();
    registrations(&fleet.nodes[0], "west", 16, PER_SIDE, &mut crowd).await?;
    registrations(&fleet.nodes[2], "east", 16, PER_SIDE, &mut crowd).await?;
    let apart = names(&fleet.nodes[2]).await?;
    let begun = Instant::now();
    fleet.split(&[]).await?;
    eventually("all nodes know both sides' names", async || {
        for node in &fleet.nodes {
            let here = names(node).await?;
            ensure!(here == (2 * PER_SIDE) as f64, "{here} at {}", node.name);
            let page = node
                .get("/v1/processes?state=unreachable&limit=1")
                .await?
                .json();
            ensure!(
                page["items"].as_array().context("a page")?.is_empty(),
                "some are out of sight of {}",
                node.name
            );
        }
        Ok(())
    })
    .await?;
    let text = format!("{:.2} s", begun.elapsed().as_secs_f64());
    value(
        fleet.dir.path(),
        &format!("a cut with {apart} names on each side heals"),
        &text,
    )
}
