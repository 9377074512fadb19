//! A new host whose `muster join` is ended half way.

use super::{Hosts, invite, is_refused, join, joining, whole, words};
use crate::fleet::{Node, eventually, items, program};
use anyhow::ensure;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a host has on its disk that got its certificate, and was ended before it wrote that.
fn without_certificate(node: &Node) -> anyhow::Result<()> {
    let begun = node.data.join("joining");
    std::fs::create_dir_all(&begun)?;
    std::fs::rename(node.data.join("tls/node.key"), begun.join("node.key"))?;
    std::fs::remove_dir_all(node.data.join("tls"))?;
    Ok(())
}

async fn uses(of: &Node) -> anyhow::Result<usize> {
    let told = of.get("/v1/invitations").await?.json();
    let used = items(&told).iter().filter_map(|one| one["used"].as_array());
    Ok(used.map(Vec::len).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_was_ended_half_way_goes_on_with_the_same_token() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let token = invite(&alpha, &[])?;
    let mut beta = hosts.bare("beta")?;
    let bare = std::fs::read_to_string(beta.config())?;
    let first = join(&beta, &alpha, &token)?;
    ensure!(first.status.success(), "{}", words(&first));
    let configured = std::fs::read_to_string(beta.config())?;

    // Before its certificate was written, then before the configuration was, then before the end.
    let again = |config: &str| -> anyhow::Result<()> {
        std::fs::write(beta.config(), config)?;
        let joined = join(&beta, &alpha, &token)?;
        ensure!(joined.status.success(), "{}", words(&joined));
        ensure!(!beta.data.join("joining").exists());
        Ok(())
    };
    without_certificate(&beta)?;
    again(&bare)?;
    for config in [&bare, &configured] {
        copy_key(&beta.data)?;
        again(config)?;
    }
    ensure!(uses(&alpha).await? == 1, "the token was used once");
    beta.start()?;
    whole(&[&alpha, &beta]).await
}

fn copy_key(data: &Path) -> anyhow::Result<()> {
    let begun = data.join("joining");
    std::fs::create_dir_all(&begun)?;
    std::fs::copy(data.join("tls/node.key"), begun.join("node.key"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_has_begun_to_join_founds_no_cluster_of_its_own() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let beta = hosts.bare("beta")?;
    std::fs::create_dir_all(beta.data.join("joining"))?;
    let founded = Command::new(program("muster"))
        .args(["init", "--name", "beta", "--config"])
        .arg(beta.config())
        .output()?;
    ensure!(founded.status.code() == Some(4), "{}", words(&founded));
    ensure!(
        words(&founded).contains("has begun to join"),
        "{}",
        words(&founded)
    );
    Ok(())
}

/// The key that a host makes before it asks is there when it is ended while it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_ended_while_it_asks_keeps_its_key() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let token = invite(&alpha, &[])?;
    let mut beta = hosts.bare("beta")?;
    // Nobody answers there, so that it waits.
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let mut waiting = Command::new(program("muster"))
        .args(["join", &deaf.local_addr()?.to_string(), "--token", &token])
        .args(["--name", "beta", "--config"])
        .arg(beta.config())
        .spawn()?;
    let key = beta.data.join("joining/node.key");
    eventually("its key is there", async || {
        ensure!(key.exists());
        Ok(())
    })
    .await?;
    let made = std::fs::read(&key)?;
    waiting.kill()?;
    waiting.wait()?;
    ensure!(
        key.exists(),
        "it was ended before it could take its key away"
    );
    let joined = join(&beta, &alpha, &token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    ensure!(std::fs::read(beta.data.join("tls/node.key"))? == made);
    beta.start()?;
    whole(&[&alpha, &beta]).await
}

/// The second one neither takes the first one's place nor loses what it makes when the first one fails.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_host_joins_it_is_not_made_a_node_in_another_way() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let token = invite(&alpha, &[])?;
    let beta = hosts.bare("beta")?;
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let mut nobody = hosts.bare("nobody")?;
    nobody.address = deaf.local_addr()?;
    let waiting = joining(&beta, &nobody, &token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let key = beta.data.join("joining/node.key");
    eventually("the first one waits", async || {
        ensure!(key.exists());
        Ok(())
    })
    .await?;
    let made = std::fs::read(&key)?;
    let refused = |output: &Output| -> anyhow::Result<()> {
        let said = words(output);
        ensure!(output.status.code() == Some(4), "{said}");
        ensure!(said.contains("is at work in"), "{said}");
        ensure!(said.trim().lines().count() == 1, "{said}");
        ensure!(std::fs::read(&key)? == made, "{said}");
        Ok(())
    };
    refused(&join(&beta, &alpha, &token)?)?;
    let founded = Command::new(program("muster"))
        .args(["init", "--name", "beta", "--config"])
        .arg(beta.config())
        .output()?;
    refused(&founded)?;
    let first = waiting.wait_with_output()?;
    is_refused(&beta, &first, 1, "nobody answers at 127.0.0.1:")?;
    let joined = join(&beta, &alpha, &token)?;
    ensure!(joined.status.success(), "{}", words(&joined));
    Ok(())
}
