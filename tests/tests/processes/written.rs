//! What people write, in titles and in names of lists.

use crate::fleet::{Fleet, Node};
use anyhow::ensure;
use serde_json::json;

const FAMILY: &str = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
const PERSIAN: &str = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}";

/// The exit code of adding to a list of that name, and what it says.
fn add(node: &Node, list: &str, more: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let output = node.muster(&[&["add", list, "x"], more].concat())?;
    let words = String::from_utf8(output.stderr)?;
    Ok((output.status.code(), words))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_comes_back_as_it_was_written() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let title = format!("{FAMILY} cut\u{ad}ting {PERSIAN}");
    let fields = ["--tag", FAMILY, "--assignee", PERSIAN, "--note", &title];
    let output = node.muster(&[&["add", FAMILY, &title], &fields[..]].concat())?;
    ensure!(output.status.success(), "{output:?}");
    let entries = node.entries(FAMILY).await?;
    ensure!(entries[0]["title"] == title.as_str(), "{entries:?}");
    ensure!(entries[0]["tags"] == json!([FAMILY]), "{entries:?}");
    ensure!(entries[0]["assignee"] == PERSIAN, "{entries:?}");
    let shown = String::from_utf8(node.muster(&["show", FAMILY])?.stdout)?;
    ensure!(shown.contains(&title), "{shown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_is_created_by_a_name_that_looks_like_another() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    for name in ["\u{3164}", "\u{2800}", "admin\u{fe0f}", "ad\u{200d}min"] {
        let (code, words) = add(node, name, &[])?;
        ensure!(code == Some(2), "{name:?}: {code:?} {words}");
    }
    let without_joiner = PERSIAN.replace('\u{200c}', "");
    ensure!(add(node, &without_joiner, &[])?.0 == Some(0));
    let (code, words) = add(node, PERSIAN, &[])?;
    ensure!(
        code == Some(2) && words.contains("looks like"),
        "{code:?} {words}"
    );
    ensure!(add(node, &without_joiner, &[])?.0 == Some(0));
    ensure!(add(node, "\u{2764}\u{fe0f}", &[])?.0 == Some(0));
    let (code, words) = add(node, "\u{2764}", &[])?;
    ensure!(code == Some(2), "{code:?} {words}");
    Ok(())
}
