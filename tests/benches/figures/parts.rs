//! The parts of the table, in their order.

use crate::{converting, lists, membership, memory, processes, table};
use std::time::Duration;

/// Prints the wanted parts of the table, all when none is named.
pub(crate) async fn run(wanted: &[String]) -> anyhow::Result<()> {
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    table::head();
    if is_wanted("adds") || is_wanted("adds-1") {
        lists::adds(1).await?;
    }
    if is_wanted("adds") || is_wanted("adds-3") {
        lists::adds(3).await?;
    }
    if is_wanted("growing") {
        lists::growing(10_000).await?;
        lists::growing(100_000).await?;
    }
    if is_wanted("reads") {
        lists::reads().await?;
    }
    if is_wanted("visible") {
        lists::visible().await?;
    }
    if is_wanted("catch-up") {
        lists::catch_up(10_000).await?;
    }
    if is_wanted("detection") {
        membership::detection().await?;
    }
    if is_wanted("cut") {
        membership::cut(Duration::from_secs(20)).await?;
        membership::cut(Duration::from_secs(120)).await?;
    }
    if is_wanted("registering") {
        processes::registering().await?;
    }
    if is_wanted("found") {
        processes::found().await?;
    }
    if is_wanted("gone") {
        processes::gone().await?;
    }
    if is_wanted("heal") {
        processes::heal().await?;
    }
    if is_wanted("memory") || is_wanted("memory-0") {
        memory::memory(0).await?;
    }
    if is_wanted("memory") || is_wanted("memory-100000") {
        memory::memory(100_000).await?;
    }
    if is_wanted("converting") {
        converting::converting()?;
    }
    Ok(())
}
