//! Tokens from their making to their end.

use super::{Token, call, create, tcp};
use crate::fleet::{Fleet, Node, items};
use crate::http::Client;
use anyhow::{Context, ensure};
use serde_json::json;

async fn revoke(node: &Node, id: &str) -> anyhow::Result<u16> {
    Ok(node
        .call("DELETE", &format!("/v1/tokens/{id}"), None)
        .await?
        .status)
}

/// Opens a stream. The task gives how many bytes came after the first ones until the stream ended.
async fn follow(
    node: &Node,
    token: &Token,
) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<usize>>> {
    use http_body_util::BodyExt;
    let mut client = tcp(node).await?;
    let bearer = format!("Bearer {}", token.text);
    let mut response = client
        .open("GET", "/v1/events", None, &[("authorization", &bearer)])
        .await?;
    ensure!(response.status() == 200, "{response:?}");
    response.body_mut().frame().await.context("a snapshot")??;
    Ok(tokio::spawn(async move {
        let _client = client;
        let mut rest = 0;
        while let Some(frame) = response.body_mut().frame().await {
            rest += frame?.data_ref().map_or(0, bytes::Bytes::len);
        }
        Ok(rest)
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let (revoked, expiring, other) = (
        create(node, "read", "1h").await?,
        create(node, "read", "3s").await?,
        create(node, "read", "1h").await?,
    );
    let (first, second, third) = (
        follow(node, &revoked).await?,
        follow(node, &expiring).await?,
        follow(node, &other).await?,
    );
    ensure!(revoke(node, &revoked.id).await? == 204);
    tokio::time::timeout(crate::fleet::PATIENCE, first)
        .await
        .context("the revoked token's stream goes on")???;
    tokio::time::timeout(crate::fleet::PATIENCE, second)
        .await
        .context("the expired token's stream goes on")???;
    ensure!(!third.is_finished(), "another token's stream ended");
    ensure!(revoke(node, &other.id).await? == 204);
    third.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_survive_a_restart_and_revoked_ones_do_not() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    let (kept, gone) = (
        create(node, "read", "1h").await?,
        create(node, "read", "1h").await?,
    );
    ensure!(revoke(node, &gone.id).await? == 204 && revoke(node, &gone.id).await? == 404);
    node.kill()?;
    node.start()?;
    let mut client = tcp(node).await?;
    ensure!(
        call(&mut client, &kept.text, "GET", "/v1/node", None)
            .await?
            .status
            == 200
    );
    ensure!(
        call(&mut client, &gone.text, "GET", "/v1/node", None)
            .await?
            .status
            == 401
    );
    let listed = node.get("/v1/tokens").await?;
    let items = items(&listed.json()).to_vec();
    ensure!(
        items.len() == 1 && items[0]["id"] == kept.id.as_str(),
        "{listed:?}"
    );
    ensure!(
        !listed.text.contains(&kept.text) && items[0].get("token").is_none(),
        "the token itself is told once"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_a_bounded_number_of_tokens() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let mut client = Client::connect(&node.socket()).await?;
    for _ in 0..100 {
        ensure!(
            client
                .call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
                .await?
                .status
                == 201
        );
    }
    let refused = client
        .call("POST", "/v1/tokens", Some(&json!({ "scope": "read" })))
        .await?;
    ensure!(
        refused.status == 429 && refused.text.contains("100 tokens"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_prints_a_token_that_works() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let output = node.muster(&["token", "create", "--scope", "read", "--ttl", "1h"])?;
    let printed = String::from_utf8(output.stdout)?;
    let token = printed.strip_suffix('\n').context("a line")?;
    let mut client = tcp(node).await?;
    ensure!(
        call(&mut client, token, "GET", "/v1/node", None)
            .await?
            .status
            == 200,
        "{printed:?}"
    );
    let listed = String::from_utf8(node.muster(&["token", "list"])?.stdout)?;
    let id = listed.split('\t').next().unwrap_or_default();
    ensure!(id.len() == 16 && token.contains(id), "{listed}");
    let short = id.get(10..).unwrap_or_default().to_uppercase();
    ensure!(
        node.muster(&["token", "revoke", &short])?.status.success(),
        "revoke {short}"
    );
    ensure!(
        call(&mut client, token, "GET", "/v1/node", None)
            .await?
            .status
            == 401
    );
    Ok(())
}
