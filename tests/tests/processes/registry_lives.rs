//! How registrations end, and what they outlive.

use crate::fleet::{Fleet, eventually, items};
use crate::http::{Client, Events};
use crate::registry::{Sleeper, found, gone, monitor, register, stands};
use anyhow::ensure;
use rustix::process::Signal;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn monitors_hear_how_a_process_ended_once_and_stay() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let mut events = monitor(&fleet.nodes[1], "web").await?;
    for (script, signal, reason) in [
        ("read line", Some(Signal::KILL), "killed signal=9"),
        ("read line; exit 3", None, "exited code=3"),
    ] {
        let mut sleeper = Sleeper::run(script)?;
        let handle = register(&fleet.nodes[0], "web", json!({ "pid": sleeper.pid() })).await?;
        let (name, _, up) = events.next().await?;
        ensure!(name == "up" && up["handle"] == handle, "{name} {up}");
        match signal {
            Some(signal) => sleeper.signal(signal)?,
            None => sleeper.wake(),
        }
        let (name, _, down) = events.next().await?;
        // Its parent has not waited yet, so that the kernel tells on every version.
        ensure!(
            name == "down" && down["handle"] == handle && down["reason"] == reason,
            "{name} {down}"
        );
        gone(&fleet.nodes[0], "web").await?;
        sleeper.ended().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_comes_back_hears_what_it_missed() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let sleeper = Sleeper::start()?;
    register(node, "web", json!({ "pid": sleeper.pid() })).await?;
    let path = "/v1/processes/web/monitor";
    let mut events = Events::follow(&node.socket(), path, None).await?;
    let (name, id, snapshot) = events.next().await?;
    ensure!(
        name == "snapshot" && items(&snapshot)[0]["name"] == "web" && snapshot["last"] == true,
        "{snapshot}"
    );
    drop(events);
    ensure!(node.call("DELETE", "/v1/processes/web", None).await?.status == 204);
    let mut events = Events::follow(&node.socket(), path, Some(&id)).await?;
    let (name, _, down) = events.next().await?;
    ensure!(
        name == "down" && down["reason"] == "unregistered",
        "{name} {down}"
    );
    let mut late = Events::follow(&node.socket(), path, Some("nonsense")).await?;
    let (name, _, snapshot) = late.next().await?;
    ensure!(
        name == "snapshot" && items(&snapshot).is_empty(),
        "{name} {snapshot}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reports_the_exit_has_the_word() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut sleeper = Sleeper::run("read line; exit 1")?;
    register(
        node,
        "job",
        json!({ "pid": sleeper.pid(), "reports_exit": true }),
    )
    .await?;
    let mut events = monitor(node, "job").await?;
    ensure!(
        node.call(
            "POST",
            "/v1/processes/job/exit",
            Some(&json!({ "code": 1 }))
        )
        .await?
        .status
            == 204
    );
    sleeper.wake();
    let (name, _, down) = events.next().await?;
    ensure!(
        name == "down" && down["reason"] == "exited code=1" && down["code"] == 1,
        "{name} {down}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_and_started_again_fires_no_down() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    let (stays, ends) = (Sleeper::start()?, Sleeper::start()?);
    let handle = register(
        &fleet.nodes[0],
        "stays",
        json!({ "pid": stays.pid(), "groups": ["g"] }),
    )
    .await?;
    register(&fleet.nodes[0], "ends", json!({ "pid": ends.pid() })).await?;
    let since = found(&fleet.nodes[1], "stays").await?["since"].clone();
    found(&fleet.nodes[1], "ends").await?;
    let (mut one, mut other) = (
        monitor(&fleet.nodes[1], "stays").await?,
        monitor(&fleet.nodes[1], "ends").await?,
    );
    fleet.nodes[0].kill()?;
    drop(ends);
    fleet.nodes[0].start()?;
    fleet.whole().await?;
    let process = stands(&fleet.nodes[1], "stays", "up").await?;
    ensure!(
        process["handle"] == handle
            && process["since"] == since
            && process["groups"] == json!(["g"]),
        "{process}"
    );
    loop {
        let (name, _, data) = other.next().await?;
        ensure!(name != "up", "{data}");
        if name == "down" {
            break;
        }
    }
    gone(&fleet.nodes[0], "ends").await?;
    // All that happened to the one that stays comes before what is brought about now.
    ensure!(
        fleet.nodes[0]
            .call("DELETE", "/v1/processes/stays", None)
            .await?
            .status
            == 204
    );
    loop {
        match one.next().await? {
            (name, _, data) if name == "down" => {
                ensure!(data["reason"] == "unregistered", "{data}");
                return Ok(());
            }
            (name, _, data) => ensure!(name == "unreachable" || name == "back", "{name} {data}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_is_unreachable_and_comes_back() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let sleeper = Sleeper::start()?;
    register(
        &fleet.nodes[2],
        "web",
        json!({ "pid": sleeper.pid(), "groups": ["g"] }),
    )
    .await?;
    found(&fleet.nodes[0], "web").await?;
    let mut events = monitor(&fleet.nodes[0], "web").await?;
    fleet.nodes[2].signal(Signal::STOP)?;
    let (name, _, data) = events.next().await?;
    ensure!(
        name == "unreachable" && data["node"] == "n3",
        "{name} {data}"
    );
    stands(&fleet.nodes[0], "web", "unreachable").await?;
    ensure!(
        items(&fleet.nodes[0].get("/v1/groups/g").await?.json()).is_empty(),
        "groups show who is in sight"
    );
    ensure!(
        items(
            &fleet.nodes[0]
                .get("/v1/groups/g?state=unreachable")
                .await?
                .json()
        )
        .len()
            == 1
    );
    fleet.nodes[2].signal(Signal::CONT)?;
    let (name, _, data) = events.next().await?;
    ensure!(name == "back", "{name} {data}");
    stands(&fleet.nodes[0], "web", "up").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_may_end_with_the_connection_that_made_it() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (sleeper, other) = (Sleeper::start()?, Sleeper::start()?);
    let mut client = Client::connect(&fleet.nodes[0].socket()).await?;
    for name in ["a", "b"] {
        let body = json!({ "pid": sleeper.pid(), "lifetime": "connection" });
        let answer = client
            .call("PUT", &format!("/v1/processes/{name}"), Some(&body))
            .await?;
        ensure!(answer.status == 201, "{answer:?}");
    }
    ensure!(
        client
            .call(
                "PUT",
                "/v1/processes/c",
                Some(&json!({ "pid": other.pid() }))
            )
            .await?
            .status
            == 201
    );
    let mut events = monitor(&fleet.nodes[1], "a").await?;
    found(&fleet.nodes[1], "c").await?;
    drop(client);
    loop {
        let (name, _, down) = events.next().await?;
        if name == "down" {
            ensure!(down["reason"] == "unregistered", "{down}");
            break;
        }
        ensure!(name == "up", "{name} {down}");
    }
    gone(&fleet.nodes[0], "b").await?;
    ensure!(
        found(&fleet.nodes[0], "c").await?["state"] == "up",
        "the others stay"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_a_process_on_another_node_by_force_if_need_be() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(2)?;
    for node in &mut fleet.nodes {
        let file = std::fs::read_to_string(node.config())?;
        std::fs::write(
            node.config(),
            format!("{file}[processes]\nkill_after = \"300ms\"\n"),
        )?;
        node.start()?;
    }
    fleet.whole().await?;
    let leader = Sleeper::start()?;
    let (mut meek, mut deaf) = (
        Sleeper::start()?,
        Sleeper::run(
            "trap '' TERM; while :; do read \
        line; done",
        )?,
    );
    register(&fleet.nodes[0], "leader", json!({ "pid": leader.pid() })).await?;
    found(&fleet.nodes[1], "leader").await?;
    for (name, pid) in [("meek", meek.pid()), ("deaf", deaf.pid())] {
        register(&fleet.nodes[1], name, json!({ "pid": pid })).await?;
        let linked = fleet.nodes[1]
            .call("PUT", &format!("/v1/processes/{name}/links/leader"), None)
            .await?;
        ensure!(linked.status == 204, "{linked:?}");
    }
    let links = fleet.nodes[1].get("/v1/processes/meek/links").await?.json();
    ensure!(
        items(&links).len() == 1 && items(&links)[0]["unreachable"] == false,
        "{links}"
    );
    // A link outlives the daemon that keeps it.
    fleet.nodes[1].kill()?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    leader.signal(Signal::KILL)?;
    ensure!(meek.ended().await?.signal() == Some(15), "it gets SIGTERM");
    ensure!(
        deaf.ended().await?.signal() == Some(9),
        "and SIGKILL when that does not help"
    );
    gone(&fleet.nodes[0], "deaf").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_waits_for_an_end_unless_told_otherwise() -> anyhow::Result<()> {
    let fleet = Fleet::started(3).await?;
    let leader = Sleeper::start()?;
    let (patient, mut hasty) = (Sleeper::start()?, Sleeper::start()?);
    register(&fleet.nodes[2], "leader", json!({ "pid": leader.pid() })).await?;
    found(&fleet.nodes[0], "leader").await?;
    for (name, pid, query) in [
        ("patient", patient.pid(), ""),
        ("hasty", hasty.pid(), "?unreachable=true"),
    ] {
        register(&fleet.nodes[0], name, json!({ "pid": pid })).await?;
        let linked = fleet.nodes[0]
            .call(
                "PUT",
                &format!("/v1/processes/{name}/links/leader{query}"),
                None,
            )
            .await?;
        ensure!(linked.status == 204, "{linked:?}");
    }
    fleet.split(&[2]).await?;
    ensure!(hasty.ended().await?.signal() == Some(15));
    ensure!(found(&fleet.nodes[0], "patient").await?["state"] == "up");
    fleet.split(&[]).await?;
    fleet.whole().await?;
    stands(&fleet.nodes[0], "leader", "up").await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    ensure!(found(&fleet.nodes[0], "patient").await?["state"] == "up");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_taken_on_two_sides_has_one_winner_and_its_loser_gets_it_back() -> anyhow::Result<()>
{
    let fleet = Fleet::started(3).await?;
    let (one, other) = (Sleeper::start()?, Sleeper::start()?);
    fleet.split(&[2]).await?;
    eventually("n1 does not see n3", async || {
        let partition = fleet.nodes[0].get("/v1/partition").await?.json();
        ensure!(partition["verdict"] == "majority", "{partition}");
        Ok(())
    })
    .await?;
    let first = register(&fleet.nodes[0], "leader", json!({ "pid": one.pid() })).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = register(&fleet.nodes[2], "leader", json!({ "pid": other.pid() })).await?;
    fleet.split(&[]).await?;
    fleet.whole().await?;
    for node in &fleet.nodes {
        let process = stands(node, "leader", "contested").await?;
        let mut both = vec![process["handle"].clone(), process["others"][0].clone()];
        both.sort_by_key(ToString::to_string);
        ensure!(both == [json!(first), json!(second)], "{process}");
        ensure!(process["handle"] == first, "{process}");
    }
    one.signal(Signal::KILL)?;
    for node in &fleet.nodes {
        let process = stands(node, "leader", "up").await?;
        ensure!(process["handle"] == second, "{process}");
    }
    Ok(())
}
