//! The contract with clients, against a running node: `operations` has every path and status,
//! `commands` every command with its exit code; here is what takes more than one request.

mod commands;
mod operations;

use crate::fleet::{Fleet, items};
use crate::http::Client;
use anyhow::{Context, ensure};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn writes_name_their_change_and_tags_guard_against_what_was_not_seen() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let mut client = Client::connect(&fleet.nodes[0].socket()).await?;
    let added = client
        .call(
            "POST",
            "/v1/lists/bob/entries",
            Some(&json!({ "title": "a" })),
        )
        .await?;
    ensure!(added.header("muster-change").len() == 64, "{added:?}");
    let path = format!(
        "/v1/lists/bob/entries/{}",
        added.json()["id"].as_str().context("no id")?
    );
    let tag = client
        .call("GET", &path, None)
        .await?
        .header("etag")
        .to_owned();
    let first = client
        .call_with(
            "PATCH",
            &path,
            Some(&json!({ "title": "b" })),
            &[("if-match", &tag)],
        )
        .await?;
    ensure!(
        first.status == 200 && first.header("muster-change").len() == 64,
        "{first:?}"
    );
    let second = client
        .call_with(
            "PATCH",
            &path,
            Some(&json!({ "title": "c" })),
            &[("if-match", &tag)],
        )
        .await?;
    ensure!(second.status == 412, "{second:?}");
    ensure!(client.call("GET", &path, None).await?.json()["title"] == "b");
    let whom = client.call("GET", &path, None).await?.json()["created_by"].clone();
    ensure!(
        whom.as_str().is_some_and(|author| author.ends_with("@n1")),
        "{whom}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_everything_once() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let many: Vec<Value> = (0..250)
        .map(|number| json!({ "title": format!("entry {number:03}") }))
        .collect();
    ensure!(
        node.call(
            "POST",
            "/v1/lists/many/entries",
            Some(&json!({ "entries": many }))
        )
        .await?
        .status
            == 201
    );
    let (mut titles, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = node
            .get(&format!("/v1/lists/many/entries?limit=37{cursor}"))
            .await?
            .json();
        let start = titles.len();
        for (offset, entry) in items(&page).iter().enumerate() {
            ensure!(entry["position"] == start + offset, "{entry}");
            titles.push(entry["title"].as_str().unwrap_or_default().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..250)
        .map(|number| format!("entry {number:03}"))
        .collect();
    ensure!(titles == expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_routes_of_elixir_in_action_work_on_an_open_listener() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let listener = node.get("/v1/node").await?.json()["http"]
        .as_str()
        .context("no listener")?
        .to_owned();
    let curl = |args: &[&str]| {
        crate::fleet::run(
            std::process::Command::new("curl")
                .args(["-s", "--max-time", "10"])
                .args(args),
        )
    };
    let base = format!("http://{listener}");
    ensure!(
        curl(&[
            "-X",
            "POST",
            &format!("{base}/add_entry?list=bob&date=2018-12-19&title=Dentist")
        ])?
        .trim()
            == "OK"
    );
    ensure!(
        curl(&[&format!("{base}/entries?list=bob&date=2018-12-19")])?.trim()
            == "2018-12-19 Dentist"
    );
    ensure!(curl(&[&format!("{base}/entries?list=nobody&date=2018-12-19")])?.is_empty());
    let status = |args: &[&str]| curl(&[&["-o", "/dev/null", "-w", "%{http_code}"], args].concat());
    ensure!(
        status(&[&format!("{base}/v1/lists")])? == "401",
        "the API needs a token there"
    );
    ensure!(
        status(&["-H", "Host: evil.example", &format!("{base}/healthz")])? != "200",
        "a foreign Host"
    );
    ensure!(
        status(&[
            "-H",
            "Origin: http://evil.example",
            &format!("{base}/entries?list=bob&date=2018-12-19")
        ])? == "403"
    );
    ensure!(status(&[&format!("{base}/healthz")])? == "200");
    ensure!(curl(&[&format!("{base}/metrics")])?.contains("muster_cluster_expected_members 1"));
    Ok(())
}
