//! What one user may write.

use crate::fleet::Fleet;
use anyhow::ensure;
use serde_json::json;

const UID: u32 = 65_534;
const OTHER: u32 = 65_533;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_fills_no_disk_and_hinders_no_other() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: changing the user needs root");
        return Ok(());
    }
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    let config = std::fs::read_to_string(node.config())?;
    std::fs::write(
        node.config(),
        format!("{config}\n[limits]\nwritten_per_uid = 1048576\n"),
    )?;
    node.start()?;
    fleet.whole().await?;
    let node = &fleet.nodes[0];
    node.let_others_in()?;
    let note = json!({ "title": "long", "notes": "x".repeat(60_000) });
    let add = |uid| node.status_as(uid, "POST", "/v1/lists/notes/entries", Some(&note));
    let mut written = 0;
    let status = loop {
        match add(UID)?.as_str() {
            "201" if written < 20 => written += 1,
            other => break other.to_owned(),
        }
    };
    ensure!(status == "429" && written == 17, "{status} after {written}");
    ensure!(add(OTHER)? == "201", "another user");
    ensure!(add(0)? == "201", "root");
    let delete = node.status_as(UID, "DELETE", "/v1/lists/notes", None)?;
    ensure!(delete == "204", "deleting is still possible: {delete}");
    ensure!(add(UID)? == "429");

    // What is refused does not count.
    let refused = json!({ "title": "x".repeat(50_000) });
    for _ in 0..30 {
        let status = node.status_as(OTHER, "POST", "/v1/lists/notes/entries", Some(&refused))?;
        ensure!(status == "422", "{status}");
    }
    ensure!(add(OTHER)? == "201");
    Ok(())
}
