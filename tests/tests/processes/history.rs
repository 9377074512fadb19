//! Who changed what, on every node; and a change that takes another one back.

use crate::fleet::{Fleet, Node, items};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

async fn post(node: &Node, what: &str, body: Value) -> anyhow::Result<(u16, Value)> {
    let path = format!("/v1/lists/bob/{what}");
    let answer = node.call("POST", &path, Some(&body)).await?;
    Ok((answer.status, answer.json()))
}

async fn history(node: &Node, query: &str) -> anyhow::Result<Value> {
    let answer = node.get(&format!("/v1/lists/bob/history{query}")).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.json())
}

fn summaries(page: &Value) -> Vec<&str> {
    let changes = items(page).iter();
    changes
        .filter_map(|change| change["summary"].as_str())
        .collect()
}

async fn titles(node: &Node) -> anyhow::Result<Vec<String>> {
    let answer = node.get("/v1/lists/bob/entries").await?.json();
    let titles = items(&answer).iter();
    Ok(titles
        .filter_map(|entry| Some(entry["title"].as_str()?.to_owned()))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_told_and_taken_back_on_any_node() -> anyhow::Result<()> {
    let fleet = Fleet::started(2).await?;
    let (n1, n2) = (&fleet.nodes[0], &fleet.nodes[1]);
    let milk = n1.add("bob", "milk").await?;
    n1.add("bob", "bread").await?;
    let path = format!("/v1/lists/bob/entries/{milk}");
    let body = json!({ "title": "oat milk" });
    ensure!(n1.call("PATCH", &path, Some(&body)).await?.status == 200);
    fleet.agree().await?;
    let told = history(n2, "").await?;
    ensure!(told == history(n1, "").await?, "{told}");
    let words = ["renamed milk to oat milk", "added bread", "added milk"];
    ensure!(summaries(&told) == words, "{told}");
    let renamed = &items(&told)[0];
    ensure!(renamed["node"] == "n1", "{renamed}");
    let by = renamed["by"].as_str().context("by")?;
    ensure!(by.ends_with("@n1") && !by.contains("says"), "{by}");
    let field = &renamed["entries"][0]["fields"][0];
    ensure!(field == &json!({ "field": "title", "old": "milk", "new": "oat milk" }));

    // Page by page, and of one entry.
    let first = history(n2, "?limit=2").await?;
    let next = first["next"].as_str().context("next")?;
    let last = history(n2, &format!("?limit=2&cursor={next}")).await?;
    ensure!(summaries(&first) == words[..2] && summaries(&last) == words[2..]);
    ensure!(last["next"].is_null(), "{last}");
    let of_milk = history(n2, &format!("?entry={milk}")).await?;
    ensure!(summaries(&of_milk) == [words[0], words[2]], "{of_milk}");

    // A change is undone by whoever likes, also where it was not made.
    let change = renamed["hash"].as_str().context("hash")?;
    let (status, undone) = post(n2, "undo", json!({ "change": change })).await?;
    ensure!(status == 200 && undone["entries"] == 1, "{undone}");
    ensure!(undone["change"] == change && undone["skipped"] == json!([]));
    fleet.agree().await?;
    ensure!(titles(n1).await? == ["milk", "bread"]);
    let told = history(n1, "?limit=1").await?;
    ensure!(items(&told)[0]["undoes"] == change, "{told}");
    ensure!(items(&told)[0]["node"] == "n2", "{told}");

    // A deleted list comes back whole by undoing one's last change.
    ensure!(n1.call("DELETE", "/v1/lists/bob", None).await?.status == 204);
    fleet.agree().await?;
    ensure!(n2.get("/v1/lists/bob").await?.status == 404);
    let (status, undone) = post(n1, "undo", json!({})).await?;
    ensure!(status == 200 && undone["entries"] == 2, "{undone}");
    fleet.agree().await?;
    ensure!(titles(n2).await? == ["milk", "bread"]);
    let (status, redone) = post(n1, "redo", json!({})).await?;
    ensure!(status == 200 && redone["entries"] == 2, "{redone}");
    ensure!(n1.get("/v1/lists/bob").await?.status == 404);

    // On n2 the only change was an undoing.
    let (status, nothing) = post(n2, "undo", json!({})).await?;
    ensure!(status == 404, "{nothing}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_the_history_and_undo_by_the_first_characters_of_a_hash() -> anyhow::Result<()>
{
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let milk = node.add("bob", "milk").await?;
    let run = |words: &[&str]| -> anyhow::Result<(i32, String)> {
        let done = node.muster(words)?;
        let code = done.status.code().context("a code")?;
        Ok((code, String::from_utf8(done.stdout)?))
    };
    ensure!(run(&["edit", "bob", &milk, "--title", "oat milk"])?.0 == 0);
    let (code, lines) = run(&["log", "bob"])?;
    let lines: Vec<&str> = lines.lines().collect();
    ensure!(code == 0 && lines.len() == 2, "{lines:?}");
    ensure!(
        lines[0].ends_with("\trenamed milk to oat milk"),
        "{lines:?}"
    );
    let added = lines[1].split('\t').nth(2).context("a hash")?;
    let (code, shown) = run(&["show", "bob", "--at", &added[..12]])?;
    ensure!(
        code == 0 && shown.contains("milk") && !shown.contains("oat"),
        "{shown}"
    );
    let renamed = lines[0].split('\t').nth(2).context("a hash")?;
    let (code, words) = run(&["undo", "bob", &renamed[..12]])?;
    ensure!(code == 0 && words.contains("in 1 entry"), "{words}");
    ensure!(titles(node).await? == ["milk"]);
    ensure!(run(&["redo", "bob"])?.0 == 0);
    ensure!(titles(node).await? == ["oat milk"]);
    // What was changed since stays, and is told.
    ensure!(run(&["edit", "bob", &milk, "--title", "soy milk"])?.0 == 0);
    let (code, words) = run(&["undo", "bob", &renamed[..12]])?;
    ensure!(code == 4 && words.contains("title of"), "{code} {words}");
    let (_, all) = run(&["show", "bob", &milk])?;
    let has = |line: &str| all.lines().any(|one| one == line);
    ensure!(
        has("title\t[ ] soy milk") && has(&format!("id\t{milk}")),
        "{all}"
    );
    ensure!(all.contains("\trenamed oat milk to soy milk\n"), "{all}");
    ensure!(run(&["log", "bob", &milk, "-n", "1"])?.1.lines().count() == 1);
    ensure!(run(&["undo", "bob", "ffffffffffff"])?.0 == 3);
    Ok(())
}
