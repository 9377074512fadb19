//! Certificates that are renewed while their node runs.

use super::{Hosts, whole};
use crate::fleet::eventually;
use anyhow::ensure;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_without_a_restart() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let alpha = hosts.first("alpha")?;
    let beta = hosts.further("beta", &alpha)?;
    whole(&[&alpha, &beta]).await?;
    let before = std::fs::read(beta.data.join("tls/node.pem"))?;
    let key = std::fs::read(beta.data.join("tls/node.key"))?;
    for node in [&beta, &alpha] {
        let renewed = node.call("POST", "/v1/authority/renew", None).await?;
        ensure!(renewed.status == 200, "{renewed:?}");
        ensure!(renewed.json()["by"] == "alpha", "{renewed:?}");
    }
    let after = std::fs::read(beta.data.join("tls/node.pem"))?;
    ensure!(before != after && key == std::fs::read(beta.data.join("tls/node.key"))?);
    let info = beta.get("/v1/node").await?.json();
    ensure!(info["pid"] == json!(beta.pid()), "it was not restarted");
    // New connections are made with what is in force now.
    let gamma = hosts.further("gamma", &alpha)?;
    whole(&[&alpha, &beta, &gamma]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_by_itself_at_two_thirds_of_its_life() -> anyhow::Result<()> {
    let hosts = Hosts::new()?;
    let mut alpha = hosts.made("alpha")?;
    // It began a day ago, and ends in an hour.
    let (ca, tls) = (alpha.dir.join("ca"), alpha.data.join("tls"));
    let hour = std::time::Duration::from_secs(3600);
    let short = pki::renew(&ca, "alpha", &tls, hour)?;
    alpha.start()?;
    eventually("it has a new one", async || {
        let told = alpha.get("/v1/status").await?.json();
        let expires = told["certificates"][0]["expires_at"].to_string();
        ensure!(
            alpha.log().contains("this node's certificate was renewed"),
            "{expires}"
        );
        Ok(())
    })
    .await?;
    let files = ["ca.pem", "node.pem", "node.key"].map(|file| tls.join(file));
    let identity = pki::Identity::load(&files[0], &files[1], &files[2])?;
    ensure!(identity.not_after() > short.not_after + 300 * 24 * 3600);
    Ok(())
}
