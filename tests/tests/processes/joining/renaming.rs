//! Nodes that get another name and keep their id and their data.

use super::{Hosts, invite, joining, whole, words};
use crate::fleet::{Node, eventually, items};
use anyhow::ensure;

async fn id(node: &Node) -> anyhow::Result<String> {
    let info = node.get("/v1/node").await?.json();
    Ok(info["id"].as_str().unwrap_or_default().to_owned())
}

/// Waits until a node knows a member by that name only.
async fn is_known_as(node: &Node, name: &str, member: &str) -> anyhow::Result<()> {
    eventually(&format!("{} knows it as {name}", node.name), async || {
        let members = node.get("/v1/members").await?.json();
        let same: Vec<_> = items(&members)
            .iter()
            .filter(|one| one["id"] == member)
            .collect();
        ensure!(same.len() == 1 && same[0]["name"] == name, "{members}");
        ensure!(same[0]["state"] == "alive", "{members}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_renamed_and_keeps_its_id_and_its_data() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let beta = hosts.further("beta", &alpha)?;
    let mut gamma = hosts.further("gamma", &alpha)?;
    whole(&[&alpha, &beta, &gamma]).await?;
    let before = id(&gamma).await?;
    gamma.add("chores", "feed the cat").await?;

    // As a new host it is refused, and hears what to do; a name of another node is refused, too.
    let token = invite(&alpha, &[])?;
    let again = joining(&gamma, &alpha, &token).output()?;
    ensure!(again.status.code() == Some(4), "{}", words(&again));
    ensure!(words(&again).contains("--rename"), "{}", words(&again));
    gamma.name = "beta".to_owned();
    let taken = joining(&gamma, &alpha, &token).arg("--rename").output()?;
    ensure!(taken.status.code() == Some(4), "{}", words(&taken));
    ensure!(
        words(&taken).contains("the name beta is taken"),
        "{}",
        words(&taken)
    );

    // By a node that is no authority, while the daemon runs.
    gamma.name = "delta".to_owned();
    let renamed = joining(&gamma, &beta, &token).arg("--rename").output()?;
    ensure!(renamed.status.success(), "{}", words(&renamed));
    let said = words(&renamed);
    ensure!(said.contains("gamma is renamed delta by alpha"), "{said}");
    ensure!(said.contains("restart it"), "{said}");
    gamma.kill()?;
    gamma.start()?;
    for node in [&alpha, &beta, &gamma] {
        is_known_as(node, "delta", &before).await?;
    }
    ensure!(id(&gamma).await? == before);
    let entries = gamma.get("/v1/lists/chores/entries").await?.json();
    ensure!(items(&entries)[0]["title"] == "feed the cat", "{entries}");
    gamma.add("chores", "feed the dog").await?;

    // The earlier name is free.
    let mut other = hosts.bare("other")?;
    other.name = "gamma".to_owned();
    let joined = joining(&other, &alpha, &invite(&alpha, &[])?).output()?;
    ensure!(joined.status.success(), "{}", words(&joined));
    other.start()?;
    whole(&[&alpha, &beta, &gamma, &other]).await?;
    let used = alpha.get("/v1/invitations").await?.json();
    ensure!(used.to_string().contains("\"delta\""), "{used}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_no_node_cannot_be_renamed() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let token = invite(&alpha, &[])?;
    let beta = hosts.bare("beta")?;
    let refused = joining(&beta, &alpha, &token).arg("--rename").output()?;
    super::is_refused(&beta, &refused, 4, "this host is no node yet")
}

/// By the authority's own key, without a token.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_authority_issues_another_name_for_a_node() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let mut alpha = hosts.first("alpha")?;
    let before = id(&alpha).await?;
    alpha.add("chores", "feed the cat").await?;
    alpha.kill()?;
    let ca = alpha.dir.join("ca");
    let out = hosts.dir.path().join("new");
    let issue = |args: &[&str]| {
        std::process::Command::new(crate::fleet::program("muster"))
            .args([&["pki", "issue"], args].concat())
            .arg("--dir")
            .arg(&ca)
            .arg("--out")
            .arg(&out)
            .output()
    };
    let unknown = issue(&["omega", "--rename", "nobody"])?;
    ensure!(unknown.status.code() == Some(3), "{}", words(&unknown));
    let issued = issue(&["omega", "--rename", "alpha"])?;
    ensure!(issued.status.success(), "{}", words(&issued));
    for file in ["ca.pem", "node.pem", "node.key"] {
        std::fs::copy(out.join(file), alpha.data.join("tls").join(file))?;
    }
    alpha.start()?;
    let info = alpha.get("/v1/node").await?.json();
    ensure!(info["name"] == "omega" && info["id"] == before, "{info}");
    let entries = alpha.get("/v1/lists/chores/entries").await?.json();
    ensure!(items(&entries)[0]["title"] == "feed the cat", "{entries}");
    Ok(())
}
