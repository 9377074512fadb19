//! Disks that fill up and power that fails. These mount file systems, so they need root, as
//! `tests/run` in CI has it.

use crate::fleet::{Fleet, eventually, run};
use crate::load::{Writers, demand_all};
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A mounted file system, gone with the test.
pub(crate) struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

pub(crate) fn mount(args: &[&str], at: &Path) -> anyhow::Result<Mount> {
    std::fs::create_dir_all(at)?;
    run(Command::new("mount").args(args).arg(at))?;
    Ok(Mount(at.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_in_words_and_takes_them_again_when_there_is_room()
-> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting needs root");
        return Ok(());
    }
    let mut fleet = Fleet::new(2)?;
    let data = fleet.nodes[1].data.clone();
    // Declared after the fleet, so that it is unmounted first; lazily, while the daemon still runs.
    let _mount = mount(
        &["-t", "tmpfs", "-o", "size=160m,mode=700", "muster-test"],
        &data,
    )?;
    for node in &mut fleet.nodes {
        node.start()?;
    }
    fleet.whole().await?;
    let kept = fleet.nodes[1].add("groceries", "before").await?;
    let ballast = data.join("ballast");
    fill(&ballast)?;
    let mut refused = None;
    for number in 0..20_000 {
        let body = json!({ "title": format!("filler {number}"), "notes": "x".repeat(8_000) });
        let answer = fleet.nodes[1]
            .call("POST", "/v1/lists/filler/entries", Some(&body))
            .await?;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.context("the disk never filled up")?;
    ensure!([503, 507].contains(&refused.status), "{refused:?}");
    // The store opens again as soon as there is a little room, so the disk is kept full while it is
    // asked.
    eventually(
        "it says that it is not ready, and goes on reading",
        async || {
            fill(&ballast)?;
            let body = json!({ "title": "filler", "notes": "x".repeat(60_000) });
            let _ = fleet.nodes[1]
                .call("POST", "/v1/lists/filler/entries", Some(&body))
                .await?;
            ensure!(fleet.nodes[1].get("/readyz").await?.status == 503);
            let status = fleet.nodes[1].get("/v1/status").await?.json();
            ensure!(
                status["store"]["writable"] == false
                    && status["attention"][0]["severity"] == "critical",
                "{status}"
            );
            let read = fleet.nodes[1].get("/v1/lists/groceries/entries").await?;
            ensure!(read.status == 200, "{read:?}");
            Ok(())
        },
    )
    .await?;
    ensure!(
        fleet.nodes[0].add("groceries", "elsewhere").await.is_ok(),
        "the other node goes on"
    );
    std::fs::remove_file(&ballast)?;
    eventually("it takes writes again", async || {
        fleet.nodes[1].add("groceries", "after").await
    })
    .await?;
    fleet.agree().await?;
    let entries = fleet.nodes[1].entries("groceries").await?;
    ensure!(
        entries.len() == 3 && entries.iter().any(|entry| entry["id"] == kept.as_str()),
        "{entries:?}"
    );
    Ok(())
}

/// Leaves this share of a file system free.
pub(crate) fn fill_to(dir: &Path, share: f64) -> anyhow::Result<()> {
    let disk = rustix::fs::statvfs(dir)?;
    let left = (disk.f_blocks as f64 * share) as u64;
    let bytes = disk.f_bavail.saturating_sub(left) * disk.f_frsize;
    run(Command::new("fallocate")
        .arg("--length")
        .arg(bytes.to_string())
        .arg(dir.join("ballast")))?;
    Ok(())
}

/// Takes all that is left of the disk.
fn fill(ballast: &Path) -> anyhow::Result<()> {
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=4k", "oflag=append", "conv=notrunc"])
        .arg(format!("of={}", ballast.display()));
    // It ends when nothing is left, with an error.
    let _ = dd.output()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_survives_a_power_cut() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting needs root");
        return Ok(());
    }
    let mut fleet = Fleet::new(1)?;
    let (image, data) = (
        fleet.dir.path().join("disk.img"),
        fleet.nodes[0].data.clone(),
    );
    run(Command::new("truncate").args(["-s", "600M"]).arg(&image))?;
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    let on = |image: &Path| mount(&["-o", "loop", &image.display().to_string()], &data);
    let mut image = image;
    for round in 0..3 {
        let mounted = on(&image)?;
        run(Command::new("chmod").arg("700").arg(&data))?;
        fleet.nodes[0].start()?;
        let writers = Writers::start(&fleet.nodes, 16);
        tokio::time::sleep(Duration::from_millis(700 + 400 * round)).await;
        // What is acknowledged from here on does not count: an fdatasync that runs during the cut
        // can return success without having written (seen with plain files), which no disk that
        // loses power does.
        let acknowledged = writers.so_far();
        power_cut(&data)?;
        fleet.nodes[0].kill()?;
        writers.finish().await;
        drop(mounted);
        // What is on the disk, as another disk: a container that was started meanwhile may hold on
        // to the first one's mount.
        let after = fleet.dir.path().join(format!("disk{round}.img"));
        run(Command::new("cp")
            .arg("--sparse=always")
            .args([&image, &after]))?;
        std::fs::remove_file(std::mem::replace(&mut image, after))?;
        let _mounted = on(&image)?;
        fleet.nodes[0].start()?;
        ensure!(
            acknowledged.len() > 50,
            "only {} writes were acknowledged",
            acknowledged.len()
        );
        demand_all(&fleet, &acknowledged).await?;
        fleet.nodes[0].stop()?;
    }
    Ok(())
}

/// What a power cut leaves of an ext4: what was synced, and nothing else (`EXT4_IOC_SHUTDOWN`
/// without flushing the log).
fn power_cut(mounted: &Path) -> anyhow::Result<()> {
    let program = "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), \
        0x8004587d, struct.pack('I', 2))";
    run(Command::new("python3").args(["-c", program]).arg(mounted)).map(drop)
}
