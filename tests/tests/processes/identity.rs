//! Who may be which node: directories, clones, certificates.

use crate::fleet::{Fleet, eventually, items, program, run};
use anyhow::{Context, ensure};
use names::Role;
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_a_directory_is_refused_in_words() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let second = Command::new(program("musterd"))
        .arg("--config")
        .arg(node.config())
        .output()?;
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(!second.status.success(), "{words}");
    let pid = node.pid().context("it runs")?.to_string();
    ensure!(
        words.contains(&node.data.display().to_string()) && words.contains(&pid),
        "{words}"
    );
    ensure!(
        node.get("/v1/node").await?.status == 200,
        "the first one must go on"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced_while_the_cluster_runs() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    let authority = fleet.dir.path().join("ca");
    fleet.nodes[0]
        .add("groceries", "by the first authority")
        .await?;
    fleet.agree().await?;
    run(Command::new(program("muster"))
        .args(["pki", "rotate", "--dir"])
        .arg(&authority))?;
    for node in &fleet.nodes {
        std::fs::copy(authority.join("ca.pem"), node.dir.join("tls/ca.pem"))?;
        ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
    }
    let early = Command::new(program("muster"))
        .args(["pki", "retire", "--dir"])
        .arg(&authority)
        .output()?;
    let said = String::from_utf8_lossy(&early.stderr).into_owned();
    ensure!(
        early.status.code() == Some(4) && said.contains("certificates of n1, n2 that"),
        "{said}"
    );
    for node in &fleet.nodes {
        fleet.renew(node, 730)?;
        ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
        // New connections are made with what is in force now.
        fleet.split(&[0]).await?;
        eventually("they are apart", async || {
            let partition = node.get("/v1/partition").await?.json();
            ensure!(partition["verdict"] != "whole", "{partition}");
            Ok(())
        })
        .await?;
        fleet.split(&[]).await?;
        fleet.whole().await?;
    }
    // Who joins when only the new one is trusted can still check whose the old changes are.
    run(Command::new(program("muster"))
        .args(["pki", "retire", "--dir"])
        .arg(&authority))?;
    for node in &fleet.nodes {
        std::fs::copy(authority.join("ca.pem"), node.dir.join("tls/ca.pem"))?;
        ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
    }
    fleet.add("late")?.start()?;
    fleet.whole().await?;
    fleet.agree().await?;
    let late = &fleet.nodes[2];
    ensure!(late.entries("groceries").await?.len() == 1);
    let history = late.get("/v1/lists/groceries/history").await?.json();
    ensure!(
        history["items"][0]["node"] == fleet.nodes[0].name,
        "{history}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloned_data_directory_stops_its_daemon_in_words() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[1].add("groceries", "bread").await?;
    fleet.agree().await?;
    // The clone: the same identity and the same data, taken while the original runs.
    let clone = fleet.add("clone")?;
    let (dir, data) = (clone.dir.clone(), clone.data.clone());
    copy(&fleet.nodes[1].data, &data)?;
    copy(&fleet.nodes[1].dir.join("tls"), &dir.join("tls"))?;
    let clone = &mut fleet.nodes[3];
    if clone.start().is_ok() {
        ensure!(!clone.wait()?.success());
    }
    let log = clone.log();
    ensure!(log.contains("was cloned"), "{log}");
    fleet.nodes.pop();
    fleet.whole().await?;
    ensure!(fleet.nodes[1].entries("groceries").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_restored_from_a_backup_rejoins_and_gets_back_what_it_missed()
-> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[1].add("groceries", "before the backup").await?;
    fleet.agree().await?;
    fleet.nodes[1].stop()?;
    let backup = fleet.dir.path().join("backup");
    copy(&fleet.nodes[1].data, &backup)?;
    for round in 0..3 {
        fleet.nodes[1].start()?;
        fleet.nodes[1]
            .add("groceries", &format!("after the backup {round}"))
            .await?;
        fleet.agree().await?;
        fleet.nodes[1].stop()?;
    }
    std::fs::remove_dir_all(&fleet.nodes[1].data)?;
    copy(&backup, &fleet.nodes[1].data)?;
    fleet.nodes[1].start()?;
    fleet.whole().await?;
    fleet.nodes[1].add("groceries", "after the restore").await?;
    fleet.agree().await?;
    for node in &fleet.nodes {
        ensure!(node.entries("groceries").await?.len() == 5, "{}", node.name);
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    run(Command::new("cp")
        .arg("-a")
        .arg(format!("{}/.", from.display()))
        .arg(to))
    .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_refused_and_seen_by_nobody() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    run(Command::new(program("muster"))
        .args(["pki", "init", "--dir"])
        .arg(fleet.dir.path().join("other-ca")))?;
    fleet.add("stranger")?;
    let tls = fleet.nodes[2].dir.join("tls");
    std::fs::remove_dir_all(&tls)?;
    fleet.issue("other-ca", ("stranger", Role::Member), &tls)?;
    fleet.nodes[2].start()?;
    let address = fleet.nodes[0].address.to_string();
    let joined = fleet.nodes[2]
        .call(
            "POST",
            "/v1/members/join",
            Some(&serde_json::json!({ "addresses": [address] })),
        )
        .await?;
    ensure!(
        joined.json()["items"][0]["result"] == "refused",
        "{joined:?}"
    );
    let members = fleet.nodes[0].get("/v1/members").await?.json();
    ensure!(items(&members).len() == 2, "{members}");
    let alone = fleet.nodes[2].get("/v1/members").await?.json();
    ensure!(items(&alone).len() == 1, "{alone}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_bears_anothers_name_is_refused_in_words() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(2).await?;
    fleet.add("n3")?;
    // The same authority, but its record of issued names is gone: it issues the name a second time.
    let (ca, copy_dir) = (fleet.dir.path().join("ca"), fleet.dir.path().join("ca2"));
    std::fs::create_dir(&copy_dir)?;
    run(Command::new("cp")
        .arg(ca.join("ca.pem"))
        .arg(ca.join("ca.key"))
        .arg(&copy_dir))?;
    run(Command::new("chmod").arg("700").arg(&copy_dir))?;
    let tls = fleet.nodes[2].dir.join("tls");
    std::fs::remove_dir_all(&tls)?;
    fleet.issue("ca2", ("n2", Role::Member), &tls)?;
    let twin = &mut fleet.nodes[2];
    if twin.start().is_ok() {
        ensure!(!twin.wait()?.success());
    }
    ensure!(twin.log().contains("n2"), "{}", twin.log());
    fleet.nodes.pop();
    fleet.whole().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_refused_in_words() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(1)?;
    let key = fleet.nodes[0].dir.join("tls/node.key");
    run(Command::new("chmod").arg("644").arg(&key))?;
    let error = format!(
        "{:#}",
        fleet.nodes[0].start().err().context("it must not start")?
    );
    ensure!(error.contains("node.key"), "{error}");
    run(Command::new("chmod").arg("600").arg(&key))?;
    fleet.nodes[0].start()?;
    eventually("it runs", async || fleet.nodes[0].get("/v1/node").await)
        .await
        .map(drop)
}
