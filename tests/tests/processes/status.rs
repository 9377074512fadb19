//! `muster status`: a node on one screen, and what needs somebody.

use crate::fleet::{Fleet, Node, eventually, items};
use crate::http::Client;
use anyhow::{Context, ensure};
use serde_json::Value;

/// The status, without what may truly be said of the disk of the machine that runs this.
async fn status(node: &Node) -> anyhow::Result<Value> {
    let answer = node.get("/v1/status").await?;
    ensure!(answer.status == 200, "{answer:?}");
    let mut status = answer.json();
    let attention = status["attention"].as_array_mut().context("no attention")?;
    attention.retain(|finding| {
        !finding["what"]
            .as_str()
            .is_some_and(|what| what.contains("disk"))
    });
    Ok(status)
}

fn printed(node: &Node) -> anyhow::Result<String> {
    let output = node.muster(&["status"])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_what_is_well_and_then_what_is_not() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(3).await?;
    fleet.nodes[0].add("groceries", "milk").await?;
    let well = status(&fleet.nodes[0]).await?;
    ensure!(
        well["attention"].as_array().is_some_and(Vec::is_empty),
        "{well}"
    );
    ensure!(
        well["members"]["alive"] == 3
            && well["lists"]["known"] == 1
            && well["store"]["writable"] == true,
        "{well}"
    );
    ensure!(
        well["store"]["sync_p99_ms"].as_f64() >= well["store"]["sync_p50_ms"].as_f64(),
        "{well}"
    );
    ensure!(
        well["certificates"]
            .as_array()
            .is_some_and(|all| all.len() == 2),
        "{well}"
    );
    let text = printed(&fleet.nodes[0])?;
    ensure!(
        text.contains("cluster\tcomplete, 3 of 3, since ") && !text.contains(" is down"),
        "{text}"
    );
    fleet.nodes[2].kill()?;
    let node = &fleet.nodes[0];
    eventually(
        "the status says that n3 is down and what to do",
        async || {
            let now = status(node).await?;
            let finding = now["attention"].get(0).cloned().unwrap_or_default();
            ensure!(
                finding["what"] == "n3 is down" && finding["severity"] == "warning",
                "{now}"
            );
            ensure!(
                finding["do"]
                    .as_str()
                    .is_some_and(|text| text.contains("muster forget n3")),
                "{finding}"
            );
            ensure!(printed(node)?.contains("attention\twarning\tn3 is down\t"));
            Ok(())
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lags_is_named() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (one, other) = (&fleet.nodes[0], &fleet.nodes[1]);
    // What was pushed is not taken: the other one's lists stand still, its membership does not.
    let hang = serde_json::json!({ "part": "store", "ms": 20_000 });
    ensure!(
        other
            .call("PUT", "/v1/debug/hang", Some(&hang))
            .await?
            .status
            == 204
    );
    one.add("groceries", "milk").await?;
    eventually("the list that lags is named", async || {
        let lists = status(one).await?["lists"].clone();
        ensure!(
            lists["differing"] == 1
                && lists["lagging"][0]["name"] == "groceries"
                && lists["lagging"][0]["member"] == "n2",
            "{lists}"
        );
        Ok(())
    })
    .await?;
    fleet.agree().await?;
    eventually("it lags no more", async || {
        let lists = status(one).await?["lists"].clone();
        ensure!(
            lists["differing"] == 0
                && items(&serde_json::json!({ "items": lists["lagging"] })).is_empty(),
            "{lists}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_reads_may_ask_for_it() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let created = node
        .call(
            "POST",
            "/v1/tokens",
            Some(&serde_json::json!({ "scope": "read" })),
        )
        .await?
        .json();
    let bearer = format!("Bearer {}", created["token"].as_str().context("no token")?);
    let listener = status(node).await?["node"]["http"]
        .as_str()
        .context("no listener")?
        .to_owned();
    let mut client = Client::connect_tcp(&listener).await?;
    ensure!(client.call("GET", "/v1/status", None).await?.status == 401);
    let answer = client
        .call_with("GET", "/v1/status", None, &[("authorization", &bearer)])
        .await?;
    ensure!(
        answer.status == 200 && answer.json()["node"]["name"] == "n1",
        "{answer:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_program_has_is_told_and_tried_again() -> anyhow::Result<()> {
    let mut fleet = Fleet::started(1).await?;
    let node = &mut fleet.nodes[0];
    node.stop()?;
    let squatter = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = squatter.local_addr()?.to_string();
    let config = std::fs::read_to_string(node.config())?;
    std::fs::write(node.config(), config.replace("127.0.0.1:0", &address))?;
    node.start()?;

    // The node works, and says what is missing.
    node.add("groceries", "milk").await?;
    let now = status(node).await?;
    ensure!(now["node"]["http"].is_null(), "{now}");
    let finding = &now["attention"][0];
    ensure!(
        finding["severity"] == "critical"
            && finding["what"]
                .as_str()
                .is_some_and(|what| what.contains(&address)),
        "{now}"
    );
    let refused = node.muster(&["web"])?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        !refused.status.success() && words.contains(&address),
        "{words}"
    );

    drop(squatter);
    eventually("the node has its port", async || {
        let now = status(node).await?;
        ensure!(now["node"]["http"] == address.as_str(), "{now}");
        ensure!(now["attention"] == serde_json::json!([]), "{now}");
        Ok(())
    })
    .await?;
    let mut client = Client::connect_tcp(&address).await?;
    let answer = client.call("GET", "/healthz", None).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}
